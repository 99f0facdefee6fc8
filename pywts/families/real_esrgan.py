"""real-esrgan: nothing but the dialect; its x4v3 program reads values that were rounded to float16 (``half``)."""

from __future__ import annotations

from ..tensor import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


def suggest(weights: Weights) -> str | None:
    """The dense blocks of RRDBNet, or the chain of convolutions and PReLUs of SRVGGNetCompact (x4v3)."""
    if {"conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight"} <= weights.keys():
        return "real-esrgan"
    if "body.0.weight" not in weights:
        return None
    shapes = [len(tensor.shape) for name, tensor in weights.items() if _in_chain(name) and isinstance(tensor, Tensor)]
    if len(shapes) == len(weights) > 6 and shapes[:5] == [4, 1, 1, 4, 1]:  # convolution, PReLU, convolution
        return "real-esrgan x4v3, whose program also wants --half"
    return None


def _in_chain(name: str) -> bool:
    body, _, rest = name.partition(".")
    index, _, leaf = rest.partition(".")
    return body == "body" and index.isdecimal() and leaf in ("weight", "bias")


def apply(weights: Weights) -> Any:
    """All as it is."""
    return weights
