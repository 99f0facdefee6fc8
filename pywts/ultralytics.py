"""A hook for trainings with ultralytics: the .wts is there when the training ends.

>>> from ultralytics import YOLO
>>> import pywts.ultralytics
>>> model = YOLO("yolov8n.pt")
>>> pywts.ultralytics.add_callback(model)
>>> model.train(data="coco8.yaml", epochs=2)  # runs/detect/train/weights/best.wts lies beside best.pt
"""

from __future__ import annotations

import os

from .errors import Error, shown
from .exporting import export
from .options import OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def add_callback(model: Any, output: str | os.PathLike[str] | None = None, **options: Any) -> None:
    """Export ``best.pt`` (or, where no validation chose one, ``last.pt``) when a training of a model ends.

    model: an ultralytics ``YOLO`` (or ``RTDETR`` ...), or a trainer: whatever has ``add_callback(event, function)``.
    output: a path or a folder; without it the .wts lies beside the checkpoint.
    options: those of ``pywts.export``; TypeError for any other, before the training.

    The training is over by then, so an export that fails does not raise: it is logged as an error, with its reason.
    Trainings on several GPUs run in processes of their own, to which ultralytics brings no callbacks; there, export
    ``model.trainer.best`` after ``train()``.
    """
    for name in options:
        if name not in (*(option.name for option in OPTIONS), "limits", "progress"):
            raise TypeError(f"add_callback() got an unexpected keyword argument {name!r}")

    def export_best(trainer: Any) -> None:
        from ultralytics.utils import LOGGER

        checkpoint = next((path for path in (trainer.best, trainer.last) if os.path.exists(path)), None)
        if checkpoint is None:
            LOGGER.error(f"pywts: neither {trainer.best} nor {trainer.last} was saved: nothing to export")
            return
        try:
            done = export(checkpoint, output, **options)
        except Error as error:
            LOGGER.error(f"pywts: {error}")
            return
        except Exception as error:  # a recipe of the caller's own, or a mistake of pywts: the training is not to blame
            LOGGER.error(f"pywts: {checkpoint}: {type(error).__name__}: {shown(error, 300)}")
            return
        for warning in done.warnings:
            LOGGER.warning(f"pywts: {warning}")
        LOGGER.info(f"pywts: {done.path}: {done.tensors} tensors, {done.values} values; next: {done.next_step}")

    model.add_callback("on_train_end", export_best)
