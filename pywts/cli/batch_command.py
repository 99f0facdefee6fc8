"""``pywts batch``."""

from __future__ import annotations

import argparse
import re
import sys

from ..errors import OptionError, counted, shown
from ..options import OPTIONS
from ..words import bytes_in_words
from ..zoo.batching import batch, plan_batch
from ..zoo.engines import ENGINES
from ..zoo.report_files import check_report_path, write_report
from .arguments import Parser, add_options
from .parsed import Parsed, options_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from ..zoo.plan import BatchPlan
    from ..zoo.report import BatchReport

_ROWS = 20
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def run(arguments: list[str]) -> int:
    """Convert many checkpoints, show how it goes, and say what became of them."""
    parsed = command_parser().parse_args(arguments, Parsed())
    options = options_of(parsed)
    finding = {"match": parsed.match, "ignore": parsed.ignore}
    if parsed.dry_run:
        if parsed.report:
            raise OptionError("--report tells of a run, and --dry-run is none")
        plan = plan_batch(parsed.sources, parsed.output, **finding, **options)
        if not parsed.quiet:
            _print_plan(plan)
        return 0 if plan.fits or parsed.force else 2
    if parsed.report:
        check_report_path(parsed.report)
    from .batch_progress import follower

    with follower(parsed.quiet) as follow:
        report = batch(
            parsed.sources,
            parsed.output,
            **finding,
            engine=parsed.engine,
            jobs=parsed.jobs,
            timeout=parsed.timeout,
            max_memory=parsed.max_memory,
            scheduler=parsed.scheduler,
            fail_fast=parsed.fail_fast,
            planned=follow.planned,
            progress=follow.progress,
            **options,
        )
    if parsed.report:
        write_report(report, parsed.report)
    if parsed.quiet:
        _print_failures(report, sys.stderr)
    else:
        _print_report(report)
    if report.interrupted:
        return 130
    return 1 if report.failed else 0


def command_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = Parser(
        "batch",
        description="Convert many checkpoints, each once: run it again after whatever happened, and it goes on.",
        epilog="Exit code: 0 all done, 1 some failed, 2 wrong usage or a plan that is refused, 130 interrupted.",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a checkpoint, a folder, a glob, a list (.txt, .csv, .jsonl), or a URL of any of these but lists",
    )
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="the folder or URL of the outputs")
    parser.add_argument(
        "--match", metavar="GLOB", action="append", default=[],
        help="take files of folders that match, whatever they are called, and no others; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", metavar="GLOB", action="append", default=[],
        help="pass over files and folders that match; may be repeated",
    )  # fmt: skip
    parser.add_argument("-n", "--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=_positive, help="workers; one for each processor if not given"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, help="give a checkpoint up after that long")
    parser.add_argument("--max-memory", metavar="SIZE", type=_bytes, help="what a worker may take: 800M, 4G")
    parser.add_argument("--fail-fast", action="store_true", help="begin nothing more after the first failure")
    parser.add_argument(
        "--engine", metavar="NAME", choices=ENGINES, default="processes", help="processes, or dask for a cluster"
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of dask; if not given, a cluster on this machine")
    parser.add_argument("--report", metavar="FILE", help="write the report, too: .json, .csv or .html")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    add_options(parser, OPTIONS)
    return parser


def _positive(text: str) -> int:
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 600")
    return number


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]+)?) ?([kmgt]?)(?:i?b)?", text.lower())
    if found is None or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{shown(text)!r} is no size, such as 800M or 4G")
    return int(float(found[1]) * _UNITS[found[2]])


def _print_plan(plan: BatchPlan) -> None:
    for job in plan.jobs:
        print(f"{shown(job.source, 300)} -> {shown(job.output, 300)}  ({bytes_in_words(job.size)}; {job.why})")
    for skipped in plan.skipped:
        print(f"skipped: {shown(skipped.source, 300)}: {shown(skipped.reason, 300)}")
    print(f"to do:   {counted(len(plan.jobs), 'checkpoint')} of {bytes_in_words(plan.source_bytes)}")
    print(f"done:    {len(plan.done):,}, unchanged since")
    print(f"skipped: {len(plan.skipped):,}")
    free = "how much is free there is unknown"
    if plan.free_bytes is not None:
        free = f"{bytes_in_words(plan.free_bytes)} are free{'' if plan.fits else ': NOT ENOUGH'}"
    print(f"room:    {bytes_in_words(plan.output_bytes)} are to be written; {free}")
    print("nothing was written")


def _print_failures(report: BatchReport, file: TextIO | None) -> None:
    for group in report.failures:
        for entry in group.entries[:_ROWS]:
            print(f"failed:  {shown(entry.output, 300)}: " + shown(entry.error.replace("\n", " "), 600), file=file)
        if len(group.entries) > _ROWS:
            more = f"{len(group.entries) - _ROWS:,} more for the same cause: {shown(group.cause, 300)}"
            print(f"failed:  {more}", file=file)


def _print_report(report: BatchReport) -> None:
    from rich.console import Console
    from rich.table import Table

    _print_failures(report, sys.stdout)
    table = Table(show_header=False, box=None, pad_edge=False)
    converted = report.converted
    rate = f", {bytes_in_words(int(report.bytes / report.seconds))}/s" if report.seconds > 0 else ""
    table.add_row("converted", f"{len(converted):,}", f"{bytes_in_words(report.bytes)} in {report.seconds:.1f} s{rate}")
    table.add_row("unchanged", f"{len(report.unchanged):,}", "done before")
    table.add_row("failed", f"{len(report.failed):,}", counted(len(report.failures), "cause") if report.failed else "")
    table.add_row(
        "skipped", f"{len(report.skipped) + len(report.without_weights):,}", "no checkpoints; --dry-run lists them"
    )
    if report.left:
        table.add_row("left", f"{report.left:,}", "not begun; run it again")
    Console(file=sys.stdout, soft_wrap=True).print(table)
    print(f"journal: {shown(report.journal, 300)}")
