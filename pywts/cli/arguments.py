"""Command line arguments from the table of options."""

from __future__ import annotations

import argparse
import os

from ..options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Formatter(argparse.HelpFormatter):
    """argparse makes one of these for every argument, and imports shutil for the terminal's width each time."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_terminal_width())


def _terminal_width() -> int:
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns) - 2
    except (OSError, ValueError):
        return 98


def add_options(parser: argparse.ArgumentParser, names: Iterable[str] | None = None) -> None:
    """Give a parser the options of ``export``: all, or those of these names."""
    for option in OPTIONS:
        if names is not None and option.name not in names:
            continue
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


def selection_of(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options that decide which tensors are written."""
    return {option.name: getattr(parsed, option.name) for option in OPTIONS if option.selects}


def options_of(parsed: argparse.Namespace) -> dict[str, Any]:
    """All options of ``export``."""
    return {option.name: getattr(parsed, option.name) for option in OPTIONS}
