"""A cluster of dask: the scheduler gives tasks to workers on any machine, and to others where a worker is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import system
from ...errors import Error, OptionError, shown
from . import Lost

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_TRIES = 2
"""Workers that may die with a task before it is given up; a scheduler that was started elsewhere has its own bound."""

_PATIENCE = 30
"""Seconds to wait for a scheduler, and for its first worker."""


class Dask:
    """The workers of a scheduler, or of a cluster on this machine."""

    def __init__(
        self,
        jobs: int | None = None,
        timeout: float | None = None,
        max_memory: int | None = None,
        scheduler: str | None = None,
    ) -> None:
        """scheduler: its address; without it ``jobs`` workers of ``max_memory`` bytes are started here."""
        if timeout is not None:
            raise OptionError("--timeout is of the engine processes: dask cannot end a task without its worker")
        if scheduler is not None and max_memory is not None:
            raise OptionError("the workers of a scheduler have their own bound: dask worker --memory-limit")
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError:
            raise OptionError("the engine dask needs distributed: pip install 'pywts[dask]'") from None
        self.threads = 1
        self._cluster: Any = None
        self._client: Any = None
        if scheduler is None:
            with dask.config.set({"distributed.scheduler.allowed-failures": _TRIES - 1}):
                self._cluster = LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=jobs or system.processors(),
                    threads_per_worker=1,
                    memory_limit=max_memory or 0,
                    dashboard_address="127.0.0.1:0",
                )
        try:
            self._client = Client(self._cluster if scheduler is None else scheduler, timeout=_PATIENCE)  # type: ignore[no-untyped-call]
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except BaseException as error:
            self._leave()
            if not isinstance(error, (OSError, TimeoutError, ValueError)):
                raise
            where = "" if scheduler is None else f"{shown(scheduler)}: "
            raise OptionError(f"{where}no cluster of dask answers: {shown(error, 300)}") from None
        self._executor = self._client.get_executor(pure=False)
        self.workers = max(1, sum(self._client.nthreads().values()))
        self.about = f"{self.workers} workers of dask, dashboard at {self._client.dashboard_link}"

    def submit(self, function: Callable[[Any], Any], argument: Any, /) -> Future[Any]:
        """Have a task run."""
        future: Future[Any] = self._executor.submit(function, argument)
        return future

    def lost(self, error: BaseException) -> Lost | None:
        """What became of a task whose future raised this: dask has tried again by itself."""
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return Lost("WorkerLost", f"its workers died with it, the last at {error.last_worker.address}", again=False)
        if isinstance(error, CancelledError):  # the scheduler went
            return Lost("SchedulerLost", "there was no scheduler", again=True, begun=False)
        return None

    def usable(self) -> bool:
        """Whether the scheduler is there; workers may come and go."""
        return str(self._client.status) in ("running", "connecting")

    def restart(self) -> None:
        """Raises Error: without its scheduler a cluster is gone."""
        raise Error("the scheduler of dask is gone; start it, and run the batch again")

    def close(self, now: bool) -> None:  # noqa: ARG002  (tasks are not waited for: the batch has done so)
        """Leave the cluster; one that was started here ends."""
        self._executor.shutdown(wait=False)
        self._leave()

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
