"""The processes of this machine, by pebble: a worker that dies or takes too long costs the task that it had."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
from concurrent.futures import TimeoutError as TooLate
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from typing import TYPE_CHECKING, Any

from pebble import ProcessExpired, ProcessPool

from ... import system
from ...errors import Error, OptionError, shown
from . import Lost

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_LEAST_MEMORY = 64 << 20
"""Bytes of data without which a worker cannot take a task: it would end and be replaced for ever."""


class Processes:
    """So many worker processes, each for one task at a time.

    They are forked by a server that has one thread and has imported what they need (``forkserver``): a fork of the
    caller would inherit whatever locks and threads it has, and the lock of its journal.
    """

    def __init__(self, jobs: int | None = None, timeout: float | None = None, max_memory: int | None = None) -> None:
        """jobs: workers, one for each processor if None; timeout: seconds of a task; max_memory: bytes of a worker."""
        if max_memory is not None and max_memory < _LEAST_MEMORY:
            raise OptionError(f"a worker takes up to {_LEAST_MEMORY:,} bytes before it begins; raise --max-memory")
        processors = system.processors()
        self.workers = jobs or processors
        self.threads = 2 if 2 * self.workers <= processors else 1
        self.about = f"{self.workers} worker process{'' if self.workers == 1 else 'es'}"
        self._timeout = timeout
        self._max_memory = max_memory
        self._context = _Context()
        self._context.set_forkserver_preload(["pywts.zoo.task", "pywts.checkpoint.opening", "pywts.checkpoint.zip"])
        _start_server()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(self.workers, initializer=_begin, initargs=(self._max_memory,), context=self._context)

    def submit(self, function: Callable[[Any], Any], argument: Any, /) -> Future[Any]:
        """Have a task run. Raises Error where the system gives no process."""
        try:
            return self._pool.schedule(function, args=(argument,), timeout=self._timeout)
        except BrokenProcessPool as error:
            raise Error(f"no worker process can be started: {shown(error.__cause__ or error)}") from None

    def lost(self, error: BaseException) -> Lost | None:
        """What became of a task whose future raised this."""
        if isinstance(error, TooLate):
            return Lost("Timeout", f"took longer than {self._timeout:g} s; raise --timeout", again=False)
        if isinstance(error, ProcessExpired):
            return Lost("WorkerLost", f"its worker {_ended(error.exitcode)}", again=True)
        if isinstance(error, BrokenProcessPool):
            return Lost("WorkerLost", "there was no worker", again=True, begun=False)
        return None

    def usable(self) -> bool:
        """Whether the pool still works: one whose idle workers were killed does not."""
        try:
            return self._pool.active
        except BrokenProcessPool:  # by the start of the first worker
            return False

    def restart(self) -> None:
        """Begin with a new pool."""
        self.close(now=True)
        self._pool = self._new_pool()

    def close(self, now: bool) -> None:
        """End the workers: when they are idle, or ``now``."""
        if now:
            self._pool.stop()  # type: ignore[no-untyped-call]
        else:
            self._pool.close()  # type: ignore[no-untyped-call]
        self._pool.join()
        self._context.let_go()


class _Context(ForkServerContext):
    """One that keeps its locks: pebble lets them go before it ends its workers, and one that still starts would look
    for them in vain, with a traceback.
    """

    def __init__(self) -> None:
        self._locks: list[Any] = []

    def RLock(self) -> Any:
        lock = super().RLock()
        self._locks.append(lock)
        return lock

    def let_go(self) -> None:
        """Give back the locks of a pool that has ended."""
        self._locks.clear()


def _start_server() -> None:
    """Start what forks the workers, deaf to Ctrl-C as they are: it would die of one while it still imports."""
    resource_tracker.ensure_running()  # deaf by itself; the server would start it, and it lets Ctrl-C in afterwards
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which it inherits
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int) -> str:
    if code < 0:
        hint = ", perhaps by the system for lack of memory; use fewer --jobs" if -code == signal.SIGKILL else ""
        return f"was killed by signal {-code} ({signal.Signals(-code).name}){hint}"
    return f"ended with code {code}"


def _begin(max_memory: int | None) -> None:
    """What a worker does first."""
    os.setpgid(0, 0)  # Ctrl-C is for the batch, which lets its workers finish; their children would take it, too
    threading.Thread(target=_end_with_the_batch, daemon=True).start()
    if max_memory is not None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]  # what nobody may go over, and who tries is refused
        most = min(max_memory, sys.maxsize if hard == resource.RLIM_INFINITY else hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _end_with_the_batch() -> None:
    """Wait until the batch's process ends, however it does, and end at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
