"""A progress bar that shows itself only where the work is long enough to wait for."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 0.5
"""Seconds of work before the bar appears."""


class LateBar:
    """A ``progress`` callback that draws a bar on standard error after half a second."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._start = monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._broken = False

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            if self._broken or monotonic() - self._start < _PATIENCE or done >= total:
                return
            self._bar = _new_bar()
            self._task = self._bar.add_task(self._title, total=total)
            try:
                self._bar.start()
            except OSError:  # the terminal went: no reason to give the work up
                self.close()
                self._broken = True
                return
        self._bar.update(self._task, completed=done)

    def close(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(OSError):
                bar.stop()


def _new_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
