"""``pywts export``."""

from __future__ import annotations

import sys

from ..errors import Error, OutputError, counted, shown
from ..exporting import Exported, Plan, export, plan
from ..options import OPTIONS, Option
from .parsed import Parsed, options_of, quickly_parsed, selection_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import BinaryIO

_OPTIONS = (
    Option("weights", "--weights", None, "the same, as the reference scripts call it", "CHECKPOINT", short="-w"),
    Option("output", "--output", None, "a file, a folder, or - for standard output", "PATH", short="-o"),
    *OPTIONS,
    Option("dry_run", "--dry-run", False, "show what would be written, and write nothing", short="-n"),
    Option("quiet", "--quiet", False, "print nothing but errors", short="-q"),
    Option("json", "--json", False, "print the result as JSON"),
)


def run(arguments: list[str]) -> int:
    """Export one checkpoint, and say what was done."""
    parsed = quickly_parsed(arguments, _OPTIONS) or command_parser().parse_args(arguments, Parsed())
    sources = [*parsed.source, *([parsed.weights] if parsed.weights else [])]
    if not sources:
        command_parser().error("name a checkpoint: pywts export best.pt")
    if len(sources) > 1:
        command_parser().error(
            f"takes one checkpoint, {len(sources)} were given; for several use: pywts batch SOURCES... -o FOLDER"
        )
    if parsed.json and parsed.output == "-":
        command_parser().error("--json and -o - would mix on standard output; give a file to -o")
    try:
        if parsed.dry_run:
            _print_plan(plan(sources[0], trust=parsed.trust, **selection_of(parsed)), parsed)
        else:
            _print_exported(_export(sources[0], parsed), parsed)
    except Error as error:
        if not parsed.json:
            raise
        from .json_output import print_error

        return print_error(error)
    return 0


def command_parser() -> ArgumentParser:
    """What the command takes."""
    from .arguments import Parser, add_options

    parser = Parser(
        "export",
        description="Write the weights of a checkpoint as the .wts that TensorRT programs read.",
        epilog="Exit code: 0 done, 1 failed, 2 wrong usage.",
    )
    parser.add_argument("source", nargs="*", metavar="CHECKPOINT", help="the checkpoint, of whatever suffix")
    add_options(parser, _OPTIONS)
    return parser


def _export(source: str, parsed: Parsed) -> Exported:
    output: str | BinaryIO | None = parsed.output
    if output == "-":
        if sys.stdout is None:
            raise OutputError("standard output is closed; give a file to -o")
        # A trusted child has another standard output.
        output = sys.stdout.buffer if parsed.trust else "/dev/stdout"
    progress = None
    if not (parsed.quiet or parsed.json) and sys.stderr.isatty():
        from .progress import LateBar

        progress = LateBar(shown(source, 40))
    try:
        return export(source, output, progress=progress, **options_of(parsed))
    finally:
        if progress is not None:
            progress.close()


def _print_exported(exported: Exported, parsed: Parsed) -> None:
    if parsed.json:
        from .json_output import print_json

        print_json(exported)
        return
    stream = sys.stderr if parsed.output == "-" else sys.stdout
    for warning in exported.warnings:
        print(f"pywts: warning: {warning}", file=sys.stderr)
    if parsed.quiet:
        return
    path = shown("standard output" if parsed.output == "-" else exported.path, 300)
    print(
        f"{path}: {counted(exported.tensors, 'tensor')}, {counted(exported.values, 'value')}, {exported.bytes:,} bytes "
        f"in {exported.seconds:.3f} s",
        file=stream,
    )
    print(f"weights: {exported.why}", file=stream)
    for note in exported.notes:
        print(f"note:    {note}", file=stream)
    print(f"next:    {exported.next_step}", file=stream)


def _print_plan(planned: Plan, parsed: Parsed) -> None:
    if parsed.json:
        from .json_output import print_json

        print_json(planned)
        return
    for warning in planned.warnings:
        print(f"pywts: warning: {warning}", file=sys.stderr)
    if parsed.quiet:
        return
    rows = [(t.name, "x".join(map(str, t.shape)) or "scalar", t.dtype, f"{t.bytes:,}") for t in planned.tensors]
    titles = ("name", "shape", "dtype", "bytes")
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(3)]
    for row in (titles, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)) + f"  {row[3]:>14}")
    size = f"{counted(len(rows), 'tensor')}, {counted(planned.values, 'value')}, {planned.bytes:,} bytes"
    print(f"{size}; nothing was written")
    print(f"weights: {planned.why}")
    for note in planned.notes:
        print(f"note:    {note}")
