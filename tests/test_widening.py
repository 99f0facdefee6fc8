"""Any dtype to float32: the rules that are easily got wrong, each by its bits."""

from __future__ import annotations

import ctypes
import platform
import struct
from pathlib import Path

import numpy
import pytest
from checkpoints import Storage, save, tensor
from checkpoints import Tensor as View
from reference import DECODERS, Foreign, reference_values, reference_wts

import pywts
from pywts.tensor import Tensor, memory_storage


def encoded(dtype: str, *bits: int) -> list[str]:
    """The digits that elements of these bits become."""
    size = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}.get(dtype, 1)
    data = numpy.array(bits, f"u{size}").tobytes()
    return pywts.encode(Tensor("t", dtype, (len(bits),), (1,), 0, memory_storage("given", data))).decode().split()


# ------------------------------------------------------------------------------------------------------------ NaNs


@pytest.mark.parametrize(
    ("dtype", "bits", "digits"),
    [
        ("float32", 0x7F800001, "7fc00001"),
        ("float32", 0xFF800001, "ffc00001"),
        ("float32", 0x7FBFFFFF, "7fffffff"),
        ("float32", 0x7FC00000, "7fc00000"),
        ("float32", 0xFFFFFFFF, "ffffffff"),
        ("float16", 0x7C01, "7fc02000"),
        ("float16", 0xFC01, "ffc02000"),
        ("float16", 0x7DFF, "7fffe000"),
        ("float16", 0x7E00, "7fc00000"),
        ("bfloat16", 0x7F81, "7fc10000"),
        ("bfloat16", 0xFFBF, "ffff0000"),
        ("bfloat16", 0x7FC0, "7fc00000"),
        ("float64", 0x7FF0000000000001, "7fc00000"),
        ("float64", 0xFFF0000000000001, "ffc00000"),
        ("float64", 0x7FF0000020000000, "7fc00001"),
        ("float64", 0x7FF8000000000000, "7fc00000"),
        ("float64", 0xFFFFFFFFFFFFFFFF, "ffffffff"),
        ("float8_e4m3fn", 0x7F, "7ff00000"),
        ("float8_e4m3fn", 0xFF, "fff00000"),
        ("float8_e5m2", 0x7D, "7fe00000"),
        ("float8_e5m2", 0xFD, "ffe00000"),
        ("float8_e4m3fnuz", 0x80, "7fc00001"),
        ("float8_e5m2fnuz", 0x80, "7fc00001"),
        ("float8_e8m0fnu", 0xFF, "7fc00001"),
    ],
)
def test_nan_keeps_sign_and_payload_and_becomes_quiet(dtype: str, bits: int, digits: str) -> None:
    assert encoded(dtype, bits) == [digits]


def test_infinities_and_zeros_keep_their_sign() -> None:
    assert encoded("float16", 0x7C00, 0xFC00, 0x0000, 0x8000) == ["7f800000", "ff800000", "00000000", "80000000"]
    assert encoded("bfloat16", 0x7F80, 0xFF80, 0x0000, 0x8000) == ["7f800000", "ff800000", "00000000", "80000000"]
    assert encoded("float8_e5m2", 0x7C, 0xFC, 0x00, 0x80) == ["7f800000", "ff800000", "00000000", "80000000"]
    assert encoded("float8_e4m3fn", 0x00, 0x80) == ["00000000", "80000000"]
    assert encoded("float64", 0x7FF << 52, 0xFFF << 52, 0, 1 << 63) == ["7f800000", "ff800000", "00000000", "80000000"]


def test_subnormals_are_exact() -> None:
    assert encoded("float32", 0x00000001, 0x807FFFFF) == ["00000001", "807fffff"]
    assert encoded("float16", 0x0001, 0x83FF) == ["33800000", "b87fc000"]
    assert encoded("bfloat16", 0x0001, 0x8001) == ["00010000", "80010000"]
    assert encoded("float8_e4m3fn", 0x01) == ["3b000000"]
    assert encoded("float8_e4m3fnuz", 0x01) == ["3a800000"]
    assert encoded("float8_e5m2", 0x01) == ["37800000"]
    assert encoded("float8_e5m2fnuz", 0x01) == ["37000000"]
    assert encoded("float8_e8m0fnu", 0x00) == ["00400000"]  # 2^-127


# --------------------------------------------------------------------------------------------------------- float64


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (1 + 2**-24, "3f800000"),  # a tie: to even, down
        (1 + 3 * 2**-24, "3f800002"),  # a tie: to even, up
        (1 + 2**-24 + 2**-52, "3f800001"),
        (3.4028235677973362e38, "7f7fffff"),  # the last that does not overflow
        (2**-149, "00000001"),
        (2**-150, "00000000"),  # a tie: to even
        (2**-150 * (1 + 2**-52), "00000001"),
        (-(2**-151), "80000000"),
        (2**-126 - 2**-150, "00800000"),  # a subnormal that rounds up to a normal number
        (5e-324, "00000000"),
    ],
)
def test_float64_rounds_to_nearest_even(value: float, digits: str) -> None:
    assert pywts.encode(numpy.array([value])).decode().split() == [digits]
    assert reference_values([value]) == f" {digits}"


@pytest.mark.parametrize("value", [3.4028235677973366e38, -3.4028235677973366e38, 1e39, -1.7976931348623157e308])
@pytest.mark.parametrize("place", [0, 1, 63, 64, 4095, 4096, 4999])
def test_float64_that_overflows_is_refused_by_tensor_and_index(value: float, place: int, tmp_path: Path) -> None:
    values = numpy.zeros(5000)
    values[place] = value
    values[4999] = value  # only the first one is named
    with pytest.raises(pywts.TensorError, match=rf"value {place} is finite in float64 and overflows float32"):
        pywts.encode(values)
    target = tmp_path / "m.wts"
    shape = values.reshape(50, 100)
    for source in ({"fine": shape * 0, "head.bias": shape}, save(tmp_path / "m.pt", {"head.bias": tensor(shape)})):
        with pytest.raises(pywts.TensorError, match=rf"head\.bias, value {place}: .*overflows float32; clip it"):
            pywts.export(source, target)
    assert not target.exists()
    with pytest.raises(OverflowError):
        reference_wts({"head.bias": shape})


def test_index_of_an_overflow_counts_in_c_order_of_the_shape() -> None:
    values = numpy.zeros((3, 4))
    values[2, 1] = 1e300
    with pytest.raises(pywts.TensorError, match="value 9 is"):
        pywts.encode(values)
    with pytest.raises(pywts.TensorError, match="value 5 is"):
        pywts.encode(values.T)
    with pytest.raises(pywts.TensorError, match="value 2 is"):
        pywts.encode(values[::-1, ::-1])


def test_first_value_that_overflows_is_named_however_the_work_is_shared(tmp_path: Path) -> None:
    """Large enough for two threads: the second half holds one too, and in many small tensors so do later ones."""
    large = numpy.zeros(1_500_000)
    large[[700_123, 1_400_000]] = 1e200
    small = {f"t{i}": numpy.full(20, 1e200 if i in (9_000, 20_000) else 0.0) for i in range(25_000)}
    shared = Storage("float64", b"".join(value.tobytes() for value in small.values()))
    sources = {
        "large in memory": ({"fine": numpy.zeros(9), "x": large}, "x, value 700123"),
        "large in a file": (
            save(tmp_path / "large.pt", {"fine": tensor(numpy.zeros(9)), "x": tensor(large)}),
            "x, value 700123",
        ),
        "many in memory": (small, "t9000, value 0"),
        "many in a file": (
            save(tmp_path / "many.pt", {f"t{i}": View(shared, (20,), (1,), 20 * i) for i in range(25_000)}),
            "t9000, value 0",
        ),
    }
    for kind, (source, place) in sources.items():
        for _ in range(2):
            with pytest.raises(pywts.TensorError, match=f"{place}: is finite in float64") as caught:
                pywts.export(source, tmp_path / "m.wts")
            assert caught.value, kind
    assert not (tmp_path / "m.wts").exists()


# -------------------------------------------------------------------------------------------------------- integers


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (1152921573326323713, "5d800000"),  # once would give 5d800001
        (2**24 + 1, "4b800000"),
        (2**24 + 3, "4b800002"),
        (2**53 + 1, "5a000000"),
        (-(2**63), "df000000"),
        (2**63 - 1, "5f000000"),
    ],
)
def test_int64_is_rounded_twice_through_double(value: int, digits: str) -> None:
    assert struct.pack(">f", float(value)).hex() == digits
    assert pywts.encode(numpy.array([value], numpy.int64)).decode().split() == [digits]


@pytest.mark.parametrize(
    ("value", "digits"), [(1152921573326323713, "5d800000"), (2**64 - 1, "5f800000"), (2**63 + 1, "5f000000")]
)
def test_uint64_is_rounded_twice_through_double(value: int, digits: str) -> None:
    assert struct.pack(">f", float(value)).hex() == digits
    assert pywts.encode(numpy.array([value], numpy.uint64)).decode().split() == [digits]


def test_double_rounding_is_that_of_the_loop_around_every_power_of_two() -> None:
    edges = [
        2**power + sign * 2**low + more
        for power in range(54, 63)
        for low in (power - 25, power - 24, power - 53, power - 54)
        if low >= 0
        for sign in (1, -1)
        for more in (-1, 0, 1)
    ]
    for dtype in (numpy.int64, numpy.uint64):
        values = numpy.array(edges, dtype)
        assert pywts.encode(values) == reference_values(values).encode()
    values = -numpy.array(edges, numpy.int64)
    assert pywts.encode(values) == reference_values(values).encode()


# ---------------------------------------------------------------------------------------------------------- tables


def test_float8_e4m3fn_table() -> None:
    known = {0x08: 2**-6, 0x07: 0.875 * 2**-6, 0x38: 1.0, 0x3C: 1.5, 0x7E: 448.0, 0xFE: -448.0, 0xB8: -1.0}
    assert encoded("float8_e4m3fn", *known) == reference_values(known.values()).split()


def test_float8_e4m3fnuz_table() -> None:
    known = {0x08: 2**-7, 0x07: 0.875 * 2**-7, 0x40: 1.0, 0x7F: 240.0, 0xFF: -240.0}
    assert encoded("float8_e4m3fnuz", *known) == reference_values(known.values()).split()


def test_float8_e5m2_table() -> None:
    known = {0x04: 2**-14, 0x03: 0.75 * 2**-14, 0x3C: 1.0, 0x7B: 57344.0, 0xFB: -57344.0}
    assert encoded("float8_e5m2", *known) == reference_values(known.values()).split()


def test_float8_e5m2fnuz_table() -> None:
    known = {0x04: 2**-15, 0x03: 0.75 * 2**-15, 0x40: 1.0, 0x7F: 57344.0, 0xFF: -57344.0}
    assert encoded("float8_e5m2fnuz", *known) == reference_values(known.values()).split()


def test_float8_e8m0fnu_table() -> None:
    known = {0x01: 2.0**-126, 0x7F: 1.0, 0x80: 2.0, 0xFE: 2.0**127}
    assert encoded("float8_e8m0fnu", *known) == reference_values(known.values()).split()


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DECODERS)
def test_decoders_agree_with_torch(dtype: str) -> None:
    """All patterns that are no NaN; NaNs too, once they are quiet, where torch widens them as one value."""
    import torch

    if not hasattr(torch, dtype):
        pytest.skip(f"this torch has no {dtype}")
    count = 1 << 16 if dtype == "bfloat16" else 256
    bits = numpy.arange(count, dtype=numpy.uint16 if dtype == "bfloat16" else numpy.uint8)
    values = torch.from_numpy(bits).view(getattr(torch, dtype))
    widened = torch.cat([value.float().reshape(1) for value in values]) if count == 256 else values.float()
    ours = numpy.frombuffer(bytes.fromhex(pywts.encode(values).decode()), ">f4")
    numpy.testing.assert_array_equal(ours, widened.numpy())
    assert (numpy.signbit(ours) == numpy.signbit(widened.numpy())).all()
    assert pywts.encode(values) == reference_values(map(Foreign(dtype, bits).decode, bits.tolist())).encode()


# ----------------------------------------------------------------------------------------- floating-point environment


@pytest.mark.torch
def test_float16_subnormals_survive_flush_denormal() -> None:
    import torch

    values = torch.arange(0, 0x500, dtype=torch.int16).view(torch.float16)
    plain = pywts.encode(values)
    doubles = torch.tensor([2**-140, 2**-149, -(2**-130)], dtype=torch.float64)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        flushed = pywts.encode(values)
        small = pywts.encode(doubles).decode().split()
        still_on = bool((torch.tensor([1e-40]) * 1.0 == 0).all())
    finally:
        torch.set_flush_denormal(False)
    assert still_on, "the caller's own setting must come back"
    assert flushed == plain == reference_values(values.numpy()).encode()
    assert small == ["00000200", "00000001", "80080000"]


@pytest.mark.torch
def test_flush_denormal_does_not_change_an_export(tmp_path: Path) -> None:
    """Large enough for the second thread, so that whichever thread widens is asked."""
    import torch

    values = torch.arange(0, 0x400, dtype=torch.int16).view(torch.float16).repeat(1000)
    torch.save({"w": values, "d": torch.full((600_000,), 2**-149, dtype=torch.float64)}, tmp_path / "m.pt")
    pywts.export(tmp_path / "m.pt", tmp_path / "plain.wts")
    assert torch.set_flush_denormal(True) is not None
    try:
        pywts.export(tmp_path / "m.pt", tmp_path / "flushed.wts")
    finally:
        torch.set_flush_denormal(False)
    assert (tmp_path / "flushed.wts").read_bytes() == (tmp_path / "plain.wts").read_bytes()


_TOWARD = {
    "x86_64": {"down": 0x400, "up": 0x800, "zero": 0xC00},
    "aarch64": {"down": 2 << 22, "up": 1 << 22, "zero": 3 << 22},
}


@pytest.mark.skipif(platform.machine() not in _TOWARD, reason="the modes of this processor are not written here")
@pytest.mark.parametrize("direction", ["down", "up", "zero"])
def test_rounding_mode_of_the_caller_does_not_matter(direction: str) -> None:
    doubles = numpy.array([1 + 2**-24 + 2**-40, 1 + 2**-24 - 2**-40, -1 - 2**-25, 1e-46, -1e-46, 0.1])
    integers = numpy.array([2**24 + 1, 2**62 + 2**37 + 1, -(2**62) - 2**37 + 1, 1152921573326323713], numpy.int64)
    expected = reference_values(doubles) + reference_values(integers)
    library = ctypes.CDLL("libm.so.6")
    before = library.fegetround()
    assert library.fesetround(_TOWARD[platform.machine()][direction]) == 0
    try:
        text = pywts.encode(doubles) + pywts.encode(integers)
        after = library.fegetround()
    finally:
        library.fesetround(before)
    assert text.decode() == expected
    assert after == _TOWARD[platform.machine()][direction]
