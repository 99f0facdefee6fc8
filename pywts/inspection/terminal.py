"""An inspection for a terminal, by rich: folds to the width, and is plain text where there is no terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import shown
from ..words import bytes_in_words, shape_in_words
from .sections import (
    container_rows,
    count_in_words,
    cpp_side_rows,
    histogram_rows,
    lines,
    model_rows,
    or_unknown,
    statistics_rows,
    tensor_rows,
    training_rows,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from .facts import Inspection, Module, Statistics, TensorFacts

    Pair = tuple[str, str]

_LEVELS = 2
"""Levels of the tree that are shown."""
_MOST_ROWS = 60
_BAR = 32
"""Characters of the longest bar of a histogram."""


def overview(found: Inspection, all_tensors: bool) -> Group:
    """Everything about a source, the tensors one by one if asked for."""
    parts: list[RenderableType] = [Text(shown(found.source, 300), style="bold")]
    parts += _section("container", container_rows(found))
    parts += _section("training", training_rows(found))
    if found.model is not None:
        parts += _section("model", model_rows(found))
        parts += _tree(found.model.modules)
    if found.cpp_side is not None:
        parts += _section("C++ side", cpp_side_rows(found))
    with_statistics = any(tensor.statistics is not None or tensor.problem for tensor in found.tensors)
    if with_statistics:
        parts += _figures(found.tensors)
    elif all_tensors:
        parts += _tensors(found.tensors)
    for problem in found.problems:
        parts.append(Text(f"\nproblem: {lines(problem)}", style="red"))
    return Group(*parts)


def one_tensor(tensor: TensorFacts) -> Group:
    """One tensor: its facts, its first and last values, its histogram."""
    parts: list[RenderableType] = [Text(shown(tensor.name, 300), style="bold"), _pairs(tensor_rows(tensor))]
    if tensor.statistics is not None:
        parts += [_pairs(statistics_rows(tensor.statistics)), *_histogram(tensor.statistics)]
    return Group(*parts)


# ------------------------------------------------------------------------------------------------------------- sections


def _section(title: str, rows: Iterable[Pair]) -> list[RenderableType]:
    return [Text(f"\n{title}", style="bold cyan"), _pairs(rows)]


def _pairs(rows: Iterable[Pair]) -> Padding:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    return Padding(table, (0, 0, 0, 2), expand=False)


# --------------------------------------------------------------------------------------------------------------- tables


def _tree(modules: tuple[Module, ...]) -> list[RenderableType]:
    rows = [module for module in modules if 0 < module.depth <= _LEVELS]
    if sum(module.depth == 1 for module in rows) > 1:
        rows = [module for module in rows if module.depth == 1]
    if not rows:
        return []
    counted = "values" if any(module.parameters is None for module in rows) else "parameters"
    table = _table(("module", "left"), ("class", "left"), (counted, "right"), ("bytes", "right"))
    for module in rows[:_MOST_ROWS]:
        kind = shown(module.class_name.rpartition(".")[2]) if module.class_name else ""
        kind += f" {module.about}" if module.about else ""
        kind += f" (the same as {shown(module.same_as)})" if module.same_as else ""
        count = module.values if module.parameters is None else module.parameters
        table.add_row(Text(_indented(module)), Text(kind), f"{count:,}", bytes_in_words(module.bytes))
    parts: list[RenderableType] = [Text(), Padding(table, (0, 0, 0, 2))]
    if len(rows) > _MOST_ROWS:
        parts.append(Text(f"  and {len(rows) - _MOST_ROWS:,} more; --html shows the whole tree"))
    return parts


def _indented(module: Module) -> str:
    return f"{'  ' * (module.depth - 1)}{shown(module.path.rpartition('.')[2], 60)}"


_FIGURES = ("min", "max", "mean", "std")
_COUNTS = ("zeros", "NaN", "inf", "fp16 loses")


def _tensors(tensors: tuple[TensorFacts, ...]) -> list[RenderableType]:
    table = _table(("tensor", "left"), ("dtype", "left"), ("shape", "left"), ("kind", "left"), ("values", "right"))
    for tensor in tensors:
        shape = shape_in_words(tensor.shape) if tensor.refused is None else lines(tensor.refused)
        cells = (shown(tensor.name, 200), or_unknown(tensor.dtype), shape, tensor.kind, count_in_words(tensor.values))
        table.add_row(*map(Text, cells))
    return _listing(table)


def _figures(tensors: tuple[TensorFacts, ...]) -> list[RenderableType]:
    """The figures of every tensor, without the counts that are zero in all of them."""
    counts = [_counts(tensor.statistics) for tensor in tensors if tensor.statistics is not None]
    kept = [place for place in range(len(_COUNTS)) if any(row[place] for row in counts)]
    table = _table(("tensor", "left"), ("dtype", "left"))
    for name in (*_FIGURES, *(_COUNTS[place] for place in kept)):
        table.add_column(name, justify="right", no_wrap=True)
    for tensor in tensors:
        found = tensor.statistics
        cells = [shown(tensor.name, 200), or_unknown(tensor.dtype)]
        if found is not None:
            figures = (found.minimum, found.maximum, found.mean, found.deviation)
            cells += ["" if figure is None else f"{figure:.3g}" for figure in figures]
            cells += [f"{count:,}" if (count := _counts(found)[place]) else "" for place in kept]
        elif (why := tensor.problem or tensor.refused) is not None:
            cells[0] += f" ({lines(why)})"
        table.add_row(*map(Text, cells))
    return _listing(table)


def _counts(found: Statistics) -> tuple[int, ...]:
    return found.zeros, found.nans, found.infinities, found.half_overflow + found.half_underflow


def _listing(table: Table) -> list[RenderableType]:
    return [Text("\ntensors", style="bold cyan"), Padding(table, (0, 0, 0, 2))]


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _histogram(found: Statistics) -> list[RenderableType]:
    rows = histogram_rows(found)
    most = max((count for _, count in rows), default=0)
    if not most:
        return []
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for name, count in rows:
        table.add_row(Text(name), Text(f"{count:,}"), Text("#" * max(-(-count * _BAR // most), 0), style="cyan"))
    return [Text("\nmagnitudes", style="bold cyan"), Padding(table, (0, 0, 0, 2))]
