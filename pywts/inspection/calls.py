"""Whether a call is given what the pickles of real checkpoints give it: by its name, its arguments and its states."""

from __future__ import annotations

from ..checkpoint.allowlist import NUMPY_ARRAYS, NUMPY_DTYPES, NUMPY_SCALARS
from ..checkpoint.objects import arguments, kind_of, value_of
from ..errors import shown
from . import numpy_states
from .harmless import (
    ANSWERED,
    CLASSES,
    ENUMERATIONS,
    FUNCTIONS,
    HARMLESS,
    METHODS,
    PLAIN_BASES,
    REBUILDERS,
    WITH_CARE,
)
from .names import Names, dotted_name, is_class
from .partials import Partials
from .quiet import Quiet
from .scan_report import FOUND, NEEDS_CODE
from .scan_report import HARMLESS as HARMLESS_VERDICT
from .states import OTHERWISE, States

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._core import Node
    from .names import Verdict

_CODECS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")
_MOST_ARGUMENTS = 8
"""Of a call of NumPy's."""
_RANDOM = "numpy.random._pickle."
_LOOKS_INTO = FOUND, "it looks into a framework's object, and so runs methods on a state that the pickle decides on"


class Calls:
    """Judges calls of one pickle, once it is known what their names are."""

    def __init__(self, names: Names, quiet: Quiet, partials: Partials, states: States) -> None:
        self._names = names
        self._quiet = quiet
        self._partials = partials
        self._states = states
        self._known_fields: dict[tuple[int, int, int], bool] = {}
        self.loaded: list[Node] = []
        """Bytes that a call reads as a checkpoint."""

    def framework(self, call: Any, dotted: str, verdict: Verdict) -> Verdict:
        """A class of a framework may be made without its constructor; called with arguments, models evaluate text."""
        given = call.arguments
        none_given = kind_of(given) == "tuple" and not given.length and call.keywords is None
        if call.how in ("obj", "inst"):
            return FOUND, f"{verdict[1]}, by an opcode that calls what is no class, and that Python 3 does not write"
        if dotted in FUNCTIONS:
            return FOUND, f"{verdict[1]}, called"
        if call.how in ("newobj", "newobj_ex"):
            if none_given or (
                call.how == "newobj" and all(kind_of(value_of(part)) is None for part in arguments(call))
            ):
                return verdict
        elif dotted in CLASSES and none_given:
            return verdict
        elif dotted in ENUMERATIONS and kind_of(given) == "tuple" and given.length == 1:
            return (NEEDS_CODE, ENUMERATIONS[dotted]) if self._quiet.is_quiet(given) else _LOOKS_INTO
        return FOUND, f"{verdict[1]}, called with arguments that the pickle decides on"

    def harmless(self, dotted: str, call: Any, fine: Verdict, looks_at_quiet: Callable[[Any], bool]) -> Verdict:
        """A harmless name may still be told what only its own pickles tell it, or look into a framework's object."""
        if call.keywords is not None and not (kind_of(call.keywords) == "dict" and not call.keywords.length):
            return FOUND, f"{fine[1]}, here with keywords, which no pickler gives it: torch takes addresses by them"
        if dotted.startswith("numpy.") and not self._is_as_numpy_writes(dotted, call):
            return FOUND, f"{fine[1]}, here with what NumPy does not write, and believes"
        if dotted in ANSWERED and call.builds:
            return FOUND, "a state is given to what it answers, which is its argument"
        if dotted in ANSWERED and not call.items and not call.entries:
            return fine
        return fine if looks_at_quiet(call) else _LOOKS_INTO

    def _is_as_numpy_writes(self, dotted: str, call: Any) -> bool:
        """NumPy believes the flags of a dtype, the length of a list and the buffer of an array that it is given."""
        if kind_of(call.arguments) != "tuple" or call.arguments.length > _MOST_ARGUMENTS:
            return False
        given, states = arguments(call), call.builds
        if dotted in NUMPY_ARRAYS:
            quiet = (state for state in states if not numpy_states.holds_any_objects(state))
            return all(map(numpy_states.is_array, states)) and all(map(self._quiet.is_quiet, quiet))
        if not all(map(self._quiet.is_quiet, states)):
            return False
        if dotted in NUMPY_DTYPES:
            return numpy_states.is_dtype(call, self._known_fields)
        if dotted in NUMPY_SCALARS:
            return not states and numpy_states.is_scalar(call)
        if dotted == "numpy.ndarray":  # which takes bytes for pointers, if its dtype says so
            return not given and not states
        if dotted.startswith(_RANDOM):
            return all(map(_is_generators_part, given))
        return dotted.startswith("numpy.random.") or not states

    def with_care(self, dotted: str, call: Any) -> Verdict:
        """A function of ``WITH_CARE`` with its arguments."""
        given = arguments(call)
        fine = HARMLESS_VERDICT, WITH_CARE[dotted]
        if call.how in ("newobj_ex", "extension") or kind_of(call.arguments) != "tuple":
            return FOUND, f"{fine[1]}; here with arguments that nobody can tell"
        if dotted == "_codecs.encode":
            values = [value_of(part) for part in given]
            texts = len(values) in (1, 2) and all(type(value) is str for value in values)
            return fine if texts and (len(values) == 1 or values[1] in _CODECS) else OTHERWISE
        if dotted == "torch.storage._load_from_bytes":
            if len(given) == 1 and type(value_of(given[0])) is bytes:
                self.loaded.append(given[0])
                return fine
            return OTHERWISE
        if dotted.startswith("torch._tensor._rebuild_from_type"):
            function = given[0] if given else None
            calls = kind_of(function) == "global" and dotted_name(function) in REBUILDERS
            if not all(map(self._quiet.is_quiet, given[2:3])):
                return _LOOKS_INTO
            return fine if calls and all(map(self._states.is_tame, given[3:])) else OTHERWISE
        if dotted == "torch._utils._rebuild_parameter_with_state":
            if not all(map(self._quiet.is_quiet, given[:3])):
                return _LOOKS_INTO
            return fine if all(map(self._states.is_tame, given[3:])) else OTHERWISE
        if dotted == "functools.partial":
            return fine if given and self._partials.keeps(given) else OTHERWISE
        if dotted == "collections.defaultdict":
            if given and value_of(given[0]) is not None and not _is_factory(given[0]):
                return OTHERWISE
            return fine if self._quiet.takes_quiet(dotted, given[1:]) else _LOOKS_INTO
        if dotted == "builtins.getattr":
            return self._attribute(given)
        return self._reconstructed(dotted, given)

    def _attribute(self, given: list[Any]) -> Verdict:
        """``getattr`` of a framework's class, or of an object of one, as bound methods are pickled."""
        if len(given) == 2:
            owner, name = given[0], value_of(given[1])
            if kind_of(owner) == "call":
                owner = owner.function if owner.how == "newobj" and self._quiet.finds_plainly(owner) else None
            if (
                kind_of(owner) == "global"
                and self._names.of(owner)[0] == NEEDS_CODE
                and is_class(owner)
                and isinstance(name, str)
                and name.isidentifier()
                and name.startswith(METHODS)
            ):
                return NEEDS_CODE, f"{WITH_CARE['builtins.getattr']}: {shown(name, 40)}"
        return OTHERWISE

    def _reconstructed(self, dotted: str, given: list[Any]) -> Verdict:
        """``copyreg``'s functions, which make an object of the class that is their first argument."""
        kind = given[0] if given else None
        if kind_of(kind) != "global":
            return OTHERWISE
        verdict = self._names.of(kind)
        if verdict[0] == FOUND or dotted_name(kind) in WITH_CARE:
            return FOUND, f"makes an object of {shown(dotted_name(kind))}, which is not known to be harmless"
        if dotted_name(kind).startswith("numpy.") or dotted_name(kind) in ANSWERED:
            return FOUND, f"makes an object of {shown(dotted_name(kind))}, which is pickled in another way"
        if dotted == "copyreg.__newobj_ex__" and not all(
            kind_of(part) == "dict" and not part.length for part in given[2:]
        ):
            return OTHERWISE
        if dotted == "copyreg._reconstructor":
            base = given[1] if len(given) == 3 else None
            plain = kind_of(base) == "global" and dotted_name(base) in PLAIN_BASES
            if not plain or kind_of(given[2]) in ("call", "persistent", "global"):
                return OTHERWISE
            return verdict if self._quiet.takes_quiet(dotted_name(base), given[2:]) else _LOOKS_INTO
        if not all(map(self._quiet.is_quiet, given[1:])):
            return _LOOKS_INTO
        rest = [part for part in given[1:] if kind_of(value_of(part)) in ("call", "persistent", "global")]
        return verdict if not rest or verdict[0] == HARMLESS_VERDICT else OTHERWISE


def _is_factory(node: Any) -> bool:
    """Whether a defaultdict, and whoever looks something up in it, may call this without arguments."""
    return kind_of(node) == "global" and (dotted_name(node) in HARMLESS or dotted_name(node) in FUNCTIONS)


def _is_generators_part(part: Any) -> bool:
    """What NumPy's generators are made of: names, and what of NumPy makes such parts; any callable would be called."""
    part = part.function if kind_of(part) == "call" else part
    if kind_of(part) == "global":
        return dotted_name(part).startswith("numpy.random.") and dotted_name(part) in HARMLESS
    return isinstance(value_of(part), str)
