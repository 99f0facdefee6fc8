"""yolov7, and yolov5 up to v5.0: the anchors in pixels are a buffer, which the script of yolov7 computes anew."""

from __future__ import annotations

from ..errors import SelectionError, TensorError, shown
from .anchors import anchor_grid, is_anchored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights


def detect(weights: Weights) -> bool:
    """A head with the buffers anchors and anchor_grid."""
    head = weights.head
    return head is not None and is_anchored(head) and "anchor_grid" in head.buffers


def apply(weights: Weights, stride: tuple[float, ...] = ()) -> Any:
    """Delete ``anchor_grid`` and register it again, so that it is the last of the head's own tensors.

    In a head of an early yolov5 it stays where it is.
    """
    result = _with_grid(weights, "yolov7", stride)
    if any(name.endswith(".implicit") for name in weights):
        folds = "leaves them out, they are folded already" if _is_fused(weights) else "folds them"
        weights.notes.append(f"implicit layers (ia, im) are kept as they are; --recipe yolov7-fused {folds}")
    return result


def apply_fused(weights: Weights, stride: tuple[float, ...] = ()) -> Any:
    """As ``apply``, then the implicit layers folded into the convolutions between them.

    A head computes ``im * (W (x + ia) + b)``, so b' = (b + W ia) im and W' = im W, row by row. No script does this:
    float64, rounded once.
    """
    pairs = _implicit(weights)
    if not pairs:
        raise SelectionError(
            f"{weights.source}: recipe yolov7-fused folds implicit layers (ia.N.implicit, im.N.implicit), and there "
            "are none; --recipe yolov7 is for a head without"
        )
    result = dict(_with_grid(weights, "yolov7-fused", stride) if weights.head is not None or stride else weights)
    fused = _is_fused(weights)
    for place, implicit in pairs.items():
        if not fused:
            result[f"{place}.weight"], result[f"{place}.bias"] = _folded(weights, place, *implicit)
        for name in implicit:
            result.pop(name, None)
    done = "were folded by fuse() already, and are left out" if fused else "are folded into them"
    weights.notes.append(f"yolov7: the implicit layers of {len(pairs)} convolutions {done}")
    return result


def _is_fused(weights: Weights) -> bool:
    """Whether the trainer's ``fuse()`` went over the head: it folds, sets another ``forward``, and keeps the layers."""
    return weights.head is not None and weights.head.has("forward")


def _with_grid(weights: Weights, recipe: str, stride: tuple[float, ...]) -> list[tuple[str, Any]]:
    prefix, grid, _ = anchor_grid(weights, recipe, stride)
    task = weights.head.task if weights.head is not None else None
    weights.notes.append(f"yolov7 {task or 'detect'}: anchor_grid computed anew (an early yolov5 has the same head)")
    if _is_early_yolov5(weights):
        return [(name, grid if name == f"{prefix}anchor_grid" else tensor) for name, tensor in weights.items()]
    return weights.with_buffers(prefix, anchor_grid=grid)


def _is_early_yolov5(weights: Weights) -> bool:
    """Whether a script of yolov5 up to v5.0 would be run, which leaves ``anchor_grid`` in its place.

    That place is the last of the head's own but where thop left its counters, as v1.0 lets it. yolov7 trains heads of
    other names, and its models have ``traced``.
    """
    head = weights.head
    if head is None or head.class_name.rpartition(".")[2] != "Detect" or "anchor_grid" not in head.buffers:
        return False
    return weights.attribute("traced") is None


def _implicit(weights: Weights) -> dict[str, tuple[str, str]]:
    """For each convolution that is wrapped in implicit layers: the names of what is added before, and of the factor."""
    found = {}
    for name in weights:
        *path, kind, index, leaf = ("", "", *name.split("."))
        if leaf == "implicit" and kind in ("ia", "im"):
            base = "".join(f"{part}." for part in path if part)
            found[f"{base}m.{index}"] = (f"{base}ia.{index}.implicit", f"{base}im.{index}.implicit")
    return found


def _folded(weights: Weights, place: str, added: str, factor: str) -> tuple[Any, Any]:
    import numpy

    weight, bias = weights.array(f"{place}.weight"), weights.array(f"{place}.bias")
    rows = weight.reshape(len(weight), -1).astype(numpy.float64)
    before = weights.array(added).astype(numpy.float64).ravel() if added in weights else numpy.zeros(rows.shape[1])
    after = weights.array(factor).astype(numpy.float64).ravel() if factor in weights else numpy.ones(rows.shape[0])
    if (before.size, after.size) != (rows.shape[1], rows.shape[0]) or bias.size != rows.shape[0]:
        raise TensorError(
            f"{weights.source}: the implicit layers of {shown(place)} do not fit its weight of shape "
            f"{list(weight.shape)}: {before.size} values before, {after.size} after"
        )
    with numpy.errstate(all="ignore"):
        folded_bias = (bias.astype(numpy.float64) + rows @ before) * after
        folded = after[:, None] * rows
        return folded.astype(numpy.float32).reshape(weight.shape), folded_bias.astype(numpy.float32)
