"""``NAME.wts.json`` beside a .wts: what the .wts lost, and where it came from. docs/format.md describes its fields."""

from __future__ import annotations

import os

from .errors import CheckpointError, WtsError, shown
from .records import Record
from .tensor import ITEM_SIZES, is_possible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .tensor import Tensor

FORMAT = "pywts sidecar"
VERSION = 1
_HEX_DIGITS = set("0123456789abcdefABCDEF")


class SidecarTensor(Record):
    """What a sidecar says of one tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """of the source; the .wts holds float32"""
    values: int
    offset: int
    """of the first value's first digit in the .wts"""
    crc32: str
    """8 hex digits: the CRC-32 (zlib's) of the values as the .wts has them, as little-endian float32 in C order"""


class Sidecar(Record):
    """What lies beside a .wts."""

    path: str
    wts: dict[str, Any]
    """the .wts: name, bytes, values"""
    source: dict[str, Any]
    """what it was made from: name; of a file its size and sha256 too"""
    choices: dict[str, Any]
    """what was decided: weights, why, recipe, dialect, notes, and the options that were given"""
    tensors: tuple[SidecarTensor, ...]


def sidecar_path(wts: str) -> str:
    """Where the sidecar of a .wts lies."""
    return f"{wts}.json"


def looks_like_sidecar(head: bytes) -> bool:
    """Whether a file's first bytes are those of a sidecar."""
    return head.lstrip()[:1] == b"{" and f'"{FORMAT}"'.encode() in head[:200]


def describe(
    wts: dict[str, Any],
    source: dict[str, Any],
    choices: dict[str, Any],
    tensors: Iterable[tuple[Tensor, int, int]],
) -> bytes:
    """The text of a sidecar; ``tensors`` are triples of a tensor, its offset and its checksum."""
    import json

    from . import _core

    head = {
        "format": FORMAT,
        "version": VERSION,
        "pywts": _core.__version__,
        "wts": wts,
        "source": source,
        "choices": choices,
    }
    lines = ",\n".join(
        "  " + json.dumps(
            {
                "name": tensor.name,
                "shape": tensor.shape,
                "dtype": tensor.dtype,
                "values": tensor.numel,
                "offset": offset,
                "crc32": f"{checksum:08x}",
            },
            ensure_ascii=False,
        )
        for tensor, offset, checksum in tensors
    )  # fmt: skip
    text = f'{json.dumps(head, indent=1, ensure_ascii=False)[:-2]},\n "tensors": [\n{lines}\n ]\n}}\n'
    return text.encode("utf-8", "backslashreplace")  # a path's bytes that are no text, as JSON escapes them


def facts_of_file(path: str) -> dict[str, Any]:
    """Name, size and sha256 of a source. Raises CheckpointError where it cannot be read."""
    import hashlib

    digest = hashlib.sha256()
    size = 0
    try:
        with open(path, "rb", buffering=0) as file:
            buffer = bytearray(1 << 20)
            while count := file.readinto(buffer):
                digest.update(memoryview(buffer)[:count])
                size += count
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    return {"name": os.path.basename(path), "size": size, "sha256": digest.hexdigest()}


def read_sidecar(path: str, lines: list[tuple[str, int, int, int, str]]) -> Sidecar:
    """Read the sidecar of a .wts of these lines, as ``_core.Reader`` tells them. Raises WtsError for what is none."""
    import json

    most = (1 << 20) + sum(2048 + 6 * len(line[0]) for line in lines)  # what is parsed takes many times as much

    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for
            raise WtsError(f"{path}: is no regular file{_WAY_OUT}")
        with open(path, "rb") as file:
            text = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise WtsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(text) > most:
        raise WtsError(f"{path}: is larger than {most} bytes, as no sidecar of {len(lines)} tensors is{_WAY_OUT}")
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise WtsError(f"{path}: is no JSON: {shown(error)}{_WAY_OUT}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise WtsError(f"{path}: is no sidecar of pywts{_WAY_OUT}")
    if found.get("version") != VERSION:
        raise WtsError(f"{path}: has version {shown(found.get('version'))}, this pywts reads {VERSION}{_WAY_OUT}")
    wts, source, choices = (_checked(path, found, name, dict) for name in ("wts", "source", "choices"))
    tensors = tuple(_tensor(path, entry) for entry in _checked(path, found, "tensors", list))
    return Sidecar(path, wts, source, choices, tensors)


def check_fits(sidecar: Sidecar, wts: str, lines: list[tuple[str, int, int, int, str]]) -> None:
    """Raise WtsError if a sidecar is of another .wts than that of these lines, as ``_core.Reader`` tells them."""

    def differ(what: str) -> WtsError:
        return WtsError(f"{sidecar.path}: does not fit {wts}: {what}; export again with sidecar=True{_WAY_OUT}")

    try:
        size = os.path.getsize(wts)
    except OSError as error:
        raise WtsError(f"{wts}: {error.strerror}") from None
    if sidecar.wts.get("bytes") != size:
        raise differ(f"that has {size} bytes, not {shown(sidecar.wts.get('bytes'))}")
    if len(sidecar.tensors) != len(lines):
        raise differ(f"that has {len(lines)} tensors, not {len(sidecar.tensors)}")
    for told, (name, values, offset, line, _) in zip(sidecar.tensors, lines, strict=True):
        if told.name != name:
            raise differ(f"line {line} is of {shown(name)}, not of {shown(told.name)}")
        if told.values != values:
            raise differ(f"{shown(name)} has {values} values, not {told.values}")
        if told.offset != offset:
            raise differ(f"{shown(name)} begins at byte {offset}, not {told.offset}")


_WAY_OUT = " (take it away, or say sidecar=False, to do without it)"


def _tensor(path: str, entry: Any) -> SidecarTensor:
    if not isinstance(entry, dict):
        raise WtsError(f"{path}: a tensor is described by {shown(repr(entry), 40)}{_WAY_OUT}")
    name = _checked(path, entry, "name", str)
    shape = _checked(path, entry, "shape", list)
    values, offset = (_checked(path, entry, key, int) for key in ("values", "offset"))
    dtype, crc32 = (_checked(path, entry, key, str) for key in ("dtype", "crc32"))
    numel = 1
    for size in shape:
        if type(size) is not int or size < 0 or len(shape) > 64:
            raise WtsError(f"{path}: {shown(name)} has the shape {shown(shape)}{_WAY_OUT}")
        numel *= size
    if not is_possible(shape):
        raise WtsError(f"{path}: {shown(name)} has the shape {shown(shape)}, which no array can have{_WAY_OUT}")
    if numel != values:
        raise WtsError(f"{path}: {shown(name)} has {shown(values)} values in the shape {shown(shape)}{_WAY_OUT}")
    if dtype not in ITEM_SIZES:
        raise WtsError(f"{path}: {shown(name)} has the dtype {shown(dtype)}, which is unknown{_WAY_OUT}")
    if len(crc32) != 8 or not set(crc32) <= _HEX_DIGITS:
        raise WtsError(f"{path}: {shown(name)} has the checksum {shown(crc32)}, no 8 hex digits{_WAY_OUT}")
    return SidecarTensor(name, tuple(shape), dtype, values, offset, crc32)


def _checked(path: str, entry: dict[str, Any], name: str, kind: Callable[..., Any]) -> Any:
    value = entry.get(name)
    if type(value) is not kind:
        raise WtsError(f"{path}: {shown(name)} is {shown(repr(value), 40)}{_WAY_OUT}")
    return value
