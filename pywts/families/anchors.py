"""The anchors of a yolo head in pixels, as the programs of yolov5 and yolov7 read them."""

from __future__ import annotations

from ..errors import SelectionError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .head import Head
    from .weights import Weights


def is_anchored(head: Head | None) -> bool:
    """Whether a head has the buffer anchors, of shape (levels, anchors, 2), and a stride for each level."""
    if head is None or "anchors" not in head.buffers:
        return False
    shape = head.shape("anchors")
    return shape is not None and len(shape) == 3 and shape[2] == 2 and head.shape("stride") == shape[:1]


def anchor_grid(weights: Weights, recipe: str, stride: tuple[float, ...]) -> tuple[str, Any, Any]:
    """The head's prefix, ``anchors * stride[..., None, None]`` in float32, and the strides.

    ``stride``, where it is given, stands for the head's attribute, which a bare state_dict lacks.
    """
    import numpy

    head = weights.head
    prefix = head.prefix if head is not None and "anchors" in head.buffers else _prefix_by_name(weights, recipe)
    anchors = weights.array(f"{prefix}anchors")
    strides: Any = head.array("stride") if head is not None else None
    if stride:
        strides = numpy.array(stride, numpy.float32)
    if strides is None:
        raise SelectionError(
            f"{weights.source}: recipe {recipe} needs the head's strides, which are no part of a state_dict; "
            f"name them (--recipe {recipe}:stride=8/16/32), or export the checkpoint of the whole model"
        )
    if anchors.ndim != 3 or strides.shape != anchors.shape[:1]:
        raise SelectionError(
            f"{weights.source}: {strides.size} strides do not fit {shown(prefix)}anchors of shape "
            f"{list(anchors.shape)}; it must be levels x anchors x 2, with a stride for each level"
        )
    with numpy.errstate(all="ignore"):
        return prefix, anchors * strides[..., None, None], strides


def _prefix_by_name(weights: Weights, recipe: str) -> str:
    found = [name for name, tensor in weights.items() if name.split(".")[-1] == "anchors"]
    if len(found) != 1 or weights.class_name:
        what = f"this is a {shown(weights.class_name)}" if weights.class_name else f"there are {len(found)} in it"
        raise SelectionError(
            f"{weights.source}: recipe {recipe} needs a head with the buffer anchors; {what}: leave the recipe out"
        )
    return found[0][: -len("anchors")]
