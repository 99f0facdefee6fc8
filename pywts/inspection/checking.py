"""Every checksum of a container, compared: torch does not look at them, so a flipped bit passes unseen there."""

from __future__ import annotations

import os

from .. import _core
from ..checkpoint.archive import Archive
from ..checkpoint.files import SourceFile
from ..errors import CheckpointError, Error, WtsError, shown
from ..tensor import Tensor
from ..writing import in_words
from .container import ZIPPED
from .facts import Check, Damage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..checkpoint.protocol import Checkpoint
    from .facts import Container

_MOST_VALUES = 1_000_000
"""Values of a checkpoint that are looked through for the tensors of a damaged storage."""


def check_container(checkpoint: Checkpoint, container: Container) -> Check:
    """Read all of a source and compare what checksums it has."""
    path = container.path
    if path is None:
        return Check(0, 0, (), "a live object has no checksums")
    if checkpoint.kind == ".wts":
        return _check_wts(checkpoint)
    if checkpoint.kind.startswith("model in "):
        return _check_shards(checkpoint, container)
    if checkpoint.kind not in ZIPPED:
        return Check(0, 1, (), f"a {checkpoint.kind} has no checksums: only its structure was checked")
    checked, unchecked, damaged = _check_archive(checkpoint, path)
    return Check(checked, unchecked, damaged, _summary(checked, unchecked, damaged))


def _summary(checked: int, unchecked: int, damaged: tuple[Damage, ...]) -> str:
    found = f"{len(damaged):,} of {checked:,} files do not match their CRC-32" if damaged else ""
    found = found or f"all {checked:,} files match their CRC-32"
    return found + (f"; {unchecked:,} have none" if unchecked else "")


def _check_archive(checkpoint: Checkpoint, path: str) -> tuple[int, int, tuple[Damage, ...]]:
    checked = unchecked = 0
    wrong: dict[str, str] = {}
    with SourceFile(path) as file:
        archive = Archive(file, checkpoint.limits)
        for name in archive.names():
            entry = archive.find(name)
            if entry is None or (entry.crc == 0 and entry.size > 0):
                unchecked += 1  # torch was told to compute none
                continue
            checked += 1
            try:
                archive.check(entry)
            except CheckpointError as error:
                wrong[name] = str(error).removeprefix(f"{file.name}: ")
    inside = _tensors_of(checkpoint, {_key(name) for name in wrong}) if wrong else {}
    damaged = tuple(Damage(name, tuple(inside.get(_key(name), ())), what) for name, what in wrong.items())
    return checked, unchecked, damaged


def _key(name: str) -> str:
    """The key of the storage that a file of an archive is: the last part of its name, without NumPy's suffix."""
    return name.rpartition("/")[2].removesuffix(".npy")


def _tensors_of(checkpoint: Checkpoint, keys: set[str]) -> dict[str, list[str]]:
    """The paths of the tensors in storages of these keys, wherever in the checkpoint they are."""
    result: dict[str, list[str]] = {}
    for path, tensor in _all_tensors(checkpoint):
        label = tensor.storage.label
        key = label if label in keys else _key(label)
        if key in keys:
            result.setdefault(key, []).append(path)
    return result


def _all_tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in a checkpoint with the path to it, each record once."""
    waiting: list[tuple[Any, str]] = [(checkpoint.root, "")]
    passed: set[Any] = set()
    left = _MOST_VALUES
    while waiting and left > 0:
        value, path = waiting.pop()
        left -= 1
        try:
            found = checkpoint.tensor(value, path)
            if isinstance(found, Tensor):
                yield path, found
            if found is not None:
                continue
            inner = _inside(checkpoint, value, passed)
        except Error:
            continue
        waiting += [(child, f"{path}.{name}" if path else name) for name, child in reversed(inner)]


_TABLES = ("_parameters", "_buffers", "_modules")


def _inside(checkpoint: Checkpoint, value: Any, passed: set[Any]) -> list[tuple[str, Any]]:
    """What a record holds, by name; nothing where it was looked into before."""
    plain = checkpoint.plain(value)
    if plain is None or isinstance(plain, (str, bytes, int, float)):
        return []
    mark = plain if isinstance(plain, _core.Node) else id(plain)
    if mark in passed:
        return []
    passed.add(mark)
    if checkpoint.is_module(plain):
        tables = checkpoint.attributes(plain) or {}
        held = [item for table in _TABLES for item in (checkpoint.mapping(tables.get(table)) or {}).items()]
        others = [(name, child) for name, child in tables.items() if name not in _TABLES]
        return [(str(name), child) for name, child in (*held, *others)]
    entries = checkpoint.mapping(plain)
    items = checkpoint.sequence(plain) if entries is None else None
    if entries is None and items is not None:
        entries = dict(enumerate(items))
    if entries is None:
        entries = checkpoint.attributes(plain) or {}
    return [(str(name), child) for name, child in entries.items() if isinstance(name, (str, int))]


def _check_wts(checkpoint: Checkpoint) -> Check:
    """Every digit is read; the values are compared with the sidecar's checksums, where there is one."""
    from ..comparing import verify
    from ..reading import reading, values_of
    from ..sidecar import sidecar_path

    path = checkpoint.name
    tensors = [tensor for tensor in checkpoint.root.values() if isinstance(tensor, Tensor)]
    wrong = []
    try:
        if os.path.exists(sidecar_path(path)):
            found = verify(path)
            if found.first is not None:
                wrong.append(
                    Damage(found.first.tensor, (found.first.tensor,), "its values are not those of the sidecar")
                )
        else:
            for tensor in tensors:
                reading(_core.checksums, [values_of(tensor)])
    except WtsError as error:
        wrong.append(Damage(shown(error.tensor), (error.tensor,) if error.tensor else (), str(error)))
    except _core.CoreError as error:
        raise in_words(path, None, error) from None
    with_sidecar = os.path.exists(sidecar_path(path))
    against = "their checksums in the sidecar" if with_sidecar else "no sidecar: only their digits were checked"
    summary = f"{len(tensors):,} lines, {'compared with ' if with_sidecar else ''}{against}"
    checked, unchecked = (len(tensors), 0) if with_sidecar else (0, len(tensors))
    return Check(checked, unchecked, tuple(wrong), f"damaged: {summary}" if wrong else summary)


def _check_shards(checkpoint: Checkpoint, container: Container) -> Check:
    from ..checkpoint.opening import open_checkpoint
    from .container import describe_container

    checked = unchecked = 0
    damaged: list[Damage] = []
    folder = os.path.dirname(container.path or "")
    for file in container.files:
        shard = open_checkpoint(os.path.join(folder, file.name), checkpoint.limits)
        try:
            found = check_container(shard, describe_container(shard, shard.name))
        finally:
            shard.close()
        checked += found.checked
        unchecked += found.unchecked
        damaged += [damage.replace(entry=f"{file.name}: {damage.entry}") for damage in found.damaged]
    return Check(checked, unchecked, tuple(damaged), _summary(checked, unchecked, tuple(damaged)))
