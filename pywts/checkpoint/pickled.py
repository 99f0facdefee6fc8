"""A checkpoint whose root was read from a pickle: what its nodes mean to the rooms that choose and export weights."""

from __future__ import annotations

from .._core import Node, PickleError, parse_pickle
from ..errors import CheckpointError, LimitError, shown
from ..tensor import Refused, Tensor
from .allowlist import REFUSED_TENSORS, SIZED_MODULES
from .objects import TooMany, attributes, class_name, mapping, sequence, value_of
from .rebuild import Rebuilder, requires_grad
from .state_dict import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Limits
    from .rebuild import FindStorage
    from .state_dict import Parts

    UsualTensors = Callable[[list[str], list[Any], int], list[Tensor]]


CUT_SHORT = ("the pickle is cut short", "the pickle ends without a STOP", "a frame is longer than the pickle")
"""What the machine says of a pickle that goes on where its data ends."""


class CutShort(CheckpointError):
    """A pickle that goes on where its data ends."""


def parse(source: str, data: bytes, limits: Limits, start: int = 0, base: int = 0) -> tuple[Node, int]:
    """Read the pickle at ``start`` of ``data``, which lies at ``base`` in the file: its root, and where it ends."""
    try:
        root, end, _ = parse_pickle(data, start, limits.opcodes, limits.nodes)
    except PickleError as error:
        what, position = error.args
        message = f"{source}: the pickle cannot be read at byte {base + start + position}: {what}"
        if what in CUT_SHORT:
            raise CutShort(f"{message}; copy or download it again") from None
        raise (LimitError if "limit" in what else CheckpointError)(message) from None
    except MemoryError:
        raise LimitError(f"{source}: the pickle describes more objects than fit in memory") from None
    return root, end


class PickledCheckpoint:
    """Nodes, and the storages that their tensors are views of."""

    inert = True
    unnamed: str | None = None

    def __init__(
        self,
        name: str,
        kind: str,
        root: Any,
        find_storage: FindStorage,
        limits: Limits,
        close: Callable[[], None],
        *,
        usual_tensors: UsualTensors | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        """the container, in words: "zip archive" """
        self.root = root
        self.limits = limits
        self._mappings: dict[int, dict[Any, Any] | None] = {}
        self._rebuilder = Rebuilder(name, find_storage, limits)
        self._usual_tensors = usual_tensors
        self.close = close

    def _ask(self, view: Callable[[Any], Any], value: Any) -> Any:
        try:
            return view(value)
        except TooMany as error:
            raise LimitError(f"{self.name}: {error}") from None

    def mapping(self, value: Any) -> dict[Any, Any] | None:
        """A mapping's entries, or None; for the same object the same dict."""
        if not isinstance(value, Node):
            return value if isinstance(value, dict) else None  # a table of a module that a call makes
        if value.id not in self._mappings:
            self._mappings[value.id] = self._ask(mapping, value)
        return self._mappings[value.id]

    def sequence(self, value: Any) -> list[Any] | None:
        """A list's or tuple's items, or None."""
        return self._ask(sequence, value)  # type: ignore[no-any-return]

    def attributes(self, value: Any) -> dict[str, Any] | None:
        """An object's attributes, or None."""
        return self._ask(attributes, value)  # type: ignore[no-any-return]

    def class_name(self, value: Any) -> str | None:
        """The dotted name of an object's class, or None."""
        return self._ask(class_name, value)  # type: ignore[no-any-return]

    def plain(self, value: Any) -> Any:
        """A scalar's Python value; anything else as it is."""
        return self._ask(value_of, value)

    def truthy(self, value: Any) -> bool:
        """What ``bool()`` of the real object would say, as far as the record tells."""
        plain = self.plain(value)
        if not isinstance(plain, Node):
            return bool(plain)
        if plain.kind in ("list", "tuple", "set", "frozenset", "dict"):
            return plain.length > 0
        entries = self.mapping(plain)
        if entries is None and self.class_name(plain) in SIZED_MODULES:
            entries = self.mapping((self.attributes(plain) or {}).get("_modules"))
        return entries is None or bool(entries)

    def is_module(self, value: Any) -> bool:
        """Whether a value is the record of an ``nn.Module``."""
        found = self.attributes(value)
        return found is not None and all(table in found for table in TABLES)

    def own_state(self, module: Any) -> None:
        """None: no code of a file is run."""

    def usual_parts(self, value: Any) -> Parts | None:
        """The tensors and children of a module whose record has its usual form, else None."""
        return value.module_parts if type(value) is Node else None

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a tensor, exportable or not."""
        return self._rebuilder.is_tensor(value)

    def tensor(self, value: Any, name: str) -> Tensor | Refused | None:
        """The described tensor, a refusal, or None where the value is no tensor."""
        try:
            return self._rebuilder.tensor(value, name)
        except TooMany as error:
            raise LimitError(f"{self.name}: tensor {shown(name)}: {error}") from None

    def usual_tensors(self, names: list[str], values: list[Any], first: int) -> list[Tensor]:
        """The described tensors from the place ``first`` up to a value that is no tensor, or has not its usual form."""
        return [] if self._usual_tensors is None else self._usual_tensors(names, values, first)

    def trainable(self, value: Any) -> bool | None:
        """Whether a tensor requires a gradient, as far as the call that would rebuild it tells."""
        return requires_grad(value)

    def same(self, a: Any, b: Any) -> bool:
        """Whether two values are one object."""
        return a is b or (isinstance(a, Node) and a == b)

    def describe(self, value: Any) -> str:
        """What a value is, in a few words."""
        plain = self.plain(value)
        if plain is None:
            return "None"
        if not isinstance(plain, Node):
            return f"{type(plain).__name__} {shown(repr(plain), 40)}"
        if self.is_tensor(plain):
            return "a tensor"
        name = self.class_name(plain)
        if name and plain.target not in REFUSED_TENSORS:
            return shown(name)
        kind = plain.kind
        if kind in ("list", "tuple", "dict", "set"):
            return f"a {kind}"
        return {"str": "text", "global": "a reference", "persistent": "a storage"}.get(kind, kind)
