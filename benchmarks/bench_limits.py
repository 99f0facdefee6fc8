"""Holds every stage of an export against what the machine can do, each limit measured in the same run.

``python benchmarks/bench_limits.py`` writes ``benchmarks/results/limits.json``. A row says what the stage is, its
limit, the ratio of the two, and what was asked of it. ``--huge`` adds a checkpoint of 10 GB (40 GB of free disk).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import ROOT, measured_on, provenance
from measuring import hot_write, in_turns, interpreter, keep_table, kernel_rates, peak_memory, pywts_script, run
from subjects import tensors, yolo

MANY = 100_000
FLAT = 20_000_000
SIZES = (250_000, 2_500_000, 25_000_000, 250_000_000)  # float32: checkpoints of 1 MB to 1 GB
HUGE = 2_500_000_000
HUGE_NEEDS = 40 << 30

PLAIN = "interpreter importing argparse"
WRITE = "reserved write of a hot buffer"

OPENED = """
import sys
from time import perf_counter
import pywts.exporting as exporting
from pywts.checkpoint import archive, choosing, pickled, rebuild, zip
from pywts.limits import DEFAULT_LIMITS
start = perf_counter()
checkpoint = exporting.open_source(sys.argv[1], DEFAULT_LIMITS)
found = choosing.choose(checkpoint, "auto").state.items
print(perf_counter() - start, len(found))
"""

STAGES = """
import json, sys
from time import perf_counter
marks = [perf_counter()]
import pywts.exporting as exporting
from pywts.cli import export_command
marks.append(perf_counter())
from pywts.destination import Destination
from pywts.limits import DEFAULT_LIMITS
from pywts.options import OPTIONS
from pywts.writing import Job
checkpoint = exporting.open_source(sys.argv[1], DEFAULT_LIMITS)
marks.append(perf_counter())
selection = {option.name: option.default for option in OPTIONS if option.selects}
made = exporting.select(checkpoint, **selection)
layout = exporting.laid_out(checkpoint, made)
marks.append(perf_counter())
job = Job(checkpoint.name, layout, True, False, True, False, None)
Destination(sys.argv[2], overwrite=True, force=False, sources=()).write(layout.size, False, job.to_file)
marks.append(perf_counter())
names = ["imports", "open", "describe", "write"]
print(json.dumps(dict(zip(names, (b - a for a, b in zip(marks, marks[1:]))))))
"""

UNPICKLED = """
import io, pickle, sys, zipfile
from collections import OrderedDict
from time import perf_counter

class Tensor:
    def __init__(self, storage, offset, size, stride, *more):
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return OrderedDict if name == "OrderedDict" else Tensor if name.startswith("_rebuild") else name

    def persistent_load(self, pid):
        return pid

start = perf_counter()
archive = zipfile.ZipFile(sys.argv[1])
data = next(name for name in archive.namelist() if name.endswith("data.pkl"))
found = Unpickler(io.BytesIO(archive.read(data))).load()
print(perf_counter() - start, len(found))
"""


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where models and outputs lie (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each row (default 7)")
    parser.add_argument("--huge", action="store_true", help="export a checkpoint of 10 GB too")
    parser.add_argument("--no-results", action="store_true", help="keep no results, only print them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywts-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            *starts(arguments.rounds),
            *commands(folder, arguments.rounds),
            *encode(),
            *in_process(folder, arguments.rounds),
            *shapes(folder, arguments.rounds),
            opening(folder, arguments.rounds),
            *variants(folder, arguments.rounds),
            *(huge(folder) if arguments.huge else ()),
        ]
        points = growth(folder)
        rows += linear(points)
        results: dict[str, Any] = {
            "machine": provenance(folder),
            "limits": rows,
            "growth": points,
            "stages": stages(folder, 3 * arguments.rounds),
        }
    if not arguments.no_results:
        target = ROOT / "benchmarks" / "results" / "limits.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(results, indent=1) + "\n")
        keep_table("docs/performance.md", "limits", table(results))
    print(table(results))
    return 0 if all(row.get("equal", True) for row in rows) else 1


Row = dict[str, object]


def row(stage: str, limit: str, ratio: float, asked: str, goal: str, **more: object) -> Row:
    """One line of the table. ``asked`` and ``goal`` begin with "<" or ">", as the ratio should be to them."""
    return {"stage": stage, "limit": limit, "ratio": ratio, "asked": asked, "goal": goal, **more}


def starts(rounds: int) -> Iterable[Row]:
    """What users wait for before anything is done."""
    found = in_turns(
        {
            "argparse": lambda: run([*interpreter(), "-c", "import argparse"]),
            "version": lambda: run([pywts_script(), "--version"]),
            "import": lambda: run([*interpreter(), "-c", "import pywts; pywts.export"]),
        },
        3 * rounds,
    )
    limit = PLAIN
    yield row("pywts --version", limit, found["version"] / found["argparse"], "<1.4", "<1.2")
    yield row("import pywts; pywts.export", limit, found["import"] / found["argparse"], "<1.6", "<1.3")


def commands(folder: Path, rounds: int) -> Iterable[Row]:
    """Whole commands, and their memory."""
    out, hot = folder / "out.wts", folder / "hot.bin"
    for letter, what, asked, goal in (("n", "3 M", "<1.5", "<1.25"), ("x", "68 M", "<1.3", "<1.15")):
        source = yolo(folder, letter, "float16")
        command = [pywts_script(), "export", str(source), "-o", str(out), "--quiet"]
        run(command)
        size = out.stat().st_size
        found = in_turns(
            {
                "argparse": lambda: run([*interpreter(), "-c", "import argparse"]),
                "hot": lambda size=size: hot_write(hot, size),
                "command": lambda command=command: run(command),
            },
            rounds if letter == "x" else 3 * rounds,
            lambda: remove(out, hot),
        )
        limit = f"{PLAIN} + {WRITE}"
        ratio = found["command"] / (found["argparse"] + found["hot"])
        yield row(f"whole command, {what} float16", limit, ratio, asked, goal, seconds=found["command"])
        memory = peak_memory(command) - peak_memory([*interpreter(), "-c", "import argparse"])
        yield row(f"peak memory, {what} float16", PLAIN, memory / 2**20, "<64", "<32", unit="MB")
    remove(out, hot)


def encode() -> Iterable[Row]:
    """The kernels in L2 against a copy of the text there."""
    found = {one["kernel"]: one["bytes_per_second"] for one in kernel_rates("(encode|copy)/.*/L2", rounds=9)}
    for kernel, asked, goal in (("avx512", ">0.9", ">1.0"), ("avx2", ">0.35", ">0.5")):
        if kernel in found:
            yield row(f"encode in L2, {kernel}", "memcpy of the text", found[kernel] / found["memcpy"], asked, goal)


def in_process(folder: Path, rounds: int) -> Iterable[Row]:
    """``pywts.export`` of cached files, by dtype, against the write of as many bytes."""
    for dtype, asked, goal in (
        ("float16", ">0.85", ">0.95"),
        ("float32", ">0.8", ">0.9"),
        ("bfloat16", ">0.8", ">0.9"),
    ):
        yield against_write(f"in process, 68 M {dtype}", yolo(folder, "x", dtype), folder, rounds, asked, goal)


def against_write(stage: str, source: Path, folder: Path, rounds: int, asked: str, goal: str) -> Row:
    """A row of an export against the reserved write of as many bytes."""
    import pywts

    out, hot = folder / "out.wts", folder / "hot.bin"
    done = pywts.export(source, out)
    equal = pywts.verify(out, source).equal
    found = in_turns(
        {"export": lambda: pywts.export(source, out), "hot": lambda: hot_write(hot, done.bytes)},
        rounds,
        lambda: remove(out, hot),
    )
    remove(out, hot)
    limit = WRITE
    return row(stage, limit, found["hot"] / found["export"], asked, goal, seconds=found["export"], equal=equal)


def shapes(folder: Path, rounds: int) -> Iterable[Row]:
    """Tensors that are not contiguous, and dtypes that are wide, against contiguous float32 of the same count."""
    import pywts

    out = folder / "out.wts"
    plain = tensors(folder, "float32", "flat", FLAT, 8)
    for what, dtype, shape, asked, goal in (
        ("in process, 20 M float64", "float64", "flat", ">0.6", ">0.8"),
        ("in process, 20 M int64", "int64", "flat", ">0.6", ">0.8"),
        ("in process, 20 M float32, permuted", "float32", "channels_last", ">0.5", ">0.8"),
        ("in process, 20 M float32, transposed", "float32", "transposed", ">0.5", ">0.8"),
    ):
        source = tensors(folder, dtype, shape, FLAT, 8)
        pywts.export(source, out)
        equal = pywts.verify(out, source).equal
        found = in_turns(
            {"it": lambda source=source: pywts.export(source, out), "plain": lambda: pywts.export(plain, out)},
            rounds,
            lambda: remove(out),
        )
        yield row(what, "the same of contiguous float32", found["plain"] / found["it"], asked, goal, equal=equal)
    remove(out)


def opening(folder: Path, rounds: int) -> Row:
    """A checkpoint of very many tensors, from bytes to named tensors."""
    source = tensors(folder, "float32", "flat", 4 * MANY, MANY)
    found: dict[str, list[float]] = {OPENED: [], UNPICKLED: []}
    for _ in range(rounds):
        for script, times in found.items():
            spent, count = run([*interpreter(), "-c", script, str(source)]).stdout.split()
            assert int(count) == MANY
            times.append(float(spent))
    opened, unpickled = (statistics.median(times) for times in found.values())
    limit = "zipfile and the C unpickler with callbacks"
    return row("opening 100,000 tensors, times faster", limit, unpickled / opened, ">5", ">15", seconds=opened)


def variants(folder: Path, rounds: int) -> Iterable[Row]:
    """What can be asked of an export beside the export."""
    import pywts

    source = yolo(folder, "x", "float16")
    out, hot = folder / "out.wts", folder / "hot.bin"
    size = pywts.export(source, out).bytes
    ways: dict[str, Callable[[], object]] = {
        "checked": lambda: pywts.export(source, out),
        "unchecked": lambda: pywts.export(source, out, check=False),
    }
    found = in_turns(ways, 2 * rounds, lambda: remove(out))
    limit = "export without the check"
    yield row("CRC32 of every storage", limit, found["unchecked"] / found["checked"], ">0.95", ">0.98")
    ways = {
        "export": lambda: pywts.export(source, out, durable=True),
        "write": lambda: hot_write(hot, size, durable=True),
    }
    found = in_turns(ways, rounds, lambda: remove(out, hot))
    yield row(
        "durable export", "write and fdatasync of the same bytes", found["write"] / found["export"], ">0.9", ">0.95"
    )
    remove(out, hot)


def growth(folder: Path) -> list[dict[str, float]]:
    """Time and memory of checkpoints of 1 MB to 1 GB of float32, beside the limit."""
    import pywts

    out, hot = folder / "out.wts", folder / "hot.bin"
    points = []
    for values in SIZES:
        source = tensors(folder, "float32", "flat", values, 50)
        size = pywts.export(source, out).bytes
        ways: dict[str, Callable[[], object]] = {
            "export": lambda source=source: pywts.export(source, out),
            "hot": lambda size=size: hot_write(hot, size),
        }
        found = in_turns(ways, 5 if values == max(SIZES) else 25, lambda: remove(out, hot))
        command = [pywts_script(), "export", str(source), "-o", str(out), "--quiet"]
        memory = peak_memory(command) - peak_memory([*interpreter(), "-c", "import argparse"])
        remove(out, hot)
        points.append(
            {
                "checkpoint": 4.0 * values,
                "text": size,
                "seconds": found["export"],
                "limit": found["hot"],
                "memory": memory,
            }
        )
        if values == max(SIZES):
            source.unlink()
    return points


def linear(points: list[dict[str, float]]) -> Iterable[Row]:
    """Whether time grows as the checkpoint does, from 10 MB on."""
    rates = {point["checkpoint"]: point["seconds"] / point["text"] for point in points}
    for checkpoint in (1e7, 1e9):
        what = f"{checkpoint / 1e6:,.0f} MB of checkpoint, time a byte"
        yield row(what, "the same at 100 MB", rates[checkpoint] / rates[1e8], "<1.15", "<1.15")


def stages(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Where the time of a whole command goes: seconds of each stage, in fresh processes."""
    out = folder / "out.wts"
    found = {}
    for letter, what in (("n", "3 M float16"), ("x", "68 M float16")):
        source = yolo(folder, letter, "float16")
        told = []
        for _ in range(rounds):
            remove(out)
            start = perf_counter()
            stage = json.loads(run([*interpreter(), "-c", STAGES, str(source), str(out)]).stdout)
            whole = perf_counter() - start
            told.append({"interpreter": whole - sum(stage.values()), **stage})
        found[what] = {name: statistics.median(one[name] for one in told) for name in told[0]}
    remove(out)
    return found


def huge(folder: Path) -> Iterable[Row]:
    """A checkpoint of 10 GB: its text is 22.5 GB."""
    if shutil.disk_usage(folder).free < HUGE_NEEDS:
        print("SKIPPED the checkpoint of 10 GB: it needs 40 GB of free disk", file=sys.stderr)
        return
    import pywts

    source = tensors(folder, "float32", "flat", HUGE, 200)
    out, hot = folder / "out.wts", folder / "hot.bin"
    try:
        size = pywts.export(source, out).bytes
        equal = pywts.verify(out, source).equal
        for where, bring, limit, reach in (
            ("cached", into_cache, WRITE, lambda: hot_write(hot, size)),
            (
                "on the disk",
                out_of_cache,
                f"{WRITE}, after reading the file",
                lambda: read_and_write(source, hot, size),
            ),
        ):
            found = in_turns(
                {"export": lambda: pywts.export(source, out), "limit": reach},
                3,
                lambda bring=bring: (remove(out, hot), bring(source)),
            )
            stage, ratio = f"in process, 10 GB of float32, {where}", found["limit"] / found["export"]
            yield row(stage, limit, ratio, ">0.9", ">0.9", seconds=found["export"], equal=equal)
        remove(out, hot)
        command = [pywts_script(), "export", str(source), "-o", str(out), "--quiet"]
        memory = peak_memory(command) - peak_memory([*interpreter(), "-c", "import argparse"])
        remove(out)
        yield row("peak memory, 10 GB of float32", PLAIN, memory / 2**20, "<64", "<32", unit="MB")
    finally:
        source.unlink()


def read_whole(path: Path) -> None:
    """Read a file into one small buffer."""
    block = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass


def read_and_write(source: Path, hot: Path, size: int) -> None:
    """What an export of a file on the disk cannot do without."""
    read_whole(source)
    hot_write(hot, size)


def into_cache(path: Path) -> None:
    """Bring a file into the page cache; what was read twice stays there before what was written once."""
    read_whole(path)
    read_whole(path)


def out_of_cache(path: Path) -> None:
    """Take a file out of the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def remove(*paths: Path) -> None:
    """Files that a round leaves: an existing one would have to be freed within the time of the next."""
    for path in paths:
        path.unlink(missing_ok=True)


def met(ratio: float, bound: str) -> bool:
    """Whether a ratio is on the right side of "<1.5" or ">0.8"."""
    return ratio <= float(bound[1:]) if bound[0] == "<" else ratio >= float(bound[1:])


def table(results: dict[str, Any]) -> str:
    """The rows, in Markdown."""
    lines = [
        f"{measured_on(results['machine'])} Ratios of medians in one run.",
        "",
        "| stage | held against | ratio | asked | goal |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for one in results["limits"]:
        ratio, asked, goal = one["ratio"], str(one["asked"]), str(one["goal"])
        assert isinstance(ratio, float)
        figure, unit = (f"{ratio:.0f} MB", " MB") if one.get("unit") == "MB" else (f"{ratio:.2f}", "")
        judged = "" if met(ratio, asked) else " **missed**"
        lines.append(f"| {one['stage']} | {one['limit']} | {figure}{judged} | {asked}{unit} | {goal}{unit} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
