"""The C++ programs that build an engine from a family's .wts, and the command that runs them.

Names and arguments are those of the tensorrtx programs: ``PROGRAM -s MODEL.wts MODEL.engine SIZE``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint.protocol import Checkpoint

PROGRAMS = {
    ("8", "detect"): "yolov8_det",
    ("8", "segment"): "yolov8_seg",
    ("8", "pose"): "yolov8_pose",
    ("8", "obb"): "yolov8_obb",
    ("8", "classify"): "yolov8_cls",
    ("5u", "detect"): "yolov8_5u_det",
    ("10", "detect"): "yolov10_det",
    ("11", "detect"): "yolo11_det",
    ("11", "segment"): "yolo11_seg",
    ("11", "pose"): "yolo11_pose",
    ("11", "obb"): "yolo11_obb",
    ("11", "classify"): "yolo11_cls",
    ("12", "detect"): "yolo12_det",
    ("13", "detect"): "yolov13-det",
    ("26", "detect"): "yolo26_det",
    ("26", "obb"): "yolo26_obb",
    ("26", "classify"): "yolo26_cls",
    ("5", "detect"): "yolov5_det",
    ("5", "segment"): "yolov5_seg",
    ("5", "classify"): "yolov5_cls",
    ("7", "detect"): "yolov7",
    ("9", "detect"): "yolov9",
}
"""By generation ("5u" is the anchor-free v5 of ultralytics) and task."""

_TASKS = {
    "DetectionModel": "detect",
    "DetectModel": "detect",
    "SegmentationModel": "segment",
    "PoseModel": "pose",
    "OBBModel": "obb",
    "ClassificationModel": "classify",
    "Model": "detect",
}
"""By the model's class; yolov5 and yolov7 had a plain ``Model`` for detection. The head alone does not tell: those of
world models and yoloe detect too, and no program builds them."""

_SIZES = "nsmblxtce"


def next_command(checkpoint: Checkpoint, weights: Any, wts: str) -> str | None:
    """The command that builds an engine from the .wts; what the checkpoint does not say stands in angle brackets.

    None where the weights are of no family with such a program.
    """
    name = checkpoint.class_name(weights) or ""
    if not checkpoint.is_module(weights) or not name.startswith(("ultralytics.", "models.")):
        return None
    program = PROGRAMS.get((generation_of(checkpoint, weights), _TASKS.get(name.rpartition(".")[2], "")))
    if program is None:
        return None
    scale, file_name = _yaml(checkpoint, weights)
    size = scale or _named(file_name)[1]
    for level in ("-p2", "-p6"):
        if size and level in file_name:
            size += level[2:]
    stem = wts[: -len(".wts")] if wts.endswith(".wts") else wts
    return f"./{program} -s {wts} {stem}.engine {size or '<size letter>'}"


def generation_of(checkpoint: Checkpoint, weights: Any) -> str:
    """The generation of a yolo module: "8", "5u" (anchor-free), "5" (its own repository); "" where unknown."""
    number = _named(_yaml(checkpoint, weights)[1])[0]
    if (checkpoint.class_name(weights) or "").startswith("ultralytics."):
        return {"5": "5u", "9": ""}.get(number, number)  # that program reads the names of yolov9's own repository
    return number if number in ("5", "7", "9") else ""


def _yaml(checkpoint: Checkpoint, weights: Any) -> tuple[str, str]:
    """The scale letter, and the base name of the file that the model was built from."""
    attributes = checkpoint.attributes(weights) or {}
    yaml = checkpoint.mapping(attributes.get("yaml")) or {}
    file_name = str(checkpoint.plain(yaml.get("yaml_file")) or "")
    return str(checkpoint.plain(yaml.get("scale")) or ""), file_name.replace("\\", "/").rpartition("/")[2]


def _named(file_name: str) -> tuple[str, str]:
    """The generation and the size letter in a name such as yolov8n-seg.yaml or yolo11.yaml."""
    for rest in file_name.split("yolo")[1:]:
        rest = rest.removeprefix("v")
        number = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        letter, after = rest[len(number) :][:1], rest[len(number) + 1 :][:1]
        if number:
            return number, letter if letter in _SIZES and not (after.isalnum() or after == "_") else ""
    return "", ""
