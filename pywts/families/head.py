"""The last layer of a yolo model, known by its record: what the field calls the head or the Detect layer."""

from __future__ import annotations

from ..errors import LimitError, shown
from ..tensor import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint.integrity import ValueReader
    from ..checkpoint.protocol import Checkpoint

_WRAPPERS = 6
"""How many modules may lie around the layers: the model itself, DataParallel, a wrapper for inference."""

_LARGEST = 1 << 22
"""Values of a head's attribute: the largest that is met, a cached grid, has 2 for every place of a picture's levels."""

_TASKS = (
    ("segment", "segment"),
    ("pose", "pose"),
    ("keypoint", "pose"),
    ("obb", "obb"),
    ("classify", "classify"),
    ("detect", "detect"),
    ("rtdetr", "detect"),
    ("ibin", "detect"),
)
"""What a word in the name of a head's class says; the first that fits."""


class Head:
    """A module's record at its place in the model."""

    def __init__(self, checkpoint: Checkpoint, record: Any, prefix: str, reader: ValueReader | None) -> None:
        self.prefix = prefix
        """of its tensors' names: "model.24." """
        self.class_name = checkpoint.class_name(record) or ""
        self._checkpoint = checkpoint
        self._reader = reader
        self._attributes = checkpoint.attributes(record) or {}
        self.buffers = _table(checkpoint, self._attributes, "_buffers")
        self.children = _table(checkpoint, self._attributes, "_modules")

    @property
    def task(self) -> str | None:
        """detect, segment, pose, obb or classify; None where the class's name tells none."""
        name = self.class_name.rpartition(".")[2].lower()
        return next((task for word, task in _TASKS if word in name), None)

    def has(self, name: str) -> bool:
        """Whether an attribute is set on the module itself."""
        return name in self._attributes

    def is_list(self, name: str) -> bool:
        """Whether an attribute is a plain list."""
        return self._checkpoint.sequence(self._attributes.get(name)) is not None

    def value(self, name: str) -> Any:
        """A scalar attribute; None where there is none."""
        return self._checkpoint.plain(self._attributes.get(name))

    def numbers(self, name: str) -> tuple[Any, ...] | None:
        """The scalars of an attribute that is a list; None where there is none."""
        items = self._checkpoint.sequence(self._attributes.get(name))
        return None if items is None else tuple(self._checkpoint.plain(item) for item in items)

    def tensor(self, name: str) -> Tensor | None:
        """A buffer, or an attribute that is a tensor; None where there is none that could be exported."""
        found = self._checkpoint.tensor(self.buffers.get(name, self._attributes.get(name)), self.prefix + name)
        return found if isinstance(found, Tensor) else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of such a tensor."""
        found = self.tensor(name)
        return found.shape if found is not None else None

    def floats(self, name: str) -> list[float]:
        """The values of such a tensor, without NumPy; meant for a few."""
        found = self.tensor(name)
        return [] if found is None else self._values().floats(found)

    def array(self, name: str) -> Any:
        """The values of such a tensor as a NumPy float32 array."""
        found = self.tensor(name)
        if found is None:
            return None
        if found.numel > _LARGEST:
            raise LimitError(f"{self._checkpoint.name}: {shown(found.name)} has {found.numel} values, no yolo's has")
        return self._values().array(found)

    def _values(self) -> ValueReader:
        if self._reader is None:
            from ..checkpoint.integrity import ValueReader

            self._reader = ValueReader(self._checkpoint.name, check=False)
        return self._reader


def head_of(checkpoint: Checkpoint, value: Any, reader: ValueReader | None = None) -> Head | None:
    """The last of a model's layers, through what is wrapped around them; None for anything but a module of layers.

    reader: of its values; without it, they are read as they are.
    """
    prefix = ""
    for _ in range(_WRAPPERS):
        if not checkpoint.is_module(value):
            return None
        children = _table(checkpoint, checkpoint.attributes(value) or {}, "_modules")
        last = next(reversed(children), "")
        if last.isdecimal():
            return Head(checkpoint, children[last], f"{prefix}{last}.", reader)
        inner = next((name for name in ("model", "module") if name in children), None)
        if inner is None:
            return None
        prefix, value = f"{prefix}{inner}.", children[inner]
    return None


def _table(checkpoint: Checkpoint, attributes: dict[str, Any], name: str) -> dict[str, Any]:
    entries = checkpoint.mapping(attributes.get(name)) or {}
    return {key: value for key, value in entries.items() if isinstance(key, str)}
