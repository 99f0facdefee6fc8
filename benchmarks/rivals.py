"""The ways to write a .wts that pywts is measured against. Each gives the same bytes."""

from __future__ import annotations

import struct
from typing import Any, TextIO


def struct_two_writes(file: TextIO, values: Any) -> None:
    """The loop that everyone copies: value by value, a write for the space and one for the digits."""
    for value in values:
        file.write(" ")
        file.write(struct.pack(">f", float(value)).hex())


def reference_script(state_dict: dict[str, Any], file: TextIO) -> None:
    """The whole file, as the reference scripts write it."""
    file.write(f"{len(state_dict.keys())}\n")
    for name, tensor in state_dict.items():
        values = tensor.reshape(-1).cpu().numpy()
        file.write(f"{name} {len(values)} ")
        struct_two_writes(file, values)
        file.write("\n")


def numpy_hex(values: Any) -> str:
    """The best that pure Python offers: byte order by NumPy, digits by ``bytes.hex`` with a separator."""
    return str(values.astype(">f4").tobytes().hex(" ", 4))


def numpy_script(state_dict: dict[str, Any], file: TextIO) -> None:
    """The whole file by ``numpy_hex``."""
    file.write(f"{len(state_dict.keys())}\n")
    for name, tensor in state_dict.items():
        values = tensor.reshape(-1).cpu().numpy()
        file.write(f"{name} {len(values)} ")
        if len(values):
            file.write(" ")
            file.write(numpy_hex(values))
        file.write("\n")


def load_like_the_scripts(path: str) -> dict[str, Any]:
    """``torch.load``, ema or model, float: the state_dict that the reference scripts write."""
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model = checkpoint["ema" if checkpoint.get("ema") else "model"].float()
    return dict(model.state_dict())


def main(way: str, source: str, output: str) -> None:
    """One rival as a whole command: ``rivals.py struct|numpy CHECKPOINT OUTPUT``."""
    state_dict = load_like_the_scripts(source)
    with open(output, "w") as file:
        {"struct": reference_script, "numpy": numpy_script}[way](state_dict, file)


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
