"""Models in several files: ``*.index.json`` says which shard, safetensors or a pickle of torch, holds which tensor.

The order is that of a loop that loads the shards by name and takes each one's tensors as they come, which is what
``transformers`` does, not that of the index.
"""

from __future__ import annotations

import os

from ..errors import CheckpointError, LimitError, SelectionError, shown
from .files import SourceFile
from .foreign import named
from .named import NamedTensors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Limits
    from ..tensor import Refused, Tensor
    from .protocol import Checkpoint

_INDEX_LIMIT = 256 << 20
_SHARD_LIMIT = 10_000


def parts_told_by(name: str) -> int:
    """How many shards a model has, by one's name as transformers and diffusers give it; 1 for a file of another name.

    ``model-00001-of-00002.safetensors`` is a shard, ``fold-1-of-5.pt`` a whole model.
    """
    before, _, after = os.path.basename(name).rpartition("-of-")
    is_shard = before[-6:-5] == "-" and before[-5:].isdecimal() and after[:5].isdecimal() and after[5:6] == "."
    return int(after[:5]) if is_shard else 1


def open_index(file: SourceFile, limits: Limits, open_shard: Callable[[str, Limits], Checkpoint]) -> NamedTensors:
    """Read the index, then every shard."""
    shards = shards_of(file, limits)
    folder = os.path.dirname(file.path)
    missing = [shard for shard in shards if not os.path.exists(os.path.join(folder, shard))]
    if missing:
        raise CheckpointError(
            f"{file.name}: {len(missing)} of {len(shards)} shards are missing beside it, such as {shown(missing[0])}; "
            "copy or download them too"
        )
    opened: list[Checkpoint] = []

    def close() -> None:
        for checkpoint in opened:
            checkpoint.close()
        file.close()

    root: dict[str, Tensor | Refused] = {}
    try:
        for shard in sorted(shards):
            checkpoint = open_shard(os.path.join(folder, shard), limits)
            opened.append(checkpoint)
            root.update(_tensors(file, checkpoint, shard, shards[shard]))
    except BaseException:
        close()
        raise
    return NamedTensors(file.name, f"model in {len(shards)} shards", root, limits, close)


def shards_of(file: SourceFile, limits: Limits) -> dict[str, set[str]]:
    """The names of the tensors by shard, as an index tells them."""
    import json

    if file.size > _INDEX_LIMIT:
        raise LimitError(f"{file.name}: an index of {file.size} bytes, over the limit of {_INDEX_LIMIT}")
    try:
        index = json.loads(file.read(0, file.size).decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file.name}: begins as JSON and is none: {shown(error)}; download it again") from None
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(shard, str) for shard in names.values()):
        raise named(file, f"a JSON document without weights{_about(index)}", "name the checkpoint, or its *.index.json")
    if len(names) > limits.tensors:
        raise LimitError(f"{file.name}: {len(names)} tensors, over the limit of {limits.tensors}")
    shards: dict[str, set[str]] = {}
    for name, shard in names.items():
        shards.setdefault(shard, set()).add(name)
    if len(shards) > _SHARD_LIMIT:
        raise LimitError(f"{file.name}: {len(shards)} shards, over the limit of {_SHARD_LIMIT}")
    for shard in shards:
        if os.path.basename(shard) != shard or shard in ("", ".", "..") or "\x00" in shard:
            raise CheckpointError(
                f"{file.name}: names the shard {shown(shard)}, which does not lie beside it; "
                "the index is damaged or hostile"
            )
    return shards


def _tensors(file: SourceFile, shard: Checkpoint, name: str, listed: set[str]) -> dict[str, Tensor | Refused]:
    """A shard's tensors; exactly those that the index lists there."""
    entries = shard.mapping(shard.root)
    if entries is None:
        raise SelectionError(f"{file.name}: the shard {shown(name)} is no state_dict but {shard.describe(shard.root)}")
    found: dict[str, Tensor | Refused] = {}
    for key, value in entries.items():
        tensor = shard.tensor(value, str(key))
        if tensor is not None:
            found[tensor.name] = tensor
    for wrong, what in ((listed - found.keys(), "lacks"), (found.keys() - listed, "has")):
        if wrong:
            raise CheckpointError(
                f"{file.name}: the shard {shown(name)} {what} {shown(min(wrong))}, against the index; "
                "the files are not of one model: copy or download them again"
            )
    return found


def _about(index: Any) -> str:
    message = (
        next((index[key] for key in ("error", "message") if key in index), None) if isinstance(index, dict) else None
    )
    return "" if message is None else f", but with a message: {shown(message)}"
