"""What attacks are made of: pickle opcodes, archives whose every field can lie, and what shall come of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

MAGIC = 0x1950A86A20F9469CFC6C
GOOD = (1.0, -2.5, 3.25, 0.0)
"""The values of the tensor ``good`` that lies beside most attacks."""


class Attack:
    """A file, and what shall come of exporting it: tensors by name, or an error that says ``refused``."""

    def __init__(
        self,
        data: bytes,
        *,
        exports: dict[str, tuple[float, ...]] | None = None,
        refused: str = "",
        beside: dict[str, bytes] | None = None,
    ) -> None:
        self.data = data
        self.exports = exports
        self.refused = refused
        self.beside = beside or {}


ATTACKS: dict[str, Callable[[], Attack]] = {}


def attack(function: Callable[[], Attack]) -> Callable[[], Attack]:
    """Enter a builder into the list."""
    ATTACKS[f"{function.__module__.rpartition('.')[2]}: {function.__name__}"] = function
    return function


# ------------------------------------------------------------------------------------------------------------ pickles


def named(module: str, name: str) -> bytes:
    """GLOBAL: what would be imported."""
    return f"c{module}\n{name}\n".encode()


def text(value: str) -> bytes:
    """BINUNICODE."""
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    """LONG1, or LONG4 where it is longer."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data if len(data) < 256 else b"\x8b" + struct.pack("<i", len(data)) + data


def many(*items: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(items) + b"t"


def mapping(pairs: dict[str, bytes]) -> bytes:
    """A dict."""
    return b"}(" + b"".join(text(key) + value for key, value in pairs.items()) + b"u"


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return function + many(*arguments) + b"R"


def storage(key: str | bytes = "0", numel: int = 4, kind: str = "FloatStorage", view: bytes = b"") -> bytes:
    """The persistent id of a storage."""
    name = key if isinstance(key, bytes) else text(key)
    return many(text("storage"), named("torch", kind), name, text("cpu"), number(numel), view) + b"Q"


EMPTY_ORDERED = call(named("collections", "OrderedDict"))
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"
SYSTEM = call(named("os", "system"), text("touch /tmp/pwned"))


def tensor(
    held: bytes | None = None,
    shape: tuple[int, ...] = (4,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    more: bytes = b"",
) -> bytes:
    """A call of _rebuild_tensor_v2."""
    sizes, steps = many(*map(number, shape)), many(*map(number, strides))
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, held or storage(), number(offset), sizes, steps, FALSE, EMPTY_ORDERED + more)


def beside(harm: bytes, name: str = "harm") -> bytes:
    """A state_dict: a good tensor, then harm."""
    return mapping({"good": tensor(), name: harm})


def instance(kind: bytes, state: bytes) -> bytes:
    """NEWOBJ and BUILD."""
    return kind + b")\x81" + state + b"b"


def module(parameters: dict[str, bytes], children: dict[str, bytes] | None = None) -> bytes:
    """A whole module."""
    tables = {"_parameters": mapping(parameters), "_buffers": b"}", "_modules": mapping(children or {})}
    return instance(named("torch.nn.modules.module", "Module"), mapping(tables))


# ------------------------------------------------------------------------------------------------------------- legacy


def legacy(body: bytes, keys: tuple[str, ...] = ("0",), values: bytes | None = None, protocol: int = 2) -> bytes:
    """A legacy stream around a pickle."""
    head = bytes([0x80, protocol])
    listed = b"](" + b"".join(map(text, keys)) + b"e"
    parts = (number(MAGIC), number(1001), b"}", body, listed)
    return b"".join(head + part + b"." for part in parts) + (count_of(GOOD) if values is None else values)


def count_of(values: tuple[float, ...]) -> bytes:
    """A storage as a legacy stream keeps it."""
    return struct.pack(f"<q{len(values)}f", len(values), *values)


# ------------------------------------------------------------------------------------------------------------ archives


class File:
    """One file of an archive; what is set in ``local``, ``central`` or ``both`` stands there instead of the truth."""

    def __init__(self, name: str, data: bytes, deflate: bool = False, **lies: Any) -> None:
        self.name = name.encode("utf-8", "surrogateescape")
        self.data = data
        self.stored = zlib.compress(data, 1)[2:-4] if deflate else data
        truth = {"flags": 0, "method": 8 if deflate else 0, "crc": zlib.crc32(data), "name": self.name}
        truth.update(packed=len(self.stored), size=len(data))
        self.local = {**truth, **lies.get("both", {}), **lies.get("local", {})}
        self.central = {**truth, **lies.get("both", {}), **lies.get("central", {})}


def archive(*files: File, count: int | None = None, comment: bytes = b"", before: bytes = b"") -> bytes:
    """A zip archive."""
    out, directory = bytearray(before), bytearray()
    for file in files:
        at = len(out)
        told = file.local
        out += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, told["flags"], told["method"], 0, 0, told["crc"],
                           told["packed"], told["size"], len(told["name"]),
                           told.get("extra_size", len(told.get("extra", b"")))) + told["name"]  # fmt: skip
        out += told.get("extra", b"") + file.stored
        told = file.central
        directory += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, told["flags"], told["method"], 0, 0,
                                 told["crc"], told["packed"], told["size"], len(told["name"]), 0, 0, 0, 0, 0,
                                 told.get("offset", at)) + told["name"]  # fmt: skip
    start = len(out)
    number_of_files = len(files) if count is None else count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, number_of_files, number_of_files, len(directory), start,
                      len(comment))  # fmt: skip
    return bytes(out + directory + end + comment)


def values_of(values: tuple[float, ...]) -> bytes:
    """Floats as a storage keeps them."""
    return struct.pack(f"<{len(values)}f", *values)


def checkpoint(body: bytes, *more: File, protocol: int = 2) -> bytes:
    """A zip checkpoint around a pickle; its storage 0 holds the good values."""
    pickled = bytes([0x80, protocol]) + body + b"."
    return archive(File("it/data.pkl", pickled), File("it/data/0", values_of(GOOD)), *more)


def good(data: bytes, **more: tuple[float, ...]) -> Attack:
    """An attack that must not keep the good tensor from being exported."""
    return Attack(data, exports={"good": GOOD, **more})


def refused(data: bytes, message: str, **beside: bytes) -> Attack:
    """An attack that must end in a clear error."""
    return Attack(data, refused=message, beside={name.replace("_", "."): content for name, content in beside.items()})
