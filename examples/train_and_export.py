"""A training whose end is a .wts: ``python examples/train_and_export.py FOLDER``.

Draws the pictures of train_shapes.py into FOLDER, trains its narrow YOLOv8 for two epochs, and has pywts export the
best weights when the training ends. Needs ultralytics; downloads nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from train_shapes import SIZE, write_data, write_model

import pywts.ultralytics


def main() -> int:
    """Train, and say where the .wts is."""
    os.makedirs(sys.argv[1], exist_ok=True)
    os.chdir(sys.argv[1])
    from ultralytics import YOLO

    write_data(Path.cwd())
    write_model(Path("yolov8-shapes.yaml"))
    model = YOLO("yolov8-shapes.yaml", task="detect")
    pywts.ultralytics.add_callback(model, sidecar=True, verify=True)  # this line is all that it takes
    training = {"data": "shapes.yaml", "epochs": 2, "imgsz": SIZE, "device": "cpu", "project": str(Path.cwd() / "runs")}
    model.train(**training, pretrained=False, plots=False, amp=False)

    written = Path(model.trainer.best).with_suffix(".wts")
    print(f"{written}: {'there' if written.exists() else 'MISSING'}")
    return 0 if written.exists() else 1


if __name__ == "__main__":
    sys.exit(main())
