"""What a recipe gets: the named tensors of a state_dict, and the record they were found in."""

from __future__ import annotations

from ..errors import TensorError, near, shown
from ..tensor import Refused, Tensor
from .head import Head, head_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ..checkpoint.protocol import Checkpoint


class Weights(dict[str, "Tensor | Refused"]):
    """Tensors by name, in the order of the state_dict; ``weights.array(name)`` has a tensor's values.

    A recipe returns what is to be written: a mapping, or pairs of a name and a tensor or array. It may change this
    mapping and return it.
    """

    def __init__(self, checkpoint: Checkpoint, value: Any, items: Iterable[Tensor | Refused], check: bool) -> None:
        """check: whether what is read is compared with the CRC32 that an archive keeps."""
        super().__init__((tensor.name, tensor) for tensor in items)
        self.checkpoint = checkpoint
        """the source; only its methods look into the values of its records"""
        self.value = value
        """the record of the module, or of the mapping of tensors"""
        self.source = checkpoint.name
        """how messages call the source"""
        self.class_name = (checkpoint.class_name(value) or "") if checkpoint.is_module(value) else ""
        """of a whole module, for example "models.yolo.DetectionModel"; "" for a mapping of tensors"""
        from ..checkpoint.integrity import ValueReader

        self._reader = ValueReader(checkpoint.name, check)
        self.head: Head | None = head_of(checkpoint, value, self._reader)
        """of a whole module of layers: the last one"""
        self.notes: list[str] = []
        """what the recipe did, said with the result: ``weights.notes.append("...")``"""
        self.warnings: list[str] = []
        """what the user should look at"""

    def array(self, name: str) -> Any:
        """The values of a tensor as a NumPy float32 array of its shape, while the recipe runs."""
        tensor = self.get(name)
        if tensor is None:
            close = ", ".join(map(shown, near(name, list(self))))
            raise TensorError(f"{self.source}: has no tensor {shown(name)}" + (f"; there is {close}" if close else ""))
        if isinstance(tensor, Refused):
            raise TensorError(f"{self.source}: {shown(name)} is {tensor.kind}: {tensor.way_out}")
        return self._reader.array(tensor)

    def close(self) -> None:
        """The recipe has run: from now on no value can be read."""
        self._reader.close()

    def attribute(self, name: str) -> Any:
        """A scalar attribute of the whole module, such as a version or a file's name; None where there is none."""
        found = self.checkpoint.attributes(self.value) if self.class_name else None
        return self.checkpoint.plain((found or {}).get(name))

    def with_buffers(self, prefix: str, **buffers: Any) -> list[tuple[str, Any]]:
        """All tensors, with buffers registered on the module of a prefix: after its own, before its children's.

        A buffer of the same name goes first, as when it is deleted and registered again.
        """
        added = {prefix + name: values for name, values in buffers.items()}
        kept: list[tuple[str, Any]] = [(name, tensor) for name, tensor in self.items() if name not in added]
        inside = [place for place, (name, _) in enumerate(kept) if name.startswith(prefix)]
        own = [place for place in inside if "." not in kept[place][0][len(prefix) :]]
        place = own[-1] + 1 if own else inside[0] if inside else len(kept)
        return [*kept[:place], *added.items(), *kept[place:]]
