"""Figures as people read them."""

from __future__ import annotations

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
