"""Recipes against torch: small modules with the heads of their families, the surgery of the reference scripts."""

from __future__ import annotations

import copy
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest
from reference import reference_wts

import pywts

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
nn = torch.nn

ANCHORS = torch.tensor([[10, 13, 16, 30, 33, 23], [30, 61, 62, 45, 59, 119.0]]).view(2, 3, 2) * 1.03
STRIDE = torch.tensor([8.0, 16.0])


class Detect(nn.Module):
    """yolov5 since v6.0."""

    stride = None

    def __init__(self) -> None:
        super().__init__()
        self.grid = [torch.empty(0) for _ in range(2)]
        self.anchor_grid = [torch.empty(0) for _ in range(2)]
        self.register_buffer("anchors", ANCHORS / STRIDE.view(2, 1, 1))
        self.m = nn.ModuleList(nn.Conv2d(channels, 6, 1) for channels in (4, 8))
        self.stride = STRIDE.clone()


class Segment(Detect):
    """yolov5's segmentation."""

    def __init__(self) -> None:
        super().__init__()
        self.proto = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))


class EarlyDetect(nn.Module):
    """yolov5 up to v5.0, yolov7's deploy form: both as buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("anchors", ANCHORS / STRIDE.view(2, 1, 1))
        self.register_buffer("anchor_grid", ANCHORS.clone().view(2, 1, -1, 1, 1, 2))
        self.m = nn.ModuleList(nn.Conv2d(channels, 6, 1) for channels in (4, 8))
        self.stride = STRIDE.clone()


class Implicit(nn.Module):
    """What is added, or multiplied by."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.implicit = nn.Parameter(torch.randn(1, channels, 1, 1))


class IDetect(EarlyDetect):
    """yolov7 in training."""

    def __init__(self) -> None:
        super().__init__()
        self.ia = nn.ModuleList(Implicit(channels) for channels in (4, 8))
        self.im = nn.ModuleList(Implicit(6) for _ in range(2))

    def forward(self, levels: list[Any]) -> list[Any]:
        layers = zip(self.m, self.ia, self.im, levels, strict=True)
        return [im.implicit * m(ia.implicit + level) for m, ia, im, level in layers]


class DFL(nn.Module):
    """The integral of a distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 1, 1, bias=False)


class DDetect(nn.Module):
    """yolov9: the grid is an attribute of the class until the first pass."""

    anchors = torch.empty(0)
    strides = torch.empty(0)

    def __init__(self) -> None:
        super().__init__()
        self.stride = STRIDE.clone()
        self.cv2 = nn.ModuleList(nn.Conv2d(channels, 6, 1) for channels in (4, 8))
        self.dfl = DFL()

    def run(self, places: int) -> None:
        self.anchors = (torch.arange(2 * places).float() + 0.5).view(places, 2).transpose(0, 1)


class DetectionModel(nn.Module):
    """Layers with a head; conversions reach the head's attributes too, as in the trainers."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), head)
        self.yaml = {"nc": 1}

    def _apply(self, fn: Any, *more: Any) -> Any:
        super()._apply(fn, *more)
        head = self.model[-1]
        head.stride = fn(head.stride)
        if isinstance(head, DDetect):
            head.anchors = fn(head.anchors)
        if isinstance(getattr(head, "anchor_grid", None), list):
            head.anchor_grid = [fn(grid) for grid in head.anchor_grid]
        return self


CLASSES = [Detect, Segment, EarlyDetect, IDetect, DDetect, DetectionModel]


@pytest.fixture(autouse=True)
def training_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that the checkpoints name, as long as they are saved and compared."""
    torch.manual_seed(3)
    package, module = ModuleType("models"), ModuleType("models.yolo")
    for cls in CLASSES:
        monkeypatch.setattr(cls, "__module__", "models.yolo")
        setattr(module, cls.__name__, cls)
    monkeypatch.setitem(sys.modules, "models", package)
    monkeypatch.setitem(sys.modules, "models.yolo", module)


def yolov5_surgery(model: Any) -> None:
    """As the script has it."""
    anchor_grid = model.model[-1].anchors * model.model[-1].stride[..., None, None]
    delattr(model.model[-1], "anchor_grid")
    model.model[-1].register_buffer("anchor_grid", anchor_grid)
    model.model[-1].register_buffer("strides", model.model[-1].stride)


def yolov7_surgery(model: Any) -> None:
    """As the script has it."""
    anchor_grid = model.model[-1].anchors * model.model[-1].stride[..., None, None]
    delattr(model.model[-1], "anchor_grid")
    model.model[-1].register_buffer("anchor_grid", anchor_grid)


def yolov9_surgery(model: Any) -> None:
    """As the script has it."""
    anchor_grid = model.model[-1].anchors * model.model[-1].stride[..., None, None]
    model.model[-1].register_buffer("anchor_grid", anchor_grid)


def reference(checkpoint: dict[str, Any], surgery: Any) -> bytes:
    """What the script writes."""
    model = copy.deepcopy(checkpoint["ema" if checkpoint.get("ema") else "model"]).float()
    surgery(model)
    model.to("cpu").eval()
    return reference_wts(model.state_dict())


def written(source: Any, **options: Any) -> tuple[bytes, pywts.Exported]:
    """What an export writes, and what it says."""
    stream = io.BytesIO()
    exported = pywts.export(source, stream, **options)
    return stream.getvalue(), exported


def ran(head: DDetect, places: int = 21) -> DDetect:
    """A head after its first pass in eval mode."""
    head.run(places)
    return head


CASES = {
    "yolov5 detect": (Detect, yolov5_surgery, "yolov5"),
    "yolov5 segment": (Segment, yolov5_surgery, "yolov5"),
    "yolov5 early": (EarlyDetect, yolov7_surgery, "yolov7"),
    "yolov7": (IDetect, yolov7_surgery, "yolov7"),
    "yolov9 fresh": (DDetect, yolov9_surgery, "yolov9"),
    "yolov9 ran": (lambda: ran(DDetect()), yolov9_surgery, "yolov9"),
}


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_files_and_live_modules_are_the_scripts_bytes(tmp_path: Path, case: str, half: bool) -> None:
    head, surgery, recipe = CASES[case]
    model = DetectionModel(head())
    checkpoint = {"model": None, "ema": model.half() if half else model, "epoch": 3}
    expected = reference(checkpoint, surgery)
    path = tmp_path / "best.pt"
    torch.save(checkpoint, path)
    for source in (path, checkpoint, model):
        text, exported = written(source)
        assert exported.recipe == recipe
        assert text == expected, type(source)


def counted(head: Any) -> Any:
    """A head in which thop left its counters, as the training of yolov5 v1.0 lets it."""
    for name in ("total_ops", "total_params"):
        head.register_buffer(name, torch.zeros(1, dtype=torch.float64))
    return head


def test_an_early_yolov5_with_counters_of_thop_keeps_its_bytes() -> None:
    model = DetectionModel(counted(type("Detect", (EarlyDetect,), {})()))
    text, exported = written(model)
    assert exported.recipe == "yolov7"
    assert text == reference_wts(model.state_dict())


@pytest.mark.parametrize("name", ["Detect", "IDetect"])
def test_yolov7_with_counters_of_thop_is_the_scripts_bytes(name: str) -> None:
    model = DetectionModel(counted(type(name, (IDetect,), {})()))
    model.traced = False
    assert written(model)[0] == reference({"model": model}, yolov7_surgery)


def test_an_early_yolov5_keeps_its_bytes() -> None:
    model = DetectionModel(EarlyDetect())
    assert written(model)[0] == reference_wts(model.state_dict())


def test_the_script_of_yolov5_on_an_early_head() -> None:
    model = DetectionModel(EarlyDetect())
    assert written(model, recipe="yolov5")[0] == reference({"model": model}, yolov5_surgery)


def test_data_parallel_is_seen_through() -> None:
    model = DetectionModel(Detect())
    text, exported = written(nn.DataParallel(model), strip_prefix="module.")
    assert text == reference({"model": model}, yolov5_surgery)
    assert exported.warnings == ()


def test_folded_implicit_layers_compute_the_same() -> None:
    model = DetectionModel(IDetect()).double()
    head = model.model[-1]
    levels = [torch.randn(1, channels, 2, 2, dtype=torch.float64) for channels in (4, 8)]
    folded: dict[str, Any] = {}

    def fused(weights: Any) -> Any:
        from pywts.families.yolov7 import apply_fused

        folded.update(apply_fused(weights))
        return folded

    text, _ = written(model, recipe=fused)
    assert text == written(model, recipe="yolov7-fused")[0]
    for index, (level, expected) in enumerate(zip(levels, head(levels), strict=True)):
        weight, bias = (torch.from_numpy(folded[f"model.2.m.{index}.{leaf}"]).double() for leaf in ("weight", "bias"))
        got = nn.functional.conv2d(level, weight, bias)
        assert torch.allclose(got, expected, rtol=1e-5, atol=1e-5)
    place = "model.2.m.0"
    exact = (head.m[0].bias + (head.m[0].weight.flatten(1) @ head.ia[0].implicit.flatten())) * head.im[
        0
    ].implicit.flatten()
    step = numpy.spacing(numpy.abs(folded[f"{place}.bias"]))
    assert (numpy.abs(folded[f"{place}.bias"] - exact.detach().numpy()) <= 2 * step).all()


# --------------------------------------------------------------------------------------------- families by their names


class Normalized(nn.Conv2d):
    """A convolution of detectron2, its normalization inside."""

    def __init__(self, *sizes: int, bias: bool, groups: int = 1) -> None:
        super().__init__(*sizes, bias=bias, groups=groups)
        self.norm = nn.BatchNorm2d(self.out_channels)
        with torch.no_grad():
            for tensor in (self.norm.weight, self.norm.bias, self.norm.running_mean, self.norm.running_var):
                tensor.uniform_(0.05, 3)
            self.weight[torch.rand_like(self.weight) < 0.1] = -0.0


def exact_sqrt(values: Any) -> Any:
    """The square root, rounded correctly. torch's own is MKL's in builds for x86: up to 0.75 ulp off the root, so that
    the script's last bits differ from build to build.
    """
    return torch.from_numpy(numpy.sqrt(values.numpy()))


def fuse_conv_and_bn(conv: Any, sqrt: Any) -> Any:
    """As the script has it, but for the root."""
    bn = conv.norm
    fusedconv = (
        nn.Conv2d(
            conv.in_channels,
            conv.out_channels,
            kernel_size=conv.kernel_size,
            stride=conv.stride,
            padding=conv.padding,
            groups=conv.groups,
            bias=True,
        )
        .requires_grad_(False)
        .to(conv.weight.device)
    )
    w_conv = conv.weight.clone().view(conv.out_channels, -1)
    w_bn = torch.diag(bn.weight.div(sqrt(bn.eps + bn.running_var)))
    fusedconv.weight.copy_(torch.mm(w_bn, w_conv).view(fusedconv.weight.size()))
    b_conv = torch.zeros(conv.weight.size(0), device=conv.weight.device) if conv.bias is None else conv.bias
    b_bn = bn.bias - bn.weight.mul(bn.running_mean).div(sqrt(bn.running_var + bn.eps))
    fusedconv.bias.copy_(torch.mm(w_bn, b_conv.reshape(-1, 1)).reshape(-1) + b_bn)
    return fusedconv


def test_detectron2_is_the_scripts_bytes() -> None:
    sizes = [(3, 64, 7), (64, 32, 1), (5, 1, 3), (1, 7, 3), (129, 65, 1)]
    layers = [Normalized(*size, bias=index % 2 == 1) for index, size in enumerate(sizes)]
    model = nn.Sequential(*layers, Normalized(8, 8, 3, bias=True, groups=4), nn.Conv2d(4, 4, 1))
    fused = {}
    with torch.no_grad():
        for sqrt in (exact_sqrt, torch.sqrt):
            convolutions = [fuse_conv_and_bn(conv, sqrt) for conv in model[:-1]]
            fused[sqrt] = nn.Sequential(*convolutions, model[-1]).state_dict()
    text = written(model, recipe="detectron2")[0]
    assert text == reference_wts(fused[exact_sqrt])
    assert text == written(dict(model.state_dict()), recipe="detectron2")[0]
    for name, value in fused[torch.sqrt].items():
        assert torch.allclose(fused[exact_sqrt][name], value, rtol=1e-6, atol=1e-6)


def test_detr_is_the_scripts_bytes() -> None:
    state = nn.TransformerEncoderLayer(12, 3, 24).state_dict()
    expected = []
    for name, value in state.items():
        if "in_proj" in name:
            dim = int(value.size(0) / 3)
            expected += [
                (f"{name}_q", value[:dim]),
                (f"{name}_k", value[dim : 2 * dim]),
                (f"{name}_v", value[2 * dim :]),
            ]
        else:
            expected.append((name, value))
    assert written({"model": state}, recipe="detr")[0] == reference_wts(expected)


def test_half_is_torchs_half() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model[1].num_batches_tracked.fill_(70_001)
    text, exported = written({"params_ema": model.state_dict()}, recipe="real-esrgan", half=True)
    assert text == reference_wts(copy.deepcopy(model).half().state_dict(), "single")
    assert exported.dialect == "single"


def test_a_callable_may_return_torch_tensors() -> None:
    model = nn.Linear(3, 2)
    text, _ = written(model, recipe=lambda _: {"w": model.weight.t(), "b": torch.ones(2, dtype=torch.bfloat16)})
    assert text == reference_wts({"w": model.weight.t().contiguous(), "b": numpy.ones(2)})
    assert written(model, recipe=lambda _: model.state_dict())[0] == reference_wts(model.state_dict())
