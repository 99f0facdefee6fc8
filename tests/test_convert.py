"""convert: a .wts as other formats, and other formats as a .wts."""

from __future__ import annotations

import json
import os
import stat
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, save, tensor
from hypothesis import given
from hypothesis import strategies as st
from processes import python, run
from reference import reference_wts
from test_export import NAMES

import pywts
from pywts.families import lenet

NAMED = {
    "a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
    "a.bias": numpy.array([1, -0.0, numpy.inf], numpy.float16),
    "a.steps": numpy.array(7, numpy.int64),
    "empty": numpy.zeros((0, 4), numpy.float32),
}
SUFFIXES = (".safetensors", ".npz", ".pt", ".pth")


@pytest.fixture
def wts(tmp_path: Path) -> Path:
    """A .wts with its sidecar."""
    pywts.export(NAMED, tmp_path / "m.wts", sidecar=True)
    return tmp_path / "m.wts"


def read_safetensors(path: Path) -> dict[str, Any]:
    """By hand: the format's own package may not be here."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    assert length % 8 == 0
    return {
        name: numpy.frombuffer(data[8 + length :][slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in header.items()
        if entry["dtype"] == "F32"
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_the_same(suffix: str, wts: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out{suffix}"
    done = pywts.convert(wts, output)
    assert (done.path, done.source, done.tensors, done.values) == (str(output), str(wts), 4, 10)
    assert done.warnings == ()
    assert pywts.diff(wts, output).equal
    back = pywts.convert(output, tmp_path / "back.wts")
    assert back.format == "wts"
    assert (tmp_path / "back.wts").read_bytes() == wts.read_bytes()
    assert [(x.name, x.shape) for x in pywts.plan(output).tensors] == [(k, v.shape) for k, v in NAMED.items()]


@given(
    named=st.dictionaries(
        NAMES.filter(lambda name: "\x00" not in name),
        st.lists(st.integers(0, 2**32 - 1), max_size=20).map(lambda x: numpy.array(x, numpy.uint32)),
        min_size=1,
        max_size=6,
    ),
    suffix=st.sampled_from(SUFFIXES),
)
def test_any_weights_come_back(tmp_path_factory: pytest.TempPathFactory, named: dict[str, Any], suffix: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    pywts.export({name: value.view(numpy.float32) for name, value in named.items()}, folder / "m.wts", sidecar=True)
    pywts.convert(folder / "m.wts", folder / f"m{suffix}", key=".")
    pywts.convert(folder / f"m{suffix}", folder / "back.wts", key=".")
    assert (folder / "back.wts").read_bytes() == (folder / "m.wts").read_bytes()


def test_safetensors(wts: Path, tmp_path: Path) -> None:
    pywts.convert(wts, tmp_path / "m.safetensors")
    found = read_safetensors(tmp_path / "m.safetensors")
    assert list(found) == list(NAMED)
    for name, value in NAMED.items():
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.astype("<f4").tobytes()


def test_safetensors_by_its_own_package(wts: Path, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    pywts.convert(wts, tmp_path / "m.safetensors")
    found = safetensors.load_file(tmp_path / "m.safetensors")
    assert {name: value.tobytes() for name, value in found.items()} == {
        name: value.astype("<f4").tobytes() for name, value in NAMED.items()
    }


@pytest.mark.parametrize("count", [1, 12, 13, 14, 200])
def test_npz(count: int, wts: Path, tmp_path: Path) -> None:
    pywts.convert({**NAMED, "x" * count: numpy.zeros((1,) * 32)}, tmp_path / "m.npz")
    with numpy.load(tmp_path / "m.npz") as found:
        assert found.files == [*NAMED, "x" * count]
        for name, value in NAMED.items():
            assert found[name].shape == value.shape
            assert found[name].dtype == numpy.float32
            assert found[name].tobytes() == value.astype("<f4").tobytes()
    with zipfile.ZipFile(tmp_path / "m.npz") as archive:
        assert archive.testzip() is None
    assert wts.exists()


@pytest.mark.torch
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_the_state_dict(mmap: bool, wts: Path, tmp_path: Path) -> None:
    import torch

    pywts.convert(wts, tmp_path / "m.pt")
    found = torch.load(tmp_path / "m.pt", weights_only=True, mmap=mmap)
    assert list(found) == list(NAMED)
    for name, value in NAMED.items():
        assert tuple(found[name].shape) == value.shape
        assert found[name].numpy().tobytes() == value.astype("<f4").tobytes()
    assert found["a.weight"].untyped_storage().nbytes() == 24


def test_contents_lie_at_multiples_of_64(wts: Path, tmp_path: Path) -> None:
    pywts.convert(wts, tmp_path / "m.pt")
    data = (tmp_path / "m.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "m.pt") as archive:
        assert archive.testzip() is None
        for entry in archive.infolist():
            name, extra = struct.unpack("<HH", data[entry.header_offset + 26 :][:4])
            assert (entry.header_offset + 30 + name + extra) % 64 == 0


def test_without_sidecar_tensors_are_flat(wts: Path, tmp_path: Path) -> None:
    os.unlink(f"{wts}.json")
    done = pywts.convert(wts, tmp_path / "m.npz")
    assert "has no sidecar, so every tensor is written flat" in done.warnings[0]
    with numpy.load(tmp_path / "m.npz") as found:
        assert found["a.weight"].shape == (6,)


def test_checkpoints_and_live_objects(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"ema": {name: tensor(value) for name, value in NAMED.items()}})
    done = pywts.convert(path, tmp_path / "m.safetensors", include=["a.*"], rename=[("^a", "b")])
    assert (done.weights, done.tensors) == ("ema", 3)
    assert list(read_safetensors(tmp_path / "m.safetensors")) == ["b.weight", "b.bias", "b.steps"]
    pywts.convert(NAMED, tmp_path / "n.npz")
    assert pywts.diff(NAMED, tmp_path / "n.npz").equal


def test_open_file_stays_open(wts: Path, tmp_path: Path) -> None:
    with pywts.open(wts) as file:
        pywts.convert(file, tmp_path / "m.npz")
        assert file["a.steps"] == 7


def test_wts_to_wts_changes_the_dialect(wts: Path, tmp_path: Path) -> None:
    pywts.convert(wts, tmp_path / "single.wts", dialect="single")
    assert (tmp_path / "single.wts").read_bytes() == reference_wts(NAMED, "single")
    with pytest.raises(pywts.OutputError, match="is the source itself"):
        pywts.convert(wts, wts)


def test_many_chunks(tmp_path: Path) -> None:
    rng = numpy.random.default_rng(1)
    named = {"w": rng.standard_normal((1500, 2100)).astype(numpy.float32).T, "v": numpy.arange(3_000_000)}
    for suffix in SUFFIXES:
        pywts.convert(named, tmp_path / f"m{suffix}")
        assert pywts.diff(named, tmp_path / f"m{suffix}").equal


def test_memory_is_bounded(tmp_path: Path) -> None:
    storage = Storage("float8_e4m3fn", zeros=1 << 26)
    source = save(tmp_path / "m.pt", {"w": Tensor(storage, (1 << 26,), (1,))})
    script = (
        "import sys, resource, pywts\n"
        "pywts.convert(sys.argv[1], sys.argv[2] + '.wts')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "pywts.convert(sys.argv[2] + '.wts', sys.argv[2] + '.safetensors')\n"
        "pywts.convert(sys.argv[2] + '.wts', sys.argv[2] + '.npz')\n"
        "pywts.convert(sys.argv[2] + '.wts', sys.argv[2] + '.half.npz', half=True)\n"
        "pywts.convert(sys.argv[2] + '.wts', sys.argv[2] + '.again.wts')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    found = python(script, source, tmp_path / "out")
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) < 60_000
    assert (tmp_path / "out.again.wts").read_bytes() == (tmp_path / "out.wts").read_bytes()
    assert not numpy.load(tmp_path / "out.half.npz")["w"].any()


# -------------------------------------------------------------------------------------------------------- destinations


def test_unknown_suffix(wts: Path, tmp_path: Path) -> None:
    for name in ("m", "m.onnx", "m.wts.json"):
        with pytest.raises(pywts.OptionError, match=r"its suffix names no format; there are \.safetensors, \.npz"):
            pywts.convert(wts, tmp_path / name)
    with pytest.raises(TypeError, match=r"convert\(\) got an unexpected keyword argument 'sidecar'"):
        pywts.convert(wts, tmp_path / "m.npz", sidecar=True)


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("content", ["training", "state_dict"])
def test_checkpoint_of_a_training_is_not_overwritten_unasked(
    content: str, suffix: str, wts: Path, tmp_path: Path
) -> None:
    """The way back from best.wts must not cost the best.pt beside it, which holds more."""
    torch = pytest.importorskip("torch")
    state = OrderedDict(w=torch.ones(2, dtype=torch.float16))
    output = tmp_path / f"best{suffix}"
    torch.save({"model": state, "epoch": 3} if content == "training" else state, output)
    before = output.read_bytes()
    with pytest.raises(pywts.OutputError, match=r"exists and is no \.pt that pywts wrote; .* --force"):
        pywts.convert(wts, output)
    assert output.read_bytes() == before
    pywts.convert(wts, output, force=True)
    pywts.convert(wts, output)
    assert pywts.diff(wts, output).equal


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_files_are_not_overwritten_unasked(suffix: str, wts: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out{suffix}"
    output.write_bytes(b"something else")
    with pytest.raises(pywts.OutputError, match="exists and is no "):
        pywts.convert(wts, output)
    assert output.read_bytes() == b"something else"
    pywts.convert(wts, output, force=True)
    output.chmod(0o640)
    pywts.convert(wts, output)
    assert stat.S_IMODE(output.stat().st_mode) == 0o640
    with pytest.raises(pywts.OutputError, match="overwriting was not allowed"):
        pywts.convert(wts, output, overwrite=False)
    assert pywts.diff(wts, output).equal


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_leaves_the_old_state(suffix: str, wts: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out{suffix}"
    text = wts.read_bytes()
    wts.write_bytes(text.replace(b"40a00000", b"40a0000g"))
    with pytest.raises(pywts.WtsError, match=r'line 2, tensor "a.weight", byte \d+: value 5 has no hex digit'):
        pywts.convert(wts, output)
    assert sorted(os.listdir(tmp_path)) == ["m.wts", "m.wts.json"]


def test_checkpoint_that_becomes_a_wts_gets_its_familys_recipe(tmp_path: Path) -> None:
    source = {name: numpy.zeros(2, numpy.float32) for name in lenet.NAMES}
    assert pywts.convert(source, tmp_path / "m.wts").recipe == "lenet"
    assert pywts.convert(source, tmp_path / "m.wts", recipe="none").recipe == "none"
    assert pywts.convert(source, tmp_path / "m.npz").recipe == "none"
    assert pywts.convert(tmp_path / "m.wts", tmp_path / "again.wts").recipe == "none"
    assert pywts.convert(source, tmp_path / "m.npz", recipe="auto").recipe == "lenet"


def test_name_that_safetensors_keeps(tmp_path: Path) -> None:
    with pytest.raises(pywts.OptionError, match="a tensor is called __metadata__"):
        pywts.convert({"__metadata__": numpy.zeros(1)}, tmp_path / "m.safetensors")


def test_names_that_numpy_cannot_tell_apart_or_zip_cannot_hold(tmp_path: Path) -> None:
    output = tmp_path / "m.npz"
    with pytest.raises(pywts.OptionError, match=r"cannot tell x from x\.npy: rename one"):
        pywts.convert({"x": numpy.zeros(1), "x.npy": numpy.ones(1)}, output)
    with pytest.raises(pywts.OptionError, match="n is too long for a zip archive"):
        pywts.convert({"n" * 65_533: numpy.zeros(1)}, output)
    for count in (300, 5000, 65_531):  # what pywts wrote, it knows again
        pywts.convert({"n" * count: numpy.zeros(1)}, output, force=True)
        pywts.convert({"n" * count: numpy.ones(1)}, output)
        with numpy.load(output) as file:
            assert file["n" * count].tolist() == [1]


def test_limit_of_tensors_holds_for_a_wts(tmp_path: Path) -> None:
    pywts.export({"a": numpy.zeros(1), "b": numpy.zeros(1)}, tmp_path / "m.wts", sidecar=True, verify=True)
    limits = pywts.DEFAULT_LIMITS.replace(tensors=1)
    for run_over in (
        lambda: pywts.convert(tmp_path / "m.wts", tmp_path / "m.npz", limits=limits),
        lambda: pywts.diff(tmp_path / "m.wts", tmp_path / "m.wts", limits=limits),
        lambda: pywts.verify(tmp_path / "m.wts", tmp_path / "m.wts", limits=limits),
    ):
        with pytest.raises(pywts.LimitError, match=r"m\.wts: 2 tensors, over the limit of 1"):
            run_over()
    assert pywts.verify(tmp_path / "m.wts").equal


# -------------------------------------------------------------------------------------------------------- command line


def test_command_line(wts: Path, tmp_path: Path) -> None:
    found = run("convert", wts, tmp_path / "m.safetensors")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"{tmp_path / 'm.safetensors'}: 4 tensors, 10 values in ")
    found = run("convert", tmp_path / "m.safetensors", tmp_path / "back.wts", "--quiet")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    assert (tmp_path / "back.wts").read_bytes() == wts.read_bytes()
    found = run("convert", tmp_path / "back.wts", tmp_path / "m.npz", "--json")
    assert (found.returncode, json.loads(found.stdout)["format"]) == (0, "npz")


def test_command_line_fails(wts: Path, tmp_path: Path) -> None:
    for arguments, code in (
        ([wts, tmp_path / "m.onnx"], 2),
        ([tmp_path / "none.pt", tmp_path / "m.npz"], 1),
        ([wts], 2),
        ([wts, tmp_path / "no" / "folder.npz"], 1),
    ):
        found = run("convert", *arguments)
        assert (found.returncode, found.stdout) == (code, ""), arguments
        assert found.stderr
    found = run("convert", tmp_path / "none.pt", tmp_path / "m.npz", "--json")
    assert (found.returncode, json.loads(found.stdout)["error"]["kind"]) == (1, "CheckpointError")
