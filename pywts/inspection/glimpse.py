"""A pickle's node as a short text: Python's notation, escaped, and within bounds whatever the node is."""

from __future__ import annotations

from ..checkpoint.objects import kind_of
from ..errors import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEPTH = 4
_ITEMS = 8
_HUGE = 10_000
"""Items of a container that is not looked into."""
_TEXT = 80
_ALL = 240
_BRACKETS = {"tuple": ("(", ")"), "list": ("[", "]")}


def glimpse(node: Any) -> str:
    """A call's arguments between parentheses; of any other node its value."""
    if kind_of(node) != "call":
        return shown(_text(node, _DEPTH), _ALL)
    return shown(_given(node, _DEPTH), _ALL)


def _given(call: Any, depth: int) -> str:
    """What a call is called with, without parentheses around it."""
    parts = []
    if kind_of(call.arguments) == "tuple" and call.arguments.length <= _HUGE:
        parts = _several(call.arguments.items, call.arguments.length, depth - 1)
    elif call.arguments is not None:
        parts = [f"*{_text(call.arguments, depth)}"]
    if call.keywords is not None:
        parts.append(f"**{_text(call.keywords, depth)}")
    return ", ".join(parts)


def _several(items: list[Any], count: int, depth: int) -> list[str]:
    parts = [_text(item, depth) for item in items[:_ITEMS]]
    return [*parts, f"... {count - len(parts):,} more"] if count > len(parts) else parts


def _text(node: Any, depth: int) -> str:
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
        called = "extension" if kind_of(function) == "int" else _text(function, depth - 1)
        return f"{called}({_given(node, depth - 1)})"
    if kind == "persistent":
        return f"<persistent {_text(node.argument, depth - 1)}>"
    opening, closing = _BRACKETS.get(str(kind), ("{", "}"))
    if node.length > _HUGE:
        return f"{opening}... {node.length:,} items{closing}"
    if kind == "dict":
        entries = node.entries
        parts = [f"{_text(key, depth - 1)}: {_text(value, depth - 1)}" for key, value in entries[:_ITEMS]]
        if node.length > len(parts):
            parts.append(f"... {node.length - len(parts):,} more")
    else:
        parts = _several(node.items, node.length, depth - 1)
    return f"{opening}{', '.join(parts)}{',' if kind == 'tuple' and len(parts) == 1 else ''}{closing}"
