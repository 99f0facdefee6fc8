"""Draws the pictures of docs/performance.md from benchmarks/results: ``python benchmarks/plots.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
from machine import ROOT

matplotlib.use("svg")
import matplotlib.pyplot as pyplot

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Draw every picture that there are results for."""
    pyplot.rcParams.update(
        {"svg.hashsalt": "pywts", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    )
    IMAGES.mkdir(parents=True, exist_ok=True)
    limits = _results("limits")
    if limits:
        throughput(limits["growth"])
        memory(limits["growth"])
        stages(limits["stages"])
    batch = _results("batch")
    if batch and "workers" in batch:
        workers(batch["workers"])


def throughput(points: list[dict[str, float]]) -> None:
    """Gigabytes of text a second over the size of the checkpoint."""
    axes = _axes("size of the checkpoint, MB", "GB of text a second")
    sizes = [point["checkpoint"] / 1e6 for point in points]
    for key, label, style in (("limit", "reserved write of a hot buffer", "--"), ("seconds", "pywts.export", "-")):
        axes.plot(sizes, [point["text"] / point[key] / 1e9 for point in points], style, marker="o", label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save("throughput")


def memory(points: list[dict[str, float]]) -> None:
    """Megabytes over the interpreter, over the size of the checkpoint."""
    axes = _axes("size of the checkpoint, MB", "MB over the interpreter")
    axes.plot(
        [point["checkpoint"] / 1e6 for point in points], [point["memory"] / 2**20 for point in points], marker="o"
    )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    _save("memory")


def stages(found: dict[str, dict[str, float]]) -> None:
    """Where the time of a whole command goes."""
    axes = _axes("share of the whole command", "")
    names = list(next(iter(found.values())))
    for number, seconds in enumerate(found.values()):
        whole = sum(seconds.values())
        left = 0.0
        for index, name in enumerate(names):
            share = seconds[name] / whole
            axes.barh(number, share, left=left, color=f"C{index}", label=name if number == 0 else None)
            if share > 0.09:
                axes.text(
                    left + share / 2, number, f"{seconds[name] * 1e3:.1f} ms", ha="center", va="center", color="white"
                )
            left += share
    axes.set_yticks(range(len(found)), found)
    axes.legend(frameon=False, ncols=len(names), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    _save("stages")


def workers(points: list[dict[str, float]]) -> None:
    """Models a second over the number of workers."""
    axes = _axes("workers", "models a second")
    axes.plot([point["workers"] for point in points], [point["models_per_second"] for point in points], marker="o")
    axes.set_xticks([int(point["workers"]) for point in points])
    axes.set_ylim(bottom=0)
    _save("workers")


def _results(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _axes(x: str, y: str) -> Any:
    _, axes = pyplot.subplots(figsize=(6.4, 3.2), layout="constrained")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return axes


def _save(name: str) -> None:
    path: Path = IMAGES / f"{name}.svg"
    pyplot.savefig(path, metadata={"Date": None})
    pyplot.close()
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
