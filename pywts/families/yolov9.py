"""yolov9 and gelan: the script multiplies whatever grid the head holds by its strides, and registers the result."""

from __future__ import annotations

from ..errors import SelectionError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


_LEVELS = 16
"""More than any head has."""


def detect(weights: Weights) -> bool:
    """A head of ``models.yolo`` with a layer of distribution focal loss and no anchors of its own."""
    head = weights.head
    if head is None or "dfl" not in head.children or "anchors" in head.buffers:
        return False
    home = head.class_name.rpartition(".")[0]
    return (home == "models.yolo" or home.endswith(".models.yolo")) and len(head.shape("stride") or ()) == 1


def apply(weights: Weights) -> Any:
    """Register ``anchor_grid``: the cached grid of a model that ran, by the strides; empty where it never ran.

    The cache is the attribute ``anchors``, and an empty attribute of the class until the first pass in eval mode.
    """
    import numpy

    head = weights.head
    if head is not None and head.task == "classify":
        weights.notes.append("yolov9 classify: nothing to add")
        return weights
    if head is None or not detect(weights):
        what = shown(weights.class_name) or "a mapping of tensors"
        raise SelectionError(
            f"{weights.source}: recipe yolov9 needs a whole model of yolov9's repository, and this is {what}; "
            "leave the recipe out"
        )
    cached = head.array("anchors")
    anchors = cached if cached is not None else numpy.empty(0, numpy.float32)
    strides = head.array("stride")
    if anchors.ndim > 2 or strides.size > _LEVELS:
        raise SelectionError(
            f"{weights.source}: {shown(head.prefix)}anchors of shape {list(anchors.shape)} with {strides.size} strides "
            "is no grid of yolov9's; --recipe none"
        )
    with numpy.errstate(all="ignore"):
        grid = anchors * strides[..., None, None]
    state = f"{grid.size} values" if grid.size else "empty, the model never ran"
    weights.notes.append(f"yolov9 {head.task or 'detect'}: anchor_grid added ({state})")
    return weights.with_buffers(head.prefix, anchor_grid=grid)
