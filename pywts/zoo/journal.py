"""The journal: a line of JSON for every checkpoint that was finished, appended as it is, in OUT.

A line that a crash cut is ignored; the next run begins a new one. Of several lines about one output the last counts.
The file is locked while a batch runs, so that two on one OUT do not mix.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, OutputError, shown
from ..records import Record

if TYPE_CHECKING:
    from types import TracebackType

NAME = "pywts-batch.jsonl"


class Entry(Record):
    """What became of one checkpoint: a line of the journal."""

    output: str
    """below OUT, with slashes"""
    source: str
    status: str
    """"done", "failed", or "skipped" where it holds no weights"""
    fingerprint: str = ""
    """of the source"""
    options: str = ""
    """fingerprint of the options that decide what is written"""
    bytes: int = 0
    """of the .wts"""
    crc32: str | None = None
    """of the .wts, 8 hex digits"""
    written: int | None = None
    """when the .wts changed last, in nanoseconds, where it is known"""
    tensors: int = 0
    values: int = 0
    weights: str = ""
    why: str = ""
    recipe: str = ""
    dialect: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kind: str = ""
    """of the error"""
    error: str = ""
    """or the reason"""
    seconds: float = 0.0
    """of work"""
    finished: float = 0.0
    """when, in seconds since 1970"""


class Journal:
    """An open, locked journal. Use as a context manager."""

    def __init__(self, path: str) -> None:
        """Raises OptionError where it cannot be written, or another batch has it."""
        self.path = path
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except (FileExistsError, NotADirectoryError):
            raise OptionError(f"{os.path.dirname(path)}: is no folder; -o wants one for the outputs") from None
        except OSError as error:
            raise OptionError(f"{path}: cannot be written: {error.strerror}; give another -o") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise OptionError(f"{path}: another batch writes here now; wait for it, or give another -o") from None
        except OSError as error:
            os.close(self._file)
            raise OptionError(f"{path}: cannot be locked: {error.strerror}; give another -o") from None
        try:
            self.entries, self._cut = _read(path)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, entry: Entry) -> None:
        """Add a line, with one call of the system."""
        line = json.dumps({name: value for name, value in entry.as_dict().items() if value not in ("", None, ())})
        text = f"{line}\n".encode()
        if self._cut:
            text, self._cut = b"\n" + text, False
        try:
            while text:
                text = text[os.write(self._file, text) :]
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None
        self.entries[entry.output] = entry

    def sync(self) -> None:
        """Wait until it is on the disk."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_entries(path: str) -> dict[str, Entry]:
    """The last line about each output; nothing where there is no journal."""
    return _read(path)[0]


def _read(path: str) -> tuple[dict[str, Entry], bool]:
    """The entries by output, and whether the last line was cut."""
    entries: dict[str, Entry] = {}
    line = b"\n"
    try:
        with open(path, "rb") as file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    entries[entry.output] = entry
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OptionError(f"{shown(path, 300)}: cannot be read: {error.strerror}") from None
    return entries, not line.endswith(b"\n")


def _entry(line: bytes) -> Entry | None:
    """A line's entry; None for one that is none, such as one that was cut."""
    try:
        found: dict[str, Any] = json.loads(line)
        known = {name: found[name] for name in Entry._fields if name in found}
        for name in ("notes", "warnings"):
            known[name] = tuple(known.get(name, ()))
        entry = Entry(**known)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (entry.output, entry.source, entry.status, entry.fingerprint, entry.options, entry.error)
    right = all(isinstance(text, str) for text in texts) and isinstance(entry.finished, (int, float))
    return entry if right else None
