"""A source file, opened once and read by position, so that a file that shrinks is an error and nothing worse."""

from __future__ import annotations

import os
import stat
from itertools import islice

from ..errors import CheckpointError, near, shown

_LOOKED_AT = 10_000
"""Files of a folder among which a near name is looked for."""

DCP_TO_TORCH = (
    "make one file of its folder: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER NAME.pt"
)
"""The way out of the shards that torch.distributed.checkpoint writes."""


class SourceFile:
    """An open regular file. Use as a context manager."""

    base = 0
    """what to add to a position, so that it is one of the whole file; more in parts of one"""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = os.fsdecode(self.path)
        try:
            # O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
            self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise CheckpointError(f"{self.name}: no such file{_instead(self.name)}") from None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.name}: cannot be opened: {_reason(error)}") from None
        try:
            status = os.fstat(self.descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise CheckpointError(f"{self.name}: {_folder(self.name)}")
            if not stat.S_ISREG(status.st_mode):
                raise CheckpointError(f"{self.name}: is no regular file; save its content to a file first")
        except BaseException:
            os.close(self.descriptor)
            raise
        self.size = status.st_size
        self.identity = (status.st_dev, status.st_ino)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``; a file that ends before is an error."""
        parts = []
        position, left = offset, size
        while left:
            try:
                part = os.pread(self.descriptor, min(left, 1 << 30), position)
            except OSError as error:
                raise CheckpointError(f"{self.name}: byte {position} cannot be read: {_reason(error)}") from None
            if not part:
                raise CheckpointError(
                    f"{self.name}: ends at byte {position}, {left} bytes before it should; copy or download it again"
                )
            parts.append(part)
            position += len(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def crc32(self, offset: int, size: int) -> int:
        """The CRC32 of ``size`` bytes at ``offset``, which are not kept; a file that ends before is an error."""
        from .._core import CoreError, file_crc32

        try:
            return file_crc32(self.descriptor, offset, size)
        except CoreError as error:
            code, position, number = error.args
            if code == "source_read":
                raise CheckpointError(f"{self.name}: byte {position} cannot be read: {os.strerror(number)}") from None
            raise CheckpointError(
                f"{self.name}: ends at byte {position}, before it should; copy or download it again"
            ) from None

    def head(self, size: int) -> bytes:
        """The first bytes, ``size`` or as many as there are."""
        return self.read(0, min(size, self.size))

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> SourceFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _instead(path: str) -> str:
    """The way out where there is no such file: a near name, if its folder has one; what a path cannot be."""
    if path == "-":
        return "; what comes from standard input must be saved to a file first"
    if "://" in path:
        return "; download it first, or give the URL to `pywts batch`"
    folder, name = os.path.split(path)
    try:
        with os.scandir(folder or ".") as entries:
            close = near(name, [entry.name for entry in islice(entries, _LOOKED_AT)], 1)
    except (OSError, ValueError):
        return ""
    return f"; did you mean {shown(os.path.join(folder, close[0]), 300)}?" if close else ""


def _folder(path: str) -> str:
    """What a folder is, and the way out."""
    if os.path.exists(os.path.join(path, "data.pkl")):
        return "is the folder of an unpacked checkpoint; pack it again, beside it: zip -0 -r NAME.pt NAME"
    if os.path.exists(os.path.join(path, ".metadata")):
        return f"is a checkpoint of torch.distributed.checkpoint; {DCP_TO_TORCH}"
    return "is a folder; name the checkpoint in it, or use `pywts batch`"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
