"""docs/checkpoint.md shows what the commands print, and names every field of the JSON."""

from __future__ import annotations

import re
import shlex

import pytest
from processes import ROOT

from pywts.cli import main
from pywts.inspection import facts
from pywts.records import Record

TEXT = (ROOT / "docs" / "checkpoint.md").read_text()
BLOCKS = re.findall(r"```console\n\$ pywts ([^\n]*)\n(.*?)```", TEXT, flags=re.DOTALL)
RECORDS = [value for value in vars(facts).values() if isinstance(value, type) and issubclass(value, Record)]


def parts_of(shown: str) -> list[str]:
    """What is shown, in pieces: a line of dots stands for whatever is left out."""
    return [part for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE) if part]


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_output_is_what_the_command_prints(
    block: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, shown = BLOCKS[block]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    parts = parts_of(shown)
    assert parts
    for part in parts:
        assert part in printed
        printed = printed[printed.index(part) + len(part) :]
    if not shown.endswith("...\n"):
        assert not printed.strip()


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize(
    "record", [record for record in RECORDS if record is not Record], ids=lambda record: record.__name__
)
def test_every_field_is_documented(record: type[Record]) -> None:
    found = re.search(rf"^### {record.__name__}\n(.*?)(?=^### |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    assert re.findall(r"^\| `(\w+)` \|", found[1], flags=re.MULTILINE) == list(record._fields)


def test_the_example_of_python_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(example, {})
    assert capsys.readouterr().out == "3 (8.0, 16.0, 32.0)\n[]\n"


def test_the_version_is_documented() -> None:
    assert f'"version": {facts.SCHEMA_VERSION}' in TEXT
