"""yolov9 and gelan: the script multiplies whatever grid the head holds by its strides, and registers the result."""

from __future__ import annotations

from ..errors import SelectionError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


def detect(weights: Weights) -> str | None:
    """A head of ``models.yolo`` with a layer of distribution focal loss and no anchors of its own."""
    head = weights.head
    if head is None or "dfl" not in head.children or "anchors" in head.buffers or not head.is_tensor("stride"):
        return None
    home = head.class_name.rpartition(".")[0]
    if home != "models.yolo" and not home.endswith(".models.yolo"):
        return None
    return f"yolov9 {head.task or 'detect'}"


def apply(weights: Weights) -> Any:
    """Register ``anchor_grid``: the cached grid of a model that ran, by the strides; empty where it never ran.

    The cache is the attribute ``anchors``, and an empty attribute of the class until the first pass in eval mode.
    """
    import numpy

    head = weights.head
    if detect(weights) is None or head is None:
        what = shown(weights.class_name) or "a mapping of tensors"
        raise SelectionError(
            f"{weights.source}: recipe yolov9 needs a whole model of yolov9's repository, and this is {what}; "
            "leave the recipe out"
        )
    cached = head.array("anchors")
    anchors = cached if cached is not None else numpy.empty(0, numpy.float32)
    grid = anchors * head.array("stride")[..., None, None]
    state = f"{grid.size} values" if grid.size else "empty, the model never ran"
    weights.notes.append(f"yolov9 {head.task or 'detect'}: anchor_grid added ({state})")
    return weights.with_buffers(head.prefix, anchor_grid=grid)
