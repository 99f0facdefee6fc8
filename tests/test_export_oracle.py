"""The oracle and the checkpoints made by hand are checked themselves: against the script, and against torch."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import STORAGES, Storage, Tensor, module, save, tensor
from reference import DTYPES, Foreign, fast_wts, item_size, of_bytes, reference_wts

SCRIPT = """
with open(output, "w") as f:
    f.write("{}\\n".format(len(model.state_dict().keys())))
    for k, v in model.state_dict().items():
        vr = v.reshape(-1).cpu().numpy()
        f.write("{} {} ".format(k, len(vr)))
        for vv in vr:
            f.write(" ")
            f.write(struct.pack(">f", float(vv)).hex())
        f.write("\\n")
"""
"""As it is copied from repository to repository."""


@pytest.mark.torch
def test_oracle_is_the_script(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2).half())
    model.register_buffer("empty", torch.zeros(0))
    exec(SCRIPT, {"model": model, "output": tmp_path / "m.wts", "struct": struct})
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(model.state_dict())


def test_oracle_by_hand() -> None:
    named = {
        "a": numpy.array([[1, -2]], numpy.float32),
        "b": numpy.array(3, numpy.int64),
        "c": numpy.zeros(0),
        "d": Foreign("bfloat16", numpy.array([0x3F80, 0xC000], numpy.uint16)),
    }
    assert reference_wts(named) == b"4\na 2  3f800000 c0000000\nb 1  40400000\nc 0 \nd 2  3f800000 c0000000\n"
    assert reference_wts(named, "single") == b"4\na 2 3f800000 c0000000\nb 1 40400000\nc 0\nd 2 3f800000 c0000000\n"


def test_fast_oracle_is_the_loop(seed: int) -> None:
    rng = numpy.random.default_rng(seed)
    named = {
        "f4": rng.standard_normal((30, 50)).astype(numpy.float32),
        "f2": rng.standard_normal(1000).astype(numpy.float16),
        "i8": rng.integers(-(2**62), 2**62, 100),
        "small": numpy.array([2**-149, -(2**-149), 0.0, -0.0, numpy.inf, -numpy.inf], numpy.float32),
        "transposed": rng.standard_normal((30, 50)).astype(numpy.float32).T,
        "empty": numpy.zeros((0, 3), numpy.float32),
        "scalar": numpy.array(7, numpy.int64),
    }
    assert fast_wts(named) == reference_wts(named)


@pytest.mark.torch
def test_torch_reads_the_checkpoints_made_by_hand(tmp_path: Path, seed: int) -> None:
    """Values, shapes, strides and ties are what was asked for, in both byte orders, for every dtype."""
    torch = pytest.importorskip("torch")
    rng = numpy.random.default_rng(seed)
    raw = {
        name: rng.integers(0, 2, 24 * item_size(name), numpy.uint8).tobytes() for name in DTYPES if hasattr(torch, name)
    }
    for byteorder in ("little", "big"):
        if byteorder == "big":  # torch swaps what has a storage class of its own, and forgets the others
            raw = {name: data for name, data in raw.items() if name in STORAGES}
        named: dict[str, Any] = {name: tensor(of_bytes(name, data)) for name, data in raw.items()}
        storage = Storage("float32", numpy.arange(12, dtype=numpy.float32).tobytes())
        named["transposed"] = Tensor(storage, (4, 3), (1, 4))
        named["tied"] = Tensor(storage, (2,), (5,), 1)
        loaded = torch.load(save(tmp_path / "m.pt", {"state_dict": named, "epoch": 3}, byteorder=byteorder))
        assert loaded["epoch"] == 3
        state = loaded["state_dict"]
        for name, data in raw.items():
            assert state[name].dtype == getattr(torch, name)
            assert state[name].view(torch.uint8).numpy().tobytes() == data, (name, byteorder)
        assert state["transposed"].stride() == (1, 4)
        assert state["transposed"].tolist() == numpy.arange(12.0).reshape(3, 4).T.tolist()
        assert state["tied"].tolist() == [1.0, 6.0]
        assert state["tied"].untyped_storage().data_ptr() == state["transposed"].untyped_storage().data_ptr()


@pytest.mark.torch
def test_modules_made_by_hand_are_modules_to_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = numpy.arange(4, dtype=numpy.float32)
    linear = module(
        "torch.nn.modules.linear.Identity",
        parameters={"weight": tensor(values)},
        buffers={"kept": tensor(values * 2), "not": tensor(values * 3)},
        transient=("not",),
    )
    path = save(tmp_path / "m.pt", module("torch.nn.modules.container.Sequential", modules={"0": linear}))
    state = torch.load(path, weights_only=False).state_dict()
    assert list(state) == ["0.weight", "0.kept"]
    assert reference_wts(state) == reference_wts({"0.weight": values, "0.kept": values * 2})
