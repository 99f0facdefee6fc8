"""Makes torch's zip checkpoints without torch: the archive by hand, the pickle with names in place of classes.

``save(path, {"model": Module(...), "x": array})`` writes what ``torch.save`` would; a test with torch reads it back.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import numpy
from reference import Foreign, item_size

STORAGES = {
    "float32": "FloatStorage", "float16": "HalfStorage", "bfloat16": "BFloat16Storage", "float64": "DoubleStorage",
    "int8": "CharStorage", "int16": "ShortStorage", "int32": "IntStorage", "int64": "LongStorage",
    "uint8": "ByteStorage", "bool": "BoolStorage",
}  # fmt: skip
"""Dtypes with a storage class of their own; tensors of the others are views of an untyped storage."""


class Global:
    """A name that the pickle refers to; never imported."""

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def __call__(self, *_: object) -> None:
        raise TypeError("only a name")


class Storage:
    """The bytes of a storage, in native byte order, or so many zeros that take no room on the disk."""

    def __init__(self, dtype: str, data: bytes | None = None, zeros: int = 0) -> None:
        self.dtype = dtype
        self.data = data
        self.size = len(data) if data is not None else zeros
        self.key = ""


class Tensor:
    """A view of a storage."""

    def __init__(self, storage: Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        self.storage = storage
        self.shape = shape
        self.strides = strides
        self.offset = offset

    def __reduce__(self) -> Any:
        common = (self.storage, self.offset, self.shape, self.strides, False, OrderedDict())
        if self.storage.dtype in STORAGES:
            return Global("torch._utils", "_rebuild_tensor_v2"), common
        return Global("torch._utils", "_rebuild_tensor_v3"), (*common, Global("torch", self.storage.dtype))


class Parameter:
    """A Parameter made of a tensor."""

    def __init__(self, data: Tensor) -> None:
        self.data = data

    def __reduce__(self) -> Any:
        return Global("torch._utils", "_rebuild_parameter"), (self.data, True, OrderedDict())


class Object:
    """An object of a class that only the checkpoint knows, with its attributes."""

    def __init__(self, qualified_name: str, attributes: dict[str, Any]) -> None:
        self.cls = Global(*qualified_name.rsplit(".", 1))
        self.attributes = attributes

    def __reduce__(self) -> Any:
        return Global("copyreg", "_reconstructor"), (self.cls, Global("builtins", "object"), None), self.attributes


def module(
    qualified_name: str = "net.Net",
    parameters: dict[str, Any] | None = None,
    buffers: dict[str, Any] | None = None,
    modules: dict[str, Any] | None = None,
    transient: tuple[str, ...] = (),
    **attributes: Any,
) -> Object:
    """A pickled ``nn.Module``."""
    tables = {
        "training": False,
        "_parameters": OrderedDict(parameters or {}),
        "_buffers": OrderedDict(buffers or {}),
        "_non_persistent_buffers_set": set(transient),
        "_modules": OrderedDict(modules or {}),
    }
    return Object(qualified_name, {**tables, **attributes})


def tensor(value: Any, dtype: str | None = None) -> Tensor:
    """A tensor of an array's values in C order, in a storage of its own."""
    if isinstance(value, Foreign):
        shape, dtype, data = value.bits.shape, value.dtype, value.bits.tobytes()
    else:
        array = numpy.asarray(value, dtype)
        shape, dtype, data = array.shape, array.dtype.name, array.tobytes()
    strides = tuple(int(numpy.prod(shape[i + 1 :], dtype=int)) for i in range(len(shape)))
    return Tensor(Storage(dtype, data), shape, strides)


def save(path: str | Path, root: Any, *, byteorder: str = sys.byteorder, archive_root: str = "archive") -> Path:
    """Write a checkpoint. ``byteorder="big"`` swaps every storage, as a big-endian machine would have saved it."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    pickler.dump(root)
    entries: list[tuple[str, bytes | int]] = [
        (f"{archive_root}/data.pkl", buffer.getvalue()),
        (f"{archive_root}/byteorder", byteorder.encode()),
    ]
    for storage in pickler.storages:
        content: bytes | int = storage.size
        if storage.data is not None:
            content = storage.data if byteorder == sys.byteorder else _swapped(storage)
        entries.append((f"{archive_root}/data/{storage.key}", content))
    entries.append((f"{archive_root}/version", b"3\n"))
    _write_archive(Path(path), entries)
    return Path(path)


def _swapped(storage: Storage) -> bytes:
    size = item_size(storage.dtype)
    return numpy.frombuffer(storage.data or b"", f"u{size}").byteswap().tobytes()


class _Pickler(pickle._Pickler):
    """The pickler in Python: its C twin would import what a name refers to."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def __init__(self, file: Any) -> None:
        super().__init__(file, 2)
        self.storages: list[Storage] = []

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        if not value.key:
            value.key = str(len(self.storages))
        if value not in self.storages:
            self.storages.append(value)
        if value.dtype in STORAGES:
            kind = Global("torch", STORAGES[value.dtype])
            return "storage", kind, value.key, "cpu", value.size // item_size(value.dtype)
        return "storage", Global("torch.storage", "UntypedStorage"), value.key, "cpu", value.size

    def save_name(self, value: Global) -> None:
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    dispatch[Global] = save_name


def _write_archive(path: Path, entries: list[tuple[str, bytes | int]]) -> None:
    """A zip archive of stored files; an integer stands for so many zeros that are left as a hole."""
    directory = []
    with path.open("wb") as file:
        for text, content in entries:
            name = text.encode()
            size = content if isinstance(content, int) else len(content)
            crc = 0 if isinstance(content, int) else zlib.crc32(content)
            fields = struct.pack("<5H3I2H", 20, 0, 0, 0, 0, crc, size, size, len(name), 0)
            directory.append(b"PK\x01\x02\x14\x00" + fields + struct.pack("<3H2I", 0, 0, 0, 0, file.tell()) + name)
            file.write(b"PK\x03\x04" + fields + name)
            if isinstance(content, int):
                file.seek(size, 1)
            else:
                file.write(content)
        start = file.tell()
        file.write(b"".join(directory))
        file.write(
            b"PK\x05\x06"
            + struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), file.tell() - start, start, 0)
        )  # fmt: skip
