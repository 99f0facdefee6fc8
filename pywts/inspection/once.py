"""What is reckoned once where it would be asked often: in a pickle, many may share one of many items."""

from __future__ import annotations

from ..checkpoint.objects import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Once:
    """Remembers what judges answer for nodes; judges are told apart by their names."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], bool] = {}

    def __call__(self, judge: Callable[[Any], bool], node: Any) -> bool:
        """The answer for a node, reckoned once."""
        if kind_of(node) is None:
            return judge(node)
        key = judge.__name__, node.id
        if key not in self._known:
            self._known[key] = judge(node)
        return self._known[key]


def by_arguments(judge: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A judge of calls of one name that judges equal arguments once: many calls may share one of many items."""
    known: dict[tuple[int | None, int | None], Any] = {}

    def judged(call: Any) -> Any:
        given, keywords = call.arguments, call.keywords
        key = given and given.id, keywords and keywords.id
        if key not in known:
            known[key] = judge(call)
        return known[key]

    return judged
