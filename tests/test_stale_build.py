"""A native module that does not fit the sources cannot go unseen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT, TIMEOUT, environment

from pywts import _core

TESTS = ROOT / "tests"


def after_running(folder: Path, version: str, age: float) -> subprocess.CompletedProcess[str]:
    """Run a test beside this project's conftest.py, where the sources are of this version, and so much older."""
    (folder / "pyproject.toml").write_text(f'version = "{version}"\n')
    (folder / "csrc").mkdir()
    for source in (folder / "csrc" / "core.cpp", folder / "CMakeLists.txt"):
        source.touch()
        built = Path(_core.__file__).stat().st_mtime
        os.utime(source, (built - age, built - age))
    (folder / "tests").mkdir()
    for name in ("conftest.py", "processes.py"):
        shutil.copy(TESTS / name, folder / "tests")
    (folder / "tests" / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env=environment(PYTHONWARNINGS="default"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_module_of_another_version_is_refused(tmp_path: Path) -> None:
    done = after_running(tmp_path, "99.0", age=10)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"is of version {_core.__version__}, the sources are 99.0" in done.stderr
    assert f"pip install {tmp_path}" in done.stderr


def test_module_that_is_older_than_the_sources_is_told_at_the_end(tmp_path: Path) -> None:
    done = after_running(tmp_path, _core.__version__, age=-10)
    assert "the C++ sources are newer than the native module" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed")


def test_module_that_fits_is_passed_over(tmp_path: Path) -> None:
    done = after_running(tmp_path, _core.__version__, age=10)
    assert done.returncode == 0, done.stdout
    assert "newer" not in done.stdout
