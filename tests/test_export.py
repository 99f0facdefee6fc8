"""The pipeline from end to end, on checkpoints made by hand and on the sample."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path, PurePath
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, module, save, tensor
from hypothesis import given
from hypothesis import strategies as st
from processes import environment, python
from reference import DTYPES, fast_wts, item_size, of_bytes, reference_wts

import pywts

SAMPLE_SHA256 = "e3d4b25090f1d27a36b6a6febf3f36a10db7be7a75fe86b879a4f442cdd9f19f"
"""Of the sample's .wts, as the reference script wrote it; the test with torch below says so."""

NAMED = {"a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "a.bias": numpy.ones(3, numpy.float16)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small checkpoint."""
    return save(tmp_path / "best.pt", {name: tensor(value) for name, value in NAMED.items()})


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array of any dtype and shape, or the bits of one that NumPy lacks."""
    dtype = draw(st.sampled_from(DTYPES))
    count = draw(st.integers(0, 40))
    size = item_size(dtype)
    if dtype == "float64":
        return numpy.array(draw(st.lists(st.floats(width=32), min_size=count, max_size=count)), numpy.float64)
    data = draw(st.binary(min_size=count * size, max_size=count * size))
    return of_bytes(dtype, bytes(byte & 1 for byte in data) if dtype == "bool" else data)


@given(named=st.dictionaries(NAMES, arrays(), min_size=1, max_size=8), dialect=st.sampled_from(["double", "single"]))
def test_any_checkpoint_gives_the_bytes_of_the_script(
    tmp_path_factory: pytest.TempPathFactory, named: dict[str, Any], dialect: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    stored = {name: tensor(value) for name, value in named.items()}
    path = save(folder / "m.pt", {"state_dict": stored, "epoch": 1})
    exported = pywts.export(path, dialect=dialect)
    text = (folder / "m.wts").read_bytes()
    assert text == reference_wts(named, dialect)
    planned = pywts.plan(path, dialect=dialect)
    assert exported.bytes == planned.bytes == len(text)
    assert exported.values == planned.values == sum(tensor.values for tensor in planned.tensors)
    assert exported.tensors == len(planned.tensors) == len(named)
    assert [tensor.name for tensor in planned.tensors] == list(named)


@pytest.mark.parametrize("as_given", [str, os.fsencode, Path, PurePath], ids=["str", "bytes", "Path", "PurePath"])
def test_source_and_output_are_paths_of_every_kind(as_given: Any, source: Path, tmp_path: Path) -> None:
    exported = pywts.export(as_given(source), as_given(tmp_path / "m.wts"))
    assert (exported.source, exported.path) == (str(source), str(tmp_path / "m.wts"))
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(NAMED)


def test_result_tells_what_was_done(source: Path) -> None:
    exported = pywts.export(source, key=".")
    size = len(reference_wts(NAMED))
    assert (exported.tensors, exported.values, exported.bytes) == (2, 9, size)
    assert (exported.weights, exported.why, exported.dialect, exported.recipe) == (
        ".",
        "asked for by key",
        "double",
        "none",
    )
    assert exported.warnings == ()
    assert exported.seconds >= 0
    assert "best.wts" in exported.next_step


def test_plan_describes_the_tensors_of_the_source(source: Path) -> None:
    planned = pywts.plan(source)
    assert [(t.name, t.shape, t.dtype, t.values) for t in planned.tensors] == [
        ("a.weight", (2, 3), "float32", 6),
        ("a.bias", (3,), "float16", 3),
    ]
    assert (planned.source, planned.dialect, planned.weights) == (str(source), "double", "")
    assert not source.with_suffix(".wts").exists()


def test_plan_of_a_large_checkpoint_reads_no_values(tmp_path: Path) -> None:
    """A storage of a terabyte, in a file that holds it as a hole, is planned as fast as any other."""
    path = save(tmp_path / "m.pt", {"x": Tensor(Storage("float32", zeros=1 << 31), (1 << 29,), (1,))})
    assert pywts.plan(path).bytes == len(f"1\nx {1 << 29}  \n") - 1 + 9 * (1 << 29)


def test_next_step_names_the_program_of_a_known_family(tmp_path: Path) -> None:
    model = module(
        "ultralytics.nn.tasks.DetectionModel",
        parameters={"w": tensor(NAMED["a.weight"])},
        yaml={"yaml_file": "yolov8n.yaml", "scale": "n"},
    )
    exported = pywts.export(save(tmp_path / "best.pt", {"model": model}))
    assert exported.next_step == "build the engine: ./yolov8_det -s best.wts best.engine n"


@pytest.mark.parametrize("scale", ["n; rm -rf ~", "$(id)", "\x1b[31m", "x" * 1_000])
def test_next_step_takes_nothing_but_a_size_for_a_size(scale: str, tmp_path: Path) -> None:
    model = module(
        "ultralytics.nn.tasks.DetectionModel",
        parameters={"w": tensor(NAMED["a.weight"])},
        yaml={"yaml_file": "yolov8n.yaml", "scale": scale},
    )
    path = save(tmp_path / "best.pt", {"model": model})
    assert pywts.export(path).next_step == "build the engine: ./yolov8_det -s best.wts best.engine <size letter>"
    side = pywts.inspect(path).cpp_side
    assert side is not None
    assert side.size is None


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("my best.pt", "'my best.wts' 'my best.engine'"),
        ("it's (2).pt", """'it'"'"'s (2).wts' 'it'"'"'s (2).engine'"""),
        ("模型-1.pt", "模型-1.wts 模型-1.engine"),
    ],
)
def test_next_step_is_quoted_for_a_shell(name: str, quoted: str, tmp_path: Path) -> None:
    model = module(
        "ultralytics.nn.tasks.DetectionModel",
        parameters={"w": tensor(NAMED["a.weight"])},
        yaml={"yaml_file": "yolov8n.yaml", "scale": "n"},
    )
    path = save(tmp_path / name, {"model": model})
    assert pywts.export(path).next_step == f"build the engine: ./yolov8_det -s {quoted} n"
    side = pywts.inspect(path).cpp_side
    assert side is not None
    assert side.commands[-1] == f"./yolov8_det -s {quoted} n"


def layers(*names: str) -> Any:
    """A yolo model of one layer with these parameters, and a batch normalization's mean where "bn" is among them."""
    values = tensor(NAMED["a.weight"])
    conv = module("torch.nn.modules.conv.Conv2d", parameters={name: values for name in names if name != "bn"})
    bn = {"bn": module("torch.nn.modules.batchnorm.BatchNorm2d", buffers={"running_mean": values})}
    layer = module("ultralytics.nn.modules.conv.Conv", modules={"conv": conv, **(bn if "bn" in names else {})})
    return module(
        "ultralytics.nn.tasks.DetectionModel",
        modules={"model": module("torch.nn.modules.container.Sequential", modules={"0": layer})},
        yaml={"yaml_file": "yolov8n.yaml", "scale": "n"},
    )


@pytest.mark.parametrize(
    ("names", "fused"), [(("weight", "bias"), True), (("weight", "bias", "bn"), False), (("weight",), False)]
)
def test_fused_model_is_warned_of(names: tuple[str, ...], fused: bool, tmp_path: Path) -> None:
    """The programs look for the batch normalizations, and fail far away from the cause."""
    path = save(tmp_path / "best.pt", {"model": layers(*names)})
    side = pywts.inspect(path).cpp_side
    assert side is not None
    for said in (pywts.export(path).warnings, pywts.plan(path).warnings, side.notes):
        assert any("the model is fused" in line and "yolov8_det looks for them" in line for line in said) == fused


def test_exporting_twice_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    pywts.export(source, tmp_path / "a.wts")
    pywts.export(source, tmp_path / "b.wts")
    assert (tmp_path / "a.wts").read_bytes() == (tmp_path / "b.wts").read_bytes()


def test_source_is_left_as_it_was(source: Path) -> None:
    before, status = source.read_bytes(), source.stat()
    pywts.export(source)
    assert source.read_bytes() == before
    assert source.stat().st_mtime_ns == status.st_mtime_ns


# ------------------------------------------------------------------------------------------------------------- sizes

BLOCK = 1 << 20


@pytest.mark.parametrize("blocks", [1, 2, 4, 5])
@pytest.mark.parametrize("more", [-10, -9, -1, 0, 1, 8, 9])
def test_texts_that_end_around_a_block(blocks: int, more: int, tmp_path: Path, seed: int) -> None:
    """Sizes around the writer's blocks, and around the size from which a second thread writes (4 blocks)."""
    size = blocks * BLOCK + more
    count = (size - 40) // 9
    for _ in range(3):
        padding = size - len(f"1\n {count}  \n") + 1 - 9 * count
        if padding > 0:
            break
        count -= 1
    values = numpy.random.default_rng(seed).integers(0, 1 << 32, count, numpy.uint32).view(numpy.float32)
    values[numpy.isnan(values)] = 1  # the fast oracle would keep them signalling
    named = {"n" * padding: values}
    expected = fast_wts(named)
    assert len(expected) == size
    pywts.export(named, tmp_path / "memory.wts")
    assert (tmp_path / "memory.wts").read_bytes() == expected
    pywts.export(save(tmp_path / "m.pt", {name: tensor(value) for name, value in named.items()}))
    assert (tmp_path / "m.wts").read_bytes() == expected


def test_many_small_tensors(tmp_path: Path) -> None:
    storage = Storage("float16", numpy.arange(60_000, dtype=numpy.float16).tobytes())
    values = numpy.arange(60_000, dtype=numpy.float16)
    stored = {f"layer.{i}.w": Tensor(storage, (3,), (1,), 3 * i) for i in range(20_000)}
    path = save(tmp_path / "m.pt", stored)
    pywts.export(path)
    assert (tmp_path / "m.wts").read_bytes() == fast_wts(
        {f"layer.{i}.w": values[3 * i : 3 * i + 3] for i in range(20_000)}
    )


def test_memory_stays_flat(tmp_path: Path) -> None:
    """64 M values from a file, transposed and not: the peak is no more than 64 MB over that of a small export."""
    values = 1 << 26
    storage = Storage("float32", zeros=4 * values)
    small = save(tmp_path / "small.pt", {"x": tensor(numpy.zeros(9, numpy.float32))})
    peaks = [_peak_memory(small)]
    for shape, strides in (((values,), (1,)), ((1 << 13, 1 << 13), (1, 1 << 13))):
        peaks.append(_peak_memory(save(tmp_path / "large.pt", {"x": Tensor(storage, shape, strides)})))
    assert max(peaks) - peaks[0] < 64 << 20, peaks


def _peak_memory(source: Path) -> int:
    arguments = [sys.executable, "-m", "pywts", "export", str(source), "-o", "/dev/null", "-q"]
    process = subprocess.Popen(arguments, env=environment(), cwd=source.parent)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


# ---------------------------------------------------------------------------------------------------------- progress


def test_progress_grows_to_the_total_in_the_caller_s_thread(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    threads = set()

    def progress(done: int, total: int) -> None:
        calls.append((done, total))
        threads.add(threading.get_ident())

    named = {f"x{i}": numpy.broadcast_to(numpy.float32(i), (1 << 20,)) for i in range(30)}
    exported = pywts.export(named, tmp_path / "m.wts", progress=progress)
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert {total for _, total in calls} == {exported.bytes}
    assert done[-1] == exported.bytes
    assert threads == {threading.get_ident()}


def test_progress_is_called_for_small_exports_too() -> None:
    calls: list[tuple[int, int]] = []
    exported = pywts.export(NAMED, io.BytesIO(), progress=lambda *call: calls.append(call))
    assert calls[-1] == (exported.bytes, exported.bytes)


# ------------------------------------------------------------------------------------------------------------- sample


def test_sample_gives_the_bytes_that_the_script_gave(sample: Path, tmp_path: Path) -> None:
    exported = pywts.export(sample, tmp_path / "shapes.wts")
    assert (exported.tensors, exported.values, exported.weights) == (355, 230_698, "model")
    assert hashlib.sha256((tmp_path / "shapes.wts").read_bytes()).hexdigest() == SAMPLE_SHA256


@pytest.mark.torch
def test_script_gives_the_sample_s_bytes(sample: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    model = torch.load(sample, map_location="cpu", weights_only=False)["model"].float()
    assert hashlib.sha256(reference_wts(model.state_dict())).hexdigest() == SAMPLE_SHA256


def test_a_wrong_kernel_is_an_option_error_wherever_the_text_goes(tmp_path: Path) -> None:
    script = (
        "import io, sys, numpy, pywts\n"
        "for output in (io.BytesIO(), sys.argv[1]):\n"
        "    try:\n"
        "        pywts.export({'a': numpy.ones(3, 'f4')}, output)\n"
        "    except pywts.OptionError as error:\n"
        "        print('PYWTS_KERNEL=nope is no kernel' in str(error))\n"
    )
    done = python(script, str(tmp_path / "a.wts"), env=environment(PYWTS_KERNEL="nope"))
    assert done.stdout == "True\nTrue\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_a_raw_stream_that_would_block_is_an_error() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        with os.fdopen(writing, "wb", buffering=0) as stream, pytest.raises(pywts.OutputError, match="blocking"):
            pywts.export({"a": numpy.ones(100_000, numpy.float32)}, stream)
    finally:
        os.close(reading)


def test_nothing_reaches_a_stream_where_a_value_overflows() -> None:
    stream = io.BytesIO()
    harm = {"a": numpy.zeros(300_000, numpy.float32), "b": numpy.array([1.0, 1e300])}
    for write in (lambda: pywts.export(harm, stream), lambda: pywts.plan(harm)):
        with pytest.raises(pywts.TensorError, match="b, value 1: is finite in float64"):
            write()
    assert stream.getvalue() == b""


@pytest.mark.parametrize("output", [5, object(), io.StringIO()])
def test_an_output_that_is_no_output_is_an_option_error(output: object) -> None:
    with pytest.raises(pywts.OptionError, match="neither a path nor a binary stream"):
        pywts.export({"a": numpy.ones(3, numpy.float32)}, output)
    with pytest.raises(pywts.OptionError, match="neither a path nor a binary stream"):
        pywts.export("trusted.pt", output, trust=True)  # before the child begins


def test_a_shard_of_the_source_is_never_the_output(tmp_path: Path) -> None:
    safetensors = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    shard = tmp_path / "s-00001-of-00001.safetensors"
    shard.write_bytes(len(safetensors).to_bytes(8, "little") + safetensors + b"\x00\x00\x80\x3f")
    index = tmp_path / "s.index.json"
    index.write_text('{"weight_map": {"a": "s-00001-of-00001.safetensors"}}')
    before = shard.read_bytes()
    for write in (pywts.export, pywts.convert):
        with pytest.raises(pywts.OutputError, match="is the source itself"):
            write(index, shard, force=True)
    assert shard.read_bytes() == before
    assert pywts.export(index, tmp_path / "out.wts").tensors == 1
