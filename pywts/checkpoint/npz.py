"""NumPy's ``.npz``: a zip of ``NAME.npy`` files, each a header of text and an array's bytes."""

from __future__ import annotations

from ..errors import CheckpointError, shown
from ..tensor import ITEM_SIZES, Tensor, contiguous_strides
from .named import NamedTensors
from .rebuild import MOST_AXES, numpy_dtype, refused_array
from .zip import storage_of_entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..limits import Limits
    from ..tensor import Refused
    from .archive import Archive, Entry
    from .files import SourceFile

_HEADER_LIMIT = 1 << 16
_HEADER = (
    rb"\{'descr': '([<>|=]\w+)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,18}L?(?:, ?|(?=\))))*)\),? ?\}\s*"
)


def is_npz(archive: Archive) -> bool:
    """Whether an archive holds arrays and nothing else."""
    names = archive.names()
    return bool(names) and all(name.endswith(".npy") for name in names)


def open_npz(file: SourceFile, archive: Archive, limits: Limits) -> NamedTensors:
    """Describe every array, in the order of the archive's directory."""
    root = {}
    for file_name in archive.names():
        name = file_name.removesuffix(".npy")
        entry = archive.find(file_name)
        assert entry is not None  # it is in the directory
        root[name] = _array(archive, entry, name, limits)
    return NamedTensors(file.name, "NumPy archive", root, limits, file.close)


def _array(archive: Archive, entry: Entry, name: str, limits: Limits) -> Tensor | Refused:
    import re

    head = _head(archive, entry)
    wide = head[6:7] >= b"\x02"
    start = (12 if wide else 10) + int.from_bytes(head[8 : 12 if wide else 10], "little")
    if head[:6] != b"\x93NUMPY" or start > len(head):
        raise CheckpointError(f"{archive.file.name}: {shown(entry.name)} is no NumPy array; copy it again")
    found = re.fullmatch(_HEADER, head[12 if wide else 10 : start])
    dtype, swapped = numpy_dtype(found[1].decode()) if found else ("records", False)
    if found is None or dtype not in ITEM_SIZES:
        return refused_array(name, dtype)
    shape = tuple(int(size.rstrip(b"L")) for size in found[3].replace(b" ", b"").split(b",") if size)
    strides = contiguous_strides(shape[::-1])[::-1] if found[2] == b"True" else contiguous_strides(shape)
    if len(shape) > MOST_AXES:
        raise CheckpointError(
            f"{archive.file.name}: {shown(entry.name)} has {len(shape)} axes; it is damaged or hostile"
        )
    size = ITEM_SIZES[dtype]
    for length in shape:
        size *= length
    if start + size != entry.size:
        raise CheckpointError(
            f"{archive.file.name}: {shown(entry.name)} has {entry.size - start} bytes of values, {list(shape)} {dtype} "
            f"takes {size}; copy it again"
        )
    return Tensor(name, dtype, shape, strides, 0, storage_of_entry(archive, entry, start, size, swapped, limits))


def _head(archive: Archive, entry: Entry) -> bytes:
    if entry.stored:
        return archive.file.read(entry.offset, min(entry.size, _HEADER_LIMIT))
    return next(archive.chunks(entry, _HEADER_LIMIT), b"")
