"""A pickle's node as a short text: Python's notation, escaped, and within bounds whatever the node is."""

from __future__ import annotations

from ..checkpoint.objects import kind_of
from ..errors import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Known = dict[tuple[int, int], str]
    """The texts of containers, and the depth to which they go (below zero without brackets): many may share one."""

_DEPTH = 4
_ITEMS = 8
_HUGE = 10_000
"""Items of a container that is not looked into."""
_TEXT = 80
_ALL = 240
_BRACKETS = {"tuple": ("(", ")"), "list": ("[", "]")}


def glimpse(node: Any, known: Known | None = None) -> str:
    """A call's arguments between parentheses; of any other node its value."""
    known = {} if known is None else known
    if kind_of(node) != "call":
        return shown(_text(node, _DEPTH, known), _ALL)
    return shown(_given(node, _DEPTH, known), _ALL)


def _given(call: Any, depth: int, known: Known) -> str:
    """What a call is called with, without parentheses around it."""
    parts = []
    given = call.arguments
    if kind_of(given) == "tuple" and given.length <= _HUGE:
        if (given.id, -depth) not in known:
            known[given.id, -depth] = ", ".join(_several(given.items, given.length, depth - 1, known))[: _ALL + 1]
        parts = [known[given.id, -depth]] if given.length else []
    elif call.arguments is not None:
        parts = [f"*{_text(call.arguments, depth, known)}"]
    if call.keywords is not None:
        parts.append(f"**{_text(call.keywords, depth, known)}")
    return ", ".join(parts)


def _several(items: list[Any], count: int, depth: int, known: Known) -> list[str]:
    parts = [_text(item, depth, known) for item in items[:_ITEMS]]
    return [*parts, f"... {count - len(parts):,} more"] if count > len(parts) else parts


def _text(node: Any, depth: int, known: Known) -> str:
    kind = kind_of(node)
    if kind in (None, "none", "bool", "int", "float", "str", "bytes", "bytearray"):
        value = node if kind is None else node.value
        if kind_of(value) is not None:
            return "<an integer of many digits>"
        if isinstance(value, int):
            return str(value) if value.bit_length() < 256 else f"<an integer of {value.bit_length():,} bits>"
        if isinstance(value, (str, bytes)) and len(value) > _TEXT:
            return f"{value[:_TEXT]!r}... ({len(value):,})"
        return repr(value)
    if kind == "global":
        return f"{node.module[:_TEXT]}.{node.name[:_TEXT]}"
    if depth <= 0:  # a call and its arguments are two levels
        return "..."
    if kind == "call":
        function = node.function
        called = "extension" if kind_of(function) == "int" else _text(function, depth - 1, known)
        return f"{called}({_given(node, depth - 1, known)})"
    if kind == "persistent":
        return f"<persistent {_text(node.argument, depth - 1, known)}>"
    if (node.id, depth) not in known:
        known[node.id, depth] = _held(node, depth, known)[: _ALL + 1]
    return known[node.id, depth]


def _held(node: Any, depth: int, known: Known) -> str:
    """A container between its brackets."""
    kind = kind_of(node)
    opening, closing = _BRACKETS.get(str(kind), ("{", "}"))
    if node.length > _HUGE:
        return f"{opening}... {node.length:,} items{closing}"
    if kind == "dict":
        entries = node.entries
        parts = [f"{_text(key, depth - 1, known)}: {_text(value, depth - 1, known)}" for key, value in entries[:_ITEMS]]
        if node.length > len(parts):
            parts.append(f"... {node.length - len(parts):,} more")
    else:
        parts = _several(node.items, node.length, depth - 1, known)
    return f"{opening}{', '.join(parts)}{',' if kind == 'tuple' and len(parts) == 1 else ''}{closing}"
