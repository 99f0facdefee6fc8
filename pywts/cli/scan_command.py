"""``pywts scan``."""

from __future__ import annotations

import argparse

from ..errors import shown
from ..inspection.scan_report import (
    CLEAN,
    FOUND,
    HARMLESS,
    NEEDS_CODE,
    NO_CHECKPOINT,
    SCHEMA,
    SCHEMA_VERSION,
    UNREADABLE,
    ScannedFile,
    ScanReport,
    Use,
)
from ..inspection.scanning import scan
from .arguments import Formatter, Parser
from .json_output import print_json

_ROWS = 12
_VERDICTS = (FOUND, UNREADABLE, NEEDS_CODE, CLEAN, NO_CHECKPOINT)
_HELP = """\
Every global that a pickle names is told, with what is done to it: import (it is only referred to), reduce, newobj,
obj, inst, extension, build (the opcodes that call something), append and setitem (of what is no list or dict).
By an allow-list with a reason for each entry, it is harmless, needs code (a class of a known framework or training
repository, made without its constructor), or found, which is everything else.

Read are all pickles of a file, in archives and in each other; not the storages of an archive, which loaders take as
numbers. Exit code: 0 clean (or needs code), 1 found, 2 wrong usage, or a file that cannot be read to its end."""


def run(arguments: list[str]) -> int:
    """Say what loading files would import and call."""
    parsed = command_parser().parse_args(arguments)
    report = scan(*parsed.paths)
    if parsed.json:
        counts = {verdict: len(report.of(verdict)) for verdict in _VERDICTS}
        print_json({"schema": SCHEMA, "version": SCHEMA_VERSION, "counts": counts, "files": report.files})
    elif parsed.sarif:
        import json

        from ..inspection.sarif import to_sarif

        print(json.dumps(to_sarif(report), indent=1))
    elif not parsed.quiet:
        _show(report, parsed.all)
    return report.exit_code(parsed.strict)


def command_parser() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = Parser(
        "scan",
        description="Say what loading a file the ordinary way would import and call, without doing it.",
        epilog=_HELP,
        formatter_class=_Formatter,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a checkpoint; of a folder all that are below it")
    parser.add_argument("--strict", action="store_true", help="what needs code is found, too: exit code 1")
    parser.add_argument("--all", action="store_true", help="list every import and call, also the harmless ones")
    parser.add_argument("-q", "--quiet", action="store_true", help="print no text: the exit code tells")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the report as JSON (docs/scan.md)")
    form.add_argument("--sarif", action="store_true", help="print what is found as SARIF 2.1.0")
    return parser


class _Formatter(Formatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the text at the end."""


def _show(report: ScanReport, everything: bool) -> None:
    for file in report.files:
        if file.verdict != NO_CHECKPOINT or everything:
            _show_file(file, everything)
    if len(report.files) != 1:
        parts = [f"{len(report.of(verdict)):,} {verdict}" for verdict in _VERDICTS if report.of(verdict)]
        print(f"{len(report.files):,} files: {', '.join(parts) or 'none'}")


def _show_file(file: ScannedFile, everything: bool) -> None:
    facts = [file.kind] if file.kind else []
    facts += [_counted(len(file.pickles), "pickle")] if file.pickles else []
    kind = f" ({', '.join(facts)})" if facts else ""
    verdict = file.verdict.upper() if file.verdict in (FOUND, UNREADABLE) else file.verdict
    print(f"{shown(file.path, 1000)}: {verdict}{kind}")
    for problem in file.problems[: None if everything else _ROWS]:
        place = f"{problem.where}, byte {problem.position}: " if problem.where or problem.position else ""
        print(f"  not read whole: {place}{shown(problem.message, 400)}")
    _more(len(file.problems), everything)
    _list(file.of(FOUND), everything)
    if everything:
        _list(file.of(NEEDS_CODE), everything)
        _list(file.of(HARMLESS), everything)
        return
    needed = sorted({use.name.rpartition(".")[0].split(".")[0] for use in file.of(NEEDS_CODE) if "." in use.name})
    code = {use.name for use in file.of(NEEDS_CODE)}
    if code:
        print(
            f"  needs the code of: {', '.join(needed) or 'its own'} ({_counted(len(code), 'name')}; --all lists them)"
        )


def _list(uses: tuple[Use, ...], everything: bool) -> None:
    for use in uses[: None if everything else _ROWS]:
        times = f", {use.count:,} times" if use.count > 1 else ""
        place = f"{use.pickle}, byte {use.position}" if use.pickle else f"byte {use.position}"
        what = f"{use.name}({use.arguments})" if use.called and use.how != "build" else use.name
        print(f"  {use.verdict}: {what}: {use.how}{times}, {place}: {use.reason}")
    _more(len(uses), everything)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def _more(count: int, everything: bool) -> None:
    if not everything and count > _ROWS:
        print(f"  and {count - _ROWS:,} more; --all lists them")
