"""Zip archives as torch writes them, read from their central directory.

Written for hostile files: an entry that lies outside the file, overlaps another, bears another's name, or whose local
header contradicts the directory is an error before one byte is read through it. The end records are read here, the
directory and the headers by the core.
"""

from __future__ import annotations

from .._core import ArchiveDirectory, ArchiveError, crc32
from ..errors import CheckpointError, LimitError, shown
from .files import DCP_TO_TORCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..limits import Limits
    from .files import SourceFile

_END = (4, 2, 2, 2, 2, 4, 4, 2)
_END64_LOCATOR = (4, 4, 8, 4)
_END64 = (4, 8, 2, 2, 4, 4, 8, 8, 8, 8)
"""Bytes of each field of the end records, the signature first (APPNOTE.TXT, 4.3.14 to 4.3.16)."""
_RECORD = 46
"""Bytes of a file's record in the directory, at least."""
_INFLATED = 256 << 20
"""Bytes that a deflated entry may inflate to in memory: a bomb is small, and a pickle's values are not in it."""


class Entry:
    """One file of an archive."""

    __slots__ = ("crc", "name", "offset", "packed", "size", "stored")

    def __init__(self, name: str, offset: int, packed: int, size: int, crc: int, stored: bool) -> None:
        self.name = name
        self.offset = offset
        """of its first byte in the file"""
        self.packed = packed
        """bytes in the file"""
        self.size = size
        self.crc = crc
        self.stored = stored
        """whether its bytes lie in the file as they are; else they are deflated"""


class Archive:
    """The directory of a zip file."""

    def __init__(self, file: SourceFile, limits: Limits) -> None:
        self.file = file
        count, offset, size = self._find_directory()
        if count > limits.entries:
            raise LimitError(f"{file.name}: {count} files in the archive, over the limit of {limits.entries}")
        if size < count * _RECORD:
            raise self._damaged(f"the directory has {size} bytes, too few for {count} files")
        records = file.read(offset, size)
        try:
            self.directory = ArchiveDirectory(records, offset, count)
        except ArchiveError as error:
            raise self._in_words(error) from None

    def names(self) -> list[str]:
        """The files' names, in the order of the directory; a byte that is no text stands as a surrogate."""
        return self.directory.names()

    def names_ending(self, end: str) -> list[str]:
        """Those of the names that end so."""
        return self.directory.names_ending(end)

    def in_other_case(self, folder: str) -> str | None:
        """The name of the file below a folder that torch, to which case is nothing, would take for another one."""
        return self.directory.in_other_case(f"{folder}/")

    def records(self) -> list[tuple[str, int, int, int]]:
        """(name, packed bytes, bytes, CRC32) of every file, as the directory has them."""
        return self.directory.records()

    def find(self, name: str) -> Entry | None:
        """An entry, its local header compared with the directory; None where no file has the name."""
        try:
            found = self.directory.find(name, self.file.descriptor)
        except ArchiveError as error:
            raise self._in_words(error) from None
        return None if found is None else Entry(name, *found)

    def sound(self) -> list[str]:
        """The names of all stored entries whose headers are as they should be."""
        return self.directory.sound(self.file.descriptor)

    def read(self, entry: Entry, limit: int) -> bytes:
        """An entry's content, inflated and checked against its CRC32 (0 means that none was computed)."""
        limit = limit if entry.stored else min(limit, _INFLATED)
        if entry.size > limit:
            raise LimitError(f"{self.file.name}: {shown(entry.name)} has {entry.size} bytes, over the limit of {limit}")
        if not entry.stored:
            return b"".join(self.chunks(entry))
        data = self.file.read(entry.offset, entry.size)
        self._compare(entry, crc32(data))
        return data

    def check(self, entry: Entry) -> None:
        """Read an entry's content through, keeping none of it; CheckpointError where it does not match its CRC32."""
        if entry.stored:
            if entry.crc:
                self._compare(entry, self.file.crc32(entry.offset, entry.size))
            return
        for _ in self.chunks(entry):
            pass

    def chunks(self, entry: Entry, size: int = 1 << 20) -> Iterator[bytes]:
        """A deflated entry's content piece by piece; its size is a bound, and must be met exactly, its CRC32 too."""
        import zlib

        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        offset, left, produced = entry.offset, entry.packed, 0
        pending, found = b"", 0
        while True:
            if not pending and left:
                pending = self.file.read(offset, min(size, left))
                offset += len(pending)
                left -= len(pending)
            try:
                piece = inflater.decompress(pending, size)
            except zlib.error:
                raise self._damaged(f"{shown(entry.name)} is no deflated data") from None
            pending = inflater.unconsumed_tail
            produced += len(piece)
            found = zlib.crc32(piece, found)
            if produced > entry.size:
                raise self._damaged(f"{shown(entry.name)} inflates to more than its {entry.size} bytes")
            if piece:
                yield piece
            elif inflater.eof or not (pending or left):
                break
        if produced != entry.size or not inflater.eof:
            raise self._damaged(f"{shown(entry.name)} inflates to {produced} bytes, not {entry.size}")
        self._compare(entry, found)

    def _compare(self, entry: Entry, found: int) -> None:
        if entry.crc not in (0, found):
            raise self._damaged(
                f"{shown(entry.name)} does not match its CRC32: {entry.crc:08x} in the directory, {found:08x} found"
            )

    def _find_directory(self) -> tuple[int, int, int]:
        """The number of files, and the directory's offset and size."""
        file = self.file
        end_size = sum(_END)
        tail_size = min(file.size, end_size + 0xFFFF)
        tail = file.read(file.size - tail_size, tail_size)
        # The last one, as other readers take it: that of a comment within the comment of another would be a second one.
        found = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - end_size + 4))
        record = _fields(tail, max(found, 0), _END)
        more = len(tail) - found - end_size - record[7]
        if found >= 0 and more > 0:
            raise CheckpointError(
                f"{file.name}: goes on for {more} bytes after the end of its zip archive, at byte "
                f"{file.size - more}; the checkpoint is damaged, copy or download it again"
            )
        if found < 0 or more:
            raise CheckpointError(
                f"{file.name}: a zip archive whose directory is missing: the file is cut short or damaged "
                f"({file.size} bytes); copy or download it again"
            )
        end = file.size - tail_size + found
        end, places = self._zip64(end, record[1:7])
        disk, directory_disk, count_here, count, size, offset = places
        if disk or directory_disk or count_here != count:
            raise CheckpointError(f"{file.name}: a zip archive in several parts; join them first")
        if offset + size > end:
            raise self._damaged("the directory lies outside the file")
        start = end - size
        if start > offset:  # some readers look here
            if file.read(start, 4) == b"PK\x01\x02" != file.read(offset, 4):
                raise CheckpointError(
                    f"{file.name}: {start - offset} bytes stand before its zip archive, as in a shard of "
                    f"torch.distributed.checkpoint (.distcp); {DCP_TO_TORCH}"
                )
            raise self._damaged(f"{start - offset} bytes lie between its directory and the record of that")
        return count, offset, size

    def _zip64(self, end: int, places: list[int]) -> tuple[int, list[int]]:
        """Where the directory must end, and what its zip64 record tells of it, where there is one (torch writes it
        always); ``end`` and ``places`` are what the record without 64 bits tells.
        """
        locator_at = end - sum(_END64_LOCATOR)
        locator = self.file.read(locator_at, sum(_END64_LOCATOR)) if locator_at >= 0 else b""
        if not locator.startswith(b"PK\x06\x07"):
            return end, places
        record_at = _fields(locator, 0, _END64_LOCATOR)[2]
        if record_at + sum(_END64) > locator_at:
            raise self._damaged("the zip64 directory record lies outside the file")
        record = self.file.read(record_at, sum(_END64))
        if not record.startswith(b"PK\x06\x06"):
            raise self._damaged(f"no zip64 directory record at byte {record_at}")
        wide = _fields(record, 0, _END64)[4:]
        for place, width, value in zip(places, _END[1:7], wide, strict=True):
            if place not in (value, (1 << 8 * width) - 1):
                raise self._damaged("its two records of the directory contradict each other")
        return record_at, wide

    def _in_words(self, error: ArchiveError) -> CheckpointError:
        message, name, other, damaged = error.args
        words = message.replace("{}", "%s") % (*(shown(text) for text in (name, other)[: message.count("{}")]),)
        return self._damaged(words) if damaged else CheckpointError(f"{self.file.name}: {words}")

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.file.name}: damaged zip archive: {what}; copy or download it again")


def _fields(record: bytes, at: int, widths: tuple[int, ...]) -> list[int]:
    """The little-endian fields of a record, by their widths; importing ``struct`` takes longer than all of them."""
    fields = []
    for width in widths:
        fields.append(int.from_bytes(record[at : at + width], "little"))
        at += width
    return fields
