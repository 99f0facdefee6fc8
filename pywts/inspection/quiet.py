"""Whether looking into a node may run code: methods of a framework's object, on a state that the pickle decides on."""

from __future__ import annotations

from ..checkpoint.allowlist import BYTES_CODECS, EMBEDDED_STORAGES, MAPPINGS, RECONSTRUCTORS, TYPED_REBUILDS
from ..checkpoint.objects import arguments, kind_of
from .harmless import ENUMERATIONS, FUNCTIONS, HARMLESS, KEEPING, KEYED
from .names import Names, dotted_name
from .once import Once
from .scan_report import HARMLESS as HARMLESS_VERDICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TABLES = ("_parameters", "_buffers", "_modules")
_MOST_STEPS = 2_000_000
"""Nodes that are looked at in search of a framework's object, where one was found."""
_SCALARS = (None, "none", "bool", "int", "float", "str", "bytes", "bytearray")
_QUIET_CALLS = frozenset(
    {
        "collections.defaultdict", "torch._utils._rebuild_parameter_with_state", *BYTES_CODECS, *EMBEDDED_STORAGES,
        *TYPED_REBUILDS, *RECONSTRUCTORS,
    }
)  # fmt: skip
"""What is called with care, and makes an object that is as quiet as its arguments."""


class Quiet:
    """Looks for objects in nodes of one pickle, and remembers where none is."""

    def __init__(self, names: Names, imports: list[Any]) -> None:
        self.has_objects = any(map(_makes_objects, imports))
        """Whether the pickle imports anything that may make such an object."""
        self._names = names
        self._once = Once()
        self._quiet: set[int] = set()
        self._plainly: set[int] = set()
        self._steps = _MOST_STEPS

    def looks_at_quiet(self, dotted: str, call: Any) -> bool:
        """Whether a harmless call runs no method of a framework's object: it is given none, or only keeps it."""
        if kind_of(call.arguments) != "tuple":
            return self.is_quiet(call.arguments)
        return self.takes_quiet(dotted, arguments(call))

    def takes_quiet(self, dotted: str, given: list[Any]) -> bool:
        """The same of what is given to a call of this name."""
        if dotted in KEYED:
            return all(self._once(self._has_quiet_keys, part) for part in given)
        if dotted in KEEPING:
            given = [part for part in given if kind_of(part) not in ("list", "tuple", "set", "frozenset", "dict")]
        return all(map(self.is_quiet, given))

    def _has_quiet_keys(self, part: Any) -> bool:
        """Whether the keys that a mapping is made of, by a dict or by pairs, may be hashed and compared."""
        if kind_of(part) == "dict":
            return all(self.is_quiet(key) for key, _ in part.entries)
        if kind_of(part) not in ("list", "tuple"):
            return self.is_quiet(part)
        pairs = part.items
        return all(
            self.is_quiet(pair.items[0] if kind_of(pair) in ("list", "tuple") and pair.length == 2 else pair)
            for pair in pairs
        )

    def is_quiet(self, root: Any) -> bool:
        """Whether a node neither is nor holds an object that may run code where it is looked into.

        What is quiet is remembered; what is not is looked for anew, until that took too long: it is found already.
        """
        if not self.has_objects:
            return True
        waiting = [root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if kind_of(node) in _SCALARS or node.id in self._quiet or node.id in seen:
                continue
            if self._steps <= 0 or not self._is_quiet_itself(node):
                self._steps -= len(seen) + len(waiting) + 1
                return False
            seen.add(node.id)
            waiting += _parts(node)
        self._quiet |= seen
        return True

    def _is_quiet_itself(self, node: Any) -> bool:
        """Whether a node is plain, a storage, a harmless name, or an object that one made."""
        if kind_of(node) == "persistent":
            return self._names.of_id(node)[0] == HARMLESS_VERDICT
        if kind_of(node) == "call":
            function = node.function
            return kind_of(function) == "global" and any(
                dotted_name(function) in names for names in (HARMLESS, _QUIET_CALLS, ENUMERATIONS)
            )
        return kind_of(node) != "global" or dotted_name(node) in HARMLESS or dotted_name(node) in FUNCTIONS

    def finds_plainly(self, root: Any) -> bool:
        """Whether the tables in which modules look for an attribute that is none of their class's are plain."""
        waiting = [root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if kind_of(node) != "call" or node.id in self._plainly or node.id in seen:
                continue
            states = node.builds
            if self._steps <= 0 or any(kind_of(state) != "dict" for state in states):
                return False
            seen.add(node.id)
            tables = [(key, value) for state in states for key, value in state.entries if key in _TABLES]
            if not all(is_plain(value) for _, value in tables):
                self._steps -= len(seen)
                return False
            waiting += [child for key, value in tables if key == "_modules" for _, child in value.entries]
        self._plainly |= seen
        return True


def is_plain(node: Any) -> bool:
    """No object, or one of the mappings and tensors that are known, and have no state."""
    if kind_of(node) in ("global", "persistent"):
        return False
    known = kind_of(node) != "call" or node.called in MAPPINGS or node.called in HARMLESS
    return known and not (kind_of(node) == "call" and (node.builds or node.keywords is not None))


def _makes_objects(node: Any) -> bool:
    """Whether an import may make an object that runs code where it is looked into."""
    dotted = dotted_name(node)
    return dotted not in HARMLESS and dotted not in _QUIET_CALLS


def _parts(node: Any) -> list[Any]:
    """All that a node holds; what a storage is called by is no part of it."""
    if kind_of(node) in ("list", "tuple", "set", "frozenset"):
        return node.items  # type: ignore[no-any-return]
    if kind_of(node) not in ("dict", "call"):
        return []
    parts = [part for entry in node.entries for part in entry]
    return parts if kind_of(node) == "dict" else [*parts, *node.items, node.arguments, node.keywords, *node.builds]
