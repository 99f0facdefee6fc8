"""What ``--json`` prints: a record, or the error that came instead of one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..errors import Error


def print_json(value: Any) -> None:
    """Print a record as JSON; numbers that JSON lacks become text: "inf", "nan"."""
    import json

    print(json.dumps(_plain(value)))


def print_error(error: Error) -> int:
    """Print an error as JSON, and return the exit code of a command that failed of it."""
    from ..errors import OptionError

    print_json({"error": {"kind": type(error).__name__, "message": str(error)}})
    return 2 if isinstance(error, OptionError) else 1


def _plain(value: Any) -> Any:
    from ..records import Record

    if isinstance(value, Record):
        return _plain(value.as_dict())
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return str(value)
    return value
