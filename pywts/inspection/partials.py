"""What ``functools.partial`` may keep: a constructor that evaluates nothing, and no other callable."""

from __future__ import annotations

from ..checkpoint.objects import kind_of
from .harmless import HARMLESS, PARTIALS
from .names import Names, dotted_name
from .once import Once
from .scan_report import NEEDS_CODE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Partials:
    """Judges the partials of one pickle, by their arguments and by their states."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._once = Once()

    def keeps(self, parts: list[Any]) -> bool:
        """Whether ``functools.partial`` keeps a constructor that evaluates nothing, and hands it no other callable."""
        first, *rest = parts
        if kind_of(first) != "global" or not self._is_kept(first):
            return False
        return all(self._once(self._keeps_part, part) for part in rest)

    def keeps_state(self, state: Any) -> bool:
        """The same of a state: function, arguments, keywords, attributes."""
        if kind_of(state) != "tuple" or state.length != 4:
            return False
        function, given, keywords, attributes = state.items
        mapping = kind_of(keywords) in ("none", "dict")
        plain = kind_of(attributes) == "none" or (kind_of(attributes) == "dict" and not attributes.length)
        return kind_of(given) == "tuple" and mapping and plain and self.keeps([function, given, keywords])

    def _keeps_part(self, part: Any) -> bool:
        inner = part.items if kind_of(part) == "tuple" else ()
        if kind_of(part) == "dict":
            inner = [value for _, value in part.entries]
        for each in (part, *inner):
            if kind_of(each) == "global" and not self._is_kept(each):
                return False
            called = each.function if kind_of(each) == "call" else None
            if kind_of(called) == "global" and dotted_name(called) == "builtins.getattr":
                return False
        return True

    def _is_kept(self, node: Any) -> bool:
        dotted = dotted_name(node)
        if dotted in HARMLESS:
            return True
        return self._names.of(node)[0] == NEEDS_CODE and node.name[:1].isupper() and dotted.startswith(PARTIALS)
