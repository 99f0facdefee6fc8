"""The native module, asked for what the rest of the package never asks it."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from processes import python

import pywts
import pywts.tensor
from pywts import _core

VALUES = numpy.arange(4096, dtype=numpy.float32)


def values(shape: tuple[int, ...] = (4096,), strides: tuple[int, ...] = (1,)) -> Any:
    address, size = _core.address(VALUES)
    return _core.Values.of_memory(address, size, "float32", False, False, 0, shape, strides, VALUES)


def line(text: Any = b"x 4096 ") -> Any:
    address, size = _core.address(VALUES)
    return text, -1, address, 0, size, "float32", False, False, 0, (4096,), (1,), None


# ------------------------------------------------------------------------------------------------------------ writers


class Full(Exception):
    """No room."""


def refuse(_: object) -> int:
    raise Full


def test_a_writer_that_has_failed_stays_so() -> None:
    writer = _core.Writer(refuse)
    writer.text(b"text")
    with pytest.raises(Full):
        writer.flush()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="has failed before"):
            writer.flush()


@pytest.mark.parametrize("where", ["stream", "progress"])
def test_a_failed_export_keeps_nothing_of_its_source(where: str, tmp_path: Path) -> None:
    class Stream:
        write = staticmethod(refuse if where == "stream" else len)

    def progress(*_: object) -> None:
        if where == "progress":
            raise Full

    source = numpy.zeros(3 << 20, numpy.float32)
    kept = weakref.ref(source)
    with pytest.raises(Full):
        pywts.export({"x": source}, Stream() if where == "stream" else tmp_path / "x.wts", progress=progress)
    del source
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    "again",
    [lambda w: w.text(b"x"), lambda w: w.flush(), lambda w: w.lines([line()])],
    ids=["text", "flush", "lines"],
)
def test_a_callback_cannot_call_the_writer_that_calls_it(again: Callable[[Any], None]) -> None:
    def write(text: bytes) -> int:
        again(writer)
        return len(text)

    writer = _core.Writer(write)
    with pytest.raises(RuntimeError, match="in the midst of another call"):
        writer.lines([line()] * 100)


def test_lines_are_those_of_the_call_whatever_becomes_of_the_list() -> None:
    written = bytearray()
    others: list[bytes] = []

    def write(text: bytes) -> int:
        lines.clear()
        others.extend(b"y%04d 4096 " % index for index in range(1000))  # where the lines were
        written.extend(text)
        return len(text)

    writer = _core.Writer(write)
    lines = [line(b"x%04d 4096 " % index) for index in range(100)]
    expected = b"".join(text + pywts.encode(VALUES) + b"\n" for text, *_ in lines)
    writer.lines(lines)
    writer.flush()
    assert bytes(written) == expected


class Clearing:
    """An integer that empties a list when it is asked for its value."""

    def __init__(self, value: int, given: list[Any]) -> None:
        self.value = value
        self.given = given

    def __index__(self) -> int:
        self.given.clear()
        return self.value


def test_a_list_that_is_emptied_while_it_is_read_is_read_to_its_end() -> None:
    writer = _core.Writer(len)
    lines: list[Any] = []
    first = list(line())
    first[1] = Clearing(-1, lines)
    lines += [tuple(first), line(), line()]
    writer.lines(lines)
    writer.flush()
    assert writer.bytes == 3 * (len(b"x 4096 ") + 9 * 4096 + 1)


# ------------------------------------------------------------------------------------------------------------ values


def test_values_are_given_in_lists() -> None:
    """What a generator brings would be gone before it is used."""
    for function in (_core.checksums, _core.statistics):
        with pytest.raises(TypeError):
            function(values() for _ in range(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _core.compare(((values(), values()) for _ in range(3)), False)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [[None], [5], [object()]], ids=["None", "5", "object"])
def test_what_are_no_values_is_an_error(given: list[Any]) -> None:
    for function in (_core.checksums, _core.statistics):
        with pytest.raises((TypeError, RuntimeError, ValueError)):
            function(given)
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        _core.compare([(given[0], values())], False)
    with pytest.raises(ValueError, match="of one size"):
        _core.compare([(values(), values((8,)))], False)


@pytest.mark.parametrize(
    "shape",
    [(2**62,), (2**61, 2, 2), (2**32 + 1, 2**32), (2**32, 2**32), (2**63 // 9 + 1,)],
    ids=str,
)
@pytest.mark.parametrize("stride", [0, 1])
def test_a_view_of_more_values_than_64_bits_count_is_refused(shape: tuple[int, ...], stride: int) -> None:
    strides = (0,) * (len(shape) - 1) + (stride,)
    address, size = _core.address(VALUES)
    with pytest.raises(MemoryError):
        values(shape, strides)
    for function in (_core.encode, _core.memory_widened):
        with pytest.raises(MemoryError):
            function(address, size, "float32", False, False, 0, shape, strides)
    writer = _core.Writer(len)
    with pytest.raises(MemoryError):
        writer.lines([(b"x ", -1, address, 0, size, "float32", False, False, 0, shape, strides, None)])


def test_a_view_has_no_negative_sizes() -> None:
    with pytest.raises(ValueError, match="negative"):
        values((-1,))
    with pytest.raises(ValueError, match="negative"):
        values((2, -(2**62)), (1, 1))


def test_axes_of_one_step_cost_nothing_however_many() -> None:
    """Each would be a level of recursion."""
    ones = (1,) * 100_000
    view = values((*ones, 64, 64), (*ones, 1, 64))
    memory = bytearray(4 * 4095)
    view.read(1, 4096, memory)
    assert bytes(memory) == VALUES.reshape(64, 64).T.tobytes()[4:]
    assert _core.checksums([view]) == _core.checksums([values((64, 64), (1, 64))])


def test_a_view_without_values_may_have_any_other_size() -> None:
    view = values((2**40, 2**40, 0), (0, 0, 1))
    assert view.size == 0
    view.read(0, 0, bytearray())


# ------------------------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize("step", [2, -1])
def test_memory_with_gaps_is_refused(step: int) -> None:
    gaps = memoryview(bytearray(72))[::step]
    with pytest.raises(BufferError):
        _core.address(gaps)
    with pytest.raises(BufferError):
        _core.decode(gaps, bytearray(32))
    with pytest.raises(BufferError):
        values().read(0, gaps.nbytes // 4, gaps)


def test_memory_must_fit_the_values() -> None:
    view = values()
    for wrong in (bytearray(15), bytearray(17), bytearray(20), bytearray()):
        with pytest.raises(ValueError, match="as many bytes"):
            view.read(0, 4, wrong)
    with pytest.raises(ValueError, match="begin"):
        view.read(0, 4, memoryview(bytearray(17))[1:])
    with pytest.raises(BufferError):
        view.read(0, 4, bytes(16))
    for begin, end in ((5, 4), (0, 4097), (2**64 - 1, 2**64 - 1), (1, 0)):
        with pytest.raises(IndexError):
            view.read(begin, end, bytearray())


# ------------------------------------------------------------------------------------------------------------ pickles


def test_one_state_of_many_builds_is_looked_at_once() -> None:
    """A million times a million entries would take hours."""
    script = (
        "import struct\n"
        "from pywts import _core\n"
        "n = 1_000_000\n"
        "entries = b''.join(b'J' + struct.pack('<i', i) + b'N' for i in range(n))\n"
        "data = b'\\x80\\x02ca\\nb\\n}(' + entries + b'uq\\x00b' + b'h\\x00b' * n + b'.'\n"
        "print([use[::5] for use in _core.Survey(data, 0, 10**8, 10**8).uses()])\n"
    )
    done = python(script)
    assert (done.stdout.strip(), done.stderr) == ("[('import', 1), ('build', 1000001)]", "")


def test_a_view_that_reaches_outside_is_refused_before_it_is_cut() -> None:
    view = values((4, 5, 6), (-(2**60), 7, 0))
    assert view.size == 120
    with pytest.raises(_core.CoreError, match="out_of_bounds"):
        view.read(31, 100, bytearray(4 * 69))


def test_a_checked_span_longer_than_any_file_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(64))
    with (tmp_path / "short").open("rb") as file:
        spans = (0, 2**62, 5), (0, 2**63, 5), (2**64 - 1, 2**64 - 1, 5)
        for span, code in zip(spans, ("source_short", "out_of_bounds", "out_of_bounds"), strict=True):
            writer = _core.Writer(len)
            with pytest.raises(_core.CoreError, match=code):
                writer.lines([(b"x 1 ", file.fileno(), 0, 0, 64, "float32", False, False, 0, (1,), (1,), span)])


def test_a_checksum_of_a_long_file_can_be_interrupted(tmp_path: Path) -> None:
    script = (
        "import os, signal, tempfile\n"
        "from pywts import _core\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, stop)\n"
        f"with open({os.fspath(tmp_path / 'holes')!r}, 'wb+') as file:\n"
        "    file.truncate(1 << 43)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
        "    try:\n"
        "        _core.file_crc32(file.fileno(), 0, 1 << 43)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted')\n"
    )
    assert python(script).stdout == "interrupted\n"


# ------------------------------------------------------------------------------------------------------------ classes

STORAGE = ("label", "size", "file", "file_offset", "address", "owner", "load", "swapped", "entry")


def test_a_slot_of_another_class_is_none() -> None:
    """It would tell of a place that instances do not have."""
    wide = type("Wide", (), {"__slots__": tuple(f"s{i}" for i in range(100))})
    narrow = type("Narrow", (), {"__slots__": STORAGE})
    directory = _core.ArchiveDirectory(b"", 0, 0)
    tensor = pywts.tensor.Tensor
    _core.StoredStorages(directory, b"it/", "storage ", -1, False, {}, narrow, tensor)
    narrow.size = wide.s99  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no slot of its own"):
        _core.StoredStorages(directory, b"it/", "storage ", -1, False, {}, narrow, tensor)
