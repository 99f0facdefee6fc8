"""The whole program on x86-64 processors with fewer instructions, by an emulator that ends it at an unknown one."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ELSEWHERE, TIMEOUT, environment

import pywts

pytestmark = [
    pytest.mark.tool("qemu-x86_64"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="needs a Python for x86-64"),
]

PROCESSORS = {
    "Conroe": "scalar",  # 2006: no SSE4, no PCLMUL
    "Opteron_G1": "scalar",  # SSE2 alone
    "Nehalem": "scalar",
    "Westmere": "scalar",  # PCLMUL
    "SandyBridge": "scalar",  # AVX without AVX2
    "Haswell": "avx2",
}
"""What qemu emulates, and the kernel that shall be chosen there; it knows no AVX-512."""

JOB = """
import sys
sys.path[:] = sys.argv[1].split("\\n")
import pywts
from pywts import _core
pywts.export(sys.argv[2], sys.argv[3])
with pywts.open(sys.argv[3]) as file:
    assert len(file) == 355
print([name for name, usable in _core.kernels() if usable][0])
"""


@pytest.mark.parametrize("processor", PROCESSORS)
def test_export_needs_no_instruction_that_is_missing(processor: str, sample: Path, tmp_path: Path) -> None:
    pywts.export(sample, tmp_path / "here.wts")
    interpreter = str(Path(sys.executable).resolve())
    found = subprocess.run(
        ["qemu-x86_64", "-cpu", processor, interpreter, "-c", JOB, "\n".join(sys.path), sample, tmp_path / "there.wts"],
        capture_output=True, text=True, timeout=10 * TIMEOUT, cwd=ELSEWHERE, check=False,
        env=environment(PYTHONWARNINGS="ignore"),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == PROCESSORS[processor]
    assert (tmp_path / "there.wts").read_bytes() == (tmp_path / "here.wts").read_bytes()
