"""Times the export against its rivals and against the machine's own limit, side by side in one run.

``python benchmarks/bench_export.py`` writes ``benchmarks/results/export.json`` and the tables of the README.
Every row is the median of several rounds, the contenders of a row in turn, and records that their bytes are equal; only
the other ways, which take seconds, are timed once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path
from time import process_time
from typing import Any

import rivals
from machine import ROOT, measured_on, provenance
from measuring import (
    digest,
    hot_write,
    in_turns,
    interpreter,
    keep_table,
    kernel_rates,
    peak_memory,
    pywts_script,
    run,
    seconds,
)
from subjects import yolo

KERNEL_ROUNDS = 15
SCRIPT = next(iter(rivals.WAYS))


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where models and outputs lie (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each row (default 7)")
    parser.add_argument("--no-documents", action="store_true", help="leave the README and docs/ as they are")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywts-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {
            "machine": provenance(folder),
            "encode": encode_rows(),
            "export": [row for model in models(folder) for row in export_rows(model, folder, arguments.rounds)],
        }
    unequal = [row for row in [*results["encode"], *results["export"]] if row.get("equal") is False]
    target = ROOT / "benchmarks" / "results" / "export.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    text = tables(results)
    print(text)
    if not arguments.no_documents:
        keep_table("README.md", "export", text)
        keep_table("docs/performance.md", "rivals", rivals_table(results))
    for row in unequal:
        print(f"UNEQUAL BYTES: {row}", file=sys.stderr)
    return 1 if unequal else 0


# ------------------------------------------------------------------------------------------------------------- encode


def encode_rows() -> list[dict[str, object]]:
    """Kernels in C++ (L2, DRAM) and ``pywts.encode`` into fresh memory, against ``bytes.hex`` and the struct loop."""
    import numpy

    import pywts

    rng = numpy.random.default_rng(1)
    rows: list[dict[str, object]] = []
    hex_rate = {
        "L2": _hex_rate(rng.standard_normal(32 * 1024, dtype=numpy.float32), 200),
        "DRAM": _hex_rate(rng.standard_normal(32 * 1024 * 1024, dtype=numpy.float32), 3),
    }
    for measured in kernel_rates("(encode|copy)/.*/(L2|DRAM)"):
        measured["times_bytes_hex"] = measured["bytes_per_second"] / hex_rate[measured["where"]]
        rows.append(measured)

    values = rng.standard_normal(3_000_000, dtype=numpy.float32)
    expected = StringIO()
    struct_seconds = seconds(lambda: rivals.struct_two_writes(expected, values))
    text_digest = hashlib.sha256(expected.getvalue().encode()).hexdigest()
    for kernel in [kernel.name for kernel in pywts.kernels() if kernel.supported]:
        script = (
            "import sys, json, hashlib, numpy, pywts\nfrom time import perf_counter\n"
            "values = numpy.random.default_rng(1)\n"
            "values.standard_normal(32 * 1024, dtype=numpy.float32); "
            "values.standard_normal(32 * 1024 * 1024, dtype=numpy.float32)\n"
            "values = values.standard_normal(3_000_000, dtype=numpy.float32)\n"
            f"times = []\nfor _ in range({KERNEL_ROUNDS}):\n"
            "    start = perf_counter(); text = pywts.encode(values); times.append(perf_counter() - start)\n"
            "    digest = hashlib.sha256(text).hexdigest(); del text\n"
            "print(json.dumps([sorted(times)[len(times) // 2], digest]))\n"
        )
        spent, found = json.loads(
            run([*interpreter(), "-c", script], env={**os.environ, "PYWTS_KERNEL": kernel}).stdout
        )
        rows.append(
            {
                "kernel": kernel,
                "where": "fresh memory, 3 M values",
                "bytes_per_second": 27_000_000 / spent,
                "times_struct": struct_seconds / spent,
                "equal": found == text_digest,
            }
        )
    return rows


def _hex_rate(values: object, rounds: int) -> float:
    """Bytes of text a second of processor time, which is what the kernels' rates are of."""
    size = len(rivals.numpy_hex(values)) + 1
    times = []
    for _ in range(rounds):
        start = process_time()
        rivals.numpy_hex(values)
        times.append(process_time() - start)
    return size / statistics.median(times)


# ------------------------------------------------------------------------------------------------------------- export


class Model:
    """A checkpoint to export, and what its .wts must be."""

    def __init__(self, name: str, path: Path, rivals: Iterable[str]) -> None:
        self.name = name
        self.path = path
        self.rivals = rivals
        """the ways of other scripts that are timed"""


def models(folder: Path) -> list[Model]:
    """The sample, and ultralytics models of 3 M and 68 M parameters, saved as its trainer does."""
    found = [Model("sample", ROOT / "examples" / "shapes.pt", [SCRIPT])]
    for letter, size in (("n", "3 M"), ("x", "68 M")):
        for dtype in ("float16", "float32"):
            ways = [] if dtype == "float32" else rivals.WAYS if letter == "n" else [SCRIPT, "bytes.hex"]
            found.append(Model(f"{size} {dtype}", yolo(folder, letter, dtype), ways))
    return found


def export_rows(model: Model, folder: Path, rounds: int) -> list[dict[str, object]]:
    """All ways to export one model, each round in turn."""
    import pywts

    output = folder / "out.wts"
    exported = pywts.export(model.path, output)
    expected = digest(output)
    size = exported.bytes
    hot = folder / "hot.bin"
    command = [pywts_script(), "export", str(model.path), "-o", str(output), "--quiet"]
    timed: dict[str, Callable[[], object]] = {
        "interpreter with argparse": lambda: run([*interpreter(), "-c", "import argparse"]),
        "reserved write of a hot buffer": lambda: hot_write(hot, size),
        "pywts in process": lambda: pywts.export(model.path, output),
        "pywts whole command": lambda: run(command),
    }

    def clear() -> None:
        hot.unlink(missing_ok=True)
        output.unlink(missing_ok=True)

    medians = in_turns(timed, rounds, clear)
    equal = digest(output) == expected
    for way in model.rivals:
        clear()
        rival = [*interpreter(), str(ROOT / "benchmarks" / "rivals.py"), way, str(model.path), str(output)]
        medians[way] = seconds(lambda rival=rival: run(rival))
        equal = equal and digest(output) == expected
    floor = medians["interpreter with argparse"] + medians["reserved write of a hot buffer"]
    memory = peak_memory(command) - peak_memory([*interpreter(), "-c", "import argparse"])
    rows = [
        {"model": model.name, "what": name, "seconds": value, "text_bytes": size, "equal": equal}
        for name, value in medians.items()
    ]
    rows.append({"model": model.name, "what": "floor of a whole command", "seconds": floor, "text_bytes": size})
    rows.append({"model": model.name, "what": "peak memory over the interpreter", "bytes": memory})
    clear()
    return rows


# -------------------------------------------------------------------------------------------------------------- report


def tables(results: dict[str, Any]) -> str:
    """Both tables, in Markdown."""
    lines = [
        f"{measured_on(results['machine'])} Ratios of medians in one run; ways that take seconds are timed once.",
        "",
        "| float32 to text | GB/s of text | times the `struct` loop | times `bytes.hex` |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in sorted(results["encode"], key=lambda row: ("fresh" not in row["where"], row["where"] != "L2")):
        times = [f"{row[key]:.0f}" if key in row else "" for key in ("times_struct", "times_bytes_hex")]
        lines.append(
            f"| {row['kernel']}, {row['where']} | {row['bytes_per_second'] / 1e9:.1f} | {times[0]} | {times[1]} |"
        )
    lines += [
        "",
        "| model | whole command | times the floor | than the script | in process, share of the limit | memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    export = results["export"]
    for model in dict.fromkeys(row["model"] for row in export):
        found = {row["what"]: row for row in export if row["model"] == model}
        whole = found["pywts whole command"]["seconds"]
        script = found.get(SCRIPT)
        share = found["reserved write of a hot buffer"]["seconds"] / found["pywts in process"]["seconds"]
        faster = f"{script['seconds'] / whole:.0f} times" if script else ""
        lines.append(
            f"| {model} | {whole * 1000:.1f} ms | {whole / found['floor of a whole command']['seconds']:.2f} | "
            f"{faster} | {share:.2f} | "
            f"{found['peak memory over the interpreter']['bytes'] / 2**20:.0f} MB |"
        )
    return "\n".join(lines)


def rivals_table(results: dict[str, Any]) -> str:
    """Every way as a whole command over the model of 3 M float16, beside pywts."""
    rows = results["export"]
    found = {row["what"]: row["seconds"] for row in rows if row["model"] == "3 M float16" and "seconds" in row}
    whole = found["pywts whole command"]
    lines = [
        measured_on(results["machine"]),
        "",
        "| whole command, 3 M float16 | seconds | times pywts |",
        "| --- | ---: | ---: |",
    ]
    for name in ("pywts whole command", *rivals.WAYS):
        lines.append(f"| {name} | {found[name]:.3f} | {found[name] / whole:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
