"""Where the text goes: all of it or nothing.

A regular file is written beside its final place, under no name at all where the file system allows that (O_TMPFILE),
and takes the name when it is complete. What is no regular file (a device, a FIFO) is written directly and never
replaced, and so is what was inherited open (/dev/stdout).
"""

from __future__ import annotations

import errno
import os
import stat
from time import sleep

from . import system
from ._core import CoreError, reserve
from .errors import OutputError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_HEAD = 4096
"""Bytes that tell whether a file is a .wts."""

_PATIENCE = 2000
"""How often a name that another run has is tried, a millisecond apart."""

_TMPFILE = getattr(os, "O_TMPFILE", 0)
"""Without it, opening a folder is refused, as it is where the file system knows no nameless files."""

_WAYS_OUT = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room there, or give another output with {option}"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "change the folder's mode, or give another output with {option}"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close other files, or raise the limit (ulimit -n)"),
    errno.EFBIG: "raise the limit (ulimit -f), or give an output on another file system with {option}",
    errno.EIO: "the disk may fail; give an output on another one with {option}",
    errno.ENOMEM: "free some memory",
    errno.EPIPE: "its reader went away",
    errno.EROFS: "it is mounted to be read only; give another output with {option}",
}
"""What can be done, by what the system says."""

KEPT = "; the old state was kept"

_NO_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS}


_OTHER_FORMATS = {
    **dict.fromkeys((".engine", ".plan", ".trt"), "; the engine is built from it, on the machine that will run it"),
    **dict.fromkeys((".safetensors", ".npz", ".pt", ".pth"), "; `pywts convert` writes that format"),
    **dict.fromkeys((".onnx", ".tflite", ".h5", ".pb"), ""),
}
"""What else an output's suffix may ask for, and the way to it."""


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


def misnamed(path: str) -> str | None:
    """A warning where the suffix of a .wts is that of another format."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _OTHER_FORMATS:
        return None
    return f"{shown(path)}: is a .wts, whatever its suffix says{_OTHER_FORMATS[suffix]}"


class Destination:
    """One output path, checked before the first byte is written."""

    def __init__(
        self,
        path: str,
        *,
        overwrite: bool,
        force: bool,
        sources: Collection[tuple[int, int]],
        kind: str = ".wts",
        is_of_kind: Callable[[bytes], bool] | None = None,
        option: str = "-o",
    ) -> None:
        """``is_of_kind`` tells by a file's first bytes whether it is of the kind that may be replaced unasked.

        ``option`` is what names the output on the command line.
        """
        self.path = path
        self._option = option
        self._kind = kind
        self._is_of_kind = is_of_kind or looks_like_wts
        self._inherited = _inherited_descriptor(path)
        self.direct = self._inherited is not None
        self._overwrite = overwrite
        self._mode: int | None = None
        try:
            status = os.stat(path)
        except FileNotFoundError:
            self._check_folder()
            self._place = os.path.realpath(path)
            return
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}") from None
        if (status.st_dev, status.st_ino) in sources:
            raise OutputError(f"{path}: is the source itself; give another output with {option}")
        if stat.S_ISDIR(status.st_mode):
            raise OutputError(f"{path}: is a folder; name the file")
        if not stat.S_ISREG(status.st_mode):
            self.direct = True
        elif not self.direct:
            self._place = os.path.realpath(path)
            self._mode = stat.S_IMODE(status.st_mode)
            if not overwrite:
                raise self._exists()
            if not os.access(path, os.W_OK):
                raise OutputError(f"{path}: is write-protected; change its mode, or give another output with {option}")
            if status.st_size and not force:
                self._check_kind()

    def write(self, size: int, durable: bool, fill: Callable[[int], None]) -> None:
        """Let ``fill`` write ``size`` bytes into a descriptor, then give the whole its name.

        An OSError of ``fill`` goes through as it is: it may be of anything. Whoever writes by calls of the system
        raises ``failed`` for theirs.
        """
        others: list[OSError] = []

        def filled(descriptor: int) -> None:
            try:
                fill(descriptor)
            except OSError as error:
                others.append(error)
                raise

        try:
            if self.direct:
                self._write_directly(filled)
            else:
                self._write_aside(size, durable, filled)
        except CoreError as error:
            code, _, number = error.args
            if code != "sink_write":
                raise
            raise self._failed(number, os.strerror(number)) from None
        except OSError as error:
            if error in others:
                raise
            raise (self._exists() if isinstance(error, FileExistsError) else self.failed(error)) from None

    def failed(self, error: OSError) -> OutputError:
        """An error of the system while it is written, in words."""
        return self._failed(error.errno, error.strerror or str(error))

    def _write_directly(self, fill: Callable[[int], None]) -> None:
        # What was inherited goes on where it stands: opened again, a file would be written from its start.
        if self._inherited is not None:
            descriptor = os.dup(self._inherited)
        else:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            fill(descriptor)
        finally:
            os.close(descriptor)

    def _write_aside(self, size: int, durable: bool, fill: Callable[[int], None]) -> None:
        folder = os.path.dirname(self._place)
        aside = _aside(self._place)
        nameless = True
        try:
            descriptor = os.open(folder, os.O_WRONLY | _TMPFILE | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            nameless = False
            descriptor, aside = _open_named(aside)
        try:
            if self._mode is not None:
                os.fchmod(descriptor, self._mode)
            reserve(descriptor, size)
            fill(descriptor)
            if durable:
                system.sync_data(descriptor)
            if nameless:
                _name(descriptor, aside, self._place, self._overwrite)
            else:
                _rename(aside, self._place, self._overwrite)
            if durable:
                _sync_folder(folder)
        except BaseException:
            if not nameless:
                _remove(aside)
            raise
        finally:
            os.close(descriptor)

    def _exists(self) -> OutputError:
        return OutputError(f"{self.path}: exists, and overwriting was not allowed")

    def _failed(self, number: int | None, reason: str) -> OutputError:
        way_out = _WAYS_OUT.get(number or 0, "give another output with {option}, or see what is wrong with this place")
        way_out = way_out.format(option=self._option)
        kept = "" if self.direct else KEPT
        return OutputError(f"{self.path}: cannot be written: {reason}: {way_out}{kept}")

    def _check_folder(self) -> None:
        folder = os.path.dirname(os.path.realpath(self.path)) or "."
        if not os.path.isdir(folder):
            raise OutputError(f"{self.path}: there is no folder {folder}; make it first")

    def _check_kind(self) -> None:
        try:
            with open(self.path, "rb", buffering=0) as file:
                head = file.read(_HEAD)
        except OSError as error:
            raise OutputError(
                f"{self.path}: exists and cannot be read: {error.strerror}; force=True overwrites it"
            ) from None
        if not self._is_of_kind(head):
            raise OutputError(
                f"{self.path}: exists and is no {self._kind}; give another output, or --force to overwrite it"
            )


def write_text(path: str, text: str, option: str) -> None:
    """Write a text over whatever is there, all of it or nothing; ``option`` names the path on the command line."""
    data = text.encode("utf-8", "backslashreplace")
    destination = Destination(path, overwrite=True, force=True, sources=(), option=option)

    def fill(descriptor: int) -> None:
        try:
            system.write_all(descriptor, data)
        except OSError as error:
            raise destination.failed(error) from None

    destination.write(len(data), False, fill)


def looks_like_wts(head: bytes) -> bool:
    """Whether a file's first bytes could be a .wts: a count, then a line that starts with a name and a number."""
    lines = [line for line in head.split(b"\n") if line.strip()] or [b""]
    count = lines[0].strip()
    if not count.isdigit() or len(count) > 20:
        return False
    if len(lines) < 2:
        return count == b"0"
    fields = lines[1].split(None, 2)
    if len(lines) == 2 and len(head) >= _HEAD and len(fields) < 2:
        return True  # a name that goes on
    return len(fields) > 1 and fields[1].isdigit()


def _inherited_descriptor(path: str) -> int | None:
    """The number of the open descriptor that a path stands for, such as /dev/stdout."""
    for folder in ("/dev/fd/", "/proc/self/fd/"):
        number = path[len(folder) :]
        if path.startswith(folder) and number.isdecimal() and len(number) < 10:  # as many digits as a C int takes
            return int(number)
    return {"/dev/stdout": 1, "/dev/stderr": 2}.get(path)


def _aside(place: str) -> str:
    """The hidden name beside a destination that a part bears, one for each destination."""
    folder, name = os.path.split(place)
    if len(os.fsencode(name)) > 200:  # a file name has 255 bytes at most
        import hashlib

        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.join(folder, f".{name}.pywts-part")


def _name(descriptor: int, aside: str, place: str, overwrite: bool) -> None:
    """Name a nameless file, then let it take its place: a link cannot replace a file, a rename can.

    The name in between is locked by whoever has it. A part that a killed run left there has no lock, and gives way;
    for one of another run to the same place it is waited for: it is about to be renamed.
    """
    import fcntl

    # Python calls linkat(), which can follow the link of /proc, only where a folder's descriptor is given.
    folder = os.open(os.path.dirname(place), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not overwrite:
            os.link(f"/proc/self/fd/{descriptor}", place, src_dir_fd=folder)
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for _ in range(_PATIENCE):
            try:
                os.link(f"/proc/self/fd/{descriptor}", aside, src_dir_fd=folder)
            except FileExistsError:
                if not _remove_if_abandoned(aside):
                    sleep(0.001)
                continue
            try:
                os.replace(aside, place)
            except BaseException:
                _remove(aside)
                raise
            return
    finally:
        os.close(folder)
    raise OSError(errno.EBUSY, f"others write to it all the time, by way of {aside}")


def _rename(part: str, place: str, overwrite: bool) -> None:
    """Let a part that has a name take its place."""
    if not overwrite:
        try:
            os.link(part, place)
        except FileExistsError:
            raise
        except OSError:  # no hard links here
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        else:
            _remove(part)
            return
    os.replace(part, place)


def _open_named(aside: str) -> tuple[int, str]:
    """A part under a name of its own, where the file system knows no nameless files.

    It is locked for as long as it is open, so that the next run to the same place can tell what a killed one left.
    """
    import fcntl
    from _thread import get_ident

    folder, stem = os.path.split(aside)
    for name in os.listdir(folder):
        if name == stem or name.startswith(f"{stem}-"):
            _remove_if_abandoned(os.path.join(folder, name))
    path = f"{aside}-{os.getpid()}-{get_ident()}"
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # no locks here: no other run removes it either
            return descriptor, path
        try:
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor, path
        except FileNotFoundError:
            pass
        os.close(descriptor)  # another run took it for abandoned before it was locked


def _remove_if_abandoned(path: str) -> bool:
    """Remove a part that nobody has locked; whether the name is free."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its run may have renamed it and ended in the meantime, and the name may be another's by now.
        if os.path.samestat(os.stat(path), os.fstat(descriptor)):
            os.unlink(path)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


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
