"""Figures as people read them, shared by the terminal's view and the page."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .facts import Statistics

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def bytes_in_words(count: int | None) -> str:
    """A number of bytes: "623,658 bytes", "130.5 MiB"."""
    if count is None:
        return "unknown"
    if count < 1 << 20:
        return f"{count:,} bytes"
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:,.1f} {_UNITS[unit]}"


def number_in_words(value: float | None) -> str:
    """A number with as many digits as say something; "" for none."""
    return "" if value is None else f"{value:.5g}"


def shape_in_words(shape: tuple[int, ...] | None) -> str:
    """A shape: "64 x 3 x 3 x 3", "scalar", or "unknown"."""
    if shape is None:
        return "unknown"
    return " x ".join(map(str, shape)) or "scalar"


def histogram_rows(found: Statistics) -> list[tuple[str, int]]:
    """The histogram without gaps, smallest magnitudes first: a range in words, and how many values are in it."""
    counts = {exponent: negative + positive for exponent, negative, positive in found.histogram}
    rows = [("0", found.zeros)] if found.zeros else []
    normal = [exponent for exponent in counts if exponent > SUBNORMAL]
    if SUBNORMAL in counts:
        rows.append(("below 2^-126", counts[SUBNORMAL]))
    for exponent in range(min(normal), max(normal) + 1) if normal else ():
        rows.append((f"from 2^{exponent}", counts.get(exponent, 0)))
    return rows


SUBNORMAL = -127
"""The exponent under which a histogram counts subnormals."""
