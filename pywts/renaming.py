"""Which of the named tensors are written, and under which names.

In this order: thop's counters go, ``include`` keeps, ``exclude`` leaves out, ``strip_prefix`` shortens, each ``rename``
replaces. Globs and prefixes see the names that the recipe left, a rename what the one before it gave.
"""

from __future__ import annotations

from .errors import OptionError, SelectionError, near, shown
from .tensor import Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .tensor import Refused

    Named = Tensor | Refused
    Renames = str | Iterable[str | tuple[str, str]]

JUNK = ("total_ops", "total_params")
"""Counters that thop registers in every module it looked at."""

_FLOATING = ("float", "bfloat")


def without_junk(items: list[Named]) -> list[Named]:
    """All but thop's counters."""
    return [item for item in items if not _is_junk(item)]


def junk_warning(items: list[Named]) -> str | None:
    """What to say where thop's counters are about to be written."""
    count = len([item for item in items if item.name.endswith(JUNK) and _is_junk(item)])
    if not count:
        return None
    return f"{count} counters of thop ({', '.join(JUNK)}) are among the tensors; --drop-junk leaves them out"


def selected(
    source: str, items: list[Named], include: str | Iterable[str], exclude: str | Iterable[str]
) -> list[Named]:
    """What some glob of ``include`` matches (all without one), less what some glob of ``exclude`` does."""
    for option, patterns in (("include", _texts(include, "include")), ("exclude", _texts(exclude, "exclude"))):
        if patterns:
            matched = _matched(source, option, patterns, items)
            items = [item for place, item in enumerate(items) if (place in matched) == (option == "include")]
    return items


def _matched(source: str, option: str, patterns: list[str], items: list[Named]) -> set[int]:
    from fnmatch import fnmatchcase

    places: set[int] = set()
    for pattern in patterns:
        found = [place for place, item in enumerate(items) if fnmatchcase(item.name, pattern)]
        if not found:
            names = [item.name for item in items]
            close = near(pattern, names) or names[:3]
            raise SelectionError(
                f"{source}: --{option} {shown(pattern)} matches no tensor; there is {', '.join(map(shown, close))}"
                if close
                else f"{source}: --{option} {shown(pattern)} matches no tensor: none is left"
            )
        places.update(found)
    return places


def renamed(items: list[Named], strip_prefix: str, rename: Renames) -> tuple[list[Named], list[str]]:
    """The items under their new names, and what to say where an option changed none."""
    warnings = []
    if strip_prefix:
        if not any(item.name.startswith(strip_prefix) for item in items):
            warnings.append(f"--strip-prefix {shown(strip_prefix)}: no name begins with it")
        items = [item.renamed(item.name.removeprefix(strip_prefix)) for item in items]
    for regex, text in _pairs(rename):
        items, changed = _replaced(items, regex, text)
        if not changed:
            warnings.append(f"--rename {shown(regex)}={shown(text)}: changes no name")
    return items, warnings


def prefix_hint(items: list[Named]) -> str | None:
    """What to say where a wrapper's prefix is on every name."""
    for prefix, wrapper in (("module.", "DataParallel"), ("_orig_mod.", "torch.compile")):
        if items and all(item.name.startswith(prefix) for item in items):
            return f"every name begins with {prefix} ({wrapper}); --strip-prefix {prefix} takes it off"
    return None


def round_half(items: list[Named]) -> list[Named]:
    """The items, their floating-point values marked for rounding through float16; counters stay, as in ``.half()``."""
    result = []
    for item in items:
        item = item.renamed(item.name)
        if isinstance(item, Tensor) and item.dtype.startswith(_FLOATING):
            item.half = True
        result.append(item)
    return result


def check_renames(rename: Renames) -> None:
    """Raise OptionError for what is no rename, before there are names to try it on."""
    import re

    for regex, text in _pairs(rename):
        try:
            re.compile(regex)
        except (re.error, OverflowError, RecursionError) as error:
            raise OptionError(f"rename {shown(regex)}={shown(text)}: no regular expression: {error}") from None


def _replaced(items: list[Named], regex: str, text: str) -> tuple[list[Named], bool]:
    import re

    try:
        pattern = re.compile(regex)
        names = [pattern.sub(text, item.name) for item in items]
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise OptionError(f"rename {shown(regex)}={shown(text)}: no regular expression: {error}") from None
    changed = any(name != item.name for name, item in zip(names, items, strict=True))
    return [item.renamed(name) for name, item in zip(names, items, strict=True)], changed


def _pairs(rename: Renames) -> list[tuple[str, str]]:
    """``(regex, text)`` pairs; in a text ``REGEX=TEXT`` the last ``=`` parts the two, as a regex may hold some."""
    result = []
    for entry in [rename] if isinstance(rename, str) else rename:
        if isinstance(entry, str):
            regex, parted, text = entry.rpartition("=")
            if not parted or not regex:
                raise OptionError(f"rename {shown(entry)!r} is no REGEX=TEXT")
            result.append((regex, text))
        elif isinstance(entry, (tuple, list)) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
            result.append((entry[0], entry[1]))
        else:
            raise OptionError(f"rename {shown(repr(entry), 60)} is neither a pair (regex, text) nor 'REGEX=TEXT'")
    return result


def _texts(patterns: str | Iterable[str], option: str) -> list[str]:
    result = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in result:
        if not isinstance(pattern, str):
            raise OptionError(f"{option} takes globs, not a {type(pattern).__name__}")
    return result


def _is_junk(item: Named) -> bool:
    return item.name.rpartition(".")[2] in JUNK
