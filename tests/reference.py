r"""The one oracle: what the reference script writes, as slowly and as plainly as the script does it.

The script that everyone copies is, in full::

    for k, v in model.state_dict().items():
        vr = v.reshape(-1).cpu().numpy()
        f.write("{} {} ".format(k, len(vr)))
        for vv in vr:
            f.write(" ")
            f.write(struct.pack(">f", float(vv)).hex())
        f.write("\n")

Only what NumPy has no dtype for (bfloat16, the float8 kinds) is decoded here, bit by bit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy

GAPS = {"double": " ", "single": ""}


def reference_wts(named_values: Mapping[str, Any] | Iterable[tuple[str, Any]], dialect: str = "double") -> bytes:
    """The text of a .wts. A value is a torch tensor, a NumPy array, or ``Foreign`` bits."""
    items = list(named_values.items() if isinstance(named_values, Mapping) else named_values)
    text = [f"{len(items)}\n"]
    for name, value in items:
        values = flat(value)
        text.append(f"{name} {len(values)}{GAPS[dialect]}")
        text.append(reference_values(values))
        text.append("\n")
    return "".join(text).encode()


def reference_values(values: Iterable[Any]) -> str:
    """The values of one line, each after a space."""
    return "".join(" " + struct.pack(">f", float(value)).hex() for value in values)


def fast_wts(named_values: Mapping[str, Any]) -> bytes:
    """The same for large float32, float16 and int64 tensors, by ``bytes.hex``; a test holds it against the loop."""
    text = [f"{len(named_values)}\n".encode()]
    for name, value in named_values.items():
        values = numpy.asarray(flat(value)).astype(numpy.float64).astype(">f4")
        text.append(f"{name} {values.size} ".encode())
        if values.size:
            text.append(b" " + values.tobytes().hex(" ", 4).encode())
        text.append(b"\n")
    return b"".join(text)


def flat(value: Any) -> Any:
    """All values in C order: NumPy scalars as the script meets them, or floats that were decoded here."""
    if isinstance(value, numpy.ndarray | numpy.generic):
        return value.reshape(-1)
    if isinstance(value, Foreign):
        return [value.decode(bits) for bits in value.bits.reshape(-1).tolist()]
    name = str(value.dtype).removeprefix("torch.")
    if name in DECODERS:  # NumPy has no such dtype: take the bits
        import torch

        bits = value.detach().cpu().reshape(-1).view(torch.uint8).numpy()
        return flat(Foreign(name, bits.view(numpy.uint16) if name == "bfloat16" else bits))
    return value.detach().reshape(-1).cpu().numpy()


class Foreign:
    """The bits of values whose dtype NumPy lacks."""

    def __init__(self, dtype: str, bits: numpy.ndarray) -> None:
        self.dtype = dtype
        self.bits = bits
        self.decode = DECODERS[dtype]


def _bfloat16(bits: int) -> float:
    return float(numpy.array([bits << 16], numpy.uint32).view(numpy.float32)[0])


def _float8_e5m2(bits: int) -> float:
    return float(numpy.array([bits << 8], numpy.uint16).view(numpy.float16)[0])


def _float8_e4m3fn(bits: int) -> float:
    if bits & 0x7F == 0x7F:
        return _nan(bits >> 7, 0x700000)
    return _small(bits, exponent_bits=4, mantissa_bits=3, bias=7)


def _float8_e4m3fnuz(bits: int) -> float:
    return _nan(0, 0x400001) if bits == 0x80 else _small(bits, exponent_bits=4, mantissa_bits=3, bias=8)


def _float8_e5m2fnuz(bits: int) -> float:
    return _nan(0, 0x400001) if bits == 0x80 else _small(bits, exponent_bits=5, mantissa_bits=2, bias=16)


def _float8_e8m0fnu(bits: int) -> float:
    return _nan(0, 0x400001) if bits == 0xFF else 2.0 ** (bits - 127)


def _small(bits: int, exponent_bits: int, mantissa_bits: int, bias: int) -> float:
    """IEEE 754 in the small: sign, exponent, mantissa; an exponent of zero is subnormal."""
    sign = -1.0 if bits >> (exponent_bits + mantissa_bits) else 1.0
    exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1)
    fraction = (bits & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


def _nan(sign: int, fraction: int) -> float:
    """The float whose binary32 is a NaN with these 23 bits."""
    return struct.unpack(">d", struct.pack(">Q", sign << 63 | 0x7FF << 52 | fraction << 29))[0]


DECODERS = {
    "bfloat16": _bfloat16,
    "float8_e4m3fn": _float8_e4m3fn,
    "float8_e4m3fnuz": _float8_e4m3fnuz,
    "float8_e5m2": _float8_e5m2,
    "float8_e5m2fnuz": _float8_e5m2fnuz,
    "float8_e8m0fnu": _float8_e8m0fnu,
}

NUMPY_DTYPES = (
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip

DTYPES = (*NUMPY_DTYPES, *DECODERS)
"""Every dtype that a .wts can be written from."""


def item_size(dtype: str) -> int:
    """Bytes an element."""
    if dtype in DECODERS:
        return 2 if dtype == "bfloat16" else 1
    return numpy.dtype(dtype).itemsize


def of_bytes(dtype: str, data: bytes) -> numpy.ndarray | Foreign:
    """Elements of any dtype from their bytes in native order."""
    if dtype in DECODERS:
        return Foreign(dtype, numpy.frombuffer(data, numpy.uint16 if dtype == "bfloat16" else numpy.uint8))
    return numpy.frombuffer(data, dtype)
