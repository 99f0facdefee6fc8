"""Where the text goes: all of it or nothing.

A regular file is written beside its final place, under no name at all where the file system allows that (O_TMPFILE),
and takes the name when it is complete. What is no regular file (a device, a FIFO) is written directly and never
replaced.
"""

from __future__ import annotations

import errno
import os
import stat

from ._core import reserve
from .errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}


def default_path(source: str) -> str:
    """The .wts beside a source, as the reference scripts name it: ``a.pth.tar`` gives ``a.pth.wts``."""
    return os.path.splitext(source)[0] + ".wts"


def resolve(output: str, source: str | None) -> str:
    """The path that an output names: a folder (or what ends like one) gets the source's name."""
    if not os.path.isdir(output):
        if output.endswith(os.sep):
            raise OutputError(f"{output}: no such folder; make it first")
        return output
    if source is None:
        raise OutputError(f"{output}: is a folder, and the source has no name of its own: name the file")
    return os.path.join(output, os.path.basename(default_path(source)))


class Destination:
    """One output path, checked before the first byte is written."""

    def __init__(self, path: str, *, overwrite: bool, force: bool, source_identity: tuple[int, int] | None) -> None:
        self.path = path
        self.direct = path.startswith(("/dev/fd/", "/proc/self/fd/")) or path in ("/dev/stdout", "/dev/stderr")
        self._mode: int | None = None
        try:
            status = os.stat(path)
        except FileNotFoundError:
            self._check_folder()
            self._place = os.path.realpath(path)
            return
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                raise OutputError(f"{path}: is a folder; name the file")
            self.direct = True
        elif not self.direct:
            self._place = os.path.realpath(path)
            self._mode = stat.S_IMODE(status.st_mode)
            if source_identity == (status.st_dev, status.st_ino):
                raise OutputError(f"{path}: is the source itself; give another output with -o")
            if not overwrite:
                raise OutputError(f"{path}: exists, and overwriting was not allowed")
            if not os.access(path, os.W_OK):
                raise OutputError(f"{path}: is write-protected; change its mode, or give another output with -o")
            if status.st_size and not force:
                self._check_is_wts()

    def write(self, size: int, durable: bool, fill: Callable[[int], None]) -> None:
        """Let ``fill`` write ``size`` bytes into a descriptor, then give the whole its name."""
        try:
            if self.direct:
                self._write_directly(fill)
            else:
                self._write_aside(size, durable, fill)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}; the old state was kept") from None

    def _write_directly(self, fill: Callable[[int], None]) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            fill(descriptor)
        finally:
            os.close(descriptor)

    def _write_aside(self, size: int, durable: bool, fill: Callable[[int], None]) -> None:
        folder, name = os.path.split(self._place)
        # One name for each destination: what a killed run left is found, and taken, by the next one.
        aside = os.path.join(folder, f".{name[:200]}.pywts-part")
        nameless = True
        try:
            descriptor = os.open(folder, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            nameless = False
            aside = f"{aside}-{os.getpid()}"
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            if self._mode is not None:
                os.fchmod(descriptor, self._mode)
            reserve(descriptor, size)
            fill(descriptor)
            if durable:
                os.fdatasync(descriptor)
            if nameless:
                _replace_by_nameless(descriptor, aside, self._place)
            else:
                os.replace(aside, self._place)
            if durable:
                _sync_folder(folder)
        except BaseException:
            if not nameless:
                _remove(aside)
            raise
        finally:
            os.close(descriptor)

    def _check_folder(self) -> None:
        folder = os.path.dirname(os.path.realpath(self.path)) or "."
        if not os.path.isdir(folder):
            raise OutputError(f"{self.path}: there is no folder {folder}; make it first")

    def _check_is_wts(self) -> None:
        try:
            with open(self.path, "rb", buffering=0) as file:
                head = file.read(4096)
        except OSError as error:
            raise OutputError(
                f"{self.path}: exists and cannot be read: {error.strerror}; force=True overwrites it"
            ) from None
        if not looks_like_wts(head):
            raise OutputError(f"{self.path}: exists and is no .wts; give another output, or --force to overwrite it")


def looks_like_wts(head: bytes) -> bool:
    """Whether a file's first bytes could be a .wts: a count, then a line that starts with a name and a number."""
    lines = head.lstrip(b"\r\n\t ").split(b"\n", 2)
    if not lines[0].strip().isdigit() or len(lines[0]) > 20:
        return False
    fields = lines[1].split(b" ", 3) if len(lines) > 1 else []
    return len(lines) < 2 or lines[1] == b"" or len(fields) < 2 or fields[1].strip().isdigit()


def _replace_by_nameless(descriptor: int, aside: str, place: str) -> None:
    """Name a nameless file, then let it take its place: a link cannot replace a file, a rename can.

    A part that a killed run left under the name in between gives way. So does one of another run to the same place,
    which then finds its part gone, and links again: whichever renames last wins, always with a whole file.
    """
    # Python calls linkat(), which can follow the link of /proc, only where a folder's descriptor is given.
    folder = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(1000):
            try:
                os.link(f"/proc/self/fd/{descriptor}", aside, src_dir_fd=folder)
            except FileExistsError:
                _remove(aside)
                continue
            try:
                os.replace(aside, place)
                return
            except FileNotFoundError:
                continue
    finally:
        os.close(folder)
    raise OSError(errno.EBUSY, f"{os.strerror(errno.EBUSY)}: too many others write to it at the same time")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
