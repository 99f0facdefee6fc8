"""Reads .wts files: one tensor by its name, or all at once. The decoder is that of csrc/include/wts.hpp."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ._core import Reader, WtsFault
from .errors import LimitError, MissingTensorError, OptionError, WtsError, shown
from .layout import TEXT_PER_VALUE
from .records import Record
from .tensor import Storage, Tensor, contiguous_strides, memory_storage, spilled_storage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy import float32
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from ._core import Values
    from .checkpoint.named import NamedTensors
    from .limits import Limits
    from .sidecar import Sidecar

    Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Array = NDArray[float32]

_BLOCK_VALUES = 8 << 20
_ALIGN_VALUES = 16  # a cache line
_CHUNK_VALUES = 1 << 20
_IN_MEMORY = 64 << 20


class StoredTensor(Record):
    """One line of a .wts."""

    name: str
    values: int
    shape: tuple[int, ...] | None
    """from the sidecar; None without one"""
    dtype: str | None
    """of the source, from the sidecar; the .wts holds float32"""
    offset: int
    """of the first value's first digit in the file"""
    line: int
    """counted from 1"""
    dialect: str
    """"double", "single", and what others write: "spaced", "0x", "typed", "typed half" """


class WtsFile(Mapping[str, "Array"]):
    """An open .wts: a mapping from names to float32 arrays, in the file's order.

    Opening reads where the lines begin and end; a tensor is decoded, and checked digit by digit, whenever it is asked
    for. ``file["name"]`` is a new array each time, of the sidecar's shape, or flat without a sidecar. Use it as a
    context manager, or ``close`` it. Several threads may read at once.
    """

    def __init__(self, path: Path, sidecar: bool | Path = True) -> None:
        self.path = os.fsdecode(path)
        self._reader: Reader | None = reader_of(self.path)
        self._lines = self._reader.tensors()
        self._places = {line[0]: place for place, line in enumerate(self._lines)}
        self.sidecar: Sidecar | None = _sidecar(self.path, sidecar, self._lines)

    @property
    def names(self) -> list[str]:
        """All names, in the file's order."""
        return list(self._places)

    @property
    def tensors(self) -> tuple[StoredTensor, ...]:
        """What is known of every tensor without decoding it."""
        return tuple(map(self.info, self._places))

    def info(self, name: str) -> StoredTensor:
        """What is known of a tensor without decoding it."""
        place = self._places.get(name)
        if place is None:
            raise self._missing(name)
        _, values, offset, line, dialect = self._lines[place]
        if self.sidecar is None:
            return StoredTensor(name, values, None, None, offset, line, dialect)
        told = self.sidecar.tensors[place]
        return StoredTensor(name, values, told.shape, told.dtype, offset, line, dialect)

    def numel(self, name: str) -> int:
        """The number of a tensor's values."""
        return self.info(name).values

    def __getitem__(self, name: str) -> Array:
        """Decode a tensor into a new array."""
        array, reader = _empty(self.info(name)), self.reader
        if array.size:
            reading(reader.read, self._places[name], array)
        return array

    def load(self) -> dict[str, Array]:
        """Decode every tensor. Arrays share blocks of up to 32 MiB: copy one that is kept when the others go."""
        arrays = dict(zip(self._places, _in_blocks(self.tensors), strict=True))
        reading(self.reader.read_all, list(arrays.values()))
        return arrays

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._lines)

    def __repr__(self) -> str:
        values = sum(line[1] for line in self._lines)
        return f"<{type(self).__name__} {shown(self.path)}: {len(self):,} tensors, {values:,} values>"

    __eq__ = object.__eq__  # two mappings are compared by decoding both, and arrays have no truth
    __hash__ = object.__hash__

    @property
    def reader(self) -> Reader:
        """What decodes."""
        if self._reader is None:
            raise WtsError(f"{self.path}: was closed")
        return self._reader

    def close(self) -> None:
        """Close the file; arrays that were decoded stay."""
        self._reader = None

    def __enter__(self) -> WtsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _missing(self, name: object) -> MissingTensorError:
        text = f"{self.path}: has no tensor {shown(name)}"
        if isinstance(name, str) and self._reader is not None:
            near = self._reader.nearest(name.encode("utf-8", "surrogatepass"))
            text += "; there is " + ", ".join(map(shown, near)) if near else ""
        error = MissingTensorError(text)
        error.tensor = str(name)
        return error

    def described(self) -> dict[str, Tensor]:
        """Every tensor's description, by name."""
        return {tensor.name: _described(self, tensor) for tensor in self.tensors}

    def as_checkpoint(self, limits: Limits) -> NamedTensors:
        """The file as a source of tensors, as checkpoints are. Raises LimitError where it has too many."""
        from .checkpoint.named import NamedTensors

        if len(self) > limits.tensors:
            raise LimitError(f"{self.path}: {len(self)} tensors, over the limit of {limits.tensors}")
        return NamedTensors(self.path, ".wts", {**self.described()}, limits, self.close)


def open(path: Path, *, sidecar: bool | Path = True) -> WtsFile:
    """Open a .wts as a lazy mapping from names to float32 arrays.

    path: the .wts, of any dialect.
    sidecar: where shapes are: True is ``NAME.wts.json`` beside it, if there is one; False looks at none; or a path.

    Raises WtsError: what is no .wts, is damaged, or does not fit its sidecar.
    """
    return WtsFile(path, sidecar)


def load(path: Path, *, sidecar: bool | Path = True) -> dict[str, Array]:
    """All tensors of a .wts: a dict from names to float32 arrays, of the sidecar's shapes, or flat without a sidecar.

    The arrays are new; they share blocks of up to 32 MiB, so copy one that is to be kept when the others go.

    path, sidecar: as for ``open``.

    Raises WtsError, which names line, tensor and byte of what is wrong.
    """
    with WtsFile(path, sidecar) as file:
        return file.load()


def decode(text: Buffer) -> Array:
    """The float32 values of a text as ``encode`` gives it: 9 bytes each, a space and 8 hex digits of either case.

    Raises WtsError for any other text.
    """
    import numpy

    from . import _core

    view = memoryview(text)
    if not view.c_contiguous:
        text = view.tobytes()
    size = view.nbytes
    array = numpy.empty(size // TEXT_PER_VALUE, numpy.float32)
    wrong = reading(_core.decode, text, array)
    if wrong >= 0:
        index, place = divmod(wrong, TEXT_PER_VALUE)
        if wrong >= size:
            raise WtsError(f"the text ends within value {index}: it has {size} bytes, and a value takes 9")
        byte = bytes(memoryview(text).cast("B")[wrong : wrong + 1])
        raise WtsError(f"value {index}, byte {wrong}: {byte!r} is no {'hex digit' if place else 'space'}")
    return array


class WtsStorage(Storage):
    """The values of one line; loaded whole only where a view of them is asked for."""

    __slots__ = ("place", "wts")

    def __init__(self, wts: WtsFile, tensor: StoredTensor, place: int) -> None:
        def load() -> Storage:
            if self.size > _IN_MEMORY:
                return spilled_storage(self.label, self.size, chunks(self.values()))
            data = bytearray(self.size)
            reading(wts.reader.read, place, data)
            return memory_storage(self.label, data)

        super().__init__(f"of line {tensor.line}", 4 * tensor.values, load=load)
        self.wts = wts
        self.place = place

    def values(self) -> Values:
        """The values, to be read in parts."""
        return self.wts.reader.values(self.place)


def chunks(values: Values) -> Iterator[memoryview]:
    """Values as float32, chunk by chunk; a chunk is good until the next."""
    size = values.size
    step = max(values.part, _CHUNK_VALUES)
    buffer = memoryview(bytearray(4 * min(size, step)))
    for begin in range(0, size, step):
        end = min(size, begin + step)
        chunk = buffer[: 4 * (end - begin)]
        reading(values.read, begin, end, chunk)
        yield chunk


def _described(file: WtsFile, tensor: StoredTensor) -> Tensor:
    shape = tensor.shape if tensor.shape is not None else (tensor.values,)
    storage = WtsStorage(file, tensor, file._places[tensor.name])
    return Tensor(tensor.name, "float32", shape, contiguous_strides(shape), 0, storage)


def values_of(tensor: Tensor) -> Values:
    """A tensor's values, to be read in parts."""
    from ._core import Values

    storage = tensor.storage
    if isinstance(storage, WtsStorage) and not tensor.half:
        return storage.values()
    loaded = storage.load() if storage.load is not None else storage
    view = (tensor.dtype, loaded.swapped, tensor.half, tensor.offset, tensor.shape, tensor.strides)
    if loaded.file >= 0:
        return Values.of_file(loaded.file, loaded.file_offset, loaded.size, *view, loaded)
    return Values.of_memory(loaded.address, loaded.size, *view, loaded)


def reader_of(path: str) -> Reader:
    """Open a file for the core; a pipe is read here to its end, so that a signal is heeded meanwhile."""
    return reading(Reader, os.fsencode(path), _piped(path))


def _piped(path: str) -> bytes | None:
    import io
    import stat

    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None  # the core says what is wrong
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):  # which may never end
        raise WtsError(f"{path}: is a device; name a file, or a pipe")
    try:
        with io.FileIO(path) as pipe:
            return pipe.readall()
    except OSError as error:
        raise WtsError(f"{path}: {error.strerror}") from None


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")


def reading(call: Callable[..., T], *arguments: Any) -> T:
    """Call the core's reader; its errors become the user's."""
    try:
        return call(*arguments)
    except WtsFault as fault:
        code, text, tensor, line, offset = fault.args
        if code == "kernel":
            raise OptionError(text) from None
        error = WtsError(text)
        error.tensor, error.line, error.offset = tensor, line, offset
        raise error from None


def _sidecar(path: str, wanted: bool | Path, lines: list[tuple[str, int, int, int, str]]) -> Sidecar | None:
    if wanted is False:
        return None
    beside = f"{path}.json" if wanted is True else os.fsdecode(wanted)
    if wanted is True and not os.path.exists(beside):
        return None
    from .sidecar import check_fits, read_sidecar

    found = read_sidecar(beside, lines)
    check_fits(found, path, lines)
    return found


def _empty(tensor: StoredTensor) -> Array:
    import numpy

    return numpy.empty(tensor.values if tensor.shape is None else tensor.shape, numpy.float32)


def _in_blocks(tensors: tuple[StoredTensor, ...]) -> Iterator[Array]:
    """The same for many: views of large blocks, which come in huge pages; most arrays alone are too small for one."""
    import numpy

    left = sum(map(_room, tensors))
    block = numpy.empty(0, numpy.float32)
    used = 0
    for tensor in tensors:
        room = _room(tensor)
        if used + room > block.size:
            block, used = numpy.empty(max(room, min(left, _BLOCK_VALUES)), numpy.float32), 0
        array = block[used : used + tensor.values]
        yield array if tensor.shape is None else array.reshape(tensor.shape)
        used += room
        left -= room


def _room(tensor: StoredTensor) -> int:
    return -(-tensor.values // _ALIGN_VALUES) * _ALIGN_VALUES
