"""What a batch will do, decided before anything runs: a job a checkpoint, its output, why, and the room it takes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..destination import default_path
from ..errors import CheckpointError, OptionError, shown
from ..exporting import plan
from ..options import OPTIONS, SELECTING
from ..records import Record
from . import storage
from .journal import NAME as JOURNAL
from .sources import Skipped, discover

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..limits import Limits
    from .journal import Entry
    from .sources import Found

_TEXT_PER_BYTE = 4.5
"""Bytes of text for a byte of a float16 checkpoint: what is expected of one that is not looked into."""

_MOST_TEXT_PER_BYTE = 9
"""For one of int8: more room than that is enough for all."""


class Job(Record):
    """One checkpoint to convert."""

    source: str
    """path or URL"""
    files: tuple[str, ...]
    """the source, and its shards if it is an index"""
    output: str
    """below OUT, with slashes"""
    size: int
    """bytes of the files; 0 where they could not be asked for"""
    fingerprint: str
    options: dict[str, Any]
    """all of ``export``'s"""
    why: str = "new"
    """or what changed since it was done, or that it failed before"""

    @property
    def options_mark(self) -> str:
        """A fingerprint of the options that decide what is written."""
        deciding = {name: self.options[name] for name in (*SELECTING, "sidecar", "trust")}
        return hashlib.sha256(json.dumps(deciding, default=_named).encode()).hexdigest()[:16]


class BatchPlan(Record):
    """What a batch will do."""

    out: str
    jobs: tuple[Job, ...]
    """to be done, the largest first"""
    done: tuple[Job, ...]
    """done before and unchanged"""
    skipped: tuple[Skipped, ...]
    """no checkpoints"""
    source_bytes: int
    """of the jobs' files"""
    output_bytes: int
    """expected of the jobs' outputs"""
    free_bytes: int | None
    """at the destination; None where nobody knows"""

    @property
    def fits(self) -> bool:
        """Whether there is room for the outputs, as far as it is known."""
        return self.free_bytes is None or self.output_bytes <= self.free_bytes


def make_plan(
    sources: Iterable[str],
    out: str,
    options: Mapping[str, Any],
    done: Mapping[str, Entry],
    limits: Limits,
    *,
    match: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    look_inside: bool = False,
) -> BatchPlan:
    """Find the checkpoints and decide what is to be done with each.

    options: of ``export``, for all; a list's rows may change them.
    done: what the journal knows, by output.
    look_inside: open every checkpoint for the exact size of its output; else only where the room may be short.

    Raises OptionError for sources that cannot be found, and where two would land on one output.
    """
    found, skipped = discover(sources, match, ignore, out)
    jobs: list[Job] = []
    unchanged: list[Job] = []
    for item, output in zip(found, outputs_of(found), strict=True):
        try:
            facts = storage.facts_of(item.files)
        except CheckpointError:
            facts = storage.Facts(0, "")  # its task will say what is wrong
        job = Job(item.source, item.files, output, facts.size, facts.fingerprint, {**options, **item.options})
        why = _why(job, out, done.get(output))
        if why:
            jobs.append(job.replace(why=why))
        elif done[output].status == "done":
            unchanged.append(job)
        else:
            skipped.append(Skipped(item.source, done[output].error))
    jobs.sort(key=lambda job: -job.size)
    size, free = sum(job.size for job in jobs), storage.free_space(out)
    expected = int(size * _TEXT_PER_BYTE)
    if look_inside or (free is not None and size * _MOST_TEXT_PER_BYTE > free):
        expected = sum(_output_size(job, limits) for job in jobs)
    return BatchPlan(out, tuple(jobs), tuple(unchanged), tuple(skipped), size, expected, free)


def default_options() -> dict[str, Any]:
    """All options of ``export`` with their defaults."""
    return {option.name: option.default for option in OPTIONS}


def _named(value: Any) -> str:
    """A recipe of the caller's own, by its name."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def outputs_of(found: list[Found]) -> list[str]:
    """Where each checkpoint goes; two on one place are an error."""
    outputs = [item.output or default_path(item.name) for item in found]
    for item, output in zip(found, outputs, strict=True):  # an object in a bucket may be called anything
        if output == JOURNAL or output.startswith("/") or ".." in output.split("/"):
            raise OptionError(
                f"{shown(item.source, 300)}: its output would be {shown(output, 300)}, "
                f"{'the journal' if output == JOURNAL else 'outside of OUT'}; give it another in a list"
            )
    by_output: dict[str, list[Found]] = {}
    for item, output in zip(found, outputs, strict=True):
        by_output.setdefault(output, []).append(item)
    clashes = {output: items for output, items in by_output.items() if len(items) > 1}
    if clashes:
        lines = [
            f"  {shown(output, 200)}: from {' and '.join(shown(item.source, 200) for item in items[:3])}"
            + (f" and {len(items) - 3} more" if len(items) > 3 else "")
            for output, items in list(clashes.items())[:10]
        ]
        more = f"\n  and {len(clashes) - 10} more" if len(clashes) > 10 else ""
        raise OptionError(
            "several sources would land on one output; pass some over with --ignore, or give each an output of its own "
            "in a list:\n" + "\n".join(lines) + more
        )
    return outputs


def _why(job: Job, out: str, entry: Entry | None) -> str:
    """Why a job is to be done; "" if it is done and unchanged, or known to be no checkpoint."""
    if entry is None:
        return "new"
    if entry.status == "failed":
        return "failed before"
    if not job.fingerprint or entry.fingerprint != job.fingerprint:
        return "the source changed"
    if entry.options != job.options_mark:
        return "other options"
    return _changed_output(job, out, entry) if entry.status == "done" else ""


def _changed_output(job: Job, out: str, entry: Entry) -> str:
    place = storage.joined(out, job.output)
    now = storage.size_and_time(place)
    if now is None or (job.options["sidecar"] and storage.size_and_time(f"{place}.json") is None):
        return "the output is missing"
    size, time = now
    same = size == entry.bytes and (time in (None, entry.written) or storage.crc32_of(place) == entry.crc32)
    return "" if same else "the output changed"


def _output_size(job: Job, limits: Limits) -> int:
    """Of the .wts that a job will write; a guess where looking would mean to load it or to run its code."""
    if storage.is_url(job.source) or job.options["trust"]:
        return int(job.size * _TEXT_PER_BYTE)
    try:
        return plan(job.source, limits=limits, **{name: job.options[name] for name in SELECTING}).bytes
    except Exception:  # its task will say what is wrong, also with a recipe of the caller's own
        return 0
