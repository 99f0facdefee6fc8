"""Times the way back: reading and verifying, against the loop over a ``std::ifstream`` that C++ programs copy.

``python benchmarks/bench_load.py`` writes ``benchmarks/results/load.json``. Every row is the median of several rounds,
the contenders in turn in one run, over one file in the page cache; each records that it read the same bits.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import ROOT, measured_on, provenance
from measuring import google_benchmark, interpreter, keep_table, run
from subjects import yolo

STREAM = r"""
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <utility>

int main(int, char** arguments) {
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, std::pair<std::uint32_t*, std::uint32_t>> weights;
  std::ifstream input(arguments[1]);
  std::int32_t count = 0;
  input >> count;
  while (count-- > 0) {
    std::string name;
    std::uint32_t size = 0;
    input >> name >> std::dec >> size;
    auto* values = static_cast<std::uint32_t*>(std::malloc(sizeof(std::uint32_t) * size));
    for (std::uint32_t i = 0; i < size; ++i) input >> std::hex >> values[i];
    weights[name] = {values, size};
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  std::uint64_t sum = 0;
  for (const auto& [name, values] : weights) {
    for (std::uint32_t i = 0; i < values.second; ++i) sum += values.first[i];
  }
  std::printf("[%.9f, %llu]\n", spent.count(), static_cast<unsigned long long>(sum));
  return input ? 0 : 1;
}
"""
"""What programs do now, with 4 bytes a value, where most take 8: prints its seconds and the sum of all bits."""

IFSTREAM = "std::ifstream >> std::hex"

SCRIPTS = {
    "pywts.load": "weights = pywts.load(wts)",
    "pywts.open, nothing read yet": "weights = pywts.open(wts)",
    "pywts.open, one small tensor": "weights = pywts.open(wts); array = weights[small]",
    "pywts.verify against the checkpoint": "verified = pywts.verify(wts, source); assert verified.equal",
    "pywts.verify against the sidecar": "verified = pywts.verify(wts); assert verified.equal",
}
"""Each is timed some times in an interpreter of its own, after a small file has been read. What a load returned is
given back to the system before the next: its memory is fresh each time."""

_TIMES = 5

INTO = {
    "stream": IFSTREAM,
    "into_warm_buffer": "`wts.hpp`, into a buffer that was written to before",
    "into_fresh_memory": "`wts.hpp`, into memory that the system has yet to give",
}
THREADS = {"one_thread": "1", "all_threads": "all"}
"""How the table calls what cpp/read_weights.cpp times, in its order."""

TIMED = """
import json, sys, numpy, pywts
from time import perf_counter
wts, source, small, tiny = sys.argv[1:]
pywts.load(tiny); pywts.verify(tiny, tiny)
def read(): return int(open("/proc/self/io").read().split()[1])
times = []
for _ in range({times}):
    verified = weights = array = None
    before = read()
    start = perf_counter()
    {work}
    times.append(perf_counter() - start)
    bytes_read = read() - before
seconds = sorted(times)[len(times) // 2]
total = 0
if type(weights) is dict:
    total = sum(int(array.reshape(-1).view(numpy.uint32).sum(dtype=numpy.uint64)) for array in weights.values())
print(json.dumps([seconds, total, bytes_read, None if verified is None else verified.values]))
"""


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where models and outputs lie (default: a temporary folder)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each row (default 9)")
    parser.add_argument("--no-results", action="store_true", help="keep no results, only print them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pywts-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results: dict[str, Any] = {"machine": provenance(folder), **rows(folder, arguments.rounds)}
    if not arguments.no_results:
        target = ROOT / "benchmarks" / "results" / "load.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(results, indent=1) + "\n")
        keep_table("docs/performance.md", "load", tables(results))
    print(tables(results))
    return 0 if all(row.get("equal", True) for row in results["load"]) else 1


def rows(folder: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """All contenders over the .wts of a model of 68 M parameters."""
    import pywts

    source = yolo(folder, "x", "float16")
    wts, tiny = folder / "load.wts", folder / "tiny.wts"
    exported = pywts.export(source, wts, sidecar=True, verify=True)
    pywts.export(ROOT / "examples" / "shapes.pt", tiny)
    file = pywts.open(wts)
    small = file.names[len(file) // 2]
    reader = folder / "stream_reader"
    reader.with_suffix(".cpp").write_text(STREAM)
    run(["c++", "-O2", "-std=c++17", "-o", str(reader), str(reader.with_suffix(".cpp"))])

    found: dict[str, list[list[float]]] = {name: [] for name in (IFSTREAM, *SCRIPTS)}
    for _ in range(rounds):
        found[IFSTREAM].append(json.loads(run([str(reader), str(wts)]).stdout))
        for name, work in SCRIPTS.items():
            script = TIMED.format(work=work, times=_TIMES)
            done = run([*interpreter(), "-c", script, str(wts), str(source), small, str(tiny)])
            found[name].append(json.loads(done.stdout))
    sums = {int(one[1]) for name in (IFSTREAM, "pywts.load") for one in found[name]}
    medians = {name: statistics.median(one[0] for one in all_of) for name, all_of in found.items()}
    result: list[dict[str, Any]] = []
    for name, seconds in medians.items():
        row: dict[str, Any] = {
            "what": name,
            "seconds": seconds,
            "text_bytes": exported.bytes,
            "values": exported.values,
            "times_ifstream": medians[IFSTREAM] / seconds,
            "times_load": medians["pywts.load"] / seconds,
        }
        if name in (IFSTREAM, "pywts.load"):
            row["equal"] = len(sums) == 1
        elif "open" in name:
            row["bytes_read"] = max(one[2] for one in found[name])
        else:
            row["equal"] = {one[3] for one in found[name]} == {exported.values}
        result.append(row)
    header = header_rows(wts)
    for path in (wts, tiny, Path(f"{wts}.json")):
        path.unlink()
    return {"load": result, "header": header}


def header_rows(wts: Path) -> list[dict[str, Any]]:
    """``wts.hpp`` by itself over the same file; nothing where Google Benchmark is not installed."""
    _, medians = google_benchmark("read_weights", "stream|into_", 7, {"WTS_BENCHMARK_FILE": str(wts)})
    rows = []
    for one in medians:
        into, *rest = one["run_name"].split("/")
        kernel, threads = ("", "one_thread") if into == "stream" else rest[:2]
        rows.append({"into": into, "threads": threads, "kernel": kernel, "seconds": one["real_time"] / 1000})
    for row in rows:
        row["times_ifstream"] = rows[0]["seconds"] / row["seconds"]  # the stream is the first
    return sorted(rows, key=lambda row: ([*INTO].index(row["into"]), [*THREADS].index(row["threads"])))


def tables(results: dict[str, Any]) -> str:
    """The way back from Python and, if it was timed, by the header alone, in Markdown."""
    lines = [
        f"{measured_on(results['machine'])} Medians of one run. The file has 68 M values, 615 MB of text, and lies in "
        "the page cache.",
        "",
        "| done once | ms | times as fast as the `ifstream` | time, the load's being 1 | bytes read |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in results["load"]:
        read = f"{row['bytes_read'] / 1000:,.0f} kB" if "bytes_read" in row else ""
        lines.append(
            f"| {row['what']} | {row['seconds'] * 1000:,.1f} | {row['times_ifstream']:,.0f} | "
            f"{1 / row['times_load']:.2f} | {read} |"
        )
    if results["header"]:
        lines += [
            "",
            "| all values in C++, by | threads | kernel | ms | times as fast as the `ifstream` |",
            "| --- | --- | --- | ---: | ---: |",
        ]
    for row in results["header"]:
        lines.append(
            f"| {INTO[row['into']]} | {THREADS[row['threads']]} | {row['kernel']} | {row['seconds'] * 1000:,.1f} | "
            f"{row['times_ifstream']:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    start = perf_counter()
    code = main()
    print(f"{perf_counter() - start:.0f} s", file=sys.stderr)
    sys.exit(code)
