"""Figures of the values: counted in C++ in one pass (csrc/wts/statistics), put into words here."""

from __future__ import annotations

from math import sqrt

from .. import _core
from ..comparing import batches
from ..reading import reading, values_of
from ..tensor import Refused, Tensor
from ..writing import in_words
from .facts import Statistics, TensorFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SPECIAL = 255
"""The exponent of infinities and NaNs."""
_BIAS = 127
_NEGATIVE = 256


def with_statistics(
    source: str, items: list[Tensor | Refused], facts: tuple[TensorFacts, ...], names: frozenset[str] | None = None
) -> tuple[TensorFacts, ...]:
    """The facts with the figures of their tensors, or of those of some names; ``items`` are the tensors themselves."""
    wanted = {
        place: (item, item)
        for place, item in enumerate(items)
        if isinstance(item, Tensor) and (names is None or item.name in names)
    }
    found = list(facts)
    places = iter(wanted)
    for batch in batches(wanted.values()):
        for result in _figures(source, [tensor for tensor, _ in batch]):
            place = next(places)
            if isinstance(result, int):
                problem = f"value {result} is finite in float64 and overflows float32"
                found[place] = found[place].replace(problem=problem)
            else:
                found[place] = found[place].replace(statistics=_named(result))
    return tuple(found)


def _figures(source: str, tensors: list[Tensor]) -> list[Any]:
    try:
        return reading(_core.statistics, [values_of(tensor) for tensor in tensors])
    except _core.CoreError as error:
        if len(tensors) == 1:
            raise in_words(source, tensors[0], error) from None
    return [found for tensor in tensors for found in _figures(source, [tensor])]  # so that one of them is to blame


def _named(found: Any) -> Statistics:
    (values, finite, minimum, maximum, mean, squares, zeros, negative_zeros, nans, overflow, underflow, subnormal,
     exponents, first, last) = found  # fmt: skip
    special = exponents.get(_SPECIAL, 0) + exponents.get(_NEGATIVE + _SPECIAL, 0)
    histogram = tuple(_histogram(exponents, zeros - negative_zeros, negative_zeros))
    return Statistics(
        values=values,
        minimum=minimum if finite else None,
        maximum=maximum if finite else None,
        mean=mean if finite else None,
        deviation=sqrt(squares / finite) if finite else None,
        zeros=zeros,
        nans=nans,
        infinities=special - nans,
        subnormals=exponents.get(0, 0) + exponents.get(_NEGATIVE, 0) - zeros,
        negatives=sum(negative for _, negative, _ in histogram),
        half_overflow=overflow,
        half_underflow=underflow,
        half_subnormal=subnormal,
        histogram=histogram,
        first=first,
        last=last,
    )


def _histogram(exponents: dict[int, int], positive_zeros: int, negative_zeros: int) -> Iterator[tuple[int, int, int]]:
    """The finite values that are not zero, by their exponents; subnormals share one row."""
    counts = {**exponents, 0: exponents.get(0, 0) - positive_zeros}
    counts[_NEGATIVE] = exponents.get(_NEGATIVE, 0) - negative_zeros
    for biased in sorted({place % _NEGATIVE for place in counts} - {_SPECIAL}):
        negative, positive = counts.get(_NEGATIVE + biased, 0), counts.get(biased, 0)
        if negative or positive:
            yield biased - _BIAS, negative, positive
