"""yolov5 since v6.0: its programs read the anchors in pixels and the strides, which are no buffers of the head."""

from __future__ import annotations

from .anchors import anchor_grid, is_anchored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


def detect(weights: Weights) -> bool:
    """A head with the buffer anchors, whose anchor_grid is a plain list."""
    head = weights.head
    return head is not None and is_anchored(head) and head.is_list("anchor_grid")


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
