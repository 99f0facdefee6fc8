"""NumPy arrays: whether a pickle follows on the header of one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MARK = b"\x93NUMPY"
"""How a file of one array begins."""
_PLAIN = r"[<>|=]?[?bBhHiIlLqQpPefdgFDGSUVcmMu]\d*(?:\[\d*[a-zA-Z]+\])?"
"""The types of numbers, texts and times as NumPy writes them. It reads many more, of which some hold objects."""
_LEVELS = 32
"""Levels of records inside of records."""


def holds_objects(header: bytes) -> bool:
    """Whether a header, a literal, may tell of objects, which are pickled. ValueError where it is none.

    All that is not known to be plain may: ``O`` stands for objects, and so do ``2O``, ``i4,O`` and others.
    """
    import re

    simple = rb"\{'descr': '%b', 'fortran_order': (?:True|False), 'shape': \([\d, L]*\),? ?\}\s*" % _PLAIN.encode()
    if re.fullmatch(simple, header):
        return False
    import ast

    try:
        facts = ast.literal_eval(header.decode("latin-1").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("no literal") from None
    return not (isinstance(facts, dict) and _is_plain(facts.get("descr"), _LEVELS))


def _is_plain(kind: Any, levels: int) -> bool:
    """Whether a type is one of ``_PLAIN``, (a plain one, its shape), or a list of (name, a plain one[, its shape])."""
    import re

    if isinstance(kind, str):
        return re.fullmatch(_PLAIN, kind, re.ASCII) is not None
    if levels == 0:
        return False
    if isinstance(kind, tuple):
        return len(kind) == 2 and _is_shape(kind[1]) and _is_plain(kind[0], levels - 1)
    return isinstance(kind, list) and all(
        isinstance(field, tuple)
        and len(field) in (2, 3)
        and all(map(_is_shape, field[2:]))
        and _is_plain(field[1], levels - 1)
        for field in kind
    )


def _is_shape(value: Any) -> bool:
    """Numbers; anything else NumPy takes for another type of the same bytes."""
    return isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(size, int) for size in value))
