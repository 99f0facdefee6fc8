"""An inspection in rows of a name and a text, shared by the terminal's view and the page.

Whatever comes from the file goes through ``shown``: what a terminal obeys or turns a line's direction is escaped.
"""

from __future__ import annotations

from ..errors import shown
from ..words import bytes_in_words, number_in_words, shape_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .facts import Inspection, Statistics, TensorFacts

    Pair = tuple[str, str]

_LISTED = 6

SUBNORMAL = -127
"""The exponent under which a histogram counts subnormals."""


def container_rows(found: Inspection) -> Iterator[Pair]:
    """The file itself."""
    held = found.container
    size = f", {bytes_in_words(held.bytes)}" if held.bytes is not None else ""
    yield "kind", f"{held.kind}{size}"
    if held.torch is not None:
        yield "torch", held.torch
    if held.protocol is not None:
        pickled = next((file for file in held.files if file.name.endswith("/data.pkl")), None)
        size = f", {bytes_in_words(pickled.bytes)}" if pickled is not None else ""
        yield "pickle", f"protocol {held.protocol}{size}"
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


def training_rows(found: Inspection) -> Iterator[Pair]:
    """How far the training was, and with what."""
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


def model_rows(found: Inspection) -> Iterator[Pair]:
    """The weights as a whole."""
    model = found.model
    assert model is not None
    said = not model.path or model.why.startswith(model.path)
    yield "weights", lines(model.why) if said else f"{shown(model.path)}: {lines(model.why)}"
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
        yield "warning", lines(warning)


def cpp_side_rows(found: Inspection) -> Iterator[Pair]:
    """What the C++ side must be told."""
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
        yield "note", lines(note)
    if told.unknown:
        yield "unknown", f"the checkpoint does not say {', '.join(told.unknown)}"
    for command in told.commands:
        yield "next", command


def tensor_rows(tensor: TensorFacts) -> list[Pair]:
    """One tensor, without its values."""
    rows: list[Pair] = [
        ("kind", tensor.kind),
        ("dtype", or_unknown(tensor.dtype)),
        ("shape", shape_in_words(tensor.shape)),
        ("values", count_in_words(tensor.values)),
        ("bytes", bytes_in_words(tensor.bytes)),
        ("storage", shown(or_unknown(tensor.storage))),
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
    return rows


def statistics_rows(found: Statistics) -> Iterator[Pair]:
    """The figures of a tensor's values."""
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


def or_unknown(value: str | None) -> str:
    """A text, or that it is not known."""
    return "unknown" if value is None else value


def count_in_words(value: int | None) -> str:
    """A count, or that it is not known."""
    return "unknown" if value is None else f"{value:,}"


def lines(text: str) -> str:
    """A text of several lines, each safe to show."""
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
    return shown(", ".join(parts), 8_000)


def histogram_rows(found: Statistics) -> list[tuple[str, int]]:
    """The histogram without gaps, smallest magnitudes first: a range in words, and how many values are in it."""
    counts = {exponent: negative + positive for exponent, negative, positive in found.histogram}
    rows = [("0", found.zeros)] if found.zeros else []
    normal = [exponent for exponent in counts if exponent > SUBNORMAL]
    if SUBNORMAL in counts:
        rows.append(("below 2^-126", counts[SUBNORMAL]))
    for exponent in range(min(normal), max(normal) + 1) if normal else ():
        rows.append((f"from 2^{exponent}", counts.get(exponent, 0)))
    return rows
