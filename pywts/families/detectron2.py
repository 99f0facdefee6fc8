"""detectron2's faster and mask rcnn: the programs know no normalization, it is folded into the convolutions."""

from __future__ import annotations

from ..errors import SelectionError, shown
from ..tensor import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .weights import Weights

EPS = 1e-5
"""detectron2's own; no checkpoint holds it."""


_STEMS = {f"backbone.{level}stem.conv1.norm.running_var" for level in ("", "bottom_up.")}


def suggest(weights: Weights) -> str | None:
    """Normalized convolutions of a backbone, beside the heads of an rcnn."""
    if not weights.keys() & _STEMS:
        return None
    return "an rcnn of detectron2" if any(name.startswith("roi_heads.") for name in weights) else None


def apply(weights: Weights, eps: float = EPS) -> Any:
    """Fold every ``NAME.norm`` into the convolution ``NAME``; in float32, in the script's order of operations.

    The square root is rounded correctly. torch's own is MKL's in builds for x86, up to 0.75 ulp off the root, so that
    there the script's values differ from these in the last bit now and then.
    """
    places = [name[: -len(".norm.running_var")] for name in weights if name.endswith(".norm.running_var")]
    folded = {place for place in places if _is_convolution(weights, place)}
    if not folded:
        raise SelectionError(
            f"{weights.source}: recipe detectron2 folds NAME.norm into the convolution NAME, and there is none"
        )
    norms = {f"{place}.norm" for place in folded}
    result: dict[str, Any] = {}
    for name, tensor in weights.items():
        place, _, leaf = name.rpartition(".")
        if place in folded and leaf == "weight":
            result[name], result[f"{place}.bias"] = _fold(weights, place, eps)
        elif not (place in folded and leaf == "bias") and place not in norms:
            result[name] = tensor
    weights.notes.append(f"detectron2: {len(folded)} normalizations folded into their convolutions, eps {eps:g}")
    left = [name for name in result if name.endswith(".norm.weight")]
    if left:
        weights.warnings.append(
            f"{len(left)} normalizations without running statistics are kept, {shown(left[0])} first; "
            "the programs know none"
        )
    return result


def _is_convolution(weights: Weights, place: str) -> bool:
    weight = weights.get(f"{place}.weight")
    return weight is not None and not isinstance(weight, Refused) and len(weight.shape) > 1


def _fold(weights: Weights, place: str, eps: float) -> tuple[Any, Any]:
    import numpy

    weight = weights.array(f"{place}.weight")
    gamma, beta, mean, variance = (
        weights.array(f"{place}.norm.{leaf}") for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    bias = weights.array(f"{place}.bias") if f"{place}.bias" in weights else numpy.zeros_like(beta)
    with numpy.errstate(all="ignore"):
        deviation = numpy.sqrt(variance + numpy.float32(eps))
        scale = gamma / deviation
        # The script multiplies by a diagonal matrix: the sum with the zeros beside it turns -0.0 into 0.0.
        rows = scale[:, None] * weight.reshape(len(weight), -1) + numpy.float32(0)
        shift = beta - gamma * mean / deviation
        return rows.reshape(weight.shape), (scale * bias + numpy.float32(0)) + shift
