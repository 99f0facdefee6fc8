"""The task that a user names (``-t``), checked against the head, as far as the head tells one."""

from __future__ import annotations

from ..errors import OptionError, SelectionError, shown
from .head import head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint.protocol import Checkpoint

TASKS = {
    "detect": "detect",
    "cls": "classify",
    "classify": "classify",
    "seg": "segment",
    "segment": "segment",
    "pose": "pose",
    "obb": "obb",
}
"""What the scripts and the trainers call a task, and what it is called here."""

_SHORT = {"classify": "cls", "segment": "seg"}


def check_task(checkpoint: Checkpoint, value: Any, task: str) -> str | None:
    """Compare a named task with the head's. A note where there is nothing to compare with."""
    if task == "auto":
        return None
    wanted = TASKS.get(task)
    if wanted is None:
        raise OptionError(f"type {shown(task)!r} is none of {', '.join(TASKS)}")
    head = head_of(checkpoint, value)
    found = head.task if head is not None else None
    if head is None or found is None:
        return f"type {task}: not checked, the head of these weights is of no kind that pywts knows"
    if found != wanted:
        raise SelectionError(
            f"{checkpoint.name}: is for {found} (its head is {shown(head.class_name)}), not for {wanted}; say "
            f"-t {_SHORT.get(found, found)}, or leave -t out: what is written follows from the head, and with "
            "--recipe none from nothing but the state_dict"
        )
    return None
