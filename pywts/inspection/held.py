"""Content that is gone through: a file, a part of one, or bytes in memory, all read by position."""

from __future__ import annotations

from itertools import chain

from ..checkpoint.files import SourceFile
from ..errors import CheckpointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    class Content(Protocol):
        """What can be read by position."""

        name: str
        size: int
        base: int
        """what to add to a position, so that it is one of the whole file; 0 for what was unpacked"""

        def read(self, offset: int, size: int) -> bytes: ...
        def head(self, size: int) -> bytes: ...

    class _Decompressor(Protocol):
        @property
        def eof(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_IN_MEMORY = 64 << 20
"""Unpacked content up to this size is held in memory."""


class Held:
    """Bytes in memory."""

    def __init__(self, name: str, data: bytes, base: int = 0) -> None:
        self.name = name
        self.size = len(data)
        self.base = base
        self._data = data

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``."""
        if offset + size > self.size:
            raise CheckpointError(f"{self.name}: ends {offset + size - self.size} bytes before it should")
        return self._data if size == self.size else self._data[offset : offset + size]

    def head(self, size: int) -> bytes:
        """The first bytes, ``size`` or as many as there are."""
        return self._data[:size]

    def close(self) -> None:
        """Nothing: as a file that holds the same."""


class Part:
    """``size`` bytes at ``offset`` of something else."""

    def __init__(self, whole: Content, offset: int, size: int) -> None:
        self.name = whole.name
        self.size = size
        self.base = whole.base + offset
        self._whole = whole
        self._offset = offset

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``."""
        return self._whole.read(self._offset + offset, size)

    def head(self, size: int) -> bytes:
        """The first bytes, ``size`` or as many as there are."""
        return self.read(0, min(size, self.size))


def spilled(data: Content) -> SourceFile:
    """The same in an unnamed temporary file, for what needs a descriptor."""
    return _in_file(data.name, (data.read(at, min(1 << 24, data.size - at)) for at in range(0, data.size, 1 << 24)))


def kept(name: str, pieces: Iterator[bytes]) -> Held | SourceFile:
    """What pieces are together: in memory, or, where that is much, in an unnamed temporary file. To be closed."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) > _IN_MEMORY:
            return _in_file(name, chain((held,), pieces))
    return Held(name, bytes(held))


def _in_file(name: str, pieces: Iterable[bytes | bytearray]) -> SourceFile:
    import os
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.writelines(pieces)
        file.flush()
        result = SourceFile(file.name)
    result.name = name
    result.path = os.fspath(name)
    return result


def compressed(head: bytes) -> str:
    """How something is compressed, by its first bytes; "" where it is not, or in no way that is known here."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz"
    if head[:3] == b"\x5d\x00\x00":  # the usual properties, and a dictionary of whole 64 KiB; no pickle begins so
        return "lzma"
    if head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        return "zlib"
    return ""


def inflated(data: Content) -> Iterator[bytes]:
    """Compressed content, unpacked piece by piece."""
    kind = compressed(data.head(16))
    decompressor = _decompressor(kind)
    position = 0
    pending = b""
    while True:
        try:
            part = decompressor.decompress(pending, 1 << 20)
        except Exception as error:  # zlib.error, lzma.LZMAError, OSError, EOFError
            raise CheckpointError(f"{data.name}: broken {kind} data: {error}") from None
        yield part
        if decompressor.eof:
            pending = decompressor.unused_data + data.read(position, min(1 << 16, data.size - position))
            if not pending.strip(b"\x00"):
                return
            raise CheckpointError(f"{data.name}: goes on after its {kind} data")
        pending = getattr(decompressor, "unconsumed_tail", b"")
        if not pending and (getattr(decompressor, "needs_input", True) or not part):
            if position == data.size:
                raise CheckpointError(f"{data.name}: {kind} data that is cut short")
            pending = data.read(position, min(1 << 16, data.size - position))
            position += len(pending)


def _decompressor(kind: str) -> _Decompressor:
    if kind in ("gzip", "zlib"):
        import zlib

        return zlib.decompressobj(zlib.MAX_WBITS | 32)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor()
    import lzma

    return lzma.LZMADecompressor(memlimit=1 << 28)
