"""What the C++ side must be told, as far as the checkpoint says it: constants, sizes, strides, anchors, commands.

The constants are those of tensorrtx; which program there is for which model is told by ``families.programs``.
"""

from __future__ import annotations

import os

from ..destination import default_path
from ..errors import Error, shown
from ..families.head import head_of
from ..families.programs import (
    CONFIGS,
    constants_of,
    doubts_about_fused,
    generation_of,
    next_command,
    program_of,
    quoted,
    size_of,
)
from ..families.surgery import recognised
from .brief import number, whole_number
from .facts import Constant, CppSide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..checkpoint.choosing import Chosen
    from ..checkpoint.protocol import Checkpoint
    from ..families.head import Head
    from .facts import Model, Training

_MOST_LEVELS = 16
_WITHOUT_V = {"11", "12", "26"}
"""Generations whose names lost the v."""
_MASKS = 32
_VALUES_A_POINT = 3
"""What the programs are written for."""


def describe_cpp_side(
    checkpoint: Checkpoint, chosen: Chosen, model: Model, training: Training, path: str | None
) -> CppSide:
    """Read what the model's head, its description and the training's options say."""
    value = chosen.value
    head = head_of(checkpoint, value)
    program = program_of(checkpoint, value)
    generation, task, name = program or (generation_of(checkpoint, value) if head is not None else "", "", None)
    surgery = recognised(checkpoint, chosen)
    yaml = model.yaml or {}
    depth, width, channels = _multiples(yaml)
    strides = _numbers(head, "stride")
    anchors, anchors_a_level = _anchors(head, strides)
    keypoints = _naturals(head.numbers("kpt_shape")) if head is not None else None
    masks = whole_number(head.value("nm")) if head is not None else None
    input_size, from_where = _input_size(checkpoint, value, training)
    size = size_of(checkpoint, value) if generation else None
    constants = _constants(generation, task, model, input_size, from_where, keypoints, anchors_a_level)
    fused = doubts_about_fused(checkpoint, value, chosen.state.items)
    notes = [*surgery.notes, *surgery.warnings, *([fused] if fused else [])]
    if masks is not None and program and masks != _MASKS:
        notes.append(f"the programs are written for {_MASKS} mask channels, this model has {masks}: change theirs")
    if keypoints is not None and program and keypoints[1:] != (_VALUES_A_POINT,):
        notes.append(f"the programs are written for {_VALUES_A_POINT} values a keypoint: change theirs")
    return CppSide(
        family=_family(generation),
        program=name,
        recipe=surgery.recipe,
        dialect=surgery.dialect,
        notes=tuple(notes),
        classes=model.classes,
        input_size=input_size,
        size=size,
        depth_multiple=depth,
        width_multiple=width,
        max_channels=channels,
        strides=strides,
        anchors=anchors,
        keypoints=keypoints,
        masks=masks,
        constants=constants,
        commands=_commands(checkpoint, value, path) if path is not None else (),
        unknown=tuple(_unknown(program is not None, model, input_size, size, strides)),
    )


def _family(generation: str) -> str | None:
    if not generation:
        return None
    if generation == "5u":
        return "yolov5u, anchor-free"
    return shown(f"yolo{'' if generation in _WITHOUT_V else 'v'}{generation}", 40)


def _multiples(yaml: dict[str, Any]) -> tuple[float | None, float | None, int | None]:
    """Depth, width and most channels of the model's description, by its scale or for the whole."""
    scales, scale = yaml.get("scales"), yaml.get("scale")
    if isinstance(scales, dict):
        row = scales.get(scale) if isinstance(scale, str) and scale in scales else None
        if row is None and len(scales) == 1:
            row = next(iter(scales.values()))
        if isinstance(row, list) and len(row) == 3:
            return number(row[0]), number(row[1]), whole_number(row[2])
    return number(yaml.get("depth_multiple")), number(yaml.get("width_multiple")), None


def _numbers(head: Head | None, name: str) -> tuple[float, ...] | None:
    found = head.tensor(name) if head is not None else None
    if found is None or len(found.shape) != 1 or not 0 < found.numel <= _MOST_LEVELS:
        return None
    return tuple(head.floats(name)) if head is not None else None


def _anchors(
    head: Head | None, strides: tuple[float, ...] | None
) -> tuple[tuple[tuple[float, ...], ...] | None, int | None]:
    """In pixels, by stride, and how many there are at each."""
    found = head.tensor("anchors") if head is not None and "anchors" in head.buffers else None
    if head is None or found is None or strides is None or len(found.shape) != 3 or found.shape[0] != len(strides):
        return None, None
    if found.shape[2] != 2 or found.shape[1] > _MOST_LEVELS:
        return None, None
    values = head.floats("anchors")
    step = 2 * found.shape[1]
    rows = (values[at : at + step] for at in range(0, len(values), step))
    pixels = tuple(tuple(round(value * stride, 4) for value in row) for row, stride in zip(rows, strides, strict=True))
    return pixels, found.shape[1]


def _naturals(values: tuple[Any, ...] | None) -> tuple[int, ...] | None:
    if values is None or not 0 < len(values) <= _MOST_LEVELS:
        return None
    found = [whole_number(value) for value in values]
    return tuple(value for value in found if value is not None) if None not in found else None


def _input_size(checkpoint: Checkpoint, value: Any, training: Training) -> tuple[tuple[int, int] | None, str]:
    """Height and width that the training's options tell, and where they stood."""
    own = checkpoint.attributes(value).get("args") if checkpoint.is_module(value) else None  # type: ignore[union-attr]
    inner = (checkpoint.mapping(own) or checkpoint.attributes(own) or {}).get("imgsz") if own is not None else None
    for found, where in (
        (_size_of_value((training.arguments or {}).get("imgsz")), "the training's imgsz"),
        (_size_of_value((training.arguments or {}).get("img_size")), "the training's img_size"),
        (_size_of_value(_brief_sizes(checkpoint, inner)), "args.imgsz of the model"),
    ):
        if found is not None:
            return found, where
    return None, ""


def _brief_sizes(checkpoint: Checkpoint, value: Any) -> Any:
    items = checkpoint.sequence(value)
    return [checkpoint.plain(item) for item in items[:4]] if items is not None else checkpoint.plain(value)


def _size_of_value(value: Any) -> tuple[int, int] | None:
    """A side, or height and width; yolov7 keeps the sizes of training and test, of which the first counts."""
    if isinstance(value, list) and 0 < len(value) <= 2:
        sides = [whole_number(side) for side in value]
    else:
        sides = [whole_number(value)]
    first, last = sides[0], sides[-1]
    return (first, last) if first is not None and last is not None and first > 0 and last > 0 else None


def _constants(
    generation: str,
    task: str,
    model: Model,
    input_size: tuple[int, int] | None,
    from_where: str,
    keypoints: tuple[int, ...] | None,
    anchors: int | None,
) -> tuple[Constant, ...]:
    file = CONFIGS.get(generation)
    if file is None or not task:
        return ()
    classes, height, width = constants_of(generation, task)
    result = []
    if model.classes is not None:
        result.append(Constant(classes, model.classes, file, "the head's number of classes"))
    if task == "pose" and keypoints:
        result.append(Constant("kNumberOfPoints", keypoints[0], file, "the head's kpt_shape"))
    if input_size is not None:
        result.append(Constant(height, input_size[0], file, from_where))
        result.append(Constant(width, input_size[1], file, from_where))
    if generation in ("5", "7") and anchors is not None:
        result.append(Constant("kNumAnchor", anchors, file, "the shape of the head's anchors"))
    return tuple(result)


def _commands(checkpoint: Checkpoint, value: Any, path: str) -> tuple[str, ...]:
    if checkpoint.kind == ".wts":
        return ()
    try:
        wts = os.path.basename(default_path(path))
    except Error:
        return ()
    export = f"pywts export {quoted(path)}"
    build = next_command(checkpoint, value, wts)
    return (export, build) if build is not None else (export,)


def _unknown(
    known: bool,
    model: Model,
    input_size: tuple[int, int] | None,
    size: str | None,
    strides: tuple[float, ...] | None,
) -> list[str]:
    """What the C++ side needs and the checkpoint does not say."""
    unknown = []
    if not known:
        unknown.append("the program that builds the engine")
    if model.classes is None:
        unknown.append("the number of classes")
    if input_size is None:
        unknown.append("the input size")
    if known and size is None:
        unknown.append("the size letter")
    if strides is None and model.task not in (None, "classify"):
        unknown.append("the strides")
    return unknown
