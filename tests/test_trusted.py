"""``trust=True``: through torch.load and the real classes, in a child process."""

from __future__ import annotations

import io
import textwrap

import pytest

import pywts

pytestmark = pytest.mark.torch


@pytest.fixture
def overriding(tmp_path, monkeypatch):
    """A checkpoint whose class adds to its state_dict what no inert reading can know; its module's folder."""
    torch = pytest.importorskip("torch")
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "trainer_of_overriding.py").write_text(
        textwrap.dedent("""
            import os, torch
            class Model(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = torch.nn.Parameter(torch.arange(3.0))
                def state_dict(self, *args, **kwargs):
                    found = super().state_dict(*args, **kwargs)
                    found["doubled"] = self.weight.detach() * 2
                    return found
            class Loud:
                def __reduce__(self):
                    return print, ("the checkpoint speaks on standard output",)
            class Deadly:
                def __reduce__(self):
                    return os._exit, (7,)
        """)
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    import trainer_of_overriding as trainer

    def save(extra=None):
        path = tmp_path / "model.pt"
        torch.save({"model": trainer.Model(), "extra": extra}, path)
        return path

    return save, trainer


def test_the_class_own_state_dict_is_written(overriding, tmp_path):
    save, _ = overriding
    path = save()
    inert = pywts.plan(path)
    assert [tensor.name for tensor in inert.tensors] == ["weight"]
    trusted = pywts.export(path, tmp_path / "out.wts", trust=True)
    assert trusted.tensors == 2
    assert (tmp_path / "out.wts").read_text().splitlines()[2] == "doubled 3  00000000 40000000 40800000"
    assert [tensor.name for tensor in pywts.plan(path, trust=True).tensors] == ["weight", "doubled"]


def test_options_and_streams_reach_the_child_and_back(overriding):
    save, _ = overriding
    stream = io.BytesIO()
    exported = pywts.export(save(), stream, trust=True, include=["doub*"], rename=["^=x."])
    assert stream.getvalue() == b"1\nx.doubled 3  00000000 40000000 40800000\n"
    assert exported.path is None


def test_an_answer_may_be_larger_than_a_pipe_holds(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "many.pt"
    torch.save({f"layer{index}.weight.of.a.long.name": torch.ones(1) for index in range(1200)}, path)
    assert len(pywts.plan(path, trust=True).tensors) == 1200


def test_what_the_checkpoint_prints_does_not_disturb_the_answer(overriding, tmp_path):
    save, trainer = overriding
    assert pywts.export(save(trainer.Loud()), tmp_path / "out.wts", trust=True).tensors == 2


def test_a_child_that_dies_is_an_error_and_leaves_the_old_file(overriding, tmp_path):
    save, trainer = overriding
    output = tmp_path / "out.wts"
    output.write_bytes(b"1\nold 1  3f800000\n")
    with pytest.raises(pywts.CheckpointError, match="ended with code 7"):
        pywts.export(save(trainer.Deadly()), output, trust=True)
    assert output.read_bytes() == b"1\nold 1  3f800000\n"


def test_errors_of_the_child_keep_their_kind_and_words(overriding, tmp_path):
    save, _ = overriding
    path = save()
    with pytest.raises(pywts.SelectionError, match="no 'nothing' in the checkpoint"):
        pywts.export(path, io.BytesIO(), trust=True, key="nothing")
    (tmp_path / "repository" / "trainer_of_overriding.py").unlink()
    with pytest.raises(pywts.CheckpointError, match="needs the module trainer_of_overriding"):
        pywts.export(path, io.BytesIO(), trust=True)


def test_what_torch_cannot_load_is_an_error_with_a_way_out(tmp_path):
    torch = pytest.importorskip("torch")
    import sys

    class Net(torch.nn.Linear):
        __module__, __qualname__ = "__main__", "NetOfTheScript"

    sys.modules["__main__"].NetOfTheScript = Net
    try:
        torch.save(Net(1, 1), tmp_path / "script.pt")
    finally:
        del sys.modules["__main__"].NetOfTheScript
    with pytest.raises(pywts.CheckpointError, match=r"NetOfTheScript.*export the loaded object"):
        pywts.export(tmp_path / "script.pt", io.BytesIO(), trust=True)
    with pytest.raises(pywts.CheckpointError, match=r"none\.pt: cannot be read: No such file"):
        pywts.export(tmp_path / "none.pt", io.BytesIO(), trust=True)


def test_a_recipe_of_ones_own_cannot_go_to_the_child(overriding):
    save, _ = overriding
    with pytest.raises(pywts.OptionError, match="recipe of your own"):
        pywts.export(save(), io.BytesIO(), trust=True, recipe=lambda weights: weights)
