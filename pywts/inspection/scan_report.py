"""What ``scan`` finds, as frozen records. docs/scan.md describes them.

Every text in them that came out of a file is escaped and shortened: it may be printed as it is. Paths are as they are.
"""

from __future__ import annotations

from ..records import Record

SCHEMA = "pywts scan"
SCHEMA_VERSION = 1
"""Raised when a field goes or changes its meaning; fields may be added."""

HARMLESS, NEEDS_CODE, FOUND = "harmless", "needs-code", "found"
"""Verdicts of a use, and, with the two below and ``CLEAN`` for harmless, of a file."""
CLEAN, UNREADABLE, NO_CHECKPOINT = "clean", "unreadable", "no checkpoint"


class Use(Record):
    """What loading would import, call or change, and where the pickle says so."""

    pickle: str
    """the pickle: "best/data.pkl", "pickle 4", "best/data.pkl > bytes at 120"; "" where it is the whole file"""
    position: int
    """of the first opcode that does it, in bytes from the start of that file of the archive, or of the whole file"""
    name: str
    """what is imported, dotted: "os.system" """
    how: str
    """"import" (only referred to), the opcode of a call ("reduce", "newobj", "newobj_ex", "obj", "inst", "extension",
    "build"), "append" or "setitem" (of what is no list or dict), "persistent" (an id that the loader resolves), "code"
    """
    called: bool
    """whether something runs when the pickle is loaded, beyond the import"""
    arguments: str
    """of the first call: shortened"""
    count: int
    """how often"""
    verdict: str
    """"harmless", "needs-code" or "found" """
    reason: str


class ScannedPickle(Record):
    """A pickle in a file."""

    name: str
    """as in ``Use.pickle``"""
    offset: int
    """of its first byte, as in ``Use.position``"""
    bytes: int
    """of it that were followed"""
    protocol: int
    complete: bool
    """whether it was followed to its STOP"""


class Problem(Record):
    """Why a file could not be read whole."""

    where: str
    """the part of the file: a pickle, a file of the archive; "" for the file itself"""
    position: int
    message: str


class ScannedFile(Record):
    """A file, and what loading it would do."""

    path: str
    """as it was given, or found in a folder"""
    kind: str
    """"zip archive", "legacy stream", "plain pickle", "TorchScript archive", ..."""
    verdict: str
    """"found" before "unreadable" before "needs-code" before "clean"; "no checkpoint" where there is nothing to load"""
    pickles: tuple[ScannedPickle, ...]
    uses: tuple[Use, ...]
    problems: tuple[Problem, ...]

    def of(self, verdict: str) -> tuple[Use, ...]:
        """The uses of one verdict."""
        return tuple(use for use in self.uses if use.verdict == verdict)


class ScanReport(Record):
    """The answer of ``pywts.scan()``."""

    files: tuple[ScannedFile, ...]

    def of(self, verdict: str) -> tuple[ScannedFile, ...]:
        """The files of one verdict."""
        return tuple(file for file in self.files if file.verdict == verdict)

    @property
    def clean(self) -> bool:
        """Whether everything was read, and nothing would run but what is harmless or a listed framework's own."""
        return not self.of(FOUND) and not self.of(UNREADABLE)

    def exit_code(self, strict: bool = False) -> int:
        """As the command line has it: 0 clean, 1 found, 2 not read whole; ``strict`` counts needs-code as found."""
        if self.of(FOUND) or (strict and self.of(NEEDS_CODE)):
            return 1
        return 2 if self.of(UNREADABLE) else 0
