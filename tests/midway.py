"""Catches a process in the middle of writing a file, and holds it there."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from checkpoints import Storage, Tensor, save

VALUES = 1 << 26


def large_source(path: Path) -> Path:
    """A checkpoint that takes no room (its storage is a hole) and gives 600 MB of text."""
    storage = Storage("float8_e4m3fn", zeros=VALUES)
    return save(path, {"large.weight": Tensor(storage, (VALUES,), (1,))})


def hold(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Stop a process that writes a file into ``folder`` (under whatever name, or none) before it is complete.

    Returns False if it was faster.
    """
    while process.poll() is None:
        if hold_now(process.pid, folder):
            return True
    return False


def hold_now(pid: int, folder: Path) -> bool:
    """Stop a process if it has written a part of a large file of ``folder``; whether it has."""
    if not any(size > 0 for size in sizes_of_open(pid, folder)):
        return False
    with suppress(ProcessLookupError):  # it ended in the meantime
        os.kill(pid, signal.SIGSTOP)
        if any(0 < size < 9 * VALUES for size in sizes_of_open(pid, folder)):
            return True
        os.kill(pid, signal.SIGCONT)
    return False


def sizes_of_open(pid: int, folder: Path) -> list[int]:
    """Sizes of the files in a folder that a process has open for writing."""
    sizes = []
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            place = f"/proc/{pid}/fd/{number}"
            status = os.stat(place)
            if os.path.dirname(os.readlink(place)) == str(folder) and os.lstat(place).st_mode & 0o200:
                sizes.append(status.st_size)
    except OSError:  # gone in the meantime
        pass
    return sizes
