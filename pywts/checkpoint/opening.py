"""Tells a file's container by its first bytes, never by its suffix, and opens it."""

from __future__ import annotations

from ..errors import CheckpointError, LimitError, shown
from .files import SourceFile
from .objects import TooMany
from .uncollected import Uncollected

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from ..limits import Limits
    from .protocol import Checkpoint


def open_checkpoint(path: str | os.PathLike[str], limits: Limits) -> Checkpoint:
    """Open a file of weights. The caller closes it."""
    with Uncollected():
        return _opened(path, limits, in_parts=True)


def _opened(path: str | os.PathLike[str], limits: Limits, in_parts: bool) -> Checkpoint:
    file = SourceFile(path)
    try:
        head = file.head(512)
        if _is_safetensors(file, head):  # before pickles: the length may begin with the byte that they begin with
            from .safetensors import open_safetensors

            return open_safetensors(file, limits)
        if head[:4] == b"PK\x03\x04":
            return _open_archive(file, limits)
        if head[:1] == b"\x80" and b"joblib.numpy_pickle" not in head:
            return _open_pickle(file, limits)
        return _open_other(file, head, limits, in_parts)
    except TooMany as error:
        file.close()
        raise LimitError(f"{file.name}: {error}") from None
    except BaseException:
        file.close()
        raise


def _is_safetensors(file: SourceFile, head: bytes) -> bool:
    """Whether a file begins with a length that fits into it, then a JSON object."""
    return head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= file.size - 8


def _open_archive(file: SourceFile, limits: Limits) -> Checkpoint:
    from .archive import Archive
    from .zip import is_torchscript, open_zip, root_of

    archive = Archive(file, limits)
    root = root_of(archive)
    if root is None:
        from .npz import is_npz, open_npz

        if is_npz(archive):
            return open_npz(file, archive, limits)
        from .foreign import foreign_zip

        raise foreign_zip(archive)
    if is_torchscript(archive, root):
        from .torchscript import open_torchscript

        return open_torchscript(file, archive, root, limits)
    return open_zip(file, archive, root, limits)


def _open_pickle(file: SourceFile, limits: Limits) -> Checkpoint:
    """A legacy stream begins with the pickle of a number, any other pickle is a plain one."""
    from .legacy import MAGIC, PickleStream, open_legacy
    from .objects import value_of

    stream = PickleStream(file, limits)
    root = stream.next()
    if value_of(root) == MAGIC:
        return open_legacy(file, stream, limits)
    from .plain_pickle import open_plain_pickle

    return open_plain_pickle(file, root, stream.position, limits)


def _open_other(file: SourceFile, head: bytes, limits: Limits, in_parts: bool) -> Checkpoint:
    if head.lstrip()[:1] == b"{" and in_parts:
        from .sharded import open_index

        return open_index(file, limits, lambda path, limits: _opened(path, limits, in_parts=False))
    from .foreign import foreign

    error = foreign(file, head)
    if head[:1] and head[:1] in b"(]}cL":  # how pickles of protocol 0 and 1 begin, and some texts
        try:
            return _open_pickle(file, limits)
        except CheckpointError as as_pickle:
            error = error or as_pickle
    raise error or CheckpointError(
        f"{file.name}: is no checkpoint that pywts knows; it begins with the bytes {shown(head[:16].hex(' '))}; "
        "name the checkpoint"
    )
