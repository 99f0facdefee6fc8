"""How a batch is followed: a bar on a terminal, a line a checkpoint elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import counted, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..zoo.plan import BatchPlan
    from ..zoo.running import Progress

_SHOWN = 3
"""Files in work that are named."""


class Silent:
    """Follows without a word."""

    def planned(self, plan: BatchPlan, engine: str) -> None:
        """Take the plan."""

    def progress(self, now: Progress) -> None:
        """Take how far it is."""


class Lines(Silent):
    """A line for every checkpoint."""

    def planned(self, plan: BatchPlan, engine: str) -> None:
        """Say what will be done."""
        _say_plan(plan, engine)

    def progress(self, now: Progress) -> None:
        """Say what was finished."""
        entry = now.last
        if entry is not None:
            what = f"{entry.bytes:,} bytes in {entry.seconds:.3f} s" if entry.status == "done" else entry.error
            line = f"{now.files_done}/{now.files} {entry.status} {shown(entry.output, 300)}: "
            print(line + shown(what.replace("\n", " "), 600), flush=True)


class Bar(Silent):
    """One bar: files, bytes, rate, time that is left, failures, and what is in work."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, files="", failed="", working="")

    def planned(self, plan: BatchPlan, engine: str) -> None:
        """Begin."""
        _say_plan(plan, engine)
        if plan.jobs:
            self._bar.start()

    def progress(self, now: Progress) -> None:
        """Draw how far it is."""
        names = [shown(name.rpartition("/")[2], 30) for name in now.working[:_SHOWN]]
        more = [f"+{len(now.working) - _SHOWN}"] if len(now.working) > _SHOWN else []
        self._bar.update(
            self._task,
            total=now.bytes or None,
            completed=now.bytes_done,
            files=f"{now.files_done:,}/{now.files:,}",
            failed=f"{now.failed:,} failed" if now.failed else "",
            working=" ".join([*names, *more]),
        )


def _say_plan(plan: BatchPlan, engine: str) -> None:
    about = f"; {engine}" if engine else ""
    print(
        f"{counted(len(plan.jobs), 'checkpoint')} to do, {len(plan.done):,} done before{shown(about, 300)}", flush=True
    )


@contextmanager
def follower(quiet: bool) -> Iterator[Silent]:
    """What suits standard output."""
    if quiet or sys.stdout is None:
        yield Silent()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        bar = _new_bar()
        try:
            yield Bar(bar)
        finally:
            bar.stop()


def _new_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.fields[files]}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}", markup=False, style="red"),
        TextColumn("{task.fields[working]}", markup=False),
        console=Console(file=sys.stdout),
        transient=True,
    )
