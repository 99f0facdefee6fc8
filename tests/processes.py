"""Runs pywts in processes of its own: the command line, and scripts in a fresh interpreter."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pywts

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

TIMEOUT = 120
"""Seconds after which a process has hung; no test measures time by it."""

ELSEWHERE = tempfile.gettempdir()
"""Where children run: not in the repository, whose sources may lack the native module."""

_PACKAGE_HOME = str(Path(pywts.__file__).resolve().parent.parent)

_TO_ITS_END: dict[str, Any] = {
    "capture_output": True, "text": True, "timeout": TIMEOUT, "cwd": ELSEWHERE, "check": False
}  # fmt: skip


def environment(**changes: str) -> dict[str, str]:
    """The environment of a child that finds the same pywts."""
    path = os.pathsep.join(filter(None, [_PACKAGE_HOME, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **changes}


def command(*arguments: str | os.PathLike[str]) -> list[str]:
    """The command line of pywts."""
    return [sys.executable, "-m", "pywts", *map(os.fspath, arguments)]


def run(*arguments: str | os.PathLike[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """``pywts ARGUMENTS`` to its end."""
    return subprocess.run(command(*arguments), **{**_TO_ITS_END, "env": environment(), **more})


def start(*arguments: str | os.PathLike[str], **more: Any) -> subprocess.Popen[bytes]:
    """``pywts ARGUMENTS``, running."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(), "cwd": ELSEWHERE, **more}
    return subprocess.Popen(command(*arguments), **options)


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Let the system refuse what goes beyond so many bytes of a file, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def drawn_on(terminal: int) -> str:
    """All that is written to a terminal until its other side is closed; ``terminal`` is this side, which is closed."""
    drawn = bytearray()
    try:
        while True:
            drawn += os.read(terminal, 65536)
    except OSError:  # the other side was closed
        return drawn.decode()
    finally:
        os.close(terminal)


def python(script: str, *arguments: str | os.PathLike[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """A script in a fresh interpreter, to its end."""
    arguments = tuple(map(os.fspath, arguments))
    return subprocess.run([sys.executable, "-c", script, *arguments], **{**_TO_ITS_END, "env": environment(), **more})


def tool_path(name: str) -> str | None:
    """Where a program is: beside this Python, where pip puts it, or on the path."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
