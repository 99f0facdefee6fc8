"""The report of a batch as files: data for machines, and a page that is read in a real browser."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from browsing import Watched
from checkpoints import save, tensor
from processes import run, small_files

import pywts

HOSTILE = "<img src=x onerror=\"document.title='run'\">'\"&\u202e\x1b[31m"


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Good ones, two causes of failure, and what is skipped."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    for number in range(5):
        save(folder / f"{number}.pt", {"w": tensor(numpy.arange(10 ** (number + 1), dtype=numpy.float32))})
    for name in ("page.pt", "other.pt", f"{HOSTILE}.pt".replace("/", "")):
        (folder / name).write_text("<!doctype html>")
    save(folder / "space.pt", {"a b": tensor([1.0])})
    save(folder / "optimizer.pt", {"state": {}, "param_groups": []})
    (folder / "README.md").write_text("# zoo")
    return folder


def report(zoo: Path, suffix: str) -> Path:
    """The report of a batch over it."""
    path = zoo.parent / f"report.{suffix}"
    found = run("batch", zoo, "-o", zoo.parent / "out", "--report", path, "--jobs", "1")
    assert (found.returncode, found.stderr) == (1, "")
    return path


def test_json(zoo: Path) -> None:
    found = json.loads(report(zoo, "json").read_text())
    assert (found["converted"], found["failed"], found["skipped"], found["left"]) == (5, 4, 2, 0)
    assert [(len(group["entries"]), group["kind"], group["way_out"]) for group in found["failures"]] == [
        (3, "CheckpointError", "download the file itself"), (1, "TensorError", "rename it")
    ]  # fmt: skip
    assert found["bytes"] == sum(entry["bytes"] for entry in found["checkpoints"])
    assert [Path(item["source"]).name for item in found["skipped_files"]] == ["README.md"]


def test_csv(zoo: Path) -> None:
    with report(zoo, "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows].count("done") == 5
    assert {row["error"] for row in rows if row["status"] == "failed" and row["kind"] == "TensorError"} == {
        f"{zoo}/space.pt: the name of tensor 0, a b, has white space (' ') at position 1, where readers would cut it; "
        "rename it"
    }
    with report(zoo, "csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)].count("unchanged") == 5


def test_report_of_another_kind_is_refused_before_anything_runs(zoo: Path) -> None:
    found = run("batch", zoo, "-o", zoo.parent / "out", "--report", "report.pdf")
    assert (found.returncode, found.stdout) == (2, "")
    assert "report.pdf: a report is .json, .csv, .html, by its suffix" in found.stderr
    assert not (zoo.parent / "out").exists()


@pytest.mark.tool("chromium")
def test_page_groups_failures_by_cause_with_the_way_out(browser: Any, zoo: Path) -> None:
    watched = Watched(browser, report(zoo, "html"))
    page = watched.page
    labels, values = (page.locator(f".numbers {part}").all_inner_texts() for part in ("span", "b"))
    numbers = dict(zip(labels, values, strict=True))
    assert (numbers["converted"], numbers["failed"], numbers["skipped"]) == ("5", "4", "2")
    heads = page.locator(".failure h2").all_inner_texts()
    assert heads[0] == "3 failed: this is a web page, not the file behind the link"
    assert heads[1].startswith("1 failed: the name of tensor N, a b, has white space")
    ways = page.locator(".failure > p").all_inner_texts()
    assert ways == ["CheckpointError. The way out: download the file itself", "TensorError. The way out: rename it"]
    assert len(watched.column("failures-0", 1)) == 3
    assert any("<img src=x onerror" in name for name in watched.column("failures-0", 1)), "names stay text"
    assert not any("\u202e" in name or "\x1b" in name for name in watched.column("failures-0", 1))
    assert len(watched.column("all", 1)) == 10
    assert len(watched.column("slowest", 1)) == 10
    assert {Path(name).name for name in watched.column("skipped", 1)} == {"README.md", "optimizer.pt"}
    seconds = [float(text) for text in watched.column("slowest", 2)]
    assert seconds == sorted(seconds, reverse=True)
    page.locator("[data-table=all] td.name button", has_text="4.wts").click()
    assert f"{zoo}/4.pt" in page.locator("[data-table=all] tr.detail").inner_text()
    assert page.title() == "out - pywts batch"
    assert watched.said == []


def test_report_that_cannot_be_written_keeps_the_old_one(zoo: Path, tmp_path: Path) -> None:
    found = pywts.batch(zoo / "0.pt", tmp_path / "out", jobs=1)
    path = tmp_path / "r.html"
    path.write_text("old")
    with small_files(1_000), pytest.raises(pywts.OutputError, match=r"r\.html: cannot be written: File too large"):
        found.write(str(path))
    assert path.read_text() == "old"
