"""Command line arguments from the table of options."""

from __future__ import annotations

import argparse
import os

from ..errors import near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..options import Option


class Formatter(argparse.HelpFormatter):
    """argparse makes one of these for every argument, and imports shutil for the terminal's width each time."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=_terminal_width())


class Parser(argparse.ArgumentParser):
    """One that says what was meant, and never takes it for said: no flag is cut short, none corrected."""

    def __init__(self, command: str, **more: Any) -> None:
        super().__init__(f"pywts {command}", allow_abbrev=False, **{"formatter_class": Formatter, **more})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The values, or an error that names what is near to a flag that is not known."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flags = [flag for action in self._actions for flag in action.option_strings]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_meant(unknown, flags)}")
        return parsed

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _meant([str(value)], [str(choice) for choice in action.choices or ()])
            raise


def _meant(given: list[str], known: list[str]) -> str:
    """What is near to the first of the texts that something is near to."""
    for text in given:
        if close := near(text.partition("=")[0], known, 1):
            return f"; did you mean {close[0]}?"
    return ""


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
