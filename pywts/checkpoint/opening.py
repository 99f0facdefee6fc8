"""Tells a file's container by its first bytes, never by its suffix, and opens it."""

from __future__ import annotations

from ..errors import CheckpointError
from .files import SourceFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from ..limits import Limits
    from .protocol import Checkpoint


def open_checkpoint(path: str | os.PathLike[str], limits: Limits) -> Checkpoint:
    """Open a file of weights. The caller closes it."""
    file = SourceFile(path)
    try:
        return _open(file, limits)
    except BaseException:
        file.close()
        raise


def _open(file: SourceFile, limits: Limits) -> Checkpoint:
    head = file.head(512)
    if head[:4] == b"PK\x03\x04":
        from .archive import Archive
        from .zip import open_zip, root_of

        archive = Archive(file, limits)
        root = root_of(archive)
        if root is not None:
            from .torchscript import is_torchscript, open_torchscript

            if is_torchscript(archive, root):
                return open_torchscript(file, archive, root, limits)
            return open_zip(file, archive, root, limits)
    from .safetensors import is_safetensors, open_safetensors

    if is_safetensors(file, head):
        return open_safetensors(file, limits)
    from .legacy import MAGIC, PickleStream, open_legacy
    from .objects import value_of

    stream = PickleStream(file, limits)
    if value_of(stream.next()) == MAGIC:
        return open_legacy(file, stream, limits)
    raise CheckpointError(f"{file.name}: is no checkpoint that pywts knows")
