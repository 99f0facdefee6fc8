"""TorchScript archives: ``data.pkl`` holds objects of ``__torch__`` classes, ``code/`` the text of those classes.

Which attributes are parameters, buffers and children is told by the text alone. Of it only class headers and the lists
``__parameters__`` and ``__buffers__`` are read; nothing of it is run or parsed as Python. A frozen model has no
attributes left: its weights are nameless constants.

The state_dict is that of ``torch.jit.load(...).state_dict()``: per module its parameters, its buffers (persistent or
not, the archive does not tell), then its children, each in the order of the attributes.
"""

from __future__ import annotations

from ..errors import CheckpointError, LimitError, SelectionError, shown
from ..tensor import Refused, Tensor
from .named import NamedTensors
from .objects import attributes, class_name, kind_of, sequence, value_of
from .pickled import parse
from .rebuild import Rebuilder
from .zip import ZipStorages, is_swapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._core import Node
    from ..limits import Limits
    from .archive import Archive
    from .files import SourceFile

_CODE_LIMIT = 64 << 20
"""Bytes of the text of one file of classes."""

_WAY_OUT = "save the model before it is scripted or quantized"


def open_torchscript(file: SourceFile, archive: Archive, root: str, limits: Limits) -> NamedTensors:
    """Read the state_dict of a TorchScript module, or the constants of one that was frozen."""
    model = _pickle(file, archive, f"{root}/data.pkl", limits)
    swapped = is_swapped(archive, root)
    rebuilder = Rebuilder(file.name, ZipStorages(archive, f"{root}/data/", swapped, limits).find, limits)
    walk = _Walk(file, limits, _Code(archive, root), rebuilder)
    found = walk.state_dict(model)
    if found:
        found.update(walk.packed)
        named = NamedTensors(file.name, "TorchScript archive", found, limits, file.close)
        named.kinds, named.classes = walk.kinds, walk.classes
        return named
    constants = _pickle(file, archive, f"{root}/constants.pkl", limits)
    rebuilder = Rebuilder(file.name, ZipStorages(archive, f"{root}/constants/", swapped, limits).find, limits)
    tensors = {}
    for index, node in enumerate(sequence(constants) or ()):
        tensor = rebuilder.tensor(node, f"c{index}")
        if tensor is not None:
            tensors[f"c{index}"] = tensor
    if not tensors:
        raise SelectionError(
            f"{file.name}: a TorchScript module without parameters, buffers or constants; if it is quantized, its "
            "weights are packed for one kind of processor: export the float model from before"
        )
    checkpoint = NamedTensors(file.name, "TorchScript archive", {"constants": tensors}, limits, file.close)
    checkpoint.unnamed = (
        f"{file.name}: a frozen TorchScript module: freezing folded its weights into {len(tensors)} constants without "
        "their names; export the model from before torch.jit.freeze, or take the constants as they are (c0, c1 ...) "
        "with --key constants"
    )
    return checkpoint


def _pickle(file: SourceFile, archive: Archive, name: str, limits: Limits) -> Node:
    entry = archive.find(name)
    if entry is None:
        raise CheckpointError(f"{file.name}: {shown(name)} is missing from the archive; copy it again")
    node, end = parse(f"{file.name}: {shown(name)}", archive.read(entry, limits.pickle_bytes), limits)
    if end != entry.size:
        raise CheckpointError(f"{file.name}: {shown(name)} goes on after its end, at byte {end}; it is damaged")
    return node


class _Class:
    """What the text of a class tells."""

    __slots__ = ("buffers", "is_module", "own_state", "parameters")

    def __init__(self, is_module: bool) -> None:
        self.is_module = is_module
        self.parameters: list[str] = []
        self.buffers: list[str] = []
        self.own_state = False
        """whether what is pickled is what its __getstate__ gave, not its attributes"""


class _Code:
    """The classes of an archive, each file of them read when the first of its classes is asked for."""

    def __init__(self, archive: Archive, root: str) -> None:
        self._archive = archive
        self._folder = f"{root}/code/"
        self._classes: dict[str, dict[str, _Class]] = {}

    def find(self, module: str, name: str) -> _Class | None:
        """The class, or None where the archive has no text of it (as of classes that are not scripted)."""
        if module not in self._classes:
            entry = self._archive.find(f"{self._folder}{module.replace('.', '/')}.py")
            text = self._archive.read(entry, _CODE_LIMIT).decode("utf-8", "replace") if entry else ""
            self._classes[module] = _classes_of(text)
        return self._classes[module].get(name)


def _classes_of(text: str) -> dict[str, _Class]:
    """The classes of one file, line by line: headers at the margin, their lists indented by two."""
    result: dict[str, _Class] = {}
    current = _Class(False)
    for line in text.split("\n"):
        if line.startswith("class "):
            name, opening, bases = line[6:].rstrip(":").partition("(")
            current = result[name] = _Class(opening != "" and bases == "Module)")
        elif line.startswith("  __parameters__ = ["):
            current.parameters = _quoted(line)
        elif line.startswith("  __buffers__ = ["):
            current.buffers = _quoted(line)
        elif line.startswith("  def __getstate__("):
            current.own_state = True
    return result


def _quoted(line: str) -> list[str]:
    """The quoted names of a list, up to the first that is not closed."""
    import re

    names, item = [], re.compile(r'"((?:[^"\\]|\\.)*)",? ?')
    found = item.match(line, line.index("[") + 1)
    while found:
        names.append(_unquoted(found[1]))
        found = item.match(line, found.end())
    return names


def _unquoted(text: str) -> str:
    """A name as it was before it was quoted: what is not ASCII stands there as octal bytes of UTF-8."""
    if "\\" not in text:
        return text
    try:
        return text.encode("latin-1").decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
    except UnicodeError:
        return text


class _Walk:
    """Collects the state_dict of a module, its children waiting on a stack, so that nesting costs no recursion."""

    def __init__(self, file: SourceFile, limits: Limits, code: _Code, rebuilder: Rebuilder) -> None:
        self._file = file
        self._limits = limits
        self._code = code
        self._rebuilder = rebuilder
        self.kinds: dict[str, str] = {}
        """"parameter" or "buffer" by the name of the tensor"""
        self.classes: dict[str, str] = {}
        """by the path of the module, in order"""
        self.packed: dict[str, str] = {}
        """what torch leaves out of the state_dict, though it is weights, and what to say of it"""

    def state_dict(self, root: Node) -> dict[str, Any]:
        """The tensors by name, in order."""
        if self._class(root) is None:
            raise SelectionError(f"{self._file.name}: a TorchScript archive of something that is no module")
        result: dict[str, Tensor | Refused] = {}
        waiting: list[tuple[Node, str, int]] = [(root, "", 0)]
        visits = 0
        while waiting:
            module, prefix, depth = waiting.pop()
            visits += 1
            if visits + len(result) + len(waiting) > self._limits.tensors:
                raise LimitError(
                    f"{self._file.name}: more than {self._limits.tensors} modules and tensors in one state_dict"
                )
            if depth > self._limits.depth:
                raise LimitError(f"{self._file.name}: modules nest deeper than the limit of {self._limits.depth}")
            known = self._class(module)
            assert known is not None  # only modules wait
            self.classes[prefix.removesuffix(".")] = class_name(module) or ""
            self.kinds.update((prefix + name, "parameter") for name in known.parameters)
            self.kinds.update((prefix + name, "buffer") for name in known.buffers)
            if known.own_state:
                for name in known.parameters + known.buffers:
                    self._add(result, prefix + name, Refused("", "a tensor that its class packs by itself", _WAY_OUT))
                continue
            values = attributes(module) or {}
            for names in (known.parameters, known.buffers):
                for name, value in values.items():
                    if name in names and value_of(value) is not None:
                        self._add(result, prefix + name, self._rebuilder.tensor(value, prefix + name))
            self.packed.update(
                (prefix + name, "packed, of a quantized layer") for name in values if _is_packed(values[name])
            )
            waiting.extend(
                (value, f"{prefix}{name}.", depth + 1)
                for name, value in reversed(values.items())
                if self._class(value) is not None
            )
        return result

    def _class(self, value: object) -> _Class | None:
        """The class of a module; None where a value is no module."""
        function = value.function if kind_of(value) == "call" else None  # type: ignore[attr-defined]
        if function is None or kind_of(function) != "global" or not function.module.startswith("__torch__"):
            return None
        if function.module.startswith("__torch__.torch.classes."):  # of C++
            return None
        known = self._code.find(function.module, function.name)
        if known is None:
            raise CheckpointError(
                f"{self._file.name}: the archive has no code of the class {shown(function.module)}."
                f"{shown(function.name)}, so its parameters cannot be told; copy it again, or export from the original"
            )
        return known if known.is_module else None

    def _add(self, result: dict[str, Tensor | Refused], name: str, found: Tensor | Refused | None) -> None:
        if found is None:
            raise CheckpointError(f"{self._file.name}: {shown(name)} is listed as a tensor and is none")
        if name in result:
            raise CheckpointError(f"{self._file.name}: two tensors have the name {shown(name)}")
        result[name] = found if found.name == name else found.renamed(name)


def _is_packed(value: object) -> bool:
    """Whether an attribute is the weights of a quantized layer, in the form of torch's C++."""
    function = value.function if kind_of(value) == "call" else None  # type: ignore[attr-defined]
    return kind_of(function) == "global" and function.module.startswith("__torch__.torch.classes.quantized")  # type: ignore[union-attr]
