"""An inspection as a page: one HTML file that holds all it shows. The look is that of ``pywts/pages``."""

from __future__ import annotations

import os
import sys
from math import inf

from ..destination import write_text
from ..errors import OutputError, shown
from ..pages import render
from ..words import bytes_in_words, shape_in_words
from .sections import (
    SUBNORMAL,
    container_rows,
    cpp_side_rows,
    lines,
    model_rows,
    statistics_rows,
    tensor_rows,
    training_rows,
)
from .treemap import size_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .facts import Inspection, Module, Statistics, TensorFacts

    Column = dict[str, str]

_MOST_BRANCHES = 5_000
"""Modules that are shown; a browser takes its time with more."""
_DEEPEST = 64
_MOST_DETAILS = 20_000
"""Tensors from which on a row does not unfold: the page would be larger than the model's facts are worth."""
_LEAST, _MOST = 2, 400
"""Points of a line of results."""


def write_page(found: Inspection, path: str) -> None:
    """Write an inspection as a page; ``-`` is standard output. OutputError: what cannot be written, or is no page."""
    page = page_of(found)
    if path == "-":
        if sys.stdout is not None:  # closed
            sys.stdout.write(page)
        return
    if os.path.isfile(path) and not _is_page(path):
        raise OutputError(f"{path}: exists and is no page; name another file, or remove it first")
    write_text(path, page, "--html")


def page_of(found: Inspection) -> str:
    """An inspection as the text of a page."""
    with_statistics = any(tensor.statistics is not None for tensor in found.tensors)
    branches, hidden = _branches(found)
    map_size, cells = size_map(found.model.modules if found.model is not None else ())
    details = len(found.tensors) <= _MOST_DETAILS
    return render(
        "inspection.html.j2",
        name=shown(os.path.basename(found.source) or found.source, 300),
        source=shown(found.source, 500),
        numbers=list(_numbers(found)),
        problems=[lines(problem) for problem in found.problems],
        damaged=[
            (shown(damage.entry), ", ".join(map(shown, damage.tensors[:50])), shown(damage.what, 300))
            for damage in (found.container.check.damaged if found.container.check is not None else ())
        ],
        container=list(container_rows(found)),
        training=[row for row in training_rows(found) if row[0] not in ("options", "results", "entries")],
        model=list(model_rows(found)) if found.model is not None else [],
        cpp_side=[row for row in cpp_side_rows(found) if row[0] != "next"] if found.cpp_side is not None else [],
        commands=list(found.cpp_side.commands) if found.cpp_side is not None else [],
        results=list(_results(found.training.results or {})),
        options=[(shown(name), shown(value, 300)) for name, value in (found.training.arguments or {}).items()],
        yaml=[(shown(key), shown(value, 4_000)) for key, value in ((found.model and found.model.yaml) or {}).items()],
        entries=[[shown(each.name), shown(each.what), _cell(each.value)] for each in found.training.entries],
        classes=[(shown(key), shown(name)) for key, name in ((found.model and found.model.names) or {}).items()],
        histogram=_histogram_of_all(found.tensors),
        map_size=map_size,
        cells=cells,
        branches=branches,
        hidden=hidden,
        columns=list(_columns(with_statistics)),
        rows=[_row(tensor, with_statistics) for tensor in found.tensors],
        details=[_details(tensor) for tensor in found.tensors] if details else None,
    )


def _is_page(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise OutputError(f"{path}: exists and cannot be read: {error.strerror}; name another file") from None
    return not head.strip() or head.lstrip().lower().startswith(b"<!doctype html")


# ---------------------------------------------------------------------------------------------------------------- cards


def _numbers(found: Inspection) -> Iterator[tuple[str, str]]:
    """The few figures at the top."""
    if found.container.bytes is not None:
        yield "file", bytes_in_words(found.container.bytes)
    yield "container", found.container.kind
    model = found.model
    if model is not None:
        if model.parameters is not None:
            yield "parameters", _rounded(model.parameters)
        else:
            yield "values", _rounded(model.values)
        yield "tensors", f"{model.tensors:,}"
        yield "dtypes", ", ".join(model.dtypes) or "none"
        if model.classes is not None:
            yield "classes", f"{model.classes:,}"
    if found.cpp_side is not None and found.cpp_side.family is not None:
        yield "family", found.cpp_side.family
    yield "training", found.training.state


def _rounded(count: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}" if count / size < 999.5 else f"{count / size:.0f} {letter}"
    return str(count)


def _cell(value: Any) -> str | int | float | None:
    if isinstance(value, float):
        return value if abs(value) < inf else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 1 << 53 else str(value)
    return None if value is None else shown(value, 300)


def _results(results: dict[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    """(name, points of a line 100 wide and 40 high, first, last) of every column of numbers."""
    for name, column in results.items():
        if not isinstance(column, list) or name == "epoch":
            continue
        values = [value for value in column if isinstance(value, (int, float)) and abs(value) < inf][:10_000]
        values = values[:: -(-len(values) // _MOST) or 1]
        if len(values) < _LEAST:
            continue
        least, most = min(values), max(values)
        span = (most - least) or 1
        step = 100 / (len(values) - 1)
        points = " ".join(f"{step * at:.1f},{37 - 34 * (value - least) / span:.1f}" for at, value in enumerate(values))
        yield shown(name), points, values[0], values[-1]


def _histogram_of_all(tensors: Iterable[TensorFacts]) -> list[tuple[str, int]]:
    """The magnitudes of all values together; from 2^-40 on, what is smaller in one bar."""
    counts: dict[int, int] = {}
    for tensor in tensors:
        for exponent, negative, positive in tensor.statistics.histogram if tensor.statistics is not None else ():
            counts[max(exponent, -40)] = counts.get(max(exponent, -40), 0) + negative + positive
    rows = ((exponent, counts.get(exponent, 0)) for exponent in range(min(counts), max(counts) + 1)) if counts else ()
    return [(f"below 2^{exponent + 1}" if exponent == -40 else f"from 2^{exponent}", count) for exponent, count in rows]


# ----------------------------------------------------------------------------------------------------------------- tree


def _branches(found: Inspection) -> tuple[list[dict[str, Any]], int]:
    """The modules in order, each with whether it has some below it, and how many levels end after it."""
    modules = found.model.modules if found.model is not None else ()
    kept = [module for module in modules if module.depth <= _DEEPEST][:_MOST_BRANCHES]
    result = []
    for module, after in zip(kept, [*kept[1:], None], strict=False):
        below = after is not None and after.depth > module.depth
        result.append(
            {
                "name": shown(module.path.rpartition(".")[2] or module.path) if module.depth else "(the model)",
                "about": _about(module),
                "count": f"{module.values if module.parameters is None else module.parameters:,}",
                "bytes": bytes_in_words(module.bytes),
                "below": below,
                "open": module.depth < 2,
                "ends": 0 if below else module.depth - (after.depth if after is not None else 0),
            }
        )
    return result, len(modules) - len(kept)


def _about(module: Module) -> str:
    kind = shown(module.class_name.rpartition(".")[2]) if module.class_name else ""
    same = f"the same as {shown(module.same_as) or 'the model'}" if module.same_as is not None else ""
    return " ".join(part for part in (kind, module.about, same) if part)


# ---------------------------------------------------------------------------------------------------------------- table


def _columns(with_statistics: bool) -> Iterator[Column]:
    yield {"name": "tensor", "type": "text"}
    yield {"name": "kind", "type": "text"}
    yield {"name": "dtype", "type": "text"}
    yield {"name": "shape", "type": "text"}
    yield {"name": "values", "type": "number"}
    yield {"name": "bytes", "type": "bytes"}
    if with_statistics:
        yield {"name": "magnitudes", "type": "histogram"}
        for name in ("min", "max", "mean", "std", "zeros", "NaN", "inf", "fp16 loses"):
            yield {"name": name, "type": "number"}


def _row(tensor: TensorFacts, with_statistics: bool) -> list[Any]:
    shape = "unknown" if tensor.refused else shape_in_words(tensor.shape)
    row = [
        shown(tensor.name, 500),
        tensor.kind,
        tensor.dtype or shown(tensor.refused),
        shape,
        tensor.values,
        tensor.bytes,
    ]
    if not with_statistics:
        return row
    found = tensor.statistics
    if found is None:
        return [*row, *[None] * 9]
    lost = found.half_overflow + found.half_underflow
    figures = (found.minimum, found.maximum, found.mean, found.deviation)
    return [*row, _bars(found), *figures, found.zeros, found.nans, found.infinities, lost]


def _bars(found: Statistics) -> list[int] | None:
    """The first exponent, then a count for each from there on."""
    counts = {exponent: negative + positive for exponent, negative, positive in found.histogram if exponent > SUBNORMAL}
    if not counts:
        return None
    return [min(counts), *(counts.get(exponent, 0) for exponent in range(min(counts), max(counts) + 1))]


def _details(tensor: TensorFacts) -> list[tuple[str, str]]:
    rows = [row for row in tensor_rows(tensor) if row[0] not in ("kind", "dtype", "shape")]
    return [*rows, *(statistics_rows(tensor.statistics) if tensor.statistics is not None else ())]
