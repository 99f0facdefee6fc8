"""Live objects as a source: modules, ultralytics wrappers, state_dicts, loaded checkpoints, arrays.

torch is never imported here: an object of it can only be met where it already is.
"""

from __future__ import annotations

import sys

from ..errors import SelectionError, TensorError, shown
from ..tensor import ITEM_SIZES, Refused, Storage, Tensor, contiguous_strides

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..limits import Limits


class LiveCheckpoint:
    """A Python object that holds weights."""

    inert = False
    unnamed: str | None = None
    kind = "live object"

    def __init__(self, source: Any, limits: Limits, name: str | None = None) -> None:
        self.name = name or f"<{type(source).__name__}>"
        self.limits = limits
        self.root = _unwrapped(source)

    def mapping(self, value: Any) -> dict[Any, Any] | None:
        """A mapping's entries, or None."""
        if isinstance(value, dict):
            return value
        if not _has(value, "keys", "__getitem__") or self.is_tensor(value) or _is_module(value):
            return None
        try:
            keys = list(value.keys())  # NpzFile and kin are no dicts
        except Exception:  # it only looked like one
            return None
        return {key: _entry(value, key) for key in keys}

    def sequence(self, value: Any) -> list[Any] | None:
        """A list's or tuple's items, or None."""
        return list(value) if isinstance(value, (list, tuple, set, frozenset)) else None

    def attributes(self, value: Any) -> dict[str, Any] | None:
        """An object's attributes, or None."""
        found = value.__dict__ if _has(value, "__dict__") else None
        return found if isinstance(found, dict) else None

    def class_name(self, value: Any) -> str | None:
        """The dotted name of an object's class."""
        return f"{type(value).__module__}.{type(value).__qualname__}"

    def plain(self, value: Any) -> Any:
        """The value: live objects are plain."""
        return value

    def truthy(self, value: Any) -> bool:
        """``bool(value)``; what has no truth value is there, and so true."""
        try:
            return bool(value)
        except Exception:
            return True

    def is_module(self, value: Any) -> bool:
        """Whether a value is an ``nn.Module``, a ScriptModule included."""
        return _is_module(value)

    def usual_parts(self, value: Any) -> None:
        """None: a live module makes its state_dict itself."""

    def own_state(self, module: Any) -> Any:
        """What a module's ``state_dict()`` gives. Raises SelectionError where it fails, or that is no mapping."""
        what = f"{self.name}: state_dict() of {shown(type(module).__name__)}"
        try:
            state = module.state_dict()
        except Exception as error:
            raise SelectionError(f"{what} failed: {_reason(error)}; export a dict of its tensors") from error
        if self.mapping(state) is None:
            raise SelectionError(f"{what} gave {self.describe(state)}; export a dict of its tensors")
        return state

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a torch tensor, an array, or something that turns into one."""
        return isinstance(value, Tensor) or _is_torch_tensor(value) or _is_array(value)

    def tensor(self, value: Any, name: str) -> Tensor | Refused | None:
        """The described tensor, a refusal, or None where the value is no tensor."""
        if isinstance(value, (Tensor, Refused)):
            return value.renamed(name)
        if _is_torch_tensor(value):
            described = _torch_tensor
        elif _is_array(value):
            described = _array
        else:
            return None
        try:
            return described(value, name)
        except Exception as error:  # of the subclass, or the array of another framework
            what = f"a {shown(type(value).__name__)}, which cannot be read ({_reason(error)})"
            return Refused(name, what, "export a plain tensor or array made of it")

    def usual_tensors(self, names: list[str], values: list[Any], first: int) -> list[Tensor]:  # noqa: ARG002
        """None: what a live tensor is, it is asked itself."""
        return []

    def trainable(self, value: Any) -> bool | None:
        """Whether a tensor requires a gradient; None for an array."""
        return bool(value.requires_grad) if _is_torch_tensor(value) else None

    def same(self, a: Any, b: Any) -> bool:
        """Whether two values are one object."""
        return a is b

    def describe(self, value: Any) -> str:
        """What a value is, in a few words."""
        kind = type(value).__name__
        try:
            return f"{kind} {shown(repr(value), 40)}" if isinstance(value, (int, float, str)) else f"a {kind}"
        except Exception:  # an integer of too many digits, a class with a repr of its own
            return f"a {kind}"

    def close(self) -> None:
        """Nothing to close."""


def _is_module(value: Any) -> bool:
    return _has(value, "state_dict", "_parameters", "_modules")


def _has(value: Any, *names: str) -> bool:
    """Whether an object has all of these attributes.

    A class has those of its objects, and is none of them; a dict with attributes for keys may have any that is asked.
    """
    try:
        return not isinstance(value, (type, dict)) and all(hasattr(value, name) for name in names)
    except Exception:  # whatever an attribute that is made when it is asked for may raise
        return False


def _entry(mapping: Any, key: Any) -> Any:
    try:
        return mapping[key]
    except Exception as error:  # of a file that is read when it is asked, a configuration with a value to be set yet
        return Refused("", f"an entry that cannot be read ({_reason(error)})", "give the values themselves")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {shown(str(error).partition(chr(10))[0], 200)}"


def _unwrapped(source: Any) -> Any:
    """The module inside of an ultralytics ``YOLO`` (whose own state_dict would put ``model.`` before every name)."""
    if any(cls.__module__ == "ultralytics.engine.model" and cls.__name__ == "Model" for cls in type(source).__mro__):
        inner = source.model
        if isinstance(inner, str):
            raise SelectionError(
                f"<{type(source).__name__}>: runs {shown(inner)}, a file in a format without PyTorch weights; "
                "export the .pt it was made from"
            )
        return inner
    return source


def _is_torch_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _is_array(value: Any) -> bool:
    return _has(value, "__array_interface__") or _has(value, "__array__", "dtype")


def _torch_tensor(value: Any, name: str) -> Tensor | Refused:
    torch = sys.modules["torch"]
    dtype = str(value.dtype).removeprefix("torch.")
    refusal = _refusal(torch, value, dtype)
    if refusal is not None:
        return Refused(name, *refusal)
    value = value.detach()
    shape = tuple(int(size) for size in value.shape)
    if value.is_neg():
        value = value.resolve_neg()
    if value.device.type == "cpu":
        storage = value.untyped_storage()
        try:
            address = storage.data_ptr() if storage.device.type == "cpu" else 0
        except RuntimeError:
            address = 0
        if not address and value.numel() and type(value) is not torch.Tensor:
            way_out = ".full_tensor() of it" if _has(value, "full_tensor") else "a plain tensor made of it"
            return Refused(name, f"a {type(value).__name__}, which has no storage of its own", f"export {way_out}")
        last = value.storage_offset() + sum((n - 1) * step for n, step in zip(shape, value.stride(), strict=True))
        if value.numel() and (last + 1) * ITEM_SIZES[dtype] > storage.nbytes():
            return Refused(
                name,
                f"a tensor whose storage was cut to {storage.nbytes()} bytes",
                "gather the values first, as with summon_full_params() of FSDP",
            )
        described = Storage("in memory", storage.nbytes(), address=address, owner=value)
        return Tensor(name, dtype, shape, tuple(value.stride()), value.storage_offset(), described)

    def load() -> Storage:
        try:
            copy = value.cpu().contiguous()
        except Exception as error:  # the device is out of memory, or was lost
            raise TensorError(f"{shown(name)}: cannot be copied from {value.device} ({_reason(error)})") from error
        held = copy.untyped_storage()
        offset = copy.storage_offset() * ITEM_SIZES[dtype]
        return Storage("copied", held.nbytes() - offset, address=held.data_ptr() + offset, owner=copy)

    size = value.numel() * ITEM_SIZES[dtype]
    return Tensor(name, dtype, shape, contiguous_strides(shape), 0, Storage(f"on {value.device}", size, load=load))


def _refusal(torch: Any, value: Any, dtype: str) -> tuple[str, str] | None:
    if isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
        return "an uninitialized parameter of a lazy module", "run the model once first"
    if value.device.type == "meta":
        return "a tensor on the meta device, which has no values", "load the weights into the model first"
    if value.is_quantized:
        return f"a quantized tensor ({dtype})", "export .dequantize() of it"
    if value.is_nested:
        return "a nested tensor", "export its parts, or .to_padded_tensor(0)"
    if value.layout is torch._mkldnn:
        return "a tensor in a layout of MKL-DNN", "export .to_dense() of it"
    if value.layout is not torch.strided:
        return f"a sparse tensor ({str(value.layout).removeprefix('torch.')})", "export .to_dense() of it"
    if dtype.startswith("complex"):
        return f"a complex tensor ({dtype})", "export .real and .imag, or torch.view_as_real() of it"
    if dtype not in ITEM_SIZES:
        return f"a tensor of dtype {dtype}, which has no float32 values", "export .float() of it"
    return None


def _array(value: Any, name: str) -> Tensor | Refused:
    import numpy

    if not isinstance(value, numpy.ndarray):  # a scalar too: what its interface points to is gone at once
        value = numpy.asarray(value)
    if hasattr(value, "mask") and hasattr(value, "filled"):
        return Refused(name, "a masked array", "export .filled(VALUE) of it")
    dtype = str(value.dtype.name)
    if dtype not in ITEM_SIZES:
        if dtype.startswith("complex"):
            return Refused(name, f"a complex array ({dtype})", "export .real and .imag of it")
        return Refused(name, f"an array of {shown(dtype)}", "convert it to float32")
    item_size = ITEM_SIZES[dtype]
    if any(stride % item_size for stride in value.strides):
        value = value.copy(order="C")  # a field of records: its elements are not a whole number of items apart
    shape = tuple(int(size) for size in value.shape)
    strides = tuple(int(stride) // item_size for stride in value.strides)
    before = -sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True) if stride < 0 and size)
    after = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True) if stride > 0 and size)
    address = value.__array_interface__["data"][0] - before * item_size
    size = (before + after + 1) * item_size if value.size else 0
    storage = Storage("in memory", size, address=address, owner=value)
    storage.swapped = value.dtype.byteorder == (">" if sys.byteorder == "little" else "<")
    return Tensor(name, dtype, shape, strides, before, storage)
