"""What ``inspect`` finds, as frozen records. docs/checkpoint.md describes them; ``None`` is always "not known".

The JSON of ``pywts inspect --json`` is these records by their names, under ``SCHEMA_VERSION``.
"""

from __future__ import annotations

from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = "pywts inspection"
SCHEMA_VERSION = 1
"""Raised when a field goes or changes its meaning; fields may be added."""


class ContainedFile(Record):
    """A file of an archive, or a file that the source consists of."""

    name: str
    bytes: int
    """of its content"""
    packed: int
    """bytes in the archive; fewer than ``bytes`` where it is deflated"""
    crc32: str | None
    """8 hex digits; None where none was computed, or the container has none"""


class Damage(Record):
    """A part of a container that is not what its checksum says."""

    entry: str
    """the file of the archive, or the line of a .wts"""
    tensors: tuple[str, ...]
    """whose values lie in it, by their paths in the checkpoint"""
    what: str


class Check(Record):
    """What comparing every checksum found."""

    checked: int
    """entries whose checksum was compared"""
    unchecked: int
    """entries without one"""
    damaged: tuple[Damage, ...]
    summary: str


class Container(Record):
    """The file itself."""

    kind: str
    """in words: "zip archive", "legacy stream", "safetensors", ".wts" ..."""
    path: str | None
    bytes: int | None
    """None for a live object"""
    torch: str | None
    """what the container tells of the torch that wrote it, such as "2.1 or later" """
    protocol: int | None
    """of the pickle"""
    byte_order: str | None
    """"little" or "big" """
    files: tuple[ContainedFile, ...]
    check: Check | None
    """None where it was not asked for"""


class Entry(Record):
    """One entry of the dict that a checkpoint is."""

    name: str
    what: str
    """in words: "a dict of 14", "a tensor", "int" """
    value: Any
    """shortened; None also where the entry is None"""


class Optimizer(Record):
    """The optimizer's state."""

    kind: str | None
    """its class, or what its groups look like"""
    groups: tuple[dict[str, Any], ...]
    """the hyper-parameters of each group; the number of its parameters instead of the parameters"""
    tensors: int
    values: int
    bytes: int


class Training(Record):
    """What the trainer left beside the weights."""

    framework: str | None
    version: str | None
    """of the framework"""
    epoch: int | None
    """counted from 0; -1 in a checkpoint that was stripped"""
    epochs: int | None
    """that were asked for"""
    best_fitness: float | None
    updates: int | None
    """of the averaged weights"""
    date: str | None
    license: str | None
    git: Any
    arguments: dict[str, Any] | None
    """what the training was started with: train_args, opt, args, hyper_parameters"""
    metrics: dict[str, Any] | None
    results: dict[str, Any] | None
    """by name, a list with a value for each epoch"""
    optimizer: Optimizer | None
    scaler: Any
    ema: bool | None
    """whether averaged weights are in the file; None where the file is no trainer's dict"""
    state: str
    """"stripped", "in training", "weights alone", or "unknown" """
    meaning: str
    """what that means, in a sentence"""
    entries: tuple[Entry, ...]
    """of the file's dict, in order; none where it is a module or a mapping of tensors"""


class Statistics(Record):
    """Of one tensor's values as a .wts holds them, in float32."""

    values: int
    minimum: float | None
    """of the finite values, as the next three; None where there are none"""
    maximum: float | None
    mean: float | None
    deviation: float | None
    """the standard deviation, by N"""
    zeros: int
    nans: int
    infinities: int
    subnormals: int
    """of float32: below 2**-126"""
    negatives: int
    """finite values below zero"""
    half_overflow: int
    """finite values that float16 has as infinity (from 65520 on)"""
    half_underflow: int
    """values that float16 has as zero (up to 2**-25)"""
    half_subnormal: int
    """other values below 2**-14, of which float16 keeps fewer digits"""
    histogram: tuple[tuple[int, int, int], ...]
    """(e, negative, positive): how many values have a magnitude from 2**e up to 2**(e+1); e is -127 for subnormals"""
    first: tuple[float, ...]
    """up to 8 values from the beginning, in C order"""
    last: tuple[float, ...]
    """up to 8 values from the end"""


class TensorFacts(Record):
    """One tensor of the weights."""

    name: str
    kind: str
    """"parameter", "buffer", or "tensor" where a state_dict does not tell"""
    dtype: str | None
    shape: tuple[int, ...] | None
    """None where a .wts has no sidecar"""
    values: int | None
    """elements"""
    bytes: int | None
    """that the elements take"""
    storage: str | None
    """where the bytes are: a file of the archive, or the key of the storage"""
    contiguous: bool | None
    tied_to: str | None
    """the first tensor that is the same view of the same storage"""
    trainable: bool | None
    """requires_grad"""
    refused: str | None
    """what it is, where it is nothing that a .wts can hold"""
    statistics: Statistics | None
    problem: str | None
    """why there are no statistics where they were asked for"""


class Module(Record):
    """A module of the tree, or a prefix of the tensors' names."""

    path: str
    """"" for the root"""
    depth: int
    class_name: str | None
    about: str
    """what its attributes tell: "3 -> 16, 3x3, stride 2" """
    tensors: int
    """in it and below"""
    parameters: int | None
    """elements of the parameters; None where a state_dict does not tell them from buffers"""
    values: int
    """elements of all"""
    bytes: int
    same_as: str | None
    """the first path of the very same module"""


class Model(Record):
    """The weights that an export would take."""

    path: str
    """where they lie in the checkpoint; "" for the whole source"""
    why: str
    class_name: str | None
    task: str | None
    yaml: dict[str, Any] | None
    names: dict[str, str] | None
    """of the classes, by their number"""
    classes: int | None
    fused: bool | None
    """whether batch normalizations were folded into the convolutions before them; None where it cannot be told"""
    tensors: int
    parameters: int | None
    """elements of the parameters, tied ones once"""
    buffers: int | None
    """elements of the buffers"""
    trainable: int | None
    """elements of the parameters that require a gradient"""
    values: int
    bytes: int
    dtypes: dict[str, tuple[int, int]]
    """dtype: (tensors, elements)"""
    tied: tuple[tuple[str, ...], ...]
    """names of one and the same tensor"""
    shared: tuple[tuple[str, ...], ...]
    """names of different views of one storage"""
    strided: tuple[str, ...]
    """names of views whose values do not lie one after another"""
    transient: tuple[str, ...]
    """buffers that are no part of the state_dict"""
    modules: tuple[Module, ...]
    """the tree, from the root, in order"""
    warnings: tuple[str, ...]


class Constant(Record):
    """A constant that is compiled into a C++ program and must be the model's."""

    name: str
    value: int
    file: str
    """of tensorrtx"""
    why: str


class CppSide(Record):
    """What the C++ side must be told. What the checkpoint does not say is in ``unknown``."""

    family: str | None
    """"yolo11", "yolov5" ..."""
    program: str | None
    """that builds the engine"""
    recipe: str
    """the surgery that an export applies; "none" """
    dialect: str
    notes: tuple[str, ...]
    classes: int | None
    input_size: tuple[int, int] | None
    """height, width"""
    size: str | None
    """the scale letter"""
    depth_multiple: float | None
    width_multiple: float | None
    max_channels: int | None
    strides: tuple[float, ...] | None
    anchors: tuple[tuple[float, ...], ...] | None
    """in pixels: for each stride widths and heights in turn"""
    keypoints: tuple[int, ...] | None
    """points, values a point"""
    masks: int | None
    """channels of the mask coefficients"""
    constants: tuple[Constant, ...]
    commands: tuple[str, ...]
    """what to run next"""
    unknown: tuple[str, ...]


class Inspection(Record):
    """What a source holds."""

    source: str
    container: Container
    training: Training
    model: Model | None
    """None where no weights were found; ``problems`` says why"""
    tensors: tuple[TensorFacts, ...]
    cpp_side: CppSide | None
    problems: tuple[str, ...]
    """what an export would fail of"""
