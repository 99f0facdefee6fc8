"""The C++ programs that build an engine from a family's .wts, and the command that runs them.

Names and arguments are those of the tensorrtx programs: ``PROGRAM -s MODEL.wts MODEL.engine SIZE``.
"""

from __future__ import annotations

from ..errors import shown
from .head import head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint.protocol import Checkpoint
    from ..tensor import Refused, Tensor

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

CONFIGS = {
    "5": "yolov5/src/config.h",
    "5u": "yolov8/include/config.h",
    "7": "yolov7/include/config.h",
    "8": "yolov8/include/config.h",
    "9": "yolov9/include/config.h",
    "10": "yolov10/include/config.h",
    "11": "yolo11/include/config.h",
    "12": "yolov12/include/config.h",
    "13": "yolov13/include/config.h",
    "26": "yolo26/include/config.h",
}
"""The file of tensorrtx whose constants are compiled into a generation's programs."""

_OWN_OBB_INPUT = {"11", "12", "26"}
"""Generations whose programs have an input size for obb alone."""

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

_MULTIPLES = {(0.33, 0.25): "n", (0.33, 0.5): "s", (0.67, 0.75): "m", (1.0, 1.0): "l", (1.33, 1.25): "x"}
"""yolov5's sizes by depth and width multiple."""

_MOST = 1e6
"""More than any multiple is."""

_SIZES_OF_7 = {"": "v7", "x": "x", "-tiny": "t", "-w6": "w6", "-e6": "e6", "-d6": "d6", "-e6e": "e6e"}
"""By what follows yolov7 in the name of the model's description."""


_LONGEST_SIZE = 40

_LAYERS = {"5": {"Conv", "C3", "SPPF"}}
"""What the backbone of a generation's program is made of, where variants have others (ghost, transformer, v3)."""


def next_command(checkpoint: Checkpoint, weights: Any, wts: str) -> str | None:
    """The command that builds an engine from the .wts; what the checkpoint does not say stands in angle brackets.

    It is quoted for a shell. None where the weights are of no family with such a program.
    """
    found = program_of(checkpoint, weights)
    if found is None:
        return None
    generation, _, program = found
    engine = wts.removesuffix(".wts") + ".engine"
    size = _safe_size(checkpoint, weights, generation) or "<size letter>"
    return f"./{program} -s {quoted(wts)} {quoted(engine)} {size}"


def quoted(path: str) -> str:
    """A path as a shell takes it; with escapes, which no shell takes, where it is not printable."""
    if path.isprintable() and path.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum():
        return path
    if not path.isprintable():
        return shown(path, 400)
    from shlex import quote

    return quote(path)


def program_of(checkpoint: Checkpoint, weights: Any) -> tuple[str, str, str] | None:
    """(generation, task, program) that builds an engine from these weights; None where there is none."""
    name = checkpoint.class_name(weights) or ""
    if not checkpoint.is_module(weights) or not name.startswith(("ultralytics.", "models.")):
        return None
    generation = generation_of(checkpoint, weights)
    task = _TASKS.get(name.rpartition(".")[2], "")
    program = PROGRAMS.get((generation, task))
    if program is None or not _LAYERS.get(generation, set()) >= _layers(checkpoint, weights, generation):
        return None
    return generation, task, program


def doubts_about_fused(checkpoint: Checkpoint, weights: Any, items: list[Tensor | Refused]) -> str | None:
    """A warning where the family's program would look for batch normalizations that were folded away."""
    if not checkpoint.is_module(weights) or any(item.name.endswith(".running_mean") for item in items):
        return None
    found = program_of(checkpoint, weights)
    if found is None or not any(item.name.endswith(".conv.bias") for item in items):  # which only fusing gives a layer
        return None
    return (
        f"the model is fused: its batch normalizations were folded into the convolutions, and {found[2]} looks for "
        "them; export a checkpoint that was saved before fuse() was called"
    )


def constants_of(generation: str, task: str) -> tuple[str, str, str]:
    """What the program calls the number of classes, and the height and width of its input."""
    classes = {"classify": "kClsNumClass", "pose": "kPoseNumClass", "obb": "kObbNumClass"}.get(task, "kNumClass")
    own = {"classify": "Cls", "obb": "Obb" if generation in _OWN_OBB_INPUT else ""}.get(task, "")
    return classes, f"k{own}InputH", f"k{own}InputW"


def size_of(checkpoint: Checkpoint, weights: Any) -> str | None:
    """The size as the generation's program takes it: a letter for most; None where the checkpoint does not say."""
    return _safe_size(checkpoint, weights, generation_of(checkpoint, weights)) or None


def generation_of(checkpoint: Checkpoint, weights: Any) -> str:
    """The generation of a yolo module: "8", "5u" (anchor-free), "5" (its own repository); "" where unknown."""
    number = _named(_description(checkpoint, weights)[1])[0]
    if (checkpoint.class_name(weights) or "").startswith("ultralytics."):
        return {"5": "5u", "9": ""}.get(number, number)  # that program reads the names of yolov9's own repository
    head = head_of(checkpoint, weights)  # a trainer that starts from another checkpoint notes no file
    if head is None:
        return ""
    if head.class_name.rpartition(".")[2] in ("IDetect", "IAuxDetect", "IBin", "IKeypoint"):
        return "7"
    if "dfl" in head.children:
        return "9"
    if "anchors" in head.buffers and head.is_list("anchor_grid"):
        return "5"
    return number if number in ("5", "7") else ""


def _safe_size(checkpoint: Checkpoint, weights: Any, generation: str) -> str:
    """The size, if it is one: what a hostile checkpoint says in its place would stand in a command for a shell."""
    size = _size(checkpoint, weights, generation)
    plain = size.isascii() and size.replace(" ", "").replace(".", "").replace("-", "").isalnum()
    return size if plain and len(size) <= _LONGEST_SIZE else ""


def _size(checkpoint: Checkpoint, weights: Any, generation: str) -> str:
    """The size as the generation's program takes it, if the description can be trusted."""
    yaml, description = _description(checkpoint, weights)
    stem = description.removesuffix(".yaml")
    if generation == "7":
        return _SIZES_OF_7.get(stem.partition("yolov7")[2], "") if "yolov7" in stem else ""
    if generation == "9":
        family, _, letter = stem.partition("-")
        return {"gelan": "g", "yolov9": ""}[family] + letter if family in ("gelan", "yolov9") else ""
    if generation == "5":
        return _size_of_5(checkpoint, weights, yaml)
    size = str(checkpoint.plain(yaml.get("scale")) or "") or _named(description)[1]
    for level in ("-p2", "-p6"):
        if size and level in description:
            size += level[2:]
    return size


def _layers(checkpoint: Checkpoint, weights: Any, generation: str) -> set[str]:
    """The kinds of layers in the description's backbone, where the generation's program is particular about them."""
    if generation not in _LAYERS:
        return set()
    rows = checkpoint.sequence(_description(checkpoint, weights)[0].get("backbone")) or []
    cells = [checkpoint.sequence(row) or [] for row in rows]
    return {str(checkpoint.plain(row[2])) for row in cells if len(row) > 2}


def _size_of_5(checkpoint: Checkpoint, weights: Any, yaml: dict[str, Any]) -> str:
    depth, width = (checkpoint.plain(yaml.get(f"{kind}_multiple")) for kind in ("depth", "width"))
    if not all(isinstance(value, (int, float)) and abs(value) < _MOST for value in (depth, width)):
        return ""
    head = head_of(checkpoint, weights)
    levels = len(checkpoint.sequence(yaml.get("anchors")) or ())
    six = "6" if levels == 4 and head is not None and head.prefix == "model.33." else ""  # p2 has four levels too
    if levels != 3 and not six:
        return ""
    letter = _MULTIPLES.get((float(depth), float(width)))
    return f"{letter}{six}" if letter else f"c{six} {depth:g} {width:g}"


def _description(checkpoint: Checkpoint, weights: Any) -> tuple[dict[str, Any], str]:
    """The dict that the model was built from, and the base name of its file."""
    attributes = checkpoint.attributes(weights) or {}
    yaml = checkpoint.mapping(attributes.get("yaml")) or {}
    named = checkpoint.plain(yaml.get("yaml_file")) or checkpoint.plain(attributes.get("yaml_file"))
    return yaml, str(named or "").replace("\\", "/").rpartition("/")[2]


def _named(description: str) -> tuple[str, str]:
    """The generation and the size letter in a name such as yolov8n-seg.yaml or yolo11.yaml."""
    for rest in description.split("yolo")[1:]:
        rest = rest.removeprefix("v")
        number = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        letter, after = rest[len(number) :][:1], rest[len(number) + 1 :][:1]
        if number:
            return number, letter if letter in _SIZES and not (after.isalnum() or after == "_") else ""
    return "", ""
