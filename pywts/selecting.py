"""From a checkpoint to the named tensors that are written: which weights, the family's recipe, which of them, names.

The recipe sees the names as the checkpoint has them; then junk, globs, prefix and renames, and rounding last.
"""

from __future__ import annotations

from .checkpoint.choosing import Chosen, choose
from .families.programs import doubts_about_fused
from .families.surgery import operate
from .records import Record
from .renaming import junk_warning, prefix_hint, renamed, round_half, selected, without_junk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .checkpoint.protocol import Checkpoint
    from .families.weights import Weights
    from .renaming import Renames
    from .tensor import Refused, Tensor


class Selection(Record):
    """What will be written, and what was decided on the way."""

    items: list[Tensor | Refused]
    chosen: Chosen
    recipe: str
    dialect: str
    notes: tuple[str, ...]
    """what was done"""
    warnings: tuple[str, ...]
    """what the user should look at"""


def select(
    checkpoint: Checkpoint,
    *,
    key: str = "auto",
    recipe: str | Callable[[Weights], Any] = "auto",
    dialect: str = "auto",
    task: str = "auto",
    strip_prefix: str = "",
    rename: Renames = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    drop_junk: bool = False,
    half: bool = False,
    check: bool = False,
) -> Selection:
    """Make the selection that the options of ``export`` describe.

    check: whether the values that a recipe reads are compared with the CRC32 that an archive keeps.
    """
    chosen = choose(checkpoint, key)
    operated = operate(checkpoint, chosen, recipe, check)
    warnings = [*chosen.state.warnings, *operated.warnings]
    if "-of-" in checkpoint.name:
        from .checkpoint.sharded import parts_told_by

        parts = parts_told_by(checkpoint.name)
        if parts > 1:
            warnings.append(f"this is one of {parts} shards of a model; its .index.json is what to export for all")
    fused = doubts_about_fused(checkpoint, chosen.value, chosen.state.items)
    warnings += [fused] if fused else []
    if task != "auto":
        from .families.tasks import doubts_about

        doubts = doubts_about(checkpoint, chosen.value, task)
        warnings += [doubts] if doubts else []
    items = without_junk(operated.items) if drop_junk else operated.items
    if include or exclude:
        items = selected(checkpoint.name, items, include, exclude)
    hints = [junk_warning(items)]
    if strip_prefix or rename:
        items, unused = renamed(items, strip_prefix, rename)
        warnings += unused
    hints.append(prefix_hint(items))
    if half:
        items = round_half(items)
    return Selection(
        items=items,
        chosen=chosen,
        recipe=operated.recipe,
        dialect=operated.dialect if dialect == "auto" else dialect,
        notes=operated.notes,
        warnings=(*warnings, *(hint for hint in hints if hint)),
    )
