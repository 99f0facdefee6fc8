"""The codec on its own: an array's values as the text of a .wts, and the kernels that do it."""

from __future__ import annotations

from . import _core
from .checkpoint.live import LiveCheckpoint
from .errors import Error, TensorError
from .limits import DEFAULT_LIMITS
from .records import Record
from .tensor import Tensor
from .writing import kernel_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Kernel(Record):
    """An implementation of the encoder."""

    name: str
    supported: bool
    """whether this processor can run it"""
    active: bool
    """whether it is the one in use: the first supported one, or the one that PYWTS_KERNEL names"""


def kernels() -> list[Kernel]:
    """All kernels of this build, best first. Raises OptionError if PYWTS_KERNEL names none that can run."""
    try:
        active = _core.kernel()
    except _core.CoreError as error:
        raise kernel_error(error.args[0]) from None
    return [Kernel(name, supported, name == active) for name, supported in _core.kernels()]


def encode(array: Any) -> bytes:
    """The values of a tensor or array, in C order, as a .wts holds them: 9 bytes each, a space and 8 hex digits.

    ``array``: a torch tensor, a NumPy array, or anything with ``__array__`` and ``dtype``; of any dtype that ``export``
    takes.
    Raises TensorError for what has no float32 values.
    """
    source = LiveCheckpoint(array, DEFAULT_LIMITS)
    tensor = source.tensor(array, "array")
    if not isinstance(tensor, Tensor):
        what = tensor.kind if tensor is not None else source.describe(array)
        raise TensorError(f"cannot encode {what}")
    storage = tensor.storage
    loaded = storage.load() if storage.load is not None else storage
    try:
        return _core.encode(
            loaded.address,
            loaded.size,
            tensor.dtype,
            loaded.swapped,
            False,
            tensor.offset,
            tensor.shape,
            tensor.strides,
        )
    except _core.CoreError as error:
        code, index, _ = error.args
        if code == "overflow":
            raise TensorError(f"value {index} is finite in float64 and overflows float32") from None
        if code in ("unknown_kernel", "missing_kernel"):
            raise kernel_error(code) from None
        raise Error(f"{code} {index}; please report this") from None
