"""Where the tasks run: the processes of this machine, or a cluster of dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

ENGINES = ("processes", "dask")


class Engine(Protocol):
    """What a batch asks of an engine: an executor of ``concurrent.futures`` whose workers may die.

    A future raises what ``lost`` explains where its task's process ended before the task did.
    """

    workers: int
    """how many tasks run at a time"""
    threads: int
    """that each of them may use"""
    about: str
    """what to tell the user, such as the address of a dashboard"""

    def submit(self, function: Callable[[Any], Any], argument: Any, /) -> Future[Any]:
        """Have a task run."""
        ...

    def lost(self, error: BaseException) -> Lost | None:
        """What became of a task whose future raised this; None if nothing is known of it."""
        ...

    def usable(self) -> bool:
        """Whether it still works; if not, no future of it may ever be done, and ``restart`` makes it anew."""
        ...

    def restart(self) -> None:
        """Begin anew; what was submitted is forgotten."""
        ...

    def close(self, now: bool) -> None:
        """End the workers: when they are idle, or ``now``."""
        ...


class Lost:
    """Why a task has no result."""

    def __init__(self, kind: str, words: str, again: bool, begun: bool = True) -> None:
        self.kind = kind
        self.words = words
        self.again = again
        """whether another try may go better"""
        self.begun = begun
        """whether a worker had begun with it"""
