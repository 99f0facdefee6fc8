"""Runs tasks on an engine, as many at a time as it has workers, and gives their results as they come."""

from __future__ import annotations

import signal
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from ..errors import Error, shown
from ..records import Record
from .journal import Entry
from .task import Task, convert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .engines import Engine

_TRIES = 2
"""How often a task is begun whose worker is lost."""

_FRUITLESS = 3
"""How often an engine is begun anew without a result in between."""

_GLANCE = 0.2
"""Seconds after which signals, the engine and the progress are looked at."""


class Progress(Record):
    """How far a batch is."""

    files: int
    files_done: int
    """whatever became of them"""
    failed: int
    bytes: int
    """of the sources"""
    bytes_done: int
    seconds: float
    working: tuple[str, ...]
    """the outputs that are being made"""
    last: Entry | None = None
    """what was finished just now"""


class Interrupts:
    """Counts the requests to stop."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = False
        """whether SIGTERM was one of them"""

    def interrupt(self, *_: object) -> None:
        """One Ctrl-C; of whom asks a third time nothing is expected but to be gone."""
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt

    def end(self, *_: object) -> None:
        """SIGTERM: wait for nothing."""
        self.count = max(self.count, 2)
        self.ended = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Count signals instead of doing what they do, where that is this thread's to decide.

    An exception amid the start or the end of workers would leave some, or their words. What the caller's program does
    on SIGTERM, if it does something, it does afterwards.
    """
    counted = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield counted
        return
    interrupt, end = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, counted.interrupt)
    if callable(end):
        signal.signal(signal.SIGTERM, counted.end)
    try:
        yield counted
    finally:
        signal.signal(signal.SIGINT, interrupt)
        if callable(end):
            signal.signal(signal.SIGTERM, end)
            if counted.ended:
                end(signal.SIGTERM, None)


def run(
    tasks: Iterable[Task],
    engine: Engine,
    stop: Interrupts,
    *,
    fail_fast: bool,
    progress: Callable[[Progress], object] | None = None,
) -> Iterator[Entry]:
    """Run every task once, and once more if its worker was lost; results in the order in which they are ready.

    After the first request to stop, or with ``fail_fast`` after the first failure, nothing is begun; after the second
    request nothing is waited for.
    """
    waiting = deque((task, 1) for task in tasks)
    running: dict[Future[Any], tuple[Task, int]] = {}
    files, size = len(waiting), sum(task.job.size for task, _ in waiting)
    done = failed = done_bytes = fruitless = 0
    start = monotonic()

    def tell(last: Entry | None = None) -> None:
        if progress is not None:
            working = tuple(task.job.output for future, (task, _) in running.items() if future.running())
            progress(Progress(files, done, failed, size, done_bytes, monotonic() - start, working, last))

    tell()
    while waiting or running:
        if stop.count or (fail_fast and failed):
            waiting.clear()
            for future in list(running):
                if Future.cancel(future):  # of those that no worker has begun; pebble's own would end those, too
                    del running[future]
            if stop.count > 1 or not running:
                return
        if not engine.usable():
            again = [(task, tries + future.running()) for future, (task, tries) in running.items()]
            fruitless += 1
            if fruitless > _FRUITLESS:
                raise Error(
                    f"the workers ended {fruitless} times without a result: they printed why; in a script of "
                    'your own, batch() must be called under `if __name__ == "__main__":`'
                )
            engine.restart()
            running.clear()
            waiting.extendleft(reversed(again))
        while waiting and len(running) < 2 * engine.workers:  # so that no worker waits for its next task
            task, tries = waiting.popleft()
            running[engine.submit(convert, task)] = task, tries
        ready, _ = wait(running, timeout=_GLANCE, return_when=FIRST_COMPLETED)
        for future in ready:
            task, tries = running.pop(future)
            entry = _result(future, engine, task, tries)
            if isinstance(entry, int):
                waiting.appendleft((task, entry))
                continue
            fruitless = 0
            done, done_bytes, failed = done + 1, done_bytes + task.job.size, failed + (entry.status == "failed")
            yield entry
            tell(entry)
        if not ready:
            tell()


def _result(future: Future[Any], engine: Engine, task: Task, tries: int) -> Entry | int:
    """What became of a task; if it is to be tried again, the number of that try."""
    try:
        result: Entry = future.result()
        return result
    except (Exception, CancelledError) as error:
        lost = engine.lost(error)
        if lost is not None and not lost.begun:
            return tries
        if lost is not None and lost.again and tries < _TRIES:
            return tries + 1
        kind, words = (lost.kind, lost.words) if lost else (type(error).__name__, shown(error, 300))
        if lost is not None and lost.again:
            words += f", {tries} times"
        job = task.job
        return Entry(
            job.output, job.source, "failed", job.fingerprint, job.options_mark,
            kind=kind, error=f"{job.source}: {words}", finished=round(time(), 3),
        )  # fmt: skip
