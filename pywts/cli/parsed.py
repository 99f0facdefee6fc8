"""What a command line said, and the quick way to read a plain one.

Importing argparse and building a parser takes as long as exporting a small model. A command line that holds nothing but
known flags in full, their values and one positional argument means the same to any parser, and is read here; for every
other one, and for whatever is wrong, argparse is asked.
"""

from __future__ import annotations

from ..options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..options import Option


class Parsed:
    """The values of options by their names, and the positional arguments as ``source``."""

    source: list[str]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def quickly_parsed(arguments: list[str], options: Iterable[Option]) -> Parsed | None:
    """What a plain command line says; None where that is for argparse to tell."""
    by_flag = {flag: option for option in options for flag in (option.flag, option.short) if flag}
    values: dict[str, Any] = {option.name: [] if option.repeatable else option.default for option in by_flag.values()}
    source: list[str] = []
    given = iter(arguments)
    for argument in given:
        if argument[:1] != "-":
            if source:
                return None
            source.append(argument)
            continue
        flag, equals, value = argument.partition("=")
        option = by_flag.get(flag)
        if option is None or (equals and not flag.startswith("--")):
            return None
        if not option.metavar:
            if equals:
                return None
            values[option.name] = not option.default
            continue
        if not equals:
            value = next(given, "-")
            if value[:1] == "-":
                return None
        if value == "--" or (option.choices and value not in option.choices):
            return None
        if option.repeatable:
            values[option.name].append(value)
        else:
            values[option.name] = value
    parsed = Parsed()
    parsed.__dict__.update(values, source=source)
    return parsed


def selection_of(parsed: Parsed) -> dict[str, Any]:
    """The options that decide which tensors are written."""
    return {option.name: getattr(parsed, option.name) for option in OPTIONS if option.selects}


def options_of(parsed: Parsed) -> dict[str, Any]:
    """All options of ``export``."""
    return {option.name: getattr(parsed, option.name) for option in OPTIONS}
