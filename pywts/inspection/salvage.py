"""The files of an archive whose directory cannot be trusted, by their own headers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..checkpoint.files import SourceFile

_LOOKED_THROUGH = 256 << 20
"""Bytes of a file that are searched for headers."""
_MOST = 10_000
"""Files of one archive."""
_HELD = 64 << 20
"""Bytes of one file."""


def has_archive_at_end(file: SourceFile) -> bool:
    """Whether a file that is something else ends as a zip archive does."""
    size = min(file.size, 22 + 0xFFFF)
    tail = file.read(file.size - size, size)
    found = tail.rfind(b"PK\x05\x06")
    return found >= 0 and found + 22 + int.from_bytes(tail[found + 20 : found + 22], "little") == len(tail)


def salvaged(file: SourceFile) -> Iterator[tuple[str, int, bytes]]:
    """(name, where its data begins, its content as far as it goes) of each file that has a header of its own."""
    step, count = 1 << 24, 0
    for start in range(0, min(file.size, _LOOKED_THROUGH), step):
        window = file.read(start, min(step + 3, file.size - start))
        found = window.find(b"PK\x03\x04")
        while found >= 0:
            count += 1
            if count > _MOST:
                return
            one = _file_at(file, start + found)
            if one is not None:
                yield one
            found = window.find(b"PK\x03\x04", found + 4)


def _file_at(file: SourceFile, at: int) -> tuple[str, int, bytes] | None:
    if at + 30 > file.size:
        return None
    header = file.read(at, 30)
    method = int.from_bytes(header[8:10], "little")
    length = int.from_bytes(header[26:28], "little")
    begin = at + 30 + length + int.from_bytes(header[28:30], "little")
    if begin >= file.size:
        return None
    name = file.read(at + 30, length).decode("utf-8", "replace")
    data = file.read(begin, min(_HELD, file.size - begin))
    if method == 8:
        import zlib

        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _HELD)
        except zlib.error:
            return None
    return name, begin, data
