"""Live objects as sources: the bytes that the same weights give from a file, and refusals by name."""

from __future__ import annotations

import copy
import gc
import io
import warnings
import weakref
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy
import pytest
from reference import DECODERS, DTYPES, item_size, reference_values, reference_wts

import pywts
from pywts.tensor import Tensor, memory_storage


def exported(source: Any, **options: Any) -> bytes:
    """What an export writes."""
    stream = io.BytesIO()
    pywts.export(source, stream, **options)
    return stream.getvalue()


# ---------------------------------------------------------------------------------------------------------- arrays


def test_dict_of_arrays() -> None:
    named = {"w": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "n": numpy.array(7), "e": numpy.zeros((0, 3))}
    assert exported(named) == reference_wts(named)
    assert exported(MappingProxyType(named)) == reference_wts(named)


def test_npz_file(tmp_path: Path) -> None:
    named = {"w": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "b": numpy.ones(3, numpy.float16)}
    numpy.savez(tmp_path / "m.npz", **named)
    with numpy.load(tmp_path / "m.npz") as loaded:
        assert exported(loaded) == reference_wts(named)


def test_memory_map(tmp_path: Path) -> None:
    values = numpy.arange(1000, dtype=numpy.float32)
    values.tofile(tmp_path / "raw")
    mapped = numpy.memmap(tmp_path / "raw", numpy.float32, "r", shape=(10, 100))
    assert exported({"x": mapped.T}) == reference_wts({"x": values.reshape(10, 100).T})


def test_numpy_scalars() -> None:
    named = {"x": numpy.float32(3.5), "y": numpy.int64(7), "z": numpy.float16(0.1)}
    assert exported(named) == reference_wts(named)
    for value in named.values():
        assert pywts.encode(value) == reference_values([value]).encode()


class WithInterface:
    """An array by its interface alone."""

    def __init__(self) -> None:
        self.values = numpy.arange(3, dtype=numpy.float32)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.values.__array_interface__


class WithArray:
    """An array that is made when it is asked for, as those of other frameworks."""

    dtype = "theirs"

    def __array__(self, dtype: object = None, copy: object = None) -> numpy.ndarray:
        del dtype, copy
        return numpy.arange(5, dtype=numpy.float32)


def test_arrays_of_other_frameworks() -> None:
    gc.collect()
    assert exported({"a": WithInterface(), "b": WithArray()}) == reference_wts(
        {"a": numpy.arange(3, dtype="f4"), "b": numpy.arange(5, dtype="f4")}
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (numpy.zeros(2, numpy.complex64), r"a complex array \(complex64\): export \.real and \.imag"),
        (numpy.zeros(2, numpy.complex128), r"a complex array \(complex128\)"),
        (numpy.array(["text"]), "an array of str"),
        (numpy.array([None]), "an array of object"),
        (numpy.zeros(2, numpy.longdouble), "an array of (float|longdouble)"),
        (numpy.zeros(2, "M8[s]"), "an array of datetime64"),
        (numpy.zeros(2, [("a", "f4")]), "an array of void"),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_array_without_float32_values_is_refused_by_name(value: numpy.ndarray, kind: str, tmp_path: Path) -> None:
    with pytest.raises(pywts.TensorError, match=f"head.bias is {kind}"):
        pywts.export({"fine": numpy.zeros(2), "head.bias": value}, tmp_path / "m.wts")
    with pytest.raises(pywts.TensorError, match=f"cannot encode {kind.split(':')[0]}"):
        pywts.encode(value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_tensor_is_left_out_and_said(tmp_path: Path) -> None:
    named = {"w": numpy.ones(2, numpy.float32), "epoch": 3, "names": ["a"], "b": numpy.ones(1, numpy.float32)}
    found = pywts.export(named, tmp_path / "m.wts")
    assert (tmp_path / "m.wts").read_bytes() == reference_wts({"w": named["w"], "b": named["b"]})
    assert len(found.warnings) == 1
    assert "left out what is no tensor: epoch (int 3), names (a list)" in found.warnings[0]


class Strange:
    """What an object may do to whoever only looks at it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"cannot import {name}")


class Unset:
    """A configuration with a value that is to be set yet."""

    def keys(self) -> list[str]:
        return ["value"]

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(f"{key} is missing")


class Addict(dict[str, Any]):
    """A dict with attributes for keys, and for those that are not there."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "other",
    [numpy.ndarray, numpy.float32, dict, Unset, Strange(), Unset(), Addict(lr=1), Text("a"), 10**5000],
    ids=["ndarray", "float32", "dict", "class", "strange", "unset", "addict", "text", "digits"],
)
def test_what_stands_beside_weights_does_no_harm(other: Any) -> None:
    weights = {"w": numpy.ones(2, numpy.float32)}
    assert exported({**weights, "other": other}) == reference_wts(weights)
    assert exported({"model": weights, "other": other}) == reference_wts(weights)
    assert exported({"mine": weights, "other": other}) == reference_wts(weights)


def test_dict_with_attributes_for_keys() -> None:
    weights = {"w": numpy.ones(2, numpy.float32)}
    assert exported(Addict(weights)) == reference_wts(weights)
    assert exported(Addict(model=Addict(weights), ema=None)) == reference_wts(weights)


class OfADevice:
    """An array that must not be brought over unasked, as those of CuPy."""

    dtype = numpy.dtype("f4")

    def __array__(self, dtype: object = None, copy: object = None) -> numpy.ndarray:
        raise TypeError("use .get()")


def test_array_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(pywts.TensorError, match=r"head is a OfADevice, .*\(TypeError: use \.get\(\)\): "):
        exported({"w": numpy.ones(2), "head": OfADevice()})
    numpy.savez(tmp_path / "m.npz", w=numpy.ones(2), head=numpy.array([None]))
    with numpy.load(tmp_path / "m.npz") as file, pytest.raises(pywts.TensorError, match="head is an entry that cannot"):
        exported(file)


@pytest.mark.parametrize("source", [None, 5, [1, 2], object(), {"x": [1.0, 2.0]}, numpy.zeros(3)], ids=range(6))
def test_source_without_weights_is_refused(source: Any, tmp_path: Path) -> None:
    with pytest.raises(pywts.SelectionError, match="holds no weights"):
        pywts.export(source, tmp_path / "m.wts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [2**63 // 9 + 1, 2**64 // 9 + 1])
def test_encode_of_more_than_memory_can_hold_is_an_error(values: int) -> None:
    """Also where the bytes of the text are more than 64 bits count: 2**64 // 9 + 1 values are two bytes too many."""
    with pytest.raises(MemoryError):
        pywts.encode(numpy.broadcast_to(numpy.uint8(0), (values,)))


def test_values_of_more_than_memory_can_hold_are_an_error() -> None:
    tensor = Tensor("x", "uint8", (2**62,), (0,), 0, memory_storage("one", b"1"))
    with pytest.raises(MemoryError):
        tensor.widened()


@pytest.mark.parametrize("value", [[1.0], 5, "text", None], ids=repr)
def test_encode_takes_arrays_only(value: Any) -> None:
    with pytest.raises(pywts.TensorError, match="cannot encode"):
        pywts.encode(value)


def test_source_is_not_changed_and_not_kept() -> None:
    values = numpy.arange(10, dtype=numpy.float32)
    before = values.copy()
    exported({"x": values[::-1]})
    numpy.testing.assert_array_equal(values, before)
    values.resize(20, refcheck=True)  # refused if anything still refers to it


# ----------------------------------------------------------------------------------------------------------- torch


@pytest.fixture(scope="module")
def torch() -> Any:
    """The real one."""
    return pytest.importorskip("torch")


def network(torch: Any) -> Any:
    """A module with everything that a state_dict has to decide about."""

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kept", torch.arange(3))
            self.register_buffer("transient", torch.ones(2), persistent=False)
            self.register_buffer("absent", None)
            self.register_parameter("missing", None)
            self.weight = torch.nn.Parameter(torch.randn(4, 3).t())
            self.plain = torch.ones(5)

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last),
        torch.nn.BatchNorm2d(4),
        torch.nn.ModuleDict({"head": Head(), "tied": torch.nn.Linear(2, 2)}),
    )
    model.append(model[2]["tied"])
    return model


@pytest.mark.torch
def test_module_state_dict_and_file_give_the_same_bytes(torch: Any, tmp_path: Path) -> None:
    model = network(torch)
    expected = reference_wts(model.state_dict())
    torch.save(model.state_dict(), tmp_path / "state.pt")
    torch.save({"model": model.state_dict(), "epoch": 1}, tmp_path / "checkpoint.pt")
    assert exported(model) == expected
    assert exported(model.state_dict()) == expected
    assert exported({"model": model, "ema": None, "epoch": 1}) == expected
    assert exported(dict(model.state_dict())) == expected
    assert exported({name: value.numpy() for name, value in model.state_dict().items()}) == expected
    assert exported(tmp_path / "state.pt") == expected
    assert exported(tmp_path / "checkpoint.pt") == expected
    assert pywts.plan(model).bytes == len(expected)


@pytest.mark.torch
def test_half_module_gives_half_values(torch: Any) -> None:
    model = network(torch).half()
    assert exported(model) == reference_wts(model.state_dict())


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_dtype(torch: Any, dtype: str, tmp_path: Path, seed: int) -> None:
    if not hasattr(torch, dtype):
        pytest.skip(f"this torch has no {dtype}")
    raw = numpy.random.default_rng(seed).integers(0, 256, 24 * item_size(dtype), numpy.uint8)
    if dtype == "float64":
        raw = numpy.random.default_rng(seed).standard_normal(24).view(numpy.uint8)
    elif dtype == "bool":
        raw &= 1
    values = torch.from_numpy(raw.copy()).view(getattr(torch, dtype)).reshape(4, 6)
    named = {"plain": values, "transposed": values.t(), "row": values[2], "expanded": values[1].expand(3, 6)}
    expected = reference_wts(named)
    assert exported(named) == expected
    torch.save(named, tmp_path / "m.pt")
    assert exported(tmp_path / "m.pt") == expected
    if dtype not in DECODERS:
        assert exported({name: value.numpy() for name, value in named.items()}) == expected


@pytest.mark.torch
def test_views_of_torch_tensors(torch: Any, tmp_path: Path) -> None:
    base = torch.arange(120, dtype=torch.float32).reshape(2, 3, 4, 5)
    named = {
        "transposed": base.reshape(6, 20).t(),
        "permuted": base.permute(3, 0, 2, 1),
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "expanded": base[0, 0, 0].expand(4, 5),
        "strided": base[:, ::2, 1:, ::3],
        "windows": base.reshape(-1).unfold(0, 7, 3),
        "diagonal": base[0, 0].diagonal(),
        "empty": base[:, :0],
        "scalar": base[1, 2, 3, 4],
        "0-d": torch.tensor(1.5),
        "flipped": base.flip(0),
        "negative": torch.view_as_real(torch.ones(3, dtype=torch.complex64).conj().resolve_conj()),
        "imaginary": torch.tensor([1 + 2j, 3 - 4j]).conj().imag,
        "real": torch.tensor([1 + 2j, 3 - 4j]).real,
        "tied": base,
        "leaf": torch.nn.Parameter(base.clone()),
        "computed": torch.nn.Parameter(base.clone()) * 2,
    }
    expected = reference_wts({name: value.detach().resolve_neg() for name, value in named.items()})
    assert exported(named) == expected
    del named["computed"]
    torch.save({name: value.detach().resolve_neg() for name, value in named.items()}, tmp_path / "m.pt")
    assert exported(tmp_path / "m.pt") == exported(named)


@pytest.mark.torch
def test_tensors_in_torch_that_have_no_float32_values_are_refused_by_name(torch: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls quantized and nested tensors deprecated, or prototypes
        bad = {
            "a tensor on the meta device": torch.zeros(3, device="meta"),
            r"a sparse tensor \(sparse_coo\)": torch.eye(3).to_sparse(),
            r"a sparse tensor \(sparse_csr\)": torch.eye(3).to_sparse_csr(),
            r"a quantized tensor \(qint8\)": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            r"a quantized tensor \(quint8\)": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
            r"a complex tensor \(complex64\)": torch.zeros(3, dtype=torch.complex64),
            r"a complex tensor \(complex32\)": torch.zeros(3, dtype=torch.complex32),
            "a nested tensor": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
            "an uninitialized parameter of a lazy module": torch.nn.LazyLinear(3).weight,
        }
    if hasattr(torch, "float4_e2m1fn_x2"):
        bad["a tensor of dtype float4_e2m1fn_x2"] = torch.zeros(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    target = tmp_path / "m.wts"
    for kind, value in bad.items():
        with pytest.raises(pywts.TensorError, match=rf"head\.bias is {kind}.*(export|load|run)"):
            pywts.export({"fine": torch.zeros(2), "head.bias": value}, target)
        with pytest.raises(pywts.TensorError, match=f"cannot encode {kind}"):
            pywts.encode(value)
        found = pywts.export({"fine": torch.zeros(2), "head.bias": value}, target, exclude="head.*")
        assert found.tensors == 1
        target.unlink()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torch
def test_the_same_tensors_are_refused_from_a_file(torch: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = {
            "meta": torch.zeros(3, device="meta"),
            "sparse": torch.eye(3).to_sparse(),
            "quantized": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            "complex": torch.zeros(3, dtype=torch.complex64),
        }
        for kind, value in bad.items():
            torch.save({"fine": torch.zeros(2), "head.bias": value}, tmp_path / f"{kind}.pt")
    for kind in bad:
        with pytest.raises(pywts.TensorError, match=rf"{kind}\.pt: head\.bias is a .*{kind}.*(save|load)"):
            pywts.export(tmp_path / f"{kind}.pt", tmp_path / "m.wts")
    assert not (tmp_path / "m.wts").exists()


@pytest.mark.torch
def test_tensor_without_a_storage_is_refused_by_name(torch: Any) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.zeros(3)
    with pytest.raises(pywts.TensorError, match=r"<dict>: x is a FakeTensor, which has no storage of its own"):
        exported({"x": fake})
    with pytest.raises(pywts.TensorError, match=r"<dict>: x is a Elsewhere, which has no storage of its own"):
        exported({"x": _elsewhere(torch)(torch.zeros(3), "cpu")})


@pytest.mark.torch
@pytest.mark.parametrize("size", [0, 16])
def test_tensor_whose_storage_was_cut_is_refused_by_name(torch: Any, size: int) -> None:
    value = torch.ones(1000)
    value.untyped_storage().resize_(size)
    with pytest.raises(pywts.TensorError, match=f"x is a tensor whose storage was cut to {size} bytes: gather"):
        exported({"w": torch.ones(2), "x": value})


@pytest.mark.torch
def test_tensors_that_do_not_answer_are_refused_by_name(torch: Any) -> None:
    class Mute(torch.Tensor):  # type: ignore[misc]
        @classmethod
        def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
            return NotImplemented

    with pytest.raises(pywts.TensorError, match=r"x is a Mute, which cannot be read \(TypeError"):
        exported({"w": torch.ones(2), "x": torch.ones(2).as_subclass(Mute)})
    with pytest.raises(pywts.TensorError, match="x is a Tensor, which cannot be read"):
        torch.func.vmap(lambda x: exported({"x": x}))(torch.ones(2, 3))


@pytest.mark.torch
def test_module_whose_state_dict_fails_is_an_error(torch: Any) -> None:
    class Failing(torch.nn.Linear):  # type: ignore[misc]
        def state_dict(self, *_: Any, **__: Any) -> Any:
            raise ValueError("not yet")

    class Listing(torch.nn.Linear):  # type: ignore[misc]
        def state_dict(self, *arguments: Any, **named: Any) -> Any:
            return list(super().state_dict(*arguments, **named).items())

    with pytest.raises(pywts.SelectionError, match=r"state_dict\(\) of Failing failed: ValueError: not yet; "):
        exported({"model": Failing(1, 1)})
    with pytest.raises(pywts.SelectionError, match=r"state_dict\(\) of Listing gave a list; export a dict"):
        exported(Listing(1, 1))


@pytest.mark.torch
def test_distributed_tensor_is_refused_with_its_way_out(torch: Any) -> None:
    value = _elsewhere(torch)(torch.zeros(3), "cpu")
    type(value).full_tensor = lambda self: self.inner
    with pytest.raises(pywts.TensorError, match=r"which has no storage of its own: export \.full_tensor\(\) of it"):
        exported({"x": value})


@pytest.mark.torch
def test_tensor_that_cannot_be_copied_from_its_device_is_named(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: Any) -> Any:
        raise RuntimeError("device lost")

    monkeypatch.setattr(torch.Tensor, "cpu", lost)
    with pytest.raises(pywts.TensorError, match=r"head: cannot be copied from cuda.* \(RuntimeError: device lost\)"):
        exported({"head": _elsewhere(torch)(torch.zeros(3))})


def _elsewhere(torch: Any) -> Any:
    """A tensor subclass whose values are somewhere else, as a GPU's are; copies are counted."""

    class Elsewhere(torch.Tensor):
        copies: list[str] = []  # noqa: RUF012

        @staticmethod
        def __new__(cls: Any, inner: Any, device: str = "cuda") -> Any:
            made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, device=device)
            made.inner = inner
            return made

        @classmethod
        def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
            del types, named
            if function is torch.ops.aten.detach.default:
                return cls(arguments[0].inner, str(arguments[0].device))
            if function is torch.ops.aten._to_copy.default:
                cls.copies.append(str(tuple(arguments[0].shape)))
                return arguments[0].inner.clone()
            return NotImplemented

    return Elsewhere


@pytest.mark.torch
def test_tensors_of_a_device_are_copied_one_at_a_time(torch: Any) -> None:
    """No copy before the layout is checked, one for each tensor, and none is kept until the next."""
    elsewhere = _elsewhere(torch)
    values = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(4), "c": torch.randn(3, 2).t().half()}
    named = {name: elsewhere(value) for name, value in values.items()}
    assert pywts.plan(named).tensors[0].shape == (2, 3)
    with pytest.raises(pywts.TensorError, match="empty name"):
        exported({**named, "": elsewhere(values["a"])})
    assert elsewhere.copies == [], "nothing is copied before everything is checked"

    alive: list[Any] = []
    most = 0
    real_clone = torch.Tensor.clone

    def counted(tensor: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal most
        made = real_clone(tensor, *arguments, **more)
        alive.append(weakref.ref(made))
        most = max(most, sum(reference() is not None for reference in alive))
        return made

    torch.Tensor.clone = counted
    try:
        text = exported(named)
    finally:
        torch.Tensor.clone = real_clone
    assert text == reference_wts(values)
    assert elsewhere.copies == ["(2, 3)", "(4,)", "(2, 3)"]
    assert most == 1, "a copy was kept while the next was made"


@pytest.mark.torch
def test_tensors_of_a_gpu(torch: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU here: the test above stands for it")
    model = network(torch)
    expected = exported(model)
    assert exported(copy.deepcopy(model).cuda()) == expected
    values = torch.randn(5, 7, device="cuda", dtype=torch.bfloat16)
    assert exported({"x": values.t()}) == reference_wts({"x": values.t().cpu()})


@pytest.mark.torch
def test_prefixes_of_wrappers_stay_and_are_said(torch: Any) -> None:
    for prefix, wrap in (("module.", torch.nn.DataParallel), ("_orig_mod.", torch.compile)):
        inner = torch.nn.Linear(2, 2)
        stream = io.BytesIO()
        found = pywts.export(wrap(inner), stream)
        assert stream.getvalue() == reference_wts({prefix + n: v for n, v in inner.state_dict().items()})
        assert any(prefix in warning for warning in found.warnings)


@pytest.mark.torch
def test_module_that_overrides_state_dict_is_asked(torch: Any) -> None:
    """A live module's own state_dict counts, hooks and all."""

    class Renaming(torch.nn.Linear):
        def state_dict(self, *arguments: Any, **named: Any) -> Any:
            return {f"renamed.{name}": value for name, value in super().state_dict(*arguments, **named).items()}

    model = Renaming(2, 2)
    assert exported(model) == reference_wts(model.state_dict())
    assert exported(model).startswith(b"2\nrenamed.weight 4  ")


@pytest.mark.torch
def test_training_mode_and_gradients_stay_as_they_are(torch: Any) -> None:
    model = network(torch)
    model.train()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    exported(model)
    assert model.training
    assert model[0].weight.requires_grad
    assert model[0].weight.grad is not None
