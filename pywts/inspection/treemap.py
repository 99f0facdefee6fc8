"""A map of where a model's bytes are: areas in proportion, by squarified treemaps (Bruls, Huizing, van Wijk, 2000)."""

from __future__ import annotations

from ..errors import shown
from ..records import Record
from ..words import bytes_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Module

    Box = tuple[float, float, float, float]
    """left, top, width, height"""

WIDTH, HEIGHT = 1200, 480
_MOST_CELLS = 500
_LEAST_AREA = 12.0
"""Square pixels below which a cell is not drawn."""
_COLOURS = 6
_PER_LETTER, _LINE = 7.2, 18
"""Width of a letter of the labels, height of a line."""


class Cell(Record):
    """A rectangle of the map."""

    x: str
    y: str
    width: str
    height: str
    colour: int
    label: str
    """that fits into it; "" where none does"""
    title: str
    text_x: str
    text_y: str


def size_map(modules: tuple[Module, ...]) -> tuple[tuple[int, int], list[Cell]]:
    """The map's size, and its cells: what lies below the first branching, each with what lies in it in its colour."""
    by_parent: dict[str, list[Module]] = {}
    path: list[str] = []
    for module in modules:
        del path[max(module.depth - 1, 0) :]
        if module.depth and len(path) == module.depth - 1:
            by_parent.setdefault(path[-1] if path else "", []).append(module)
            path.append(module.path)
    root = ""
    while len([module for module in by_parent.get(root, ()) if module.bytes]) == 1:
        root = next(module.path for module in by_parent[root] if module.bytes)
    groups = _largest(by_parent.get(root, []))
    cells: list[Cell] = []
    for colour, (group, box) in enumerate(_squarified(groups, (0.0, 0.0, WIDTH, HEIGHT))):
        inside = _largest(by_parent.get(group.path, []))
        if sum(module.bytes for module in inside) < group.bytes or not inside:
            inside = [group]  # it has tensors of its own
        for module, place in _squarified(inside, box):
            if place[2] * place[3] >= _LEAST_AREA and len(cells) < _MOST_CELLS:
                cells.append(_cell(module, place, colour % _COLOURS))
    return (WIDTH, HEIGHT), cells


def _largest(modules: list[Module]) -> list[Module]:
    """By size; those of none have no place on a map."""
    return sorted((module for module in modules if module.bytes), key=lambda module: -module.bytes)[:_MOST_CELLS]


def _cell(module: Module, box: Box, colour: int) -> Cell:
    x, y, width, height = box
    kind = module.class_name.rpartition(".")[2] if module.class_name else ""
    labels = (shown(module.path, 60), shown(module.path.rpartition(".")[2], 60)) if height >= _LINE else ()
    return Cell(
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{width:.1f}",
        height=f"{height:.1f}",
        colour=colour,
        label=next((label for label in labels if len(label) * _PER_LETTER <= width - 8), ""),
        title=f"{shown(module.path)} {shown(kind)}: {bytes_in_words(module.bytes)}",
        text_x=f"{x + 5:.1f}",
        text_y=f"{y + 14:.1f}",
    )


def _squarified(modules: list[Module], box: Box) -> Iterator[tuple[Module, Box]]:
    """Lay modules, largest first, into a box: rows along its shorter side, each as long as cells become squarer."""
    x, y, width, height = box
    total = sum(module.bytes for module in modules)
    scale = width * height / total if total else 0.0
    areas = [(module, module.bytes * scale) for module in modules]
    at = 0
    while at < len(areas):
        side = min(width, height)
        if side <= 0:
            return
        end, sum_of_row = at + 1, areas[at][1]
        worst = _worst(areas[at][1], areas[at][1], sum_of_row, side)
        while end < len(areas):
            longer = _worst(areas[at][1], areas[end][1], sum_of_row + areas[end][1], side)
            if longer > worst:
                break
            worst, sum_of_row, end = longer, sum_of_row + areas[end][1], end + 1
        thick = sum_of_row / side
        along = 0.0
        for module, area in areas[at:end]:
            long = area / thick if thick else 0.0
            yield module, (x, y + along, thick, long) if width >= height else (x + along, y, long, thick)
            along += long
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
        at = end


def _worst(largest: float, smallest: float, total: float, side: float) -> float:
    """The worst ratio of sides in a row of cells of these areas."""
    if not smallest or not total:
        return float("inf")
    return max(side * side * largest / (total * total), total * total / (side * side * smallest))
