"""``inspect``: what a source holds, without loading it."""

from __future__ import annotations

import os

from ..checkpoint.choosing import choose
from ..checkpoint.uncollected import Uncollected
from ..destination import looks_like_wts
from ..errors import CheckpointError, Error, LimitError, SelectionError, near, shown
from ..exporting import open_source, path_of
from ..layout import check_expansion
from ..limits import DEFAULT_LIMITS, Limits
from ..tensor import Tensor
from .container import describe_container
from .cpp_side import describe_cpp_side
from .facts import Inspection, Model, TensorFacts
from .model import describe_model
from .training import describe_training

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..checkpoint.choosing import Chosen
    from ..checkpoint.protocol import Checkpoint

_HEAD = 1 << 12


def inspect(
    source: Any,
    *,
    key: str = "auto",
    check: bool = False,
    statistics: bool | Iterable[str] = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Inspection:
    """What a source holds: container, training, model, tensors, and what the C++ side must be told.

    source: the path of a checkpoint of any kind or of a .wts (never imported from, never run), or a live object as
        ``export`` takes it.
    key: the dotted path of the weights, as for ``export``.
    check: compare every checksum that the container has, which reads all of it; torch itself does not.
    statistics: look at every value, or at those of the tensors of these names: ``tensors[n].statistics``.
    limits: what the source may ask for.

    Weights that an export would refuse are no error here: ``problems`` says why, and what can be told is.
    Raises ``pywts.Error`` where the source cannot be read at all: CheckpointError, WtsError; SelectionError where
    there is nothing under ``key``, or no tensor of a name.
    """
    with Uncollected():
        return _inspect(source, key, check, statistics, limits)


def _inspect(source: Any, key: str, check: bool, statistics: bool | Iterable[str], limits: Limits) -> Inspection:
    path = path_of(source)
    checkpoint = _opened(source, path, limits)
    try:
        found, chosen = _inspected(checkpoint, path, key)
        if check:
            from .checking import check_container

            found = found.replace(container=found.container.replace(check=check_container(checkpoint, found.container)))
        names = None if isinstance(statistics, bool) else _existing(found, statistics)
        if statistics is not False and chosen is not None:
            found = _with_statistics(found, checkpoint, chosen, names)
        return found
    finally:
        checkpoint.close()


def _with_statistics(
    found: Inspection, checkpoint: Checkpoint, chosen: Chosen, names: frozenset[str] | None
) -> Inspection:
    """With the figures of all tensors, or of some; a problem where views make too much of the bytes that are there."""
    from .statistics import with_statistics

    items = chosen.state.items
    if checkpoint.inert:
        wanted = [item for item in items if isinstance(item, Tensor) and (names is None or item.name in names)]
        try:
            check_expansion(checkpoint.name, wanted, checkpoint.limits)
        except LimitError as error:
            return found.replace(problems=(*found.problems, str(error)))
    return found.replace(tensors=with_statistics(checkpoint.name, items, found.tensors, names))


def _existing(found: Inspection, names: Iterable[str]) -> frozenset[str]:
    """The names, all of which must be there."""
    wanted = (names,) if isinstance(names, str) else tuple(names)
    there = {tensor.name: None for tensor in found.tensors}
    for name in wanted:
        if name not in there:
            if found.model is None and found.problems:
                raise SelectionError(found.problems[0])
            close = ", ".join(map(shown, near(name, list(there))))
            raise SelectionError(
                f"{found.source}: has no tensor {shown(name)}" + (f"; there is {close}" if close else "")
            )
    return frozenset(wanted)


def _opened(source: Any, path: str | None, limits: Limits) -> Checkpoint:
    if path is not None and _is_wts(path):
        from ..reading import WtsFile

        return WtsFile(path).as_checkpoint(limits)
    return open_source(source, limits)


def _is_wts(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return looks_like_wts(file.read(_HEAD))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be opened: {error.strerror}") from None


def _inspected(checkpoint: Checkpoint, path: str | None, key: str) -> tuple[Inspection, Chosen | None]:
    problems = []
    chosen = model = cpp_side = None
    tensors: tuple[TensorFacts, ...] = ()
    try:
        chosen = choose(checkpoint, "." if checkpoint.kind == ".wts" and key == "auto" else key)
        chosen.why = "every line of the file" if checkpoint.kind == ".wts" else chosen.why
        model, tensors = describe_model(checkpoint, chosen, _shapeless(checkpoint, chosen))
    except SelectionError as error:
        if key != "auto":
            raise  # what was asked for is not there
        problems.append(str(error))
    except Error as error:
        problems.append(str(error))
    training = describe_training(checkpoint, chosen)
    if chosen is not None and model is not None:
        if not tensors:
            problems.append(
                f"{checkpoint.name}: has no tensor under the weights, and readers take a .wts without one for broken"
            )
        problems += [_refusal(tensor) for tensor in tensors if tensor.refused is not None][:20]
        try:
            cpp_side = describe_cpp_side(checkpoint, chosen, model, training, path)
        except Error as error:
            problems.append(str(error))
    found = Inspection(
        source=checkpoint.name,
        container=describe_container(checkpoint, path),
        training=training,
        model=_named(model, training),
        tensors=tensors,
        cpp_side=cpp_side,
        problems=tuple(problems),
    )
    return found, chosen


def _shapeless(checkpoint: Checkpoint, chosen: Chosen) -> frozenset[str]:
    """The tensors of a .wts whose shapes no sidecar keeps."""
    if checkpoint.kind != ".wts":
        return frozenset()
    from ..reading import WtsStorage

    return frozenset(
        item.name
        for item in chosen.state.items
        if isinstance(item, Tensor) and isinstance(item.storage, WtsStorage) and item.storage.wts.sidecar is None
    )


def _refusal(tensor: TensorFacts) -> str:
    return f"{tensor.name} is {tensor.refused}: a .wts cannot hold it"


def _named(model: Model | None, training: Any) -> Model | None:
    """The model's task by the training's options, where its head tells none."""
    task = (training.arguments or {}).get("task")
    if model is None or model.task is not None or not isinstance(task, str):
        return model
    return model.replace(task=task)
