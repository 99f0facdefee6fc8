"""Applies the recipe that was asked for or recognised, and checks what it gave."""

from __future__ import annotations

from ..errors import OptionError, TensorError, repeated, shown
from ..records import Record
from ..tensor import Refused, Tensor
from .programs import generation_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..checkpoint.choosing import Chosen
    from ..checkpoint.protocol import Checkpoint
    from .recipes import Recipe
    from .weights import Weights


class Operated(Record):
    """Named tensors after a recipe."""

    items: list[Tensor | Refused]
    recipe: str
    """as it can be asked for again; "none" where none was applied"""
    dialect: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def operate(checkpoint: Checkpoint, chosen: Chosen, recipe: str | Callable[[Weights], Any], check: bool) -> Operated:
    """Apply a recipe: ``"auto"`` the one whose mark is found, ``"none"`` none, else by name, or a callable.

    check: whether the values that it reads are compared with the CRC32 that an archive keeps.
    """
    untouched = Operated(chosen.state.items, "none", "double")
    if recipe == "none":
        return untouched
    if recipe == "auto" and _is_of_ultralytics(checkpoint, chosen):
        return untouched.replace(notes=_anchor_free(checkpoint, chosen))  # by far the most; none needs one
    weights = _weights(checkpoint, chosen, check)
    try:
        return _apply(recipe, weights, untouched)
    finally:
        weights.close()


def _apply(recipe: str | Callable[[Weights], Any], weights: Weights, untouched: Operated) -> Operated:
    if recipe == "auto":
        found, warnings = _recognise(weights)
        if found is None:
            return untouched.replace(warnings=warnings)
        return _operated(weights, found.apply(weights), found.name, found.dialect)
    if callable(recipe):
        called = shown(getattr(recipe, "__name__", type(recipe).__name__))
        return _operated(weights, recipe(weights), f"callable {called}", "double")
    if not isinstance(recipe, str):
        raise OptionError(f"recipe is a {type(recipe).__name__}, neither a name nor a callable")
    from .recipes import recipe_of

    asked, parameters = recipe_of(recipe)
    return _operated(weights, asked.apply(weights, **parameters), recipe, asked.dialect)


def _anchor_free(checkpoint: Checkpoint, chosen: Chosen) -> tuple[str, ...]:
    if generation_of(checkpoint, chosen.value) != "5u":
        return ()
    return ("anchor-free v5u of ultralytics: nothing to add; the programs of yolov8 read it, those of yolov5 do not",)


def recognised(checkpoint: Checkpoint, chosen: Chosen) -> Operated:
    """What ``operate(checkpoint, chosen, "auto")`` would choose, without the surgery: the tensors are as they were."""
    untouched = Operated(chosen.state.items, "none", "double")
    if _is_of_ultralytics(checkpoint, chosen):
        return untouched.replace(notes=_anchor_free(checkpoint, chosen))
    recipe, warnings = _recognise(_weights(checkpoint, chosen, False))
    if recipe is None:
        return untouched.replace(warnings=warnings)
    return untouched.replace(recipe=recipe.name, dialect=recipe.dialect, notes=(f"{recipe.name}: {recipe.summary}",))


def _is_of_ultralytics(checkpoint: Checkpoint, chosen: Chosen) -> bool:
    name = checkpoint.class_name(chosen.value) or ""
    return name.startswith("ultralytics.") and checkpoint.is_module(chosen.value)


def _recognise(weights: Weights) -> tuple[Recipe | None, tuple[str, ...]]:
    """The recipe whose mark is found; where there is none, what the weights look like."""
    from .recipes import RECIPES

    for recipe in RECIPES:
        if recipe.detect is not None and recipe.detect(weights):
            return recipe, ()
    for recipe in RECIPES:
        looks = recipe.suggest(weights) if recipe.suggest is not None else None
        if looks is not None:
            return None, (_suggestion(recipe, looks),)
    return None, ()


def _suggestion(recipe: Recipe, looks: str) -> str:
    return (
        f"looks like {looks}; nothing was changed: --recipe {recipe.name} applies what its program expects "
        f"({recipe.summary}), --recipe none says that this is meant"
    )


def _weights(checkpoint: Checkpoint, chosen: Chosen, check: bool) -> Weights:
    from .weights import Weights

    weights = Weights(checkpoint, chosen.value, chosen.state.items, check)
    if len(weights) != len(chosen.state.items):
        twice = repeated([tensor.name for tensor in chosen.state.items])
        raise TensorError(
            f"{weights.source}: two tensors have the name {shown(twice)}; readers keep only one: rename one"
        )
    return weights


def _operated(weights: Weights, result: Any, recipe: str, dialect: str) -> Operated:
    items = _checked(weights, result, recipe)
    return Operated(items, recipe, dialect, tuple(weights.notes), tuple(weights.warnings))


def _checked(weights: Weights, result: Any, recipe: str) -> list[Tensor | Refused]:
    """The tensors of a recipe's result, whether they came as tensors, NumPy arrays or torch tensors."""
    where = f"{weights.source}: recipe {recipe}"
    if result is None:
        raise OptionError(f"{where} returned None; it must return the tensors, in order")
    try:
        pairs = list(result.items() if hasattr(result, "items") else result)
    except TypeError:
        raise OptionError(f"{where} returned a {type(result).__name__}, neither a mapping nor pairs") from None
    items: list[Tensor | Refused] = []
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise OptionError(f"{where} returned {shown(repr(pair), 60)} where a pair of name and tensor should be")
        name, value = pair
        if isinstance(value, (Tensor, Refused)):
            items.append(value if value.name == name else value.renamed(name))
            continue
        from ..checkpoint.live import LiveCheckpoint

        tensor = LiveCheckpoint({}, weights.checkpoint.limits).tensor(value, name)
        if tensor is None:
            raise OptionError(f"{where} returned a {type(value).__name__} for {shown(name)}, no tensor and no array")
        items.append(tensor)
    return items
