"""The files of an archive whose directory cannot be trusted, by their own headers."""

from __future__ import annotations

from .held import Held, Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..checkpoint.files import SourceFile
    from .held import Content

_LOOKED_THROUGH = 256 << 20
"""Bytes of a file that are searched for headers."""
_MOST = 10_000
"""Files of one archive."""
_HELD = 64 << 20
"""Bytes of one file."""
_INFLATED = 256 << 20
"""Bytes that all deflated files of one archive may inflate to."""
_STEP = 1 << 16
"""Bytes that are inflated at a time."""


def has_archive_at_end(file: SourceFile) -> bool:
    """Whether a file that is something else ends as a zip archive does."""
    size = min(file.size, 22 + 0xFFFF)
    tail = file.read(file.size - size, size)
    found = tail.rfind(b"PK\x05\x06")
    return found >= 0 and found + 22 + int.from_bytes(tail[found + 20 : found + 22], "little") == len(tail)


def salvaged(file: SourceFile) -> Iterator[tuple[str, int, Content]]:
    """(name, where its data begins, its content as far as it goes) of each file that has a header of its own.

    Nothing tells where it ends, so the content of one goes over those that follow, and is read only where it is
    looked at: else many headers, each with the rest of the file behind it, would be read for hours.
    """
    step, count, left = 1 << 24, 0, _INFLATED
    for start in range(0, min(file.size, _LOOKED_THROUGH), step):
        window = file.read(start, min(step + 3, file.size - start))
        found = window.find(b"PK\x03\x04")
        while found >= 0:
            count += 1
            if count > _MOST:
                return
            one = _file_at(file, start + found, left)
            if one is not None:
                if isinstance(one[2], Held):
                    left -= one[2].size
                yield one
            found = window.find(b"PK\x03\x04", found + 4)


def _file_at(file: SourceFile, at: int, left: int) -> tuple[str, int, Content] | None:
    if at + 30 > file.size:
        return None
    header = file.read(at, 30)
    method = int.from_bytes(header[8:10], "little")
    length = int.from_bytes(header[26:28], "little")
    begin = at + 30 + length + int.from_bytes(header[28:30], "little")
    if begin >= file.size:
        return None
    name = file.read(at + 30, length).decode("utf-8", "replace")
    packed = Part(file, begin, min(_HELD, file.size - begin))
    if method != 8:
        return name, begin, packed
    data = _inflated(packed, min(_HELD, left))
    return None if data is None else (name, begin, Held(file.name, data, begin))


def _inflated(packed: Part, limit: int) -> bytes | None:
    """Deflated content, as far as it goes and fits; None where it is none."""
    import zlib

    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = bytearray()
    try:
        for position in range(0, packed.size, _STEP):
            if inflater.eof or len(data) >= limit:
                break
            piece = packed.read(position, min(_STEP, packed.size - position))
            data += inflater.decompress(piece, limit - len(data))
    except zlib.error:
        return bytes(data) or None
    return bytes(data)
