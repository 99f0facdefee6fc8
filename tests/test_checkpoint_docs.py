"""docs/checkpoint.md names every field of the JSON; tests/test_docs.py runs what it shows."""

from __future__ import annotations

import re

import pytest
from processes import ROOT

from pywts.inspection import facts
from pywts.records import Record

TEXT = (ROOT / "docs" / "checkpoint.md").read_text()
RECORDS = [value for value in vars(facts).values() if isinstance(value, type) and issubclass(value, Record)]


@pytest.mark.parametrize(
    "record", [record for record in RECORDS if record is not Record], ids=lambda record: record.__name__
)
def test_every_field_is_documented(record: type[Record]) -> None:
    found = re.search(rf"^### {record.__name__}\n(.*?)(?=^### |\Z)", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    assert re.findall(r"^\| `(\w+)` \|", found[1], flags=re.MULTILINE) == list(record._fields)


def test_the_version_is_documented() -> None:
    assert f'"version": {facts.SCHEMA_VERSION}' in TEXT
