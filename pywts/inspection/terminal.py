"""An inspection for a terminal, by rich: folds to the width, and is plain text where there is no terminal.

Whatever comes from the file goes through ``shown``: nothing in it reaches the terminal raw.
"""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..errors import shown
from .words import bytes_in_words, histogram_rows, number_in_words, shape_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rich.console import RenderableType

    from .facts import Inspection, Module, Statistics, TensorFacts

    Pair = tuple[str, str]

_LEVELS = 2
"""Levels of the tree that are shown."""
_MOST_ROWS = 60
_LISTED = 6
_BAR = 32
"""Characters of the longest bar of a histogram."""


def overview(found: Inspection, all_tensors: bool) -> Group:
    """Everything about a source, the tensors one by one if asked for."""
    parts: list[RenderableType] = [Text(shown(found.source, 300), style="bold")]
    parts += _section("container", _container(found))
    parts += _section("training", _training(found))
    if found.model is not None:
        parts += _section("model", _model(found))
        parts += _tree(found.model.modules)
    if found.cpp_side is not None:
        parts += _section("C++ side", _cpp_side(found))
    with_statistics = any(tensor.statistics is not None or tensor.problem for tensor in found.tensors)
    if all_tensors or with_statistics:
        parts += _tensors(found.tensors, with_statistics)
    for problem in found.problems:
        parts.append(Text(f"\nproblem: {_lines(problem)}", style="red"))
    return Group(*parts)


def one_tensor(tensor: TensorFacts) -> Group:
    """One tensor: its facts, its first and last values, its histogram."""
    rows: list[Pair] = [
        ("kind", tensor.kind),
        ("dtype", _or_unknown(tensor.dtype)),
        ("shape", shape_in_words(tensor.shape)),
        ("values", _count(tensor.values)),
        ("bytes", bytes_in_words(tensor.bytes)),
        ("storage", shown(_or_unknown(tensor.storage))),
    ]
    if tensor.contiguous is False:
        rows.append(("strides", "its values do not lie one after another"))
    if tensor.tied_to is not None:
        rows.append(("tied to", shown(tensor.tied_to)))
    if tensor.trainable is not None:
        rows.append(("trainable", "yes" if tensor.trainable else "no"))
    if tensor.refused is not None:
        rows.append(("refused", f"{shown(tensor.refused)}: a .wts cannot hold it"))
    if tensor.problem is not None:
        rows.append(("problem", tensor.problem))
    parts: list[RenderableType] = [Text(shown(tensor.name, 300), style="bold"), _pairs(rows)]
    if tensor.statistics is not None:
        parts += [_pairs(_statistics(tensor.statistics)), *_histogram(tensor.statistics)]
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


def _container(found: Inspection) -> Iterator[Pair]:
    held = found.container
    size = f", {bytes_in_words(held.bytes)}" if held.bytes is not None else ""
    yield "kind", f"{held.kind}{size}"
    if held.torch is not None:
        yield "torch", held.torch
    if held.protocol is not None:
        yield "pickle", f"protocol {held.protocol}"
    if held.byte_order is not None:
        yield "byte order", shown(held.byte_order)
    if held.files:
        content = sum(file.bytes for file in held.files)
        without = sum(file.crc32 is None for file in held.files)
        checks = f", {without:,} without a checksum" if without else ""
        yield "files", f"{len(held.files):,}, {bytes_in_words(content)}{checks}"
    if held.check is not None:
        yield "check", held.check.summary
        for damage in held.check.damaged[:20]:
            where = f", which holds {_listed(damage.tensors)}" if damage.tensors else ""
            yield "damaged", f"{shown(damage.entry)}{where}: {shown(damage.what)}"


def _training(found: Inspection) -> Iterator[Pair]:
    told = found.training
    yield "state", told.meaning
    if told.framework is not None:
        yield "framework", " ".join(shown(part) for part in (told.framework, told.version) if part)
    for name, value in (("date", told.date), ("licence", told.license)):
        if value is not None:
            yield name, shown(value)
    if told.epoch is not None:
        of = f", of {told.epochs:,} that were asked for" if told.epochs is not None else ""
        yield "epoch", f"{told.epoch:,}{' (none: it was stripped)' if told.epoch == -1 else ''}{of}"
    elif told.epochs is not None:
        yield "epochs", f"{told.epochs:,}"
    if told.best_fitness is not None:
        yield "best fitness", f"{told.best_fitness:.6g}"
    if told.updates is not None:
        yield "updates", f"{told.updates:,}, of the averaged weights"
    if told.ema is not None:
        yield "EMA", "averaged weights are there" if told.ema else "none"
    if told.optimizer is not None:
        kind = shown(told.optimizer.kind or "of unknown kind")
        size = f"{told.optimizer.tensors:,} tensors, {bytes_in_words(told.optimizer.bytes)}"
        yield "optimizer", f"{kind}, {len(told.optimizer.groups):,} groups, state: {size}"
        for group in told.optimizer.groups[:4]:
            yield "", _options(group)
    if told.scaler is not None:
        yield "scaler", _options(told.scaler)
    if isinstance(told.git, dict) and any(value not in (None, "None") for value in told.git.values()):
        yield "git", _options(told.git)
    if told.arguments is not None:
        yield "options", _options(told.arguments)
    if told.metrics is not None:
        yield "metrics", _options(told.metrics)
    if told.results is not None:
        longest = max((len(column) for column in told.results.values() if isinstance(column, list)), default=0)
        yield "results", f"{longest:,} epochs of {', '.join(map(_short, list(told.results)[:20]))}"
    others = [entry for entry in told.entries if entry.what != "None"]
    if others:
        yield "entries", ", ".join(f"{_short(entry.name)} ({_short(entry.what)})" for entry in others)


def _model(found: Inspection) -> Iterator[Pair]:
    model = found.model
    assert model is not None
    said = not model.path or model.why.startswith(model.path)
    yield "weights", _lines(model.why) if said else f"{shown(model.path)}: {_lines(model.why)}"
    if model.class_name is not None:
        yield "class", shown(model.class_name)
    if model.task is not None:
        yield "task", shown(model.task)
    if model.yaml is not None and isinstance(model.yaml.get("yaml_file"), str):
        yield "description", shown(model.yaml["yaml_file"])
    if model.classes is not None:
        yield "classes", f"{model.classes:,}{_names(model.names)}"
    yield "tensors", f"{model.tensors:,}: {', '.join(_dtype_rows(model.dtypes)) or 'none that can be written'}"
    if model.parameters is not None:
        yield "parameters", f"{model.parameters:,}"
        yield "buffers", f"{model.buffers:,} values"
    else:
        yield "values", f"{model.values:,}; a state_dict does not tell parameters from buffers"
    if model.trainable is not None:
        yield "trainable", f"{model.trainable:,}" if model.trainable else "nothing: the parameters are frozen"
    yield "bytes", bytes_in_words(model.bytes)
    if model.fused is not None:
        yield (
            "fused",
            "yes: batch normalizations are folded in" if model.fused else "no: batch normalizations are there",
        )
    for title, groups in (("tied", model.tied), ("one storage", model.shared)):
        for group in groups[:_LISTED]:
            yield title, _listed(group)
        if len(groups) > _LISTED:
            yield "", f"and {len(groups) - _LISTED:,} more"
    if model.strided:
        yield "strided", f"{len(model.strided):,}: {_listed(model.strided)}"
    if model.transient:
        yield (
            "not saved",
            f"{len(model.transient):,} buffers that are no part of the state_dict: {_listed(model.transient)}",
        )
    for warning in model.warnings:
        yield "warning", _lines(warning)


def _cpp_side(found: Inspection) -> Iterator[Pair]:
    told = found.cpp_side
    assert told is not None
    if told.family is not None:
        yield "family", told.family
    if told.program is not None:
        yield "program", told.program
    yield "recipe", f"{told.recipe}, dialect {told.dialect}"
    for constant in told.constants:
        yield constant.name, f"{constant.value}   ({constant.file}; {constant.why})"
    if told.constants == () and told.classes is not None:
        yield "classes", f"{told.classes:,}"
    if told.constants == () and told.input_size is not None:
        yield "input", f"{told.input_size[0]} x {told.input_size[1]}"
    multiples = [
        f"{name} {number_in_words(value)}"
        for name, value in (
            ("depth", told.depth_multiple), ("width", told.width_multiple), ("most channels", told.max_channels)
        )
        if value is not None
    ]  # fmt: skip
    if told.size is not None or multiples:
        yield "size", ", ".join([shown(told.size)] * (told.size is not None) + multiples)
    if told.strides is not None:
        yield "strides", ", ".join(map(number_in_words, told.strides))
    for stride, row in zip(told.strides or (), told.anchors or (), strict=False):
        pairs = (f"{number_in_words(w)}x{number_in_words(h)}" for w, h in zip(row[::2], row[1::2], strict=True))
        yield f"anchors {number_in_words(stride)}", ", ".join(pairs)
    if told.keypoints is not None:
        yield "keypoints", " x ".join(map(str, told.keypoints))
    if told.masks is not None:
        yield "masks", f"{told.masks:,} channels"
    for note in told.notes:
        yield "note", _lines(note)
    if told.unknown:
        yield "unknown", f"the checkpoint does not say {', '.join(told.unknown)}"
    for command in told.commands:
        yield "next", command


# --------------------------------------------------------------------------------------------------------------- tables


def _tree(modules: tuple[Module, ...]) -> list[RenderableType]:
    rows = [module for module in modules if 0 < module.depth <= _LEVELS]
    if sum(module.depth == 1 for module in rows) > 1:
        rows = [module for module in rows if module.depth == 1]
    if not rows:
        return []
    table = _table(("module", "left"), ("class", "left"), ("parameters", "right"), ("bytes", "right"))
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


def _tensors(tensors: tuple[TensorFacts, ...], with_statistics: bool) -> list[RenderableType]:
    columns = [("tensor", "left"), ("dtype", "left"), ("shape", "left")]
    if with_statistics:
        columns += [(name, "right") for name in ("min", "max", "mean", "std", "zeros", "NaN", "inf", "fp16 loses")]
    else:
        columns += [("kind", "left"), ("values", "right")]
    table = _table(*columns)
    for tensor in tensors:
        cells = [shown(tensor.name, 200), _or_unknown(tensor.dtype), shape_in_words(tensor.shape)]
        cells += _statistics_cells(tensor) if with_statistics else [tensor.kind, _count(tensor.values)]
        table.add_row(*map(Text, cells))
    return [Text("\ntensors", style="bold cyan"), Padding(table, (0, 0, 0, 2))]


def _statistics_cells(tensor: TensorFacts) -> list[str]:
    found = tensor.statistics
    if found is None:
        return [tensor.problem or tensor.refused or "", *[""] * 7]
    lost = found.half_overflow + found.half_underflow
    figures = (found.minimum, found.maximum, found.mean, found.deviation)
    counts = (found.zeros, found.nans, found.infinities, lost)
    return [*map(number_in_words, figures), *(f"{count:,}" if count else "" for count in counts)]


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _statistics(found: Statistics) -> Iterator[Pair]:
    if found.minimum is not None:
        yield "range", f"{number_in_words(found.minimum)} to {number_in_words(found.maximum)}"
        yield "mean", f"{number_in_words(found.mean)}, standard deviation {number_in_words(found.deviation)}"
    counts = (
        ("zero", found.zeros), ("negative", found.negatives), ("NaN", found.nans), ("infinite", found.infinities),
        ("subnormal", found.subnormals),
    )  # fmt: skip
    yield "count", ", ".join(f"{count:,} {name}" for name, count in counts)
    yield (
        "float16",
        (
            f"{found.half_overflow:,} would overflow, {found.half_underflow:,} become zero, "
            f"{found.half_subnormal:,} lose digits (subnormal)"
        ),
    )
    yield "first", ", ".join(map(number_in_words, found.first))
    if found.values > len(found.first):
        yield "last", ", ".join(map(number_in_words, found.last))


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


# ---------------------------------------------------------------------------------------------------------------- words


def _or_unknown(value: str | None) -> str:
    return "unknown" if value is None else value


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _lines(text: str) -> str:
    return "\n".join(shown(line, 1_000) for line in text.split("\n"))


def _short(value: Any) -> str:
    return shown(value, 60)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(map(shown, names[:_LISTED])) + more


def _names(names: dict[str, str] | None) -> str:
    if not names:
        return ""
    shown_names = ", ".join(_short(name) for name in list(names.values())[:12])
    return f": {shown_names}{', ...' if len(names) > 12 else ''}"


def _dtype_rows(dtypes: dict[str, tuple[int, int]]) -> list[str]:
    return [f"{count:,} {name} ({values:,} values)" for name, (count, values) in dtypes.items()]


def _options(value: Any) -> str:
    """A dict in one run of text: ``lr 0.01, momentum 0.9``."""
    if not isinstance(value, dict):
        return _short(value)
    parts = [f"{_short(name)} {_short(inner)}" for name, inner in value.items() if inner is not None]
    return shown(", ".join(parts), 1_200)
