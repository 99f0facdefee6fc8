"""Names that would break the lines of a .wts, the terminal, or the reader's look-up."""

from __future__ import annotations

from .making import (
    NONE,
    Attack,
    attack,
    beside,
    checkpoint,
    good,
    instance,
    mapping,
    module,
    named,
    number,
    refused,
    tensor,
    text,
)


def _with(name: str, message: str) -> Attack:
    return refused(checkpoint(beside(tensor(), name)), message)


@attack
def newline() -> Attack:
    return _with("a\n9", r"white space")


@attack
def space() -> Attack:
    return _with("a 4 3f800000", "white space")


@attack
def no_name() -> Attack:
    return _with("", "empty name")


@attack
def null() -> Attack:
    return _with("a\x00b", r"a\\x00b")


@attack
def escape_sequence() -> Attack:
    return _with("\x1b[31mred", r"\\x1b\[31mred")


@attack
def line_separator() -> Attack:
    return _with("a\u2028b", r"\\u2028")


@attack
def next_line() -> Attack:
    return _with("a\x85b", r"\\x85")


@attack
def right_to_left() -> Attack:
    return _with("a\u202eb", r"\\u202e")


@attack
def lone_surrogate() -> Attack:
    return _with("a\ud800b", r"\\ud800")


@attack
def one_name_as_text_and_number() -> Attack:
    body = b"}(" + text("1") + tensor() + number(1) + tensor() + b"u"
    return refused(checkpoint(body), "two tensors have the name 1")


@attack
def one_name_as_path_and_as_key() -> Attack:
    body = module({"a.b": tensor()}, {"a": module({"b": tensor()})})
    return refused(checkpoint(body), "two tensors have the name a.b")


@attack
def key_twice() -> Attack:
    body = b"}(" + text("good") + NONE + text("good") + tensor() + b"u"
    return good(checkpoint(body))


@attack
def key_that_is_a_call() -> Attack:
    harm = b"}(" + text("good") + tensor() + named("os", "system") + b")R" + tensor() + b"u"
    return good(checkpoint(harm))


@attack
def key_that_is_a_huge_number() -> Attack:
    body = b"}(" + text("good") + tensor() + number(10**5000) + NONE + b"u"
    return good(checkpoint(body))


@attack
def module_whose_tables_are_none() -> Attack:
    tables = {"_parameters": NONE, "_buffers": NONE, "_modules": NONE}
    return refused(checkpoint(instance(named("x", "y"), mapping(tables))), "is no mapping")


@attack
def module_whose_parameter_is_text() -> Attack:
    return refused(checkpoint(module({"harm": text("x")})), "harm should be a tensor")


@attack
def class_name_with_escapes() -> Attack:
    return refused(checkpoint(instance(named("\x1b[2J", "y"), b"}")), r"\\x1b\[2J.y")
