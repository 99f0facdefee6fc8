"""safetensors files: 8 bytes of length, a JSON header of dtypes, shapes and spans, then the values, little-endian.

The rules are those of the format's own reader: the spans cover everything after the header, without a hole or an
overlap, and each is exactly as long as its shape and dtype say. The tensors' order is that of their bytes, as
``safetensors.torch.load_file`` has it; the header's own order is that of the writer's hash table.
"""

from __future__ import annotations

import sys

from ..errors import CheckpointError, LimitError, repeated, shown
from ..tensor import ITEM_SIZES, Refused, Storage, Tensor, contiguous_strides
from .named import NamedTensors
from .rebuild import MOST_AXES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits
    from .files import SourceFile

_DTYPES = {
    "F32": ("float32", 32), "F16": ("float16", 16), "BF16": ("bfloat16", 16), "F64": ("float64", 64),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8), "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "I8": ("int8", 8), "I16": ("int16", 16), "I32": ("int32", 32), "I64": ("int64", 64),
    "U8": ("uint8", 8), "U16": ("uint16", 16), "U32": ("uint32", 32), "U64": ("uint64", 64), "BOOL": ("bool", 8),
    "C64": ("complex64", 64), "F4": ("", 4), "F6_E2M3": ("", 6), "F6_E3M2": ("", 6),
}  # fmt: skip
"""torch's names ("" where a .wts cannot be written), and the bits of an element."""

_HEADER_LIMIT = 100_000_000
"""Bytes of the header, as the format's own reader bounds it."""


def open_safetensors(file: SourceFile, limits: Limits) -> NamedTensors:
    """Read the header; the values stay where they are."""
    length = int.from_bytes(file.read(0, 8), "little")
    if length > _HEADER_LIMIT:
        raise LimitError(f"{file.name}: a safetensors header of {length} bytes, over the limit of {_HEADER_LIMIT}")
    header = _parsed(file, file.read(8, length))
    if len(header) > limits.tensors:
        raise LimitError(f"{file.name}: {len(header)} tensors, over the limit of {limits.tensors}")
    start = 8 + length
    entries = [_checked(file, name, entry) for name, entry in header.items()]
    entries.sort(key=lambda entry: entry[3:])  # by span; of the empty ones at one place the header's order stays
    root: dict[str, Tensor | Refused] = {}
    covered = 0
    for name, dtype, shape, begin, end in entries:
        if begin != covered:
            what = "overlaps the one before it" if begin < covered else f"leaves a hole of {begin - covered} bytes"
            raise _damaged(file, f"tensor {shown(name)} {what}, at byte {start + begin}")
        covered = end
        if dtype not in ITEM_SIZES:
            root[name] = _refused(name, dtype)
            continue
        storage = Storage(
            name if name.isprintable() else shown(name),
            end - begin,
            file=file.descriptor,
            file_offset=start + begin,
            swapped=sys.byteorder == "big",
        )
        root[name] = Tensor(name, dtype, shape, contiguous_strides(shape), 0, storage)
    if start + covered != file.size:
        raise _damaged(file, f"the tensors end at byte {start + covered}, the file at {file.size}")
    return NamedTensors(file.name, "safetensors", root, limits, file.close)


def _parsed(file: SourceFile, text: bytes) -> dict[str, Any]:
    """The header without its metadata; a name that stands there twice is an error."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            twice = repeated([name for name, _ in pairs])
            raise _damaged(file, f"the header has {shown(twice)} twice")
        return result

    try:
        header = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _damaged(file, f"the header is no JSON: {shown(error)}") from None
    if type(header) is not dict:
        raise _damaged(file, "the header is no JSON object")
    header.pop("__metadata__", None)
    return header


def _checked(file: SourceFile, name: str, entry: Any) -> tuple[str, str, tuple[int, ...], int, int]:
    """An entry of the header: (name, dtype, shape, begin, end), the span as long as the shape says."""
    try:
        code, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise _damaged(file, f"the entry of {shown(name)} lacks its dtype, shape or data_offsets") from None
    if type(shape) is not list or any(type(value) is not int or value < 0 for value in (*shape, begin, end)):
        raise _damaged(file, f"the entry of {shown(name)} has a shape or span that is no row of natural numbers")
    if type(code) is not str or code not in _DTYPES:
        raise CheckpointError(
            f"{file.name}: tensor {shown(name)} has the dtype {shown(code)}, which is unknown; save it as F32"
        )
    if len(shape) > MOST_AXES:
        raise _damaged(file, f"tensor {shown(name)} has {len(shape)} axes, over the limit of {MOST_AXES}")
    dtype, bits = _DTYPES[code]
    numel = 1
    for size in shape:
        numel *= size
    if max(numel, *shape, 0) >= 1 << 62 or numel * bits != 8 * (end - begin):
        raise _damaged(
            file, f"tensor {shown(name)} of {shown(code)} {shown(shape)} has a span of {shown(end - begin)} bytes"
        )
    return name, dtype, tuple(shape), begin, end


def _refused(name: str, dtype: str) -> Refused:
    if dtype.startswith("complex"):
        return Refused(name, f"a complex tensor ({dtype})", "save .real and .imag instead")
    return Refused(name, "a tensor of 4 or 6 bits an element", "dequantize it before it is saved")


def _damaged(file: SourceFile, what: str) -> CheckpointError:
    return CheckpointError(f"{file.name}: damaged safetensors: {what}; copy or download it again")
