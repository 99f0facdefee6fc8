"""The one description of a tensor that every room shares: where its bytes are and how to walk them, never a copy."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from typing_extensions import Buffer

ITEM_SIZES = {
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float64": 8,
    "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "bool": 1,
}
"""Bytes an element of every dtype that a .wts can be written from (torch's names)."""


class Storage:
    """The bytes that tensors are views of.

    Exactly one of ``file`` (a descriptor, with ``file_offset``), ``address`` (memory that ``owner`` keeps alive) and
    ``load`` (a call that brings the storage into memory for as long as one tensor is written) says where they are.
    """

    __slots__ = ("address", "entry", "file", "file_offset", "label", "load", "owner", "size", "swapped")

    def __init__(
        self,
        label: str,
        size: int,
        *,
        file: int = -1,
        file_offset: int = 0,
        address: int = 0,
        owner: object = None,
        load: Callable[[], Storage] | None = None,
        swapped: bool = False,
        entry: tuple[int, int, int] | None = None,
    ) -> None:
        self.label = label
        """how messages call it"""
        self.size = size
        """bytes"""
        self.file = file
        self.file_offset = file_offset
        self.address = address
        self.owner = owner
        self.load = load
        self.swapped = swapped
        """whether its byte order is not this machine's"""
        self.entry = entry
        """where it is, or lies in, an archive's entry: that one's offset in the file, bytes and CRC32 (0: none was
        computed). Of a deflated one ``load`` checks it."""


class Tensor:
    """A strided view of a storage, under a name."""

    __slots__ = ("dtype", "half", "name", "offset", "shape", "storage", "strides")

    def __init__(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int,
        storage: Storage,
        half: bool = False,
    ) -> None:
        self.name = name
        self.dtype = dtype
        """torch's name without ``torch.``"""
        self.shape = shape
        self.strides = strides
        """elements"""
        self.offset = offset
        """elements from the storage's start"""
        self.storage = storage
        self.half = half
        """whether every value is rounded through float16 first"""

    @property
    def numel(self) -> int:
        """Number of elements: 1 for a scalar."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def widened(self) -> bytearray:
        """All values as float32 in C order, 4 bytes each, in native byte order; meant for small tensors."""
        from ._core import file_widened, memory_widened

        storage = self.storage.load() if self.storage.load is not None else self.storage
        view = (self.dtype, storage.swapped, self.half, self.offset, self.shape, self.strides)
        if storage.file >= 0:
            return file_widened(storage.file, storage.file_offset, storage.size, *view)
        return memory_widened(storage.address, storage.size, *view)

    def values(self) -> Any:
        """All values as a NumPy float32 array of the tensor's shape; meant for a recipe's small tensors."""
        import numpy

        return numpy.frombuffer(self.widened(), numpy.float32).reshape(self.shape)

    def floats(self) -> list[float]:
        """All values in C order, without NumPy; meant for a few."""
        values: list[float] = [*memoryview(self.widened()).cast("f")]
        return values

    def renamed(self, name: str) -> Tensor:
        """The same view under another name."""
        return Tensor(name, self.dtype, self.shape, self.strides, self.offset, self.storage, self.half)

    def __repr__(self) -> str:
        return f"Tensor({self.name!r}, {self.dtype}, {list(self.shape)}, storage {self.storage.label})"


class Refused:
    """Something in a state_dict that stands where a tensor should and cannot be written; exporting it is an error."""

    __slots__ = ("kind", "name", "way_out")

    def __init__(self, name: str, kind: str, way_out: str) -> None:
        self.name = name
        self.kind = kind
        """what it is: "a sparse tensor", "a quantized tensor (qint8)" """
        self.way_out = way_out

    def renamed(self, name: str) -> Refused:
        """The same under another name."""
        return Refused(name, self.kind, self.way_out)


def is_possible(shape: Iterable[int]) -> bool:
    """Whether an array may have a shape: 63 bits must count its bytes without the zeros, too, as NumPy asks."""
    reach = 4
    for size in shape:
        reach *= max(size, 1)
        if reach >= 1 << 63:
            return False
    return True


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a C-ordered tensor."""
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def memory_storage(label: str, data: Buffer) -> Storage:
    """A storage over the bytes of a Python object."""
    address, size = _core_address(data)
    return Storage(label, size, address=address, owner=data)


def spilled_storage(label: str, size: int, chunks: Iterable[Buffer]) -> Storage:
    """A storage of bytes that are made chunk by chunk, in a temporary file: for those that are too large for memory.

    Raises Error where that cannot be written.
    """
    import tempfile

    try:
        spill = _Spill(tempfile.TemporaryFile())  # noqa: SIM115
        for chunk in chunks:
            spill.file.write(chunk)
        spill.file.flush()
    except OSError as error:  # of the temporary folder, not of whatever is written in the meantime
        from .errors import Error

        raise Error(
            f"the storage {label} of {size} bytes needs a temporary file, which cannot be written: "
            f"{error.strerror or error}; make room for it, or name another folder with TMPDIR"
        ) from None
    return Storage(label, size, file=spill.file.fileno(), owner=spill)


class _Spill:
    """An unnamed temporary file, closed when the storage that owns it goes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __del__(self) -> None:
        self.file.close()


def _core_address(data: Any) -> tuple[int, int]:
    from ._core import address

    return address(data)
