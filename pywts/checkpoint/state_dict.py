"""The state_dict of a module, walked over its attributes: ``torch.nn.Module.state_dict`` without the class.

Per module: the parameters that are not None, in order; the buffers that are not None and persistent; then the children
under ``name.`` (``torch/nn/modules/module.py``, ``_save_to_state_dict`` and ``state_dict``).
"""

from __future__ import annotations

from ..errors import CheckpointError, Error, LimitError, SelectionError, shown
from ..tensor import Refused, Tensor
from .allowlist import PACKED_MODULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .protocol import Checkpoint

    Parts = tuple[list[tuple[str, Any]], list[tuple[str, Any]], bool, int]
    """a module's own tensors, its children, whether it has hooks, and how many entries of its tables were looked at"""

TABLES = ("_parameters", "_buffers", "_modules")
"""The attributes that make an object's record a module's."""

_CYCLE = 64
"""The depth at which a module is looked for among its ancestors; a cycle comes to it in time."""

_HOOKS = ("_state_dict_hooks", "_state_dict_pre_hooks")


class StateDict:
    """Named tensors in the order of their state_dict, and what a reader should know about them."""

    def __init__(self, items: list[Tensor | Refused], warnings: list[str]) -> None:
        self.items = items
        self.warnings = warnings


MOMENTS = frozenset(
    (
        "step",
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "momentum_buffer",
        "square_avg",
        "grad_avg",
        "acc_delta",
        "exp_inf",
    )
)
"""What torch's optimizers keep for each parameter."""


_GENERATOR, _GENERATOR_OF_CUDA = (5056,), (16,)
"""Shapes of the states of torch's random number generators, which are bytes. Those of CUDA are too small to tell."""

_GENERATOR_NAMES = ("cpu", "cuda", "rng", "random", "seed", "generator")
"""What is found in the names under which such states are kept."""


def is_state_dict(checkpoint: Checkpoint, value: Any) -> bool:
    """Whether a value is a mapping of named tensors that could be weights: not an optimizer's moments, not the states
    of random number generators, and not only scalars beside other things, as losses and metrics are.
    """
    entries = checkpoint.mapping(value)
    if entries is None:
        return False
    scalars = others = 0
    moments = True
    for name, entry in entries.items():
        if not checkpoint.is_tensor(entry):
            others += 1
        elif name in MOMENTS:
            scalars += 1
        else:
            found = _described(checkpoint, entry)
            state = found is not None and _is_generator_state(found, str(name).lower())
            if found is None or (found.shape and not state):
                return True
            scalars += 1
            moments = moments and state
    return scalars > 0 and others == 0 and not moments


def _is_generator_state(found: Tensor, name: str) -> bool:
    if found.dtype != "uint8":
        return False
    return found.shape == _GENERATOR or (
        found.shape == _GENERATOR_OF_CUDA and any(part in name for part in _GENERATOR_NAMES)
    )


def _described(checkpoint: Checkpoint, entry: Any) -> Tensor | None:
    try:
        found = checkpoint.tensor(entry, "")
    except Error:
        return None  # whoever takes it will be told
    return found if isinstance(found, Tensor) else None


def state_dict_of_module(checkpoint: Checkpoint, module: Any) -> StateDict:
    """The state_dict of a module that is known by its attributes alone."""
    names: list[str] = []
    values: list[Any] = []
    limits = checkpoint.limits
    # Children wait on a stack, so that deep nesting costs no recursion; the path to each is kept to find cycles.
    waiting: list[tuple[Any, str, tuple[Any, ...]]] = [(module, "", ())]
    hooked: list[str] = []
    known: dict[Any, Parts] = {}  # a module may be shared by many
    visits = 0
    looked_at = 0
    while waiting:
        current, prefix, path = waiting.pop()
        visits += 1
        if visits + len(names) + len(waiting) > limits.tensors:  # a module that is shared brings its children anew
            raise LimitError(f"{checkpoint.name}: more than {limits.tensors} modules and tensors in one state_dict")
        if len(path) > limits.depth:
            raise LimitError(f"{checkpoint.name}: modules nest deeper than the limit of {limits.depth}")
        if len(prefix) > limits.name_length:
            raise LimitError(f"{checkpoint.name}: names longer than the limit of {limits.name_length}: {shown(prefix)}")
        if len(path) == _CYCLE and any(checkpoint.same(current, ancestor) for ancestor in path):
            raise CheckpointError(f"{checkpoint.name}: module {shown(prefix)} contains itself")
        parts = known.get(current)
        if parts is None:
            parts = known[current] = checkpoint.usual_parts(current) or _parts(checkpoint, current, prefix)
            looked_at += parts[3]
            if looked_at > limits.nodes:  # a table that is shared, and full of None, would be looked at without end
                raise LimitError(f"{checkpoint.name}: more than {limits.nodes} entries in the tables of its modules")
            if not (parts[0] or parts[1]):
                _not_packed(checkpoint, current, prefix)
        tensors, children, has_hooks, _ = parts
        for name, value in tensors:
            names.append(prefix + name)
            values.append(value)
        if has_hooks:
            hooked.append(prefix.rstrip(".") or "the module itself")
        below = (*path, current)
        waiting.extend([(child, f"{prefix}{name}.", below) for name, child in reversed(children)])
    result = StateDict([], [])
    for name, value, found in zip(names, values, _tensors(checkpoint, names, values), strict=True):
        if found is not None:
            result.items.append(found)
        elif checkpoint.plain(value) is not None:
            what = checkpoint.describe(value)
            raise SelectionError(f"{checkpoint.name}: {shown(name)} should be a tensor and is {what}")
    if hooked:
        result.warnings.append(
            f"{shown(hooked[0])} has state_dict hooks, which only its class can run: names or values may differ from "
            "what the training program would save; --trust goes through its class"
        )
    return result


def _parts(checkpoint: Checkpoint, module: Any, prefix: str) -> Parts:
    """What ``usual_parts`` tells, of a module in whatever form, or what is wrong with it."""
    found = checkpoint.attributes(module)
    if found is None or not all(table in found for table in TABLES):
        _not_packed(checkpoint, module, prefix)
        raise CheckpointError(f"{checkpoint.name}: {shown(prefix) or 'the root'} is no module")
    parameters, buffers, children = (_table(checkpoint, found[table], prefix, table) for table in TABLES)
    transient = {checkpoint.plain(name) for name in checkpoint.sequence(found.get("_non_persistent_buffers_set")) or ()}
    tensors = [*parameters.items(), *((name, value) for name, value in buffers.items() if name not in transient)]
    modules = [(name, child) for name, child in children.items() if checkpoint.plain(child) is not None]
    looked_at = len(parameters) + len(buffers) + len(children)
    return tensors, modules, any(checkpoint.mapping(found.get(hook)) for hook in _HOOKS), looked_at


def _not_packed(checkpoint: Checkpoint, module: Any, prefix: str) -> None:
    """Whether what seems to have no tensors has none: a quantized layer's are in no table, and would go unsaid."""
    name = checkpoint.class_name(module) or ""
    if name.startswith(PACKED_MODULES):
        raise SelectionError(
            f"{checkpoint.name}: {shown(prefix.rstrip('.')) or 'the root'} is a quantized layer ({shown(name)}), whose "
            "weights only torch can unpack; export the model from before it was quantized"
        )


def state_dict_of_mapping(checkpoint: Checkpoint, value: Any) -> StateDict:
    """A state_dict that was saved as such. What is no tensor is left out, and said."""
    entries = checkpoint.mapping(value) or {}
    if len(entries) > checkpoint.limits.tensors:
        raise LimitError(f"{checkpoint.name}: more than {checkpoint.limits.tensors} tensors in one state_dict")
    skipped = []
    if not set(map(type, entries)) <= {str, int}:
        skipped = [f"an entry under {checkpoint.describe(key)}" for key in entries if not isinstance(key, (str, int))]
        entries = {key: entry for key, entry in entries.items() if isinstance(key, (str, int))}
    names, values = list(map(str, entries)), list(entries.values())
    items = _tensors(checkpoint, names, values)
    if not all(items):
        items = [
            _packed(checkpoint, name, value) if found is None else found
            for name, value, found in zip(names, values, items, strict=True)
        ]
    if not all(items):
        skipped += [
            f"{shown(name, 60)} ({checkpoint.describe(entry)})"
            for name, entry, found in zip(names, values, items, strict=True)
            if found is None
        ]
    result = StateDict([found for found in items if found is not None], [])
    if skipped:
        more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        result.warnings.append(f"left out what is no tensor: {', '.join(skipped[:5])}{more}")
    return result


def _packed(checkpoint: Checkpoint, name: str, value: Any) -> Refused | None:
    """A refusal of what a quantized layer puts in its state_dict in the place of its weights."""
    if not name.endswith("._packed_params") or checkpoint.sequence(value) is None:
        return None
    what = "the weights of a quantized layer, which only torch can unpack"
    return Refused(name, what, "export the model from before it was quantized")


def _table(checkpoint: Checkpoint, value: Any, prefix: str, table: str) -> dict[str, Any]:
    entries = checkpoint.mapping(value)
    if entries is None:
        raise CheckpointError(f"{checkpoint.name}: {table} of module {shown(prefix) or '(root)'} is no mapping")
    for name in entries:
        if not isinstance(name, str):
            raise CheckpointError(
                f"{checkpoint.name}: {table} of module {shown(prefix) or '(root)'} has a key that is no text"
            )
    return entries


def _tensors(checkpoint: Checkpoint, names: list[str], values: list[Any]) -> list[Tensor | Refused | None]:
    """``checkpoint.tensor`` of each, in their order; those in their usual form many at once."""
    found: list[Tensor | Refused | None] = []
    while (first := len(found)) < len(values):
        found += checkpoint.usual_tensors(names, values, first) or [checkpoint.tensor(values[first], names[first])]
    return found
