"""CPython's own unpicklers, in a process of their own, with everything that they import replaced by a stand-in.

A line of hex in, a line of JSON out: ``{"c": [[module, name], ...], "python": [...], "whole": bool}``. The names under
"c" are those that the unpickler in C asked for, as the pickle has them; under "python" those that the one in Python
would import, after the renaming of Python 2's.
"""

from __future__ import annotations

import _compat_pickle
import io
import json
import pickle
import resource
import subprocess
import sys
from typing import Any


class _Meta(type):
    def append(cls, *_: object) -> None: ...
    def extend(cls, *_: object) -> None: ...
    def add(cls, *_: object) -> None: ...
    def __setitem__(cls, *_: object) -> None: ...
    def __setstate__(cls, _: object) -> None: ...


class _StandIn(metaclass=_Meta):
    def __new__(cls, *_: object, **__: object) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None: ...
    def __call__(self, *_: object, **__: object) -> _StandIn:
        return self

    def append(self, *_: object) -> None: ...
    def extend(self, *_: object) -> None: ...
    def add(self, *_: object) -> None: ...
    def __setitem__(self, *_: object) -> None: ...
    def __setstate__(self, _: object) -> None: ...


class _InC(pickle.Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: list[tuple[str, str]] = []

    def find_class(self, module: str, name: str) -> Any:
        self.asked.append((module, name))
        return type("StandIn", (_StandIn,), {})

    def persistent_load(self, _: object) -> Any:
        return _StandIn()


class _InPython(pickle._Unpickler):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.asked: list[tuple[str, str]] = []
        self.proto = 0

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < 3:  # as the method that this one replaces does it
            if (module, name) in _compat_pickle.NAME_MAPPING:
                module, name = _compat_pickle.NAME_MAPPING[module, name]
            elif module in _compat_pickle.IMPORT_MAPPING:
                module = _compat_pickle.IMPORT_MAPPING[module]
        self.asked.append((module, name))
        return type("StandIn", (_StandIn,), {})

    def persistent_load(self, _: object) -> Any:
        return _StandIn()


def _asked(unpickler: Any) -> tuple[list[tuple[str, str]], bool]:
    try:
        unpickler.load()
    except Exception:
        return unpickler.asked, False
    return unpickler.asked, True


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    for line in sys.stdin:
        data = bytes.fromhex(line)
        in_c, whole = _asked(_InC(data))
        in_python, _ = _asked(_InPython(data))
        print(json.dumps({"c": in_c, "python": in_python, "whole": whole}), flush=True)


class Server:
    """The process, asked from outside."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def asked(self, data: bytes) -> tuple[set[tuple[str, str]], set[tuple[str, str]], bool]:
        """What each unpickler asks for, and whether the one in C comes to the end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(data.hex() + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return set(map(tuple, told["c"])), set(map(tuple, told["python"])), told["whole"]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


if __name__ == "__main__":
    _serve()
