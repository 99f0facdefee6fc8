"""The weights that an export would take: the tensors, the tree of modules around them, what the model says of itself.

The tree is made of the tensors' names, which every source has; where the source is a module's record, its classes are
laid over it.
"""

from __future__ import annotations

from itertools import islice

from ..checkpoint.named import NamedTensors
from ..checkpoint.state_dict import TABLES
from ..families.head import head_of
from ..tensor import ITEM_SIZES, Refused, Tensor, contiguous_strides
from .brief import brief, options, whole_number
from .facts import Model, Module, TensorFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..checkpoint.choosing import Chosen
    from ..checkpoint.protocol import Checkpoint

_DEEPEST = 64
"""Levels of the tree; what lies deeper is counted there."""

_MOST_MODULES = 100_000
_MOST_TRANSIENT = 100_000
_MOST_LETTERS = 1 << 25
"""In all paths of a tree that is made of names; those may be long, and each stands once more at every level."""


def describe_model(
    checkpoint: Checkpoint, chosen: Chosen, named_only: frozenset[str]
) -> tuple[Model, tuple[TensorFacts, ...]]:
    """The weights and each of their tensors; ``named_only`` are those whose shape was lost."""
    records = _Records(checkpoint, chosen.value)
    tensors = tuple(_described(chosen.state.items, records, named_only))
    modules = _tree(tensors, records)
    attributes = (checkpoint.attributes(chosen.value) or {}) if records.found else {}
    wanted: tuple[str, ...] = ("yaml", "names", "nc", "task")
    told = {name: brief(checkpoint, attributes[name]) for name in wanted if name in attributes}
    kinds = {tensor.kind for tensor in tensors}
    model = Model(
        path=chosen.path if chosen.path != "." else "",
        why=chosen.why,
        class_name=records.classes.get("", (None,))[0],
        task=_task(checkpoint, chosen.value, told),
        yaml=options(told.get("yaml")),
        names=_names(told.get("names")),
        classes=_classes(checkpoint, chosen.value, told),
        fused=records.fused(),
        tensors=len(tensors),
        parameters=None if "tensor" in kinds else _sum(tensors, "parameter"),
        buffers=None if "tensor" in kinds else _sum(tensors, "buffer"),
        trainable=_trainable(tensors),
        values=sum(tensor.values or 0 for tensor in tensors),
        bytes=sum(tensor.bytes or 0 for tensor in tensors),
        dtypes=_dtypes(tensors),
        tied=_tied(tensors),
        shared=_shared(tensors),
        strided=tuple(tensor.name for tensor in tensors if tensor.contiguous is False),
        transient=tuple(records.transient),
        modules=modules,
        warnings=tuple(chosen.state.warnings),
    )
    return model, tensors


# ---------------------------------------------------------------------------------------------------------- the records


class _Records:
    """The modules' records, walked as their state_dict was: that walk came to its end, so this one does."""

    def __init__(self, checkpoint: Checkpoint, root: Any) -> None:
        self.classes: dict[str, tuple[str | None, str, str | None]] = {}
        """path: (class, about, first path of the same module), in the order of the tree where ``found``"""
        self.kinds: dict[str, tuple[str, bool | None]] = {}
        """name of a tensor: (kind, whether it is trainable)"""
        self.transient: list[str] = []
        self._children: dict[str, list[str]] = {}
        self._checkpoint = checkpoint
        self.found = checkpoint.is_module(root)
        if self.found:
            self._walk(root)
        elif isinstance(checkpoint, NamedTensors):
            self.kinds = {name: (kind, None) for name, kind in checkpoint.kinds.items()}
            self.classes = {path: (name, "", None) for path, name in islice(checkpoint.classes.items(), _MOST_MODULES)}

    def _walk(self, root: Any) -> None:
        known: dict[Any, _Record] = {}  # a module may be shared by many
        waiting = [(root, "")]
        while waiting and len(self.classes) < _MOST_MODULES:
            module, path = waiting.pop()
            first = known.get(module)
            record = known[module] = first or _Record(self._checkpoint, module, path)
            self.classes[path] = (record.class_name, record.about, record.path if first is not None else None)
            prefix = f"{path}." if path else ""
            self.kinds.update((f"{prefix}{name}", kind) for name, kind in record.kinds)
            room = max(_MOST_TRANSIENT - len(self.transient), 0)  # no walk before this one has counted them
            self.transient += [f"{prefix}{name}" for name in record.transient[:room]]
            self._children[path] = record.names
            waiting += [(child, f"{prefix}{name}") for name, child in reversed(record.children)]

    def fused(self) -> bool | None:
        """Told by the layers of yolo models, which hold a convolution ``conv`` and, until they are fused, ``bn``."""
        layers = [
            children
            for path, children in self._children.items()
            if "conv" in children and (self.classes[path][0] or "").startswith(("ultralytics.", "models."))
        ]
        if not layers:
            return None
        return not any("bn" in children for children in layers)


class _Record:
    """What one module's record says, wherever in the tree it stands."""

    def __init__(self, checkpoint: Checkpoint, module: Any, path: str) -> None:
        attributes = checkpoint.attributes(module) or {}
        parameters, buffers, children = (checkpoint.mapping(attributes.get(table)) or {} for table in TABLES)
        lost = checkpoint.sequence(attributes.get("_non_persistent_buffers_set")) or ()
        transient = {checkpoint.plain(name) for name in lost}
        self.path = path
        """where it was met first"""
        self.class_name = checkpoint.class_name(module)
        self.about = _about(checkpoint, attributes)
        self.kinds: list[tuple[str, tuple[str, bool | None]]] = [
            *((name, ("parameter", checkpoint.trainable(value))) for name, value in parameters.items()),
            *((name, ("buffer", None)) for name in buffers if name not in transient),
        ]
        self.transient = [
            name for name, value in buffers.items() if name in transient and checkpoint.plain(value) is not None
        ]
        self.children = [(name, child) for name, child in children.items() if checkpoint.plain(child) is not None]
        self.names = [str(name) for name, _ in self.children]


def _about(checkpoint: Checkpoint, attributes: dict[str, Any]) -> str:
    """What a layer of torch.nn tells of itself."""

    def sizes(name: str) -> list[Any]:
        items = checkpoint.sequence(attributes.get(name))
        values = [attributes.get(name)] if items is None else items[:4]
        return [whole_number(checkpoint.plain(value)) for value in values]

    def size(name: str) -> Any:
        return next(iter(sizes(name)), None)

    if "in_channels" in attributes and "kernel_size" in attributes:
        before, after, groups = size("in_channels"), size("out_channels"), size("groups")
        kernel, stride = sizes("kernel_size"), sizes("stride")
        if None in (before, after, *kernel, *stride):
            return ""
        about = f"{before} -> {after}, {'x'.join(map(str, kernel))}"
        about += f", stride {'x'.join(map(str, dict.fromkeys(stride)))}" if set(stride) != {1} else ""
        return about + (f", {groups} groups" if groups not in (1, None) else "")
    for before_name, after_name in (("in_features", "out_features"), ("num_embeddings", "embedding_dim")):
        if before_name in attributes and after_name in attributes:
            before, after = size(before_name), size(after_name)
            return f"{before} -> {after}" if None not in (before, after) else ""
    if "num_features" in attributes:
        count = size("num_features")
        return str(count) if count is not None else ""
    return ""


# ---------------------------------------------------------------------------------------------------------- the tensors


def _described(items: list[Tensor | Refused], records: _Records, named_only: frozenset[str]) -> Iterator[TensorFacts]:
    first: dict[Any, str] = {}
    for item in items:
        kind, trainable = records.kinds.get(item.name, ("tensor", None))
        if isinstance(item, Refused):
            yield _refused(item, kind, trainable)
            continue
        values = item.numel
        tied = None
        if values:
            view = (_place(item), item.dtype, item.offset, item.shape, item.strides)
            tied = first.get(view)
            first.setdefault(view, item.name)
        yield TensorFacts(
            name=item.name,
            kind=kind,
            dtype=item.dtype,
            shape=None if item.name in named_only else item.shape,
            values=values,
            bytes=values * ITEM_SIZES[item.dtype],
            storage=item.storage.label,
            contiguous=_is_contiguous(item, values),
            tied_to=tied,
            trainable=trainable,
            refused=None,
            statistics=None,
            problem=None,
        )


def _refused(item: Refused, kind: str, trainable: bool | None) -> TensorFacts:
    return TensorFacts(
        name=item.name,
        kind=kind,
        dtype=None,
        shape=None,
        values=None,
        bytes=None,
        storage=None,
        contiguous=None,
        tied_to=None,
        trainable=trainable,
        refused=item.kind,
        statistics=None,
        problem=None,
    )


def _place(tensor: Tensor) -> tuple[int, int]:
    held = tensor.storage
    if held.load is not None:
        return -1, id(held)
    return (held.file, held.file_offset) if held.file >= 0 else (-2, held.address)


def _is_contiguous(tensor: Tensor, values: int) -> bool:
    if values < 2 or tensor.strides == contiguous_strides(tensor.shape):
        return True
    steps = zip(tensor.shape, tensor.strides, contiguous_strides(tensor.shape), strict=True)
    return all(size == 1 or stride == plain for size, stride, plain in steps)


def _sum(tensors: tuple[TensorFacts, ...], kind: str) -> int:
    return sum(tensor.values or 0 for tensor in tensors if tensor.kind == kind and tensor.tied_to is None)


def _trainable(tensors: tuple[TensorFacts, ...]) -> int | None:
    told = [tensor for tensor in tensors if tensor.trainable is not None and tensor.kind == "parameter"]
    return sum(tensor.values or 0 for tensor in told if tensor.trainable and tensor.tied_to is None) if told else None


def _dtypes(tensors: tuple[TensorFacts, ...]) -> dict[str, tuple[int, int]]:
    result: dict[str, tuple[int, int]] = {}
    for tensor in tensors:
        if tensor.dtype is not None:
            count, values = result.get(tensor.dtype, (0, 0))
            result[tensor.dtype] = count + 1, values + (tensor.values or 0)
    return result


def _tied(tensors: tuple[TensorFacts, ...]) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = {}
    for tensor in tensors:
        if tensor.tied_to is not None:
            groups.setdefault(tensor.tied_to, [tensor.tied_to]).append(tensor.name)
    return tuple(map(tuple, groups.values()))


def _shared(tensors: tuple[TensorFacts, ...]) -> tuple[tuple[str, ...], ...]:
    """By the key of the storage, which archives and legacy streams have; in memory there is none."""
    groups: dict[str, list[str]] = {}
    for tensor in tensors:
        if tensor.storage is not None and tensor.tied_to is None and tensor.values:
            groups.setdefault(tensor.storage, []).append(tensor.name)
    unkeyed = ("in memory", "inside the pickle", "copied")
    return tuple(tuple(names) for key, names in groups.items() if len(names) > 1 and key not in unkeyed)


# ------------------------------------------------------------------------------------------------------------- the tree


class _Sums:
    __slots__ = ("bytes", "depth", "parameters", "parent", "tensors", "unknown", "values")

    def __init__(self, parent: str | None, depth: int) -> None:
        self.parent = parent
        self.depth = depth
        self.tensors = self.values = self.bytes = self.parameters = 0
        self.unknown = False


def _tree(tensors: tuple[TensorFacts, ...], records: _Records) -> tuple[Module, ...]:
    sums: dict[str, _Sums] = {"": _Sums(None, 0)}
    for path in records.classes:
        if path:
            sums[path] = _Sums(path.rpartition(".")[0], path.count(".") + 1)
    letters = 0
    for tensor in tensors:
        parts = tensor.name.split(".", _DEEPEST)[:-1]
        path = ""
        for depth in range(len(parts) + 1):
            parent = path
            if depth:
                path = f"{path}.{parts[depth - 1]}" if path else parts[0] or "."
            held = sums.get(path)
            if held is None:
                letters += len(path)
                if len(sums) >= _MOST_MODULES or letters > _MOST_LETTERS:
                    break
                held = sums[path] = _Sums(parent, depth)
            held.tensors += 1
            held.values += tensor.values or 0
            held.bytes += tensor.bytes or 0
            held.parameters += (tensor.values or 0) if tensor.kind == "parameter" else 0
            held.unknown = held.unknown or tensor.kind == "tensor"
    unknown = (None, "", None)
    modules = []
    for path in sums if records.found else _in_order(sums):
        class_name, about, same = records.classes.get(path, unknown)
        held = sums[path]
        parameters = None if held.unknown else held.parameters
        modules.append(
            Module(path, held.depth, class_name, about, held.tensors, parameters, held.values, held.bytes, same)
        )
    return tuple(modules)


def _in_order(paths: dict[str, _Sums]) -> list[str]:
    """Paths so that each stands after the one it lies in; of names that were saved in any order."""
    children: dict[str, list[str]] = {}
    for path, held in paths.items():
        if held.parent is not None:
            children.setdefault(held.parent, []).append(path)
    ordered, waiting = [], [""]
    while waiting:
        path = waiting.pop()
        ordered.append(path)
        waiting += reversed(children.get(path, []))
    return ordered


# ------------------------------------------------------------------------------------------ what the model tells


def _task(checkpoint: Checkpoint, value: Any, told: dict[str, Any]) -> str | None:
    head = head_of(checkpoint, value)
    if head is not None and head.task is not None:
        return head.task
    return told["task"] if isinstance(told.get("task"), str) else None


def _names(value: Any) -> dict[str, str] | None:
    if isinstance(value, list):
        value = {str(index): name for index, name in enumerate(value)}
    if not isinstance(value, dict) or not value:
        return None
    return {key: str(name) for key, name in value.items()}


def _classes(checkpoint: Checkpoint, value: Any, told: dict[str, Any]) -> int | None:
    """The head's own count, which is what the weights were made for, then the model's."""
    head = head_of(checkpoint, value)
    if head is not None and (count := whole_number(head.value("nc"))) is not None:
        return count
    yaml = told.get("yaml")
    for count in (whole_number(told.get("nc")), whole_number(yaml.get("nc")) if isinstance(yaml, dict) else None):
        if count is not None:
            return count
    return None
