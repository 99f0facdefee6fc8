"""What can go wrong, as exceptions. Every message names the file, the tensor, the position and the way out."""

from __future__ import annotations


class Error(Exception):
    """The base of every error that pywts raises on purpose."""


class CheckpointError(Error):
    """The source cannot be read: it is no checkpoint, it is damaged, or it is of a kind that holds no weights."""


class LimitError(CheckpointError):
    """The source asks for more than the limits allow; ``pywts.Limits`` adjusts them."""


class SelectionError(Error):
    """The source holds no weights where they were looked for, or several and no way to prefer one."""


class NoWeightsError(SelectionError):
    """The source is of a kind that can be read, and holds no weights at all: an optimizer's state, arguments, lists."""


class TensorError(Error):
    """A tensor cannot be written to a .wts: its name, its kind or one of its values forbids it."""


class WtsError(Error):
    """A .wts, or the sidecar beside it, cannot be read: it is something else, it is damaged, or they do not fit."""

    tensor = ""
    """the name of the one that is damaged; "" for none in particular"""
    line = 0
    """of the file, counted from 1; 0 for none in particular"""
    offset = 0
    """of the byte in the file, where there is a line"""


class MissingTensorError(WtsError, KeyError):
    """A .wts has no tensor of this name; the message says which names are near."""

    __str__ = Error.__str__  # a KeyError shows its message in quotes


class OutputError(Error):
    """The destination cannot be written, or must not be overwritten."""


class OptionError(Error, ValueError):
    """An argument that no option takes."""


def shown(text: object, limit: int = 120) -> str:
    """Text from a file, safe to print: escapes for what is not printable, shortened in the middle."""
    escaped = str(text)
    if len(escaped) > 2 * limit:
        escaped = escaped[:limit] + escaped[-limit:]
    if not escaped.isprintable():
        escaped = "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in escaped)
    if len(escaped) <= limit:
        return escaped
    return f"{escaped[: limit // 2]}...{escaped[-limit // 3 :]}"


def counted(count: int, noun: str) -> str:
    """How many there are: "1 tensor", "2,000 tensors"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def repeated(names: list[str]) -> str:
    """The first name that stands there a second time; ValueError where none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name is repeated")


def near(name: str, names: list[str], count: int = 3) -> list[str]:
    """The names closest to one that was not found, best first."""
    import difflib

    return difflib.get_close_matches(name, names, count)
