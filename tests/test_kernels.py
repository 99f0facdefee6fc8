"""Every kernel of this machine, every dtype, every tail length, every special value: as the struct loop has it."""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from checkpoints import save, tensor
from hypothesis import given
from hypothesis import strategies as st
from kernel_server import KernelServer
from processes import environment, python, run
from reference import DECODERS, DTYPES, item_size, of_bytes, reference_values, reference_wts

import pywts
from pywts import _core

KERNELS = {
    "x86_64": ("avx512", "avx2", "scalar"),
    "AMD64": ("avx512", "avx2", "scalar"),
    "aarch64": ("neon", "scalar"),
    "arm64": ("neon", "scalar"),
}.get(platform.machine(), ("scalar",))

SPECIAL_FLOAT32 = [
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x3F800000, 0xBF800000,
    0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFF800001, 0x7FBFFFFF, 0xFFBFFFFF, 0x7FC00000,
    0xFFC00000, 0x7FFFFFFF, 0xFFFFFFFF, 0x01234567, 0x89ABCDEF, 0xFEDCBA98, 0x0000000A, 0xA0000000,
]  # fmt: skip
SPECIAL_FLOAT16 = [
    0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7C01,
    0xFC01, 0x7DFF, 0xFDFF, 0x7E00, 0xFE00, 0x7FFF, 0xFFFF,
]  # fmt: skip
SPECIAL_BFLOAT16 = [bits >> 16 for bits in SPECIAL_FLOAT32] + [0x7F81, 0xFF81, 0x7FBF, 0x7FC0, 0x0001, 0x8001]
SPECIAL_FLOAT64 = [
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000001, 0x000FFFFFFFFFFFFF,
    0x36A0000000000000, 0x36A0000000000001, 0x3690000000000000, 0x3690000000000001, 0x380FFFFFE0000000,
    0x380FFFFFF0000000, 0x3810000000000000, 0x3FF0000010000000, 0x3FF0000010000001, 0x3FF0000030000000,
    0x47EFFFFFE0000000, 0x47EFFFFFEFFFFFFF, 0xC7EFFFFFEFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000,
    0x7FF0000000000001, 0xFFF0000000000001, 0x7FF4000000000000, 0x7FF8000000000000, 0xFFFFFFFFFFFFFFFF,
    0x7FF0000020000000, 0x7FFDEADBEEF12345,
]  # fmt: skip
SPECIAL_INTEGERS = [
    0,
    1,
    -1,
    2**24 - 1,
    2**24,
    2**24 + 1,
    2**53 + 1,
    1152921573326323713,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
]


def special_bits(dtype: str) -> list[int]:
    """The bit patterns that widening and encoding stumble over."""
    width = 8 * item_size(dtype)
    if width == 8:
        return [0, 1] if dtype == "bool" else list(range(256))
    known = {"float32": SPECIAL_FLOAT32, "float16": SPECIAL_FLOAT16, "bfloat16": SPECIAL_BFLOAT16}
    if dtype == "float64":
        return SPECIAL_FLOAT64
    edges = [value % (1 << width) for value in SPECIAL_INTEGERS]
    return known.get(dtype, [*edges, (1 << width) - 1, 1 << (width - 1), (1 << (width - 1)) - 1])


def overflows(bits: int) -> bool:
    """Whether a float64 is finite and beyond float32."""
    value = abs(struct.unpack("<d", struct.pack("<Q", bits))[0])
    return value != float("inf") and value >= 3.4028235677973366e38


def bits_of(dtype: str) -> st.SearchStrategy[int]:
    """Any bits of a dtype, special ones often; no float64 that float32 cannot hold."""
    if dtype == "bool":
        return st.integers(0, 1)
    width = 8 * item_size(dtype)
    anything = st.one_of(st.sampled_from(special_bits(dtype)), st.integers(0, (1 << width) - 1))
    return anything.filter(lambda bits: not overflows(bits)) if dtype == "float64" else anything


def packed(dtype: str, bits: list[int]) -> bytes:
    """Elements in native order."""
    return numpy.array(bits, f"u{item_size(dtype)}").tobytes()


def expected(dtype: str, data: bytes) -> bytes:
    """What the loop writes."""
    values = of_bytes(dtype, data)
    return reference_values([values.decode(b) for b in values.bits.tolist()] if dtype in DECODERS else values).encode()


@pytest.fixture(scope="module", params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Iterator[KernelServer]:
    usable = dict(_core.kernels())
    if not usable.get(request.param, True):
        pytest.skip(f"kernel {request.param} was NOT TESTED: this processor cannot run it")
    server = KernelServer(request.param)
    yield server
    server.close()


def test_build_has_every_kernel_of_its_architecture() -> None:
    assert tuple(name for name, _ in _core.kernels()) == KERNELS


@pytest.mark.parametrize("dtype", DTYPES)
def test_tails_of_every_length(kernel: KernelServer, dtype: str, seed: int) -> None:
    """All lengths up to several blocks of the widest kernel, special values at every place of a block."""
    rng = numpy.random.default_rng(seed)
    specials = [bits for bits in special_bits(dtype) if dtype != "float64" or not overflows(bits)]
    data = packed(dtype, rng.choice(numpy.array(specials, f"u{item_size(dtype)}"), 230).tolist())
    text = expected(dtype, data)
    for length in range(231):
        assert kernel.encode(dtype, data[: length * item_size(dtype)]) == text[: 9 * length], length


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_any_values(kernel: KernelServer, dtype: str, data: st.DataObject) -> None:
    bits = data.draw(st.lists(bits_of(dtype), max_size=200))
    encoded = packed(dtype, bits)
    assert kernel.encode(dtype, encoded) == expected(dtype, encoded)


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if item_size(dtype) <= 2 and dtype != "bool"])
def test_every_pattern_of_a_small_dtype(kernel: KernelServer, dtype: str) -> None:
    data = packed(dtype, list(range(1 << (8 * item_size(dtype)))))
    assert kernel.encode(dtype, data) == expected(dtype, data)


def test_bytes_of_a_bool_are_zero_or_one(kernel: KernelServer) -> None:
    data = bytes(range(256))
    assert kernel.encode("bool", data) == b" 00000000" + 255 * b" 3f800000"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int64", "uint8"])
@pytest.mark.parametrize("length", [4095, 4096, 4097, 65_535, 131_073])
def test_lengths_around_the_chunks(kernel: KernelServer, dtype: str, length: int, seed: int) -> None:
    rng = numpy.random.default_rng(seed)
    values = rng.integers(0, 255, length) if dtype == "uint8" else rng.standard_normal(length) * 1e4
    if dtype == "bfloat16":
        data = (values.astype("f4").view("u4") >> 16).astype("u2").tobytes()
    else:
        data = values.astype(dtype).tobytes()
    assert kernel.encode(dtype, data) == expected(dtype, data)


@pytest.mark.parametrize("misaligned", [1, 2, 3, 5, 31, 63])
def test_memory_that_is_not_aligned(kernel: KernelServer, misaligned: int) -> None:
    """Views that begin at any byte: bytes objects begin at a multiple of 16, so the view's offset decides."""
    data = packed("uint8", list(range(256)) * 2)
    for dtype in ("uint8", "int8", "float8_e4m3fn"):
        text = expected(dtype, data)[9 * misaligned : 9 * (misaligned + 300)]
        assert kernel.encode(dtype, data, (300,), (1,), misaligned) == text
    floats = packed("float32", SPECIAL_FLOAT32 * 8)
    assert (
        kernel.encode("float32", floats, (140,), (1,), misaligned)
        == (expected("float32", floats)[9 * misaligned : 9 * (misaligned + 140)])
    )


def test_unaligned_numpy_arrays() -> None:
    raw = numpy.zeros(4 * 300 + 1, numpy.uint8)
    view = raw[1:].view("<f4")
    view[:] = numpy.arange(300, dtype="f4") / 7
    assert not view.flags.aligned
    assert pywts.encode(view) == reference_values(view).encode()


def test_signalling_nans_are_quieted_wherever_they_stand(kernel: KernelServer) -> None:
    """A NaN in every position of a block, alone: no vector may forget a lane."""
    for place in range(200):
        bits = [0x3F800000] * 200
        bits[place] = 0xFF812345
        text = kernel.encode("float32", packed("float32", bits))
        assert text == b" 3f800000" * place + b" ffc12345" + b" 3f800000" * (199 - place), place


@pytest.mark.parametrize("name", KERNELS)
def test_export_by_every_kernel(name: str, tmp_path: Path, seed: int) -> None:
    """A whole file of every dtype, larger than the writer's blocks, so that values and lines cross their ends."""
    if not dict(_core.kernels()).get(name, True):
        pytest.skip(f"kernel {name} was NOT TESTED: this processor cannot run it")
    rng = numpy.random.default_rng(seed)
    named = {}
    for index, dtype in enumerate(DTYPES):
        specials = [bits for bits in special_bits(dtype) if dtype != "float64" or not overflows(bits)]
        bits = rng.choice(numpy.array(specials, f"u{item_size(dtype)}"), 40_000 + 17 * index)
        named[f"layer.{dtype}"] = of_bytes(dtype, bits.tobytes())
    path = save(tmp_path / "m.pt", {name: tensor(value) for name, value in named.items()})
    found = run("export", path, "--quiet", env=environment(PYWTS_KERNEL=name))
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(named)


def test_forced_kernel_is_the_active_one() -> None:
    for name, usable in _core.kernels():
        if usable:
            found = run("kernels", env=environment(PYWTS_KERNEL=name))
            assert found.returncode == 0
            assert [line.split()[0] for line in found.stdout.splitlines() if "in use" in line] == [name]


def test_best_supported_kernel_is_the_default() -> None:
    active = [kernel.name for kernel in pywts.kernels() if kernel.active]
    assert active == [next(name for name, usable in _core.kernels() if usable)]


@pytest.mark.parametrize("name", ["no-such", "AVX2", "avx", " "])
def test_unknown_kernel_is_an_error_that_lists_the_known_ones(name: str) -> None:
    script = (
        "import pywts, pytest\n"
        "for _ in range(2):\n"
        "    for call in (pywts.kernels, lambda: pywts.encode(pywts_array)):\n"
        "        with pytest.raises(pywts.OptionError, match='no kernel of this build.*scalar'): call()\n"
    )
    script = script.replace("pywts_array", "__import__('numpy').zeros(3)")
    found = python(script, env=environment(PYWTS_KERNEL=name))
    assert found.returncode == 0, found.stderr
    listed = run("kernels", env=environment(PYWTS_KERNEL=name))
    assert listed.returncode == 2
    assert "PYWTS_KERNEL" in listed.stderr


def test_kernel_that_this_processor_lacks_is_an_error() -> None:
    lacking = [name for name, usable in _core.kernels() if not usable]
    if not lacking:
        pytest.skip("this processor can run every kernel of this build")
    found = run("kernels", env=environment(PYWTS_KERNEL=lacking[0]))
    assert found.returncode == 2
    assert "this processor cannot run" in found.stderr
