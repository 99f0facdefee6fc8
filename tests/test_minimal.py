"""What a user has without torch, and even without the packages that pywts itself installs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from processes import python
from test_export import SAMPLE_SHA256

BLOCKED = (
    "import sys\n"
    "class Absent:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] in {names!r}:\n"
    "            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
    "sys.meta_path.insert(0, Absent())\n"
)

PACKAGES = ("torch", "ultralytics", "torchvision", "rich", "jinja2", "pebble", "shtab", "safetensors")


def without(*names: str) -> str:
    """The start of a script in which these packages cannot be imported."""
    return BLOCKED.format(names=names)


def test_block_blocks() -> None:
    found = python(without("json") + "import json")
    assert "No module named 'json'" in found.stderr


@pytest.mark.parametrize("names", [PACKAGES, (*PACKAGES, "numpy")], ids=["no torch", "no numpy either"])
def test_sample_is_exported(names: tuple[str, ...], sample: Path, tmp_path: Path) -> None:
    script = without(*names) + "from pywts.cli import main\nsys.exit(main(sys.argv[1:]))"
    found = python(script, "export", sample, "-o", tmp_path / "shapes.wts")
    assert (found.returncode, found.stderr) == (0, "")
    assert "355 tensors, 230,698 values" in found.stdout
    assert hashlib.sha256((tmp_path / "shapes.wts").read_bytes()).hexdigest() == SAMPLE_SHA256


def test_commands_work_without_any_package(sample: Path) -> None:
    start = without(*PACKAGES, "numpy") + "from pywts.cli import main\nsys.exit(main(sys.argv[1:]))"
    for arguments in (["kernels"], ["recipes"], ["--help"], ["export", "--help"], ["export", sample, "--dry-run"]):
        found = python(start, *arguments)
        assert (found.returncode, found.stderr) == (0, ""), arguments
        assert found.stdout
    found = python(start, "export", sample, "--dry-run", "--json")
    assert json.loads(found.stdout)["bytes"] == 2_087_670


def test_errors_are_said_without_any_package(tmp_path: Path) -> None:
    start = without(*PACKAGES, "numpy") + "from pywts.cli import main\nsys.exit(main(sys.argv[1:]))"
    (tmp_path / "m.pt").write_bytes(b"no checkpoint")
    for arguments in (["export", tmp_path / "m.pt"], ["export", tmp_path / "missing.pt"]):
        found = python(start, *arguments)
        assert found.returncode == 1
        assert found.stderr.startswith(f"pywts: {arguments[1]}: ")


def test_arrays_need_no_torch(tmp_path: Path) -> None:
    script = (
        without(*PACKAGES) + "import numpy, pywts\nprint(pywts.export({'x': numpy.ones(3, 'f4')}, sys.argv[1]).bytes)"
    )
    found = python(script, tmp_path / "m.wts")
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "m.wts").read_bytes() == b"1\nx 3  3f800000 3f800000 3f800000\n"
