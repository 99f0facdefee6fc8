"""Catches a process in the middle of writing a file, and holds it there."""

from __future__ import annotations

import os
import signal
import subprocess
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
        for size in sizes_of_open(process.pid, folder):
            if size > 0:
                process.send_signal(signal.SIGSTOP)
                sizes = [size for size in sizes_of_open(process.pid, folder) if size > 0]
                if sizes and max(sizes) < 9 * VALUES:
                    return True
                process.send_signal(signal.SIGCONT)
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
