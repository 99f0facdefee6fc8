"""What systems differ in: Linux has it all, others get what comes nearest."""

from __future__ import annotations

import os
import sys


def processors() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sync_data(descriptor: int) -> None:
    """Wait until the disk has a file's bytes."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


def write_all(descriptor: int, text: bytes) -> None:
    """Write all of a text."""
    left = memoryview(text)
    while left:
        left = left[os.write(descriptor, left) :]


def path_of(descriptor: int) -> str:
    """A path by which the file of an open descriptor can be opened anew; Linux has one also where it has no name."""
    if sys.platform == "darwin":
        import fcntl

        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return f"/proc/self/fd/{descriptor}"
