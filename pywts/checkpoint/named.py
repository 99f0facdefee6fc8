"""A checkpoint without a pickle: tensors by name, described when it was opened."""

from __future__ import annotations

from ..errors import shown
from ..tensor import Refused, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Limits


class NamedTensors:
    """A mapping of names to tensors, as the root of a checkpoint."""

    inert = True
    unnamed: str | None = None
    """Why nothing is chosen unasked, where the names of all tensors are lost."""

    def __init__(self, name: str, kind: str, root: dict[str, Any], limits: Limits, close: Callable[[], None]) -> None:
        self.name = name
        self.kind = kind
        """the container, in words: "safetensors" """
        self.root = root
        self.limits = limits
        self.kinds: dict[str, str] = {}
        """"parameter" or "buffer" of each tensor, where the container tells"""
        self.classes: dict[str, str] = {}
        """the class of each module by its path, where the container tells"""
        self.close = close

    def mapping(self, value: Any) -> dict[Any, Any] | None:
        """A mapping's entries, or None."""
        return value if isinstance(value, dict) else None

    def sequence(self, value: Any) -> list[Any] | None:
        """A list's or tuple's items, or None."""
        return list(value) if isinstance(value, (list, tuple)) else None

    def attributes(self, value: Any) -> dict[str, Any] | None:  # noqa: ARG002
        """An object's attributes: there are no objects."""
        return None

    def class_name(self, value: Any) -> str | None:  # noqa: ARG002
        """An object's class: there are no objects."""
        return None

    def plain(self, value: Any) -> Any:
        """The value itself."""
        return value

    def truthy(self, value: Any) -> bool:
        """``bool(value)``."""
        return bool(value)

    def is_module(self, value: Any) -> bool:  # noqa: ARG002
        """Whether a value is a module: there are none."""
        return False

    def own_state(self, module: Any) -> None:
        """None: no code of a file is run."""

    def usual_parts(self, value: Any) -> None:
        """None: there are no modules."""

    def is_tensor(self, value: Any) -> bool:
        """Whether a value is a tensor, exportable or not."""
        return isinstance(value, (Tensor, Refused))

    def tensor(self, value: Any, name: str) -> Tensor | Refused | None:
        """The described tensor, a refusal, or None where the value is no tensor."""
        if not isinstance(value, (Tensor, Refused)):
            return None
        return value if value.name == name else value.renamed(name)

    def usual_tensors(self, names: list[str], values: list[Any], first: int) -> list[Tensor]:  # noqa: ARG002
        """None: they are described already."""
        return []

    def trainable(self, value: Any) -> bool | None:  # noqa: ARG002
        """Whether a tensor requires a gradient: these formats do not tell."""
        return None

    def same(self, a: Any, b: Any) -> bool:
        """Whether two values are one object."""
        return a is b

    def describe(self, value: Any) -> str:
        """What a value is, in a few words."""
        if self.is_tensor(value):
            return "a tensor"
        return "a dict" if isinstance(value, dict) else f"{type(value).__name__} {shown(repr(value), 40)}"
