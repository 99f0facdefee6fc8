"""The figures of values, against NumPy's in float64 over the values that the struct loop would write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
import pytest
from processes import environment, python
from reference import DECODERS, DTYPES, Foreign, flat, item_size

import pywts
from pywts.inspection.facts import Statistics
from pywts.inspection.statistics import with_statistics
from pywts.tensor import Storage, Tensor, contiguous_strides, memory_storage

KERNELS = [kernel.name for kernel in pywts.kernels() if kernel.supported]


def statistics_of(source: Any) -> Statistics:
    """Of the one tensor of a source."""
    found = pywts.inspect(source, statistics=True).tensors[0].statistics
    assert found is not None
    return found


def of_bits(dtype: str, data: bytes, shape: tuple[int, ...], swapped: bool = False) -> Statistics:
    """Of elements given by their bytes."""
    storage = memory_storage("given", data)
    storage.swapped = swapped
    tensor = Tensor("t", dtype, shape, contiguous_strides(shape), 0, storage)
    facts = pywts.inspect({"t": tensor}).tensors
    found = with_statistics("given", [tensor], facts)[0].statistics
    assert found is not None
    return found


def expected(values: Any) -> dict[str, Any]:
    """What NumPy says of the float32 values, in float64."""
    with numpy.errstate(all="ignore"):
        singles = numpy.asarray(values, numpy.float64).astype(numpy.float32).ravel()
        halves = singles.astype(numpy.float16)
        finite = singles[numpy.isfinite(singles)].astype(numpy.float64)
        magnitudes = numpy.abs(finite[finite != 0])
        exponents = numpy.maximum(numpy.frexp(magnitudes)[1] - 1, -127)
        signs = numpy.signbit(finite[finite != 0])
    half_subnormal = (magnitudes < 2.0**-14) & (magnitudes > 2.0**-25)
    return {
        "values": singles.size,
        "minimum": finite.min() if finite.size else None,
        "maximum": finite.max() if finite.size else None,
        "mean": finite.mean() if finite.size else None,
        "deviation": finite.std() if finite.size else None,
        "zeros": int((singles == 0).sum()),
        "nans": int(numpy.isnan(singles).sum()),
        "infinities": int(numpy.isinf(singles).sum()),
        "subnormals": int((magnitudes < 2.0**-126).sum()),
        "negatives": int((finite < 0).sum()),
        "half_overflow": int((numpy.isinf(halves) & numpy.isfinite(singles)).sum()),
        "half_underflow": int(((halves == 0) & (singles != 0)).sum()),
        "half_subnormal": int(half_subnormal.sum()),
        "histogram": tuple(
            (exponent, int((signs & (exponents == exponent)).sum()), int((~signs & (exponents == exponent)).sum()))
            for exponent in sorted(set(exponents.tolist()))
        ),
    }


def check(found: Statistics, values: Any) -> None:
    """Counts exactly, mean and deviation within a few roundings of float64."""
    told = expected(values)
    for name, right in told.items():
        given = getattr(found, name)
        if name in ("mean", "deviation") and right is not None:
            size = max(abs(told["minimum"]), abs(told["maximum"]), 1e-300)
            assert given == pytest.approx(right, rel=1e-12, abs=1e-14 * size), name
        else:
            assert given == right, name


def some_bits(dtype: str, count: int, seed: int) -> numpy.ndarray:
    """Random bits, which hold every kind of number that the dtype has."""
    size = item_size(dtype)
    bits = numpy.random.default_rng(seed).integers(0, 256, count * size, numpy.uint8)
    if dtype == "bool":
        bits &= 1
    if dtype == "float64":  # mostly numbers that float32 has
        floats = numpy.random.default_rng(seed).standard_normal(count) * 10.0 ** (bits[::8] % 70 - 35.0)
        floats[:: max(count // 7, 1)] = numpy.nan
        return floats.view(numpy.uint8)
    return bits


@pytest.mark.parametrize("count", [1, 2, 15, 17, 4095, 4096, 4097, 70_001])
@pytest.mark.parametrize("dtype", DTYPES)
def test_figures_are_those_of_numpy(dtype: str, count: int, seed: int) -> None:
    bits = some_bits(dtype, count, seed)
    if dtype in DECODERS:
        values = flat(Foreign(dtype, bits.view(numpy.uint16) if item_size(dtype) == 2 else bits))
    else:
        with numpy.errstate(invalid="ignore"):  # signalling NaNs
            values = bits.view(numpy.bool_ if dtype == "bool" else dtype).astype(numpy.float64)
    check(of_bits(dtype, bits.tobytes(), (count,)), values)


@pytest.mark.parametrize("kernel", KERNELS)
def test_figures_do_not_depend_on_the_kernel(kernel: str, seed: int, tmp_path: Path) -> None:
    values = numpy.random.default_rng(seed).standard_normal(100_003).astype(numpy.float32)
    values[::1001] = numpy.inf
    numpy.savez(tmp_path / "m.npz", w=values)
    script = "import sys, pywts; print(repr(pywts.inspect(sys.argv[1], statistics=True).tensors[0].statistics))"
    found = python(script, tmp_path / "m.npz", env={**environment(), "PYWTS_KERNEL": kernel})
    assert found.stdout.strip() == repr(statistics_of({"w": values})), found.stderr


def test_views_are_walked_as_they_are_exported() -> None:
    values = numpy.arange(60, dtype=numpy.float32).reshape(3, 4, 5) - 7
    for view in (
        values.transpose(2, 0, 1),
        values[::2, ::-1],
        numpy.broadcast_to(values[0, 0], (7, 5)),
        values[1, 2, 3],
    ):
        found = statistics_of({"w": view})
        check(found, view)
        flat_values = view.ravel().tolist()
        assert found.first == tuple(flat_values[:8])
        assert found.last == tuple(flat_values[-8:])


def test_swapped_bytes_are_turned() -> None:
    values = numpy.array([1.5, -2, 1e30], ">f4")
    check(of_bits("float32", values.tobytes(), (3,), swapped=True), values)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [numpy.nan, numpy.nan],
        [numpy.inf, -numpy.inf, numpy.nan],
        [0.0, -0.0],
        [1e-45, -1e-45, 2.0**-126, -(2.0**-127)],
        [65519.0, 65519.996, 65520.0, -65520.0, 65536.0, 3.4e38],
        [2.0**-25, 2.0**-25 * (1 + 2**-20), 2.0**-24, -(2.0**-25), 2.0**-14, 2.0**-14 * (1 - 2**-20)],
    ],
    ids=["empty", "NaN", "not finite", "zeros", "subnormals", "half overflows", "half underflows"],
)
def test_edges(values: list[float]) -> None:
    check(statistics_of({"w": numpy.array(values, numpy.float32)}), values)


def test_a_large_mean_does_not_swallow_a_small_deviation() -> None:
    """What the difference of two large sums would get wrong by orders of magnitude."""
    values = (numpy.arange(100_000) % 2 + 16_777_214.0).astype(numpy.float32)
    found = statistics_of({"w": values})
    assert found.mean == 16_777_214.5
    assert found.deviation == 0.5


def test_values_of_a_wts_are_those_of_its_source(tmp_path: Path) -> None:
    values = numpy.random.default_rng(3).standard_normal(20_000).astype(numpy.float16)
    pywts.export({"w": values}, tmp_path / "m.wts")
    assert statistics_of(tmp_path / "m.wts") == statistics_of({"w": values})
    lines = (tmp_path / "m.wts").read_text().replace("w 20000  ", "w 20000     ")  # no longer found by arithmetic
    (tmp_path / "spaced.wts").write_text(lines)
    assert statistics_of(tmp_path / "spaced.wts") == statistics_of({"w": values})


def test_a_float64_that_overflows_is_said_and_keeps_no_other_tensor_from_its_figures() -> None:
    found = pywts.inspect({"a": numpy.array([1.0, 1e300]), "b": numpy.ones(3)}, statistics=True).tensors
    assert found[0].statistics is None
    assert found[0].problem == "value 1 is finite in float64 and overflows float32"
    assert found[1].statistics is not None


def test_only_named_tensors_are_looked_at() -> None:
    source = {"a": numpy.ones(3), "b": numpy.ones(3)}
    found = pywts.inspect(source, statistics=["b"]).tensors
    assert (found[0].statistics is None, found[1].statistics is None) == (True, False)
    with pytest.raises(pywts.SelectionError, match="has no tensor c"):
        pywts.inspect(source, statistics=["c"])


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float64", "int64", "bool"])
def test_figures_are_those_of_torch(dtype: str) -> None:
    import torch

    values = (torch.randn(10_000, generator=torch.Generator().manual_seed(1)) * 3).to(getattr(torch, dtype))
    singles = values.float()
    found = statistics_of({"w": values})
    assert found.minimum == singles.min().item()
    assert found.maximum == singles.max().item()
    assert found.mean == pytest.approx(singles.double().mean().item(), rel=1e-12)
    assert found.deviation == pytest.approx(singles.double().std(correction=0).item(), rel=1e-12)
    assert found.zeros == int((singles == 0).sum())
    assert math.fsum(negative + positive for _, negative, positive in found.histogram) == 10_000 - found.zeros


def test_tensor_that_cannot_be_read_is_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "values").write_bytes(bytes(40))
    with (tmp_path / "values").open("rb") as file:
        storages = [Storage(str(at), 40, file=file.fileno(), file_offset=at) for at in (0, 40)]
        tensors = [Tensor(f"x{place}", "float32", (10,), (1,), 0, held) for place, held in enumerate(storages)]
        with pytest.raises(pywts.CheckpointError, match=r"m\.pt: ends at byte 40, within x1;"):
            with_statistics("m.pt", [*tensors], ())
