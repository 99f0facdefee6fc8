"""The one table of options: what ``export`` takes, what the command line shows, what a batch row may hold."""

from __future__ import annotations

from .records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Option(Record):
    """One option of ``export``, under the name of its argument."""

    name: str
    flag: str
    default: Any
    help: str
    metavar: str = ""
    """"" for a switch, which turns ``default`` around"""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    selects: bool = False
    """whether it decides which tensors are written, and how they are named; those options ``plan`` takes too"""


OPTIONS = (
    Option(
        "key", "--key", "auto", "which weights: a dotted path such as ema, model or state_dict", "PATH", selects=True
    ),
    Option(
        "dialect",
        "--dialect",
        "auto",
        "spaces before the first value: double (the field's default) or single",
        "NAME",
        choices=("auto", "double", "single"),
        selects=True,
    ),
    Option("overwrite", "--no-overwrite", True, "fail if the .wts exists"),
    Option("force", "--force", False, "overwrite even a file that is no .wts"),
    Option("durable", "--durable", False, "wait until the file is on the disk"),
)
