"""Command line arguments from the table of options."""

from __future__ import annotations

import argparse
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..options import Option


class Formatter(argparse.HelpFormatter):
    """argparse makes one of these for every argument, and imports shutil for the terminal's width each time."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_terminal_width())


def _terminal_width() -> int:
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns) - 2
    except (OSError, ValueError):
        return 98


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Give a parser these options."""
    for option in options:
        flags = [option.short, option.flag] if option.short else [option.flag]
        if not option.metavar:
            action = "store_false" if option.default else "store_true"
            parser.add_argument(*flags, dest=option.name, action=action, help=option.help)
        elif option.repeatable:
            parser.add_argument(
                *flags, dest=option.name, action="append", default=[], metavar=option.metavar, help=option.help
            )
        else:
            parser.add_argument(
                *flags,
                dest=option.name,
                default=option.default,
                metavar=option.metavar,
                choices=option.choices or None,
                help=option.help,
            )
