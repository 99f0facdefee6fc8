"""torch's zip checkpoints: ``ROOT/data.pkl``, ``ROOT/data/KEY`` and ``ROOT/byteorder`` in an archive (torch >= 1.6)."""

from __future__ import annotations

import sys

from .._core import StoredStorages
from ..errors import CheckpointError, LimitError, shown
from ..tensor import ITEM_SIZES, Storage, Tensor, memory_storage, spilled_storage
from .allowlist import STORAGE_DTYPES
from .archive import Archive, Entry
from .persistent import Told
from .pickled import PickledCheckpoint, parse
from .rebuild import item_size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits
    from .files import SourceFile

_CLASSES = {name: (dtype, ITEM_SIZES[dtype]) for name, dtype in STORAGE_DTYPES.items() if dtype in ITEM_SIZES}
"""The dtype, and the bytes of an element, of each class of storages from which a .wts can be written."""

_IN_MEMORY = 64 << 20
"""A deflated storage up to this size is inflated into memory, a larger one into an unnamed temporary file."""


def root_of(archive: Archive) -> str | None:
    """The archive's one top folder that holds a ``data.pkl``, or None."""
    suffix = "/data.pkl"
    roots = [name[: -len(suffix)] for name in archive.names_ending(suffix) if name.count("/") == 1]
    if len(roots) > 1:
        raise CheckpointError(
            f"{archive.file.name}: two data.pkl in one archive, under {shown(roots[0])} and {shown(roots[1])}; "
            "which one torch would read depends on its version"
        )
    if not roots:
        return None
    other = archive.in_other_case(roots[0])
    if other is not None:
        raise CheckpointError(
            f"{archive.file.name}: {shown(other)} differs only in upper and lower case from what torch looks for, and "
            "which one torch would read depends on its order; unpack the archive and rename it"
        )
    return roots[0]


def is_torchscript(archive: Archive, root: str) -> bool:
    """Whether an archive is TorchScript's: torch goes by its table of constants, and there is no such without code."""
    return archive.find(f"{root}/constants.pkl") is not None


def open_zip(file: SourceFile, archive: Archive, root: str, limits: Limits) -> PickledCheckpoint:
    """Read the pickle of a zip checkpoint; storages are found as tensors ask for them."""
    entry = archive.find(f"{root}/data.pkl")
    assert entry is not None  # the root was told by it
    node, end = parse(file.name, archive.read(entry, limits.pickle_bytes), limits)
    if end != entry.size:
        raise CheckpointError(f"{file.name}: data.pkl goes on after its end, at byte {end}; the checkpoint is damaged")
    storages = ZipStorages(archive, f"{root}/data/", is_swapped(archive, root), limits)
    return PickledCheckpoint(
        file.name, "zip archive", node, storages.find, limits, file.close, usual_tensors=storages.usual_tensors
    )


def is_swapped(archive: Archive, root: str) -> bool:
    """Whether the storages' byte order is not this machine's; archives before torch 2.1 do not say, and are little."""
    entry = archive.find(f"{root}/byteorder")
    order = archive.read(entry, 64).strip().decode("latin-1") if entry else "little"
    if order not in ("little", "big"):
        raise CheckpointError(f"{archive.file.name}: unknown byte order {shown(order)}")
    return order != sys.byteorder


class ZipStorages:
    """The storages of one folder of an archive, by key."""

    def __init__(self, archive: Archive, folder: str, swapped: bool, limits: Limits) -> None:
        self._archive = archive
        self._folder = folder
        self._swapped = swapped
        self._limits = limits
        raw = folder.encode("utf-8", "surrogateescape")
        self._stored = StoredStorages(
            archive.directory, raw, shown(folder), archive.file.descriptor, swapped, _CLASSES, Storage, Tensor
        )
        self._told = Told()

    def usual_tensors(self, names: list[str], values: list[Any], first: int) -> list[Tensor]:
        """The tensors that nodes would be, from ``first`` up to one not in torch's usual form, or deflated."""
        return self._stored.describe(names, values, first)

    def find(self, key: str, dtype: str, numel: int) -> Storage:
        """The storage ``key`` of ``numel`` elements."""
        file = self._archive.file
        size = numel * item_size_of(dtype)
        found = self._stored.find(key, dtype, numel, item_size_of(dtype)) if key.isascii() else None
        if found is not None:
            return found
        self._told.compare(key, dtype, numel)
        name = self._folder + key
        entry = self._archive.find(name)
        if entry is None:
            raise CheckpointError(f"{file.name}: the storage {shown(name)} is missing from the archive; copy it again")
        if entry.size < size:
            raise CheckpointError(
                f"{file.name}: the storage {shown(name)} has {entry.size} bytes where the pickle tells {size}"
            )
        return storage_of_entry(self._archive, entry, 0, size, self._swapped, self._limits)


def storage_of_entry(archive: Archive, entry: Entry, start: int, size: int, swapped: bool, limits: Limits) -> Storage:
    """``size`` bytes of an entry's content from ``start`` on; of a deflated one inflated when they are asked for."""
    label = shown(entry.name)
    span = (entry.offset, entry.size, entry.crc)
    if entry.stored:
        at = entry.offset + start
        return Storage(label, size, file=archive.file.descriptor, file_offset=at, swapped=swapped, entry=span)
    if entry.size > limits.inflated_bytes:
        raise LimitError(
            f"{archive.file.name}: {label} inflates to {entry.size} bytes, over the limit of {limits.inflated_bytes}; "
            "raise Limits.inflated_bytes if that is meant"
        )

    def load() -> Storage:
        if entry.size <= _IN_MEMORY:
            storage = memory_storage(label, archive.read(entry, _IN_MEMORY))
            storage.address += start
        else:
            storage = spilled_storage(label, size, archive.chunks(entry))
            storage.file_offset = start
        storage.size = size
        storage.swapped = swapped
        return storage

    return Storage(label, size, load=load, swapped=swapped, entry=span)
