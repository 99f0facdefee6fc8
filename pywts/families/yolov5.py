"""yolov5 since v6.0: its programs read the anchors in pixels and the strides, which are no buffers of the head."""

from __future__ import annotations

from .anchors import anchor_grid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


def detect(weights: Weights) -> str | None:
    """A head with the buffer anchors, whose anchor_grid is a plain list."""
    head = weights.head
    if head is None or "anchors" not in head.buffers or not head.is_list("anchor_grid") or not head.is_tensor("stride"):
        return None
    return f"yolov5 {head.task or 'detect'}"


def apply(weights: Weights, stride: tuple[float, ...] = ()) -> Any:
    """Register ``anchor_grid`` and ``strides`` on the head."""
    head = weights.head
    if weights.class_name.startswith("ultralytics."):
        weights.warnings.append(
            "recipe yolov5 does not fit: this is an ultralytics model, anchor-free also where it is called v5 (v5u); "
            "nothing was added, and the programs of yolov8 read it"
        )
        return weights
    if head is not None and head.task == "classify":
        weights.notes.append("yolov5 classify: nothing to add")
        return weights
    prefix, grid, strides = anchor_grid(weights, "yolov5", stride)
    weights.notes.append(f"yolov5 {(head and head.task) or 'detect'}: anchor_grid and strides added")
    return weights.with_buffers(prefix, anchor_grid=grid, strides=strides)
