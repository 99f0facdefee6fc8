"""Containers made by hand: what each is told by, what it gives, and what becomes of it when it is cut or changed."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import pickle
import random
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from attacks.making import (
    EMPTY_ORDERED,
    FALSE,
    GOOD,
    NONE,
    File,
    archive,
    beside,
    call,
    checkpoint,
    count_of,
    instance,
    legacy,
    many,
    mapping,
    module,
    named,
    number,
    storage,
    tensor,
    text,
    values_of,
)
from reference import reference_wts

import pywts
from pywts.checkpoint.opening import open_checkpoint
from pywts.checkpoint.pickled import PickledCheckpoint
from pywts.limits import DEFAULT_LIMITS


def exported(path: Path, **options: object) -> dict[str, list[float]]:
    """The tensors of the .wts that a file gives, by name, in order."""
    output = path.with_suffix(".out.wts")
    pywts.export(path, output, **options)  # type: ignore[arg-type]
    count, *lines = output.read_text().splitlines()
    assert int(count) == len(lines)
    result = {}
    for line in lines:
        name, numel, *values = line.split()
        assert int(numel) == len(values)
        result[name] = [struct.unpack(">f", bytes.fromhex(value))[0] for value in values]
    return result


def kind(path: Path) -> str:
    """The container that a file is taken for."""
    opened = open_checkpoint(path, DEFAULT_LIMITS)
    opened.close()
    return opened.kind


def written(folder: Path, data: bytes, name: str = "model.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


CODE = (
    b'class M(Module):\n  __parameters__ = ["b", "a", "nothing", ]\n  __buffers__ = ["\\303\\244", ]\n'
    b"  a : Tensor\n  b : Tensor\n  plain : Tensor\n  child : __torch__.N\n"
    b'class N(Module):\n  __parameters__ = []\n  __buffers__ = ["a"]\n  def forward(self: __torch__.N) -> Tensor:\n'
    b'    return torch.warn("class X(Module):")\n'
)


def script(model: bytes, *files: File) -> bytes:
    """A TorchScript archive around a pickled module."""
    return checkpoint(model, File("it/code/__torch__.py", CODE, deflate=True), *files)


CONSTANTS = File("it/constants.pkl", b"\x80\x02).")
MODEL = instance(
    named("__torch__", "M"),
    mapping(
        {
            "a": tensor(),
            "plain": tensor(),
            "b": tensor(shape=(2,), offset=1),
            "nothing": NONE,
            "child": instance(named("__torch__", "N"), mapping({"a": tensor(shape=(1,))})),
            "ä": tensor(shape=(), strides=()),
        }
    ),
)
HEADER = {
    "__metadata__": {"format": "pt"},
    "second": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
    "first": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
}
SAFETENSORS = struct.pack("<Q", len(json.dumps(HEADER))) + json.dumps(HEADER).encode() + values_of(GOOD)
ARRAYS = {"good": numpy.array(GOOD, numpy.float32)}


def npz(**arrays: numpy.ndarray) -> bytes:
    out = io.BytesIO()
    numpy.savez(out, **arrays)
    return out.getvalue()


SAMPLES: dict[str, tuple[str, bytes]] = {
    "zip": ("zip archive", checkpoint(mapping({"good": tensor()}))),
    "deflated zip": (
        "zip archive",
        archive(
            File("it/data.pkl", b"\x80\x02" + mapping({"good": tensor()}) + b".", deflate=True),
            File("it/data/0", values_of(GOOD), deflate=True),
        ),
    ),
    "legacy": ("legacy stream", legacy(mapping({"good": tensor()}))),
    "safetensors": ("safetensors", SAFETENSORS),
    "TorchScript": ("TorchScript archive", script(MODEL, CONSTANTS)),
    "npz": ("NumPy archive", npz(**ARRAYS)),
    **{f"pickle {protocol}": ("plain pickle", pickle.dumps(ARRAYS, protocol)) for protocol in range(6)},
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("suffix", [".pt", ".pth.tar", ".pkl", ".wts", ".safetensors", ""])
def test_told_by_bytes_not_by_suffix(name: str, suffix: str, tmp_path: Path) -> None:
    expected, data = SAMPLES[name]
    assert kind(written(tmp_path, data, f"model{suffix}")) == expected


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("TorchScript", "safetensors")])
def test_values(name: str, tmp_path: Path) -> None:
    assert exported(written(tmp_path, SAMPLES[name][1])) == {"good": list(GOOD)}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_cut_is_said(name: str, tmp_path: Path) -> None:
    """A file cut short anywhere is an error of pywts, never another, and never a .wts."""
    data = SAMPLES[name][1]
    for size in range(0, len(data), max(1, len(data) // 97)):
        path = written(tmp_path, data[:size])
        with pytest.raises(pywts.Error) as caught:
            pywts.export(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", SAMPLES)
def test_any_change_is_read_or_said(name: str, tmp_path: Path) -> None:
    """Bytes changed at random: the file exports, or the error is one of pywts."""
    original = SAMPLES[name][1]
    dice = random.Random(name)
    for _ in range(150):
        data = bytearray(original)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.randrange(len(data))
            chance = dice.random()
            if chance < 0.6:
                data[at] = dice.randrange(256)
            elif chance < 0.8:
                del data[at : at + dice.randrange(1, 9)]
            else:
                data[at:at] = dice.choice((b"\xff" * 8, b"\x00" * 8, b"(", b"tR", b"Q", b"."))
        try:
            pywts.export(written(tmp_path, bytes(data)), tmp_path / "out.wts")
        except pywts.Error:
            pass


# --------------------------------------------------------------------------------------------------------- legacy


def test_legacy_keys_in_any_order(tmp_path: Path) -> None:
    body = mapping({"a": tensor(storage("x", 2), (2,)), "b": tensor(storage("y", 1), (1,))})
    data = legacy(body, ("y", "x"), count_of((3.0,)) + count_of((1.0, 2.0)))
    assert exported(written(tmp_path, data)) == {"a": [1.0, 2.0], "b": [3.0]}


def test_legacy_view_of_a_storage(tmp_path: Path) -> None:
    view = many(text("view"), number(1), number(2))
    body = mapping({"part": tensor(storage(view=view), (2,)), "whole": tensor(storage(view=NONE))})
    assert exported(written(tmp_path, legacy(body))) == {"part": list(GOOD[1:3]), "whole": list(GOOD)}


def test_legacy_whole_module_whose_class_is_a_persistent_id(tmp_path: Path) -> None:
    inner = module({"w": tensor()})
    kind_of_module = many(text("module"), named("my.models", "Net"), text("net.py"), text("class Net: ...")) + b"Q"
    body = inner.replace(named("torch.nn.modules.module", "Module"), kind_of_module)
    path = written(tmp_path, legacy(body))
    assert exported(path) == {"w": list(GOOD)}
    opened = open_checkpoint(path, DEFAULT_LIMITS)
    assert opened.class_name(opened.root) == "my.models.Net"
    opened.close()


def test_legacy_pickle_longer_than_a_window(tmp_path: Path) -> None:
    body = mapping({"note": text("x" * 1_000_000), "good": tensor()})
    assert exported(written(tmp_path, legacy(body))) == {"good": list(GOOD)}


def test_protocol_0_keeps_ids_as_text(tmp_path: Path) -> None:
    held = b"P('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 4, None)\n"
    part = b"P('storage', <class 'torch.FloatStorage'>, '0', 'cuda:0', 4, ('9', 2, 2))\n"
    body = mapping({"good": tensor(held), "part": tensor(part, (2,))})
    assert exported(written(tmp_path, legacy(body))) == {"good": list(GOOD), "part": list(GOOD[2:])}


# ------------------------------------------------------------------------------------------------- safetensors, shards


def test_safetensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    found = exported(written(tmp_path, SAFETENSORS))
    assert list(found.items()) == [("first", list(GOOD[:2])), ("second", list(GOOD[2:]))]


def test_safetensors_whose_length_begins_as_a_pickle(tmp_path: Path) -> None:
    for version in range(6):
        header = {"good": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
        packed = json.dumps(header).encode().ljust(0x80 | version << 8)
        path = written(tmp_path, struct.pack("<Q", len(packed)) + packed + values_of(GOOD))
        assert exported(path) == {"good": list(GOOD)}


def test_shards_come_by_name_and_each_in_its_order(tmp_path: Path) -> None:
    written(tmp_path, checkpoint(mapping({"z": tensor(), "b": tensor()})), "1.bin")
    written(tmp_path, legacy(mapping({"a": tensor()})), "2.bin")
    written(tmp_path, SAFETENSORS, "3.safetensors")
    names = {"a": "2.bin", "b": "1.bin", "first": "3.safetensors", "second": "3.safetensors", "z": "1.bin"}
    index = written(tmp_path, json.dumps({"weight_map": names}).encode(), "model.safetensors.index.json")
    assert list(exported(index)) == ["z", "b", "a", "first", "second"]
    assert kind(index) == "model in 3 shards"


# --------------------------------------------------------------------------------------------------------- TorchScript


@pytest.mark.parametrize(
    ("name", "warned"),
    [("model-00001-of-00002.safetensors", True), ("model-00001-of-00001.bin", False), ("fold-1-of-5.pt", False)],
)
def test_shard_that_is_exported_alone_is_said_to_be_one(name: str, warned: bool, tmp_path: Path) -> None:
    path = written(tmp_path, checkpoint(mapping({"good": tensor()})), name)
    assert any("one of 2 shards of a model" in warning for warning in pywts.plan(path).warnings) == warned


def test_torchscript_parameters_then_buffers_then_children_by_attributes(tmp_path: Path) -> None:
    found = exported(written(tmp_path, script(MODEL, CONSTANTS)))
    assert found == {"a": list(GOOD), "b": list(GOOD[1:3]), "ä": [GOOD[0]], "child.a": [GOOD[0]]}
    assert list(found) == ["a", "b", "ä", "child.a"]


def test_torchscript_of_a_frozen_module(tmp_path: Path) -> None:
    constants = File("it/constants.pkl", b"\x80\x02" + tensor() + tensor(shape=(2,)) + b"\x86.")
    values = File("it/constants/0", values_of(GOOD))
    path = written(tmp_path, script(instance(named("__torch__", "N"), b"}"), constants, values))
    with pytest.raises(pywts.SelectionError, match=r"2 constants without their names.*--key constants"):
        pywts.export(path)
    assert exported(path, key="constants") == {"c0": list(GOOD), "c1": list(GOOD[:2])}


# ---------------------------------------------------------------------------------------------------------------- NumPy


def test_npz_arrays_of_any_layout(tmp_path: Path) -> None:
    arrays = {
        "plain": numpy.arange(6, dtype=numpy.float32).reshape(2, 3),
        "fortran": numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        "big": numpy.arange(3, dtype=">f4"),
        "half": numpy.arange(3, dtype=numpy.float16),
        "scalar": numpy.array(3, numpy.int64),
        "nothing": numpy.zeros((0, 2), numpy.float32),
    }
    for save in (numpy.savez, numpy.savez_compressed):
        path = tmp_path / "arrays.npz"
        save(path, **arrays)
        found = exported(path)
        assert list(found) == list(arrays)
        assert found == {name: array.astype("f8").ravel().tolist() for name, array in arrays.items()}


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_arrays_of_any_layout(protocol: int, tmp_path: Path) -> None:
    cube = numpy.arange(24.0).reshape(2, 3, 4)
    arrays = {
        "c": cube, "f": numpy.asfortranarray(cube), "permuted": cube.transpose(1, 0, 2), "sliced": cube[::2, 1:, ::-1],
        "big": numpy.arange(3, dtype=">f8"), "bool": numpy.array([True, False]), "scalar": numpy.float32(1.5),
        "zero": numpy.array(2.5), "nothing": numpy.zeros(0),
    }  # fmt: skip
    path = written(tmp_path, pickle.dumps(arrays, protocol))
    expected = {name: numpy.asarray(array).astype("f8").ravel().tolist() for name, array in arrays.items()}
    assert exported(path) == expected


def test_arrays_pickled_before_numpy_1(tmp_path: Path) -> None:
    """As NumPy still loads them: another function, and a state without a version."""
    dtype = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(U\x01<NNJ\xff\xff\xff\xffJ\xff\xff\xff\xfftb"
    values = struct.pack("<2f", *GOOD[:2])
    state = b"(K\x02\x85" + dtype + b"\x89U" + bytes([len(values)]) + values + b"tb"
    array = b"cnumpy.core._internal\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R" + state
    data = b"\x80\x02}U\x04good" + array + b"s."
    assert pickle.loads(data, encoding="latin-1")["good"].tolist() == list(GOOD[:2])
    path = written(tmp_path, data)
    assert exported(path) == {"good": list(GOOD[:2])}
    assert pywts.scan(path).clean


# ------------------------------------------------------------------------------------------------ what is no checkpoint


def tar(name: str, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        file.addfile(tarfile.TarInfo(name))
    return out.getvalue()


FOREIGN = {
    "empty": (b"", "empty"),
    "zeros": (bytes(4096), "zeros"),
    "old tar": (tar("storages"), "torch before 0.1.10"),
    "tar": (tar("model.pt"), "a tar archive; its first file is model.pt"),
    "tar with facts first": (tar("模型.pt"), "a tar archive; unpack it"),
    "tar of a long name": (tar("a" * 150 + "/model.pt", tarfile.GNU_FORMAT), "a tar archive; unpack it"),
    "gzip": (gzip.compress(checkpoint(beside(NONE))), "gunzip"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(40), "7z archive"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(40), "rar archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(40), "unzstd"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "GGUF": (b"GGUF\x03\x00\x00\x00" + bytes(40), "GGUF"),
    "RKNN": (b"RKNN" + bytes(40), "RKNN"),
    "ncnn": (b"\x47\x6b\x30\x01" + bytes(40), "weights of ncnn"),
    "Torch7": (struct.pack("<iii3siii", 4, 1, 3, b"V 1", 8, 1, 1) + bytes(40), "an object of Torch7"),
    "Torch7, a table": (struct.pack("<iiii", 3, 1, 2, 2) + bytes(40), "a table of Torch7"),
    "Torch7 as text": (b"4\n1\n3\nV 1\n13\nnn.Sequential\n", "Torch7 .*torchfile"),
    "Caffe": (b"\x0a\x07AlexNet\xa2\x06\x80\x01" + bytes(40), "Caffe"),
    "Caffe before its second format": (b"\x0a\x07AlexNet\x12\x20" + bytes(40), "Caffe"),
    "Paddle": (bytes(16) + struct.pack("<i", 8) + b"\x08\x05\x10\x40" + bytes(40), "Paddle .*pdparams"),
    "Flax": (b"\x81\xa6params\x82\xa5Dense\x80", "msgpack data, as Flax"),
    "Flax, an array at once": (b"\x82\xa1w\xc7\x20\x01" + bytes(40), "msgpack data, as Flax"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.3.1:" + bytes(40), "ONNX"),
    "SavedModel": (b"\x08\x01\x12\xa0\x01" + bytes(40), "TensorFlow"),
    "TensorFlow index": (bytes(range(40)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "TensorFlow checkpoint"),
    "TFLite": (b"\x1c\x00\x00\x00TFL3" + bytes(40), "TensorFlow Lite"),
    "engine": (b"ftrt\x00\x00\x00\x00" + bytes(40), "TensorRT engine"),
    "ultralytics engine": (b'\x40\x00\x00\x00{"description"' + b"\x01" * 80, "TensorRT engine"),
    "darknet": (struct.pack("<5i", 0, 2, 5, 32013312, 0) + bytes(400), "darknet"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(80), "numpy.savez"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    "HTML": (b"\n  <!doctype HTML><html>", "web page"),
    "XML": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
    "JSON": (b'{"nc": 80}', "JSON document without weights"),
    "error": (b'{"error": "Repository not found"}', "Repository not found"),
    "wts": (b"1\ngood 2  3f800000 40000000\n", "a .wts already"),
    "wts of one": (b"1\ngood 2 3f800000 40000000\n", "a .wts already"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(40), "image"),
    "script": (b"import torch\nprint(1)\n", "program"),
    "yaml": (b"nc: 80\ndepth_multiple: 0.33\n", "a text that begins 'nc: 80"),
    "empty zip": (archive(), "empty zip archive"),
    "torch.export": (archive(File("m/archive_format", b"pt2"), File("m/data/weights/w", b"")), "torch.export"),
    "torch.package": (archive(File("m/.data/extern_modules", b"")), "torch.package"),
    "Keras": (archive(File("config.json", b"{}"), File("model.weights.h5", b"")), "Keras"),
    "zipped": (archive(File("runs/best.pt", b"")), "holds runs/best.pt; unpack it"),
    "files of a checkpoint": (archive(File("data.pkl", b"N."), File("data/0", b"")), "zip -0 -r NAME.pt NAME"),
    "failed save": (archive(File("m/version", b"3"), File("m/.data/serialization_id", b"1")), "torch.save left where"),
    "docx": (archive(File("[Content_Types].xml", b"")), "office document"),
    "cut zip": (checkpoint(beside(NONE))[:200], "directory is missing"),
    "cut legacy": (legacy(beside(NONE))[:200], "cut short|STOP"),
    "noise": (random.Random(1).randbytes(4096), "no checkpoint that pywts knows; it begins with .*; name the"),
    "shard of torch.distributed": (archive(File("a/0", bytes(99))) + checkpoint(beside(NONE)), "dcp_to_torch FOLDER"),
    "zip and more": (checkpoint(beside(NONE)) + b"<html>", "goes on for 6 bytes after the end of its zip archive"),
    "objects of NumPy": (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }",
        "allow_pickle",
    ),
    "objects of NumPy and Python 2": (
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O8', 'fortran_order': False, 'shape': (2,), }",
        "allow_pickle",
    ),
    "zlib": (zlib.compress(b"\x80\x04N." * 99), "zlib data"),
    "lzma": (lzma.compress(b"\x80\x04N." * 99, lzma.FORMAT_ALONE), "unlzma"),
    "old joblib": (b"ZF0x3c                " + zlib.compress(b"\x80\x02N."), "joblib before 0.10"),
    "joblib": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x13joblib.numpy_pickle\x94", "joblib"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    data, words = FOREIGN[name]
    path = written(tmp_path, data, "best.pt")
    with pytest.raises(pywts.CheckpointError, match=words) as caught:
        pywts.export(path)
    assert str(path) in str(caught.value)


def test_folders_that_are_one_checkpoint_are_told_from_folders_of_several(tmp_path: Path) -> None:
    with pytest.raises(pywts.CheckpointError, match="is a folder; name the checkpoint in it"):
        pywts.export(tmp_path)
    (tmp_path / ".metadata").write_bytes(b"N.")
    with pytest.raises(pywts.CheckpointError, match="dcp_to_torch FOLDER"):
        pywts.export(tmp_path)
    (tmp_path / "data.pkl").write_bytes(b"N.")
    for path in (tmp_path, bytes(tmp_path)):
        with pytest.raises(pywts.CheckpointError, match="unpacked checkpoint; pack it again"):
            pywts.export(path)


# --------------------------------------------------------------------------------------------------- big-endian files


def test_big_endian_archive(tmp_path: Path) -> None:
    data = archive(
        File("it/data.pkl", b"\x80\x02" + mapping({"good": tensor()}) + b"."),
        File("it/byteorder", b"big"),
        File("it/data/0", struct.pack(">4f", *GOOD)),
    )
    assert exported(written(tmp_path, data)) == {"good": list(GOOD)}


def test_storage_class_of_another_module(tmp_path: Path) -> None:
    held = storage().replace(named("torch", "FloatStorage"), named("torch.cuda", "FloatStorage"))
    assert exported(written(tmp_path, checkpoint(mapping({"good": tensor(held)})))) == {"good": list(GOOD)}


def test_bytes_of_the_reference(tmp_path: Path) -> None:
    path = written(tmp_path, checkpoint(mapping({"good": tensor()})))
    pywts.export(path, tmp_path / "out.wts")
    assert (tmp_path / "out.wts").read_bytes() == reference_wts({"good": ARRAYS["good"]})


def test_untyped_storage_of_a_tensor_without_a_dtype_holds_uint8(tmp_path: Path) -> None:
    untyped = tensor(storage(numel=4, kind="UntypedStorage"))
    path = written(tmp_path, checkpoint(mapping({"good": untyped})))
    assert exported(path) == {"good": [*map(float, struct.pack("4f", *GOOD)[:4])]}


# ------------------------------------------------------------------------------------------------------ pickled objects

VARIANTS: dict[str, Callable[[], bytes]] = {
    "of torch before 0.4": lambda: call(
        named("torch._utils", "_rebuild_tensor"), storage(), number(0), many(number(4)), many(number(1))
    ),
    "of bytes": lambda: call(
        named("torch._utils", "_rebuild_tensor_v3"), storage(numel=16, kind="UntypedStorage"), number(0),
        many(number(4)), many(number(1)), FALSE, b"}", named("torch", "float32"),
    ),
    "Parameter": lambda: call(named("torch._utils", "_rebuild_parameter"), tensor(), FALSE, b"}"),
    "Parameter with state": lambda: call(
        named("torch._utils", "_rebuild_parameter_with_state"), tensor(), FALSE, b"}", mapping({"x": NONE})
    ),
    "Parameter by call": lambda: call(named("torch.nn.parameter", "Parameter"), tensor()) + many(FALSE) + b"b",
    "Parameter by NEWOBJ": lambda: named("torch.nn.parameter", "Parameter") + many(tensor()) + b"\x81",
    "Parameter by copyreg": lambda: call(
        named("copy_reg", "__newobj__"), named("torch.nn.parameter", "Parameter"), tensor()
    ),
    "Variable": lambda: call(named("torch.autograd.variable", "Variable"), tensor()),
    "subclass": lambda: call(
        named("torch._tensor", "_rebuild_from_type_v2"), named("torch._utils", "_rebuild_tensor_v2"), named("my", "T"),
        many(storage(), number(0), many(number(4)), many(number(1)), FALSE, b"}"), b"}",
    ),
    "of another device": lambda: call(
        named("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"), tensor(), named("torch", "float32"),
        text("xla:0"), FALSE,
    ),
    "shape as torch.Size": lambda: call(
        named("torch._utils", "_rebuild_tensor_v2"), storage(), number(0),
        call(named("torch", "Size"), many(number(4))), many(number(1)), FALSE, b"}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_tensor(name: str, tmp_path: Path) -> None:
    assert exported(written(tmp_path, checkpoint(mapping({"good": VARIANTS[name]()})))) == {"good": list(GOOD)}


LONG = "k" * 500
LATER = {
    "out of bounds before it is told otherwise": mapping(
        {"first": tensor(storage("0", 8, "HalfStorage"), (9,)), "good": tensor()}
    ),
    "too large before it is told otherwise": mapping({"first": tensor(storage("0", 1000)), "good": tensor()}),
    "told otherwise before it is usual": mapping(
        {
            "first": call(
                named("torch._utils", "_rebuild_tensor"), storage("0", 2), number(0), many(number(2)), many(number(1))
            ),
            "good": tensor(),
        }
    ),
    "Parameter of what a call would give": beside(
        named("torch._utils", "_rebuild_parameter") + EMPTY_ORDERED + b"(" + tensor() + b"eR"
    ),
    "tensor of what a call would give": beside(
        named("torch._utils", "_rebuild_tensor_v2") + EMPTY_ORDERED
        + b"(" + storage() + number(0) + many(number(4)) + many(number(1)) + FALSE + NONE + b"eR"
    ),
    "key without measure": mapping({"first": tensor(storage(LONG)), "good": tensor(storage(LONG, 3))}),
}  # fmt: skip


@pytest.mark.parametrize("body", [*VARIANTS.values(), *LATER.values()], ids=[*VARIANTS, *LATER])
def test_core_describes_tensors_as_the_careful_way_does(
    body: Callable[[], bytes] | bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome() -> object:
        try:
            return exported(path)
        except pywts.Error as error:
            return str(error)

    pickled = body if isinstance(body, bytes) else mapping({"good": tensor(), "other": body(), "more": tensor()})
    path = written(tmp_path, checkpoint(pickled, File(f"it/data/{LONG}", values_of(GOOD))))
    found = outcome()
    assert len(str(found)) < 600
    monkeypatch.setattr(PickledCheckpoint, "usual_tensors", lambda *_: [])
    assert outcome() == found


REFUSED = {
    "sparse": (call(named("torch._utils", "_rebuild_sparse_tensor"), NONE), "sparse tensor: save it with .to_dense"),
    "quantized": (call(named("torch._utils", "_rebuild_qtensor"), NONE), r"quantized tensor: save it with .dequantize"),
    "meta": (call(named("torch._utils", "_rebuild_meta_tensor_no_storage"), NONE), "meta device"),
    "lazy": (call(named("torch.nn.parameter", "UninitializedParameter"), FALSE), "uninitialized parameter"),
    "complex": (tensor(storage("1", 2, "ComplexFloatStorage"), (2,)), "complex tensor"),
    "of another dtype": (
        call(named("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"), tensor(), named("torch", "float16")),
        "kept as float32 and used as float16",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_tensor(name: str, tmp_path: Path) -> None:
    harm, words = REFUSED[name]
    path = written(tmp_path, checkpoint(beside(harm), File("it/data/1", bytes(16))))
    with pytest.raises(pywts.TensorError, match=f"harm is an? .*{words}"):
        pywts.export(path)
    assert exported(path, exclude=("harm",)) == {"good": list(GOOD)}


@pytest.mark.parametrize("kind_of_set", [named("builtins", "set"), named("__builtin__", "set"),
                                         call(named("dill._dill", "_load_type"), text("set"))])  # fmt: skip
def test_buffers_that_are_not_persistent(kind_of_set: bytes, tmp_path: Path) -> None:
    tables = {
        "_parameters": mapping({"w": tensor()}),
        "_buffers": mapping({"kept": tensor(), "transient": tensor(), "none": NONE}),
        "_non_persistent_buffers_set": call(kind_of_set, b"](" + text("transient") + b"e"),
        "_modules": b"}",
    }
    body = instance(named("my", "Net"), mapping(tables))
    assert list(exported(written(tmp_path, checkpoint(body)))) == ["w", "kept"]


def test_averaged_weights_that_are_false(tmp_path: Path) -> None:
    """``ema or model``, as the reference scripts say it: a Sequential without children is false."""
    empty = module({}).replace(b"module\nModule\n", b"container\nSequential\n")
    body = mapping({"ema": empty, "model": module({"w": tensor()})})
    assert exported(written(tmp_path, checkpoint(body))) == {"w": list(GOOD)}
