"""Whether NumPy is told what NumPy writes: it believes a dtype's flags and fields, and the length of an array's list.

A dtype whose flags hide its objects, or that gets fields after an array has it, makes pointers of an array's bytes.
"""

from __future__ import annotations

from ..checkpoint.allowlist import BYTES_CALLS, BYTES_CODECS, NUMPY_ARRAYS, NUMPY_DTYPES
from ..checkpoint.objects import arguments, kind_of, value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OBJECTS = 63
"""The flags of a dtype of objects."""
_OTHER_FLAGS = (0, 8, 16, 24, 128, 136, 144, 152)
"""Those of all others: must be initialized (8), structured (16), aligned (128)."""
_FLAGS_ARE_TOLD = 3
"""The version from which on a state has flags; before, NumPy reckons them."""
_MOST_DIMENSIONS = 64


def is_dtype(call: Any, known: dict[tuple[int, int, int], bool]) -> bool:
    """Whether a call of ``numpy.dtype`` has no state, or one as NumPy writes it; fields then hold no objects.

    ``known`` keeps the answers for fields, which many may share.
    """
    states = call.builds
    if not states:
        return True
    if len(states) > 1 or call.keywords is not None or kind_of(states[0]) != "tuple":
        return False
    length = states[0].length
    if not 5 <= length <= 9:
        return False
    parts = list(map(value_of, states[0].items))
    version = parts.pop(0) if length > 5 else 0
    if length < 7:
        parts.insert(2, None)  # names are told since version 1
    _, subarray, names, fields, size, alignment, *told = parts
    if not _is_number(version) or not _has_alignment(alignment) or not _has_metadata(told[1:]):
        return False
    plain = subarray is None and names is None and fields is None
    if not told and (version >= _FLAGS_ARE_TOLD or not plain):
        return False
    if _is_objects(call):
        return plain and (not told or _is_one_of(told[0], (_OBJECTS,)))
    own = _size(call)
    if own is None or (told and not _is_one_of(told[0], _OTHER_FLAGS)):
        return False
    if not plain or _letter(call)[:1] in ("U", "S", "V"):
        return size == own and _has_subarray(subarray, own) and _has_fields(names, fields, own, known)
    return True


def is_array(state: Any) -> bool:
    """Whether an array's state is its version, shape, dtype, order and values; of objects a list of as many."""
    if kind_of(state) != "tuple" or state.length not in (4, 5):
        return False
    shape, dtype, order, values = state.items[-4:]
    count = _count(shape)
    if count is None or kind_of(value_of(order)) is not None:
        return False
    if kind_of(dtype) != "call" or dtype.called not in NUMPY_DTYPES:
        return False
    if kind_of(values) == "list":
        return _size(dtype) is None and values.length == count
    return is_bytes(values)


def is_scalar(call: Any) -> bool:
    """Whether a scalar is made of its bytes, or of an array: older NumPy takes bytes for the objects of a dtype."""
    given = arguments(call)
    if len(given) != 2 or kind_of(given[0]) != "call" or given[0].called not in NUMPY_DTYPES:
        return False
    if is_bytes(given[1]):
        return _size(given[0]) is not None
    return kind_of(given[1]) == "call" and given[1].called in NUMPY_ARRAYS


def holds_any_objects(state: Any) -> bool:
    """Whether an array's state is a list of objects, which NumPy keeps as they are."""
    return is_array(state) and kind_of(state.items[-1]) == "list" and _is_objects(state.items[-3])


def is_bytes(node: Any) -> bool:
    """Bytes, also as protocol 2 or Python 2 has them."""
    if kind_of(node) == "call":
        return node.called in BYTES_CODECS or node.called in BYTES_CALLS
    return kind_of(node) in ("bytes", "bytearray", "str")


def _letter(call: Any) -> str:
    """The kind and size that a dtype is made by, such as ``f4``; empty where it is made of anything else."""
    given = arguments(call)
    letter = value_of(given[0]) if given else None
    return letter.lstrip("<>=|") if isinstance(letter, str) else ""


def _is_objects(call: Any) -> bool:
    return _letter(call) in ("O", "O4", "O8")


def _size(node: Any) -> int | None:
    """Bytes of an element of a dtype that is made by its letter, and holds no objects; None of any other."""
    if kind_of(node) != "call":
        return None
    letter = _letter(node)
    kind, size = letter[:1], letter[1:]
    if kind not in tuple("biufcmMSUVa") or not (size.isascii() and size.isdigit()) or len(size) > 12:
        return None
    return int(size) * (4 if kind == "U" else 1)


def _has_subarray(subarray: Any, size: int) -> bool:
    """Whether there is none, or it is (a dtype without objects, a shape) and fills the dtype."""
    if subarray is None:
        return True
    if kind_of(subarray) != "tuple" or subarray.length != 2:
        return False
    part, count = _dtype_size(subarray.items[0]), _count(subarray.items[1])
    return part is not None and count is not None and part * count == size


def _has_fields(names: Any, fields: Any, size: int, known: dict[tuple[int, int, int], bool]) -> bool:
    """Whether there are none, or they hold no objects and lie within the dtype."""
    if names is None and fields is None:
        return True
    if kind_of(names) != "tuple" or kind_of(fields) != "dict" or names.length > fields.length:
        return False
    key = names.id, fields.id, size
    if key not in known:
        entries = fields.entries
        known[key] = all(isinstance(name, str) and _is_field(field, size) for name, field in entries) and (
            {value_of(name) for name in names.items} <= {name for name, _ in entries}
        )
    return known[key]


def _is_field(field: Any, size: int) -> bool:
    """(dtype, offset), or these and a title."""
    if kind_of(field) != "tuple" or field.length not in (2, 3):
        return False
    parts = field.items
    part, offset = _dtype_size(parts[0]), value_of(parts[1])
    titled = len(parts) == 2 or isinstance(value_of(parts[2]), str)
    return part is not None and _is_number(offset) and 0 <= offset <= size - part and titled


def _dtype_size(node: Any) -> int | None:
    return _size(node) if kind_of(node) == "call" and node.called in NUMPY_DTYPES else None


def _count(shape: Any) -> int | None:
    """How many elements a shape has."""
    if kind_of(shape) != "tuple":
        value = value_of(shape)
        return value if _is_number(value) and value >= 0 else None
    if shape.length > _MOST_DIMENSIONS:
        return None
    result = 1
    for item in shape.items:
        value = value_of(item)
        if not _is_number(value) or not 0 <= value < 1 << 63:
            return None
        result = min(result * value, 1 << 63)
    return result


def _has_alignment(value: Any) -> bool:
    return _is_number(value) and (value == -1 or _is_one_of(value, (1, 2, 4, 8, 16, 32, 64)))


def _has_metadata(parts: list[Any]) -> bool:
    """What a dtype's user notes, or, of times, (that, the unit)."""
    return all(part is None or kind_of(part) in ("dict", "tuple") for part in parts)


def _is_number(value: Any) -> bool:
    return type(value) is int


def _is_one_of(value: Any, known: tuple[int, ...]) -> bool:
    return type(value) is int and value in known
