"""A plain pickle: what ``pickle.dump`` wrote, such as the arrays by name in the model zoos of detectron2 and Paddle."""

from __future__ import annotations

from ..errors import CheckpointError
from .pickled import PickledCheckpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._core import Node
    from ..limits import Limits
    from ..tensor import Storage
    from .files import SourceFile


def open_plain_pickle(file: SourceFile, root: Node, end: int, limits: Limits) -> PickledCheckpoint:
    """Take the pickle ``root``, which ends at byte ``end``, as all that the file holds."""
    if end != file.size:
        raise CheckpointError(
            f"{file.name}: goes on for {file.size - end} bytes after its pickle, at byte {end}; it is no checkpoint "
            "that torch wrote, or a damaged one"
        )

    def no_storage(key: str, dtype: str, numel: int) -> Storage:  # noqa: ARG001
        raise CheckpointError(
            f"{file.name}: a pickle of torch tensors without their values: the data.pkl out of a checkpoint; "
            "name the checkpoint itself"
        )

    return PickledCheckpoint(file.name, "plain pickle", root, no_storage, limits, file.close)
