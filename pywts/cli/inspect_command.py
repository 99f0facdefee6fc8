"""``pywts inspect``."""

from __future__ import annotations

import argparse
import sys

from ..errors import Error
from ..inspection.inspecting import inspect
from . import complain
from .arguments import Parser
from .json_output import print_error, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..inspection.facts import Inspection


def run(arguments: list[str]) -> int:
    """Inspect one source, and show what it holds."""
    parser = command_parser()
    parsed = parser.parse_args(arguments)
    sources = [*parsed.source, *([parsed.weights] if parsed.weights else [])]
    if len(sources) != 1:
        parser.error("name one file: pywts inspect best.pt")
    if parsed.json and parsed.html == "-":
        parser.error("--json and --html - would mix on standard output; give a file to --html")
    try:
        return _inspected(sources[0], parsed)
    except Error as error:
        if not parsed.json:
            raise
        return print_error(error)


def command_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = Parser(
        "inspect",
        description="Show what a checkpoint or a .wts holds, without loading it, and what the C++ side must be told. "
        "Exit code: 0 shown, 1 unreadable, or --check found damage, 2 wrong usage.",
    )
    parser.add_argument("source", nargs="*", metavar="FILE", help="a checkpoint of any kind, or a .wts")
    parser.add_argument("-w", "--weights", metavar="FILE", help="the same, as the reference scripts call it")
    parser.add_argument("--key", default="auto", metavar="PATH", help="the dotted path of the weights in it")
    parser.add_argument("--tensors", action="store_true", help="list every tensor")
    parser.add_argument("--tensor", metavar="NAME", help="show one tensor: first and last values, histogram")
    parser.add_argument("--stats", action="store_true", help="look at every value: ranges, NaN, what float16 loses")
    parser.add_argument("--check", action="store_true", help="compare every checksum of the file, as torch does not")
    parser.add_argument("--json", action="store_true", help="print everything as JSON (docs/checkpoint.md)")
    parser.add_argument("--html", metavar="PATH", help="write a page with everything, --stats included; - for stdout")
    return parser


def _inspected(source: str, parsed: argparse.Namespace) -> int:
    statistics = (parsed.tensor,) if parsed.tensor and not parsed.html else parsed.stats or bool(parsed.html)
    found = inspect(source, key=parsed.key, check=parsed.check, statistics=statistics)
    if parsed.html:
        from ..inspection.page import write_page

        write_page(found, parsed.html)
        if parsed.html != "-" and not parsed.json:
            from ..errors import shown

            print(f"{shown(parsed.html, 300)}: written")
    if parsed.json:
        _print_json(found)
    elif not parsed.html:
        _print(found, parsed)
    damaged = found.container.check.damaged if found.container.check is not None else ()
    if parsed.html or parsed.tensor:  # where the result of --check is not what is printed
        for damage in damaged:
            complain(Error(f"damaged: {damage.entry} ({', '.join(damage.tensors) or 'no tensor'}): {damage.what}"))
    return 1 if damaged else 0


def _print_json(found: Inspection) -> None:
    from ..inspection.facts import SCHEMA, SCHEMA_VERSION

    print_json({"format": SCHEMA, "version": SCHEMA_VERSION, **found.as_dict()})


def _print(found: Inspection, parsed: argparse.Namespace) -> None:
    from rich.console import Console

    from ..inspection.terminal import one_tensor, overview

    if parsed.tensor:
        view = one_tensor(next(tensor for tensor in found.tensors if tensor.name == parsed.tensor))
    else:
        view = overview(found, parsed.tensors)
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(view)
        return
    with console.capture() as captured:
        console.print(view)
    print("\n".join(line.rstrip() for line in captured.get().split("\n")), end="")  # rich fills lines with spaces
