"""What an import is by its name alone, and a persistent id by what it names."""

from __future__ import annotations

from ..checkpoint.objects import kind_of
from ..checkpoint.persistent import module_class, storage_id
from ..errors import shown
from .harmless import CLASSES, FRAMEWORKS, FUNCTIONS, HARMLESS, WITH_CARE
from .scan_report import FOUND, NEEDS_CODE
from .scan_report import HARMLESS as HARMLESS_VERDICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Verdict = tuple[str, str]
    """harmless, needs-code or found; and why"""


class Names:
    """Names as one pickle has them: those of its archive's own TorchScript are known if it has some."""

    def __init__(self, torchscript: bool) -> None:
        self._torchscript = torchscript

    def of(self, node: Any) -> Verdict:
        """What an import is by its name alone."""
        module, name = imported(node)
        if "." in name:
            return FOUND, "a dotted name, which reaches into what its module imports"
        dotted = f"{module}.{name}"
        reason = HARMLESS.get(dotted) or WITH_CARE.get(dotted)
        if reason is not None:
            return HARMLESS_VERDICT, reason
        if self._torchscript and module.partition(".")[0] == "__torch__":
            return NEEDS_CODE, "a class of the archive's own TorchScript"
        reason = framework_of(module, name)
        if reason is not None:
            return NEEDS_CODE, reason
        return FOUND, "not known to be harmless"

    def of_id(self, node: Any) -> Verdict:
        """An id that the loader resolves; torch knows storages, and, before 0.4, the classes of whole modules."""
        try:
            if storage_id(node) is not None:
                return HARMLESS_VERDICT, "a storage of torch"
        except ValueError as error:
            return FOUND, shown(error)
        brought = module_class(node)
        if kind_of(brought) == "global":
            return self.of(brought)
        return FOUND, "only the program that loads it knows what it is"


def imported(node: Any) -> tuple[str, str]:
    """The module and the name that CPython looks up: below protocol 3 it renames what Python 3 renamed."""
    module, name = node.module, node.name
    if node.protocol < 3:
        from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

        if (module, name) in NAME_MAPPING:
            return NAME_MAPPING[module, name]
        return IMPORT_MAPPING.get(module, module), name
    return module, name


def dotted_name(node: Any) -> str:
    """Module and name as CPython looks them up, in one."""
    return ".".join(imported(node))


def framework_of(module: str, name: str) -> str | None:
    """What a class is by the framework or training repository that its module belongs to; None for any other."""
    dotted = f"{module}.{name}"
    known = CLASSES.get(dotted) or FUNCTIONS.get(dotted)
    if known is not None:
        return known
    if name.startswith("__") or not name.isidentifier():
        return None
    place = module
    while place:
        reason = FRAMEWORKS.get(place) or (FRAMEWORKS.get(f"{place}.") if place != module else None)
        if reason is not None:
            return reason
        place = place.rpartition(".")[0]
    return None


def is_class(node: Any) -> bool:
    """Whether an import of a framework is a class, by its capital, or one of the functions that are known."""
    return node.name.lstrip("_v0123456789")[:1].isupper() or dotted_name(node) in FUNCTIONS
