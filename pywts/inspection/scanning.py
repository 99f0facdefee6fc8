"""``scan``: what loading a file the ordinary way would import and call, told without doing it."""

from __future__ import annotations

import os

from ..checkpoint.files import SourceFile
from ..checkpoint.uncollected import Uncollected
from ..errors import CheckpointError, Error, shown
from ..limits import DEFAULT_LIMITS, Limits
from .scan_report import CLEAN, FOUND, NEEDS_CODE, NO_CHECKPOINT, UNREADABLE, Problem, ScannedFile, ScanReport
from .unpacking import PICKLED, Unpacked, announced, named_kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_WITHOUT_PICKLES = ("safetensors", "NumPy array", "NumPy archive", "a .wts already")
"""Kinds that are read whole by what is known of them, and have nothing that runs."""


def scan(*paths: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> ScanReport:
    """What loading files with ``torch.load``, ``pickle`` or ``numpy.load`` would import and call, without doing it.

    A folder stands for all files in it and below it; what is no checkpoint there is counted as such. Links are
    followed, every file and folder once. A file that cannot be read, or not to its end, is in the report as
    "unreadable": nothing is raised for what a path holds, or for one that is missing.

    TypeError: no path was given.
    """
    if not paths:
        raise TypeError("scan() takes a path at least")
    files: list[ScannedFile] = []
    with Uncollected():
        for path in paths:
            if os.path.isdir(path):
                files.extend(_scanned(each, limits, named=False) for each in _walk(os.fspath(path)))
            else:
                files.append(_scanned(os.fspath(path), limits, named=True))
    return ScanReport(tuple(files))


def _walk(folder: str) -> Iterator[str]:
    """The files of a folder and those below it, by name; links are followed, nothing is met twice."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if not os.path.isdir(here):
                yield here
                continue
            names = sorted(os.listdir(here), reverse=True)
        except FileNotFoundError:
            continue  # a link to nowhere, or gone meanwhile
        except OSError:
            yield here  # opening it says why
            continue
        waiting.extend(os.path.join(here, name) for name in names)


def _scanned(path: str, limits: Limits, named: bool) -> ScannedFile:
    label = os.fsdecode(path)
    try:
        file = SourceFile(path)
    except CheckpointError as error:
        message = str(error).removeprefix(f"{label}: ")
        if not named and message.startswith("is no regular file"):
            return ScannedFile(label, "no regular file", NO_CHECKPOINT, (), (), ())
        return ScannedFile(label, "", UNREADABLE, (), (), (Problem("", 0, shown(message, 400)),))
    with file:
        found = Unpacked(file.name, limits)
        try:
            known = found.content(file, "", 0, expected=announced(file.head(2)))
            if file.head(4) != b"PK\x03\x04":
                found.appended_archive(file)
            empty = found.kind in ("zip archive", "tar archive") and not (found.pickles or found.problems)
            if (empty or not known) and not found.uses:
                return _nothing(file, label, found, named)
        except (Error, OSError, MemoryError) as error:
            found.problems.append(Problem("", 0, shown(str(error).removeprefix(f"{file.name}: "), 400)))
    problems = tuple(found.problems)
    verdicts = {use.verdict for use in found.uses}
    verdict = (
        FOUND if FOUND in verdicts else UNREADABLE if problems else NEEDS_CODE if NEEDS_CODE in verdicts else CLEAN
    )
    return ScannedFile(label, found.kind, verdict, tuple(found.pickles), tuple(found.uses), problems)


def _nothing(file: SourceFile, label: str, found: Unpacked, named: bool) -> ScannedFile:
    """A file without a pickle: what it is, and whether that is fine."""
    kind = f"a {found.kind} without pickles" if found.kind else named_kind(file)
    problems = list(found.problems)
    verdict = CLEAN if kind in _WITHOUT_PICKLES else NO_CHECKPOINT
    unknown = kind == "of no kind that is known"
    if named and verdict != CLEAN:
        problems.append(Problem("", 0, f"no checkpoint: it is {kind}"))
    elif unknown and label.lower().endswith(PICKLED):
        problems.append(Problem("", 0, "neither a pickle nor an archive, in spite of its name"))
    if problems:
        verdict = UNREADABLE
    return ScannedFile(label, kind, verdict, (), (), tuple(problems))
