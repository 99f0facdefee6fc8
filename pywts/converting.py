"""``convert``: a .wts, or any source, as a file of another format, tensor by tensor, in bounded memory.

Written are float32 values. Shapes are the source's; those of a .wts come from its sidecar.
"""

from __future__ import annotations

import os
from time import perf_counter

from .checkpoint.integrity import check_storages
from .comparing import open_if_wts
from .destination import Destination
from .errors import OptionError, shown
from .exporting import export_checkpoint, identities, laid_out, open_source, path_of
from .limits import DEFAULT_LIMITS, Limits
from .options import SELECTING
from .reading import WtsFile, chunks, values_of
from .records import Record
from .selecting import select
from .tensor import contiguous_strides
from .writing import in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO
    from zipfile import ZipFile

    from .checkpoint.protocol import Checkpoint
    from .tensor import Tensor


class Converted(Record):
    """What a conversion did."""

    path: str
    source: str
    format: str
    """"safetensors", "npz", "torch" or "wts" """
    tensors: int
    values: int
    seconds: float
    weights: str
    """the dotted path of the weights that were taken; "." for a whole .wts, "" for any other whole source"""
    recipe: str
    warnings: tuple[str, ...]


def convert(
    source: Any,
    output: str | bytes | os.PathLike[str],
    *,
    overwrite: bool = True,
    force: bool = False,
    durable: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    **selection: Any,
) -> Converted:
    """Write a source's weights as a file of the format that the output's suffix names.

    source: the path of a .wts, what ``pywts.open`` gave, or what ``export`` takes.
    output: a path: ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` (a state_dict that ``torch.load`` reads), ``.wts``.
    overwrite: whether an existing file of that format may be replaced; a ``.pt`` or ``.pth`` only if it was written so.
    force: whether any other existing file may be replaced.
    durable: wait until the file is on the disk.
    limits: what the source may ask for.
    selection: those arguments of ``export`` that decide what is written, from ``key`` to ``half``; unlike there,
        ``recipe`` is ``"none"`` unless it is given, but for a checkpoint that becomes a ``.wts``.

    Raises ``pywts.Error``: WtsError for a damaged .wts, and what ``export`` raises.
    """
    start = perf_counter()
    for name in selection:
        if name not in SELECTING:
            raise TypeError(f"convert() got an unexpected keyword argument {name!r}")
    path = os.fsdecode(output)
    kind = _FORMATS.get(os.path.splitext(path)[1].lower())
    if kind is None:
        raise OptionError(f"{path}: its suffix names no format; there are {', '.join(_FORMATS)}")
    source_path = path_of(source)
    file = source if isinstance(source, WtsFile) else open_if_wts(source_path) if source_path is not None else None
    selection = {"recipe": "auto" if kind == "wts" and file is None else "none", **selection}
    warnings: tuple[str, ...] = ()
    if file is not None:
        source_path = file.path
        selection = {"key": ".", **selection}
        checkpoint: Checkpoint = file.as_checkpoint(limits)
        if file.sidecar is None and kind != "wts":
            warnings += (f"{file.path}: has no sidecar, so every tensor is written flat, without its shape",)
    else:
        checkpoint = open_source(source, limits)
    try:
        if kind == "wts":
            done = export_checkpoint(
                checkpoint, source_path, path, selection,
                overwrite=overwrite, force=force, durable=durable, start=start,
            )  # fmt: skip
            return Converted(
                path,
                done.source,
                kind,
                done.tensors,
                done.values,
                done.seconds,
                done.weights,
                done.recipe,
                done.warnings,
            )
        made = select(checkpoint, check=True, **selection)
        layout = laid_out(checkpoint, made)
        unchecked = [tensor for tensor in layout.tensors if tensor.storage.load is None]  # loading checks the others
        check_storages(checkpoint.name, unchecked)
        write, is_of_kind = _WRITERS[kind]
        destination = Destination(
            path,
            overwrite=overwrite,
            force=force,
            sources=identities(source_path, layout.tensors),
            kind=".pt that pywts wrote" if kind == "torch" else f"{kind} file",
            is_of_kind=is_of_kind,
        )

        def fill(descriptor: int) -> None:
            try:
                with open(os.dup(descriptor), "wb", buffering=1 << 16) as stream:
                    write(stream, layout.tensors, checkpoint.name)
            except OSError as error:
                raise destination.failed(error) from None

        destination.write(4 * layout.values, durable, fill)
        return Converted(
            path=path,
            source=checkpoint.name,
            format=kind,
            tensors=len(layout.tensors),
            values=layout.values,
            seconds=perf_counter() - start,
            weights=made.chosen.path,
            recipe=made.recipe,
            warnings=(*made.warnings, *warnings),
        )
    finally:
        if file is not source:
            checkpoint.close()


def _chunks(tensor: Tensor, source: str) -> Iterator[memoryview]:
    """A tensor's values as float32, chunk by chunk; a chunk is good until the next."""
    from ._core import CoreError

    try:
        yield from chunks(values_of(tensor))
    except CoreError as error:
        raise in_words(source, tensor, error) from None


# -------------------------------------------------------------------------------------------------------- safetensors


def _write_safetensors(stream: BinaryIO, tensors: list[Tensor], source: str) -> None:
    import json

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for tensor in tensors:
        if tensor.name == "__metadata__":
            raise OptionError(
                f"{source}: a tensor is called __metadata__, which safetensors keeps for itself: rename it"
            )
        end = place + 4 * tensor.numel
        header[tensor.name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": (place, end)}
        place = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    stream.write(len(text).to_bytes(8, "little") + text)
    for tensor in tensors:
        for chunk in _chunks(tensor, source):
            stream.write(chunk)


# --------------------------------------------------------------------------------------------------------- zip archives


def _write_npz(stream: BinaryIO, tensors: list[Tensor], source: str) -> None:
    from zipfile import ZipFile

    names = {tensor.name for tensor in tensors}
    for name in names:
        if len(name.encode()) + len(".npy") >= 1 << 16:
            raise OptionError(f"{source}: the name {shown(name)} is too long for a zip archive: rename it")
        if f"{name}.npy" in names:
            raise OptionError(f"{source}: numpy.load cannot tell {shown(name)} from {shown(name)}.npy: rename one")
    with ZipFile(stream, "w") as archive:
        for tensor in tensors:
            shape = f"{', '.join(map(str, tensor.shape))}{',' if len(tensor.shape) == 1 else ''}"
            head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}".encode()
            head += b" " * (-(len(head) + 11) % 64) + b"\n"
            head = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head
            _add(archive, f"{tensor.name}.npy", len(head) + 4 * tensor.numel, (head,), _chunks(tensor, source))


def _write_torch(stream: BinaryIO, tensors: list[Tensor], source: str) -> None:
    """The archive that ``torch.save(state_dict, path)`` writes; every tensor has a storage of its own."""
    from zipfile import ZipFile

    with ZipFile(stream, "w") as archive:
        pickled = _pickled(tensors)
        _add(archive, "archive/data.pkl", len(pickled), (pickled,))
        _add(archive, "archive/byteorder", 6, (b"little",))
        for place, tensor in enumerate(tensors):
            _add(archive, f"archive/data/{place}", 4 * tensor.numel, _chunks(tensor, source))
        _add(archive, "archive/version", 2, (b"3\n",))


def _add(archive: ZipFile, name: str, size: int, *contents: Iterable[bytes | memoryview]) -> None:
    """Add a file of known size to an archive, as it is, its content at a multiple of 64 bytes as torch has it."""
    from zipfile import ZipInfo

    entry = ZipInfo(name)
    entry.file_size, entry.CRC = size, 0
    if archive.fp is not None:
        head = archive.fp.tell() + len(entry.FileHeader()) + 4
        entry.extra = b"FB" + (-head % 64).to_bytes(2, "little") + b"Z" * (-head % 64)
    with archive.open(entry, "w") as file:
        for content in contents:
            for chunk in content:
                file.write(chunk)


_OWN = b"\x80\x02ccollections\nOrderedDict\n)R("
"""How the pickle of a state_dict begins that is written here; pickle and torch.save memoize in between."""


def _pickled(tensors: list[Tensor]) -> bytes:
    """An OrderedDict of tensors in pickle's protocol 2, where the persistent id of a storage is its place."""

    def number(value: int) -> bytes:
        size = value.bit_length() // 8 + 1
        return b"\x8a" + size.to_bytes(1, "little") + value.to_bytes(size, "little")

    def text(value: str) -> bytes:
        encoded = value.encode()
        return b"X" + len(encoded).to_bytes(4, "little") + encoded

    def numbers(values: Iterable[int]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    empty = b"ccollections\nOrderedDict\n)R"
    parts = [_OWN]
    for place, tensor in enumerate(tensors):
        kind = b"ctorch\nFloatStorage\n"
        storage = b"(" + text("storage") + kind + text(str(place)) + text("cpu") + number(tensor.numel) + b"tQ"
        view = number(0) + numbers(tensor.shape) + numbers(contiguous_strides(tensor.shape))
        rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"\x89" + empty + b"tR"
        parts += [text(tensor.name), rebuilt]
    return b"".join([*parts, b"u."])


def _first_name_is_longer(head: bytes) -> bool:
    """Whether the first name in an archive goes on beyond these first bytes: no file has such."""
    return int.from_bytes(head[26:28], "little") > len(head) - 30 > 0


_FORMATS = {".safetensors": "safetensors", ".npz": "npz", ".pt": "torch", ".pth": "torch", ".wts": "wts"}

_WRITERS: dict[str, tuple[Callable[[BinaryIO, list[Tensor], str], None], Callable[[bytes], bool]]] = {
    "safetensors": (_write_safetensors, lambda head: head[8:9] == b"{"),
    "npz": (_write_npz, lambda head: head[:2] == b"PK" and (b".npy" in head or _first_name_is_longer(head))),
    "torch": (_write_torch, lambda head: head[:2] == b"PK" and _OWN in head[:300]),
}
