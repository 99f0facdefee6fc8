"""Train examples/shapes.pt: a narrow YOLOv8 detector of circles, squares and triangles.

Run it from anywhere, with ultralytics installed: it draws its own pictures, downloads nothing, needs no GPU and
takes a few minutes on two CPU cores. The `best.pt` of the ultralytics trainer is copied unchanged to shapes.pt, next
to this file. The exit status is 1 if that checkpoint does not find the shapes, or is not small.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("circle", "square", "triangle")
SEED = 2026
SIZE = 160  # pixels, the side of every picture
SPLITS = {"train": 480, "val": 120}  # pictures in each
EPOCHS = 50
SCALE = (0.33, 0.0625, 384)  # depth multiple, width multiple, most channels; yolov8n has (0.33, 0.25, 1024)
MIN_MAP50 = 0.7
MAX_BYTES = 700_000


def corners(kind: str, centre: NDArray[np.float64], radius: float, angle: float) -> NDArray[np.float64]:
    """The outline of a shape, as an array of (x, y) points on the circle around it."""
    count = {"circle": 64, "square": 4, "triangle": 3}[kind]
    turns = angle + np.arange(count) * (2 * np.pi / count)
    return centre + radius * np.stack([np.cos(turns), np.sin(turns)], axis=1)


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[str]]:
    """One picture of one to four shapes on noise, and its lines of YOLO labels: class, box centre, box size."""
    ground = rng.uniform(0, 255, 3)
    picture = np.clip(ground + rng.normal(0, 12, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    taken: list[tuple[NDArray[np.float64], float]] = []
    labels: list[str] = []
    wanted = int(rng.integers(1, 5))
    while len(taken) < wanted:
        radius = rng.uniform(12, 36)
        centre = rng.uniform(radius, SIZE - radius, 2)
        colour = rng.uniform(0, 255, 3)
        if np.abs(colour - ground).max() < 60:  # too close to the ground's colour to see
            continue
        if any(np.hypot(*(centre - other)) < radius + far for other, far in taken):
            wanted -= int(rng.random() < 0.05)  # or a full picture would be tried for ever
            continue
        taken.append((centre, radius))
        kind = int(rng.integers(len(NAMES)))
        outline = corners(NAMES[kind], centre, radius, rng.uniform(0, 2 * np.pi))
        cv2.fillPoly(picture, [np.rint(outline).astype(np.int32)], colour.tolist(), cv2.LINE_AA)
        low, high = outline.min(axis=0) / SIZE, outline.max(axis=0) / SIZE
        box = [*(low + high) / 2, *(high - low)]
        labels.append(" ".join([str(kind), *(f"{value:.6f}" for value in box)]))
    return picture, labels


def write_data(folder: Path) -> None:
    """Write the pictures and labels of every split under folder, and shapes.yaml, which tells the trainer of them."""
    for number, (split, count) in enumerate(SPLITS.items()):
        rng = np.random.default_rng([SEED, number])
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(count):
            picture, labels = draw(rng)
            cv2.imwrite(str(folder / "images" / split / f"{index:04}.png"), picture)
            (folder / "labels" / split / f"{index:04}.txt").write_text("\n".join(labels) + "\n")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(NAMES))
    (folder / "shapes.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")


def write_model(path: Path) -> None:
    """Write the installed ultralytics' own yolov8.yaml with three classes and one scale, a narrow one."""
    import ultralytics
    from ultralytics.utils import YAML

    model: dict[str, Any] = YAML.load(Path(ultralytics.__file__).parent / "cfg/models/v8/yolov8.yaml")
    model["nc"] = len(NAMES)
    model["scales"] = {"shapes": list(SCALE)}
    YAML.save(path, model)


def hide_folder(trainer: Any) -> None:
    """Keep this machine's folders out of the options that the trainer writes into its checkpoints."""
    trainer.args.save_dir = os.path.relpath(trainer.args.save_dir)


def train(epochs: int) -> tuple[Path, float]:
    """Train in the current folder; return the trainer's best.pt and its mAP50 on the validation pictures."""
    # Set before ultralytics is imported, which reads them then: no look at the network, no user's settings.
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(Path.cwd() / "config"))
    font = Path("config/Ultralytics/Arial.ttf")  # the trainer would download it, though nothing is plotted
    font.parent.mkdir(parents=True)
    font.touch()
    from ultralytics import YOLO

    write_data(Path.cwd())
    write_model(Path("yolov8-shapes.yaml"))
    model = YOLO("yolov8-shapes.yaml", task="detect")
    model.add_callback("on_pretrain_routine_start", hide_folder)
    metrics = model.train(
        data="shapes.yaml",
        name="shapes",
        epochs=epochs,
        imgsz=SIZE,
        batch=16,
        device="cpu",
        seed=SEED,
        deterministic=True,
        pretrained=False,
        optimizer="AdamW",
        lr0=0.005,
        cos_lr=True,
        mosaic=0.0,
        flipud=0.5,
        amp=False,
        plots=False,
    )
    return Path(model.trainer.best), float(metrics.box.map50)


def main() -> int:
    """Train, copy the checkpoint beside this file, and say what it is worth."""
    parser = argparse.ArgumentParser(description="Train the sample checkpoint of pywts.")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs to train (default: %(default)s)")
    target = Path(__file__).resolve().with_name("shapes.pt")
    parser.add_argument("--output", type=Path, default=target, help="file to write (default: shapes.pt, here)")
    args = parser.parse_args()
    output = args.output.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        best, map50 = train(args.epochs)
        shutil.copyfile(best, output)
        os.chdir(output.parent)  # a folder that is still there once the temporary one is gone
    size = output.stat().st_size
    print(f"{output.name}: mAP50 {map50:.3f}, {size} bytes")
    if map50 <= MIN_MAP50 or size >= MAX_BYTES:
        print(f"error: want mAP50 over {MIN_MAP50} and less than {MAX_BYTES} bytes", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
