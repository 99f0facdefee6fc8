"""``pywts completion``."""

from __future__ import annotations

import argparse
from importlib import import_module

from . import COMMANDS
from .arguments import Parser

_SHELLS = {
    "bash": 'eval "$(pywts completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(pywts completion zsh)" in ~/.zshrc, after compinit',
    "fish": "pywts completion fish > ~/.config/fish/completions/pywts.fish",
}

_PATHS = {"source", "sources", "weights", "output", "wts", "a", "b", "paths"}
"""The arguments that are paths."""


def run(arguments: list[str]) -> int:
    """Print what lets a shell complete commands, options and paths."""
    import shtab

    parsed = command_parser().parse_args(arguments)
    print(shtab.complete(_whole_parser(), shell=parsed.shell))
    return 0


def command_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = Parser(
        "completion",
        description="Print what lets a shell complete commands, options and paths.",
        epilog="; ".join(_SHELLS.values()),
    )
    parser.add_argument("shell", choices=sorted(_SHELLS))
    return parser


def _whole_parser() -> argparse.ArgumentParser:
    import shtab

    whole = argparse.ArgumentParser("pywts")
    whole.add_argument("--version", action="store_true", help="print the version")
    whole.add_argument("--include-dir", action="store_true", help="print where the C++ header is")
    whole.add_argument("--cmake-dir", action="store_true", help="print where the CMake package of the header is")
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, what in COMMANDS.items():
        parser = import_module(f".{name}_command", __package__).command_parser()
        for action in parser._actions:
            if action.dest in _PATHS:
                action.complete = shtab.FILE
        commands.add_parser(name, parents=[parser], add_help=False, help=what, description=what)
    return whole
