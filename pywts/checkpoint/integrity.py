"""Whether storages are what was saved: an archive keeps a CRC32 of each, at which torch does not look."""

from __future__ import annotations

import os

from .._core import CoreError, file_crc32
from ..errors import CheckpointError, OptionError, TensorError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ..tensor import Tensor

    T = TypeVar("T")


def check_storages(source: str, tensors: Iterable[Tensor]) -> None:
    """Read every storage of these tensors through that has a CRC32; CheckpointError for the first without it."""
    seen = set()
    for tensor in tensors:
        storage, entry = tensor.storage, tensor.storage.entry
        if entry is None or not entry[2] or id(storage) in seen:
            continue
        seen.add(id(storage))
        if storage.load is not None:
            storage.load()  # which checks what it inflates
            continue
        try:
            found = file_crc32(storage.file, entry[0], entry[1])
        except CoreError as error:
            raise unreadable(source, tensor, error) from None
        if found != entry[2]:
            raise unreadable(source, tensor, CoreError("checksum", found, 0))


class ValueReader:
    """Reads values for a recipe: what is reckoned from them could not be compared with a CRC32 afterwards.

    check: whether every storage that is read is compared with its own, once.
    """

    def __init__(self, source: str, check: bool) -> None:
        self._source = source
        self._check = check
        self._checked: set[object] = set()
        self._open = True

    def array(self, tensor: Tensor) -> Any:
        """All values as a NumPy float32 array of the tensor's shape."""
        return self._read(tensor, tensor.values)

    def floats(self, tensor: Tensor) -> list[float]:
        """All values in C order, without NumPy; meant for a few."""
        return self._read(tensor, tensor.floats)

    def close(self) -> None:
        """The source may be closed: its descriptor will be another file's."""
        self._open = False

    def _read(self, tensor: Tensor, read: Callable[[], T]) -> T:
        if not self._open:
            raise OptionError(f"{self._source}: {shown(tensor.name)}: values can be read only while the recipe runs")
        storage = (tensor.storage.file, tensor.storage.entry)
        if self._check and storage not in self._checked:
            check_storages(self._source, [tensor])
            self._checked.add(storage)
        try:
            return read()
        except CoreError as error:
            raise unreadable(self._source, tensor, error) from None


def unreadable(source: str, tensor: Tensor, error: CoreError) -> CheckpointError | TensorError:
    """What the core found wrong with a tensor's bytes or values, in words."""
    code, index, number = error.args
    name = shown(tensor.name)
    if code == "overflow":
        return TensorError(
            f"{source}: {name}, value {index}: is finite in float64 and overflows float32; clip it before it is saved"
        )
    if code == "source_short":
        return CheckpointError(f"{source}: ends at byte {index}, within {name}; it was cut while it was read")
    if code == "source_read":
        return CheckpointError(f"{source}: {name} cannot be read: {os.strerror(number)}")
    kept = tensor.storage.entry[2] if tensor.storage.entry is not None else 0
    return CheckpointError(
        f"{source}: {name}: its storage {tensor.storage.label} does not match its CRC32: {kept:08x} in the archive, "
        f"{index:08x} found: bytes changed after it was saved; copy or download it again, or export it as it is "
        "with --no-check (check=False)"
    )
