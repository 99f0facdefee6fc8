"""``pywts diff``."""

from __future__ import annotations

from argparse import ArgumentParser

from ..comparing import Compared, diff
from ..errors import counted, shown
from .parsed import Parsed, selection_of
from .two_sides import answer, both_values, listed, parser_of

_ROWS = 20


def run(arguments: list[str]) -> int:
    """Say how two models differ."""
    parsed = command_parser().parse_args(arguments, Parsed())
    rows = None if parsed.all else _ROWS
    return answer(parsed, lambda: diff(parsed.a, parsed.b, **selection_of(parsed)), lambda found: _show(found, rows))


def command_parser() -> ArgumentParser:
    """What the command takes."""
    parser = parser_of("diff", "Say how two models differ: names, counts, shapes, values.")
    what = "a .wts, a checkpoint, .safetensors, .npz"
    parser.add_argument("a", metavar="A", help=what)
    parser.add_argument("b", metavar="B", help=what)
    parser.add_argument("--all", action="store_true", help=f"list every tensor that differs, not the first {_ROWS}")
    return parser


def _show(result: Compared, rows: int | None) -> None:
    print(f"a: {shown(result.a, 300)}\nb: {shown(result.b, 300)}")
    print(f"compared: {counted(result.tensors, 'tensor')}, {counted(result.values, 'value')}")
    if result.equal:
        print("the same, bit for bit")
        return
    if result.only_a:
        print(f"only in a: {len(result.only_a):,}: {listed(result.only_a)}")
    if result.only_b:
        print(f"only in b: {len(result.only_b):,}: {listed(result.only_b)}")
    for name, a, b in result.counts[:rows]:
        print(f"counts: {shown(name)} has {a:,} values in a, {b:,} in b")
    for name, left, right in result.shapes[:rows]:
        print(f"shapes: {shown(name)} is {list(left)} in a, {list(right)} in b")
    if not result.different:
        print("values: the same in all that were compared")
        return
    differ = f"{counted(len(result.different), 'tensor')} differ{'s' if len(result.different) == 1 else ''}"
    print(f"values: {differ}; at most {result.max_abs:.6g} ({result.max_ulp:,} ULP), on average {result.mean_abs:.3g}")
    for tensor in result.different[:rows]:
        nans = f", {tensor.nans:,} no numbers" if tensor.nans else ""
        print(
            f"  {shown(tensor.name)}: {tensor.different:,} of {tensor.values:,} differ{nans}; at most "
            f"{tensor.max_abs:.6g} ({tensor.max_ulp:,} ULP), on average {tensor.mean_abs:.3g}; "
            f"first {both_values(tensor.first)}"
        )
    if rows is not None and len(result.different) > rows:
        print(f"  and {len(result.different) - rows:,} more; --all lists them")
