"""The one table of recipes, and how one is found by its name.

A recipe is a small function over named tensors (``Weights``) that returns what is to be written. Only structural marks
of a module's record, or lenet's exact set of names, apply one unasked; a tensor's name alone merely suggests one.
"""

from __future__ import annotations

from ..errors import OptionError, near, shown
from ..records import Record
from . import detectron2, detr, hrnet, lenet, real_esrgan, tsm, yolov5, yolov7, yolov9

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .weights import Weights


class Recipe(Record):
    """The surgery that a family's programs expect."""

    name: str
    summary: str
    apply: Callable[..., Any]
    """of the weights, and the parameters by name: what is to be written"""
    detect: Callable[[Weights], bool] | None = None
    """whether its mark is there, so that it is applied unasked"""
    suggest: Callable[[Weights], str | None] | None = None
    """what it looks like, or None: suggested aloud, applied only where asked for"""
    dialect: str = "double"
    parameters: dict[str, Any] = {}  # noqa: RUF012  (never changed: records are frozen)
    """by name, with their defaults"""


class KnownRecipe(Record):
    """A recipe as ``pywts.recipes()`` lists it."""

    name: str
    summary: str
    detected: bool
    """whether it is applied unasked where its mark is found"""
    dialect: str
    parameters: tuple[str, ...]
    """what may be set by ``NAME:parameter=value``"""


_STRIDE: dict[str, Any] = {"stride": ()}

RECIPES = (
    Recipe(
        "yolov5",
        "anchor_grid (the anchors in pixels) and strides registered on the head",
        yolov5.apply,
        detect=yolov5.detect,
        parameters=_STRIDE,
    ),
    Recipe(
        "yolov7",
        "anchor_grid computed anew; yolov5 up to v5.0 too",
        yolov7.apply,
        detect=yolov7.detect,
        parameters=_STRIDE,
    ),
    Recipe(
        "yolov7-fused",
        "the same, and the implicit layers folded into their convolutions",
        yolov7.apply_fused,
        parameters=_STRIDE,
    ),
    Recipe("yolov9", "anchor_grid registered on the head; gelan too", yolov9.apply, detect=yolov9.detect),
    Recipe("lenet", "layers renamed as the program's model has them", lenet.apply, detect=lenet.detect),
    Recipe("detr", "in_proj split into query, key and value", detr.apply, suggest=detr.suggest),
    Recipe(
        "tsm",
        "names of mmaction or the original repository shortened",
        tsm.apply,
        suggest=tsm.suggest,
        dialect="single",
    ),
    Recipe("hrnet", "model. taken off the names, the rest left out", hrnet.apply, suggest=hrnet.suggest),
    Recipe(
        "detectron2",
        "normalizations folded into their convolutions",
        detectron2.apply,
        suggest=detectron2.suggest,
        parameters={"eps": detectron2.EPS},
    ),
    Recipe("real-esrgan", "the dialect only", real_esrgan.apply, suggest=real_esrgan.suggest, dialect="single"),
)


def recipes() -> tuple[KnownRecipe, ...]:
    """All recipes that ``export(recipe=...)`` knows by name."""
    return tuple(
        KnownRecipe(recipe.name, recipe.summary, recipe.detect is not None, recipe.dialect, tuple(recipe.parameters))
        for recipe in RECIPES
    )


def recipe_of(text: str) -> tuple[Recipe, dict[str, Any]]:
    """The recipe and the parameters that ``NAME`` or ``NAME:parameter=value,...`` stands for."""
    name, _, rest = text.partition(":")
    recipe = next((recipe for recipe in RECIPES if recipe.name == name), None)
    if recipe is None:
        names = ["auto", "none", *(recipe.name for recipe in RECIPES)]
        close = [other for other in near(name, names) if _digits(other) == _digits(name)]
        hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"
        if name.startswith("yolo") and not close:
            hint = f"models of ultralytics need none; {hint}"
        raise OptionError(f"no recipe {shown(name)!r}; {hint}")
    parameters = {}
    for part in rest.split(",") if rest else ():
        key, given, value = part.partition("=")
        if key not in recipe.parameters or not given:
            takes = ", ".join(f"{name}:{known}=..." for known in recipe.parameters) or "none"
            raise OptionError(f"recipe {name} has no parameter {shown(part)!r}; it takes {takes}")
        parameters[key] = _value(text, value, recipe.parameters[key])
    return recipe, parameters


def _digits(name: str) -> str:
    """What tells generations apart, whose names are near and whose surgery is not."""
    return "".join(filter(str.isdigit, name))


def _value(text: str, value: str, default: Any) -> Any:
    """A parameter's value: a number, or several between slashes where the default is a tuple."""
    try:
        numbers = tuple(float(number) for number in value.split("/"))
    except ValueError:
        numbers = ()
    if not numbers or (len(numbers) > 1 and not isinstance(default, tuple)):
        raise OptionError(f"recipe {shown(text)!r}: {shown(value)!r} is no number, such as 1e-5 or 8/16/32")
    return numbers if isinstance(default, tuple) else numbers[0]
