"""What is done to an object once it is made: the states it is given, and the items that are put into it."""

from __future__ import annotations

from ..checkpoint.allowlist import MAPPINGS
from ..checkpoint.objects import arguments, kind_of, value_of
from .harmless import CONTAINERS, METHODS, SCRIPT_OBJECTS, WITH_CARE
from .names import Names, dotted_name
from .once import Once
from .partials import Partials
from .quiet import is_plain
from .scan_report import FOUND, NEEDS_CODE
from .scan_report import HARMLESS as HARMLESS_VERDICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .names import Verdict

OTHERWISE = FOUND, "with arguments that real checkpoints do not give it"
_OPTIMIZERS = ("torch.optim.", "copyreg.")
"""What makes an optimizer: its class, or, in older protocols, the function that is given its class."""


class States:
    """Judges states and changes of the objects of one pickle."""

    def __init__(self, names: Names, partials: Partials, imports: list[Any]) -> None:
        self._names = names
        self._partials = partials
        self._once = Once()
        self._has_methods = any(dotted_name(node) == "builtins.getattr" for node in imports)

    def made(self, node: Any) -> Verdict:
        """What an object is, by what was called to make it."""
        if node is None:
            return FOUND, "nobody can tell what it is"
        verdict = self._names.of(node)
        if dotted_name(node) == "builtins.getattr":
            return FOUND, "what getattr answers is shared by all who have it"
        return verdict

    def change(self, target: str, node: Any) -> tuple[str, Verdict]:
        """APPEND or SETITEM of an object that is no list or dict."""
        if target == "loaded":
            return "(a persistent id)", (FOUND, "items are put into what the loader answers")
        if target == "imported":
            return dotted_name(node), (FOUND, "items are put into what is imported, for all who use it")
        if kind_of(node) != "global":
            return "(what a call answers)", (FOUND, "items are put into it, and nobody can tell what it is")
        name = dotted_name(node)
        verdict = self.made(node)
        if verdict[0] == NEEDS_CODE and not name.startswith(CONTAINERS):
            return name, (FOUND, f"{verdict[1]}, which runs its own code when items are put into it")
        if verdict[0] == HARMLESS_VERDICT and name in WITH_CARE and name not in MAPPINGS:
            return name, (FOUND, "items are put into an object that is no container")
        return name, verdict

    def reason_against(self, name: str, verdict: str, effect: str, states: list[Any]) -> str | None:
        """Why states are not what the pickles of such an object give it."""
        if name == "functools.partial":
            return None if all(map(self._partials.keeps_state, states)) else OTHERWISE[1]
        if name == "torch.ScriptObject":
            return None if all(map(_is_packed, states)) else OTHERWISE[1]
        if name.startswith(_OPTIMIZERS) and not all(map(self._holds_plain_tables, states)):
            return "its tables are no dicts, and an optimizer calls their methods when it is given a state"
        if verdict == NEEDS_CODE and any(map(_sets_slots, states)):
            return "its state sets attributes one by one, as classes with slots have it, and runs setters"
        if self._has_methods and any(map(self._keeps_method, states)):
            return "its state keeps a method under a name by which others may call it"
        if effect == "hooking":
            return "its state sets an attribute that the unpickler may call"
        if effect == "opaque" and not name.startswith("numpy.") and not all(map(self.is_tame, states)):
            return (
                "its state is what a call answers, which only running would tell"  # what is NumPy's has no attributes
            )
        return None

    def is_tame(self, state: Any, depth: int = 3) -> bool:
        """Whether a state only sets attributes of which the unpickler calls none: a dict, or a filled OrderedDict."""
        if kind_of(state) == "tuple":
            return state.length <= 8 and depth > 0 and all(self.is_tame(part, depth - 1) for part in state.items)
        return self._once(_sets_tamely, state)

    def _keeps_method(self, state: Any) -> bool:
        """Whether a state keeps what ``getattr`` answers under another name than that of a model's own ``forward``."""
        parts = state.items if kind_of(state) == "tuple" and state.length == 2 else (state,)
        return any(self._once(_has_method, part) for part in parts if kind_of(part) == "dict")

    def _holds_plain_tables(self, state: Any) -> bool:
        """Whether what an optimizer's ``__setstate__`` looks into are plain values, and no objects with methods."""
        if kind_of(state) != "dict":
            return True  # no optimizer's, and judged as any other
        return all(
            self._once(_has_plain_values if key == "state" else _has_plain_items, value)
            for key, value in state.entries
            if key in ("defaults", "param_groups", "state")
        )


def _sets_tamely(state: Any) -> bool:
    if kind_of(state) == "call":
        if state.called != "collections.OrderedDict" or arguments(state) or state.builds:
            return False
    elif kind_of(state) in ("global", "persistent"):
        return False
    elif kind_of(state) != "dict":
        return True
    if state.length > 100_000:
        return False
    return not any(_hooks(key, value) for key, value in state.entries)


def _hooks(key: Any, value: Any) -> bool:
    """As the core judges the attributes of a state."""
    if kind_of(key) in ("global", "call", "persistent"):
        return True
    if key in ("append", "extend", "add"):
        return kind_of(value) in ("global", "call", "persistent")
    return isinstance(key, str) and key.startswith("__") and key.endswith("__") and kind_of(value_of(value)) is not None


def _sets_slots(state: Any) -> bool:
    """Whether a state is a pair whose second part is set with ``setattr``."""
    if kind_of(state) != "tuple" or state.length != 2:
        return False
    second = state.items[1]
    return kind_of(second) != "none" and not (kind_of(second) == "dict" and not second.length)


def _has_method(part: Any) -> bool:
    return any(
        _is_method(value) and not (isinstance(key, str) and key.startswith(METHODS)) for key, value in part.entries
    )


def _is_method(value: Any) -> bool:
    """Whether a value is the method of an object; that of a class does nothing without one."""
    if kind_of(value) != "call" or kind_of(value.function) != "global":
        return False
    return dotted_name(value.function) == "builtins.getattr" and kind_of((arguments(value) or [None])[0]) == "call"


def _has_plain_items(value: Any) -> bool:
    return is_plain(value) and (kind_of(value) not in ("list", "tuple") or all(map(is_plain, value.items)))


def _has_plain_values(value: Any) -> bool:
    return _has_plain_items(value) and all(is_plain(each) for _, each in value.entries)


def _is_packed(state: Any) -> bool:
    """Whether a state is (the parts, the name of a C++ class of torch's quantized layers)."""
    if kind_of(state) != "tuple" or state.length != 2:
        return False
    name = value_of(state.items[1])
    return isinstance(name, str) and name.startswith(SCRIPT_OBJECTS)
