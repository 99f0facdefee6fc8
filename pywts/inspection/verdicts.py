"""Judges what a pickle would import, call and change: by an allow-list, never by a list of what is bad."""

from __future__ import annotations

from ..checkpoint.allowlist import (
    BYTES_CODECS,
    EMBEDDED_STORAGES,
    MAPPINGS,
    NUMPY_ARRAYS,
    NUMPY_DTYPES,
    NUMPY_SCALARS,
    RECONSTRUCTORS,
    TYPED_REBUILDS,
)
from ..checkpoint.objects import arguments, kind_of, value_of
from ..checkpoint.persistent import module_class, storage_id
from ..errors import shown
from . import numpy_states
from .glimpse import glimpse
from .harmless import (
    ANSWERED,
    CLASSES,
    CONTAINERS,
    ENUMERATIONS,
    FRAMEWORKS,
    FUNCTIONS,
    HARMLESS,
    KEEPING,
    KEYED,
    METHODS,
    PARTIALS,
    PLAIN_BASES,
    REBUILDERS,
    SCRIPT_OBJECTS,
    WITH_CARE,
)
from .scan_report import FOUND, NEEDS_CODE, Use
from .scan_report import HARMLESS as HARMLESS_VERDICT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .._core import Node, Survey

    Verdict = tuple[str, str]
    """harmless, needs-code or found; and why"""

_MOST_SHOWN = 50
"""Uses of one kind that are shown one by one where they are found; the rest is counted."""
MOST_USES = 20_000
"""Uses of one pickle that are told apart."""
_CODECS = ("latin1", "latin-1", "ascii", "utf-8", "utf8")
_COMPUTED = "an import's name is "
"""How the machine begins what it says of a STACK_GLOBAL whose names only running would tell."""


def judge(pickle: str, offset: int, survey: Survey, torchscript: bool) -> tuple[list[Use], list[Node]]:
    """The uses of a pickle, which lies at ``offset``; and the nodes of bytes that loading reads as a checkpoint."""
    judged = _Judge(pickle, offset, survey, torchscript)
    return judged.uses(), judged.loaded


class _Judge:
    def __init__(self, pickle: str, offset: int, survey: Survey, torchscript: bool) -> None:
        self._pickle = pickle
        self._offset = offset
        self._survey = survey
        self._torchscript = torchscript
        self._rows = survey.uses()
        self._called = {row[3] for row in self._rows if row[3] is not None and row[0] in _CALLS}
        self._passed = {row[3] for row in self._rows if row[0] == "pass"}
        imports = [row[3] for row in self._rows if row[0] == "import"]
        self._has_methods = any(_dotted(node) == "builtins.getattr" for node in imports)
        self._has_objects = any(map(self._makes_objects, imports))
        self._known: dict[tuple[str, int], bool] = {}
        self._known_fields: dict[tuple[int, int, int], bool] = {}
        self._quiet: set[int] = set()
        self._plainly: set[int] = set()
        self._texts: dict[tuple[int, int], str] = {}
        self._steps = _MOST_STEPS
        self._found: list[Use] = []
        self.loaded: list[Node] = []

    def uses(self) -> list[Use]:
        for index, (deed, target, state, node, position, count) in enumerate(self._rows):
            if len(self._found) >= MOST_USES:
                break
            if deed == "import":
                self._import(node, position, count)
            elif deed == "pass":
                continue
            elif deed in ("append", "setitem"):
                self._changes(index, deed, target, node, position, count)
            elif deed == "build":
                self._build(index, target, state, node, position, count)
            elif deed == "persistent":
                self._each(index, count, deed, lambda each: ("a persistent id", self._persistent(each)))
            elif deed == "extension":
                self._each(index, count, deed, lambda each: (f"extension {value_of(each.function)}", _EXTENSION))
            elif node is None:
                self._each(index, count, deed, self._called_object)
            else:
                self._calls(index, deed, node, position, count)
        fault = self._survey.fault
        if fault is not None and fault[0].startswith(_COMPUTED):
            reason = "a name that only running would tell, which no pickler writes"
            self._add(fault[1], "(a computed name)", "import", "", 1, (FOUND, reason), called=False)
        return self._found

    def _add(
        self, position: int, name: str, how: str, text: str, count: int, verdict: Verdict, *, called: bool = True
    ) -> None:
        self._found.append(
            Use(self._pickle, self._offset + position, shown(name), how, called, text, count, verdict[0], verdict[1])
        )

    def _import(self, node: Any, position: int, count: int) -> None:
        """An import is told of where nothing calls it, or it is handed on, too."""
        verdict = self._of_name(node)
        if node in self._passed and _dotted(node) in WITH_CARE:
            verdict = FOUND, "handed on, where it may be called with anything"
        elif node in self._called and node not in self._passed:
            return
        elif verdict[0] == NEEDS_CODE and not _is_class(node):
            verdict = FOUND, f"{verdict[1]}, or rather a function, which may be called with anything"
        self._add(position, _dotted(node), "import", "", count, verdict, called=False)

    def _of_name(self, node: Any) -> Verdict:
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

    # ------------------------------------------------------------------------------------------------------------ calls

    def _calls(self, index: int, deed: str, node: Any, position: int, count: int) -> None:
        verdict = self._of_name(node)
        dotted = _dotted(node)
        if dotted in WITH_CARE and verdict[0] != FOUND:
            self._each(index, count, deed, _by_arguments(lambda call: (dotted, self._with_care(dotted, call))))
        elif verdict[0] == NEEDS_CODE:
            judged = _by_arguments(lambda call: self._framework(call, dotted, verdict))
            self._each(index, count, deed, lambda call: (dotted, _TWICE if len(call.builds) > 1 else judged(call)))
        elif verdict[0] == FOUND:
            self._each(index, count, deed, lambda _: (dotted, verdict))
        elif self._has_objects or dotted in ANSWERED or dotted.startswith("numpy.") or deed == "newobj_ex":
            looks = _by_arguments(lambda call: self._looks_at_quiet(dotted, call))
            self._each(index, count, deed, lambda call: (dotted, self._harmless(dotted, call, verdict, looks)))
        else:
            self._add(position, dotted, deed, glimpse(self._survey.nodes(index, 1)[0], self._texts), count, verdict)

    def _each(self, index: int, count: int, how: str, judge: Any) -> None:
        """Judge calls one by one; equal answers are one use, and what is found is shown with its arguments."""
        groups: dict[tuple[str, Verdict, str], tuple[int, str, int]] = {}
        for number, each in enumerate(self._survey.nodes(index, count)):
            name, verdict = judge(each)
            text = glimpse(each, self._texts) if verdict[0] == FOUND and number < _MOST_SHOWN else ""
            key = name, verdict, text
            if key in groups:
                position, first, times = groups[key]
                groups[key] = position, first, times + 1
            else:
                groups[key] = each.position, text or glimpse(each, self._texts), 1
        for (name, verdict, _), (position, text, times) in groups.items():
            self._add(position, name, how, text, times, verdict)

    def _framework(self, call: Any, dotted: str, verdict: Verdict) -> Verdict:
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
            return (NEEDS_CODE, ENUMERATIONS[dotted]) if self._is_quiet(given) else _LOOKS_INTO
        return FOUND, f"{verdict[1]}, called with arguments that the pickle decides on"

    def _harmless(self, dotted: str, call: Any, fine: Verdict, looks_at_quiet: Callable[[Any], bool]) -> Verdict:
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

    def _looks_at_quiet(self, dotted: str, call: Any) -> bool:
        """Whether a harmless call runs no method of a framework's object: it is given none, or only keeps it."""
        if kind_of(call.arguments) != "tuple":
            return self._is_quiet(call.arguments)
        return self._takes_quiet(dotted, arguments(call))

    def _takes_quiet(self, dotted: str, given: list[Any]) -> bool:
        if dotted in KEYED:
            return all(self._once(self._has_quiet_keys, part) for part in given)
        if dotted in KEEPING:
            given = [part for part in given if kind_of(part) not in ("list", "tuple", "set", "frozenset", "dict")]
        return all(map(self._is_quiet, given))

    def _has_quiet_keys(self, part: Any) -> bool:
        """Whether the keys that a mapping is made of, by a dict or by pairs, may be hashed and compared."""
        if kind_of(part) == "dict":
            return all(self._is_quiet(key) for key, _ in part.entries)
        if kind_of(part) not in ("list", "tuple"):
            return self._is_quiet(part)
        pairs = part.items
        return all(
            self._is_quiet(pair.items[0] if kind_of(pair) in ("list", "tuple") and pair.length == 2 else pair)
            for pair in pairs
        )

    def _is_quiet(self, root: Any) -> bool:
        """Whether a node neither is nor holds an object that may run code where it is looked into.

        What is quiet is remembered; what is not is looked for anew, until that took too long: it is found already.
        """
        if not self._has_objects:
            return True
        waiting = [root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if kind_of(node) in _SCALARS or node.id in self._quiet or node.id in seen:
                continue
            if self._steps <= 0 or not self._is_quiet_itself(node):
                self._steps -= len(seen) + len(waiting) + 1
                return False
            seen.add(node.id)
            waiting += _parts(node)
        self._quiet |= seen
        return True

    def _is_quiet_itself(self, node: Any) -> bool:
        """Whether a node is plain, a storage, a harmless name, or an object that one made."""
        if kind_of(node) == "persistent":
            return self._persistent(node)[0] == HARMLESS_VERDICT
        if kind_of(node) == "call":
            function = node.function
            return kind_of(function) == "global" and any(
                _dotted(function) in names for names in (HARMLESS, _QUIET_CALLS, ENUMERATIONS)
            )
        return kind_of(node) != "global" or _dotted(node) in HARMLESS or _dotted(node) in FUNCTIONS

    def _makes_objects(self, node: Any) -> bool:
        """Whether an import may make an object that runs code where it is looked into."""
        dotted = _dotted(node)
        return dotted not in HARMLESS and dotted not in _QUIET_CALLS

    def _once(self, judge: Callable[[Any], bool], node: Any) -> bool:
        """The answer for a node, reckoned once: many may share one of many entries."""
        if kind_of(node) is None:
            return judge(node)
        key = judge.__name__, node.id
        if key not in self._known:
            self._known[key] = judge(node)
        return self._known[key]

    def _is_as_numpy_writes(self, dotted: str, call: Any) -> bool:
        """NumPy believes the flags of a dtype, the length of a list and the buffer of an array that it is given."""
        if kind_of(call.arguments) != "tuple" or call.arguments.length > _MOST_ARGUMENTS:
            return False
        given, states = arguments(call), call.builds
        if dotted in NUMPY_ARRAYS:
            quiet = (state for state in states if not numpy_states.holds_any_objects(state))
            return all(map(numpy_states.is_array, states)) and all(map(self._is_quiet, quiet))
        if not all(map(self._is_quiet, states)):
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

    def _called_object(self, call: Any) -> tuple[str, Verdict]:
        """A call of something else than an import."""
        what = {"call": "what a call answers", "persistent": "what the loader answers to a persistent id"}
        return f"({what.get(kind_of(call.function) or '', 'no import')})", (FOUND, "nobody can tell what it is")

    def _with_care(self, dotted: str, call: Any) -> Verdict:
        """A function of ``WITH_CARE`` with its arguments."""
        given = arguments(call)
        fine = HARMLESS_VERDICT, WITH_CARE[dotted]
        if call.how in ("newobj_ex", "extension") or kind_of(call.arguments) != "tuple":
            return FOUND, f"{fine[1]}; here with arguments that nobody can tell"
        if dotted == "_codecs.encode":
            values = [value_of(part) for part in given]
            texts = len(values) in (1, 2) and all(type(value) is str for value in values)
            return fine if texts and (len(values) == 1 or values[1] in _CODECS) else _OTHERWISE
        if dotted == "torch.storage._load_from_bytes":
            if len(given) == 1 and type(value_of(given[0])) is bytes:
                self.loaded.append(given[0])
                return fine
            return _OTHERWISE
        if dotted.startswith("torch._tensor._rebuild_from_type"):
            function = given[0] if given else None
            calls = kind_of(function) == "global" and _dotted(function) in REBUILDERS
            if not all(map(self._is_quiet, given[2:3])):
                return _LOOKS_INTO
            return fine if calls and all(map(self._is_tame, given[3:])) else _OTHERWISE
        if dotted == "torch._utils._rebuild_parameter_with_state":
            if not all(map(self._is_quiet, given[:3])):
                return _LOOKS_INTO
            return fine if all(map(self._is_tame, given[3:])) else _OTHERWISE
        if dotted == "functools.partial":
            return fine if given and self._keeps(given) else _OTHERWISE
        if dotted == "collections.defaultdict":
            if given and value_of(given[0]) is not None and not self._is_factory(given[0]):
                return _OTHERWISE
            return fine if self._takes_quiet(dotted, given[1:]) else _LOOKS_INTO
        if dotted == "builtins.getattr":
            return self._attribute(given)
        return self._reconstructed(dotted, given)

    def _attribute(self, given: list[Any]) -> Verdict:
        """``getattr`` of a framework's class, or of an object of one, as bound methods are pickled."""
        if len(given) == 2:
            owner, name = given[0], value_of(given[1])
            if kind_of(owner) == "call":
                owner = owner.function if owner.how == "newobj" and self._finds_plainly(owner) else None
            if (
                kind_of(owner) == "global"
                and self._of_name(owner)[0] == NEEDS_CODE
                and _is_class(owner)
                and isinstance(name, str)
                and name.isidentifier()
                and name.startswith(METHODS)
            ):
                return NEEDS_CODE, f"{WITH_CARE['builtins.getattr']}: {shown(name, 40)}"
        return _OTHERWISE

    def _finds_plainly(self, root: Any) -> bool:
        """Whether the tables in which modules look for an attribute that is none of their class's are plain."""
        waiting = [root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if kind_of(node) != "call" or node.id in self._plainly or node.id in seen:
                continue
            states = node.builds
            if self._steps <= 0 or any(kind_of(state) != "dict" for state in states):
                return False
            seen.add(node.id)
            tables = [(key, value) for state in states for key, value in state.entries if key in _TABLES]
            if not all(_is_plain(value) for _, value in tables):
                self._steps -= len(seen)
                return False
            waiting += [child for key, value in tables if key == "_modules" for _, child in value.entries]
        self._plainly |= seen
        return True

    def _keeps(self, parts: list[Any]) -> bool:
        """Whether ``functools.partial`` keeps a constructor that evaluates nothing, and hands it no other callable."""
        first, *rest = parts
        if kind_of(first) != "global" or not self._is_kept(first):
            return False
        return all(self._once(self._keeps_part, part) for part in rest)

    def _keeps_part(self, part: Any) -> bool:
        inner = part.items if kind_of(part) == "tuple" else ()
        if kind_of(part) == "dict":
            inner = [value for _, value in part.entries]
        for each in (part, *inner):
            if kind_of(each) == "global" and not self._is_kept(each):
                return False
            called = each.function if kind_of(each) == "call" else None
            if kind_of(called) == "global" and _dotted(called) == "builtins.getattr":
                return False
        return True

    def _is_kept(self, node: Any) -> bool:
        dotted = _dotted(node)
        if dotted in HARMLESS:
            return True
        return self._of_name(node)[0] == NEEDS_CODE and node.name[:1].isupper() and dotted.startswith(PARTIALS)

    def _is_factory(self, node: Any) -> bool:
        """Whether a defaultdict, and whoever looks something up in it, may call this without arguments."""
        return kind_of(node) == "global" and (_dotted(node) in HARMLESS or _dotted(node) in FUNCTIONS)

    def _reconstructed(self, dotted: str, given: list[Any]) -> Verdict:
        """``copyreg``'s functions, which make an object of the class that is their first argument."""
        kind = given[0] if given else None
        if kind_of(kind) != "global":
            return _OTHERWISE
        verdict = self._of_name(kind)
        if verdict[0] == FOUND or _dotted(kind) in WITH_CARE:
            return FOUND, f"makes an object of {shown(_dotted(kind))}, which is not known to be harmless"
        if _dotted(kind).startswith("numpy.") or _dotted(kind) in ANSWERED:
            return FOUND, f"makes an object of {shown(_dotted(kind))}, which is pickled in another way"
        if dotted == "copyreg.__newobj_ex__" and not all(
            kind_of(part) == "dict" and not part.length for part in given[2:]
        ):
            return _OTHERWISE
        if dotted == "copyreg._reconstructor":
            base = given[1] if len(given) == 3 else None
            plain = kind_of(base) == "global" and _dotted(base) in PLAIN_BASES
            if not plain or kind_of(given[2]) in ("call", "persistent", "global"):
                return _OTHERWISE
            return verdict if self._takes_quiet(_dotted(base), given[2:]) else _LOOKS_INTO
        if not all(map(self._is_quiet, given[1:])):
            return _LOOKS_INTO
        rest = [part for part in given[1:] if kind_of(value_of(part)) in ("call", "persistent", "global")]
        return verdict if not rest or verdict[0] == HARMLESS_VERDICT else _OTHERWISE

    # ----------------------------------------------------------------------------------------------- states and changes

    def _made(self, node: Any) -> Verdict:
        """What an object is, by what was called to make it."""
        if node is None:
            return FOUND, "nobody can tell what it is"
        verdict = self._of_name(node)
        if _dotted(node) == "builtins.getattr":
            return FOUND, "what getattr answers is shared by all who have it"
        return verdict

    def _changes(self, index: int, deed: str, target: str, node: Any, position: int, count: int) -> None:
        if target == "made" and node is not None and _dotted(node).startswith("copyreg."):
            self._each(
                index, count, deed, _by_arguments(lambda each: self._change(target, (arguments(each) or [None])[0]))
            )
        else:
            name, verdict = self._change(target, node)
            self._add(position, name, deed, "", count, verdict)

    def _change(self, target: str, node: Any) -> tuple[str, Verdict]:
        """APPEND or SETITEM of an object that is no list or dict."""
        if target == "loaded":
            return "(a persistent id)", (FOUND, "items are put into what the loader answers")
        if target == "imported":
            return _dotted(node), (FOUND, "items are put into what is imported, for all who use it")
        if kind_of(node) != "global":
            return "(what a call answers)", (FOUND, "items are put into it, and nobody can tell what it is")
        name = _dotted(node)
        verdict = self._made(node)
        if verdict[0] == NEEDS_CODE and not name.startswith(CONTAINERS):
            return name, (FOUND, f"{verdict[1]}, which runs its own code when items are put into it")
        if verdict[0] == HARMLESS_VERDICT and name in WITH_CARE and name not in MAPPINGS:
            return name, (FOUND, "items are put into an object that is no container")
        return name, verdict

    def _build(self, index: int, target: str, state: str, node: Any, position: int, count: int) -> None:
        if target == "loaded":
            name, verdict = "(a persistent id)", (FOUND, "a state is given to what the loader answers")
        elif target == "imported":
            name, verdict = _dotted(node), (FOUND, "a state is given to what is imported, for all who use it")
        else:
            name = _dotted(node) if node is not None else "(what a call answers)"
            verdict = self._made(node)
            if verdict[0] != FOUND:
                states = {each.id: each for each in self._survey.nodes(index, count)}
                reason = self._reason_against(name, verdict[0], state, list(states.values()))
                verdict = verdict if reason is None else (FOUND, reason)
        text = glimpse(self._survey.nodes(index, 1)[0], self._texts)
        self._add(position, name, "build", text, count, verdict)

    def _reason_against(self, name: str, verdict: str, effect: str, states: list[Any]) -> str | None:
        """Why states are not what the pickles of such an object give it."""
        if name == "functools.partial":
            return None if all(map(self._keeps_state, states)) else _OTHERWISE[1]
        if name == "torch.ScriptObject":
            return None if all(map(_is_packed, states)) else _OTHERWISE[1]
        if name.startswith(_OPTIMIZERS) and not all(map(self._holds_plain_tables, states)):
            return "its tables are no dicts, and an optimizer calls their methods when it is given a state"
        if verdict == NEEDS_CODE and any(map(_sets_slots, states)):
            return "its state sets attributes one by one, as classes with slots have it, and runs setters"
        if self._has_methods and any(map(self._keeps_method, states)):
            return "its state keeps a method under a name by which others may call it"
        if effect == "hooking":
            return "its state sets an attribute that the unpickler may call"
        if effect == "opaque" and not name.startswith("numpy.") and not all(map(self._is_tame, states)):
            return (
                "its state is what a call answers, which only running would tell"  # what is NumPy's has no attributes
            )
        return None

    def _keeps_state(self, state: Any) -> bool:
        """The state of a ``functools.partial``: function, arguments, keywords, attributes."""
        if kind_of(state) != "tuple" or state.length != 4:
            return False
        function, given, keywords, attributes = state.items
        mapping = kind_of(keywords) in ("none", "dict")
        plain = kind_of(attributes) == "none" or (kind_of(attributes) == "dict" and not attributes.length)
        return kind_of(given) == "tuple" and mapping and plain and self._keeps([function, given, keywords])

    def _is_tame(self, state: Any, depth: int = 3) -> bool:
        """Whether a state only sets attributes of which the unpickler calls none: a dict, or a filled OrderedDict."""
        if kind_of(state) == "tuple":
            return state.length <= 8 and depth > 0 and all(self._is_tame(part, depth - 1) for part in state.items)
        return self._once(_sets_tamely, state)

    def _keeps_method(self, state: Any) -> bool:
        """Whether a state keeps what ``getattr`` answers under another name than that of a model's own ``forward``."""
        parts = state.items if kind_of(state) == "tuple" and state.length == 2 else (state,)
        return any(self._once(_has_method, part) for part in parts if kind_of(part) == "dict")

    def _holds_plain_tables(self, state: Any) -> bool:
        """Whether what an optimizer's ``__setstate__`` looks into are plain values, and no objects with methods."""
        if kind_of(state) != "dict":
            return True  # no optimizer's, and judged as any other
        return all(
            self._once(_has_plain_values if key == "state" else _has_plain_items, value)
            for key, value in state.entries
            if key in ("defaults", "param_groups", "state")
        )

    def _persistent(self, node: Any) -> Verdict:
        """An id that the loader resolves; torch knows storages, and, before 0.4, the classes of whole modules."""
        try:
            if storage_id(node) is not None:
                return HARMLESS_VERDICT, "a storage of torch"
        except ValueError as error:
            return FOUND, shown(error)
        brought = module_class(node)
        if kind_of(brought) == "global":
            return self._of_name(brought)
        return FOUND, "only the program that loads it knows what it is"


_CALLS = ("reduce", "newobj", "newobj_ex", "obj", "inst")
_TABLES = ("_parameters", "_buffers", "_modules")
_TWICE = FOUND, "given a state twice, which no pickler does: its methods would find what the first one put there"
_MOST_STEPS = 2_000_000
"""Nodes that are looked at in search of a framework's object, where one was found."""
_MOST_ARGUMENTS = 8
"""Of a call of NumPy's."""
_RANDOM = "numpy.random._pickle."
_SCALARS = (None, "none", "bool", "int", "float", "str", "bytes", "bytearray")
_QUIET_CALLS = frozenset(
    {
        "collections.defaultdict", "torch._utils._rebuild_parameter_with_state", *BYTES_CODECS, *EMBEDDED_STORAGES,
        *TYPED_REBUILDS, *RECONSTRUCTORS,
    }
)  # fmt: skip
"""What is called with care, and makes an object that is as quiet as its arguments."""
_LOOKS_INTO = FOUND, "it looks into a framework's object, and so runs methods on a state that the pickle decides on"
_OTHERWISE = FOUND, "with arguments that real checkpoints do not give it"
_EXTENSION = FOUND, "an import that only the program that loads it knows, by the number it has in copyreg"


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


def imported(node: Any) -> tuple[str, str]:
    """The module and the name that CPython looks up: below protocol 3 it renames what Python 3 renamed."""
    module, name = node.module, node.name
    if node.protocol < 3:
        from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

        if (module, name) in NAME_MAPPING:
            return NAME_MAPPING[module, name]
        return IMPORT_MAPPING.get(module, module), name
    return module, name


def _dotted(node: Any) -> str:
    return ".".join(imported(node))


def _by_arguments(judge: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A judge of calls of one name that judges equal arguments once: many calls may share one of many items."""
    known: dict[tuple[int | None, int | None], Any] = {}

    def judged(call: Any) -> Any:
        given, keywords = call.arguments, call.keywords
        key = given and given.id, keywords and keywords.id
        if key not in known:
            known[key] = judge(call)
        return known[key]

    return judged


def _parts(node: Any) -> list[Any]:
    """All that a node holds; what a storage is called by is no part of it."""
    if kind_of(node) in ("list", "tuple", "set", "frozenset"):
        return node.items  # type: ignore[no-any-return]
    if kind_of(node) not in ("dict", "call"):
        return []
    parts = [part for entry in node.entries for part in entry]
    return parts if kind_of(node) == "dict" else [*parts, *node.items, node.arguments, node.keywords, *node.builds]


def _is_generators_part(part: Any) -> bool:
    """What NumPy's generators are made of: names, and what of NumPy makes such parts; any callable would be called."""
    part = part.function if kind_of(part) == "call" else part
    if kind_of(part) == "global":
        return _dotted(part).startswith("numpy.random.") and _dotted(part) in HARMLESS
    return isinstance(value_of(part), str)


def _sets_tamely(state: Any) -> bool:
    if kind_of(state) == "call":
        if state.called != "collections.OrderedDict" or arguments(state) or state.builds:
            return False
    elif kind_of(state) in ("global", "persistent"):
        return False
    elif kind_of(state) != "dict":
        return True
    if state.length > 100_000:
        return False
    return not any(_hooks(key, value) for key, value in state.entries)


def _has_method(part: Any) -> bool:
    return any(
        _is_method(value) and not (isinstance(key, str) and key.startswith(METHODS)) for key, value in part.entries
    )


def _has_plain_items(value: Any) -> bool:
    return _is_plain(value) and (kind_of(value) not in ("list", "tuple") or all(map(_is_plain, value.items)))


def _has_plain_values(value: Any) -> bool:
    return _has_plain_items(value) and all(_is_plain(each) for _, each in value.entries)


def _sets_slots(state: Any) -> bool:
    """Whether a state is a pair whose second part is set with ``setattr``."""
    if kind_of(state) != "tuple" or state.length != 2:
        return False
    second = state.items[1]
    return kind_of(second) != "none" and not (kind_of(second) == "dict" and not second.length)


def _is_packed(state: Any) -> bool:
    """Whether a state is (the parts, the name of a C++ class of torch's quantized layers)."""
    if kind_of(state) != "tuple" or state.length != 2:
        return False
    name = value_of(state.items[1])
    return isinstance(name, str) and name.startswith(SCRIPT_OBJECTS)


_OPTIMIZERS = ("torch.optim.", "copyreg.")
"""What makes an optimizer: its class, or, in older protocols, the function that is given its class."""


def _is_plain(node: Any) -> bool:
    """No object, or one of the mappings and tensors that are known, and have no state."""
    if kind_of(node) in ("global", "persistent"):
        return False
    known = kind_of(node) != "call" or node.called in MAPPINGS or node.called in HARMLESS
    return known and not (kind_of(node) == "call" and (node.builds or node.keywords is not None))


def _is_method(value: Any) -> bool:
    """Whether a value is the method of an object; that of a class does nothing without one."""
    if kind_of(value) != "call" or kind_of(value.function) != "global":
        return False
    return _dotted(value.function) == "builtins.getattr" and kind_of((arguments(value) or [None])[0]) == "call"


def _is_class(node: Any) -> bool:
    """Whether an import of a framework is a class, by its capital, or one of the functions that are known."""
    return node.name.lstrip("_v0123456789")[:1].isupper() or _dotted(node) in FUNCTIONS


def _hooks(key: Any, value: Any) -> bool:
    """As the core judges the attributes of a state."""
    if kind_of(key) in ("global", "call", "persistent"):
        return True
    if key in ("append", "extend", "add"):
        return kind_of(value) in ("global", "call", "persistent")
    return isinstance(key, str) and key.startswith("__") and key.endswith("__") and kind_of(value_of(value)) is not None
