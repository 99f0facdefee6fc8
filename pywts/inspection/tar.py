"""Tar archives: the checkpoints of torch before 0.1.10, and whatever else was packed so."""

from __future__ import annotations

import struct

from .._core import Survey
from ..checkpoint.allowlist import STORAGE_DTYPES
from ..checkpoint.objects import kind_of, sequence, value_of
from ..checkpoint.rebuild import item_size_of
from ..errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..limits import Limits
    from .held import Content

_MOST = 100_000
"""Files of one archive."""
_AT_ONCE = 1 << 24
"""Bytes that ``tarfile`` may ask for at once: the long name of a file, or facts about it."""


class _Reader:
    """Content as the file object that ``tarfile`` reads."""

    def __init__(self, data: Content) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._data.size - self._at)
        size = left if size < 0 else min(size, left)
        if size > _AT_ONCE:  # a part of it would be another file's facts
            raise OSError("a header of more bytes than are read at once")
        part = self._data.read(self._at, size) if size else b""
        self._at += size
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._data.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def is_tar(head: bytes) -> bool:
    """Whether ``tarfile`` takes content that begins so for a tar: by a checksum, as the oldest have no mark."""
    if len(head) < 512 or _number(head[148:156]) not in _checksums(head):
        return False
    import tarfile

    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _number(field: bytes) -> int | None:
    """A number of a header as ``tarfile`` reads it."""
    if field[0] in (0o200, 0o377):
        return int.from_bytes(field[1:], "big") - ((field[0] == 0o377) << 8 * (len(field) - 1))
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def _checksums(head: bytes) -> tuple[int, int]:
    """The sum of a header's bytes without the checksum, and that of old programs, for which bytes have a sign."""
    counted = head[:148] + b" " * 8 + head[156:512]
    total = sum(counted)
    return total, total - 256 * sum(byte > 127 for byte in counted)


def members(data: Content) -> Iterator[tuple[str, int, int | None]]:
    """(name, where its data begins, its size) of each file; of a link, or a device, the size is None."""
    import tarfile

    try:
        with tarfile.open(fileobj=_Reader(data), mode="r:") as archive:  # type: ignore[call-overload]
            for number, member in enumerate(archive):
                if number > _MOST:
                    raise CheckpointError(f"{data.name}: more than {_MOST} files in the tar archive")
                if member.isreg() or member.type not in tarfile.SUPPORTED_TYPES:  # which are extracted as files
                    if member.sparse or member.offset_data + member.size > data.size:
                        raise CheckpointError(f"{data.name}: a file of the tar archive that is sparse or cut short")
                    yield member.name, member.offset_data, member.size
                elif not member.isdir():
                    yield member.name, member.offset, None
    except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
        raise CheckpointError(f"{data.name}: broken tar archive: {type(error).__name__}") from None


def pickles_of(data: Content, name: str, limits: Limits) -> Iterator[tuple[int, int]]:
    """(where, bytes) of the pickles in ``storages`` and ``tensors``, between which raw numbers lie.

    A number of parts, then for each part a pickle: for a storage (key, location, class), then its size and values; for
    a tensor (key, key of its storage, class), then its axes, sizes, strides and offset.
    """
    held = data.read(0, min(data.size, limits.pickle_bytes))
    position = 0
    first = True
    while position < len(held):
        survey = Survey(held, position, limits.opcodes, limits.nodes)
        if survey.fault is not None:
            yield position, len(held) - position
            return
        yield position, survey.end - position
        position = survey.end
        if first:
            first = False
            continue
        parts = sequence(survey.root) or []
        if name == "storages":
            kind = parts[2] if len(parts) == 3 else None
            if kind_of(kind) != "global" or kind.name not in STORAGE_DTYPES:  # type: ignore[union-attr]
                if parts:
                    raise CheckpointError(f"{data.name}: a storage of an unknown type in the tar archive")
                continue  # the list of views at the end
            (count,) = struct.unpack_from("<q", held.ljust(position + 8, b"\0"), position)
            position += 8 + max(count, 0) * item_size_of(STORAGE_DTYPES[kind.name])  # type: ignore[union-attr]
        else:
            (axes,) = struct.unpack_from("<i", held.ljust(position + 4, b"\0"), position)
            if not 0 <= axes < 64 or value_of(survey.root) is None:
                raise CheckpointError(f"{data.name}: a broken tensor in the tar archive")
            position += 8 + 16 * axes + 8
    if position != len(held):
        raise CheckpointError(f"{data.name}: the file {name!r} of the tar archive is cut short")
