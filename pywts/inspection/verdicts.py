"""Judges what a pickle would import, call and change: by an allow-list, never by a list of what is bad.

This goes over the uses of a pickle, and tells equal ones once. What each is, ``names.py``, ``calls.py`` and
``states.py`` say, with the help of ``quiet.py`` and ``partials.py``.
"""

from __future__ import annotations

from ..checkpoint.objects import arguments, kind_of, value_of
from ..errors import shown
from .calls import Calls
from .glimpse import glimpse
from .harmless import ANSWERED, WITH_CARE
from .names import Names, dotted_name, is_class
from .once import by_arguments
from .partials import Partials
from .quiet import Quiet
from .scan_report import FOUND, NEEDS_CODE, Use
from .states import States

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._core import Node, Survey
    from .names import Verdict

_MOST_SHOWN = 50
"""Uses of one kind that are shown one by one where they are found; the rest is counted."""
MOST_USES = 20_000
"""Uses of one pickle that are told apart."""
_CALLS = ("reduce", "newobj", "newobj_ex", "obj", "inst")
_COMPUTED = "an import's name is "
"""How the machine begins what it says of a STACK_GLOBAL whose names only running would tell."""
_TWICE = FOUND, "given a state twice, which no pickler does: its methods would find what the first one put there"
_EXTENSION = FOUND, "an import that only the program that loads it knows, by the number it has in copyreg"


def judge(pickle: str, offset: int, survey: Survey, torchscript: bool) -> tuple[list[Use], list[Node]]:
    """The uses of a pickle, which lies at ``offset``; and the nodes of bytes that loading reads as a checkpoint."""
    judged = _Judge(pickle, offset, survey, torchscript)
    return judged.uses(), judged.loaded


class _Judge:
    def __init__(self, pickle: str, offset: int, survey: Survey, torchscript: bool) -> None:
        self._pickle = pickle
        self._offset = offset
        self._survey = survey
        self._rows = survey.uses()
        self._called = {row[3] for row in self._rows if row[3] is not None and row[0] in _CALLS}
        self._passed = {row[3] for row in self._rows if row[0] == "pass"}
        imports = [row[3] for row in self._rows if row[0] == "import"]
        self._names = Names(torchscript)
        self._quiet = Quiet(self._names, imports)
        partials = Partials(self._names)
        self._states = States(self._names, partials, imports)
        self._calls = Calls(self._names, self._quiet, partials, self._states)
        self.loaded = self._calls.loaded
        self._texts: dict[tuple[int, int], str] = {}
        self._found: list[Use] = []

    def uses(self) -> list[Use]:
        for index, (deed, target, state, node, position, count) in enumerate(self._rows):
            if len(self._found) >= MOST_USES:
                break
            if deed == "import":
                self._import(node, position, count)
            elif deed == "pass":
                continue
            elif deed in ("append", "setitem"):
                self._change(index, deed, target, node, position, count)
            elif deed == "build":
                self._build(index, target, state, node, position, count)
            elif deed == "persistent":
                self._each(index, count, deed, lambda each: ("a persistent id", self._names.of_id(each)))
            elif deed == "extension":
                self._each(index, count, deed, lambda each: (f"extension {value_of(each.function)}", _EXTENSION))
            elif node is None:
                self._each(index, count, deed, _called_object)
            else:
                self._call(index, deed, node, position, count)
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
        verdict = self._names.of(node)
        if node in self._passed and dotted_name(node) in WITH_CARE:
            verdict = FOUND, "handed on, where it may be called with anything"
        elif node in self._called and node not in self._passed:
            return
        elif verdict[0] == NEEDS_CODE and not is_class(node):
            verdict = FOUND, f"{verdict[1]}, or rather a function, which may be called with anything"
        self._add(position, dotted_name(node), "import", "", count, verdict, called=False)

    def _call(self, index: int, deed: str, node: Any, position: int, count: int) -> None:
        verdict = self._names.of(node)
        dotted = dotted_name(node)
        if dotted in WITH_CARE and verdict[0] != FOUND:
            self._each(index, count, deed, by_arguments(lambda call: (dotted, self._calls.with_care(dotted, call))))
        elif verdict[0] == NEEDS_CODE:
            judged = by_arguments(lambda call: self._calls.framework(call, dotted, verdict))
            self._each(index, count, deed, lambda call: (dotted, _TWICE if len(call.builds) > 1 else judged(call)))
        elif verdict[0] == FOUND:
            self._each(index, count, deed, lambda _: (dotted, verdict))
        elif self._quiet.has_objects or dotted in ANSWERED or dotted.startswith("numpy.") or deed == "newobj_ex":
            looks = by_arguments(lambda call: self._quiet.looks_at_quiet(dotted, call))
            self._each(index, count, deed, lambda call: (dotted, self._calls.harmless(dotted, call, verdict, looks)))
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

    def _change(self, index: int, deed: str, target: str, node: Any, position: int, count: int) -> None:
        if target == "made" and node is not None and dotted_name(node).startswith("copyreg."):
            judged = by_arguments(lambda each: self._states.change(target, (arguments(each) or [None])[0]))
            self._each(index, count, deed, judged)
        else:
            name, verdict = self._states.change(target, node)
            self._add(position, name, deed, "", count, verdict)

    def _build(self, index: int, target: str, state: str, node: Any, position: int, count: int) -> None:
        if target == "loaded":
            name, verdict = "(a persistent id)", (FOUND, "a state is given to what the loader answers")
        elif target == "imported":
            name, verdict = dotted_name(node), (FOUND, "a state is given to what is imported, for all who use it")
        else:
            name = dotted_name(node) if node is not None else "(what a call answers)"
            verdict = self._states.made(node)
            if verdict[0] != FOUND:
                states = {each.id: each for each in self._survey.nodes(index, count)}
                reason = self._states.reason_against(name, verdict[0], state, list(states.values()))
                verdict = verdict if reason is None else (FOUND, reason)
        text = glimpse(self._survey.nodes(index, 1)[0], self._texts)
        self._add(position, name, "build", text, count, verdict)


def _called_object(call: Any) -> tuple[str, Verdict]:
    """A call of something else than an import."""
    what = {"call": "what a call answers", "persistent": "what the loader answers to a persistent id"}
    return f"({what.get(kind_of(call.function) or '', 'no import')})", (FOUND, "nobody can tell what it is")
