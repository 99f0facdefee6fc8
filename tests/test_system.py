"""What an export does on a system that lacks what Linux has: nameless files and their paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pywts
from pywts import destination, system


@pytest.fixture
def without_nameless_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS is: without O_TMPFILE and /proc, and a path can be had of a file that has a name."""
    monkeypatch.setattr(destination, "_TMPFILE", 0)
    monkeypatch.setattr(system, "path_of", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))


@pytest.mark.usefixtures("without_nameless_files")
@pytest.mark.parametrize("options", [{}, {"durable": True}, {"sidecar": True}, {"verify": True}], ids=str)
def test_export_works_without_nameless_files(options: dict[str, bool], sample: Path, tmp_path: Path) -> None:
    done = pywts.export(sample, tmp_path / "new.wts", **options)
    (tmp_path / "old.wts").write_bytes(b"0\n")
    pywts.export(sample, tmp_path / "old.wts", **options)
    assert (tmp_path / "new.wts").stat().st_size == done.bytes
    assert (tmp_path / "old.wts").read_bytes() == (tmp_path / "new.wts").read_bytes()
    beside = {"new.wts.json", "old.wts.json"} if "sidecar" in options else set()
    assert set(os.listdir(tmp_path)) == {"new.wts", "old.wts"} | beside


def test_path_of_a_nameless_file_opens_it(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDWR | os.O_TMPFILE)
    try:
        os.write(descriptor, b"x")
        assert Path(system.path_of(descriptor)).read_bytes() == b"x"
    finally:
        os.close(descriptor)


def test_processors_are_those_of_this_process() -> None:
    assert system.processors() == len(os.sched_getaffinity(0))
