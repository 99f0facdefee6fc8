"""The ways to write a .wts that pywts is measured against. Each gives the same bytes.

A way writes a tensor's values, a space before each; ``script`` is the whole reference script with one of them in place
of its loop: ``rivals.py WAY CHECKPOINT OUTPUT``.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from typing import Any, TextIO


def struct_two_writes(file: TextIO, values: Any) -> None:
    """The loop that everyone copies: value by value, a write for the space and one for the digits."""
    for value in values:
        file.write(" ")
        file.write(struct.pack(">f", float(value)).hex())


def struct_join(file: TextIO, values: Any) -> None:
    """The same without its writes: one string a tensor."""
    file.write("".join([f" {struct.pack('>f', value).hex()}" for value in values.tolist()]))


def numpy_hex(values: Any) -> str:
    """Byte order by NumPy, digits by ``bytes.hex`` with a separator."""
    return str(values.astype(">f4").tobytes().hex(" ", 4))


def bytes_hex(file: TextIO, values: Any) -> None:
    """``numpy_hex``: the best that pure Python offers."""
    if len(values):
        file.write(" ")
        file.write(numpy_hex(values))


def join(file: TextIO, values: Any) -> None:
    """Digits by ``bytes.hex`` without a separator, cut and joined by f-strings."""
    digits = values.astype(">f4").tobytes().hex()
    file.write("".join([f" {digits[at : at + 8]}" for at in range(0, len(digits), 8)]))


def hexlify(file: TextIO, values: Any) -> None:
    """Digits by ``binascii.hexlify`` with a separator."""
    if len(values):
        file.write(" ")
        file.write(binascii.hexlify(values.astype(">f4").tobytes(), " ", 4).decode())


def numpy_table(file: TextIO, values: Any) -> None:
    """The strongest that we could write in NumPy: two digits a byte from a table, into rows of nine bytes."""
    import numpy

    table = numpy.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), numpy.uint16)
    text = numpy.empty((len(values), 9), numpy.uint8)
    text[:, 0] = ord(" ")
    step = 1 << 14  # in the cache
    for at in range(0, len(values), step):
        some = values[at : at + step].astype(">f4").view(numpy.uint8)
        text[at : at + step, 1:] = table[some].view(numpy.uint8).reshape(-1, 8)
    file.flush()
    file.buffer.write(text)


WAYS: dict[str, Callable[[TextIO, Any], None]] = {
    "struct, two writes a value (the scripts)": struct_two_writes,
    "struct, one join a tensor": struct_join,
    "bytes.hex": bytes_hex,
    "bytes.hex, f-strings": join,
    "binascii.hexlify": hexlify,
    "NumPy, a table of digits": numpy_table,
}


def script(path: str, output: str, way: Callable[[TextIO, Any], None]) -> None:
    """``torch.load``, ema or model, float, then the loop: as the reference scripts do it."""
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model = checkpoint["ema" if checkpoint.get("ema") else "model"].float()
    state_dict = model.state_dict()
    with open(output, "w") as file:
        file.write(f"{len(state_dict.keys())}\n")
        for name, tensor in state_dict.items():
            values = tensor.reshape(-1).cpu().numpy()
            file.write(f"{name} {len(values)} ")
            way(file, values)
            file.write("\n")


if __name__ == "__main__":
    import sys

    script(sys.argv[2], sys.argv[3], WAYS[sys.argv[1]])
