"""Persistent ids: what torch writes in the place of a storage, or of the class of a whole module.

``("storage", class, key, location, elements)``, in a legacy stream with a view at the end, ``None`` or
``(key of the view, offset, elements)``; and ``("module", class, file, source)``. Protocol 0 keeps an id only as the
text that ``str()`` makes of it, which torch itself then cannot read.
"""

from __future__ import annotations

from ..errors import shown
from .allowlist import STORAGE_DTYPES
from .objects import kind_of, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    View = tuple[int, int]
    StorageId = tuple[str, str, int, View | None]
    """(class without its module, key, elements, the view's offset and elements)"""

_TEXT = (
    r"\('storage', <class '(torch[\w.]*)\.(\w+)'>, '([^']*)', '[^']*', (\d+)(?:, None|, \('[^']*', (\d+), (\d+)\))?\)"
)


def storage_id(node: Any) -> StorageId | None:
    """The storage that a persistent id names; None where it names none. ValueError says what is wrong with it."""
    if kind_of(node) != "persistent":
        return None
    usual = node.storage
    if usual is not None:
        return usual  # type: ignore[no-any-return]
    values = node.argument.plain(2)
    if type(values) is str:
        return _from_text(values)
    if type(values) is not tuple or not values or value_of(values[0]) not in ("storage", b"storage"):
        return None
    if not 5 <= len(values) <= 6:
        raise ValueError("has a storage whose persistent id is broken")
    _, storage_type, key, _, numel, *rest = values
    if kind_of(storage_type) != "global":
        raise ValueError("has a storage whose type is no class")
    if type(numel) is not int or not 0 <= numel < 1 << 62 or type(key) not in (str, int):
        raise ValueError("has a storage with a broken key or size")
    view = rest[0] if rest else None
    if view is not None:
        if type(view) is not tuple or len(view) != 3 or any(type(v) is not int or v < 0 for v in view[1:]):
            raise ValueError("has a broken view of its storage")
        view = view[1:]
    return _class(storage_type.module, storage_type.name), str(key), numel, view


def _from_text(text: str) -> StorageId | None:
    import re

    if not text.startswith("('storage', "):
        return None
    found = re.fullmatch(_TEXT, text, re.ASCII)
    if found is None or any(len(digits or "") > 18 for digits in found.groups()[3:]):
        raise ValueError(f"has a storage whose persistent id is broken: {shown(text)}")
    module, name, key, numel, *view = found.groups()
    return _class(module, name), key, int(numel), (int(view[0]), int(view[1])) if view[0] else None


def _class(module: str, name: str) -> str:
    if module.partition(".")[0] != "torch":
        raise ValueError(f"has a storage of the unknown type {shown(f'{module}.{name}')}")
    return name


def storage_dtype(name: str) -> str:
    """The dtype that a storage's class tells, "" where it counts bytes. ValueError where there is no such class."""
    dtype = STORAGE_DTYPES.get(name)
    if dtype is None:
        raise ValueError(f"has a storage of the unknown type torch.{shown(name)}")
    return dtype


class Told:
    """What the first tensor of each storage tells of it, by key: those that follow must tell the same."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, int]] = {}

    def compare(self, key: str, dtype: str, numel: int) -> None:
        """ValueError where another dtype or size was told before."""
        if self._first.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise ValueError(f"tells another dtype or size of the storage {shown(key)} than one before it")


def module_class(node: Any) -> Any:
    """The class that a whole module's persistent id brings: a node, or the name that its text tells; else None."""
    if kind_of(node) != "persistent":
        return None
    values = node.argument.plain(1)
    if type(values) is str:
        import re

        found = re.match(r"\('module', <class '([\w.]+)'>, ", values, re.ASCII)
        return found[1] if found else None
    if type(values) is tuple and len(values) == 4 and value_of(values[0]) in ("module", b"module"):
        return values[1]
    return None
