"""Times the export against its rivals and against the machine's own limit, side by side in one run.

``python benchmarks/bench_export.py`` writes ``benchmarks/results/export.json`` and the tables of the README.
Every row is the median of several rounds, the contenders of a row in turn, and records that their bytes are equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from time import perf_counter

import rivals
from machine import ROOT, interpreter, provenance

BLOCK = bytes(1 << 20)
KERNEL_ROUNDS = 15


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where models and outputs lie (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each row (default 7)")
    parser.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywts-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = {
            "machine": provenance(folder),
            "encode": encode_rows(folder),
            "export": [row for model in models(folder) for row in export_rows(model, folder, arguments.rounds)],
        }
    unequal = [row for row in [*results["encode"], *results["export"]] if row.get("equal") is False]
    target = ROOT / "benchmarks" / "results" / "export.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n")
    text = tables(results)
    print(text)
    if not arguments.no_readme:
        write_readme(text)
    for row in unequal:
        print(f"UNEQUAL BYTES: {row}", file=sys.stderr)
    return 1 if unequal else 0


# ------------------------------------------------------------------------------------------------------------- encode


def encode_rows(folder: Path) -> list[dict[str, object]]:
    """Kernels in C++ (L2, DRAM) and ``pywts.encode`` into fresh memory, against ``bytes.hex`` and the struct loop."""
    import numpy

    rng = numpy.random.default_rng(1)
    rows: list[dict[str, object]] = []
    hex_rate = {
        "L2": _hex_rate(rng.standard_normal(32 * 1024, dtype=numpy.float32), 200),
        "DRAM": _hex_rate(rng.standard_normal(32 * 1024 * 1024, dtype=numpy.float32), 3),
    }
    for line in _kernel_lines(folder):
        measured = json.loads(line)
        measured["times_bytes_hex"] = measured["bytes_per_second"] / hex_rate[measured["where"]]
        rows.append(measured)

    values = rng.standard_normal(3_000_000, dtype=numpy.float32)
    expected = StringIO()
    start = perf_counter()
    rivals.struct_two_writes(expected, values)
    struct_seconds = perf_counter() - start
    digest = hashlib.sha256(expected.getvalue().encode()).hexdigest()
    for kernel in dict.fromkeys(str(row["kernel"]) for row in rows):
        if kernel == "memcpy":
            continue
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
        seconds, found = json.loads(
            _run([*interpreter(), "-c", script], env={**os.environ, "PYWTS_KERNEL": kernel}).stdout
        )
        rows.append(
            {
                "kernel": kernel,
                "where": "fresh memory, 3 M values",
                "bytes_per_second": 27_000_000 / seconds,
                "times_struct": struct_seconds / seconds,
                "equal": found == digest,
            }
        )
    return rows


def _hex_rate(values: object, rounds: int) -> float:
    size = len(rivals.numpy_hex(values)) + 1
    return size / _median(lambda: rivals.numpy_hex(values), rounds)


def _kernel_lines(folder: Path) -> list[str]:
    build = folder / "cpp"
    _run(["cmake", "-S", str(ROOT), "-B", str(build), "-DPYWTS_PYTHON=OFF", "-DPYWTS_BENCHMARKS=ON"])
    _run(["cmake", "--build", str(build), "--target", "encode_kernels", "--parallel"])
    return _run([str(next(build.rglob("encode_kernels")))]).stdout.splitlines()


# ------------------------------------------------------------------------------------------------------------- export


class Model:
    """A checkpoint to export, and what its .wts must be."""

    def __init__(self, name: str, path: Path, slow_rivals: bool) -> None:
        self.name = name
        self.path = path
        self.slow_rivals = slow_rivals


def models(folder: Path) -> list[Model]:
    """The sample, and ultralytics models of 3 M and 68 M parameters, saved as its trainer does."""
    found = [Model("sample", ROOT / "examples" / "shapes.pt", True)]
    for letter, size in (("n", "3 M"), ("x", "68 M")):
        for dtype in ("float16", "float32"):
            path = folder / f"yolov8{letter}-{dtype}.pt"
            if not path.exists():
                _make_model(f"yolov8{letter}.yaml", dtype, path)
            found.append(Model(f"{size} {dtype}", path, dtype == "float16"))
    return found


def _make_model(yaml: str, dtype: str, path: Path) -> None:
    script = (
        "import sys, torch\nfrom ultralytics.nn.tasks import DetectionModel\ntorch.manual_seed(0)\n"
        "model = DetectionModel(sys.argv[1], verbose=False).to(getattr(torch, sys.argv[2]))\n"
        "torch.save({'epoch': -1, 'best_fitness': None, 'model': model, 'ema': None, 'updates': None, "
        "'optimizer': None, 'train_args': {}, 'date': '', 'version': ''}, sys.argv[3])\n"
    )
    _run([*interpreter(), "-c", script, yaml, dtype, str(path)], env={**os.environ, "YOLO_OFFLINE": "true"})


def export_rows(model: Model, folder: Path, rounds: int) -> list[dict[str, object]]:
    """All ways to export one model, each round in turn."""
    import pywts

    output = folder / "out.wts"
    exported = pywts.export(model.path, output)
    digest = _digest(output)
    size = exported.bytes
    hot_write = folder / "hot.bin"
    command = [_pywts_script(), "export", str(model.path), "-o", str(output), "--quiet"]
    timed: dict[str, Callable[[], object]] = {
        "interpreter with argparse": lambda: _run([*interpreter(), "-c", "import argparse"]),
        "reserved write of a hot buffer": lambda: _hot_write(hot_write, size),
        "pywts in process": lambda: pywts.export(model.path, output),
        "pywts whole command": lambda: _run(command),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, work in timed.items():
            hot_write.unlink(missing_ok=True)
            output.unlink(missing_ok=True)
            start = perf_counter()
            work()
            seconds[name].append(perf_counter() - start)
    equal = _digest(output) == digest
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    if model.slow_rivals:
        for name, way in (("reference script (torch.load, struct)", "struct"), ("torch.load, bytes.hex", "numpy")):
            output.unlink(missing_ok=True)
            start = perf_counter()
            _run([*interpreter(), str(ROOT / "benchmarks" / "rivals.py"), way, str(model.path), str(output)])
            medians[name] = perf_counter() - start
            equal = equal and _digest(output) == digest
    floor = medians["interpreter with argparse"] + medians["reserved write of a hot buffer"]
    memory = _peak_memory(command) - _peak_memory([*interpreter(), "-c", "import argparse"])
    rows = [
        {"model": model.name, "what": name, "seconds": value, "text_bytes": size, "equal": equal}
        for name, value in medians.items()
    ]
    rows.append({"model": model.name, "what": "floor of a whole command", "seconds": floor, "text_bytes": size})
    rows.append({"model": model.name, "what": "peak memory over the interpreter", "bytes": memory})
    for path in (output, hot_write):
        path.unlink(missing_ok=True)
    return rows


def _hot_write(path: Path, size: int) -> None:
    """The limit: a buffer that lies in the cache, written into space that was reserved."""
    from pywts._core import reserve

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        reserve(descriptor, size)
        left = size
        while left:
            left -= os.write(descriptor, BLOCK[: min(left, len(BLOCK))] if left < len(BLOCK) else BLOCK)
    finally:
        os.close(descriptor)


def _pywts_script() -> str:
    beside = Path(sys.executable).with_name("pywts")
    found = str(beside) if beside.exists() else shutil.which("pywts")
    if not found:
        raise SystemExit("install pywts first: pip install .")
    return found


def _peak_memory(command: list[str]) -> int:
    """The largest resident size of a command, in bytes."""
    # A small process in between: the system counts the memory of whoever starts a command as the command's.
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return int(_run([*interpreter(), "-c", script, *command]).stdout.split()[-1]) * 1024


# -------------------------------------------------------------------------------------------------------------- report


def tables(results: dict[str, object]) -> str:
    """Both tables, in Markdown."""
    machine = results["machine"]
    assert isinstance(machine, dict)
    lines = [
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['file system']}, {machine['system']}, "
        f"Python {machine['python']}, {machine['compiler']}; commit {machine['commit']}. Ratios of medians in one run.",
        "",
        "| float32 to text | GB/s of text | times the `struct` loop | times `bytes.hex` |",
        "| --- | ---: | ---: | ---: |",
    ]
    encode = results["encode"]
    assert isinstance(encode, list)
    for row in sorted(encode, key=lambda row: "fresh" not in row["where"]):
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
    assert isinstance(export, list)
    for model in dict.fromkeys(row["model"] for row in export):
        found = {row["what"]: row for row in export if row["model"] == model}
        whole = found["pywts whole command"]["seconds"]
        script = found.get("reference script (torch.load, struct)")
        share = found["reserved write of a hot buffer"]["seconds"] / found["pywts in process"]["seconds"]
        faster = f"{script['seconds'] / whole:.0f} times" if script else ""
        lines.append(
            f"| {model} | {whole * 1000:.1f} ms | {whole / found['floor of a whole command']['seconds']:.2f} | "
            f"{faster} | {share:.2f} | "
            f"{found['peak memory over the interpreter']['bytes'] / 2**20:.0f} MB |"
        )
    return "\n".join(lines)


def write_readme(text: str) -> None:
    """Put the tables between the README's two marks."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition("<!-- benchmark: export -->\n")
    _, _, after = rest.partition("<!-- end of benchmark -->")
    readme.write_text(f"{before}<!-- benchmark: export -->\n{text}\n<!-- end of benchmark -->{after}")


def _median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return statistics.median(times)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else (hashlib.sha256(file.read()).hexdigest())
        )


def _run(command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done


if __name__ == "__main__":
    sys.exit(main())
