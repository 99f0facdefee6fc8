"""``pywts convert``."""

from __future__ import annotations

import argparse
import sys

from ..converting import convert
from ..errors import Error, OptionError, counted, shown
from ..options import OPTIONS
from .arguments import Parser, add_options
from .comparing import print_json
from .parsed import Parsed, selection_of

_REPLACING = ("overwrite", "force", "durable")


def run(arguments: list[str]) -> int:
    """Write a source as a file of another format."""
    parsed = command_parser().parse_args(arguments, Parsed())
    selection = selection_of(parsed)
    if parsed.key == "auto":
        del selection["key"]
    try:
        done = convert(
            parsed.source, parsed.output, **{name: getattr(parsed, name) for name in _REPLACING}, **selection
        )
    except Error as error:
        if not parsed.json:
            raise
        print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
        return 2 if isinstance(error, OptionError) else 1
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
    add_options(parser, [option for option in OPTIONS if option.selects or option.name in _REPLACING])
    parser.set_defaults(recipe="none")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser
