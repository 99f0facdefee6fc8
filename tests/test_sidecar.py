"""The sidecar: what is in it, how it is written, and that one of another .wts is never believed."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import save, tensor
from processes import run, small_files

import pywts
from pywts.sidecar import check_fits

NAMED = {
    "a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "a.bias": numpy.ones(3, numpy.float16),
    "a.scale": numpy.array(2, numpy.int64),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint."""
    return save(tmp_path / "best.pt", {"model": {name: tensor(value) for name, value in NAMED.items()}, "epoch": 1})


def test_fields(source: Path) -> None:
    exported = pywts.export(source, sidecar=True, dialect="single", include=["a.*"])
    wts = source.with_suffix(".wts")
    assert exported.sidecar == f"{wts}.json"
    assert exported.warnings == ()
    told = json.loads(Path(exported.sidecar).read_text())
    assert told["format"] == "pywts sidecar"
    assert told["version"] == 1
    assert told["pywts"] == pywts.__version__
    assert told["wts"] == {"name": "best.wts", "bytes": exported.bytes, "values": 10}
    data = source.read_bytes()
    assert told["source"] == {"name": "best.pt", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    choices = told["choices"]
    assert {key: choices[key] for key in ("weights", "why", "recipe", "dialect", "notes")} == {
        "weights": exported.weights, "why": exported.why, "recipe": "none", "dialect": "single", "notes": []
    }  # fmt: skip
    assert choices["options"]["include"] == ["a.*"]
    assert choices["options"]["dialect"] == "single"
    text = wts.read_bytes()
    assert [entry["name"] for entry in told["tensors"]] == list(NAMED)
    for entry in told["tensors"]:
        value = NAMED[entry["name"]]
        assert (tuple(entry["shape"]), entry["dtype"], entry["values"]) == (value.shape, value.dtype.name, value.size)
        assert text[entry["offset"] - 1 :].startswith(pywts.encode(value))
        assert entry["crc32"] == f"{zlib.crc32(value.astype('<f4').tobytes()):08x}"


def test_reading_gives_a_record(source: Path) -> None:
    pywts.export(source, sidecar=True)
    sidecar = pywts.open(source.with_suffix(".wts")).sidecar
    assert isinstance(sidecar, pywts.Sidecar)
    assert sidecar.source["name"] == "best.pt"
    assert sidecar.choices["weights"] == "model"
    assert sidecar.tensors[0].shape == (2, 3)


def test_live_objects_and_callables_are_named(tmp_path: Path) -> None:
    def mine(weights: pywts.Weights) -> pywts.Weights:
        return weights

    pywts.export(NAMED, tmp_path / "m.wts", sidecar=True, recipe=mine, rename=[("^a", "b")])
    told = json.loads((tmp_path / "m.wts.json").read_text())
    assert told["source"] == {"name": "<dict>"}
    assert told["choices"]["options"]["recipe"] == "callable mine"
    assert told["choices"]["options"]["rename"] == [["^a", "b"]]
    assert list(pywts.load(tmp_path / "m.wts")) == ["b.weight", "b.bias", "b.scale"]


def test_shapes_survive(source: Path) -> None:
    pywts.export(source, sidecar=True)
    loaded = pywts.load(source.with_suffix(".wts"))
    assert {name: array.shape for name, array in loaded.items()} == {"a.weight": (2, 3), "a.bias": (3,), "a.scale": ()}


def test_sidecar_of_another_name(source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True)
    (tmp_path / "best.wts.json").rename(tmp_path / "kept.json")
    assert pywts.load(tmp_path / "best.wts")["a.weight"].shape == (6,)
    assert pywts.load(tmp_path / "best.wts", sidecar=tmp_path / "kept.json")["a.weight"].shape == (2, 3)
    with pytest.raises(pywts.WtsError, match=r"none.json: cannot be read: No such file"):
        pywts.open(tmp_path / "best.wts", sidecar=tmp_path / "none.json")


def _entry(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["tensors"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: told["wts"].update(bytes=17), "that has 1[0-9]+ bytes, not 17"),
        (lambda told: told["tensors"].pop(), "that has 3 tensors, not 2"),
        (_entry(name="a.wait"), "line 2 is of a.weight, not of a.wait"),
        (_entry(shape=[7], values=7), "a.weight has 6 values, not 7"),
        (_entry(offset=13), "a.weight begins at byte 1., not 13"),
        (_entry(shape=[2, 4]), r"a.weight has 6 values in the shape \[2, 4\]"),
        (_entry(shape=[-2, -3]), r"a.weight has the shape \[-2, -3\]"),
        (_entry(shape=[2.0, 3]), "has the shape"),
        (_entry(shape=6), "shape is 6"),
        (_entry(shape=[0, 1 << 62], values=0), r"a.weight has the shape \[0, 46.*, which no array can have"),
        (_entry(shape=[1 << 40, 0, 1 << 40], values=0), "which no array can have"),
        (lambda told: told.update(more="x" * (1 << 21)), "is larger than [0-9]+ bytes, as no sidecar of 3 tensors is"),
        (_entry(dtype="float31"), "has the dtype float31, which is unknown"),
        (_entry(name=None), "name is None"),
        (_entry(crc32=5), "crc32 is 5"),
        (lambda told: told.update(version=2), "has version 2, this pywts reads 1"),
        (lambda told: told.update(format="other"), "is no sidecar of pywts"),
        (lambda told: told.update(tensors={}), "tensors is {}"),
        (lambda told: told["tensors"].insert(0, 5), "a tensor is described by 5"),
    ],
    ids=range(19),
)
def test_sidecar_that_does_not_fit_is_an_error(
    change: Callable[[dict[str, Any]], None], message: str, source: Path, tmp_path: Path
) -> None:
    pywts.export(source, sidecar=True)
    path = tmp_path / "best.wts.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    for read in (pywts.open, pywts.load):
        with pytest.raises(pywts.WtsError, match=message) as caught:
            read(tmp_path / "best.wts")
        assert str(caught.value).startswith(f"{path}: ")
        assert "sidecar=False" in str(caught.value)
    assert pywts.load(tmp_path / "best.wts", sidecar=False)["a.weight"].shape == (6,)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b"3", b"{}"], ids=range(6))
def test_anything_else_beside_is_an_error(text: bytes, source: Path, tmp_path: Path) -> None:
    pywts.export(source)
    (tmp_path / "best.wts.json").write_bytes(text)
    for read in (pywts.load, pywts.verify):
        with pytest.raises(pywts.WtsError, match=r"best.wts.json: is no "):
            read(tmp_path / "best.wts")


def test_sidecar_whose_path_is_none_is_an_error(source: Path, tmp_path: Path) -> None:
    pywts.export(source)
    with pytest.raises(pywts.WtsError, match="cannot be read: embedded null byte"):
        pywts.open(tmp_path / "best.wts", sidecar="a\0b")


def test_wts_that_goes_before_its_sidecar_is_compared_is_an_error(source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True)
    wts = tmp_path / "best.wts"
    with pywts.open(wts) as file:
        assert file.sidecar is not None
        wts.unlink()
        with pytest.raises(pywts.WtsError, match=r"best\.wts: No such file"):
            check_fits(file.sidecar, str(wts), [])


def test_pipe_beside_is_not_waited_for(source: Path, tmp_path: Path) -> None:
    pywts.export(source)
    os.mkfifo(tmp_path / "best.wts.json")
    for read in (pywts.load, pywts.inspect):
        with pytest.raises(pywts.WtsError, match=r"best.wts.json: is no regular file"):
            read(tmp_path / "best.wts")


# ------------------------------------------------------------------------------------------------------------ writing


def test_sidecar_replaces_a_sidecar_and_nothing_else(source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True)
    pywts.export(source, sidecar=True, include=["*.bias"])
    assert list(pywts.load(tmp_path / "best.wts")) == ["a.bias"]
    before = (tmp_path / "best.wts").read_bytes()
    (tmp_path / "best.wts.json").write_text('{"mine": 1}')
    with pytest.raises(pywts.OutputError, match=r"best.wts.json: exists and is no sidecar of pywts"):
        pywts.export(source, sidecar=True)
    assert (tmp_path / "best.wts").read_bytes() == before
    assert (tmp_path / "best.wts.json").read_text() == '{"mine": 1}'
    pywts.export(source, sidecar=True, force=True)
    assert len(pywts.load(tmp_path / "best.wts")) == 3


def test_no_overwrite_holds_for_the_sidecar_too(source: Path, tmp_path: Path) -> None:
    (tmp_path / "best.wts.json").write_text("mine")
    with pytest.raises(pywts.OutputError, match=r"best.wts.json: exists, and overwriting was not allowed"):
        pywts.export(source, sidecar=True, overwrite=False)
    assert not (tmp_path / "best.wts").exists()


def test_old_sidecar_is_warned_of(source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True)
    exported = pywts.export(source, include=["*.bias"])
    assert exported.sidecar is None
    assert any("best.wts.json was left as it was" in warning for warning in exported.warnings)
    with pytest.raises(pywts.WtsError, match="does not fit"):
        pywts.load(tmp_path / "best.wts")


@pytest.mark.parametrize("option", ["sidecar", "verify"])
def test_streams_and_devices_are_refused(option: str, source: Path) -> None:
    stream = io.BytesIO()
    with pytest.raises(pywts.OptionError, match="sidecar and verify need a file"):
        pywts.export(source, stream, **{option: True})
    assert stream.getvalue() == b""
    with pytest.raises(pywts.OptionError, match="sidecar and verify need a regular file"):
        pywts.export(source, "/dev/null", **{option: True})
    found = run("export", source, "-o", "-", f"--{option}")
    assert found.returncode == 2
    assert "sidecar and verify need a regular file" in found.stderr


def test_command_line(source: Path, tmp_path: Path) -> None:
    found = run("export", source, "--sidecar", "--verify", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    told = json.loads(found.stdout)
    assert (told["sidecar"], told["verified"]) == (str(tmp_path / "best.wts.json"), True)


def test_both_files_are_alone_in_the_folder(source: Path, tmp_path: Path) -> None:
    pywts.export(source, sidecar=True, verify=True, durable=True)
    assert sorted(os.listdir(tmp_path)) == ["best.pt", "best.wts", "best.wts.json"]


@pytest.mark.parametrize("checksum", ["zz", "", "-0000001", "0x123456", "12345678 "])
def test_checksum_that_is_none_is_an_error(checksum: str, source: Path) -> None:
    pywts.export(source, sidecar=True)
    wts, beside = source.with_suffix(".wts"), source.with_suffix(".wts.json")
    told = json.loads(beside.read_text())
    told["tensors"][0]["crc32"] = checksum
    beside.write_text(json.dumps(told, indent=1))
    with pytest.raises(pywts.WtsError, match=r"a\.weight has the checksum .*, no 8 hex digits"):
        pywts.verify(wts)


def test_sidecar_that_cannot_be_written_keeps_the_old_wts(tmp_path: Path) -> None:
    wts, beside = tmp_path / "m.wts", tmp_path / "m.wts.json"
    pywts.export({"old": numpy.ones(3, numpy.float32)}, wts, sidecar=True)
    old = wts.read_bytes(), beside.read_bytes()
    named = {f"t{number}": numpy.ones(1, numpy.float32) for number in range(1_000)}
    with small_files(50_000), pytest.raises(pywts.OutputError, match=r"m\.wts\.json: .* the old state was kept$"):
        pywts.export(named, wts, sidecar=True)
    assert (wts.read_bytes(), beside.read_bytes()) == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.wts", "m.wts.json"]


def test_sidecar_that_cannot_be_named_is_told_of_with_the_wts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wts = tmp_path / "m.wts"
    pywts.export({"old": numpy.ones(3, numpy.float32)}, wts, sidecar=True)
    replace = os.replace

    def failing(old: str, new: str) -> None:
        if new.endswith(".json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(old, new)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(pywts.OutputError, match=rf"m\.wts\.json: cannot be written: .*; {wts} is new, and a sidecar"):
        pywts.export({"new": numpy.ones(3, numpy.float32)}, wts, sidecar=True)
    assert pywts.open(wts, sidecar=False).names == ["new"]
