"""Values of a checkpoint as plain data, within bounds: a hostile one may be cyclic, endless or 7,000 digits long."""

from __future__ import annotations

from itertools import islice

from .._core import CoreError, Node
from ..errors import Error
from ..tensor import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..checkpoint.protocol import Checkpoint

_DEPTH = 6
_MOST = 20_000
"""Values of one brief."""
_ENTRIES = 2_000
"""Entries of one container."""
_TEXT = 1_000
"""Characters of one text."""
_BITS = 256
"""of an integer"""
_FEW = 16
"""Values of a tensor that are shown."""
_READS = 256
"""Tensors of one brief that are read."""

_PATHS = ("pathlib.", "pathlib._local.")
_NAMESPACES = ("Namespace", "AttrDict", "Config", "EasyDict")
"""What the names of classes end with that hold options as attributes."""


def brief(checkpoint: Checkpoint, value: Any) -> Any:
    """A value as None, bool, int, float, str, list and dict; whatever else it is in words between angle brackets."""
    return briefs(checkpoint)(value)


def briefs(checkpoint: Checkpoint) -> Callable[[Any], Any]:
    """``brief`` for several values, which all together keep the bounds of one."""
    made = _Brief(checkpoint)
    return lambda value: made.of(value, _DEPTH)


def text_of(value: Any) -> str | None:
    """A scalar as text; None for anything else."""
    return str(value) if isinstance(value, (str, int, float)) else None


def whole_number(value: Any) -> int | None:
    """An integer of sane size, or a float that is one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else None
    return value if isinstance(value, int) and value.bit_length() <= _BITS else None


def number(value: Any) -> float | None:
    """A number; None for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def options(value: Any) -> dict[str, Any] | None:
    """A dict with something in it; None for anything else."""
    return value if isinstance(value, dict) and value else None


class _Brief:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._left = _MOST
        self._reads = _READS

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            return "..."
        try:
            return self._of(value, depth)
        except (Error, CoreError) as error:
            return f"<cannot be shown: {_cut(str(error))}>"

    def _of(self, value: Any, depth: int) -> Any:
        checkpoint = self._checkpoint
        plain = checkpoint.plain(value)
        if plain is None or isinstance(plain, (bool, float)):
            return plain
        if isinstance(plain, int):
            return int(plain) if plain.bit_length() <= _BITS else f"<an integer of {plain.bit_length():,} bits>"
        if isinstance(plain, str):
            return _cut(plain)
        if isinstance(plain, (bytes, bytearray)):
            return f"<{len(plain):,} bytes>"
        found = checkpoint.tensor(plain, "")
        if found is not None:
            return self._tensor(found)
        if isinstance(plain, Node) and plain.kind == "global":
            return _cut(f"{plain.module}.{plain.name}")
        entries = None if checkpoint.is_module(plain) else checkpoint.mapping(plain)
        if entries is None and (name := checkpoint.class_name(plain) or "").endswith(_NAMESPACES):
            entries = checkpoint.attributes(plain)
        if entries is not None:
            return self._dict(entries, depth) if depth else f"<a dict of {len(entries):,}>"
        items = checkpoint.sequence(plain)
        if items is not None:
            if (name := checkpoint.class_name(plain) or "").startswith(_PATHS):
                return _path(items)
            return self._list(items, depth) if depth else f"<a list of {len(items):,}>"
        if isinstance(plain, Node) and plain.kind == "call":
            name = checkpoint.class_name(plain) or ""
            if name.startswith(_PATHS):
                from ..checkpoint.objects import arguments

                return _path([checkpoint.plain(part) for part in arguments(plain)])
        return f"<{_cut(checkpoint.describe(plain))}>"

    def _dict(self, entries: dict[Any, Any], depth: int) -> dict[str, Any]:
        result = {}
        for key, value in islice(entries.items(), _ENTRIES):
            if self._left < 0:
                break
            result[self._key(key)] = self.of(value, depth - 1)
        if len(entries) > len(result):
            result["..."] = f"<{len(entries) - len(result):,} more>"
        return result

    def _key(self, key: Any) -> str:
        plain = self.of(key, 0)
        return plain if isinstance(plain, str) else str(plain)

    def _list(self, items: list[Any], depth: int) -> list[Any]:
        result = []
        for item in items[:_ENTRIES]:
            if self._left < 0:
                break
            result.append(self.of(item, depth - 1))
        if len(items) > len(result):
            result.append(f"<{len(items) - len(result):,} more>")
        return result

    def _tensor(self, found: Any) -> Any:
        if not isinstance(found, Tensor):
            return f"<{_cut(found.kind)}>"
        self._reads -= 1
        if not found.shape and self._reads >= 0:
            return scalar(found)
        values = ""
        if found.numel <= _FEW and self._reads >= 0:
            values = f": {', '.join(f'{each:.7g}' for each in found.floats())}"
        return f"<a tensor of {found.dtype} {list(found.shape)}{values}>"


def scalar(tensor: Tensor) -> Any:
    """The value of a tensor without axes, or of a scalar of NumPy's; float64 in full."""
    value = _double(tensor) if tensor.dtype == "float64" else None
    if value is None:
        value = tensor.floats()[0]
    if tensor.dtype == "bool":
        return bool(value)
    if "int" in tensor.dtype and abs(value) < 1 << 24:
        return int(value)
    return value


def _double(tensor: Tensor) -> float | None:
    """A float64 whose bytes are in memory already, as those of NumPy's scalars are."""
    from .._core import address

    held = tensor.storage
    if not isinstance(held.owner, bytes):
        return None
    import struct

    start = held.address - address(held.owner)[0] + 8 * tensor.offset
    data = held.owner[start : start + 8]
    found: float = struct.unpack("=d", data[::-1] if held.swapped else data)[0]
    return found


def _path(parts: list[Any]) -> str:
    texts = [part for part in parts if isinstance(part, str)]
    joined = "/".join(texts)
    return _cut(joined.replace("//", "/", 1) if joined.startswith("//") else joined)


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 200]} ... {text[-180:]}"
