"""Storages inside of a plain pickle: ``pickle.dump`` keeps each as the bytes of a legacy stream of its own."""

from __future__ import annotations

import sys

from ..errors import CheckpointError, shown
from ..tensor import Storage, memory_storage
from .legacy import MAGIC
from .objects import sequence, value_of
from .persistent import storage_dtype, storage_id
from .pickled import parse
from .rebuild import item_size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..limits import Limits


def embedded_storage(source: str, data: bytes, limits: Limits) -> tuple[Storage, str]:
    """The storage whose legacy stream ``data`` is, and the dtype that its class tells."""
    nodes, position = [], 0
    for _ in range(5):
        node, position = parse(source, data, limits, position)
        nodes.append(node)
    magic, _, _, root, keys = nodes
    try:
        found = storage_id(root)
        if value_of(magic) != MAGIC or found is None:
            raise ValueError("is no storage")
        kind, key, numel, view = found
        dtype = storage_dtype(kind)
        size = numel * item_size_of(dtype)
        if view is not None or [str(value_of(node)) for node in sequence(keys) or ()] != [key]:
            raise ValueError(f"has more than the storage {shown(key)}")
        if position + 8 + size != len(data) or int.from_bytes(data[position : position + 8], "little") != numel:
            raise ValueError(f"has {len(data) - position - 8} bytes of values where its pickle tells {size}")
    except ValueError as error:
        raise CheckpointError(f"{source}: a storage inside the pickle {error}; the checkpoint is damaged") from None
    storage = memory_storage("inside the pickle", data)
    storage.address += position + 8
    storage.size = size
    storage.swapped = sys.byteorder == "big"
    return storage, dtype
