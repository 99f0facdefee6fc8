"""From a layout to bytes: what the core is told of each line, and what its errors mean."""

from __future__ import annotations

import os

from ._core import CoreError, Writer
from .errors import Error, OptionError, OutputError, shown
from .tensor import Storage, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from ._core import Line
    from .layout import Layout

    Progress = Callable[[int, int], object]
    """progress(done_bytes, total_bytes)"""

_OVERLAP_FROM = 4 << 20
"""Bytes of text from which a second thread is worth its start."""

_RUN = 1024
"""Tensors that are given to the core at once: both threads share the work also where each is small."""


class Job:
    """The writing of one layout, wherever to."""

    def __init__(
        self,
        source: str,
        layout: Layout,
        check: bool,
        durable: bool,
        overlapped: bool,
        checksum: bool,
        progress: Progress | None,
    ) -> None:
        self._source = source
        self._layout = layout
        self._check = check
        self._durable = durable
        self._overlapped = overlapped and layout.size >= _OVERLAP_FROM
        self._checksum = checksum
        self.crc32: str | None = None
        """of what was written, where it was asked for"""
        self._progress = progress

    def to_file(self, descriptor: int) -> None:
        """Write everything into an open file."""
        self._run(lambda: Writer(descriptor, self._overlapped, self._tick(), self._checksum, self._durable))

    def to_stream(self, stream: BinaryIO) -> None:
        """Write everything to a binary stream."""
        self._run(lambda: Writer(_blocking(stream), self._tick(), self._checksum))

    def _tick(self) -> Callable[[int], object] | None:
        progress, total = self._progress, self._layout.size
        return None if progress is None else lambda done: progress(done, total)

    def _run(self, open_writer: Callable[[], Writer]) -> None:
        layout = self._layout
        load = _Loader()
        run: list[Tensor] = []
        try:
            writer = open_writer()
            writer.text(layout.header)
            for tensors, lines in _runs(layout, load, self._check):
                run = tensors
                writer.lines(lines)
            writer.flush()
        except CoreError as error:
            if error.args[0] == "sink_write":
                raise  # the destination knows its name
            tensor = run[writer.failed_line] if run else None
            if error.args[0] == "overflow" and self._check:
                _check_storages(
                    self._source, run[writer.failed_line : writer.failed_line + 1]
                )  # damage looks like that too
            raise in_words(self._source, tensor, error) from None
        if writer.bytes != layout.size:
            raise Error(
                f"{self._source}: wrote {writer.bytes} bytes where {layout.size} were laid out; please report this"
            )
        if self._checksum:
            self.crc32 = f"{writer.crc32:08x}"
        if self._progress is not None:
            self._progress(layout.size, layout.size)


def _runs(layout: Layout, load: _Loader, check: bool) -> Iterator[tuple[list[Tensor], list[Line]]]:
    """Tensors in order, with their lines, in runs of which the storages are there at once.

    What must be brought into memory first is a run of its own, so that only one such storage is there at a time.
    """
    tensors: list[Tensor] = []
    lines: list[Line] = []
    for tensor, head in zip(layout.tensors, layout.heads, strict=True):
        alone = tensor.storage.load is not None
        if lines and (alone or len(lines) == _RUN):
            yield tensors, lines
            tensors, lines = [], []
        tensors.append(tensor)
        lines.append(line_of(head, tensor, load(tensor.storage), check))
        if alone:
            yield tensors, lines
            tensors, lines = [], []
    if lines:
        yield tensors, lines


class _Loader:
    """Brings storages into memory that are not there, and keeps the last one: several tensors may be views of it."""

    def __init__(self) -> None:
        self._storage: Storage | None = None
        self._loaded: Storage | None = None

    def __call__(self, storage: Storage) -> Storage:
        if storage.load is None:
            return storage
        if self._loaded is None or self._storage is not storage:
            self._loaded = None  # before the next one is made
            self._storage, self._loaded = storage, storage.load()
        return self._loaded


def _blocking(stream: BinaryIO) -> Callable[[bytes], int | None]:
    """A stream's ``write``; of a raw one that would block, an error, since it takes nothing and says None."""
    import io

    if not isinstance(stream, io.RawIOBase):
        return stream.write

    def write(text: bytes) -> int:
        taken = stream.write(text)
        if taken is None:
            raise OutputError("the stream does not block and takes no more; set it to blocking, or give a buffered one")
        return taken

    return write


def check_before(source: str, tensors: list[Tensor], check: bool) -> None:
    """Find what would be found too late where what was written cannot be taken back."""
    if check:
        _check_storages(source, tensors)
    check_overflow(source, tensors)


def _check_storages(source: str, tensors: list[Tensor]) -> None:
    from .checkpoint.integrity import check_storages

    check_storages(source, tensors)


def check_overflow(source: str, tensors: list[Tensor]) -> None:
    """Raise TensorError for a float64 value that float32 cannot hold, without writing anything."""
    load = _Loader()
    for tensor in tensors:
        if tensor.dtype == "float64":
            nowhere = Writer(lambda text: len(text))
            try:
                nowhere.lines([line_of(b"", tensor, load(tensor.storage), False)])
            except CoreError as error:
                raise in_words(source, tensor, error) from None


def line_of(head: bytes, tensor: Tensor, loaded: Storage, check: bool) -> Line:
    """What the core is told of a line: the text before its values, and where those are."""
    return (
        head, loaded.file, loaded.address, loaded.file_offset, loaded.size,
        tensor.dtype, loaded.swapped, tensor.half, tensor.offset, tensor.shape, tensor.strides,
        loaded.entry if check else None,
    )  # fmt: skip


def in_words(source: str, tensor: Tensor | None, error: CoreError) -> Error:
    """The core's code, index and errno in the user's nouns."""
    code, index, _ = error.args
    name = shown(tensor.name) if tensor is not None else "the header"
    if code in ("overflow", "source_short", "source_read", "checksum") and tensor is not None:
        from .checkpoint.integrity import unreadable

        return unreadable(source, tensor, error)
    if code in ("unknown_kernel", "missing_kernel"):
        return kernel_error(code)
    return Error(f"{source}: {name}: {code} {index}; please report this")


def kernel_error(code: str) -> OptionError:
    """What is wrong with PYWTS_KERNEL."""
    from ._core import kernels

    named = shown(os.environ.get("PYWTS_KERNEL", ""))
    what = "no kernel of this build" if code == "unknown_kernel" else "a kernel that this processor cannot run"
    return OptionError(
        f"PYWTS_KERNEL={named} is {what}; there are: {', '.join(name for name, usable in kernels() if usable)}"
    )
