"""Facts of the file itself: what kind of container it is, what lies in it, what wrote it."""

from __future__ import annotations

import os
import sys

from ..checkpoint.archive import Archive
from ..checkpoint.files import SourceFile
from ..checkpoint.zip import root_of
from .facts import ContainedFile, Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..checkpoint.protocol import Checkpoint

ZIPPED = ("zip archive", "TorchScript archive", "NumPy archive")


def describe_container(checkpoint: Checkpoint, path: str | None) -> Container:
    """What a container tells without its weights being looked at; ``path`` is None for a live object."""
    if path is None:
        return Container(checkpoint.kind, None, None, None, None, sys.byteorder, (), None)
    with SourceFile(path) as file:
        if checkpoint.kind in ZIPPED:
            return _archive(checkpoint, file)
        protocol = None
        torch = None
        if checkpoint.kind in ("legacy stream", "plain pickle"):
            head = file.head(2)
            protocol = head[1] if head[:1] == b"\x80" else 0
            torch = "before 1.6, or asked for its format" if checkpoint.kind == "legacy stream" else None
        order = "little" if checkpoint.kind in ("legacy stream", "safetensors") else None
        return Container(checkpoint.kind, file.name, file.size, torch, protocol, order, _shards(checkpoint, file), None)


def _archive(checkpoint: Checkpoint, file: SourceFile) -> Container:
    archive = Archive(file, checkpoint.limits)
    files = tuple(
        ContainedFile(name, size, packed, f"{crc:08x}" if crc or not size else None)
        for name, packed, size, crc in archive.records()
    )
    root = None if checkpoint.kind == "NumPy archive" else root_of(archive)
    if root is None:
        return Container(checkpoint.kind, file.name, file.size, None, None, None, files, None)
    pickled = archive.find(f"{root}/data.pkl")
    protocol = None
    if pickled is not None and pickled.stored:
        head = file.read(pickled.offset, min(2, pickled.size))
        protocol = head[1] if head[:1] == b"\x80" and len(head) == 2 else 0
    told = archive.find(f"{root}/byteorder")
    order = archive.read(told, 64).strip().decode("latin-1") if told else "little"
    torch = "2.1 or later" if told else "1.6 or later"  # before 2.1 it did not write its byte order down
    return Container(checkpoint.kind, file.name, file.size, torch, protocol, order, files, None)


def _shards(checkpoint: Checkpoint, file: SourceFile) -> tuple[ContainedFile, ...]:
    """The files beside an index."""
    if not checkpoint.kind.startswith("model in "):
        return ()
    from ..checkpoint.sharded import shards_of

    folder = os.path.dirname(file.name)
    sizes = {
        shard: os.stat(os.path.join(folder, shard)).st_size for shard in sorted(shards_of(file, checkpoint.limits))
    }
    return tuple(ContainedFile(shard, size, size, None) for shard, size in sizes.items())
