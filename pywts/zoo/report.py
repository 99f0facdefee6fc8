"""The report of a batch: what was done, what failed and why, what was slow; as data, JSON, CSV and a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..records import Record

if TYPE_CHECKING:
    from .journal import Entry
    from .sources import Skipped


class Failures(Record):
    """Checkpoints that failed for the same cause."""

    kind: str
    cause: str
    """without the names and numbers in which the files differ"""
    way_out: str
    entries: tuple[Entry, ...]


class BatchReport(Record):
    """What a batch did."""

    out: str
    journal: str
    """the path of the journal"""
    entries: tuple[Entry, ...]
    """of what was finished, as the journal has them"""
    unchanged: tuple[str, ...]
    """outputs that were done before"""
    skipped: tuple[Skipped, ...]
    """what was seen to be no checkpoint before anything ran"""
    left: int
    """checkpoints that were not begun"""
    interrupted: bool
    seconds: float

    @property
    def converted(self) -> tuple[Entry, ...]:
        """Those that were converted now."""
        return tuple(entry for entry in self.entries if entry.status == "done")

    @property
    def failed(self) -> tuple[Entry, ...]:
        """Those that cannot be converted."""
        return tuple(entry for entry in self.entries if entry.status == "failed")

    @property
    def without_weights(self) -> tuple[Entry, ...]:
        """Those that were opened and hold no weights."""
        return tuple(entry for entry in self.entries if entry.status == "skipped")

    @property
    def bytes(self) -> int:
        """Bytes that were written."""
        return sum(entry.bytes for entry in self.converted)

    @property
    def failures(self) -> tuple[Failures, ...]:
        """The failed, grouped by cause, the most frequent first."""
        groups: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in self.failed:
            groups.setdefault(_cause(entry), []).append(entry)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        return tuple(Failures(*cause, tuple(entries)) for cause, entries in ordered)

    def write(self, path: str) -> None:
        """Write it as a file: ``.json``, ``.csv`` or ``.html``. Raises OptionError for another suffix."""
        from .report_files import write_report

        write_report(self, path)

    def slowest(self, count: int = 10) -> tuple[Entry, ...]:
        """The entries that took the most time."""
        return tuple(sorted(self.entries, key=lambda entry: -entry.seconds)[:count])


def _cause(entry: Entry) -> tuple[str, str, str]:
    """Kind, cause and way out of an error, without what is particular to its file."""
    text = entry.error.removeprefix(f"{entry.source}: ")
    cause, _, way_out = text.partition("; ")
    return entry.kind, re.sub(r"\b[0-9][0-9,]*\b", "N", cause.split("\n")[0]), way_out
