"""A recipe of your own: fold every batch normalization into the convolution before it.

``python examples/custom_recipe.py best.pt folded.wts`` writes a .wts for a program that builds convolutions with a bias
and no normalization behind them. A recipe is a function that takes ``pywts.Weights`` and returns what is to be written.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy

import pywts

EPS = 1e-3
"""That of ultralytics; torch's own default is 1e-5."""


def folded(weights: pywts.Weights) -> dict[str, Any]:
    """``X.conv.weight`` and ``X.bn.*`` become ``X.conv.weight`` and ``X.conv.bias``; all else stays as it is."""
    result: dict[str, Any] = {}
    for name, tensor in weights.items():
        block = name.removesuffix(".conv.weight")
        if block != name and f"{block}.bn.running_var" in weights:
            gamma, beta, mean, variance = (
                weights.array(f"{block}.bn.{part}") for part in ("weight", "bias", "running_mean", "running_var")
            )
            scale = gamma / numpy.sqrt(variance + numpy.float32(EPS))
            result[name] = weights.array(name) * scale.reshape(-1, 1, 1, 1)
            result[f"{block}.conv.bias"] = beta - mean * scale
        elif ".bn." not in name:
            result[name] = tensor  # passed on as it is: no array is made
    weights.notes.append(f"{len(weights) - len(result)} tensors fewer: normalizations are folded")
    return result


if __name__ == "__main__":
    done = pywts.export(sys.argv[1], sys.argv[2], recipe=folded)
    print(f"{done.path}: {done.tensors} tensors; {done.notes[0]}")
