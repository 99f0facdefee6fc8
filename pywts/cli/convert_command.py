"""``pywts convert``."""

from __future__ import annotations

import argparse
import sys

from ..converting import convert
from ..errors import Error, counted, shown
from ..options import OPTIONS
from .arguments import Parser, add_options
from .json_output import print_error, print_json
from .parsed import Parsed, selection_of

_REPLACING = ("overwrite", "force", "durable")
_HELP = {
    "recipe": "the family's surgery: auto, none, or a name that `pywts recipes` lists; unless it is given, auto for a "
    "checkpoint that becomes a .wts, and none for other formats",
    "overwrite": "fail if OUT exists",
    "force": "overwrite even a file of another format, or a .pt that `convert` did not write",
}
"""Of options that mean something else here than in ``export``, whose output is always a .wts."""


def run(arguments: list[str]) -> int:
    """Write a source as a file of another format."""
    parsed = command_parser().parse_args(arguments, Parsed())
    selection = selection_of(parsed)
    if parsed.key == "auto":
        del selection["key"]
    if parsed.recipe is None:
        del selection["recipe"]
    try:
        done = convert(
            parsed.source, parsed.output, **{name: getattr(parsed, name) for name in _REPLACING}, **selection
        )
    except Error as error:
        if not parsed.json:
            raise
        return print_error(error)
    if parsed.json:
        print_json(done)
        return 0
    for warning in done.warnings:
        print(f"pywts: warning: {warning}", file=sys.stderr)
    if not parsed.quiet:
        size = f"{counted(done.tensors, 'tensor')}, {counted(done.values, 'value')}"
        print(f"{shown(done.path, 300)}: {size} in {done.seconds:.3f} s")
    return 0


def command_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = Parser(
        "convert",
        description="Write weights as float32 in another format. Shapes of a .wts come from its sidecar.",
        epilog="Exit code: 0 done, 1 failed, 2 wrong usage.",
    )
    parser.add_argument("source", metavar="SOURCE", help="a .wts, a checkpoint, .safetensors, .npz")
    parser.add_argument(
        "output", metavar="OUT", help="a file whose suffix is the format: .safetensors .npz .pt .pth .wts"
    )
    options = [option for option in OPTIONS if option.selects or option.name in _REPLACING]
    add_options(parser, [option.replace(help=_HELP.get(option.name, option.help)) for option in options])
    parser.set_defaults(recipe=None)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser
