"""Lists of sources: a path a line, or CSV and JSONL with source, output and options in every row."""

from __future__ import annotations

import csv
import io
import json
import os
import posixpath
from typing import TYPE_CHECKING, Any

from ..errors import OptionError, near, shown
from ..options import OPTIONS
from ..records import Record
from . import storage
from .option_values import check_option_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..options import Option

_SUFFIXES = (".txt", ".lst", ".list", ".csv", ".jsonl")
_BY_NAME = {option.name: option for option in OPTIONS} | {
    option.flag[2:]: option for option in OPTIONS if option.metavar
}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Row(Record):
    """One line of a list."""

    place: str
    """file and line, for errors"""
    source: str
    """a path is absolute; relative ones are taken from the list's folder"""
    output: str | None
    options: dict[str, Any]


def is_list(path: str) -> bool:
    """Whether a file's name says that it is a list."""
    return path.lower().endswith(_SUFFIXES)


def read_list(path: str) -> list[Row]:
    """Read a list. Raises OptionError with file and line for what is no row."""
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:  # names are any bytes
            text = file.read()
    except OSError as error:
        raise OptionError(f"{shown(path, 300)}: cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise OptionError(f"{shown(path, 300)}: is no text in UTF-8")
    read = {".csv": _csv_rows, ".jsonl": _json_rows}.get(os.path.splitext(path)[1].lower(), _text_rows)
    folder = os.path.dirname(os.path.abspath(path))
    return [_row(f"{shown(path, 300)}:{number}", folder, cells) for number, cells in read(path, text)]


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends; a name may hold what ``str.splitlines`` also takes for one, such as U+2028."""
    return iter(io.StringIO(text, newline=""))


def _text_rows(_: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(text), 1):
        if line.strip() and not line.startswith("#"):
            yield number, {"source": line.strip()}


def _csv_rows(path: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(_lines(text), strict=True)
    try:
        for row in reader:
            if None in row or None in row.values():
                raise OptionError(f"{shown(path, 300)}:{reader.line_num}: has another number of cells than the header")
            yield reader.line_num, {name: cell for name, cell in row.items() if cell != ""}
    except csv.Error as error:
        raise OptionError(f"{shown(path, 300)}:{reader.line_num}: is no CSV: {error}") from None


def _json_rows(path: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{shown(path, 300)}:{number}: is no JSON: {shown(error)}") from None
        if isinstance(row, str):
            row = {"source": row}
        if not isinstance(row, dict) or not isinstance(row.get("options", {}), dict):
            raise OptionError(f"{shown(path, 300)}:{number}: is neither a path nor an object with a source")
        options = row.pop("options", {})
        twice = next((name for name in ("source", "output", *row) if name in options), None)
        if twice is not None:
            raise OptionError(
                f"{shown(path, 300)}:{number}: {shown(twice)} is no option, or stands beside options, too"
            )
        yield number, {**row, **options}


def _row(place: str, folder: str, cells: dict[str, Any]) -> Row:
    source, output = cells.pop("source", None), cells.pop("output", None)
    if not isinstance(source, str) or not source:
        raise OptionError(f"{place}: has no source")
    if not _can_be_a_path(source):
        raise OptionError(f"{place}: the source {shown(source)!r} is no path")
    source = storage.without_file_scheme(source)
    if output is not None:
        output = _output(place, output)
    options = dict(_value(place, name, value) for name, value in cells.items() if value is not None)
    try:
        check_option_values(options)
    except OptionError as error:
        raise OptionError(f"{place}: {error}") from None
    return Row(
        place, source if storage.is_url(source) else os.path.abspath(os.path.join(folder, source)), output, options
    )


def _output(place: str, output: object) -> str:
    if isinstance(output, str) and _can_be_a_path(output) and {"..", ""}.isdisjoint(output.split("/")):
        path = posixpath.normpath(output)
        if path != ".":
            return path
    raise OptionError(f"{place}: the output {shown(output)!r} is no path below OUT")


def _can_be_a_path(text: str) -> bool:
    """Whether a system takes it; JSON may hold halves of characters, which are no bytes."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _value(place: str, name: str, value: Any) -> tuple[str, Any]:
    """An option of the table, of the type that it has there."""
    option = _BY_NAME.get(name.strip().replace("-", "_")) or _BY_NAME.get(name.strip())
    if option is None:
        close = near(name, ["source", "output", *_BY_NAME], 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise OptionError(f"{place}: there is no option {shown(name)!r}{hint}")
    try:
        return option.name, _typed(option, value)
    except ValueError as error:
        raise OptionError(f"{place}: {option.name}: {error}") from None


def _typed(option: Option, value: Any) -> Any:
    if option.repeatable:
        parts = value.split(";") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"{shown(value)!r} is no list of texts; in CSV part them by semicolons")
        return tuple(parts)
    if not option.metavar:
        found = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
        if found is None:
            raise ValueError(f"{shown(value)!r} is neither true nor false")
        return found
    if not isinstance(value, str) or (option.choices and value not in option.choices):
        raise ValueError(f"{shown(value)!r} is none of {', '.join(option.choices) or 'the texts'}")
    return value
