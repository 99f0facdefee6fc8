"""The files that are exported: ultralytics models as its trainer saves them, and tensors of one dtype and shape."""

from __future__ import annotations

import os
from pathlib import Path

from measuring import interpreter, run

YOLO = """
import sys, torch
from ultralytics.nn.tasks import DetectionModel
torch.manual_seed(0)
model = DetectionModel(sys.argv[1], verbose=False).to(getattr(torch, sys.argv[2]))
torch.save({"epoch": -1, "best_fitness": None, "model": model, "ema": None, "updates": None, "optimizer": None,
            "train_args": {}, "date": "", "version": ""}, sys.argv[3])
"""

TENSORS = """
import sys, torch
dtype, shape, values, tensors, path = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.manual_seed(0)
numel = values // tensors
def made():
    flat = torch.randn(numel) if dtype not in ("int64",) else torch.randint(-1000000, 1000000, (numel,))
    flat = flat.to(getattr(torch, dtype))
    if shape == "flat":
        return flat
    if shape == "transposed":
        side = int(numel ** 0.5)
        return flat[: side * side].reshape(side, side).t()
    if shape == "channels_last":
        return flat[: numel // 576 * 576].reshape(-1, 3, 3, 64).permute(0, 3, 1, 2)
    raise SystemExit(shape)
torch.save({f"model.{i // 6}.block.{i % 6}.weight": made() for i in range(tensors)}, path)
"""


def yolo(folder: Path, letter: str, dtype: str) -> Path:
    """A detector of 3 M ("n") or 68 M ("x") parameters, untrained, in the form of a finished training."""
    path = folder / f"yolov8{letter}-{dtype}.pt"
    if not path.exists():
        environment = {**os.environ, "YOLO_OFFLINE": "true"}
        run([*interpreter(), "-c", YOLO, f"yolov8{letter}.yaml", dtype, str(path)], env=environment)
    return path


def tensors(folder: Path, dtype: str, shape: str, values: int, count: int) -> Path:
    """A bare state_dict of ``count`` tensors of ``values`` numbers in all: flat, transposed or channels_last."""
    path = folder / f"{dtype}-{shape}-{values}-{count}.pt"
    if not path.exists():
        run([*interpreter(), "-c", TENSORS, dtype, shape, str(values), str(count), str(path)])
    return path
