"""``pywts verify``."""

from __future__ import annotations

import os
from argparse import ArgumentParser

from ..comparing import Verified, verify
from ..errors import counted, shown
from ..sidecar import sidecar_path
from .parsed import Parsed, selection_of
from .two_sides import answer, both_values, listed, parser_of


def run(arguments: list[str]) -> int:
    """Compare a .wts with its source, bit for bit."""
    parsed = command_parser().parse_args(arguments, Parsed())
    return answer(parsed, lambda: verify(parsed.wts, parsed.source, **selection_of(parsed)), _show)


def command_parser() -> ArgumentParser:
    """What the command takes."""
    parser = parser_of("verify", "Compare a .wts with the checkpoint it was made from, bit for bit.")
    parser.add_argument("wts", metavar="WTS")
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="the checkpoint, another .wts, or a sidecar, whose checksums are compared; without it the sidecar of WTS",
    )
    return parser


def _show(result: Verified) -> None:
    against = f"{shown(result.source, 300)}{' (checksums)' if result.by == 'checksums' else ''}"
    print(f"{shown(result.wts, 300)}: {'is' if result.equal else 'IS NOT'} what {against} holds")
    print(f"compared: {counted(result.tensors, 'tensor')}, {counted(result.values, 'value')}")
    if result.missing:
        print(f"missing:  {listed(result.missing)}")
    if result.extra:
        print(f"extra:    {listed(result.extra)}")
    for name, ours, theirs in result.counts[:5]:
        print(f"counts:   {shown(name)} has {ours:,} values, not {theirs:,}")
    if result.first is not None:
        where = "other checksum" if result.first.index is None else both_values(result.first)
        print(f"first:    {shown(result.first.tensor)}, {where}")
    if not result.equal and result.by == "values":
        print(f"hint:     {_hint(result)}")


def _hint(result: Verified) -> str:
    """What to try where a .wts is not what was expected: it does not tell with which options it was exported."""
    options = (
        "if it was exported with options that select, rename or round (--key, --recipe, --half ...), say them here"
    )
    beside = sidecar_path(result.wts)
    if not os.path.exists(beside):
        return f"{options}, too"
    return f"{options}; or leave the checkpoint out: then {shown(beside, 300)} tells what it was"
