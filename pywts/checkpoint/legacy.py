"""torch's legacy streams (before torch 1.6, and still on request): pickles in a row, then the raw storages.

The pickles are the magic number, the protocol version, facts about the writing machine, the object, and the list of
storage keys; then follow, per key in that order, the number of elements as int64 and the elements, little-endian
whatever the machine (``torch/serialization.py``, ``_legacy_load``, which does not look at the facts either).
"""

from __future__ import annotations

import struct
import sys

from ..errors import CheckpointError, LimitError, shown
from ..tensor import Storage
from .objects import sequence, value_of
from .persistent import Told, storage_dtype, storage_id
from .pickled import CutShort, PickledCheckpoint, parse
from .rebuild import item_size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._core import Node
    from ..limits import Limits
    from .files import SourceFile

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_WINDOW = 1 << 16
"""Bytes of a pickle that are read at first."""
_COUNTS = 1 << 14
"""Bytes that are read where a count stands: with small storages, many counts at once."""
_COUNT = struct.Struct("<q")


class PickleStream:
    """Pickles in a row from the start of a file, read in windows that grow as far as a pickle needs."""

    def __init__(self, file: SourceFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self.position = 0
        """of the byte after the last pickle"""

    def next(self) -> Node:
        """The root of the next pickle."""
        size = _WINDOW
        left = min(self._file.size - self.position, self._limits.pickle_bytes)
        while True:
            size = min(size, left)
            data = self._file.read(self.position, size)
            try:
                node, end = parse(self._file.name, data, self._limits, base=self.position)
            except CutShort:
                if size == left:
                    if size == self._limits.pickle_bytes:
                        raise LimitError(
                            f"{self._file.name}: the pickle at byte {self.position} does not end within the limit of "
                            f"{size} bytes; raise Limits.pickle_bytes if that is meant"
                        ) from None
                    raise
                size *= 4
                continue
            self.position += end
            return node


def open_legacy(file: SourceFile, stream: PickleStream, limits: Limits) -> PickledCheckpoint:
    """Read what follows the magic number, which the stream has passed."""
    version = value_of(stream.next())
    if version != _PROTOCOL:
        raise CheckpointError(f"{file.name}: legacy checkpoint of the unknown version {shown(version)}")
    stream.next()  # facts about the writing machine
    root = stream.next()
    storages = LegacyStorages(file, root, stream.next(), stream.position)
    return PickledCheckpoint(file.name, "legacy stream", root, storages.find, limits, file.close)


class LegacyStorages:
    """The storages behind the pickles, by key."""

    def __init__(self, file: SourceFile, root: Node, keys: Node, start: int) -> None:
        self._file = file
        self._told = Told()
        self._places: dict[str, tuple[int, int]] = {}
        """key -> offset and size of its bytes"""
        sizes = self._sizes(root)
        position = start
        window, window_at = b"", start
        for number, node in enumerate(sequence(keys) or ()):
            key = str(value_of(node))
            size = sizes.get(key)
            if size is None:
                raise self._damaged(f"has the storage {shown(key)}, which no tensor asks for, at byte {position}")
            if key in self._places:
                raise self._damaged(f"has the storage {shown(key)} twice")
            numel, item_size = size
            end = position + 8 + numel * item_size
            if end > file.size:
                raise CheckpointError(
                    f"{file.name}: is cut short: storage {number} ({shown(key)}) should end at byte {end}, the file "
                    f"has {file.size}; copy or download it again"
                )
            if position + 8 > window_at + len(window):
                window, window_at = file.read(position, min(_COUNTS, file.size - position)), position
            (told,) = _COUNT.unpack_from(window, position - window_at)
            if told != numel:
                raise self._damaged(
                    f"has {told} elements in the storage {shown(key)} at byte {position} where its pickle tells {numel}"
                )
            self._places[key] = (position + 8, numel * item_size)
            position = end
        if position != file.size and not self._zip_follows(position):
            raise self._damaged(f"goes on for {file.size - position} bytes after its last storage, at byte {position}")

    def _zip_follows(self, position: int) -> bool:
        """Whether a whole zip archive was appended: torch goes by the first bytes and reads what stands before it."""
        tail = self._file.read(max(position, self._file.size - 22), min(22, self._file.size - position))
        return (
            self._file.read(position, min(4, self._file.size - position)) == b"PK\x03\x04" and tail[:4] == b"PK\x05\x06"
        )

    def find(self, key: str, dtype: str, numel: int) -> Storage:
        """The storage ``key``."""
        self._told.compare(key, dtype, numel)
        place = self._places.get(key)
        if place is None:
            raise self._damaged(f"has no storage {shown(key)}")
        offset, size = place
        return Storage(shown(key), size, file=self._file.descriptor, file_offset=offset, swapped=sys.byteorder == "big")

    def _sizes(self, root: Node) -> dict[str, tuple[int, int]]:
        """The number of elements, and the bytes of one, that the pickle tells for each key."""
        result: dict[str, tuple[int, int]] = {}
        for node in root.persistents:
            try:
                storage = node.storage or storage_id(node)
                if storage is None:
                    continue
                kind, key, numel, _ = storage
                dtype = storage_dtype(kind)
            except ValueError as error:
                raise self._damaged(f"{error}, at byte {node.position} of its pickle") from None
            size = numel, item_size_of(dtype)
            if result.setdefault(key, size) != size:
                raise self._damaged(f"tells two sizes of the storage {shown(key)}")
        return result

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self._file.name}: {what}; the checkpoint is damaged, copy or download it again")
