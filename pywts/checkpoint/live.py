"""Live objects as a source: modules, ultralytics wrappers, state_dicts, loaded checkpoints, arrays.

torch is never imported here: an object of it can only be met where it already is.
"""

from __future__ import annotations

import sys

from ..errors import SelectionError, shown
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
        if (
            hasattr(value, "keys")
            and hasattr(value, "__getitem__")
            and not self.is_tensor(value)
            and not _is_module(value)
        ):
            return {key: value[key] for key in value.keys()}  # noqa: SIM118  (NpzFile and kin are no dicts)
        return None

    def sequence(self, value: Any) -> list[Any] | None:
        """A list's or tuple's items, or None."""
        return list(value) if isinstance(value, (list, tuple, set, frozenset)) else None

    def attributes(self, value: Any) -> dict[str, Any] | None:
        """An object's attributes, or None."""
        return getattr(value, "__dict__", None) if not isinstance(value, type) else None

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

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a torch tensor, an array, or something that turns into one."""
        return isinstance(value, Tensor) or _is_torch_tensor(value) or _is_array(value)

    def tensor(self, value: Any, name: str) -> Tensor | Refused | None:
        """The described tensor, a refusal, or None where the value is no tensor."""
        if isinstance(value, (Tensor, Refused)):
            return value.renamed(name)
        if _is_torch_tensor(value):
            return _torch_tensor(value, name)
        if _is_array(value):
            return _array(value, name)
        return None

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
        return (
            f"{type(value).__name__} {shown(repr(value), 40)}"
            if isinstance(value, (int, float, str))
            else (f"a {type(value).__name__}")
        )

    def close(self) -> None:
        """Nothing to close."""


def _is_module(value: Any) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "_parameters") and hasattr(value, "_modules")


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
    return hasattr(value, "__array_interface__") or (hasattr(value, "__array__") and hasattr(value, "dtype"))


def _torch_tensor(value: Any, name: str) -> Tensor | Refused:
    dtype = str(value.dtype).removeprefix("torch.")
    refusal = _refusal(sys.modules["torch"], value, dtype)
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
        if not address and value.numel():
            return Refused(
                name, f"a {type(value).__name__}, which has no storage of its own", "export a plain tensor made of it"
            )
        described = Storage("in memory", storage.nbytes(), address=address, owner=value)
        return Tensor(name, dtype, shape, tuple(value.stride()), value.storage_offset(), described)

    def load() -> Storage:
        copy = value.cpu().contiguous()
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
