"""A scan's report as SARIF 2.1.0, which code hosts and their review tools read (OASIS, sarif-v2.1.0)."""

from __future__ import annotations

from .scan_report import FOUND, NEEDS_CODE, UNREADABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .scan_report import Problem, ScannedFile, ScanReport, Use

_RULES = {
    FOUND: ("error", "Loading the file imports or calls something that is not known to be harmless."),
    UNREADABLE: ("warning", "The file cannot be read whole, so nothing can be said for it."),
    NEEDS_CODE: ("note", "Loading the file makes objects of a known framework, whose code it needs."),
}
"""Rule: its level, and what it says."""


def to_sarif(report: ScanReport) -> dict[str, Any]:
    """The report as a SARIF log: a result for each use that is found or needs code, and for each problem."""
    from .._core import __version__

    results = [result for file in report.files for result in _results(file)]
    rules = [
        {"id": rule, "shortDescription": {"text": text}, "defaultConfiguration": {"level": level}}
        for rule, (level, text) in _RULES.items()
    ]
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "pywts scan", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def _results(file: ScannedFile) -> list[dict[str, Any]]:
    found = [_of_use(file, use) for use in file.uses if use.verdict in _RULES]
    return found + [_of_problem(file, problem) for problem in file.problems]


def _of_use(file: ScannedFile, use: Use) -> dict[str, Any]:
    times = f", {use.count} times" if use.count > 1 else ""
    given = f" with ({use.arguments})" if use.arguments else ""
    text = f"{use.name}: {use.how}{given}{times}: {use.reason}"
    result = _result(use.verdict, text, file.path, use.pickle, use.position)
    result["properties"] = {"how": use.how, "called": use.called, "count": use.count, "arguments": use.arguments}
    return result


def _of_problem(file: ScannedFile, problem: Problem) -> dict[str, Any]:
    return _result(UNREADABLE, problem.message, file.path, problem.where, problem.position)


def _result(rule: str, text: str, path: str, where: str, position: int) -> dict[str, Any]:
    import os
    from urllib.parse import quote

    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(os.fsencode(path))},
            "region": {"byteOffset": position, "byteLength": 0},
        }
    }
    if where:
        location["logicalLocations"] = [{"fullyQualifiedName": where}]
    return {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(rule),
        "level": _RULES[rule][0],
        "message": {"text": text},
        "locations": [location],
    }
