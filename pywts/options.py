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
    """() where it is repeatable"""
    help: str
    metavar: str = ""
    """"" for a switch, which turns ``default`` around"""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    short: str = ""
    """a second flag, of one letter"""
    selects: bool = False
    """whether it decides which tensors are written, and how they are named; those options ``plan`` takes too"""


OPTIONS = (
    Option(
        "key", "--key", "auto", "which weights: a dotted path such as ema, model or state_dict", "PATH", selects=True
    ),
    Option(
        "task",
        "--type",
        "auto",
        "what the model is for (detect, cls, seg, pose, obb), checked against its head",
        "TASK",
        choices=("auto", "detect", "cls", "classify", "seg", "segment", "pose", "obb"),
        selects=True,
        short="-t",
    ),
    Option(
        "recipe",
        "--recipe",
        "auto",
        "the family's surgery: auto (where it is recognised), none, or a name that `pywts recipes` lists",
        "NAME",
        selects=True,
    ),
    Option(
        "dialect",
        "--dialect",
        "auto",
        "spaces before the first value: double (most programs) or single; auto is the recipe's",
        "NAME",
        choices=("auto", "double", "single"),
        selects=True,
    ),
    Option(
        "drop_junk", "--drop-junk", False, "leave out the counters of thop: total_ops and total_params", selects=True
    ),
    Option(
        "include",
        "--include",
        (),
        "write only names that match; may be repeated",
        "GLOB",
        repeatable=True,
        selects=True,
    ),
    Option(
        "exclude", "--exclude", (), "leave out names that match; may be repeated", "GLOB", repeatable=True, selects=True
    ),
    Option("strip_prefix", "--strip-prefix", "", "take this off the front of the names", "PREFIX", selects=True),
    Option(
        "rename",
        "--rename",
        (),
        "replace what a regular expression matches in the names; may be repeated, in order",
        "REGEX=TEXT",
        repeatable=True,
        selects=True,
    ),
    Option("half", "--half", False, "round every floating-point value through float16 first", selects=True),
    Option("overwrite", "--no-overwrite", True, "fail if the .wts exists"),
    Option("force", "--force", False, "overwrite even a file that is no .wts"),
    Option("durable", "--durable", False, "wait until the file is on the disk"),
    Option("sidecar", "--sidecar", False, "write NAME.wts.json too: shapes, dtypes, checksums, the choices made"),
    Option("verify", "--verify", False, "read the .wts back and compare it with the checkpoint bit for bit"),
    Option("check", "--no-check", True, "do not compare the storages of an archive with their CRC32"),
    Option(
        "trust",
        "--trust",
        False,
        "load by torch and the checkpoint's own classes, in a child process: RUNS THE CODE THAT THE FILE HOLDS",
    ),
)

SELECTING = tuple(option.name for option in OPTIONS if option.selects)
"""The names of those that decide which tensors are written."""
