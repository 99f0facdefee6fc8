"""diff: how two sides differ, whatever they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import module, save, tensor
from hypothesis import given
from hypothesis import strategies as st
from processes import run

import pywts

A = {"w": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "b": numpy.ones(3, numpy.float32)}


def bits_to_float(values: Any) -> Any:
    """An array of float32 from its bits."""
    return numpy.array(values, numpy.uint32).view(numpy.float32)


BITS = st.integers(0, 2**32 - 1).filter(lambda bits: (bits & 0x7FFFFFFF) <= 0x7F800000)


@given(st.lists(st.tuples(BITS, BITS), min_size=1, max_size=50))
def test_figures_are_numpy_s(values: list[tuple[int, int]]) -> None:
    a, b = (bits_to_float(side) for side in zip(*values, strict=True))
    found = pywts.diff({"w": a}, {"w": b})
    different = a.view(numpy.uint32) != b.view(numpy.uint32)
    assert found.equal is not bool(different.any())
    if found.equal:
        return
    with numpy.errstate(invalid="ignore"):
        off = numpy.where(different, numpy.abs(a.astype(numpy.float64) - b), 0)
    ranks = [numpy.where(x.view(numpy.int32) < 0, -(x.view(numpy.int64 if 0 else numpy.int32) & 0x7FFFFFFF).astype(
        numpy.int64), x.view(numpy.int32).astype(numpy.int64)) for x in (a, b)]  # fmt: skip
    (only,) = found.different
    assert only.different == different.sum()
    assert only.first.index == different.argmax()
    assert only.max_abs == found.max_abs == off.max()
    assert only.mean_abs == found.mean_abs == pytest.approx(off.mean(), rel=1e-12)
    assert only.max_ulp == found.max_ulp == numpy.abs(ranks[0] - ranks[1]).max()


def test_zeros_of_both_signs_are_one_number_in_other_bits() -> None:
    found = pywts.diff({"w": bits_to_float([0])}, {"w": bits_to_float([0x80000000])})
    assert not found.equal
    assert (found.different[0].different, found.max_abs, found.max_ulp) == (1, 0, 0)


def test_ulp_counts_numbers_between() -> None:
    one = numpy.float32(1)
    after = numpy.nextafter(one, numpy.float32(2))
    assert pywts.diff({"w": one}, {"w": after}).max_ulp == 1
    assert pywts.diff({"w": bits_to_float([1])}, {"w": bits_to_float([0x80000001])}).max_ulp == 2


def test_nan_is_no_number() -> None:
    a = bits_to_float([0x7FC00000, 0x7FC00000, 0x3F800000, 0x3F800000])
    b = bits_to_float([0x7FC00000, 0x7FC00001, 0x7FC00000, 0x40000000])
    found = pywts.diff({"w": a}, {"w": b}).different[0]
    assert (found.different, found.nans, found.max_abs, found.mean_abs) == (3, 2, 1.0, 0.5)
    assert found.first.a_bits == "7fc00000"


def test_infinite_differences() -> None:
    found = pywts.diff({"w": bits_to_float([0x7F800000, 0x7F800000])}, {"w": bits_to_float([0x7F800000, 0])})
    assert (found.max_abs, found.mean_abs) == (numpy.inf, numpy.inf)


def test_names_counts_and_shapes() -> None:
    b = {"w": A["w"].reshape(3, 2), "b": numpy.zeros(4), "c": numpy.zeros(1)}
    a = {**A, "d": numpy.zeros(2)}
    found = pywts.diff(a, b)
    assert (found.only_a, found.only_b) == (("d",), ("c",))
    assert found.counts == (("b", 3, 4),)
    assert found.shapes == (("w", (2, 3), (3, 2)),)
    assert (found.tensors, found.values, found.different, found.equal) == (1, 6, (), False)


def test_sides_of_every_kind_are_the_same(tmp_path: Path) -> None:
    pywts.export(A, tmp_path / "m.wts", sidecar=True)
    numpy.savez(tmp_path / "m.npz", **A)
    save(tmp_path / "m.pt", {"model": module(parameters={name: tensor(value) for name, value in A.items()})})
    pywts.convert(A, tmp_path / "m.safetensors")
    sides: list[Any] = [tmp_path / f"m.{suffix}" for suffix in ("wts", "npz", "pt", "safetensors")]
    sides += [A, pywts.open(tmp_path / "m.wts"), pywts.load(tmp_path / "m.wts")]
    for a in sides:
        for b in sides:
            found = pywts.diff(a, b)
            assert found.equal, (a, b, found)
            assert (found.tensors, found.values) == (2, 9)
    assert sides[5]["w"].shape == (2, 3), "an open file that was given stays open"


def test_wts_without_sidecar_has_no_shapes(tmp_path: Path) -> None:
    pywts.export(A, tmp_path / "m.wts")
    assert pywts.diff(tmp_path / "m.wts", A).equal
    pywts.export(A, tmp_path / "m.wts", sidecar=True)
    assert pywts.diff(tmp_path / "m.wts", {**A, "w": A["w"].reshape(-1)}).shapes == (("w", (2, 3), (6,)),)


def test_selection(tmp_path: Path) -> None:
    root = {key: {name: tensor(value * factor) for name, value in A.items()} for key, factor in (("x", 1), ("y", 2))}
    path = save(tmp_path / "m.pt", root)
    pywts.export(A, tmp_path / "m.wts")
    assert pywts.diff(tmp_path / "m.wts", path, key="x").equal
    assert not pywts.diff(tmp_path / "m.wts", path, key="y").equal
    assert pywts.diff(tmp_path / "m.wts", path, key="x", include="w").tensors == 1
    pywts.export(A, tmp_path / "m.wts", exclude=["b"])
    assert pywts.diff(tmp_path / "m.wts", path, key="x", exclude=["b"]).equal
    fine = {"w": A["w"] + numpy.float32(1e-4)}
    assert pywts.diff(tmp_path / "m.wts", fine, half=True).different[0].different == 1
    with pytest.raises(TypeError, match=r"diff\(\) got an unexpected keyword argument 'force'"):
        pywts.diff(A, A, force=True)


def test_half_of_a_wts(tmp_path: Path) -> None:
    named = {"w": numpy.linspace(0, 1, 1000, dtype=numpy.float32)}
    pywts.export(named, tmp_path / "full.wts")
    pywts.export(named, tmp_path / "half.wts", half=True)
    assert not pywts.diff(tmp_path / "full.wts", tmp_path / "half.wts").equal
    assert pywts.diff(tmp_path / "full.wts", tmp_path / "half.wts", half=True).equal


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(pywts.CheckpointError, match=r"none.pt: no such file"):
        pywts.diff(A, tmp_path / "none.pt")
    with pytest.raises(pywts.WtsError, match=r"none.wts: No such file"):
        pywts.diff(tmp_path / "none.wts", A)
    (tmp_path / "m.wts").write_bytes(b"1\nw 1  3f80000\n")
    with pytest.raises(pywts.WtsError, match=r"m.wts: line 2"):
        pywts.diff(A, tmp_path / "m.wts")
    with pytest.raises(pywts.TensorError, match="complex"):
        pywts.diff(A, {"w": numpy.zeros(1, numpy.complex64)})


def test_command_line(tmp_path: Path) -> None:
    pywts.export(A, tmp_path / "a.wts")
    b = {name: value.copy() for name, value in A.items()}
    b["w"][1, 2] = 5.5
    b["w"][0, 1] = 1.25
    pywts.export({**b, "c": numpy.zeros(1)}, tmp_path / "b.wts")
    found = run("diff", tmp_path / "a.wts", tmp_path / "a.wts")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.endswith("compared: 2 tensors, 9 values\nthe same, bit for bit\n")
    found = run("diff", tmp_path / "a.wts", tmp_path / "b.wts")
    assert found.returncode == 1
    assert "only in b: 1: c\n" in found.stdout
    assert "values: 1 tensor differs; at most 0.5 (2,097,152 ULP), on average 0.0833\n" in found.stdout
    assert "  w: 2 of 6 differ; at most 0.5" in found.stdout
    assert "first value 1: 1.0 (3f800000) against 1.25 (3fa00000)" in found.stdout
    assert run("diff", tmp_path / "a.wts", tmp_path / "b.wts", "-q").stdout == ""
    assert run("diff", tmp_path / "a.wts", tmp_path / "b.wts", "--include", "b").returncode == 0


def test_command_line_lists_some_or_all(tmp_path: Path) -> None:
    for name, value in (("a", 0), ("b", 1)):
        pywts.export({f"t{i}": numpy.full(1, value) for i in range(30)}, tmp_path / f"{name}.wts")
    short, full = (run("diff", tmp_path / "a.wts", tmp_path / "b.wts", *more).stdout for more in ([], ["--all"]))
    assert "  and 10 more; --all lists them\n" in short
    assert full.count(" of 1 differ") == 30


def test_command_line_json(tmp_path: Path) -> None:
    pywts.export({"w": numpy.array([numpy.nan, numpy.inf, 1], numpy.float32)}, tmp_path / "a.wts")
    pywts.export({"w": numpy.array([0, 0, 1], numpy.float32)}, tmp_path / "b.wts")
    found = run("diff", tmp_path / "a.wts", tmp_path / "b.wts", "--json")
    assert found.returncode == 1
    told = json.loads(found.stdout, parse_constant=pytest.fail)
    assert (told["max_abs"], told["different"][0]["first"]["a"], told["different"][0]["nans"]) == ("inf", "nan", 1)
    found = run("diff", tmp_path / "a.wts", tmp_path / "none.pt", "--json")
    assert (found.returncode, json.loads(found.stdout)["error"]["kind"]) == (2, "CheckpointError")


@pytest.mark.parametrize("arguments", [[], ["a"], ["none.wts", "none.pt"]], ids=str)
def test_command_line_cannot_read(arguments: list[str]) -> None:
    found = run("diff", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
