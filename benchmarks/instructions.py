"""Counts the instructions of three fixed jobs and compares them with what is recorded.

Times are noisy, counts are not: a change that makes a job cost a tenth more is found on any machine. The kernel is
forced to AVX2, since valgrind knows no AVX-512. ``python benchmarks/instructions.py`` exits with 1 where a job costs
more than its budget allows; ``--accept`` records what was counted, in the commit that makes it cost more.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from machine import ROOT

BUDGET = ROOT / "benchmarks" / "instructions.json"
ALLOWED = 1.10
"""Times the recorded count."""


def main() -> int:
    """Count, compare, say it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", help="record the counts as the new budget")
    arguments = parser.parse_args()
    compiler = _compiler()
    counted = count()
    if arguments.accept:
        BUDGET.write_text(json.dumps({"compiler": compiler, "instructions": counted}, indent=1) + "\n")
        print(f"recorded {counted} with {compiler}")
        return 0
    recorded = json.loads(BUDGET.read_text())
    if recorded["compiler"] != compiler:
        print(f"note: the budget was recorded with {recorded['compiler']}, this is {compiler}", file=sys.stderr)
    over = False
    for job, instructions in counted.items():
        ratio = instructions / recorded["instructions"][job]
        print(f"{job}: {instructions:,} instructions, {ratio:.3f} of what is recorded")
        over = over or ratio > ALLOWED
    if over:
        print(
            f"a job costs more than {ALLOWED:.2f} times what is recorded: find out why (callgrind_annotate), or accept "
            "it by `python benchmarks/instructions.py --accept` and commit instructions.json with the reason",
            file=sys.stderr,
        )
    return 1 if over else 0


def count() -> dict[str, int]:
    """Build the jobs and run each under callgrind."""
    with tempfile.TemporaryDirectory(prefix="pywts-count-") as temporary:
        folder = Path(temporary)
        build = folder / "cpp"
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DPYWTS_PYTHON=OFF", "-DPYWTS_BENCHMARKS=ON"]
        _run("cmake", "-S", ROOT, "-B", build, *options)
        _run("cmake", "--build", build, "--target", "fixed_jobs", "--parallel")
        jobs = next(path for path in build.rglob("fixed_jobs*") if path.is_file() and os.access(path, os.X_OK))
        sample = zipfile.ZipFile(ROOT / "examples" / "shapes.pt")
        pickle = next(name for name in sample.namelist() if name.endswith("data.pkl"))
        (folder / "data.pkl").write_bytes(sample.read(pickle))
        return {
            job: _instructions(folder, jobs, job, folder / file)
            for job, file in (("export", "m.wts"), ("read", "m.wts"), ("pickle", "data.pkl"))
        }


def _instructions(folder: Path, jobs: Path, job: str, file: Path) -> int:
    out = folder / "callgrind.out"
    environment = {**os.environ, "PYWTS_KERNEL": "avx2", "WTS_KERNEL": "avx2"}
    _run("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", jobs, job, file, environment=environment)
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    assert found, "callgrind wrote no sum"
    return int(found[1])


def _compiler() -> str:
    return _run("c++", "--version").splitlines()[0]


def _run(*command: object, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
