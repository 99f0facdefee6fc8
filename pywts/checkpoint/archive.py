"""Zip archives as torch writes them, read from their central directory.

Written for hostile files: an entry that lies outside the file, overlaps another, bears another's name, or whose local
header contradicts the directory is an error before one byte is read through it. The layout of the records is that of
PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct

from ..errors import CheckpointError, LimitError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..limits import Limits
    from .files import SourceFile

_END = struct.Struct("<4s4H2IH")
_END64_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_INFLATED = 256 << 20
"""Bytes that a deflated entry may inflate to in memory: a bomb is small, and a pickle's values are not in it."""
_ENCRYPTED, _STREAMED = 0x1, 0x8


class Entry:
    """One file of an archive."""

    __slots__ = ("compressed_size", "crc", "flags", "header_offset", "method", "name", "offset", "raw_name", "size")

    def __init__(
        self, raw_name: bytes, flags: int, method: int, crc: int, compressed_size: int, size: int, header_offset: int
    ) -> None:
        self.raw_name = raw_name
        self.name = raw_name.decode("utf-8", "surrogateescape")
        self.flags = flags
        self.method = method
        self.crc = crc
        self.compressed_size = compressed_size
        self.size = size
        self.header_offset = header_offset
        self.offset = -1
        """of its first byte in the file; known once the local header was checked (``Archive.locate``)"""

    @property
    def stored(self) -> bool:
        """Whether its bytes lie in the file as they are."""
        return self.method == _STORED


class Archive:
    """The directory of a zip file."""

    def __init__(self, file: SourceFile, limits: Limits) -> None:
        self.file = file
        count, directory_offset, directory_size = self._find_directory()
        if count > limits.entries:
            raise LimitError(f"{file.name}: {count} files in the archive, over the limit of {limits.entries}")
        if directory_size < count * _CENTRAL.size:
            raise self._damaged(f"the directory has {directory_size} bytes, too few for {count} files")
        self.directory_offset = directory_offset
        self.entries: dict[str, Entry] = {}
        self._read_directory(file.read(directory_offset, directory_size), count)
        self._check_overlaps()

    def locate(self, entry: Entry) -> int:
        """The offset of an entry's first byte, after comparing its local header with the directory."""
        if entry.offset >= 0:
            return entry.offset
        header = self.file.read(entry.header_offset, 30 + len(entry.raw_name))
        signature, _, flags, method, _, _, crc, compressed, size, name_length, extra_length = _LOCAL.unpack_from(header)
        if signature != b"PK\x03\x04":
            raise self._damaged(f"no file header at byte {entry.header_offset}, where {shown(entry.name)} should be")
        if name_length != len(entry.raw_name) or header[_LOCAL.size :] != entry.raw_name:
            raise self._damaged(f"the header at byte {entry.header_offset} has another name than {shown(entry.name)}")
        streamed = flags & _STREAMED and not crc and not compressed and not size
        sizes_differ = (size, compressed) != (entry.size, entry.compressed_size) and not (
            streamed or 0xFFFFFFFF in (size, compressed)
        )
        if method != entry.method or flags & _ENCRYPTED or sizes_differ:
            raise self._damaged(
                f"the header of {shown(entry.name)} at byte {entry.header_offset} contradicts the directory"
            )
        offset = entry.header_offset + _LOCAL.size + name_length + extra_length
        if offset + entry.compressed_size > self.directory_offset:
            raise self._damaged(f"{shown(entry.name)} reaches into the directory")
        entry.offset = int(offset)
        return entry.offset

    def read(self, entry: Entry, limit: int) -> bytes:
        """An entry's content, inflated and checked against its CRC32 (0 means that none was computed)."""
        limit = limit if entry.stored else min(limit, _INFLATED)
        if entry.size > limit:
            raise LimitError(f"{self.file.name}: {shown(entry.name)} has {entry.size} bytes, over the limit of {limit}")
        import zlib

        data = b"".join(self.chunks(entry)) if not entry.stored else self.file.read(self.locate(entry), entry.size)
        if entry.crc and zlib.crc32(data) != entry.crc:
            raise self._damaged(f"{shown(entry.name)} does not match its CRC32")
        return data

    def chunks(self, entry: Entry, size: int = 1 << 20) -> Iterator[bytes]:
        """A deflated entry's content piece by piece; its announced size is a bound, and must be met exactly."""
        import zlib

        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        offset, left, produced = self.locate(entry), entry.compressed_size, 0
        pending = b""
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
            if produced > entry.size:
                raise self._damaged(f"{shown(entry.name)} inflates to more than its {entry.size} bytes")
            if piece:
                yield piece
            elif inflater.eof or not (pending or left):
                break
        if produced != entry.size or not inflater.eof:
            raise self._damaged(f"{shown(entry.name)} inflates to {produced} bytes, not {entry.size}")

    def _find_directory(self) -> tuple[int, int, int]:
        """The number of files, and the directory's offset and size."""
        file = self.file
        tail_size = min(file.size, _END.size + 0xFFFF)
        tail = file.read(file.size - tail_size, tail_size)
        found = tail.rfind(b"PK\x05\x06")
        while found >= 0:
            if found + _END.size <= len(tail):
                record = _END.unpack_from(tail, found)
                if found + _END.size + record[7] == len(tail):
                    break
            found = tail.rfind(b"PK\x05\x06", 0, found)
        if found < 0:
            raise CheckpointError(
                f"{file.name}: a zip archive whose directory is missing: the file is cut short or damaged "
                f"({file.size} bytes); copy or download it again"
            )
        _, disk, directory_disk, count_here, count, size, offset, _ = record
        end = file.size - tail_size + found
        if 0xFFFF in (disk, directory_disk, count_here, count) or 0xFFFFFFFF in (size, offset):
            locator_at = end - _END64_LOCATOR.size
            if locator_at >= 0:
                signature, _, record_at, _ = _END64_LOCATOR.unpack(file.read(locator_at, _END64_LOCATOR.size))
                if signature == b"PK\x06\x07":
                    if record_at + _END64.size > locator_at:
                        raise self._damaged("the zip64 directory record lies outside the file")
                    record64 = _END64.unpack(file.read(record_at, _END64.size))
                    if record64[0] != b"PK\x06\x06":
                        raise self._damaged(f"no zip64 directory record at byte {record_at}")
                    disk, directory_disk, count_here, count, size, offset = record64[4:]
                    end = record_at
        if disk or directory_disk or count_here != count:
            raise CheckpointError(f"{file.name}: a zip archive in several parts; join them first")
        if offset + size > end:
            raise self._damaged("the directory lies outside the file")
        return count, offset, size

    def _read_directory(self, directory: bytes, count: int) -> None:
        entries = self.entries
        position = 0
        for _ in range(count):
            if position + _CENTRAL.size > len(directory):
                raise self._damaged(f"the directory ends after {len(entries)} of {count} files")
            (signature, _, _, flags, method, _, _, crc, compressed, size, name_length, extra_length, comment_length,
             disk, _, _, offset) = _CENTRAL.unpack_from(directory, position)  # fmt: skip
            name_at = position + _CENTRAL.size
            extra_at = name_at + name_length
            position = extra_at + extra_length + comment_length
            if signature != b"PK\x01\x02" or position > len(directory):
                raise self._damaged(f"the directory's record {len(entries)} of {count} is broken")
            if size == 0xFFFFFFFF or compressed == 0xFFFFFFFF or offset == 0xFFFFFFFF:
                size, compressed, offset = _zip64_sizes(
                    directory[extra_at : extra_at + extra_length], size, compressed, offset
                )
            entry = Entry(directory[name_at:extra_at], flags, method, crc, compressed, size, offset)
            if flags & _ENCRYPTED:
                raise CheckpointError(f"{self.file.name}: {shown(entry.name)} is encrypted; decrypt the archive first")
            if method not in (_STORED, _DEFLATED):
                raise CheckpointError(
                    f"{self.file.name}: {shown(entry.name)} is compressed by method {method}; "
                    "torch stores or deflates: unpack the archive and save the checkpoint again"
                )
            if method == _STORED and size != compressed:
                raise self._damaged(f"{shown(entry.name)} is stored, yet has two sizes: {compressed} and {size}")
            if disk or offset + _LOCAL.size + name_length + compressed > self.directory_offset:
                raise self._damaged(f"{shown(entry.name)} lies outside the file")
            if entry.name in entries:
                raise self._damaged(f"two files have the name {shown(entry.name)}")
            entries[entry.name] = entry

    def _check_overlaps(self) -> None:
        end, previous = 0, ""
        for entry in sorted(self.entries.values(), key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise self._damaged(f"{shown(entry.name)} overlaps {shown(previous)}")
            end = entry.header_offset + _LOCAL.size + len(entry.raw_name) + entry.compressed_size
            previous = entry.name

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.file.name}: damaged zip archive: {what}; copy or download it again")


def _zip64_sizes(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """The 8-byte figures of the zip64 extra field, in the place of those that are all ones."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            values = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            size = next(values, size) if size == 0xFFFFFFFF else size
            compressed = next(values, compressed) if compressed == 0xFFFFFFFF else compressed
            offset = next(values, offset) if offset == 0xFFFFFFFF else offset
            break
        position += 4 + length
    return size, compressed, offset
