"""The drop-in for the script that everyone copies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from checkpoints import module, save, tensor
from reference import reference_wts

WEIGHTS = {"w": numpy.arange(6, dtype=numpy.float16)}


def gen_wts(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the script is run."""
    command = [sys.executable, "-m", "pywts.gen_wts", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    parameters = {name: tensor(value) for name, value in WEIGHTS.items()}
    return save(tmp_path / "best.pt", {"ema": None, "model": module(parameters=parameters)})


@pytest.mark.parametrize(
    ("output", "written"),
    [((), "best.wts"), (("-o", "other.wts"), "other.wts"), (("--output", "folder"), "folder/best.wts")],
    ids=["beside", "named", "in a folder"],
)
def test_the_scripts_arguments_give_the_scripts_file(source: Path, output: tuple[str, ...], written: str) -> None:
    folder = source.parent
    (folder / "folder").mkdir()
    done = gen_wts("-w", source.name, *output, "-t", "detect", folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / written).read_bytes() == reference_wts(WEIGHTS)


def test_no_task_is_assumed(source: Path) -> None:
    assert gen_wts("--weights", source.name, folder=source.parent).stderr == ""


def test_failures_have_the_exit_codes_of_export(tmp_path: Path) -> None:
    assert gen_wts("-w", "missing.pt", folder=tmp_path).returncode == 1
    assert gen_wts("-w", "missing.pt", "-t", "nothing", folder=tmp_path).returncode == 2
