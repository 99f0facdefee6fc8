"""Times every kernel by itself, on one thread, against memcpy of the text in the same run.

``python benchmarks/bench_kernels.py`` writes ``benchmarks/results/kernels.json`` and the table of docs/performance.md.
It needs Google Benchmark (libbenchmark-dev); ``cpp/kernels.cpp`` says what is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from machine import ROOT, provenance
from measuring import keep_table, kernel_rates

HEADS = {
    "encode": "float32 to text",
    "decode": "text to float32",
    "widen float16": "float16 to float32",
    "widen bfloat16": "bfloat16 to float32",
    "widen float64": "float64 to float32",
    "widen int64": "int64 to float32",
    "copy": "copy of the text",
}
"""How the table calls the jobs of cpp/kernels.cpp, in its order."""

CYCLES = {
    "core cycle": "cycles are those that the core spent in user code, as it counts them (perf_event)",
    "TSC cycle": "this machine gives programs no count of the core's cycles, so they are those of its time stamp "
    "counter (TSC cycles), which keeps one frequency whatever the core's",
    "none": "this machine gives programs no count of cycles",
}


def main() -> int:
    """Run everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row (default 5)")
    parser.add_argument("--no-results", action="store_true", help="keep no results, only print them")
    arguments = parser.parse_args()
    rows = kernel_rates(rounds=arguments.rounds)
    if not rows:
        return 1
    results = {"machine": provenance(ROOT), "kernels": against_memcpy(rows)}
    text = table(results)
    if not arguments.no_results:
        target = ROOT / "benchmarks" / "results" / "kernels.json"
        target.write_text(json.dumps(results, indent=1) + "\n")
        keep_table("docs/performance.md", "kernels", text)
    print(text)
    return 0


def against_memcpy(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, each with its rate over memcpy's in the same place."""
    copies = {row["where"]: row["bytes_per_second"] for row in rows if row["kernel"] == "memcpy"}
    return [{**row, "of_memcpy": row["bytes_per_second"] / copies[row["where"]]} for row in rows]


def table(results: dict[str, Any]) -> str:
    """The rows, in Markdown."""
    machine, rows = results["machine"], results["kernels"]
    sizes = {row["where"]: f"{row['values']:,} in {row['where']}" for row in rows}
    lines = [
        f"Measured on {machine['processor']}, {machine['system']}, {machine['compiler']}; commit {machine['commit']}. "
        f"Medians of one run, on one thread. Values: {', '.join(sizes.values())}. "
        f"Bytes per cycle: {CYCLES[rows[0]['cycle']]}.",
        "",
        "| job | where | kernel | GB/s of text | bytes per cycle | of memcpy |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in sorted(rows, key=lambda row: list(HEADS).index(row["job"])):
        cycle = f"{row['bytes_per_cycle']:.1f}" if "bytes_per_cycle" in row else ""
        lines.append(
            f"| {HEADS[row['job']]} | {row['where']} | {row['kernel']} | {row['bytes_per_second'] / 1e9:.1f} | "
            f"{cycle} | {row['of_memcpy']:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
