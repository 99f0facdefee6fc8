"""What ``inspect`` says of files that torch wrote, beside what torch says of the objects."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import pywts

pytestmark = pytest.mark.torch


def network() -> Any:
    """A module with tied weights, a shared child, a frozen bias and a buffer that is not saved."""
    import torch
    from torch import nn

    torch.manual_seed(7)
    made = nn.Module()
    made.first = nn.Linear(3, 4)
    made.again = made.first
    made.other = nn.Linear(3, 4, bias=False)
    made.other.weight = made.first.weight
    made.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4))
    made.register_buffer("cache", torch.zeros(2), persistent=False)
    made.first.bias.requires_grad_(False)
    return made


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_saved_module_is_described_as_the_living_one(zipped: bool, tmp_path: Path) -> None:
    import torch

    module = network()
    torch.save(module, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    live, saved = pywts.inspect(module), pywts.inspect(tmp_path / "m.pt")
    assert live.model is not None
    assert saved.model is not None
    for found in (live.model, saved.model):
        assert found.parameters == sum(parameter.numel() for parameter in module.parameters())
        assert found.trainable == sum(each.numel() for each in module.parameters() if each.requires_grad)
        assert found.buffers == sum(buffer.numel() for buffer in module.buffers()) - 2
        assert found.tied == (("first.weight", "again.weight", "other.weight"), ("first.bias", "again.bias"))
        assert found.transient == ("cache",)
    assert saved.model.modules == live.model.modules
    assert [(tensor.name, tensor.shape) for tensor in saved.tensors] == [
        (name, tuple(value.shape)) for name, value in module.state_dict().items()
    ]
    kinds = {tensor.name: tensor.kind for tensor in saved.tensors}
    assert {name for name, kind in kinds.items() if kind == "parameter"} == {
        name for name, _ in module.named_parameters(remove_duplicate=False)
    }
    assert next(each for each in saved.model.modules if each.path == "again").same_as == "first"


def test_torchscript_tells_parameters_from_buffers(tmp_path: Path) -> None:
    import torch
    from torch import nn

    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    traced = torch.jit.trace(module.eval(), torch.zeros(1, 2))
    traced.save(str(tmp_path / "m.pt"))
    found = pywts.inspect(tmp_path / "m.pt", check=True)
    assert found.container.kind == "TorchScript archive"
    assert found.container.check is not None
    assert not found.container.check.damaged
    assert found.model is not None
    assert found.model.parameters == 15
    assert found.model.buffers == 7
    # torch tells classes of one name apart that were scripted in one process.
    assert [re.sub(r"___torch_mangle_\d+\.", "", str(module.class_name)) for module in found.model.modules[1:]] == [
        "__torch__.torch.nn.modules.linear.Linear", "__torch__.torch.nn.modules.batchnorm.BatchNorm1d",
    ]  # fmt: skip


def test_an_optimizer_is_told_by_its_groups_and_its_state_is_summed_up(tmp_path: Path) -> None:
    import torch

    module = network()
    for name, kind in {"SGD": "SGD", "AdamW": "Adam or AdamW", "RMSprop": "RMSprop", "NAdam": "NAdam"}.items():
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        optimizer = getattr(torch.optim, name)(module.parameters(), lr=0.01, **options)
        module.first(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        state = optimizer.state_dict()
        torch.save({"model": module.state_dict(), "optimizer": state, "epoch": 3}, tmp_path / "m.pt")
        found = pywts.inspect(tmp_path / "m.pt").training
        assert found.state == "in training"
        assert found.optimizer is not None
        assert found.optimizer.kind == kind
        held = [each for moments in state["state"].values() for each in moments.values() if torch.is_tensor(each)]
        assert found.optimizer.bytes == sum(each.numel() * each.element_size() for each in held)
        assert found.optimizer.groups[0]["lr"] == 0.01


def test_a_bit_that_torch_does_not_notice_is_found(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "m.pt"
    torch.save({"model": {"w": torch.full((64,), 3.0), "v": torch.ones(64)}}, path)
    data = bytearray(path.read_bytes())
    data[data.index(torch.full((64,), 3.0).numpy().tobytes()) + 5] ^= 1
    path.write_bytes(data)
    torch.load(path)
    check = pywts.inspect(path, check=True).container.check
    assert check is not None
    assert [damage.tensors for damage in check.damaged] == [("model.w",)]
