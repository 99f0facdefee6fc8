"""What ``verify`` and ``diff`` have in common: their options, their exit codes, how a value is shown."""

from __future__ import annotations

import argparse

from ..errors import Error
from ..options import OPTIONS
from . import complain
from .arguments import Parser, add_options
from .json_output import print_error, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..comparing import Compared, Difference, Verified
    from .parsed import Parsed

SAME, DIFFERENT, UNREADABLE = 0, 1, 2


def parser_of(name: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options that select tensors, and those of the output."""
    parser = Parser(
        name,
        description=f"{description} Exit code: 0 the same, 1 different, 2 wrong usage or unreadable.",
    )
    add_options(parser, [option for option in OPTIONS if option.selects])
    parser.add_argument("-q", "--quiet", action="store_true", help="print no text: the exit code tells")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def answer(parsed: Parsed, compare: Callable[[], Verified | Compared], show: Callable[[Any], None]) -> int:
    """Compare, print the result as it was asked for, and return the exit code."""
    try:
        result = compare()
    except Error as error:
        if parsed.json:
            print_error(error)
        else:
            complain(error)
        return UNREADABLE
    if parsed.json:
        print_json(result)
    elif not parsed.quiet:
        show(result)
    return SAME if result.equal else DIFFERENT


def both_values(first: Difference) -> str:
    """A difference as text: where it is, and the value on either side with its bits."""
    return f"value {first.index}: {first.a!r} ({first.a_bits}) against {first.b!r} ({first.b_bits})"


def listed(names: tuple[str, ...], most: int = 5) -> str:
    """Some names, and how many more there are."""
    from ..errors import shown

    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
