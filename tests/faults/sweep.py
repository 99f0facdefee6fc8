"""Runs command lines again and again, each time with one more call to the system that fails, and tells what came of it.

Run with ``failing.c`` preloaded: ``sweep.py CALL ERRNO UNDER ALWAYS NAMELESS OUT OLD -- ARGUMENTS``. ``OUT`` is the
folder that is written to, ``OLD`` a folder that holds what was there before. Prints one JSON object a run, the last of
which met no failure.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import shutil
import sys
import zlib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pywts.cli import main

MOST = 60


def run(arguments: list[str]) -> dict[str, object]:
    """What a command line says and returns; ``raised`` where it does neither."""
    out, err = io.StringIO(), io.StringIO()
    raised = ""
    code = None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        except BaseException as error:
            raised = repr(error)
    return {"code": code, "raised": raised, "stdout": out.getvalue(), "stderr": err.getvalue()}


def restore(out: Path, old: Path) -> None:
    """Put back what was there before."""
    shutil.rmtree(out)
    shutil.copytree(old, out)


def contents(folder: Path) -> dict[str, int]:
    """The CRC32 of everything in a folder, by name."""
    return {name: zlib.crc32((folder / name).read_bytes()) for name in sorted(os.listdir(folder))}


def sweep(call: str, number: int, under: str, always: bool, out: Path, old: Path, arguments: list[str]) -> None:
    """Fail the first call, the second, and so on, until a run makes fewer."""
    failing = ctypes.CDLL(None)
    run(arguments)  # imports everything
    for at in range(1, MOST):
        restore(out, old)
        failing.fail_arm(call.encode(), under.encode(), ctypes.c_long(at), number, int(always))
        told = run(arguments)
        told["hits"] = failing.fail_hits()
        failing.fail_arm(b"", b"", ctypes.c_long(0), 0, 0)
        told["left"] = contents(out)
        again = run(arguments) if told["hits"] else told
        told["again"] = again["code"]
        told["after"] = contents(out)
        print(json.dumps(told))
        if not told["hits"]:
            return


if __name__ == "__main__":
    _call, _number, _under, _always, _nameless, _out, _old, _, *_arguments = sys.argv[1:]
    ctypes.CDLL(None).fail_nameless(int(_nameless))
    sweep(_call, int(_number), _under, _always == "1", Path(_out), Path(_old), _arguments)
