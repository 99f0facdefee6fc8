"""What trainers leave beside the weights: how far the training was, with what options, and what of it is there."""

from __future__ import annotations

from itertools import islice

from .._core import CoreError
from ..checkpoint.choosing import EMA_KEYS
from ..errors import Error
from ..tensor import ITEM_SIZES, Tensor
from .brief import brief, briefs, number, options, scalar, text_of, whole_number
from .facts import Entry, Optimizer, Training

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..checkpoint.choosing import Chosen
    from ..checkpoint.protocol import Checkpoint

_ARGUMENTS = ("train_args", "opt", "args", "hyper_parameters", "hparams", "cfg", "config")
_OPTIMIZERS = ("optimizer", "optimizer_state_dict", "optimizer_state", "optim", "optimizers", "optimizer_states")
_SCALERS = ("scaler", "amp_scaler", "grad_scaler", "native_amp_scaling")
_RESULTS = ("train_results", "training_results")
_MOST_ENTRIES = 500
_MOST_STATES = 400_000
"""Entries of an optimizer's state that are looked at."""

_SHAPES_OF_GROUPS = (
    ({"betas", "amsgrad"}, "Adam or AdamW"),
    ({"dampening", "nesterov", "momentum"}, "SGD"),
    ({"alpha", "centered"}, "RMSprop"),
    ({"lr_decay", "initial_accumulator_value"}, "Adagrad"),
    ({"lambd", "alpha", "t0"}, "ASGD"),
    ({"betas", "momentum_decay"}, "NAdam"),
    ({"rho", "eps"}, "Adadelta"),
)
"""Names of hyper-parameters that only these optimizers of torch have together; the last that fits."""


def describe_training(checkpoint: Checkpoint, chosen: Chosen | None) -> Training:
    """Read the dict that a checkpoint is; of anything else nothing is known."""
    try:
        found = None if checkpoint.is_module(checkpoint.root) else checkpoint.mapping(checkpoint.root)
    except Error:
        found = None
    entries = {key: value for key, value in (found or {}).items() if isinstance(key, str)}
    bare = found is None or (chosen is not None and chosen.value is checkpoint.root)
    told = _Told(checkpoint, {} if bare else entries)
    arguments = told.first_options(_ARGUMENTS)
    optimizer = told.optimizer()
    epoch = whole_number(told.plain("epoch"))
    ema = None if bare else any(_is_there(checkpoint, entries.get(key)) for key in EMA_KEYS)
    state, meaning = _state(told, bare, epoch, optimizer, ema, chosen)
    results = next((value for key in _RESULTS if (value := options(told.brief(key)))), None)
    framework, version = _framework(told)
    epochs = whole_number((arguments or {}).get("epochs"))
    return Training(
        framework=framework,
        version=version,
        epoch=epoch,
        epochs=epochs if epochs is not None else whole_number((arguments or {}).get("max_epochs")),
        best_fitness=told.single("best_fitness"),
        updates=whole_number(told.plain("updates")),
        date=text_of(told.brief("date")) or None,
        license=text_of(told.brief("license")) or None,
        git=told.brief("git"),
        arguments=arguments,
        metrics=options(told.brief("train_metrics")),
        results=results,
        optimizer=optimizer,
        scaler=next((value for key in _SCALERS if (value := told.brief(key)) is not None), None),
        ema=ema,
        state=state,
        meaning=meaning,
        entries=() if bare else told.entries(),
    )


class _Told:
    """The entries of a checkpoint's dict, each made brief once."""

    def __init__(self, checkpoint: Checkpoint, entries: dict[str, Any]) -> None:
        self.checkpoint = checkpoint
        self.raw = entries
        self._briefs: dict[str, Any] = {}

    def brief(self, key: str) -> Any:
        if key not in self._briefs:
            self._briefs[key] = brief(self.checkpoint, self.raw[key]) if key in self.raw else None
        return self._briefs[key]

    def plain(self, key: str) -> Any:
        value = self.brief(key)
        return value if isinstance(value, (str, int, float, bool)) else None

    def single(self, key: str) -> float | None:
        """A number, which some trainers keep as an array of one."""
        try:
            found = self.checkpoint.tensor(self.raw.get(key), key)
            if isinstance(found, Tensor) and found.numel == 1:
                return number(scalar(found))
        except (Error, CoreError):
            return None
        return number(self.plain(key))

    def first_options(self, keys: tuple[str, ...]) -> dict[str, Any] | None:
        return next((value for key in keys if (value := options(self.brief(key)))), None)

    def entries(self) -> tuple[Entry, ...]:
        """Every entry in a line; of weights and states only what they are."""
        result = []
        for key, held in islice(self.raw.items(), _MOST_ENTRIES):
            what = _what(self.checkpoint, held)
            value = self.plain(key) if what in ("bool", "int", "float", "str") else None
            result.append(Entry(key, what, value))
        return tuple(result)

    def optimizer(self) -> Optimizer | None:
        for key in _OPTIMIZERS:
            if key in self.raw:
                found = _optimizer(self.checkpoint, self.raw[key])
                if found is not None:
                    return found
        return None


def _what(checkpoint: Checkpoint, value: Any) -> str:
    try:
        plain = checkpoint.plain(value)
        if checkpoint.is_module(plain):
            return f"a module, {checkpoint.class_name(plain)}"
        if checkpoint.is_tensor(plain):
            return "a tensor"
        entries = checkpoint.mapping(plain)
        if entries is not None:
            return f"a dict of {len(entries):,}"
        items = checkpoint.sequence(plain)
        if items is not None:
            return f"a list of {len(items):,}"
        if plain is None or isinstance(plain, (bool, int, float, str)):
            return type(plain).__name__ if plain is not None else "None"
        return checkpoint.describe(plain)
    except Error as error:
        return f"cannot be read: {error}"


def _is_there(checkpoint: Checkpoint, value: Any) -> bool:
    return value is not None and checkpoint.plain(value) is not None and checkpoint.truthy(value)


def _framework(told: _Told) -> tuple[str | None, str | None]:
    version = text_of(told.plain("version")) or None
    if "train_args" in told.raw or "ultralytics" in str(told.plain("docs") or told.plain("license") or ""):
        return "ultralytics", version
    lightning = text_of(told.plain("pytorch-lightning_version"))
    if lightning is not None:
        return "PyTorch Lightning", lightning
    meta = options(told.brief("meta"))
    for name in ("mmengine", "mmcv", "mmdet", "mmaction"):
        if meta and (found := meta.get(f"{name}_version")) is not None:
            return name, text_of(found)
    if {"training_results", "wandb_id"} & told.raw.keys() or {"model", "best_fitness"} <= told.raw.keys():
        return "yolov5 or its kin", version
    return None, version


def _state(
    told: _Told, bare: bool, epoch: int | None, optimizer: Optimizer | None, ema: bool | None, chosen: Chosen | None
) -> tuple[str, str]:
    """Stripped or in training, and what that means; only what the entries say together."""
    if bare and chosen is not None:
        return "weights alone", "The file holds weights and nothing of their training."
    keys = [key for key in _OPTIMIZERS if key in told.raw]
    taken = f" An export takes the averaged weights, {chosen.path}." if chosen and ema else ""
    if optimizer is not None:
        when = f", after epoch {epoch}" if epoch is not None and epoch >= 0 else ""
        return (
            "in training",
            f"Written while the training ran{when}, with the optimizer's state: the training can be resumed from it."
            + taken,
        )
    if epoch == -1 and keys:
        return (
            "stripped",
            "The trainer took out the optimizer and the second set of weights when it was done: good for use and for "
            "a fresh training, no training can be resumed from it.",
        )
    if keys or epoch is not None:
        return (
            "unknown",
            "It has a trainer's entries and no optimizer's state: no training can be resumed from it." + taken,
        )
    if chosen is None:
        return "unknown", "No weights were taken, and there is nothing of a training."
    return "weights alone", "The file holds weights and next to nothing of their training." + taken


def _optimizer(checkpoint: Checkpoint, value: Any) -> Optimizer | None:
    """An optimizer's state_dict, the first of a list of them, or an optimizer object."""
    try:
        for _ in range(2):
            items = checkpoint.sequence(value)
            if items:
                value = items[0]
        held = checkpoint.mapping(value)
        kind = None
        if held is None:
            held = checkpoint.attributes(value)
            kind = checkpoint.class_name(value)
        if not held or "param_groups" not in held:
            return None
        short = briefs(checkpoint)
        groups = tuple(
            _group(checkpoint, group, short) for group in (checkpoint.sequence(held["param_groups"]) or [])[:64]
        )
        tensors, values, size = _state_size(checkpoint, held.get("state"))
    except Error:
        return None
    if kind is None and groups:
        kind = next((name for marks, name in reversed(_SHAPES_OF_GROUPS) if marks <= groups[0].keys()), None)
    return Optimizer(kind, groups, tensors, values, size)


def _group(checkpoint: Checkpoint, group: Any, short: Callable[[Any], Any]) -> dict[str, Any]:
    entries = checkpoint.mapping(group) or {}
    result = {str(key): short(value) for key, value in islice(entries.items(), 64) if key != "params"}
    result["params"] = len(checkpoint.sequence(entries.get("params")) or ())
    return result


def _state_size(checkpoint: Checkpoint, state: Any) -> tuple[int, int, int]:
    """Tensors, elements and bytes of what an optimizer keeps for each parameter."""
    looked = tensors = values = size = 0
    for moments in (checkpoint.mapping(state) or {}).values():
        entries = checkpoint.mapping(moments) or {}
        looked += 1 + len(entries)  # all of them may be one and the same
        if looked > _MOST_STATES:
            break
        for moment in entries.values():
            if not checkpoint.is_tensor(moment):
                continue
            found = checkpoint.tensor(moment, "")
            if isinstance(found, Tensor):
                tensors += 1
                values += found.numel
                size += found.numel * ITEM_SIZES[found.dtype]
    return tensors, values, size
