"""tsm, from mmaction or the original repository: names as the program looks them up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights

REPLACEMENTS = (
    ("module.", ""),
    ("base_model.", ""),
    ("net.", ""),
    ("new_fc", "fc"),
    ("backbone.", ""),
    ("cls_head.fc_cls", "fc"),
    (".conv.", "."),
    ("conv1.bn", "bn1"),
    ("conv2.bn", "bn2"),
    ("conv3.bn", "bn3"),
    ("downsample.bn", "downsample.1"),
    ("downsample.weight", "downsample.0.weight"),
)
"""In this order, each wherever it occurs."""

_CLASSIFIERS = {"cls_head.fc_cls.weight", "new_fc.weight", "module.new_fc.weight"}


def suggest(weights: Weights) -> str | None:
    """A shifted convolution (``.net.``) beside the classifier of one of the two repositories."""
    if not weights.keys() & _CLASSIFIERS:
        return None
    return "tsm" if any(name.endswith(".net.weight") for name in weights) else None


def apply(weights: Weights) -> Any:
    """Drop the counters of batch normalization, and rename."""
    result = []
    for name, tensor in weights.items():
        if "num_batches_tracked" in name:
            continue
        for old, new in REPLACEMENTS:
            name = name.replace(old, new)
        result.append((name, tensor))
    weights.notes.append(f"tsm: names as the program reads them, {len(weights) - len(result)} counters left out")
    return result
