"""What is published: the sdist builds alone, the wheel is small, and neither holds what is not ours to give."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from processes import ELSEWHERE, ROOT

import pywts

pytestmark = pytest.mark.tool("cmake", "patchelf")

BUILD = "import sys\nfrom scikit_build_core.build import build_{kind} as build\nprint(build(sys.argv[1]))"
LARGEST = 1_000_000
"""Bytes of a wheel."""


def checked(*command: str | Path, cwd: str | Path = ELSEWHERE) -> str:
    """Run a program to its end; the last line of its output, which is the message if it fails."""
    beside = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    found = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, check=False, env=beside)
    assert found.returncode == 0, f"{command}\n{found.stdout[-5000:]}\n{found.stderr[-5000:]}"
    return (found.stdout.strip().splitlines() or [""])[-1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the sources."""
    folder = tmp_path_factory.mktemp("sdist")
    return folder / checked(sys.executable, "-c", BUILD.format(kind="sdist"), folder, cwd=ROOT)


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sdist alone, built where no git is, repaired by auditwheel."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    built = folder / checked(sys.executable, "-c", BUILD.format(kind="wheel"), folder, cwd=source)
    checked(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder / "repaired", built)
    (repaired,) = (folder / "repaired").iterdir()
    return repaired


def test_sdist_holds_sources_and_tests_and_no_checkpoint(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "csrc/include/wts.hpp", "cmake/wtsConfig.cmake", "pywts/__init__.py"} <= names
    assert {"tests/test_minimal.py", "tests/vectors/crlf.wts", "docs/format.md"} <= names
    assert [name for name in names if name.endswith((".pt", ".pth", ".so", ".pyc", ".o"))] == []


def test_wheel_holds_the_package_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        command = archive.read(f"pywts-{pywts.__version__}.data/scripts/pywts")
    assert {name.split("/")[0] for name in names} == {
        "pywts", f"pywts-{pywts.__version__}.dist-info", f"pywts-{pywts.__version__}.data"
    }  # fmt: skip
    assert command.startswith(b"#!python\n"), "installers put their Python there"
    assert {"pywts/include/wts.hpp", "pywts/cmake/wtsConfig.cmake", "pywts/py.typed", "pywts/_core.pyi"} <= names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pywts").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert len([name for name in names if name.endswith(".so")]) == 1


def test_wheel_is_small_and_for_many_systems(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST
    assert "manylinux" in wheel.name or "musllinux" in wheel.name


def test_version_is_one(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == pywts.__version__
    with zipfile.ZipFile(wheel) as archive:
        package = archive.read("pywts/cmake/wtsConfigVersion.cmake").decode()
        metadata = archive.read(f"pywts-{pywts.__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {pywts.__version__}\n" in metadata
    assert f'PACKAGE_VERSION "{pywts.__version__}"' in package


def test_wheel_works_in_a_bare_environment(wheel: Path, sample: Path, tmp_path: Path) -> None:
    """Without the packages that it depends on, as an export needs none; errors of the core pass through the module."""
    checked(sys.executable, "-m", "venv", tmp_path / "bare")
    binaries = tmp_path / "bare" / "bin"
    checked(binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    assert checked(binaries / "pywts", "--version") == f"pywts {pywts.__version__}"
    checked(binaries / "pywts", "export", sample, "-o", tmp_path / "bare.wts")
    pywts.export(sample, tmp_path / "here.wts")
    assert (tmp_path / "bare.wts").read_bytes() == (tmp_path / "here.wts").read_bytes()
    full = subprocess.run(
        [binaries / "pywts", "export", sample, "-o", "/dev/full"], capture_output=True, text=True, check=False
    )
    assert full.returncode == 1
    assert full.stderr.startswith("pywts: /dev/full: cannot be written: No space left on device")
