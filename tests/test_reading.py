"""The reader in Python: lazily, all at once, a text alone; what it refuses, and how it says so."""

from __future__ import annotations

import gc
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, save
from hypothesis import given
from hypothesis import strategies as st
from processes import python
from reference import fast_wts
from test_export import NAMES

import pywts
from pywts._core import Reader

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))
NAMED = {
    "a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "a.bias": numpy.array([1, -0.0, numpy.inf], numpy.float16),
    "a.steps": numpy.array(7, numpy.int64),
    "empty": numpy.zeros((0, 4), numpy.float32),
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A .wts with its sidecar."""
    pywts.export(NAMED, tmp_path / "m.wts", sidecar=True)
    return tmp_path / "m.wts"


def bits(array: Any) -> list[str]:
    """Every value's bits, as a .wts has them."""
    return [f"{value:08x}" for value in array.reshape(-1).view(numpy.uint32)]


# ------------------------------------------------------------------------------------------------------------- vectors


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    told = json.loads(path.read_text())
    wts = path.with_suffix(".wts")
    if "error" not in told:
        with pywts.open(wts, sidecar=False) as file:
            assert [(x.name, x.values, x.line, x.offset) for x in file.tensors] == [
                (x["name"], x["count"], x["line"], x["offset"]) for x in told["tensors"]
            ]
            for tensor in told["tensors"]:
                assert bits(file[tensor["name"]]) == tensor["bits"]
        loaded = pywts.load(wts, sidecar=False)
        assert {name: bits(array) for name, array in loaded.items()} == {x["name"]: x["bits"] for x in told["tensors"]}
        return
    with pytest.raises(pywts.WtsError) as caught:
        pywts.load(wts, sidecar=False)
    error = caught.value
    assert str(error).startswith(f"{wts}: ")
    expected = told["error"]
    assert (error.line, error.tensor) == (expected.get("line", 0), expected.get("tensor", ""))
    if error.line:
        assert error.offset == expected["offset"]
        assert f"line {error.line}, " in str(error)
        assert f"byte {error.offset}: " in str(error)


def test_there_are_vectors_of_both_kinds() -> None:
    kinds = ["error" in json.loads(path.read_text()) for path in VECTORS]
    assert kinds.count(True) > 20
    assert kinds.count(False) > 8


@given(
    named=st.dictionaries(
        NAMES, st.lists(st.integers(0, 2**32 - 1), max_size=40).map(lambda x: numpy.array(x, numpy.uint32)), min_size=1
    ),
    dialect=st.sampled_from(["double", "single"]),
)
def test_what_was_exported_is_read(
    tmp_path_factory: pytest.TempPathFactory, named: dict[str, Any], dialect: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "m.wts"
    pywts.export({name: value.view(numpy.float32) for name, value in named.items()}, path, dialect=dialect)
    loaded = pywts.load(path)
    assert list(loaded) == list(named)
    for name, value in named.items():
        signalling = (value & 0x7FFFFFFF) > 0x7F800000
        assert loaded[name].view(numpy.uint32).tolist() == (value | (signalling * numpy.uint32(1 << 22))).tolist()
        assert {line.dialect for line in pywts.open(path).tensors if line.values} <= {dialect}


# ------------------------------------------------------------------------------------------------------------- mapping


def test_mapping(written: Path) -> None:
    with pywts.open(written) as file:
        assert isinstance(file, Mapping)
        assert len(file) == 4
        assert list(file) == file.names == list(file.keys()) == list(NAMED)
        assert "a.weight" in file
        assert "b" not in file
        assert 3 not in file
        assert file.get("b") is None
        assert file.numel("a.weight") == 6
        for name, array in file.items():
            assert array.dtype == numpy.float32
            assert array.shape == NAMED[name].shape
            assert bits(array) == bits(NAMED[name].astype(numpy.float32))
        assert repr(file) == f"<WtsFile {written}: 4 tensors, 10 values>"
        assert file == file
        assert len({file}) == 1


def test_info_is_known_without_decoding(written: Path) -> None:
    file = pywts.open(written)
    info = file.info("a.bias")
    assert (info.name, info.values, info.shape, info.dtype, info.line) == ("a.bias", 3, (3,), "float16", 3)
    assert written.read_bytes()[info.offset - 1 :].startswith(b" 3f800000 80000000 7f800000")
    assert file.tensors[1] == info
    assert [tensor.dtype for tensor in file.tensors] == ["float32", "float16", "int64", "float32"]


def test_arrays_are_new_and_writable(written: Path) -> None:
    file = pywts.open(written)
    file["a.weight"][:] = 9
    assert file["a.weight"].max() == 5
    file.close()
    loaded = pywts.load(written)
    loaded["a.weight"][:] = 9
    loaded["a.bias"][:] = 8
    assert [loaded[name].tolist() for name in ("a.weight", "a.bias", "a.steps")] == [[[9] * 3] * 2, [8] * 3, 7]
    assert pywts.load(written)["a.weight"].max() == 5


def test_without_a_sidecar_arrays_are_flat(written: Path) -> None:
    assert pywts.load(written, sidecar=False)["a.weight"].shape == (6,)
    os.unlink(f"{written}.json")
    with pywts.open(written) as file:
        assert file.sidecar is None
        assert file["a.weight"].shape == (6,)
        assert file["a.steps"].shape == (1,)
        assert file.info("a.weight").shape is None


@pytest.mark.parametrize("as_given", [str, os.fsencode, Path], ids=["str", "bytes", "Path"])
def test_paths_of_every_kind(as_given: Any, written: Path) -> None:
    assert pywts.load(as_given(written))["a.weight"].shape == (2, 3)
    assert pywts.open(as_given(written)).path == str(written)


def test_missing_name_is_a_key_error_with_near_names(written: Path) -> None:
    file = pywts.open(written)
    for ask in (file.__getitem__, file.info, file.numel):
        with pytest.raises(KeyError) as caught:
            ask("a.wieght")
        assert isinstance(caught.value, pywts.MissingTensorError)
        assert isinstance(caught.value, pywts.WtsError)
        assert str(caught.value) == f"{written}: has no tensor a.wieght; there is a.weight"
        assert caught.value.tensor == "a.wieght"
    with pytest.raises(pywts.MissingTensorError, match=r"has no tensor zzzzzzzzzzzz$"):
        file["zzzzzzzzzzzz"]
    with pytest.raises(KeyError):
        file["\udcff\ud800"]


def test_closed_file_says_so(written: Path) -> None:
    with pywts.open(written) as file:
        kept = file["a.weight"]
    for name in file:  # of which one is empty
        with pytest.raises(pywts.WtsError, match="was closed"):
            file[name]
    assert kept.tolist() == NAMED["a.weight"].tolist()
    assert len(file) == 4
    file.close()


def test_one_tensor_is_read_and_no_other(tmp_path: Path) -> None:
    """Of 90 MB of text, some kilobytes: what lies between is not even looked at."""
    storage = Storage("float8_e4m3fn", zeros=10_000_000)
    large = Tensor(storage, (10_000_000,), (1,))
    small = Tensor(storage, (100,), (1,))
    path = save(tmp_path / "m.pt", {f"t{i}": small if i % 2 else large for i in range(3)})
    pywts.export(path)
    wts = tmp_path / "m.wts"
    with wts.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"damage")
    script = (
        "import sys, pywts, numpy\n"
        "def read(): return int(open('/proc/self/io').read().split()[1])\n"
        "pywts.open(sys.argv[1])['t1']\n"
        "before = read()\n"
        "file = pywts.open(sys.argv[1])\n"
        "assert file['t1'].tolist() == [0] * 100\n"
        "print(read() - before)\n"
        "try: file['t0']\n"
        "except pywts.WtsError as error: print(error)\n"
    )
    found = python(script, wts)
    assert found.returncode == 0, found.stderr
    count, message = found.stdout.splitlines()
    assert int(count) < 200_000
    assert message.startswith(f'{wts}: line 2, tensor "t0", byte ')


def test_threads_read_one_file(written: Path) -> None:
    file = pywts.open(written)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append([file["a.weight"].tolist() for _ in range(200)])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[NAMED["a.weight"].tolist()] * 200] * 8


def test_many_blocks(tmp_path: Path) -> None:
    """More than one block of memory, and tensors at both sides of its end."""
    rng = numpy.random.default_rng(0)
    named = {f"t{i}": rng.integers(0, 100, 1_700_003).astype(numpy.float32) for i in range(12)}
    (tmp_path / "m.wts").write_bytes(fast_wts(named))
    loaded = pywts.load(tmp_path / "m.wts")
    for name, value in named.items():
        assert numpy.array_equal(loaded[name], value)
    del loaded["t3"]
    assert loaded["t4"].size == 1_700_003


@pytest.mark.parametrize("kernel", [kernel.name for kernel in pywts.kernels()])
def test_kernels_agree(kernel: str, written: Path) -> None:
    if not next(known.supported for known in pywts.kernels() if known.name == kernel):
        pytest.skip(f"kernel {kernel} is not on this processor")
    found = python(
        "import os, sys; os.environ['PYWTS_KERNEL'] = sys.argv[2]\nimport pywts\n"
        "print({name: array.tolist() for name, array in pywts.load(sys.argv[1]).items()})",
        written,
        kernel,
    )
    assert found.stdout.strip() == str({name: array.tolist() for name, array in pywts.load(written).items()})


# -------------------------------------------------------------------------------------------------------------- errors


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(pywts.WtsError, match=r"none.wts: No such file or directory$"):
        pywts.open(tmp_path / "none.wts")
    with pytest.raises(pywts.WtsError, match="is a folder"):
        pywts.load(tmp_path)


def test_checkpoint_is_told_from_a_wts(sample: Path) -> None:
    with pytest.raises(pywts.WtsError, match=r"this is no .wts but a zip archive"):
        pywts.open(sample)


def test_cut_file_is_an_error(written: Path) -> None:
    text = written.read_bytes()
    for size in range(len(text) - 2):  # "empty 0" is whole without its space
        written.write_bytes(text[:size])
        with pytest.raises(pywts.WtsError):
            pywts.load(written, sidecar=False)


def test_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    pywts.export({"w": numpy.zeros(100_000, numpy.float32)}, tmp_path / "m.wts")
    with pywts.open(tmp_path / "m.wts") as file:
        os.truncate(tmp_path / "m.wts", 1000)
        with pytest.raises(pywts.WtsError, match="the file ends here") as caught:
            file["w"]
    assert (caught.value.line, caught.value.tensor) == (2, "w")


def test_pipe_is_read(written: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(written.read_bytes()))
    feeder.start()
    loaded = pywts.load(tmp_path / "pipe")
    feeder.join()
    assert loaded["a.weight"].tolist() == [0, 1, 2, 3, 4, 5]


def test_pipe_that_is_silent_can_be_interrupted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    script = (
        "import os, pywts, signal\n"
        f"pipe = {os.fspath(tmp_path / 'pipe')!r}\n"
        "writer = os.open(pipe, os.O_RDWR)\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, stop)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.5)\n"
        "try:\n"
        "    pywts.load(pipe)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    assert python(script).stdout == "interrupted\n"


def test_values_of_a_pipe_outlive_its_reader(written: Path) -> None:
    text = written.read_bytes()
    reader = Reader(b"pipe", text[:-1] + text[-1:])
    values = reader.values(0)
    del reader, text
    gc.collect()
    memory = bytearray(4 * values.size)
    values.read(0, values.size, memory)
    assert bytes(memory) == pywts.load(written, sidecar=False)["a.weight"].tobytes()


def test_name_that_is_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "m.wts").write_bytes(b"1\n\xff\xfe.w 1  3f800000\n")
    file = pywts.open(tmp_path / "m.wts")
    assert file.names == ["\udcff\udcfe.w"]
    assert file["\udcff\udcfe.w"].tolist() == [1]


def test_unknown_kernel_is_an_option_error(written: Path) -> None:
    found = python(
        "import os, sys; os.environ['PYWTS_KERNEL'] = 'abacus'\nimport pywts\n"
        "for call in (lambda: pywts.load(sys.argv[1]), lambda: pywts.decode(b' 00000000')):\n"
        "    try: call()\n"
        "    except pywts.OptionError as error: print(error)\n",
        written,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count('no kernel "abacus"; this build has ') == 2


# -------------------------------------------------------------------------------------------------------------- decode


@given(st.lists(st.integers(0, 2**32 - 1), max_size=300))
def test_decode_is_the_inverse_of_encode(values: list[int]) -> None:
    text = "".join(f" {value:08x}" for value in values).encode()
    for given_text in (text, text.upper(), bytearray(text), memoryview(text)):
        assert pywts.decode(given_text).view(numpy.uint32).tolist() == values
    array = numpy.array(values, numpy.uint32).view(numpy.float32)
    quiet = [value | (1 << 22 if (value & 0x7FFFFFFF) > 0x7F800000 else 0) for value in values]
    assert pywts.decode(pywts.encode(array)).view(numpy.uint32).tolist() == quiet


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"3f800000 ", "value 0, byte 0: b'3' is no space"),
        (b" 3f80000", "the text ends within value 0: it has 8 bytes"),
        (b" 3f800000 3f8", "the text ends within value 1: it has 13 bytes"),
        (b" 3f80000g", "value 0, byte 8: b'g' is no hex digit"),
        (b" 3f800000\n3f800000", r"value 1, byte 9: b'\\n' is no space"),
        (b" 3f800000" * 500 + b" 3f80000\xb5", r"value 500, byte 4508: b'\\xb5' is no hex digit"),
        (b"\n", r"value 0, byte 0: b'\\n' is no space"),
    ],
    ids=range(7),
)
def test_decode_refuses_anything_else(text: bytes, message: str) -> None:
    with pytest.raises(pywts.WtsError, match=message):
        pywts.decode(text)


@given(st.integers(0, 999), st.integers(0, 255))
def test_decode_finds_any_wrong_byte(place: int, byte: int) -> None:
    text = bytearray(b" 0a1B2c3D" * 112)
    text[place] = byte
    allowed = b" " if place % 9 == 0 else b"0123456789abcdefABCDEF"
    if byte in allowed:
        assert pywts.decode(text).size == 112
        return
    with pytest.raises(pywts.WtsError, match=f"^value {place // 9}, byte {place}: "):
        pywts.decode(text)


def test_decode_reads_a_view_with_gaps_as_the_bytes_it_has() -> None:
    text = pywts.encode(numpy.array([1.5, -2.0], numpy.float32))
    spread = memoryview(bytes(byte for each in text for byte in (each, 0)))
    assert pywts.decode(spread[::2]).tolist() == [1.5, -2.0]
    assert pywts.decode(memoryview(text[::-1])[::-1]).tolist() == [1.5, -2.0]
    with pytest.raises(pywts.WtsError, match=r"value 0, byte 0: b'\\x00' is no space"):
        pywts.decode(spread[1::2])


def test_decode_takes_nothing_but_bytes() -> None:
    with pytest.raises(TypeError):
        pywts.decode(" 3f800000")  # type: ignore[arg-type]
    assert pywts.decode(b"").shape == (0,)
