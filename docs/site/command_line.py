"""The page of all commands, made of what their parsers take."""

from __future__ import annotations

import re
from argparse import ArgumentParser, _HelpAction
from importlib import import_module

from pywts.cli import COMMANDS


def command_line() -> str:
    """The page, as Markdown."""
    lines = [
        "# Command line",
        "",
        "`pywts COMMAND --help` says the same in a terminal. Exit codes: 0 done (same, clean), 1 failed (different,",
        "found), 2 wrong usage, and of `verify`, `diff` and `scan` a source that cannot be read; 130 and 143 when",
        "SIGINT or SIGTERM came. `pywts help COMMAND` is `pywts COMMAND --help`.",
        "",
        "| command | what it does |",
        "| --- | --- |",
        *(f"| [`pywts {name}`](#{name}) | {what} |" for name, what in COMMANDS.items()),
        "",
        "`pywts --version` (`-V`), `pywts --include-dir` and `pywts --cmake-dir` print the version, the folder of the",
        "C++ header, and that of its CMake package.",
    ]
    for name in COMMANDS:
        lines += ["", *_command(name, import_module(f"pywts.cli.{name}_command").command_parser())]
    return "\n".join(lines) + "\n"


def _command(name: str, parser: ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage:").split())
    lines = [f"## {name}", "", parser.description or "", "", "```text", *_folded(usage), "```", ""]
    actions = [action for action in parser._actions if not isinstance(action, _HelpAction)]
    if actions:
        lines += ["| argument | |", "| --- | --- |"]
    for action in actions:
        flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
        value = action.metavar or ("" if action.nargs == 0 else action.dest)
        shown = f"{flags} `{value}`" if flags and value else flags or f"`{value}`"
        text = (action.help or "").replace("|", "\\|").replace("%%", "%")
        text = re.sub(r"(?<![\w`])(--[a-z][a-z-]*)", r"`\1`", re.sub("%\\(default\\)s", str(action.default), text))
        if action.choices:
            text += f"{': ' if text else ''}one of {', '.join(f'`{choice}`' for choice in action.choices)}"
        lines.append(f"| {shown} | {text} |")
    if parser.epilog:
        lines += ["", parser.epilog]
    return lines


def _folded(usage: str, width: int = 76) -> list[str]:
    lines = [""]
    for word in re.findall(r"\[[^\]]*\](?: \.\.\.\])?|\S+", usage):
        if len(lines[-1]) + len(word) >= width:
            lines.append("   ")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
