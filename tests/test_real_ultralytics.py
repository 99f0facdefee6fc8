"""Real ultralytics models and a real training: what the reference script writes of them, without torch."""

from __future__ import annotations

import copy
import io
import os
import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest
from processes import python
from reference import fast_wts, reference_wts
from test_minimal import PACKAGES, without

import pywts
import pywts.ultralytics

pytestmark = pytest.mark.torch

MODELS = {
    "yolov5n": "./yolov8_5u_det -s m.wts m.engine n",
    "yolov8n": "./yolov8_det -s m.wts m.engine n",
    "yolov8n-seg": "./yolov8_seg -s m.wts m.engine n",
    "yolov8n-pose": "./yolov8_pose -s m.wts m.engine n",
    "yolov8n-obb": "./yolov8_obb -s m.wts m.engine n",
    "yolov8n-cls": "./yolov8_cls -s m.wts m.engine n",
    "yolov9t": None,  # the program reads the names of yolov9's own repository
    "yolov10n": "./yolov10_det -s m.wts m.engine n",
    "yolo11n": "./yolo11_det -s m.wts m.engine n",
    "yolo11n-seg": "./yolo11_seg -s m.wts m.engine n",
    "yolo11n-pose": "./yolo11_pose -s m.wts m.engine n",
    "yolo11n-obb": "./yolo11_obb -s m.wts m.engine n",
    "yolo11n-cls": "./yolo11_cls -s m.wts m.engine n",
    "yolo12n": "./yolo12_det -s m.wts m.engine n",
    "yolo12n-seg": None,
    "yolo12n-pose": None,
    "yolo12n-obb": None,
    "yolo12n-cls": None,
    "yolo26n": "./yolo26_det -s m.wts m.engine n",
    "yolo26n-seg": None,
    "yolo26n-pose": None,
    "yolo26n-obb": "./yolo26_obb -s m.wts m.engine n",
    "yolo26n-cls": "./yolo26_cls -s m.wts m.engine n",
}
"""Names of ultralytics' own model files, and the command that builds an engine, where there is a program for it."""


class Ultralytics(NamedTuple):
    """The packages, imported where the environment is prepared, and a folder for model files."""

    torch: Any
    module: Any
    folder: Path

    def yolo(self, name: str) -> Any:
        """A fresh model of one of ultralytics' architectures, narrow, with values in every tensor."""
        torch = self.torch
        torch.manual_seed(len(name))
        model = self.module.YOLO(str(narrow(self.module, name, self.folder)))
        with torch.no_grad():
            for tensor in model.model.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.randn_like(tensor) * 10 ** (4 * torch.rand_like(tensor) - 6))
                else:
                    tensor.fill_(1234567)
        return model


def narrow(ultralytics: Any, name: str, folder: Path) -> Path:
    """A model file of ultralytics with few classes and fewer channels, under its own name."""
    models = Path(ultralytics.__file__).parent / "cfg" / "models"
    names = (name.replace("n", "", 1), name)  # yolov8-seg.yaml holds the scale n; yolov9t has a file of its own
    found = next(path for stem in names for path in models.rglob(f"{stem}.yaml"))
    config = ultralytics.utils.YAML.load(found)
    config["nc"] = 3
    for scale in (config.get("scales") or {}).values():
        scale[1] /= 1 if "yolo12" in name else 4  # its attention wants multiples of 32 channels
    path = folder / found.name
    ultralytics.utils.YAML.save(path, config)
    return folder / f"{name}.yaml"


@pytest.fixture(scope="session")
def ultralytics(tmp_path_factory: pytest.TempPathFactory) -> Ultralytics:
    """The real package; warnings while it is imported are its own affair."""
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("ultralytics", exc_type=ImportError)
        assert os.environ["YOLO_OFFLINE"] == "true"
    module.utils.LOGGER.setLevel("ERROR")
    return Ultralytics(torch, module, tmp_path_factory.mktemp("models"))


def by_the_script(torch: Any, path: Path, key: str | None = None) -> bytes:
    """What the reference scripts make of a checkpoint: ema if there is one, else model; the article's takes model."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model = checkpoint[key] if key else checkpoint["ema"] or checkpoint["model"]
    state = model.float().eval().state_dict()
    few = sum(value.numel() for value in state.values()) < 600_000
    return reference_wts(state) if few else fast_wts(state)


@pytest.mark.parametrize("name", MODELS)
def test_model_gives_the_bytes_of_the_script(name: str, ultralytics: Ultralytics, tmp_path: Path) -> None:
    """Fresh in float32 in the trainer's dict, and in half precision as ``YOLO.save`` writes it."""
    yolo = ultralytics.yolo(name)
    fresh = {"epoch": -1, "best_fitness": None, "model": yolo.model, "ema": None, "optimizer": None, "train_args": {}}
    for kind in ("fresh", "half"):
        path = tmp_path / kind / "m.pt"
        path.parent.mkdir()
        if kind == "fresh":
            ultralytics.torch.save(fresh, path)
        else:
            yolo.save(path)
        exported = pywts.export(path)
        text = path.with_suffix(".wts").read_bytes()
        assert text == by_the_script(ultralytics.torch, path), kind
        assert exported.weights == "model"
        assert exported.recipe == "none"
        assert exported.warnings == ()
        assert {t.dtype for t in pywts.plan(path).tensors} == {"float32" if kind == "fresh" else "float16", "int64"}
        if (command := MODELS[name]) is not None:
            assert exported.next_step == f"build the engine: {command}"
    if name == "yolov5n":
        assert any("anchor-free v5u" in note for note in exported.notes)


def test_live_objects_give_the_bytes_of_the_file(ultralytics: Ultralytics, tmp_path: Path) -> None:
    """The wrapper, its module, their state_dicts, and arrays; the wrapper that was loaded from the file too."""
    yolo = ultralytics.yolo("yolov8n")
    ultralytics.torch.save({"model": yolo.model, "ema": None}, tmp_path / "m.pt")
    pywts.export(tmp_path / "m.pt")
    expected = (tmp_path / "m.wts").read_bytes()
    state = yolo.model.state_dict()
    sources = {
        "wrapper": yolo,
        "module": yolo.model,
        "state_dict": state,
        "arrays": {name: value.numpy() for name, value in state.items()},
        "loaded checkpoint": {"model": yolo.model, "ema": None, "epoch": 3},
        "loaded wrapper": ultralytics.module.YOLO(tmp_path / "m.pt"),
    }
    for kind, source in sources.items():
        stream = io.BytesIO()
        exported = pywts.export(source, stream)
        assert stream.getvalue() == expected, kind
        assert exported.warnings == (), kind
    assert b"\nmodel.model." not in expected, "the wrapper's own state_dict would put a prefix before every name"


def test_model_on_the_meta_device_is_refused(ultralytics: Ultralytics, tmp_path: Path) -> None:
    yolo = ultralytics.yolo("yolov8n")
    yolo.model.to("meta")
    with pytest.raises(pywts.TensorError, match=r"model\.0\.conv\.weight is a tensor on the meta device"):
        pywts.export(yolo, tmp_path / "m.wts")


# ------------------------------------------------------------------------------------------------------ real training


class Trained(NamedTuple):
    """Checkpoints as the ultralytics trainer wrote them."""

    middle: Path
    """last.pt after the first of two epochs: model is None, ema and optimizer are there"""
    best: Path
    """stripped at the end: ema is None, no optimizer"""


@pytest.fixture(scope="session")
def trained(ultralytics: Ultralytics, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training of two epochs on eight pictures, some seconds."""
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path_factory.mktemp("training")
    rng = numpy.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for i in range(8):
        picture = rng.integers(0, 256, (64, 64, 3), dtype=numpy.uint8)
        cv2.rectangle(picture, (16, 16), (48, 48), (255, 255, 255), -1)
        cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
        (folder / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    data = folder / "data.yaml"
    data.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: [square]\n")
    middle = folder / "middle.pt"

    def keep(trainer: Any) -> None:
        if trainer.epoch == 0:
            shutil.copyfile(trainer.last, middle)

    yolo = ultralytics.module.YOLO(str(narrow(ultralytics.module, "yolov8n", ultralytics.folder)), task="detect")
    yolo.add_callback("on_model_save", keep)
    pywts.ultralytics.add_callback(yolo, sidecar=True)
    yolo.train(
        data=str(data),
        project=str(folder / "runs"),  # a relative one would be put into the current folder
        name="t",
        epochs=2,
        imgsz=64,
        batch=4,
        device="cpu",
        pretrained=False,
        optimizer="SGD",
        amp=False,
        plots=False,
        val=False,
        workers=0,
        verbose=False,
        mosaic=0.0,
    )
    return Trained(middle, Path(yolo.trainer.best))


def test_training_ends_with_a_wts(trained: Trained, ultralytics: Ultralytics) -> None:
    """By the callback: beside the best checkpoint, with the options that it was given."""
    wts = trained.best.with_suffix(".wts")
    assert wts.read_bytes() == by_the_script(ultralytics.torch, trained.best)
    assert pywts.verify(wts).equal  # against its sidecar


def test_checkpoint_from_the_middle_of_a_training(trained: Trained, ultralytics: Ultralytics, tmp_path: Path) -> None:
    checkpoint = ultralytics.torch.load(trained.middle, weights_only=False)
    assert checkpoint["model"] is None
    assert checkpoint["optimizer"]["state"]
    exported = pywts.export(trained.middle, tmp_path / "m.wts")
    assert (tmp_path / "m.wts").read_bytes() == by_the_script(ultralytics.torch, trained.middle)
    assert exported.weights == "ema"
    assert "model is None, as in a checkpoint of a running training" in exported.why
    with pytest.raises(pywts.SelectionError, match="'model' is None; weights are under 'ema'"):
        pywts.export(trained.middle, tmp_path / "m.wts", key="model")


def test_stripped_best_of_a_training(trained: Trained, ultralytics: Ultralytics, tmp_path: Path) -> None:
    checkpoint = ultralytics.torch.load(trained.best, weights_only=False)
    assert checkpoint["ema"] is None
    assert checkpoint["optimizer"] is None
    exported = pywts.export(trained.best, tmp_path / "m.wts")
    assert (tmp_path / "m.wts").read_bytes() == by_the_script(ultralytics.torch, trained.best)
    assert (exported.weights, exported.why) == ("model", "model: the checkpoint has no ema")
    assert (tmp_path / "m.wts").read_bytes() == by_the_script(ultralytics.torch, trained.best, "model")


def test_checkpoint_with_averaged_and_plain_weights(trained: Trained, ultralytics: Ultralytics, tmp_path: Path) -> None:
    """As older trainers saved in mid-training: the default is the averaged model, --key model the article's bytes."""
    torch = ultralytics.torch
    checkpoint = torch.load(trained.middle, weights_only=False)
    checkpoint["model"] = copy.deepcopy(checkpoint["ema"])
    with torch.no_grad():
        for parameter in checkpoint["model"].parameters():
            parameter.mul_(0.5)
    path = tmp_path / "both.pt"
    torch.save(checkpoint, path)
    written = {}
    for key in ("auto", "ema", "model"):
        exported = pywts.export(path, tmp_path / "m.wts", key=key)
        written[key] = (tmp_path / "m.wts").read_bytes()
        assert exported.weights == ("ema" if key == "auto" else key)
    assert written["auto"] == written["ema"] == by_the_script(torch, path)
    assert written["model"] == by_the_script(torch, path, "model")
    assert written["model"] != written["ema"]


def test_training_checkpoint_needs_no_package(trained: Trained, ultralytics: Ultralytics, tmp_path: Path) -> None:
    """In a process where torch, ultralytics and NumPy cannot be imported."""
    script = without(*PACKAGES, "numpy") + "from pywts.cli import main\nsys.exit(main(sys.argv[1:]))"
    found = python(script, "export", trained.middle, "-o", tmp_path / "m.wts")
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "m.wts").read_bytes() == by_the_script(ultralytics.torch, trained.middle)


def test_loaded_checkpoint_gives_the_bytes_of_its_file(
    trained: Trained, ultralytics: Ultralytics, tmp_path: Path
) -> None:
    checkpoint = ultralytics.torch.load(trained.middle, weights_only=False)
    exported = pywts.export(checkpoint, tmp_path / "live.wts")
    assert exported.weights == "ema"
    pywts.export(trained.middle, tmp_path / "file.wts")
    assert (tmp_path / "live.wts").read_bytes() == (tmp_path / "file.wts").read_bytes()
