"""Whole zoos: the batch against its limit and its rivals, and how its time grows with files, bytes and workers.

``python benchmarks/bench_batch.py`` writes ``benchmarks/results/batch.json`` and the tables of ``docs/scale.md``, in
under six minutes. It needs 20 GB of free disk, and ultralytics for the reference script.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import ROOT, provenance
from measuring import digest, interpreter, keep_table, pywts_script, run
from subjects import yolo

WORKERS = 2
SMALL = 10_000
SMALL_VALUES = 7_300  # float32: a checkpoint of 30 KB
LARGE = 20
SHELL = 300
SCRIPT = 30

SMALL_FILES = """
import sys, torch
folder, count, values = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    state = {f"layer{i}.weight": torch.full((values // 8,), float(number)) for i in range(8)}
    torch.save(state, f"{folder}/{number // 200:03}/{number}.pt")
"""

ALONE = """
import os, sys
from time import perf_counter
import pywts
paths = sys.argv[2:]
pywts.export(paths[0], sys.argv[1])
start = perf_counter()
for path in paths:
    pywts.export(path, sys.argv[1])
print((perf_counter() - start) / len(paths))
"""

HOT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from measuring import hot_write
for path in sys.argv[3:]:
    hot_write(Path(path), int(sys.argv[2]))
"""


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where models and outputs lie (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each row (default 2)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywts-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        before = os.getloadavg()[0]
        small = timed("making files", small_files, folder / "small")
        results = {
            "machine": provenance(folder),
            "load before": round(before, 2),
            "rows": [
                timed("overhead", overhead, small, folder, arguments.rounds),
                timed("large models", large_models, folder, arguments.rounds),
                timed("shell loop", shell_loop, small, folder, arguments.rounds),
                timed("reference script", reference_loop, folder),
            ],
            "files": timed("files", growth_with_files, small, folder),
            "bytes": timed("bytes", growth_with_bytes, folder),
            "workers": timed("workers", growth_with_workers, folder, arguments.rounds),
        }
    target = ROOT / "benchmarks" / "results" / "batch.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    for name, text in tables(results).items():
        print(f"{text}\n")
        keep_table("docs/scale.md", name, text)
    return 0


# ------------------------------------------------------------------------------------------------------- what is asked


def overhead(small: Path, folder: Path, rounds: int) -> dict[str, object]:
    """The time of a batch beyond what two processes need that do nothing but export the same files."""
    paths = [str(path) for path in sorted(small.rglob("*.pt"))[:2000]]
    alone, together = [], []
    for _ in range(rounds):
        halves = [paths[::2], paths[1::2]]
        found = side_by_side([[ALONE, str(folder / f"one{number}.wts"), *half] for number, half in enumerate(halves)])
        alone.append(statistics.mean(float(text) for text in found) / WORKERS)
        together.append(batch_seconds(small, folder / "out") / SMALL)
    extra = (statistics.median(together) - statistics.median(alone)) * 1000
    few, many = (peak_memory_of_batch(small, folder / "out", match) for match in ("00[0-4]/*", "0[0-2]*/*"))
    return {
        "what": f"overhead a file beyond the export, {SMALL:,} files of 30 KB, {WORKERS} workers",
        "unit": "ms",
        "asked": "under 2",
        "measured": round(extra, 3),
        "batch ms a file": round(statistics.median(together) * 1000, 3),
        "memory of 1,000 files": few,
        "memory of 6,000 files": many,
    }


def large_models(folder: Path, rounds: int) -> dict[str, object]:
    """Two workers, against two processes that write as many bytes from the cache into reserved space."""
    models = copies(yolo(folder, "x", "float16"), folder / "large", LARGE)
    out = folder / "out"
    equal, size = True, plan_bytes(models / "000.pt")
    limits, batches = [], []
    for _ in range(rounds):
        fresh(out)
        targets = [str(out / f"{number}.wts") for number in range(LARGE)]
        start = perf_counter()
        side_by_side([[HOT, str(Path(__file__).parent), str(size), *targets[part::WORKERS]] for part in range(WORKERS)])
        limits.append(perf_counter() - start)
        batches.append(batch_seconds(models, out))
        equal = equal and {path.stat().st_size for path in out.rglob("*.wts")} == {size}
    equal = equal and len({digest(path) for path in sorted(out.rglob("*.wts"))[:3]}) == 1
    fresh(out)
    ratio = statistics.median(limits) / statistics.median(batches)
    return {
        "what": f"{LARGE} models of 68 M parameters, {WORKERS} workers, share of the limit",
        "unit": "",
        "asked": "at least 0.75, goal 0.85",
        "measured": round(ratio, 3),
        "GB a second": round(LARGE * size / statistics.median(batches) / 1e9, 2),
        "equal": equal,
    }


def shell_loop(small: Path, folder: Path, rounds: int) -> dict[str, object]:
    """A loop of the shell over the command."""
    some = copies(next(iter(sorted(small.rglob("*.pt")))), folder / "some", SHELL)
    script = 'for file in "$1"/*.pt; do "$2" export --quiet "$file" -o "$3"; done'
    loops, batches = [], []
    for _ in range(rounds):
        fresh(folder / "out")
        start = perf_counter()
        run(["sh", "-c", script, "loop", str(some), pywts_script(), str(folder / "out")])
        loops.append(perf_counter() - start)
        batches.append(batch_seconds(some, folder / "out"))
    return {
        "what": f"against a shell loop over `pywts export`, {SHELL} small files",
        "unit": "times faster",
        "asked": "3",
        "measured": round(statistics.median(loops) / statistics.median(batches), 1),
    }


def reference_loop(folder: Path) -> dict[str, object]:
    """The script that everyone copies, in a loop over a zoo; its loop over the values makes one round long enough."""
    models = copies(yolo(folder, "n", "float16"), folder / "zoo", SCRIPT)
    rival = [*interpreter(), str(Path(__file__).with_name("rivals.py")), "struct, two writes a value (the scripts)"]
    expected = folder / "expected.wts"
    start = perf_counter()
    for path in sorted(models.glob("*.pt")):
        run([*rival, str(path), str(expected)], env={**os.environ, "YOLO_OFFLINE": "true"})
    script = perf_counter() - start
    ours = statistics.median(batch_seconds(models, folder / "out") for _ in range(2))
    equal = {digest(path) for path in (folder / "out").rglob("*.wts")} == {digest(expected)}
    return {
        "what": f"against the reference script in a loop, a zoo of {SCRIPT} models of 3 M parameters",
        "unit": "times faster",
        "asked": "60",
        "measured": round(script / ours, 1),
        "equal": equal,
    }


# -------------------------------------------------------------------------------------------------------- how it grows


def growth_with_files(small: Path, folder: Path) -> list[dict[str, float]]:
    """Of small files; with the second run, which has nothing to do."""
    points = []
    for count, match in ((200, "000/*"), (1_000, "00[0-4]/*"), (6_000, "0[0-2]*/*")):
        seconds = batch_seconds(small, folder / "out", "--match", match)
        again = batch_seconds(small, folder / "out", "--match", match, keep=True)
        points.append({"files": count, "seconds": round(seconds, 3), "seconds again": round(again, 3)})
    return points


def growth_with_bytes(folder: Path) -> list[dict[str, float]]:
    """Of models of 3 M and 68 M parameters."""
    points = []
    for letter, count in (("n", 10), ("n", 40), ("x", 4), ("x", 8)):
        models = copies(yolo(folder, letter, "float16"), folder / f"grown-{letter}", count)
        seconds = batch_seconds(models, folder / "out")
        size = sum(path.stat().st_size for path in (folder / "out").rglob("*.wts"))
        points.append({"models": count, "bytes": size, "seconds": round(seconds, 3)})
        fresh(folder / "out")
        shutil.rmtree(models)
    return points


def growth_with_workers(folder: Path, rounds: int) -> list[dict[str, float]]:
    """Of models of 3 M parameters, up to twice as many workers as there are processors."""
    models = copies(yolo(folder, "n", "float16"), folder / "workers", 40)
    points = []
    for workers in sorted({1, 2, len(os.sched_getaffinity(0)), 2 * len(os.sched_getaffinity(0))}):
        seconds = statistics.median(
            batch_seconds(models, folder / "out", "--jobs", str(workers), workers=None) for _ in range(rounds)
        )
        points.append({"workers": workers, "models_per_second": round(40 / seconds, 2)})
    return points


# ------------------------------------------------------------------------------------------------------------ the parts


def timed(name: str, work: Callable[..., Any], *arguments: object) -> Any:
    """Say how long a part of the benchmark takes."""
    start = perf_counter()
    result = work(*arguments)
    print(f"{name}: {perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return result


def small_files(folder: Path) -> Path:
    """Ten thousand checkpoints of 30 KB, 200 a folder."""
    if not folder.exists():
        for number in range(SMALL // 200):
            (folder / f"{number:03}").mkdir(parents=True)
        run([*interpreter(), "-c", SMALL_FILES, str(folder), str(SMALL), str(SMALL_VALUES)])
    return folder


def copies(model: Path, folder: Path, count: int) -> Path:
    """A folder with so many copies of a checkpoint, each a file of its own."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        target = folder / f"{number:03}.pt"
        if not target.exists():
            shutil.copyfile(model, target)
    return folder


def plan_bytes(model: Path) -> int:
    """The size of a checkpoint's text."""
    import pywts

    return pywts.plan(model).bytes


def fresh(folder: Path) -> None:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def batch_command(source: Path, out: Path, *more: str, workers: int | None = WORKERS) -> list[str]:
    """``pywts batch``."""
    jobs = [] if workers is None else ["--jobs", str(workers)]
    return [*interpreter(), "-m", "pywts", "batch", str(source), "-o", str(out), "--quiet", *jobs, *more]


def batch_seconds(source: Path, out: Path, *more: str, keep: bool = False, workers: int | None = WORKERS) -> float:
    """How long a whole ``pywts batch`` takes."""
    if not keep:
        fresh(out)
    start = perf_counter()
    run(batch_command(source, out, *more, workers=workers))
    return perf_counter() - start


def peak_memory_of_batch(source: Path, out: Path, match: str) -> int:
    """The largest resident size, in bytes, of the process that leads a batch."""
    fresh(out)
    script = "import resource, sys\nfrom pywts.cli import main\nassert main(sys.argv[1:]) == 0\n"
    script += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    found = run([*interpreter(), "-c", script, *batch_command(source, out, "--match", match)[3:]])
    return int(found.stdout.split()[-1]) * 1024


def side_by_side(scripts: list[list[str]]) -> list[str]:
    """What scripts print that run at the same time, each a list of its text and its arguments."""
    running = [
        subprocess.Popen([*interpreter(), "-c", *arguments], stdout=subprocess.PIPE, text=True) for arguments in scripts
    ]
    texts = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("a contender failed")
    return texts


def tables(results: dict[str, object]) -> dict[str, str]:
    """The tables of docs/scale.md."""
    machine: dict[str, str] = results["machine"]  # type: ignore[assignment]
    rows: list[dict[str, object]] = results["rows"]  # type: ignore[assignment]
    asked = [
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['file system']}, {machine['system']}, "
        f"Python {machine['python']}; commit {machine['commit']}; load before the run {results['load before']}.",
        "",
        "| what | asked | measured |",
        "| --- | --- | ---: |",
    ]
    for row in rows:
        marks = " (BYTES DIFFER)" if row.get("equal") is False else ""
        asked.append(f"| {row['what']} | {row['asked']} {row['unit']} | {row['measured']} {row['unit']}{marks} |")
    first = rows[0]
    asked.append("")
    asked.append(
        f"A small file takes {first['batch ms a file']} ms in all. The leading process takes "
        f"{int(str(first['memory of 1,000 files'])) / 1e6:.0f} MB with 1,000 files and "
        f"{int(str(first['memory of 6,000 files'])) / 1e6:.0f} MB with 6,000."
    )
    grown = ["| what | seconds | a second run, with nothing to do |", "| --- | ---: | ---: |"]
    for point in results["files"]:  # type: ignore[attr-defined]
        grown.append(f"| {point['files']:,} files of 30 KB | {point['seconds']} | {point['seconds again']} |")
    for point in results["bytes"]:  # type: ignore[attr-defined]
        grown.append(f"| {point['models']} models, {point['bytes'] / 1e9:.1f} GB of text | {point['seconds']} | |")
    workers = ["| workers | models of 3 M parameters a second |", "| ---: | ---: |"]
    workers += [f"| {point['workers']} | {point['models_per_second']} |" for point in results["workers"]]  # type: ignore[attr-defined]
    return {"batch": "\n".join(asked), "growth": "\n".join(grown), "workers": "\n".join(workers)}


if __name__ == "__main__":
    sys.exit(main())
