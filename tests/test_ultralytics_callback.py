"""The hook for trainings, without a training: what it does when there is nothing to export, or that fails."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import save, tensor

import pywts.ultralytics


class Trainer:
    """What the hook knows of a trainer."""

    def __init__(self, folder: Path) -> None:
        self.best, self.last = folder / "best.pt", folder / "last.pt"
        self.hooks: dict[str, Callable[[Any], None]] = {}

    def add_callback(self, event: str, function: Callable[[Any], None]) -> None:
        self.hooks[event] = function

    def end(self) -> None:
        """The end of a training."""
        self.hooks["on_train_end"](self)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """A trainer, and ultralytics' logger without ultralytics."""
    utils = types.ModuleType("ultralytics.utils")
    utils.LOGGER = logging.getLogger("ultralytics of a test")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ultralytics", types.ModuleType("ultralytics"))
    monkeypatch.setitem(sys.modules, "ultralytics.utils", utils)
    return Trainer(tmp_path)


def test_last_is_exported_where_there_is_no_best(trainer: Trainer) -> None:
    save(trainer.last, {"w": tensor(numpy.ones(3, numpy.float32))})
    pywts.ultralytics.add_callback(trainer)
    trainer.end()
    assert trainer.last.with_suffix(".wts").read_bytes().startswith(b"1\nw 3  3f800000")


def test_failure_is_logged_and_not_raised(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    trainer.best.write_bytes(b"no checkpoint")
    pywts.ultralytics.add_callback(trainer)
    trainer.end()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(trainer.best) in caplog.text


def test_failure_of_a_recipe_is_logged_and_not_raised(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    def recipe(_: pywts.Weights) -> None:
        raise ZeroDivisionError("of its own")

    save(trainer.best, {"w": tensor(numpy.ones(3, numpy.float32))})
    pywts.ultralytics.add_callback(trainer, recipe=recipe)
    trainer.end()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"{trainer.best}: ZeroDivisionError: of its own" in caplog.text


def test_unknown_option_is_an_error_before_the_training(trainer: Trainer) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'halve'"):
        pywts.ultralytics.add_callback(trainer, halve=True)
    assert trainer.hooks == {}


def test_nothing_saved_is_said(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    pywts.ultralytics.add_callback(trainer)
    trainer.end()
    assert "nothing to export" in caplog.text
