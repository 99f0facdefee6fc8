"""hrnet for segmentation: its trainer saves the model inside of another, beside the loss."""

from __future__ import annotations

from ..errors import SelectionError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights

PREFIX = "model."
_HEADS = {"model.last_layer.0.weight", "model.cls_head.weight"}


def suggest(weights: Weights) -> str | None:
    """The fused branches of its stages under the prefix, with a head for segmentation."""
    if not weights.keys() & _HEADS:
        return None
    fused = any(name.startswith("model.stage4.") and ".fuse_layers." in name for name in weights)
    return "hrnet for segmentation" if fused else None


def apply(weights: Weights) -> Any:
    """Take the prefix off, and leave out what does not have it."""
    result = {name[len(PREFIX) :]: tensor for name, tensor in weights.items() if name.startswith(PREFIX)}
    if not result:
        raise SelectionError(f"{weights.source}: recipe hrnet takes {PREFIX} off the names, and none begins with it")
    dropped = [name for name in weights if not name.startswith(PREFIX)]
    more = f"; left out: {', '.join(map(shown, dropped[:5]))}{' ...' if len(dropped) > 5 else ''}" if dropped else ""
    weights.notes.append(f"hrnet: {PREFIX} taken off {len(result)} names{more}")
    return result
