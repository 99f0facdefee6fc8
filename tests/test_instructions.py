"""No change makes the hot paths cost a tenth more unseen."""

from __future__ import annotations

import subprocess
import sys

import pytest
from processes import ROOT


@pytest.mark.tool("valgrind")
def test_fixed_jobs_keep_their_budget_of_instructions() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "instructions.py")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
