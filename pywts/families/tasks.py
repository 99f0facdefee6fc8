"""The task that a user names (``-t``), checked against the head, as far as the head tells one."""

from __future__ import annotations

from ..errors import OptionError, shown
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


def doubts_about(checkpoint: Checkpoint, value: Any, task: str) -> str | None:
    """What speaks against a named task: another head, or none to compare with. None where it fits.

    It is no error: what is written follows from the head, whatever it was called.
    """
    wanted = TASKS.get(task)
    if wanted is None:
        raise OptionError(f"type {shown(task)!r} is none of {', '.join(TASKS)}")
    head = head_of(checkpoint, value)
    found = head.task if head is not None else None
    if head is None or found is None:
        return f"type {task}: not checked, the head of these weights is of no kind that pywts knows"
    if found != wanted:
        return (
            f"the model is for {found} (its head is {shown(head.class_name)}), not for {wanted}: it was taken for what "
            f"it is; say -t {_SHORT.get(found, found)}, and use the program for {found}"
        )
    return None
