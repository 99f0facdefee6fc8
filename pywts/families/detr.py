"""detr: its program reads query, key and value of an attention apart."""

from __future__ import annotations

from ..tensor import Refused, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights

_MARKS = {
    "transformer.encoder.layers.0.self_attn.in_proj_weight",
    "transformer.decoder.layers.0.multihead_attn.in_proj_weight",
    "class_embed.weight",
    "query_embed.weight",
}


def suggest(weights: Weights) -> str | None:
    """Its attentions, classifier and queries together; an ``in_proj`` alone is in every model with an attention."""
    return "detr" if weights.keys() >= _MARKS else None


def apply(weights: Weights) -> Any:
    """Split every tensor with ``in_proj`` in its name in three along its first dimension, where it stands."""
    result: list[tuple[str, Any]] = []
    split = 0
    for name, tensor in weights.items():
        if "in_proj" not in name or isinstance(tensor, Refused) or not tensor.shape:
            result.append((name, tensor))
            continue
        rows = tensor.shape[0]
        third = rows // 3
        bounds = (0, third, 2 * third, rows)
        result.extend(
            (f"{name}_{part}", _rows(tensor, start, stop))
            for part, start, stop in zip("qkv", bounds[:-1], bounds[1:], strict=True)
        )
        split += 1
    weights.notes.append(f"detr: {split} tensors split into query, key and value")
    return result


def _rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Some rows of a tensor: a view."""
    offset = tensor.offset + start * tensor.strides[0]
    shape = (stop - start, *tensor.shape[1:])
    return Tensor(tensor.name, tensor.dtype, shape, tensor.strides, offset, tensor.storage, tensor.half)
