from collections.abc import Callable
from typing import Any, final, overload

from typing_extensions import Buffer

from .tensor import Storage, Tensor

__version__: str
DTYPES: dict[str, int]

class CoreError(Exception):
    args: tuple[str, int, int]

Line = tuple[
    bytes, int, int, int, int, str, bool, bool, int, tuple[int, ...], tuple[int, ...], tuple[int, int, int] | None
]
"""text before the values, file, address, file offset, size, dtype, swapped, half, offset, shape, strides, and the file
offset, size and CRC32 of what the storage is or lies in, if it is to be checked"""

class PickleError(Exception):
    args: tuple[str, int]

class WtsFault(Exception):
    args: tuple[str, str, str, int, int]

def kernels() -> list[tuple[str, bool]]: ...
def kernel() -> str: ...
def reserve(file: int, size: int) -> bool: ...
def address(data: Buffer) -> tuple[int, int]: ...
def encode(
    address: int,
    size: int,
    dtype: str,
    swapped: bool,
    half: bool,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    /,
) -> bytes: ...
def file_widened(
    file: int,
    file_offset: int,
    size: int,
    dtype: str,
    swapped: bool,
    half: bool,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    /,
) -> bytearray: ...
def memory_widened(
    address: int,
    size: int,
    dtype: str,
    swapped: bool,
    half: bool,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    /,
) -> bytearray: ...
def parse_pickle(data: bytes, start: int, opcodes: int, nodes: int) -> tuple[Node, int, int]: ...
def crc32(data: bytes, /) -> int: ...
def file_crc32(file: int, offset: int, size: int, /) -> int: ...

class ArchiveError(Exception):
    args: tuple[str, str, str, bool]

@final
class ArchiveDirectory:
    def __init__(self, records: bytes, at: int, count: int, /) -> None: ...
    def names(self) -> list[str]: ...
    def records(self) -> list[tuple[str, int, int, int]]: ...
    def find(self, name: str, file: int, /) -> tuple[int, int, int, int, bool] | None: ...
    def names_ending(self, end: str, /) -> list[str]: ...
    def in_other_case(self, folder: str, /) -> str | None: ...
    def sound(self, file: int, /) -> list[str]: ...

@final
class StoredStorages:
    def __init__(
        self,
        archive: ArchiveDirectory,
        folder: bytes,
        label: str,
        file: int,
        swapped: bool,
        classes: dict[str, tuple[str, int]],
        storage: type[Storage],
        tensor: type[Tensor],
        /,
    ) -> None: ...
    def find(self, key: str, dtype: str, numel: int, item_size: int, /) -> Storage | None: ...
    def describe(self, names: list[str], nodes: list[Any], first: int, /) -> list[Tensor]: ...

def compare(
    pairs: list[tuple[Values, Values]], first_only: bool, /
) -> list[tuple[int, int, int, int, int, float, float, int]]: ...
def checksums(all: list[Values], /) -> list[int]: ...
def statistics(
    all: list[Values], /
) -> list[
    int
    | tuple[
        int,
        int,
        float,
        float,
        float,
        float,
        int,
        int,
        int,
        int,
        int,
        int,
        dict[int, int],
        tuple[float, ...],
        tuple[float, ...],
    ]
]: ...
def decode(text: Buffer, memory: Buffer, /) -> int: ...

@final
class Values:
    @staticmethod
    def of_file(
        file: int,
        file_offset: int,
        size: int,
        dtype: str,
        swapped: bool,
        half: bool,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        owner: object,
        /,
    ) -> Values: ...
    @staticmethod
    def of_memory(
        address: int,
        size: int,
        dtype: str,
        swapped: bool,
        half: bool,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        owner: object,
        /,
    ) -> Values: ...
    @property
    def size(self) -> int: ...
    @property
    def part(self) -> int: ...
    def read(self, begin: int, end: int, memory: Buffer, /) -> None: ...

@final
class Reader:
    def __init__(self, path: bytes, text: bytes | None = None) -> None: ...
    def tensors(self) -> list[tuple[str, int, int, int, str]]: ...
    def read(self, index: int, memory: Buffer, /) -> None: ...
    def read_all(self, memory: list[Any], /) -> None: ...
    def values(self, index: int, /) -> Values: ...
    def nearest(self, name: bytes, /) -> list[str]: ...

@final
class Writer:
    @overload
    def __init__(
        self,
        file: int,
        overlapped: bool,
        progress: Callable[[int], object] | None = None,
        checksum: bool = False,
        durable: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        write: Callable[[bytes], int | None],
        progress: Callable[[int], object] | None = None,
        checksum: bool = False,
    ) -> None: ...
    def text(self, text: bytes, /) -> None: ...
    def lines(self, lines: list[Line], /) -> None: ...
    @property
    def failed_line(self) -> int: ...
    def flush(self) -> None: ...
    @property
    def bytes(self) -> int: ...
    @property
    def crc32(self) -> int: ...

@final
class Node:
    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def value(self) -> Any: ...
    @property
    def items(self) -> list[Node]: ...
    @property
    def entries(self) -> list[tuple[Any, Node]]: ...
    @property
    def mapping(self) -> dict[Any, Any]: ...
    @property
    def builds(self) -> list[Node]: ...
    @property
    def length(self) -> int: ...
    @property
    def persistents(self) -> list[Node]: ...
    @property
    def target(self) -> str | None: ...
    @property
    def called(self) -> str | None: ...
    @property
    def storage(self) -> tuple[str, str, int, tuple[int, int] | None] | None: ...
    @property
    def tensor_view(
        self,
    ) -> (
        tuple[tuple[str, str, int, tuple[int, int] | None], int, tuple[int, ...], tuple[int, ...], int, int] | None
    ): ...
    @property
    def module_parts(self) -> tuple[list[tuple[str, Node]], list[tuple[str, Node]], bool, int] | None: ...
    @property
    def function(self) -> Node | None: ...
    @property
    def arguments(self) -> Node | None: ...
    @property
    def keywords(self) -> Node | None: ...
    @property
    def argument(self) -> Node | None: ...
    @property
    def how(self) -> str | None: ...
    @property
    def protocol(self) -> int: ...
    @property
    def module(self) -> str: ...
    @property
    def name(self) -> str: ...
    def plain(self, depth: int = 4) -> Any: ...
    def __hash__(self) -> int: ...

@final
class Survey:
    def __init__(self, data: bytes, start: int, opcodes: int, nodes: int, /) -> None: ...
    @property
    def fault(self) -> tuple[str, int] | None: ...
    @property
    def root(self) -> Node | None: ...
    @property
    def end(self) -> int: ...
    @property
    def protocol(self) -> int: ...
    def uses(self) -> list[tuple[str, str, str, Node | None, int, int]]: ...
    def nodes(self, use: int, most: int, /) -> list[Node]: ...
    def embedded(self, most: int, /) -> list[Node]: ...
