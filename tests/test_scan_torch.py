"""What torch itself saves, scanned."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest

import pywts

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]


def _model() -> Any:
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.LSTM(2, 2), torch.nn.TransformerEncoderLayer(4, 2))


def _kinds() -> dict[str, Any]:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "an attribute"
    return {
        "parameter": parameter, "sparse": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(),
        "meta": torch.empty(2, device="meta"),
        "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        "bfloat16": torch.ones(2, dtype=torch.bfloat16), "float8": torch.ones(2).to(torch.float8_e5m2),
        "complex": torch.ones(2, dtype=torch.complex64), "dtype": torch.float16, "device": torch.device("cpu"),
        "size": torch.Size([1]), "random": torch.get_rng_state(), "layout": torch.strided,
        "generator": torch.Generator(), "path": Path("a/b"),
    }  # fmt: skip


def _numpys() -> dict[str, Any]:
    return {
        "array": numpy.ones(3), "scalar": numpy.float64(3), "dtype": numpy.dtype("f4"), "text": numpy.str_("x"),
        "state": numpy.random.get_state(), "old": numpy.random.RandomState(1), "new": numpy.random.default_rng(1),
    }  # fmt: skip


def _verdict(path: Path) -> str:
    (found,) = pywts.scan(path).files
    assert not found.of("found"), found.of("found")
    return found.verdict


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("make", "verdict"),
    [
        (lambda: _model().state_dict(), "clean"),
        (_kinds, "clean"),
        (_numpys, "clean"),
        (_model, "needs-code"),
        (lambda: torch.optim.Adam(_model().parameters()), "needs-code"),
        (lambda: torch.optim.Adam(_model().parameters()).state_dict(), "clean"),
    ],
)
def test_what_torch_saves_is_not_found(make: Any, verdict: str, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(make(), path, _use_new_zipfile_serialization=zipped)
    assert _verdict(path) == verdict


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_pickle_writes_of_torch_is_not_found(protocol: int, tmp_path: Path) -> None:
    """Storages are then whole legacy streams inside of bytes, each of which is followed."""
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(_model(), protocol))
    assert _verdict(path) == "needs-code"
    (found,) = pywts.scan(path).files
    storages = len(_model().state_dict())
    assert len(found.pickles) == 1 + 5 * storages


def test_scripted_model_needs_code(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.jit.save(torch.jit.script(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))), path)
    assert _verdict(path) == "needs-code"
    (found,) = pywts.scan(path).files
    assert found.kind == "TorchScript archive"


def test_package_is_found(tmp_path: Path) -> None:
    from torch.package import PackageExporter

    path = tmp_path / "x.pt"
    with PackageExporter(path) as exporter:
        exporter.save_source_string("mine", "x = 1")
        exporter.extern("torch.**")
        exporter.save_pickle("models", "m.pkl", torch.nn.Linear(2, 2))
    (found,) = pywts.scan(path).files
    assert (found.kind, found.verdict) == ("torch.package", "found")


def test_what_torch_refuses_without_trust_is_never_clean(tmp_path: Path) -> None:
    """A clean checkpoint is one that torch.load(weights_only=True) takes, too."""
    for number, make in enumerate((_model, lambda: torch.optim.Adam(_model().parameters()))):
        path = tmp_path / f"{number}.pt"
        torch.save(make(), path)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=True)
        assert _verdict(path) != "clean"


def test_packed_weights_of_quantized_layers_need_code(tmp_path: Path) -> None:
    model = torch.ao.quantization.quantize_dynamic(
        torch.nn.Sequential(torch.nn.Linear(3, 4)), {torch.nn.Linear}, dtype=torch.qint8
    )
    torch.save(model, tmp_path / "m.pt")
    (found,) = pywts.scan(tmp_path / "m.pt").files
    assert found.verdict == "needs-code", found.of("found")
    assert pywts.inspect(tmp_path / "m.pt").problems  # there is no tensor that a .wts could hold
