"""Tensors from the calls that would rebuild them.

``Rebuilder.tensor(node, name)`` follows the rebuild functions of the allow-list by hand and answers a described
tensor, a refusal that says what stands there instead, or None where the node is no tensor at all.
The signatures are those of ``torch/_utils.py`` and ``torch/_tensor.py``.
"""

from __future__ import annotations

import sys

from .._core import Node
from ..errors import CheckpointError, LimitError, shown
from ..tensor import ITEM_SIZES, Refused, Storage, Tensor, contiguous_strides, memory_storage
from .allowlist import (
    BYTES_CODECS,
    CONVERTING,
    DTYPE_ALIASES,
    EMBEDDED_STORAGES,
    FOREIGN_ITEM_SIZES,
    NUMPY_ARRAYS,
    NUMPY_BUFFERS,
    NUMPY_DTYPES,
    NUMPY_REDUCED,
    NUMPY_SCALARS,
    RECONSTRUCTORS,
    REFUSED_TENSORS,
    STORAGE_DTYPES,
    TENSORS,
    TYPED_REBUILDS,
    WRAPPERS,
)
from .objects import arguments, kind_of, mapping, sequence, value_of
from .persistent import storage_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Limits
    from .persistent import StorageId

    FindStorage = Callable[[str, str, int], Storage]
    """(key, dtype, elements) -> the storage; ValueError where another dtype or number of elements was told before"""

_WRAPPING_DEPTH = 16
"""A Parameter of a subclass of a device's tensor is three calls deep; a file that goes further means no good."""


_TOO_MUCH = 1 << 62
"""Elements or bytes beyond which arithmetic on 64 bits is not safe."""

MOST_AXES = 64
"""Axes of a tensor, as NumPy and torch's own loops bound them."""

_REPEATED = 1 << 20
"""Elements up to which a tensor may repeat its storage as it likes; csrc/describing.cpp has the same."""

_EXACT = (("float32", "bfloat16"),)
"""(kept as, used as): what NumPy lacks is kept wider, and comes back as it was."""

_TARGETS = frozenset(
    (*TENSORS, *WRAPPERS, *TYPED_REBUILDS, *REFUSED_TENSORS, *NUMPY_ARRAYS, *NUMPY_BUFFERS, *NUMPY_REDUCED)
)  # NumPy's scalars, which trainers keep among their counters, are no tensors unless they stand among tensors


class Rebuilder:
    """Resolves the tensors of one pickle."""

    def __init__(self, source: str, find_storage: FindStorage, limits: Limits) -> None:
        self.source = source
        self._find_storage = find_storage
        self._limits = limits
        self._storages: dict[StorageId, tuple[Storage, str]] = {}
        self._embedded: dict[object, tuple[Storage, str]] = {}

    def is_tensor(self, node: object) -> bool:
        """Whether a node is a tensor, exportable or not; storages are not looked at."""
        if type(node) is not Node:
            return False
        target = node.called
        return target in _TARGETS or (target in RECONSTRUCTORS and _made_of(node) in WRAPPERS)

    def tensor(self, node: object, name: str) -> Tensor | Refused | None:
        """The tensor that a node would be, under a name."""
        kept = ""
        for wrapped in range(_WRAPPING_DEPTH):
            if type(node) is not Node:
                if wrapped:
                    raise self._error(name, "is a Parameter around nothing")
                return None
            usual = node.tensor_view
            if usual is not None:
                held, offset, shape, strides, numel, last = usual
                storage, dtype = self._storages.get(held) or self._found(name, held)
                found: Tensor | Refused | None = self._inside(
                    name, dtype or "uint8", storage, offset, shape, strides, numel, last
                )
                return found if not kept else _as_used(name, found, kept)
            target = node.called
            if target in WRAPPERS:
                inner = arguments(node)
                if not inner:
                    return None if target.startswith("torch.nn.") else self._broken(name, f"{target} has no arguments")
                if target in CONVERTING:
                    kept = self._dtype(name, inner[1] if len(inner) > 1 else None)
                node = inner[0]
            elif target in RECONSTRUCTORS and target.endswith("__newobj__") and _made_of(node) in WRAPPERS:
                node = (arguments(node)[1:] or [None])[0]
            elif target in TYPED_REBUILDS:
                inner = arguments(node)
                if len(inner) < 3 or kind_of(inner[0]) != "global":
                    raise self._error(name, f"{target} names no rebuild function")
                function = f"{inner[0].module}.{inner[0].name}"
                if function in TENSORS:
                    return self._view(name, function, inner[2].plain(4))
                if function not in WRAPPERS:
                    if function in REFUSED_TENSORS:
                        return Refused(name, *REFUSED_TENSORS[function])
                    what = f"a tensor that would be rebuilt by calling {shown(function)}, which is no rebuild function"
                    return Refused(name, what, "save a plain tensor")
                node = (inner[2].items if kind_of(inner[2]) == "tuple" else [None])[0]
            else:
                found = self._made(name, node, target)
                if found is None and wrapped:
                    raise self._error(name, f"is a Parameter around {shown(target or node.kind)}, which is no tensor")
                return _as_used(name, found, kept)
        raise self._error(name, f"is wrapped in more than {_WRAPPING_DEPTH} calls")

    def _made(self, name: str, node: Node, target: str | None) -> Tensor | Refused | None:
        """The tensor of a call that wraps no other."""
        if target in TENSORS:
            return self._view(name, target, node.arguments.plain(4) if node.arguments else ())
        if target in REFUSED_TENSORS:
            return Refused(name, *REFUSED_TENSORS[target])
        if target in NUMPY_ARRAYS:
            return self._numpy_array(name, node)
        if target in NUMPY_BUFFERS:
            return self._numpy_buffer(name, node)
        if target in NUMPY_REDUCED:
            return self._numpy_reduced(name, node)
        if target in NUMPY_SCALARS:
            return self._numpy_scalar(name, node)
        return None

    def _view(self, name: str, target: str, values: Any) -> Tensor | Refused:
        if type(values) is not tuple or len(values) < 4:
            raise self._error(name, f"{target} has too few arguments")
        storage_node, offset, shape, strides = values[:4]
        storage, dtype = self._storage(name, storage_node)
        metadata = None
        if target.endswith("_v3"):
            if len(values) < 7:
                raise self._error(name, f"{target} has too few arguments")
            dtype = self._dtype(name, values[6])
            metadata = values[7] if len(values) > 7 else None
        else:
            dtype = dtype or "uint8"  # as torch.load takes an untyped storage
            metadata = values[6] if target.endswith("_v2") and len(values) > 6 else None
        if metadata is not None:
            bits = mapping(metadata)
            if bits is None:
                raise self._error(name, "has metadata that is no dict")
            for key, value in bits.items():
                if value_of(value) and dtype in ITEM_SIZES:  # what a complex tensor is besides helps nobody
                    what = f"a tensor with its {shown(key)} bit set"
                    return Refused(name, what, "save it with .resolve_conj().resolve_neg()")
        if type(shape) is not tuple:
            shape = _plain_sizes(shape)
        if type(strides) is not tuple:
            strides = _plain_sizes(strides)
        return self.checked(name, dtype, shape, strides, offset, storage)

    def checked(
        self, name: str, dtype: str, shape: Any, strides: Any, offset: Any, storage: Storage
    ) -> Tensor | Refused:
        """A described tensor whose every element lies inside its storage."""
        if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
            raise self._error(name, "has a broken shape or stride")
        if len(shape) > MOST_AXES:
            raise self._error(name, f"has {len(shape)} axes, over the limit of {MOST_AXES}")
        for value in (offset, *shape, *strides):
            if type(value) is not int or value < 0:
                raise self._error(
                    name,
                    f"has an offset, size or stride that is no natural number: {shown(offset)}, {shown(shape)}, "
                    f"{shown(strides)}",
                )
        numel = 1
        last = offset
        for size, stride in zip(shape, strides, strict=True):
            if size | stride >= _TOO_MUCH:
                raise self._impossible(name, shape, strides)
            numel *= size
            last += (size - 1) * stride
        if numel >= _TOO_MUCH or last >= _TOO_MUCH:
            raise self._impossible(name, shape, strides)
        return self._inside(name, dtype, storage, offset, shape, strides, numel, last)

    def _inside(
        self,
        name: str,
        dtype: str,
        storage: Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        numel: int,
        last: int,
    ) -> Tensor | Refused:
        item_size = ITEM_SIZES.get(dtype)
        if item_size is None:
            return Refused(name, *_foreign_dtype(dtype))
        if numel and (last + 1) * item_size > storage.size:
            raise self._error(
                name,
                f"reaches outside its storage {storage.label}: element {last} of {storage.size // item_size} ({dtype})",
            )
        # One that repeats nothing is within every limit, as it is in the core.
        if numel > _REPEATED and numel > max(self._limits.expansion, 1) * (storage.size // item_size):
            raise LimitError(
                f"{self.source}: tensor {shown(name)} repeats {storage.size // item_size} values to {numel}, "
                f"over the limit of {self._limits.expansion} times; raise Limits.expansion if that is meant"
            )
        return Tensor(name, dtype, shape, strides, offset, storage)

    def _storage(self, name: str, node: object) -> tuple[Storage, str]:
        """The storage behind a persistent id, and the dtype that its class tells ("" if it counts bytes)."""
        try:
            found = storage_id(node)
        except ValueError as error:
            raise self._error(name, str(error)) from None
        if found is not None:
            return self._storages.get(found) or self._found(name, found)
        target = node.called if isinstance(node, Node) else None
        if target not in EMBEDDED_STORAGES:
            what = f"a call of {shown(target)}" if target else kind_of(node)
            raise self._error(name, f"has no storage by persistent id but {what}")
        if node not in self._embedded:
            from .embedded import embedded_storage

            data = [value_of(argument) for argument in arguments(node)]
            if len(data) != 1 or type(data[0]) is not bytes:
                raise self._error(name, "has a storage without bytes")
            self._embedded[node] = embedded_storage(self.source, data[0], self._limits)
        return self._embedded[node]

    def _found(self, name: str, found: StorageId) -> tuple[Storage, str]:
        kind, key, numel, view = found
        dtype = STORAGE_DTYPES.get(kind)
        if dtype is None:
            raise self._error(name, f"has a storage of the unknown type torch.{shown(kind)}")
        try:
            storage = self._find_storage(key, dtype or "uint8", numel)  # torch reads an untyped one as bytes too
        except ValueError as error:
            raise self._error(name, str(error)) from None
        if view is not None:
            storage = self._viewed(name, storage, dtype, view)
        self._storages[found] = storage, dtype
        return storage, dtype

    def _viewed(self, name: str, storage: Storage, dtype: str, view: tuple[int, int]) -> Storage:
        """A legacy stream's view of a storage: its offset and size in elements."""
        start, size = (value * item_size_of(dtype) for value in view)
        if start + size > storage.size:
            raise self._error(name, f"has a view that reaches outside its storage {storage.label}")
        return Storage(
            storage.label,
            size,
            file=storage.file,
            file_offset=storage.file_offset + start,
            swapped=storage.swapped,
            entry=storage.entry,
        )

    def _dtype(self, name: str, node: object) -> str:
        if kind_of(node) != "global" or node.module != "torch":  # type: ignore[attr-defined]
            raise self._error(name, "has a dtype that is none of torch's")
        found: str = node.name  # type: ignore[attr-defined]
        return DTYPE_ALIASES.get(found, found)

    # ------------------------------------------------------------------------------------------------ NumPy arrays

    def _numpy_array(self, name: str, node: Node) -> Tensor | Refused:
        states = node.builds
        return self._numpy_state(name, states[0] if len(states) == 1 else None)

    def _numpy_reduced(self, name: str, node: Node) -> Tensor | Refused:
        given = arguments(node)
        function = f"{given[0].module}.{given[0].name}" if given and kind_of(given[0]) == "global" else ""
        if function in REFUSED_TENSORS:
            return Refused(name, *REFUSED_TENSORS[function])
        if function not in NUMPY_ARRAYS or len(given) < 3:
            raise self._error(name, "is a NumPy array with a broken state")
        return self._numpy_state(name, given[2])

    def _numpy_state(self, name: str, node: object) -> Tensor | Refused:
        state = node.plain(3) if type(node) is Node else None
        if type(state) is not tuple or not 4 <= len(state) <= 5:
            raise self._error(name, "is a NumPy array with a broken state")
        shape, dtype_node, fortran, data = state[-4:]  # the oldest have no version before
        return self._from_bytes(name, dtype_node, value_of(data), shape, "F" if fortran else "C")

    def _numpy_buffer(self, name: str, node: Node) -> Tensor | Refused:
        values = [argument.plain(2) for argument in arguments(node)]
        if not 4 <= len(values) <= 5:
            raise self._error(name, "is a NumPy array with a broken buffer")
        data, dtype_node, shape, order, *axes = values
        found = self._from_bytes(name, dtype_node, value_of(data), shape, order)
        if order != "K" or not axes or axes[0] is None or isinstance(found, Refused):
            return found
        order = axes[0]
        if type(order) is not tuple or sorted(order, key=repr) != sorted(range(len(found.shape)), key=repr):
            raise self._error(name, "is a NumPy array with a broken order of its axes")
        found.shape = tuple(found.shape[axis] for axis in order)
        found.strides = tuple(found.strides[axis] for axis in order)
        return found

    def _numpy_scalar(self, name: str, node: Node) -> Tensor | Refused:
        values = [value_of(argument) for argument in arguments(node)]
        if len(values) != 2:
            raise self._error(name, "is a NumPy scalar with a broken state")
        return self._from_bytes(name, values[0], values[1], (), "C")

    def _from_bytes(self, name: str, dtype_node: object, data: object, shape: Any, order: object) -> Tensor | Refused:
        if kind_of(data) == "call" and data.target in BYTES_CODECS:  # type: ignore[attr-defined]
            raise self._error(name, "is a NumPy array with broken bytes")
        dtype, swapped = self._numpy_dtype(name, dtype_node)
        if dtype not in ITEM_SIZES:
            return refused_array(name, dtype)
        if type(data) is not bytes:
            raise self._error(name, "is a NumPy array without bytes")
        if type(shape) is int:
            shape = (shape,)
        if type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
            raise self._error(name, "is a NumPy array with a broken shape")
        storage = memory_storage(f"of {shown(name)}", data)
        storage.swapped = swapped
        strides = contiguous_strides(shape)
        if order == "F":
            strides = contiguous_strides(shape[::-1])[::-1]
        return self.checked(name, dtype, shape, strides, 0, storage)

    def _numpy_dtype(self, name: str, node: object) -> tuple[str, bool]:
        """torch's name of a NumPy dtype, and whether its byte order is not this machine's."""
        if kind_of(node) != "call" or node.target not in NUMPY_DTYPES:  # type: ignore[attr-defined]
            raise self._error(name, "is a NumPy array with a broken dtype")
        code = value_of(arguments(node)[0]) if arguments(node) else None
        if isinstance(code, Node) and code.kind == "global" and code.module == "ml_dtypes":  # bfloat16 and kin, of JAX
            return code.name, False
        order = "|"
        for build in node.builds:  # type: ignore[attr-defined]
            state = build.plain(1)
            if type(state) is tuple and len(state) > 1 and type(state[1]) is str:
                order = state[1]
        if type(code) is bytes:
            code = code.decode("latin-1")
        if type(code) is not str:
            raise self._error(name, "is a NumPy array with a broken dtype")
        return numpy_dtype(code if code[:1] in _NUMPY_ORDERS else order + code)

    # ------------------------------------------------------------------------------------------------------ errors

    def _error(self, name: str, what: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: tensor {shown(name)} {what}; the checkpoint is damaged or hostile")

    def _impossible(self, name: str, shape: object, strides: object) -> CheckpointError:
        return self._error(name, f"has the impossible shape {shown(shape)}, strides {shown(strides)}")

    def _broken(self, name: str, what: str) -> Refused:
        raise self._error(name, what)


def requires_grad(node: object) -> bool | None:
    """What a rebuild call says of the gradient; None where it says nothing."""
    place = _GRADIENT.get(node.called or "") if type(node) is Node else None
    given = arguments(node) if place is not None else []
    told = value_of(given[place]) if place is not None and len(given) > place else None
    return told if isinstance(told, bool) else None


_GRADIENT = {
    "torch._utils._rebuild_parameter": 1,
    "torch._utils._rebuild_parameter_with_state": 1,
    "torch._utils._rebuild_tensor_v2": 4,
    "torch._utils._rebuild_tensor_v3": 4,
}
"""The place of requires_grad among a rebuild function's arguments."""

_NUMPY_ORDERS = ("<", ">", "=", "|")
_NUMPY_NAMES = {
    "f2": "float16", "f4": "float32", "f8": "float64", "b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32",
    "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "c8": "complex64", "c16": "complex128", "f12": "longdouble", "f16": "longdouble", "O8": "object", "O": "object",
}  # fmt: skip


def _as_used(name: str, found: Tensor | Refused | None, dtype: str) -> Tensor | Refused | None:
    """The tensor, if bringing it to the dtype that it is used as changes no value."""
    if not dtype or not isinstance(found, Tensor) or found.dtype == dtype or (found.dtype, dtype) in _EXACT:
        return found
    return Refused(name, f"a tensor that is kept as {found.dtype} and used as {shown(dtype)}", "save it with .cpu()")


def _made_of(node: Node) -> str | None:
    """The class that ``copyreg``'s functions are called with."""
    first = arguments(node)[:1]
    return f"{first[0].module}.{first[0].name}" if first and kind_of(first[0]) == "global" else None


def numpy_dtype(text: str) -> tuple[str, bool]:
    """torch's name of a NumPy dtype such as ``"<f4"``, and whether its byte order is not this machine's."""
    return _NUMPY_NAMES.get(text[1:], text[1:]), text[:1] == (">" if sys.byteorder == "little" else "<")


def refused_array(name: str, dtype: str) -> Refused:
    """The refusal of a NumPy array whose values no .wts can hold."""
    is_complex = dtype.startswith("complex")
    way_out = "save .real and .imag of it" if is_complex else "convert it to float32 before it is saved"
    return Refused(name, f"a NumPy array of {shown(dtype)}", way_out)


def _plain_sizes(node: object) -> tuple[Any, ...] | None:
    """The integers of a list, or of a recorded torch.Size."""
    if kind_of(node) == "call" and node.target == "torch.Size":  # type: ignore[attr-defined]
        node = (arguments(node) or [None])[0]
    items = sequence(node)
    return None if items is None else tuple(value_of(item) for item in items)


def item_size_of(dtype: str) -> int:
    """Bytes an element of any dtype that torch stores; an untyped storage ("") counts bytes."""
    return ITEM_SIZES.get(dtype) or FOREIGN_ITEM_SIZES.get(dtype) or 1


def _foreign_dtype(dtype: str) -> tuple[str, str]:
    if dtype.startswith("complex"):
        return f"a complex tensor ({dtype})", "save .real and .imag, or torch.view_as_real() of it, instead"
    if dtype.startswith(("q", "quint")):
        return f"a quantized tensor ({dtype})", "save it with .dequantize()"
    return f"a tensor of dtype {shown(dtype)}, which has no float32 values", "save it with .float()"
