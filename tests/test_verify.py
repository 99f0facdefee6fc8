"""verify: a .wts beside what it was made from, bit for bit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, module, save, tensor
from hypothesis import given
from hypothesis import strategies as st
from processes import python, run
from reference import fast_wts
from test_export import NAMES, arrays

import pywts
from pywts.errors import shown

NAMED = {
    "a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "a.bias": numpy.array([1, -0.0, 3], numpy.float16),
    "a.steps": numpy.array(7, numpy.int64),
    "empty": numpy.zeros(0, numpy.float32),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint with averaged and plain weights."""
    named = {name: tensor(value) for name, value in NAMED.items()}
    other = {name: tensor(value * 2) for name, value in NAMED.items()}
    return save(tmp_path / "best.pt", {"ema": module(parameters=named), "model": module(parameters=other)})


@pytest.fixture
def wts(source: Path) -> Path:
    """Its .wts."""
    pywts.export(source)
    return source.with_suffix(".wts")


def test_devices_are_not_read(source: Path, tmp_path: Path) -> None:
    (tmp_path / "m.wts").symlink_to("/dev/zero")
    for read in (pywts.open, pywts.load, lambda path: pywts.verify(path, source), lambda path: pywts.diff(path, path)):
        with pytest.raises(pywts.WtsError, match=r"m\.wts: is a device; name a file, or a pipe"):
            read(tmp_path / "m.wts")


@given(named=st.dictionaries(NAMES, arrays(), min_size=1, max_size=6), data=st.data())
def test_any_export_is_verified_and_any_changed_digit_is_found(
    tmp_path_factory: pytest.TempPathFactory, named: dict[str, Any], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source = save(folder / "m.pt", {"state_dict": {name: tensor(value) for name, value in named.items()}})
    exported = pywts.export(source, sidecar=True, verify=True)
    wts = folder / "m.wts"
    for verified in (pywts.verify(wts, source), pywts.verify(wts)):
        assert verified.equal
        assert verified.first is None
        assert (verified.tensors, verified.values) == (exported.tensors, exported.values)
    file = pywts.open(wts)
    lines = [line for line in file.tensors if line.values]
    if not lines:
        return
    line = data.draw(st.sampled_from(lines))
    index = data.draw(st.integers(0, line.values - 1))
    place = line.offset + 9 * index + 7
    text = bytearray(wts.read_bytes())
    before = text[line.offset + 9 * index :][:8].decode()
    text[place] = ord("1") if text[place] == ord("0") else ord("0")
    after = text[line.offset + 9 * index :][:8].decode()
    wts.write_bytes(text)
    verified = pywts.verify(wts, source)
    assert not verified.equal
    assert verified.first is not None
    assert (verified.first.tensor, verified.first.index) == (line.name, index)
    assert (verified.first.a_bits, verified.first.b_bits) == (after, before)
    by_sidecar = pywts.verify(wts)
    assert (by_sidecar.equal, by_sidecar.by) == (False, "checksums")
    assert by_sidecar.first is not None
    assert (by_sidecar.first.tensor, by_sidecar.first.index, by_sidecar.first.a) == (line.name, None, None)


def test_result(wts: Path, source: Path) -> None:
    assert pywts.verify(wts, source) == pywts.Verified(
        wts=str(wts), source=str(source), equal=True, tensors=4, values=10, missing=(), extra=(), counts=(), first=None,
        by="values",
    )  # fmt: skip


def test_selection_is_that_of_export(wts: Path, source: Path) -> None:
    assert not pywts.verify(wts, source, key="model").equal
    pywts.export(source, wts, key="model", include=["*.weight"], half=True, rename=[("^a", "b")])
    assert pywts.verify(wts, source, key="model", include="*.weight", half=True, rename=[("^a", "b")]).equal
    with pytest.raises(TypeError, match=r"verify\(\) got an unexpected keyword argument 'overwrite'"):
        pywts.verify(wts, source, overwrite=True)


def test_sources_of_every_kind(wts: Path, source: Path, tmp_path: Path) -> None:
    assert pywts.verify(wts, NAMED).equal
    assert pywts.verify(wts, pywts.load(wts)).equal
    assert pywts.verify(wts, wts).equal
    assert pywts.verify(wts, pywts.open(wts)).equal
    assert pywts.verify(os.fsencode(wts), os.fsencode(source)).equal
    numpy.savez_compressed(tmp_path / "m.npz", **NAMED)
    assert pywts.verify(wts, tmp_path / "m.npz").equal
    for dialect in ("double", "single"):
        pywts.export(source, wts, dialect=dialect)
        assert pywts.verify(wts, source).equal


def test_values_that_differ(wts: Path) -> None:
    other = {**NAMED, "a.bias": numpy.array([1, 0.0, 4], numpy.float32)}
    verified = pywts.verify(wts, other)
    assert verified.first == pywts.Difference("a.bias", 1, -0.0, 0.0, "80000000", "00000000")
    assert str(verified.first.a) == "-0.0"


def test_names_and_counts_that_differ(wts: Path) -> None:
    other = {name: value for name, value in NAMED.items() if name != "a.steps"}
    other["a.bias"] = numpy.zeros(4, numpy.float32)
    other["b"] = numpy.zeros(1, numpy.float32)
    verified = pywts.verify(wts, other)
    assert not verified.equal
    assert (verified.missing, verified.extra, verified.counts) == (("b",), ("a.steps",), (("a.bias", 3, 4),))
    assert (verified.tensors, verified.first) == (2, None)


def test_order_is_no_difference(wts: Path) -> None:
    assert pywts.verify(wts, dict(reversed(NAMED.items()))).equal


def test_views_of_all_kinds(tmp_path: Path) -> None:
    rng = numpy.random.default_rng(3)
    base = rng.standard_normal((70, 50, 30)).astype(numpy.float32)
    named = {
        "transposed": base.transpose(2, 0, 1),
        "sliced": base[::3, 5:40:2, ::-1],
        "expanded": numpy.broadcast_to(base[:, :1, :], base.shape),
        "swapped": base.astype(">f4"),
        "double": base.astype(numpy.float64).T,
        "large": rng.standard_normal((3000, 1501)).astype(numpy.float32).T,
    }
    pywts.export(named, tmp_path / "m.wts", verify=True)
    assert pywts.verify(tmp_path / "m.wts", named).equal
    changed = {**named, "large": named["large"].copy()}
    changed["large"][1234, 567] = 5
    first = pywts.verify(tmp_path / "m.wts", changed).first
    assert first is not None
    assert (first.tensor, first.index, first.b) == ("large", 1234 * 3000 + 567, 5)


def test_first_of_many_differences_is_the_first(tmp_path: Path) -> None:
    zeros = {f"t{i}": numpy.zeros(1_000_000, numpy.float32) for i in range(4)}
    pywts.export(zeros, tmp_path / "m.wts")
    ones = {name: value + 1 for name, value in zeros.items()}
    ones["t0"] = zeros["t0"]
    ones["t1"][:999_999] = 0
    for _ in range(10):
        first = pywts.verify(tmp_path / "m.wts", ones).first
        assert first is not None
        assert (first.tensor, first.index) == ("t1", 999_999)


def test_signalling_nan_of_the_source_is_quiet_in_the_wts(tmp_path: Path) -> None:
    value = numpy.array([0x7F800001, 0xFFBFFFFF], numpy.uint32).view(numpy.float32)
    pywts.export({"w": value}, tmp_path / "m.wts", verify=True)
    assert pywts.verify(tmp_path / "m.wts", {"w": value}).equal
    assert (tmp_path / "m.wts").read_bytes() == b"1\nw 2  7fc00001 ffffffff\n"


def test_dialects_of_the_field(tmp_path: Path) -> None:
    (tmp_path / "m.wts").write_bytes(b"\n1\r\nw 2 0x3f800000 0x0\r\n")
    assert pywts.verify(tmp_path / "m.wts", {"w": numpy.array([1, 0])}).equal


# -------------------------------------------------------------------------------------------------------------- errors


def test_without_source_and_sidecar_there_is_nothing_to_compare(wts: Path) -> None:
    with pytest.raises(pywts.OptionError, match=r"best.wts: has no sidecar best.wts.json: name the source"):
        pywts.verify(wts)


def test_sidecar_may_be_named(wts: Path, source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True)
    (tmp_path / "best.wts.json").rename(tmp_path / "elsewhere")
    verified = pywts.verify(wts, tmp_path / "elsewhere")
    assert (verified.equal, verified.by, verified.source) == (True, "checksums", str(tmp_path / "elsewhere"))


def test_damaged_wts_and_source_are_errors(wts: Path, source: Path, tmp_path: Path) -> None:
    wts.write_bytes(wts.read_bytes()[:-20])
    with pytest.raises(pywts.WtsError, match=r"best.wts: "):
        pywts.verify(wts, source)
    pywts.export(source)
    with pytest.raises(pywts.CheckpointError, match=r"none.pt: no such file"):
        pywts.verify(wts, tmp_path / "none.pt")


def test_value_without_float32_is_blamed_on_its_tensor(tmp_path: Path) -> None:
    pywts.export({"a": numpy.zeros(3), "b": numpy.zeros(200_000)}, tmp_path / "m.wts")
    large = numpy.zeros(200_000)
    large[150_000] = 1e300
    with pytest.raises(pywts.TensorError, match=r"b, value 150000: is finite in float64 and overflows"):
        pywts.verify(tmp_path / "m.wts", {"a": numpy.zeros(3), "b": large})


def test_export_that_does_not_verify_keeps_the_old_state(
    source: Path, wts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pywts import writing

    wts.write_bytes(b"1\nold 1  3f800000\n")
    run_job = writing.Job.to_file

    def damaging(job: Any, descriptor: int) -> None:
        run_job(job, descriptor)
        os.pwrite(descriptor, b"1", 2 + len(b"a.weight 6 ") + 1)

    monkeypatch.setattr(writing.Job, "to_file", damaging)
    with pytest.raises(pywts.Error, match=r"read back, it is not what .*best.pt holds: a.weight, value 0 is 10000000"):
        pywts.export(source, verify=True, sidecar=True)
    assert wts.read_bytes() == b"1\nold 1  3f800000\n"
    assert sorted(os.listdir(wts.parent)) == ["best.pt", "best.wts"]
    monkeypatch.setattr(writing.Job, "to_file", lambda _, descriptor: os.ftruncate(descriptor, 30))
    with pytest.raises(pywts.Error, match=r"read back, it is not what .*the file is blank|no number of tensors|zeros"):
        pywts.export(source, verify=True)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """Both sides have 256 MiB of values."""
    storage = Storage("float8_e4m3fn", zeros=1 << 26)
    source = save(tmp_path / "m.pt", {"w": Tensor(storage, (1 << 13, 1 << 13), (1 << 13, 1))})
    script = (
        "import sys, resource, pywts\n"
        "pywts.export(sys.argv[1], sys.argv[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert pywts.verify(sys.argv[2], sys.argv[1]).equal\n"
        "assert pywts.diff(sys.argv[2], sys.argv[1]).equal\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    found = python(script, source, tmp_path / "m.wts")
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) < 100_000


# -------------------------------------------------------------------------------------------------------- command line


def test_command_line(wts: Path, source: Path) -> None:
    found = run("verify", wts, source)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == f"{wts}: is what {source} holds\ncompared: 4 tensors, 10 values\n"
    found = run("verify", wts, source, "--key", "model")
    assert (found.returncode, found.stderr) == (1, "")
    assert f"{wts}: IS NOT what {source} holds" in found.stdout
    assert "first:    a.weight, value 1: 1.0 (3f800000) against 2.0 (40000000)" in found.stdout
    found = run("verify", wts, source, "--key", "model", "--quiet")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")


def test_command_line_json(wts: Path, source: Path) -> None:
    found = run("verify", wts, source, "--json", "--key", "model")
    told = json.loads(found.stdout)
    assert found.returncode == 1
    assert told["first"] == {
        "tensor": "a.weight", "index": 1, "a": 1.0, "b": 2.0, "a_bits": "3f800000", "b_bits": "40000000"
    }  # fmt: skip
    found = run("verify", wts, "--json")
    assert found.returncode == 2
    assert json.loads(found.stdout)["error"]["kind"] == "OptionError"


@pytest.mark.parametrize("arguments", [[], ["none.wts"], ["none.wts", "none.pt"], ["--no-such"]], ids=str)
def test_command_line_cannot_read(arguments: list[str]) -> None:
    found = run("verify", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr


def test_command_line_by_sidecar(wts: Path, source: Path) -> None:
    pywts.export(source, sidecar=True)
    found = run("verify", wts)
    assert (found.returncode, found.stdout.splitlines()[0]) == (0, f"{wts}: is what {wts}.json (checksums) holds")
    changed = {**NAMED, "a.bias": NAMED["a.bias"] + 1}
    wts.write_bytes(fast_wts(changed))
    found = run("verify", wts)
    assert found.returncode == 1
    assert "first:    a.bias, other checksum" in found.stdout


UNWRITTEN = {
    "bidirectional": "a\u202e\u2066b", "zero width": "a\u200bb", "a mark of byte order": "\ufeffa",
    "a soft hyphen": "a\u00adb", "a wide space": "a\u00a0\u3000b", "ends of lines": "a\u0085\u2028b",
    "a tag": "a\U000e0001b", "long": "a" * 60_000, "no text": "a\udcff\udc80b",
}  # fmt: skip
"""Names that ``export`` refuses, and that other scripts write: readers in the field split at ASCII's white space."""


@pytest.mark.parametrize("name", UNWRITTEN.values(), ids=UNWRITTEN)
def test_whatever_name_is_read_is_compared(name: str, tmp_path: Path) -> None:
    """By verify and diff, with a .wts and with a checkpoint; the terminal gets no such character."""
    raw = name.encode("utf-8", "surrogateescape")
    one, other = tmp_path / "one.wts", tmp_path / "other.wts"
    one.write_bytes(b"2\n" + raw + b" 2  3f800000 40000000\nb 1  00000000\n")
    other.write_bytes(b"2\n" + raw + b" 2  3f800000 40000001\nb 1  00000000\n")
    with pywts.open(one) as file:
        assert [*file] == [name, "b"]
    assert pywts.verify(one, one).equal
    assert pywts.diff(one, one).equal
    verified = pywts.verify(one, other)
    assert verified.first is not None
    assert (verified.equal, verified.first.tensor, verified.first.index) == (False, name, 1)
    assert [differing.name for differing in pywts.diff(one, other).different] == [name]
    for command in ("verify", "diff"):
        assert run(command, one, one).returncode == 0
        for more in ((), ("--json",)):
            found = run(command, one, other, *more)
            assert (found.returncode, found.stderr) == (1, "")
            assert all(line.isprintable() for line in found.stdout.split("\n"))
            assert shown(name) in found.stdout or more
    if not any("\udc80" <= character <= "\udcff" for character in name):  # which no pickle can hold
        values = {name: numpy.array([1, 2], numpy.float32), "b": numpy.zeros(1, numpy.float32)}
        source = save(tmp_path / "source.pt", {key: tensor(value) for key, value in values.items()})
        assert pywts.verify(one, source).equal
        assert pywts.diff(source, other).different[0].name == name


def test_command_line_hints_at_the_options_of_the_export(source: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.wts"
    pywts.export(source, part, rename="^=x.")
    found = run("verify", part, source)
    assert found.returncode == 1
    assert "hint:     if it was exported with options that select, rename or round" in found.stdout
    assert str(part) + ".json" not in found.stdout
    pywts.export(source, part, rename="^=x.", sidecar=True)
    assert f"leave the checkpoint out: then {part}.json tells" in run("verify", part, source).stdout
    assert "hint:" not in run("verify", part, source, "--rename", "^=x.").stdout
