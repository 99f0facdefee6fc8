"""Encodes what it reads on standard input, by the kernel that PYWTS_KERNEL names: one process serves many examples.

A request is a line of JSON (dtype, shape, strides, offset, size), then so many bytes; an answer is a line of JSON (the
text's size, or an error), then the text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class KernelServer:
    """A running process that encodes by one kernel."""

    def __init__(self, kernel: str) -> None:
        from processes import ELSEWHERE, environment

        self.kernel = kernel
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(PYWTS_KERNEL=kernel),
            cwd=ELSEWHERE,
        )

    def encode(
        self,
        dtype: str,
        data: bytes,
        shape: tuple[int, ...] | None = None,
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
    ) -> bytes:
        """The text of a view of ``data``; the whole of it without a shape."""
        process = self._process
        assert process.stdin
        assert process.stdout
        request = {"dtype": dtype, "size": len(data), "shape": shape, "strides": strides, "offset": offset}
        process.stdin.write(json.dumps(request).encode() + b"\n" + data)
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"the process that ran kernel {self.kernel} died: {process.wait()}"
        answer = json.loads(line)
        assert answer["kernel"] == self.kernel
        if "error" in answer:
            raise AssertionError(answer["error"])
        return process.stdout.read(answer["size"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _answer(request: dict[str, Any], data: bytes) -> bytes:
    import pywts
    from pywts.tensor import ITEM_SIZES, Tensor, contiguous_strides, memory_storage

    shape = tuple(request["shape"]) if request["shape"] is not None else (len(data) // ITEM_SIZES[request["dtype"]],)
    strides = tuple(request["strides"]) if request["strides"] is not None else contiguous_strides(shape)
    tensor = Tensor("tensor", request["dtype"], shape, strides, request["offset"], memory_storage("given", data))
    return pywts.encode(tensor)


def _serve() -> None:
    import pywts

    active = next(kernel.name for kernel in pywts.kernels() if kernel.active)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["size"])
        answer: dict[str, Any] = {"kernel": active}
        text = b""
        try:
            text = _answer(request, data)
            answer["size"] = len(text)
        except pywts.Error as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + text)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
