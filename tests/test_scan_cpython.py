"""Whatever CPython's unpickler asks to be imported is in the report: the two are compared on pickles of all kinds."""

from __future__ import annotations

import os
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import confuse_by_names, lie_in_archives, making, reach_outside, run_code
from attacks.making import many, named, number, text
from cpython_unpickler import Server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pywts._core import Survey
from pywts.errors import shown
from pywts.inspection.names import imported
from pywts.inspection.verdicts import judge


@pytest.fixture(scope="module")
def cpython() -> Iterator[Server]:
    """The unpicklers, which nothing reaches that they would import."""
    server = Server()
    yield server
    server.close()


NAMES = (
    ("os", "system"), ("builtins", "eval"), ("__builtin__", "eval"), ("copy_reg", "_reconstructor"), ("a.b", "c"),
    ("collections", "X"), ("urllib", "urlopen"), ("itertools", "izip"), ("torch._utils", "_rebuild_tensor_v2"),
    ("os", "path.x"),
)  # fmt: skip

GLOBALS = st.sampled_from(NAMES).map(lambda name: named(*name))
STACK_GLOBALS = st.sampled_from(NAMES).map(lambda name: text(name[0]) + text(name[1]) + b"\x93")
MEMOIZED = st.sampled_from(NAMES).map(
    lambda name: text(name[0]) + b"q\x07" + text(name[1]) + b"\x940" + b"0h\x07" + text(name[1]) + b"\x93"
)
IMPORTS = st.one_of(GLOBALS, STACK_GLOBALS, MEMOIZED)
ATOMS = st.one_of(
    st.sampled_from([b"N", b"\x88", b"I01\n", b"K\x07", b"]", b"}", b")", b"S'a'\n", b"Va\n", b"\x8f", b"C\x01a"]),
    st.integers(-(1 << 70), 1 << 70).map(number),
    st.text(max_size=3).map(text),
    IMPORTS,
    st.just(b"Pan id\n"),
)


def _compound(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """What is made of others: containers, calls of every kind, states, and what comes and goes on the stack."""
    several = st.lists(inner, max_size=3)
    arguments = several.map(lambda items: many(*items))
    pairs = st.lists(st.tuples(st.text(max_size=2).map(text), inner), max_size=2).map(
        lambda found: b"}(" + b"".join(key + value for key, value in found) + b"u"
    )
    made = st.one_of(
        st.tuples(IMPORTS, arguments).map(lambda parts: parts[0] + parts[1] + b"R"),
        st.tuples(IMPORTS, arguments).map(lambda parts: parts[0] + parts[1] + b"\x81"),
        st.tuples(IMPORTS, arguments, pairs).map(lambda parts: b"".join(parts) + b"\x92"),
        st.tuples(IMPORTS, several).map(lambda parts: b"(" + parts[0] + b"".join(parts[1]) + b"o"),
        st.tuples(st.sampled_from(NAMES), several).map(
            lambda parts: b"(" + b"".join(parts[1]) + f"i{parts[0][0]}\n{parts[0][1]}\n".encode()
        ),
    )
    return st.one_of(
        arguments,
        pairs,
        several.map(lambda items: b"](" + b"".join(items) + b"e"),
        made,
        st.tuples(made, inner).map(lambda parts: parts[0] + parts[1] + b"b"),
        st.tuples(made, inner).map(lambda parts: parts[0] + parts[1] + b"a"),
        st.tuples(made, inner).map(lambda parts: parts[0] + text("k") + parts[1] + b"s"),
        st.tuples(made, arguments).map(lambda parts: parts[0] + parts[1] + b"R"),
        st.tuples(inner, inner).map(lambda parts: parts[0] + b"0" + parts[1]),
        st.tuples(inner, inner).map(lambda parts: b"(" + parts[0] + b"1" + parts[1]),
        inner.map(lambda one: one + b"2\x86"),
        inner.map(lambda one: one + b"q\x03h\x03\x86"),
        inner.map(lambda one: one + b"Q"),
    )


BODIES = st.recursive(ATOMS, _compound, max_leaves=12)
PROTOCOLS = st.sampled_from([b"", b"\x80\x00", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"])


@st.composite
def framed(draw: st.DrawFn) -> bytes:
    """A pickle in one frame, which may lie about its size."""
    body = draw(BODIES) + b"."
    size = len(body) + draw(st.sampled_from([0, 0, 0, -1, 1, -len(body), 7]))
    return b"\x80\x04\x95" + struct.pack("<Q", max(size, 0)) + body


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A pickle with a byte that is another, or gone, or more."""
    data = bytearray(draw(PROTOCOLS) + draw(BODIES) + b".")
    at = draw(st.integers(0, len(data) - 1))
    data[at : at + draw(st.integers(0, 2))] = draw(
        st.one_of(
            st.binary(max_size=2), st.sampled_from([b"0", b"1", b"2", b"(", b"R", b"b", b"\x80\x02", b"h\x03", b"."])
        )
    )
    return bytes(data)


def _imports(survey: Survey) -> set[tuple[str, str]]:
    rows = [row for row in survey.uses() if row[0] == "import"]
    return {(row[3].module, row[3].name) for row in rows if row[3] is not None}


def _renamed(survey: Survey) -> set[tuple[str, str]]:
    return {imported(row[3]) for row in survey.uses() if row[0] == "import"}


def _survey(data: bytes) -> Survey:
    return Survey(data, 0, 1_000_000, 1_000_000)


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.tuples(PROTOCOLS, BODIES).map(lambda parts: parts[0] + parts[1] + b"."))
def test_well_formed_pickle(cpython: Server, data: bytes) -> None:
    survey = _survey(data)
    in_c, in_python, whole = cpython.asked(data)
    assert survey.fault is not None or (in_c <= _imports(survey) and in_python <= _renamed(survey))
    if whole and survey.fault is None:
        assert in_c == _imports(survey)
        assert in_python == _renamed(survey)
    uses, _ = judge("", 0, survey, torchscript=False)
    told = {use.name for use in uses}
    for module, name in _renamed(survey):
        assert shown(f"{module}.{name}") in told


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(framed(), broken()))
def test_pickle_that_is_broken_or_lies(cpython: Server, data: bytes) -> None:
    survey = _survey(data)
    in_c, in_python, _ = cpython.asked(data)
    if survey.fault is None:
        assert in_c <= _imports(survey)
        assert in_python <= _renamed(survey)


class Thing:
    """Of no use but to be pickled."""

    def __init__(self, value: object) -> None:
        self.value = value


class Listed(list):  # type: ignore[type-arg]
    """Has items and a state."""


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.just(os.getpid)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner),
        inner.map(Thing),
        st.lists(inner, max_size=2).map(Listed),
        st.lists(st.tuples(st.text(max_size=2), inner), max_size=2).map(OrderedDict),
        st.dictionaries(st.text(max_size=2), inner, max_size=2).map(lambda found: defaultdict(int, found)),
        st.frozensets(st.integers(), max_size=3),
        st.text(max_size=4).map(Counter),
        inner.map(lambda value: [value, value]),
        st.text(max_size=3).map(Path),
        st.binary(max_size=3).map(bytearray),
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickle_of_ordinary_objects(cpython: Server, value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    survey = _survey(data)
    in_c, in_python, whole = cpython.asked(data)
    assert whole
    assert survey.fault is None
    assert in_c == _imports(survey)
    assert in_python == _renamed(survey)


def test_every_attack_that_is_a_pickle(cpython: Server) -> None:
    """What an attack's pickle has imported is told, or the pickle is refused."""
    assert all((run_code, confuse_by_names, lie_in_archives, reach_outside))
    count = 0
    for name, build in making.ATTACKS.items():
        data = build().data
        start = data.find(b"\x80\x02")
        if start < 0 or len(data) > 1 << 20 or name.startswith("exhaust: "):
            continue
        survey = _survey(data[start:])
        in_c, _, _ = cpython.asked(data[start:])
        assert survey.fault is not None or in_c <= _imports(survey)
        count += bool(in_c)
    assert count > 100


def test_server_sees_imports(cpython: Server) -> None:
    assert cpython.asked(named("__builtin__", "eval") + b")R.") == (
        {("__builtin__", "eval")},
        {("builtins", "eval")},
        True,
    )
