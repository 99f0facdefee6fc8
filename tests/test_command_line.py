"""The quick way to read a command line and argparse's: where the quick way answers, both answer the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pywts.cli.export_command import _OPTIONS, command_parser
from pywts.cli.parsed import Parsed, quickly_parsed

FLAGS = [flag for option in _OPTIONS for flag in (option.flag, option.short) if flag]
VALUES = ["best.pt", "a b.pt", "-", "", "--", "-x", "-1", "detect", "double", "auto", "a=b", "--key", "ünï", "@file"]
WORDS = st.one_of(
    st.sampled_from([*FLAGS, *VALUES]),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
    st.builds("{}{}".format, st.sampled_from(FLAGS), st.sampled_from(VALUES)),
    st.text(max_size=4),
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(WORDS, max_size=7))
def test_quick_answers_are_those_of_argparse(arguments: list[str]) -> None:
    quick = quickly_parsed(arguments, _OPTIONS)
    if quick is not None:
        assert vars(quick) == vars(command_parser().parse_args(arguments, Parsed()))


@pytest.mark.parametrize(
    "arguments",
    [
        ["best.pt"],
        ["-w", "best.pt", "-o", "best.wts"],
        ["best.pt", "-t", "detect", "--key=ema", "--half", "--include", "a*", "--include=b*", "--json"],
        ["--no-overwrite", "best.pt"],
    ],
    ids=" ".join,
)
def test_plain_command_lines_are_read_quickly(arguments: list[str]) -> None:
    quick = quickly_parsed(arguments, _OPTIONS)
    assert quick is not None
    assert vars(quick) == vars(command_parser().parse_args(arguments, Parsed()))
