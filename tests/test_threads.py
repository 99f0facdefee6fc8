"""Threads that export and read at once; on a free-threaded Python without the lock that would hide a mistake."""

from __future__ import annotations

import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import python

import pywts

THREADS = 16


def test_threads_export_to_few_places_and_read_them(sample: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected.wts"
    pywts.export(sample, expected)

    def work(number: int) -> bool:
        place = tmp_path / f"{number % 4}.wts"
        pywts.export(sample, place)
        return len(pywts.load(place)) == 355 and place.read_bytes() == expected.read_bytes()

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(work, range(4 * THREADS)))


def test_threads_share_an_open_file(sample: Path, tmp_path: Path) -> None:
    pywts.export(sample, tmp_path / "m.wts")
    with pywts.open(tmp_path / "m.wts") as file, ThreadPoolExecutor(THREADS) as pool:
        names = list(file) * 4
        sums = list(pool.map(lambda name: (name, file[name].tobytes()), names))
        assert len(set(sums)) == len(file)


@pytest.mark.parametrize("module", ["pywts._core", "pywts.cli", "pywts.exporting", "pywts.reading"])
def test_no_module_brings_the_lock_back(module: str) -> None:
    """A module that does not declare that it goes without makes a free-threaded Python turn it on, with a warning."""
    found = python(f"import sys, {module}\nprint(getattr(sys, '_is_gil_enabled', lambda: True)())")
    expected = not sysconfig.get_config_var("Py_GIL_DISABLED")
    assert (found.stdout.strip(), found.stderr) == (str(expected), ""), sys.version
