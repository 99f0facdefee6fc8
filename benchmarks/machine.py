"""Where the figures come from: processor, kernel, file system, compiler, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def provenance(folder: Path) -> dict[str, str]:
    """Everything a reader needs to judge a figure; ``folder`` is where the benchmark writes."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "python": platform.python_version(),
        "compiler": _first_line(["c++", "--version"]),
        "commit": _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        **{name: _version(name) for name in ("pywts", "numpy", "torch", "ultralytics")},
    }


def measured_on(machine: dict[str, str]) -> str:
    """The same in a sentence, as it stands over a table."""
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['file system']}, {machine['system']}, "
        f"Python {machine['python']}, {machine['compiler']}; commit {machine['commit']}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    return _first_line(["stat", "--file-system", "--format", "%T", str(folder)])


def _first_line(command: list[str]) -> str:
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return "unknown"
    return lines[0] if lines else "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
