"""Inert views of a pickle's nodes: what a node would be, told from its record alone.

Each function answers None where the node is nothing of the kind, and never looks further than one level: nothing here
recurses, so that shared, cyclic and deeply nested records cost no more than what is asked of them.
"""

from __future__ import annotations

from .._core import Node
from ..errors import LimitError
from .allowlist import (
    BYTES_CALLS,
    BYTES_CODECS,
    CLASS_BUILDERS,
    COMPILED_MODULES,
    MAPPINGS,
    RECONSTRUCTORS,
    SEQUENCES,
    TAGS,
    TRACED_MODULES,
    TYPE_LOADERS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MOST_ITEMS = 500_000
"""Entries of one container beyond which a pickle is no checkpoint, and would take more memory than it is worth."""

_MOST_STATES = 16
"""Times that one object may be given a state; pickles do it once."""


class TooMany(LimitError):
    """More than may be brought into Python; whoever knows the file's name puts it before the message."""


def mapping(node: object) -> dict[Any, Any] | None:
    """The entries of a dict, of a known mapping, or of any record that items were set on.

    Keys that are no scalars stay nodes; of equal keys the last wins, as in Python.
    """
    node = _untagged(node)
    kind = kind_of(node)
    if kind == "dict":
        return _bounded(node).mapping
    if kind != "call":
        return None
    entries = _bounded(node).mapping
    if _called(node) in MAPPINGS:
        for argument in arguments(node)[-1:]:
            return {**_pairs(argument), **entries}
        return entries
    return entries or None


def _pairs(node: object) -> dict[Any, Any]:
    if kind_of(node) == "dict":
        return _bounded(node).mapping
    result = {}
    for item in sequence(node) or ():
        pair = sequence(item)
        if pair is not None and len(pair) == 2:
            result[value_of(pair[0])] = pair[1]
    return result


def sequence(node: object) -> list[Any] | None:
    """The items of a list, tuple or set, or of any record that items were appended to."""
    node = _untagged(node)
    kind = kind_of(node)
    if kind in ("list", "tuple", "set", "frozenset"):
        return _bounded(node).items
    if kind != "call":
        return None
    if _called(node) in SEQUENCES:
        given = arguments(node)[:1]
        inner = _untagged(given[0]) if given else None
        first = _bounded(inner).items if kind_of(inner) in ("list", "tuple", "set", "frozenset") else []
        return first + _bounded(node).items
    return _bounded(node).items or None


def _bounded(node: Any) -> Node:
    """The node, if what it holds may be brought into Python."""
    if node.length > MOST_ITEMS:
        raise TooMany(f"a container of {node.length} entries, made at byte {node.position} of its pickle")
    return node  # type: ignore[no-any-return]


def _called(node: Any) -> str | None:
    """The dotted name of what a recorded call calls, where it is a global or one of dill's names of builtin types."""
    name: str | None = node.called
    if name is None and kind_of(node.function) == "call" and node.function.called in TYPE_LOADERS:
        named = [value_of(argument) for argument in arguments(node.function)]
        return f"builtins.{named[0]}" if len(named) == 1 and isinstance(named[0], str) else None
    return name


def _untagged(node: object) -> object:
    """The value itself where TorchScript put the name of its type around it."""
    for _ in range(8):
        if kind_of(node) != "call" or node.target not in TAGS:  # type: ignore[attr-defined]
            break
        node = (arguments(node) or [None])[0]
    return node


def arguments(node: object) -> list[Any]:
    """The arguments of a recorded call; none where the pickle gives something that is no tuple."""
    if kind_of(node) != "call":
        return []
    found = node.arguments  # type: ignore[attr-defined]
    return _bounded(found).items if kind_of(found) == "tuple" else []


def attributes(node: object) -> dict[str, Any] | None:
    """An object's ``__dict__`` (and slots) as its state was recorded, or None where it has none."""
    if kind_of(node) != "call":
        return None
    builds = _bounded(node).builds
    if not builds:
        return _attributes_by_call(node)
    if len(builds) > _MOST_STATES:
        raise TooMany(f"an object that is given {len(builds)} states, made at byte {builds[0].position} of its pickle")
    result: dict[str, Any] = {}
    for state in builds:
        parts = [state]
        if kind_of(state) == "tuple" and state.length == 2:
            parts = state.items
        for part in parts:
            if kind_of(part) == "dict":
                result.update((key, value) for key, value in _bounded(part).entries if isinstance(key, str))
    return result


def _attributes_by_call(node: Any) -> dict[str, Any] | None:
    """The attributes of a module that a call makes of its first argument."""
    called = node.called or class_name(node)  # a legacy stream keeps a module's class as a persistent id
    if called in COMPILED_MODULES:
        return {"_parameters": {}, "_buffers": {}, "_modules": {"_orig_mod": (arguments(node) or [None])[0]}}
    if called in TRACED_MODULES:
        given = mapping((arguments(node) or [None])[0]) or {}
        return {key: value for key, value in given.items() if isinstance(key, str)}
    return None


def class_name(node: object) -> str | None:
    """The dotted name of a recorded object's class, or of what was called to make it."""
    if kind_of(node) != "call":
        return None
    function = node.function  # type: ignore[attr-defined]
    if node.target in RECONSTRUCTORS:  # type: ignore[attr-defined]
        first = arguments(node)[:1]
        function = first[0] if first else function
    if kind_of(function) == "persistent":
        from .persistent import module_class

        function = module_class(function)
        if isinstance(function, str):
            return function
    if kind_of(function) == "call" and function.target in CLASS_BUILDERS:  # a class pickled by value
        named = [value_of(argument) for argument in arguments(function)[1:2]]
        return str(named[0]) if named and isinstance(named[0], str) else None
    if kind_of(function) == "global":
        return f"{function.module}.{function.name}"
    return None


def value_of(node: object) -> Any:
    """The Python value of a scalar; bytes that protocol 2 keeps as text are decoded; any other node is itself."""
    kind = kind_of(node)
    if kind is None:
        return node
    if kind == "call" and (node.target in BYTES_CODECS or node.target in BYTES_CALLS):  # type: ignore[attr-defined]
        found = _bytes([argument.value for argument in arguments(node)], node.target in BYTES_CALLS)  # type: ignore[attr-defined]
        return node if found is None else found
    return node.value  # type: ignore[attr-defined]


def _bytes(parts: list[Any], by_call: bool) -> bytes | None:
    if by_call and not parts:
        return b""
    if by_call and len(parts) == 1 and isinstance(parts[0], bytes):
        return parts[0]
    if len(parts) == 2 and isinstance(parts[0], str) and parts[1] in ("latin1", "latin-1"):
        try:
            return parts[0].encode("latin-1")
        except UnicodeEncodeError:
            pass
    return None


def kind_of(value: object) -> str | None:
    """A node's kind; None for a plain value."""
    return value.kind if isinstance(value, Node) else None
