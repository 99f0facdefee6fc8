"""The report of a batch as a file: JSON with everything, CSV with a line a checkpoint, or a page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..destination import write_text
from ..errors import OptionError, OutputError, shown
from ..words import bytes_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import BatchReport

_COLUMNS = ("output", "source", "status", "bytes", "crc32", "seconds", "weights", "recipe", "dialect", "kind", "error")
_MOST_DETAILS = 20_000
"""Checkpoints from which on a row of the page does not unfold."""


def check_report_path(path: str) -> None:
    """Raise OptionError for a report of no known kind: before a batch, not after it."""
    _writer(path)


def write_report(report: BatchReport, path: str) -> None:
    """Write a report as JSON, CSV or HTML, by the path's suffix; its folder is made where it is missing."""
    text = _writer(path)(report)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
    write_text(path, text, "--report")


def _writer(path: str) -> Callable[[BatchReport], str]:
    suffix = os.path.splitext(path)[1].lower()
    writers = {".json": _json, ".csv": _csv, ".html": _html}
    if suffix not in writers:
        raise OptionError(f"{shown(path, 300)}: a report is {', '.join(writers)}, by its suffix")
    return writers[suffix]


def _json(report: BatchReport) -> str:
    import json

    def plain(value: Any) -> Any:
        return value.as_dict()

    totals = {
        "out": report.out,
        "journal": report.journal,
        "converted": len(report.converted),
        "unchanged": len(report.unchanged),
        "failed": len(report.failed),
        "skipped": len(report.skipped) + len(report.without_weights),
        "left": report.left,
        "bytes": report.bytes,
        "seconds": report.seconds,
        "interrupted": report.interrupted,
    }
    lists = {
        "failures": report.failures,
        "checkpoints": report.entries,
        "skipped_files": report.skipped,
        "unchanged_outputs": report.unchanged,
    }
    return json.dumps({**totals, **lists}, default=plain, indent=1) + "\n"


def _csv(report: BatchReport) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([getattr(entry, name) for name in _COLUMNS] for entry in report.entries)
    writer.writerows([output, "", "unchanged", *[""] * (len(_COLUMNS) - 3)] for output in report.unchanged)
    writer.writerows(["", item.source, "skipped", *[""] * (len(_COLUMNS) - 4), item.reason] for item in report.skipped)
    return text.getvalue()


def _html(report: BatchReport) -> str:
    from ..pages import render

    def columns(*names_and_types: str) -> list[dict[str, str]]:
        pairs = (text.partition(":") for text in names_and_types)
        return [{"name": name, "type": kind or "text"} for name, _, kind in pairs]

    def facts(entry: Any) -> list[tuple[str, str]]:
        rows = [("source", entry.source), ("weights", entry.why), ("recipe", entry.recipe), ("error", entry.error)]
        rows += [("note", note) for note in entry.notes] + [("warning", warning) for warning in entry.warnings]
        return [(name, shown(value, 2000)) for name, value in rows if value]

    groups = [
        {
            "name": f"failures-{number}",
            "count": f"{len(group.entries):,} failed",
            "cause": shown(group.cause, 600),
            "kind": group.kind,
            "way_out": shown(group.way_out.replace("\n", " "), 600),
            "columns": columns("checkpoint", "error"),
            "rows": [(shown(entry.source, 600), shown(entry.error, 2000)) for entry in group.entries],
        }
        for number, group in enumerate(report.failures)
    ]
    rate = f"{bytes_in_words(int(report.bytes / report.seconds))}/s" if report.seconds else ""
    what = "interrupted" if report.interrupted else "finished"
    return render(
        "batch.html.j2",
        title=shown(os.path.basename(report.out.rstrip("/")) or report.out, 200),
        about=f"{shown(report.out, 600)}: {what} after {report.seconds:,.1f} s; journal {shown(report.journal, 600)}",
        numbers=[
            ("converted", f"{len(report.converted):,}"),
            ("failed", f"{len(report.failed):,}"),
            ("unchanged", f"{len(report.unchanged):,}"),
            ("skipped", f"{len(report.skipped) + len(report.without_weights):,}"),
            ("left", f"{report.left:,}"),
            ("written", bytes_in_words(report.bytes)),
            ("a second", rate),
        ],
        groups=groups,
        slowest_columns=columns("checkpoint", "seconds:number", "bytes:bytes", "status"),
        slowest=[
            (shown(entry.output, 600), round(entry.seconds, 4), entry.bytes or None, entry.status)
            for entry in report.slowest()
        ],
        all_columns=columns("output", "status", "bytes:bytes", "seconds:number", "weights", "recipe"),
        all_rows=[
            (
                shown(entry.output, 600), entry.status, entry.bytes or None, round(entry.seconds, 4),
                shown(entry.weights, 200), shown(entry.recipe, 200),
            )
            for entry in report.entries
        ],
        details=[facts(entry) for entry in report.entries] if len(report.entries) <= _MOST_DETAILS else None,
        skipped_columns=columns("file", "reason"),
        skipped=[
            (shown(source, 600), shown(reason, 600))
            for source, reason in [
                *((item.source, item.reason) for item in report.skipped),
                *((entry.source, entry.error) for entry in report.without_weights),
            ]
        ],
    )  # fmt: skip
