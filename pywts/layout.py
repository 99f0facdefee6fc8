"""Every byte's place before the first is written: names checked, line heads made, the size known.

The format is specified in docs/format.md: a line with the number of tensors, then a line each: name, number of values,
values. Readers in the field split at white space, so what would confuse them is refused here.
"""

from __future__ import annotations

from .errors import LimitError, OptionError, TensorError, shown
from .tensor import Refused, Tensor, is_possible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .limits import Limits

DIALECTS = {"double": b" ", "single": b""}
"""What stands between a line's head and its first value, beside the space that every value brings."""

TEXT_PER_VALUE = 9
"""Bytes of text: a space and 8 hex digits."""
_MAX_NUMEL = 2**32 - 1
_LONGEST_NAME = 65_536
"""Bytes, whatever the limits: the format's."""
_EXPANSION_FROM = 1 << 26
"""Values from which repetition is looked at: fewer make no large file."""
_JOINERS = "\u200c\u200d"
"""Format characters that the words of several scripts need; no reader stumbles over them."""


class Layout:
    """The text of a .wts without its values."""

    def __init__(self, tensors: list[Tensor], header: bytes, heads: list[bytes], values: int) -> None:
        self.tensors = tensors
        self.header = header
        self.heads = heads
        """for each tensor, what stands before its values"""
        self.values = values
        self.size = len(header) + sum(map(len, heads)) + TEXT_PER_VALUE * values + len(heads)
        """bytes of the whole file"""


def lay_out(source: str, items: list[Tensor | Refused], dialect: str, limits: Limits) -> Layout:
    """Check every name and tensor, and lay the file out. Raises TensorError for what no .wts can hold."""
    gap = DIALECTS.get(dialect)
    if gap is None:
        raise OptionError(f"dialect {shown(dialect)!r} is none of {', '.join(DIALECTS)}")
    if not items:
        raise TensorError(f"{source}: holds no tensor, and readers take a .wts without one for broken")
    tensors = by_name(source, items)
    heads: list[bytes] = []
    values = 0
    for index, (name, tensor) in enumerate(tensors.items()):
        if not (name and name.isascii() and name.isprintable() and " " not in name):
            _check_name(source, name, index)
        if len(name) > limits.name_length:
            raise LimitError(
                f"{source}: the name of tensor {index}, {shown(name)}, has {len(name)} characters, over the limit of "
                f"{limits.name_length}; rename it, or raise Limits.name_length"
            )
        if 4 * len(name) > _LONGEST_NAME and len(name.encode()) > _LONGEST_NAME:
            raise TensorError(
                f"{source}: the name of tensor {index}, {shown(name)}, has {len(name.encode())} bytes, over the "
                f"{_LONGEST_NAME} that readers take; rename it"
            )
        numel = tensor.numel
        if numel > _MAX_NUMEL:
            raise TensorError(
                f"{source}: {shown(name)} has {numel} values, over the {_MAX_NUMEL} that readers can count; split it"
            )
        if not numel and not is_possible(tensor.shape):
            raise TensorError(
                f"{source}: {shown(name)} has the shape {shown(list(tensor.shape))}, which no array can have"
            )
        heads.append(f"{name} {numel}".encode() + gap)
        values += numel
    return Layout(list(tensors.values()), b"%d\n" % len(tensors), heads, values)


def by_name(source: str, items: list[Tensor | Refused]) -> dict[str, Tensor]:
    """Tensors by their names, whatever those are. Raises TensorError for what is no tensor, and for two of one name."""
    tensors: dict[str, Tensor] = {}
    for tensor in items:
        name = tensor.name
        if isinstance(tensor, Refused):
            raise TensorError(f"{source}: {shown(name)} is {tensor.kind}: {tensor.way_out}, or --exclude it")
        if name in tensors:
            raise TensorError(f"{source}: two tensors have the name {shown(name)}; readers keep only one: rename one")
        tensors[name] = tensor
    return tensors


def check_expansion(source: str, tensors: list[Tensor], limits: Limits, values: int | None = None) -> None:
    """Views may repeat their storages; what all views of a file make of the bytes that are there is bounded.

    ``values`` is how many all of them have, where that is known.
    """
    if values is None:
        values = sum(tensor.numel for tensor in tensors)
    if values <= _EXPANSION_FROM:
        return
    held = sum({id(tensor.storage): tensor.storage.size for tensor in tensors}.values())
    if values > max(limits.expansion, 1) * max(held, _EXPANSION_FROM >> 10):
        raise LimitError(
            f"{source}: {len(tensors)} tensors make {values} values of {held} bytes, over the limit of "
            f"{limits.expansion} times; raise Limits.expansion if that is meant"
        )


def _check_name(source: str, name: str, index: int) -> None:
    if not name:
        raise TensorError(f"{source}: tensor {index} has an empty name, which readers cannot look up; rename it")
    import unicodedata

    for position, character in enumerate(name):
        if character in _JOINERS:
            continue
        if character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs"):
            what = "white space" if character.isspace() else "a control character"
            raise TensorError(
                f"{source}: the name of tensor {index}, {shown(name)}, has {what} ({character!a}) at position "
                f"{position}, where readers would cut it; rename it"
            )
