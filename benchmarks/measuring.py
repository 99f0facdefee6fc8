"""How everything here is timed: contenders in turn, in one run; medians; equal bytes or no result."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import ROOT

BLOCK = bytes(1 << 20)


def run(command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a failure ends the benchmark."""
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done


def interpreter() -> list[str]:
    """The command of the Python that runs this."""
    return [sys.executable]


def pywts_script() -> str:
    """The installed console script."""
    beside = Path(sys.executable).with_name("pywts")
    found = str(beside) if beside.exists() else shutil.which("pywts")
    if not found:
        raise SystemExit("install pywts first: pip install .")
    return found


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = perf_counter()
    work()
    return perf_counter() - start


def in_turns(
    contenders: Mapping[str, Callable[[], object]], rounds: int, before: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """The median seconds of each contender, all in turn in every round; ``before`` runs untimed before each call."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            before()
            times[name].append(seconds(work))
    return {name: statistics.median(found) for name, found in times.items()}


def hot_write(path: Path, size: int, durable: bool = False) -> None:
    """The limit of any export: a buffer that lies in the cache, written into space that was reserved."""
    from pywts._core import reserve

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        reserve(descriptor, size)
        left = size
        while left:
            left -= os.write(descriptor, BLOCK[: min(left, len(BLOCK))] if left < len(BLOCK) else BLOCK)
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def peak_memory(command: list[str]) -> int:
    """The largest resident size of a command, in bytes."""
    # A small process in between: the system counts the memory of whoever starts a command as the command's.
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return int(run([*interpreter(), "-c", script, *command]).stdout.split()[-1]) * 1024


def google_benchmark(
    target: str, only: str, rounds: int, env: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run the benchmarks of a program of cpp/ whose name ``only``, a regular expression, is found in, all in turn.

    Gives the program's context and the median of each benchmark, in the program's order, as Google Benchmark's JSON has
    them; nothing, and a line on standard error, where Google Benchmark is not installed.
    """
    build = ROOT / "build" / "benchmarks"
    run(["cmake", "-S", str(ROOT), "-B", str(build), "-DPYWTS_PYTHON=OFF", "-DPYWTS_BENCHMARKS=ON"])
    if "benchmark_DIR-NOTFOUND" in (build / "CMakeCache.txt").read_text():
        print(f"SKIPPED {target}: Google Benchmark (libbenchmark-dev) is not installed", file=sys.stderr)
        return {}, []
    run(["cmake", "--build", str(build), "--target", target, "--parallel"])
    command = [
        str(build / "benchmarks" / "cpp" / target),
        f"--benchmark_filter={only}",
        f"--benchmark_repetitions={rounds}",
        "--benchmark_enable_random_interleaving=true",
        "--benchmark_format=json",
    ]
    told = json.loads(run(command, env={**os.environ, **(env or {})}).stdout)
    for one in told["benchmarks"]:
        if one.get("error_occurred"):
            raise SystemExit(f"{target}: {one['name']}: {one['error_message']}")
    medians = [one for one in told["benchmarks"] if one.get("aggregate_name") == "median"]
    return told["context"], sorted(medians, key=lambda one: int(one["family_index"]))


def kernel_rates(only: str = ".", rounds: int = 5) -> list[dict[str, Any]]:
    """How fast the kernels are by themselves: the jobs of cpp/kernels.cpp whose JOB/KERNEL/PLACE ``only`` is found in.

    Each is job, kernel, where, values, bytes_per_second and, where cycles are counted, bytes_per_cycle, and the cycle
    that it means. Bytes are those of the text, 9 a value.
    """
    context, medians = google_benchmark("kernels", only, rounds)
    found = []
    for one in medians:
        row = dict(zip(("job", "kernel", "where"), one["run_name"].split("/"), strict=False))
        rates = {name: one[name] for name in ("bytes_per_second", "bytes_per_cycle") if name in one}
        found.append({**row, "values": round(one["values"]), **rates, "cycle": context["cycle"]})
    return found


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def keep_table(document: str, name: str, text: str) -> None:
    """Put a table between the two marks that a document has for it."""
    path = ROOT / document
    before, mark, rest = path.read_text().partition(f"<!-- benchmark: {name} -->\n")
    if not mark:
        raise SystemExit(f"{document} has no mark for the benchmark {name}")
    _, end, after = rest.partition("<!-- end of benchmark -->")
    path.write_text(f"{before}{mark}{text}\n{end}{after}")
