"""Which weights of a checkpoint are exported, and why.

The reference scripts take ``ema`` where it is there and true, else ``model``. Other trainers have their own keys, tried
in the order of ``KEYS``. Whatever is not decided by that is an error that lists what there is; nothing is guessed.
"""

from __future__ import annotations

from itertools import islice

from ..errors import NoWeightsError, SelectionError, near, shown
from .state_dict import StateDict, is_state_dict, state_dict_of_mapping, state_dict_of_module
from .uncollected import Uncollected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .protocol import Checkpoint

EMA_TWINS = {
    "ema": "model",
    "params_ema": "params",
    "state_dict_ema": "state_dict",
    "model_ema": "model",
    "ema_model": "model",
}
"""Averaged weights, preferred to their plain twin."""

EMA_KEYS = tuple(EMA_TWINS)

KEYS = ("model", "state_dict", "model_state_dict", "model_state", "params", "net", "network", "generator", "netG")
"""Where trainers put the weights."""

INNER_KEYS = ("module", "state_dict", "model_state_dict", "model")
"""Where the weights lie inside of a wrapper that is itself under one of those keys."""

_TRAINING_STATE = ("optim", "sched", "scaler", "callback", "loop", "metric", "hyper_parameters", "message_hub")
"""Words in the keys of what a trainer keeps for itself; its tensors are moments and counters, never weights."""

_EXTRA_STATE = "_extra_state"
"""How the entry of a state_dict ends that a module fills with what it likes, beside its tensors."""

_LISTED = 64
"""Items of a list that are looked at."""

_LOOKED_AT = 10_000
"""Entries of a mapping that are looked at; no trainer keeps more beside its weights."""

_SAVE = "save the model's state_dict in it, or name another file"

_NESTING = 4
"""How deep candidates are looked for."""


class Chosen:
    """The weights that were taken: where they lie, why these, and their state_dict."""

    def __init__(self, path: str, why: str, value: Any, state: StateDict) -> None:
        self.path = path
        """dotted; "" where the source itself is the weights"""
        self.why = why
        self.value = value
        self.state = state


def choose(checkpoint: Checkpoint, key: str) -> Chosen:
    """Find the weights: by the field's rules (``key="auto"``), or under a dotted path (``"."`` is the root)."""
    with Uncollected():
        return _chosen(checkpoint, key)


def _chosen(checkpoint: Checkpoint, key: str) -> Chosen:
    if key == "auto":
        if checkpoint.unnamed is not None:
            raise SelectionError(checkpoint.unnamed)
        path, value, why = _choose(checkpoint, checkpoint.root)
    else:
        path, value, why = _forced(checkpoint, key)
    if not checkpoint.is_module(value):
        state = state_dict_of_mapping(checkpoint, value)
    elif (own := checkpoint.own_state(value)) is not None:
        state = state_dict_of_mapping(checkpoint, own)
    else:
        state = state_dict_of_module(checkpoint, value)
    return Chosen(path, why, value, state)


def _choose(checkpoint: Checkpoint, root: Any) -> tuple[str, Any, str]:
    if checkpoint.is_module(root):
        return "", root, "the file is a whole module"
    entries = checkpoint.mapping(root)
    if entries is None and checkpoint.sequence(root) is None:
        entries = checkpoint.attributes(root)  # a trainer, a wrapper
    if entries is None:
        return _choose_of_sequence(checkpoint, root)
    named = _named(checkpoint, entries)
    averaged = [key for key in EMA_KEYS if key in named]
    plain = [key for key in KEYS if key in named]
    hidden = _hidden(checkpoint, entries, named)
    if hidden:
        raise _ambiguous(checkpoint, {**hidden, **dict(named[key] for key in (*averaged, *plain))})
    if averaged or "model" in named or len(plain) == 1:
        taken = averaged[0] if averaged else "model" if "model" in named else plain[0]
        path, value = named[taken]
        why = _why_averaged(checkpoint, taken, entries) if averaged else _why_plain(taken, entries, checkpoint)
        return path, value, _with_siblings(checkpoint, entries, taken, path, why)
    if len(plain) > 1:
        raise _ambiguous(checkpoint, dict(named[key] for key in plain))
    if is_state_dict(checkpoint, root):
        others = candidates(checkpoint, entries)
        if others:
            raise _ambiguous(checkpoint, {".": root, **others})
        return "", root, "the file is a bare state_dict"
    others = {} if _is_optimizer(entries) else candidates(checkpoint, entries)
    if len(others) == 1:
        path = next(iter(others))
        return path, others[path], f"{shown(path)} is the only entry that holds weights"
    if others:
        raise _ambiguous(checkpoint, others)
    raise NoWeightsError(_nothing(checkpoint, root))


def _choose_of_sequence(checkpoint: Checkpoint, root: Any) -> tuple[str, Any, str]:
    found = {}
    for index, item in enumerate(checkpoint.sequence(root) or ()):
        inner = _weights_in(checkpoint, item, str(index))
        if inner is not None:
            found[inner[0]] = inner[1]
    if len(found) == 1:
        path = next(iter(found))
        return path, found[path], f"item {path} is the only one that holds weights"
    if found:
        raise _ambiguous(checkpoint, found)
    raise NoWeightsError(_nothing(checkpoint, root))


def _named(checkpoint: Checkpoint, entries: dict[Any, Any]) -> dict[str, tuple[str, Any]]:
    """The well-known keys that hold weights, each with the path and value of what lies there."""
    found = {}
    empty: set[int] = set()  # mappings without weights, which several keys may share
    for key in (*EMA_KEYS, *KEYS):
        if key not in entries or not checkpoint.truthy(entries[key]):
            continue
        nested = checkpoint.mapping(entries[key])
        if nested is not None and id(nested) in empty:
            continue
        inner = _weights_in(checkpoint, entries[key], key)
        if inner is not None:
            found[key] = inner
        elif nested is not None:
            empty.add(id(nested))
    return found


def _weights_in(checkpoint: Checkpoint, value: Any, path: str) -> tuple[str, Any] | None:
    """The weights at a value, or inside of the one wrapper around them: ``(path, value)``."""
    for _ in range(_NESTING):
        if checkpoint.is_module(value):
            return path, value
        entries = checkpoint.mapping(value)
        if entries is not None:
            whole = is_state_dict(checkpoint, value)
            inner = None if whole else next((key for key in (*EMA_KEYS, *INNER_KEYS) if key in entries), None)
            known = () if inner is None else (*EMA_KEYS, *INNER_KEYS)
            below = _below(checkpoint, value, path)
            others = {other: found for other, found in below.items() if other[len(path) + 1 :] not in known}
            if others and (whole or inner is not None):
                taken = {path: value} if whole else {f"{path}.{inner}": entries[inner]}
                raise _ambiguous(checkpoint, {**taken, **others})
            if whole:
                return path, value
            if inner is None:
                return None
            path, value = f"{path}.{inner}", entries[inner]
            continue
        items = checkpoint.sequence(value)
        if items is not None:  # yolov5 up to v4 kept (module, updates)
            modules = [index for index, item in enumerate(items[:8]) if checkpoint.is_module(item)]
            if len(modules) != 1:
                return None
            path, value = f"{path}.{modules[0]}", items[modules[0]]
            continue
        attributes = checkpoint.attributes(value)  # a wrapper object, such as a trainer's ModelEMA
        inner = next((key for key in ("ema", "module", "model") if attributes and key in attributes), None)
        if attributes is None or inner is None:
            return None
        path, value = f"{path}.{inner}", attributes[inner]
    return None


def _hidden(checkpoint: Checkpoint, entries: dict[Any, Any], named: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """What could be weights inside of averaged ones and is not where they are looked for, by path."""
    found: dict[str, Any] = {}
    passed: set[int] = set()
    for key in EMA_KEYS:
        nested = checkpoint.mapping(entries[key]) if key in entries and key not in named else None
        if nested and id(nested) not in passed:
            passed.add(id(nested))
            found.update(candidates(checkpoint, nested, f"{key}.", passed=passed))
    return found


def _below(checkpoint: Checkpoint, value: Any, path: str) -> dict[str, Any]:
    """What could be weights inside of a mapping, by path."""
    entries = checkpoint.mapping(value)
    return candidates(checkpoint, entries, f"{path}.") if entries else {}


def _with_siblings(checkpoint: Checkpoint, entries: dict[Any, Any], taken: str, path: str, why: str) -> str:
    """The reason, with the path where it is not the key, and with the other weights that were passed over."""
    if path != taken:
        why = f"{path}, for {why}"
    beside = {key: value for key, value in entries.items() if key not in (taken, EMA_TWINS.get(taken))}
    others = list(candidates(checkpoint, beside, depth=1))
    if not others:
        return why
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return f"{why}; also there: {', '.join(map(shown, others[:3]))}{more} (--key takes another)"


def candidates(
    checkpoint: Checkpoint,
    entries: dict[Any, Any],
    prefix: str = "",
    depth: int = _NESTING,
    passed: set[int] | None = None,
) -> dict[str, Any]:
    """Everything in a mapping that could be weights, by dotted path; training state is passed over.

    A mapping that is met again, which a file can have it be without end, is not looked through again.
    """
    found: dict[str, Any] = {}
    passed = set() if passed is None else passed
    for key, value in islice(entries.items(), _LOOKED_AT):
        if checkpoint.is_tensor(value) or not isinstance(key, (str, int)):
            continue
        if any(word in str(key).lower() for word in _TRAINING_STATE) or str(key).endswith(_EXTRA_STATE):
            continue
        path = f"{prefix}{key}"
        if checkpoint.is_module(value) or is_state_dict(checkpoint, value):
            found[path] = value
        elif depth > 1:
            nested = checkpoint.mapping(value) or _numbered(checkpoint.sequence(value))
            if nested and id(nested) not in passed and not _is_optimizer(nested):
                passed.add(id(nested))
                found.update(candidates(checkpoint, nested, f"{path}.", depth - 1, passed))
        if len(found) > 64:
            break
    return found


def _numbered(items: list[Any] | None) -> dict[Any, Any]:
    """The first items of a list by their number."""
    return dict(enumerate(items[:_LISTED])) if items else {}


def _is_optimizer(entries: dict[Any, Any]) -> bool:
    return "param_groups" in entries and "state" in entries


def _forced(checkpoint: Checkpoint, key: str) -> tuple[str, Any, str]:
    value = checkpoint.root if key == "." else _at(checkpoint, checkpoint.root, key)
    if value is None:
        raise SelectionError(f"{checkpoint.name}: no {shown(key)!r} in the checkpoint; {_offer(checkpoint, key)}")
    if checkpoint.plain(value) is None:
        raise SelectionError(f"{checkpoint.name}: {shown(key)!r} is None; {_offer(checkpoint, key)}")
    tensors = (checkpoint.mapping(value) or {}).values()
    if checkpoint.is_module(value) or any(checkpoint.is_tensor(entry) for entry in tensors):
        return key, value, "asked for by key"
    inner = _weights_in(checkpoint, value, key)
    if inner is None:
        raise SelectionError(
            f"{checkpoint.name}: {shown(key)!r} holds no weights, it is {checkpoint.describe(value)}; "
            f"{_offer(checkpoint, key)}"
        )
    return inner[0], inner[1], "asked for by key"


def _at(checkpoint: Checkpoint, value: Any, path: str) -> Any:
    """The value at a dotted path; keys may hold dots themselves, so the longest key that fits goes first."""
    entries = checkpoint.mapping(value)
    if entries is None:
        items = checkpoint.sequence(value)
        entries = dict(enumerate(items)) if items is not None else checkpoint.attributes(value) or {}
    by_name = {str(key): entry for key, entry in entries.items() if isinstance(key, (str, int))}
    if path in by_name:
        return by_name[path]
    position = path.rfind(".")
    while position > 0:
        if path[:position] in by_name:
            found = _at(checkpoint, by_name[path[:position]], path[position + 1 :])
            if found is not None:
                return found
        position = path.rfind(".", 0, position)
    return None


def _why_averaged(checkpoint: Checkpoint, key: str, entries: dict[Any, Any]) -> str:
    twin = EMA_TWINS[key]
    if twin in entries and checkpoint.plain(entries[twin]) is None:
        return f"{key}: averaged weights, and the only ones ({twin} is None, as in a checkpoint of a running training)"
    if twin in entries:
        return f"{key}: averaged weights go before {twin}; --key {twin} takes those"
    return f"{key}: averaged weights"


def _why_plain(key: str, entries: dict[Any, Any], checkpoint: Checkpoint) -> str:
    if key == "model" and "ema" in entries:
        empty = not checkpoint.truthy(entries["ema"])
        return "model: the checkpoint has no ema" if empty else "model: ema holds no weights"
    return f"{key} holds the weights"


def _ambiguous(checkpoint: Checkpoint, found: dict[str, Any]) -> SelectionError:
    lines = [f"  --key {shown(path)}  ({_count(checkpoint, value)})" for path, value in islice(found.items(), 20)]
    if len(found) > 20:
        lines.append(f"  and {len(found) - 20} more")
    return SelectionError(f"{checkpoint.name}: holds several sets of weights; say which:\n" + "\n".join(lines))


def _count(checkpoint: Checkpoint, value: Any) -> str:
    if checkpoint.is_module(value):
        return f"module {checkpoint.class_name(value) or ''}".rstrip()
    tensors = sum(checkpoint.is_tensor(entry) for entry in (checkpoint.mapping(value) or {}).values())
    return f"{tensors} tensor{'s' if tensors != 1 else ''}"


def _offer(checkpoint: Checkpoint, wanted: str) -> str:
    root = checkpoint.root
    entries = checkpoint.mapping(root) or _numbered(checkpoint.sequence(root)) or checkpoint.attributes(root) or {}
    found = list(candidates(checkpoint, entries))
    if checkpoint.is_module(checkpoint.root) or is_state_dict(checkpoint, checkpoint.root):
        found.insert(0, ".")
    if not found:
        return "it holds no weights at all"
    names = near(wanted, found) or found[:10]
    return f"weights are under {', '.join(shown(repr(name)) for name in names)}"


def _nothing(checkpoint: Checkpoint, root: Any) -> str:
    entries = checkpoint.mapping(root)
    if entries is not None:
        if _is_optimizer(entries):
            return f"{checkpoint.name}: an optimizer's state, which holds no weights; export the model's checkpoint"
        keys = ", ".join(
            f"{shown(str(key), 40)}{_void(checkpoint, value)}" for key, value in islice(entries.items(), 12)
        )
        what = f"; its keys are: {keys}" if keys else ": it is an empty dict"
        return f"{checkpoint.name}: holds no weights{what}; {_SAVE}"
    if checkpoint.is_tensor(root) or any(map(checkpoint.is_tensor, checkpoint.sequence(root) or ())):
        what = "a single tensor" if checkpoint.is_tensor(root) else "a list of tensors"
        return f"{checkpoint.name}: holds no weights with names: it is {what}; save a dict of them: {{name: tensor}}"
    return f"{checkpoint.name}: holds no weights: it is {checkpoint.describe(root)}; {_SAVE}"


def _void(checkpoint: Checkpoint, value: Any) -> str:
    """What shows why a key that could hold weights holds none."""
    if checkpoint.plain(value) is None:
        return " (None)"
    return " (empty)" if checkpoint.mapping(value) == {} else ""
