"""``pywts.batch``, top to bottom: sources, plan, engine, journal, report."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import system
from ..errors import OptionError, shown
from ..limits import DEFAULT_LIMITS
from ..options import OPTIONS
from . import storage
from .engines import ENGINES
from .journal import NAME, Entry, Journal, read_entries
from .option_values import check_option_values
from .plan import BatchPlan, default_options, make_plan
from .report import BatchReport
from .running import Interrupts, interrupts, run
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..limits import Limits
    from .engines import Engine
    from .running import Progress

    Sources = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def batch(
    sources: Sources,
    out: str | os.PathLike[str],
    *,
    match: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    engine: str = "processes",
    jobs: int | None = None,
    timeout: float | None = None,
    max_memory: int | None = None,
    scheduler: str | None = None,
    fail_fast: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[Progress], object] | None = None,
    planned: Callable[[BatchPlan, str], object] | None = None,
    **options: Any,
) -> BatchReport:
    """Convert many checkpoints: each exactly once, whatever is killed, and however often this is called.

    sources: paths of files and folders, globs, list files (.txt, .csv, .jsonl), URLs of any scheme of fsspec.
    out: a folder or URL; the outputs lie in it as the sources lie in theirs, and ``pywts-batch.jsonl``, the journal.
    match: globs; in folders, files that match one are taken whatever they are called, others are not.
    ignore: globs; files and folders that match one are passed over.
    engine: ``"processes"``, of this machine, or ``"dask"``, a cluster.
    jobs: workers; by default one for each processor. With a ``scheduler`` the cluster has what it has.
    timeout: seconds after which a checkpoint is given up (processes).
    max_memory: bytes that a worker may take: of its data with processes, of all of it with dask.
    scheduler: the address of a scheduler of dask; without it a cluster is started on this machine.
    fail_fast: begin nothing more after the first failure.
    limits: what a source may ask for.
    progress: called after every checkpoint, and some times a second.
    planned: called with the plan, and what there is to say of the engine, before anything runs.
    options: those of ``export``, for all checkpoints; a row of a list may have its own. ``force`` also goes on where
        the outputs may not fit.

    A checkpoint that cannot be converted is in the report, and never raises. While it runs, the first Ctrl-C finishes
    what has begun, the second ends it, the third leaves it; the report's ``interrupted`` says so. SIGTERM ends it, too,
    before it does what the caller's program lets it do. With processes, call this under
    ``if __name__ == "__main__":``, as everything that starts some.

    Raises OptionError where the plan is refused: sources that are not there, two on one output, too little room,
    another batch on this ``out``.
    """
    _refuse_in_a_starting_worker()
    start = perf_counter()
    for name, value in (("jobs", jobs), ("timeout", timeout), ("max_memory", max_memory)):
        if value is not None and not value > 0:
            raise OptionError(f"{name} {value} is not above 0")
    merged = _options(options)
    place = _place(out)
    with ExitStack() as opened:
        journal = opened.enter_context(Journal(_journal_path(place)))
        _take_published(journal, place)
        plan = make_plan(
            _texts(sources), place, merged, journal.entries, limits, match=_globs(match), ignore=_globs(ignore)
        )
        if not plan.fits and not merged["force"]:
            raise OptionError(
                f"{shown(place, 300)}: {plan.output_bytes:,} bytes are to be written, {plan.free_bytes:,} are free; "
                "make room, or go on with --force"
            )
        entries: list[Entry] = []
        stop = Interrupts()
        if plan.jobs:
            outputs = {job.output for job in plan.jobs}
            stop = opened.enter_context(interrupts())
            workers = _engine(engine, min(jobs or system.processors(), len(plan.jobs)), timeout, max_memory, scheduler)
            opened.callback(_publish, journal, place)
            opened.callback(storage.drop_unfinished, place, outputs)
            opened.callback(workers.close, now=True)
            storage.drop_unfinished(place, outputs)
            if planned is not None:
                planned(plan, workers.about)
            tasks = [Task(job, place, workers.threads, limits) for job in plan.jobs]
            for entry in run(tasks, workers, stop, fail_fast=fail_fast, progress=progress):
                journal.append(entry)
                if merged["durable"]:
                    journal.sync()
                entries.append(entry)
        elif planned is not None:
            planned(plan, "")
        return BatchReport(
            out=place,
            journal=journal.path,
            entries=tuple(entries),
            unchanged=tuple(job.output for job in plan.done),
            skipped=plan.skipped,
            left=len(plan.jobs) - len(entries),
            interrupted=stop.count > 0,
            seconds=perf_counter() - start,
        )


def plan_batch(
    sources: Sources,
    out: str | os.PathLike[str],
    *,
    match: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    **options: Any,
) -> BatchPlan:
    """What ``batch`` would do, without doing it; every checkpoint of this machine is opened for its output's size.

    Takes those arguments of ``batch`` that decide it, and raises what it would, except for the lack of room: see
    ``BatchPlan.fits``.
    """
    place = _place(out)
    done = read_entries(_journal_path(place))
    return make_plan(
        _texts(sources), place, _options(options), done, limits,
        match=_globs(match), ignore=_globs(ignore), look_inside=True,
    )  # fmt: skip


def _refuse_in_a_starting_worker() -> None:
    """A worker begins by importing the caller's script: without a guard in it that would start the batch once more."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise OptionError('a worker of a batch started one itself: call it under `if __name__ == "__main__":`')


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """All options of ``export``, checked before anything runs."""
    known = {option.name: option for option in OPTIONS}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"batch() got an unexpected keyword argument {name!r}")
        option = known[name]
        if option.choices and value not in option.choices:
            raise OptionError(f"{name} {shown(value)!r} is none of {', '.join(option.choices)}")
    check_option_values(given)
    return {**default_options(), **given}


def _engine(name: str, jobs: int, timeout: float | None, max_memory: int | None, scheduler: str | None) -> Engine:
    if name == "processes":
        if scheduler is not None:
            raise OptionError("a scheduler is of the engine dask: add --engine dask")
        from .engines.processes import Processes

        return Processes(jobs, timeout, max_memory)
    if name == "dask":
        from .engines.dask import Dask

        return Dask(jobs, timeout, max_memory, scheduler)
    raise OptionError(f"engine {shown(name)!r} is none of {', '.join(ENGINES)}")


def _texts(sources: Sources) -> list[str]:
    return [os.fsdecode(source) for source in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]


def _globs(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _place(out: str | os.PathLike[str]) -> str:
    text = storage.without_file_scheme(os.fsdecode(out))
    if not text:
        raise OptionError("the output is an empty path")
    if text.lower().startswith(("http://", "https://")):
        raise OptionError(f"{shown(text, 300)}: a web server takes no outputs; give a folder, or the URL of a bucket")
    return text if storage.is_url(text) else os.path.abspath(text)


def _journal_path(place: str) -> str:
    """In OUT; of one in a bucket, which knows no appending, in the user's state folder, and a copy in OUT."""
    if not storage.is_url(place):
        return os.path.join(place, NAME)
    import hashlib

    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "pywts", hashlib.sha256(place.encode()).hexdigest()[:16], NAME)


def _take_published(journal: Journal, place: str) -> None:
    """Add what another machine did to the same bucket."""
    if not storage.is_url(place) or storage.size_and_time(storage.joined(place, NAME)) is None:
        return
    with storage.local_copy((storage.joined(place, NAME),)) as copy:
        published = read_entries(copy)
    for output, entry in published.items():
        if output not in journal.entries or journal.entries[output].finished < entry.finished:
            journal.append(entry)


def _publish(journal: Journal, place: str) -> None:
    """Put a copy of the journal beside the outputs in a bucket."""
    if storage.is_url(place):
        storage.upload(journal.path, storage.joined(place, NAME))
