"""``verify`` and ``diff``: two sources of tensors beside each other, value by value, in bounded memory.

A side is a .wts, or anything that ``export`` takes. Values are compared as a .wts holds them: float32, in C order,
every NaN quiet.
"""

from __future__ import annotations

import os
from math import fsum

from . import _core
from .destination import looks_like_wts
from .errors import OptionError
from .exporting import open_source, path_of
from .layout import by_name, check_expansion
from .limits import DEFAULT_LIMITS, Limits
from .options import SELECTING
from .reading import WtsFile, WtsStorage, reading, values_of
from .records import Record
from .selecting import select
from .sidecar import looks_like_sidecar, sidecar_path
from .writing import in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .checkpoint.protocol import Checkpoint
    from .tensor import Tensor

    Pair = tuple[Tensor, Tensor]
    Found = tuple[int, int, int, int, int, float, float, int]

_BATCH_VALUES = 1 << 26
_BATCH_PAIRS = 4096
"""What is compared between two looks at whether Ctrl-C was pressed."""


class Difference(Record):
    """A value that differs between two sides."""

    tensor: str
    index: int | None
    """in C order; None where only checksums were compared"""
    a: float | None
    """the value in the .wts, or on the first side"""
    b: float | None
    """the value in the source, or on the second side"""
    a_bits: str
    """the same as 8 hex digits; "" where only checksums were compared"""
    b_bits: str


class Verified(Record):
    """Whether a .wts holds what its source does."""

    wts: str
    source: str
    equal: bool
    """whether names, numbers of values and every bit agree"""
    tensors: int
    """how many have the same name and number of values on both sides; those were compared"""
    values: int
    """in them"""
    missing: tuple[str, ...]
    """names that the source has and the .wts lacks"""
    extra: tuple[str, ...]
    """names that only the .wts has"""
    counts: tuple[tuple[str, int, int], ...]
    """(name, in the .wts, in the source) where the numbers of values differ"""
    first: Difference | None
    """the first value that differs, in the order of the .wts"""
    by: str
    """what was compared: "values", or "checksums" where the source was a sidecar"""


class TensorDifference(Record):
    """How one tensor differs between two sides."""

    name: str
    values: int
    different: int
    """values whose bits differ"""
    nans: int
    """of those, no number on one side or both; they are not in what follows"""
    max_abs: float
    mean_abs: float
    """over all values, the equal ones too"""
    max_ulp: int
    """the most float32 numbers that any value is off by"""
    first: Difference


class Compared(Record):
    """How two sides differ."""

    a: str
    b: str
    equal: bool
    """whether nothing differs: neither names, nor shapes where both sides have some, nor any bit"""
    tensors: int
    """how many have the same name and number of values on both sides; those were compared"""
    values: int
    """in them"""
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    counts: tuple[tuple[str, int, int], ...]
    """(name, in a, in b) where the numbers of values differ"""
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    """(name, in a, in b) where the shapes differ and the numbers do not; a .wts has shapes if it has a sidecar"""
    different: tuple[TensorDifference, ...]
    """the tensors in which any bit differs"""
    max_abs: float
    mean_abs: float
    max_ulp: int


def verify(
    wts: str | bytes | os.PathLike[str], source: Any = None, *, limits: Limits = DEFAULT_LIMITS, **selection: Any
) -> Verified:
    """Whether a .wts holds what a source does, bit for bit.

    wts: the path of the .wts.
    source: what ``export`` takes, another .wts, or a sidecar (``NAME.wts.json``), whose checksums are compared then;
        without it the sidecar beside the .wts.
    limits: what the source may ask for.
    selection: those arguments of ``export`` that decide what is written, from ``key`` to ``half``: the same as were
        given there.

    Raises ``pywts.Error``: WtsError for a damaged .wts, and what ``export`` raises for the source.
    """
    _check(selection, "verify")
    path = path_of(source)
    if source is None:
        path = sidecar_path(os.fsdecode(wts))
        if not os.path.exists(path):
            raise OptionError(f"{os.fsdecode(wts)}: has no sidecar {os.path.basename(path)}: name the source")
    if path is not None and (source is None or looks_like_sidecar(_head(path))):
        return _verify_by_sidecar(wts, path)
    with WtsFile(wts, sidecar=False) as file:
        a = _side_of_file(file, limits, {})
        b = _side(source, limits, selection)
        try:
            matched = _Matched(a, b)
            first = next((difference(x.name, found) for x, _, found in compared(matched.pairs, True) if found[0]), None)
        finally:
            b.close()
    return Verified(
        wts=a.name,
        source=b.name,
        equal=matched.equal and first is None,
        tensors=len(matched.pairs),
        values=sum(tensor.numel for tensor, _ in matched.pairs),
        missing=matched.only_b,
        extra=matched.only_a,
        counts=matched.counts,
        first=first,
        by="values",
    )


def _verify_by_sidecar(wts: str | bytes | os.PathLike[str], path: str) -> Verified:
    with WtsFile(wts, sidecar=path) as file:
        assert file.sidecar is not None
        told = file.sidecar.tensors
        first = None
        place = 0
        for batch in batches((tensor, tensor) for tensor in file.described().values()):
            sums = reading(_core.checksums, [values_of(tensor) for tensor, _ in batch])
            for tensor, found in zip(told[place:], sums, strict=False):
                if first is None and int(tensor.crc32, 16) != found:
                    first = Difference(tensor.name, None, None, None, "", "")
            place += len(batch)
            if first is not None:
                break
        return Verified(
            wts=file.path,
            source=path,
            equal=first is None,
            tensors=len(told),
            values=sum(tensor.values for tensor in told),
            missing=(),
            extra=(),
            counts=(),
            first=first,
            by="checksums",
        )


def diff(a: Any, b: Any, *, limits: Limits = DEFAULT_LIMITS, **selection: Any) -> Compared:
    """How two sides differ: names, numbers of values, shapes, and every value.

    a, b: a .wts (its path, or what ``pywts.open`` gave), or what ``export`` takes: any checkpoint, .safetensors, .npz,
        a live object.
    limits: what a side may ask for.
    selection: those arguments of ``export`` that decide what is written, from ``key`` to ``half``; a .wts is taken as
        it is but for ``include``, ``exclude``, ``drop_junk`` and ``half``.

    Raises ``pywts.Error``: WtsError for a damaged .wts, and what ``export`` raises for any other side.
    """
    _check(selection, "diff")
    left = _side(a, limits, selection)
    try:
        right = _side(b, limits, selection)
        try:
            return _compare(left, right)
        finally:
            right.close()
    finally:
        left.close()


def _compare(a: _Side, b: _Side) -> Compared:
    matched = _Matched(a, b)
    different = []
    sums = []
    numbers = 0
    for tensor, _, found in compared(matched.pairs, False):
        count, _, _, _, nans, most, total, ulp = found
        numbers += tensor.numel - nans
        sums.append(total)
        if count:
            mean = total / max(tensor.numel - nans, 1)
            first = difference(tensor.name, found)
            different.append(TensorDifference(tensor.name, tensor.numel, count, nans, most, mean, ulp, first))
    shapes = tuple((x.name, x.shape, y.shape) for x, y in matched.pairs if a.shaped and b.shaped and x.shape != y.shape)
    return Compared(
        a=a.name,
        b=b.name,
        equal=matched.equal and not shapes and not different,
        tensors=len(matched.pairs),
        values=sum(tensor.numel for tensor, _ in matched.pairs),
        only_a=matched.only_a,
        only_b=matched.only_b,
        counts=matched.counts,
        shapes=shapes,
        different=tuple(different),
        max_abs=max((tensor.max_abs for tensor in different), default=0.0),
        mean_abs=_sum(sums) / max(numbers, 1),
        max_ulp=max((tensor.max_ulp for tensor in different), default=0),
    )


class _Side:
    """Named tensors, as a .wts would hold them."""

    def __init__(self, checkpoint: Checkpoint, selection: dict[str, Any], shaped: bool, owned: bool) -> None:
        made = select(checkpoint, **selection)
        self.name = checkpoint.name
        self.tensors = by_name(checkpoint.name, made.items)
        if checkpoint.inert:
            check_expansion(checkpoint.name, list(self.tensors.values()), checkpoint.limits)
        self.shaped = shaped
        self.close = checkpoint.close if owned else lambda: None


def _side(source: Any, limits: Limits, selection: dict[str, Any]) -> _Side:
    if isinstance(source, WtsFile):
        return _side_of_file(source, limits, selection)
    path = path_of(source)
    file = open_if_wts(path) if path is not None else None
    checkpoint = None
    try:
        if file is not None:
            return _side_of_file(file, limits, selection, owned=True)
        checkpoint = open_source(source, limits)
        return _Side(checkpoint, selection, shaped=True, owned=True)
    except BaseException:
        for opened in (file, checkpoint):
            if opened is not None:
                opened.close()
        raise


def _side_of_file(file: WtsFile, limits: Limits, selection: dict[str, Any], owned: bool = False) -> _Side:
    taken: dict[str, Any] = {name: selection[name] for name in ("drop_junk", "half") if name in selection}
    checkpoint = file.as_checkpoint(limits)
    side = _Side(checkpoint, {"key": ".", "recipe": "none", **taken}, file.sidecar is not None, owned)
    for option, kept in (("include", True), ("exclude", False)):
        # Unlike a checkpoint's, its names may be the result of the same pattern: one that matches nothing is no error.
        given = selection.get(option, ())
        patterns = [given] if isinstance(given, str) else list(given)
        if patterns:
            from fnmatch import fnmatchcase

            side.tensors = {
                name: tensor
                for name, tensor in side.tensors.items()
                if any(fnmatchcase(name, pattern) for pattern in patterns) is kept
            }
    return side


class _Matched:
    """The tensors of two sides, by their names."""

    def __init__(self, a: _Side, b: _Side) -> None:
        both = [(tensor, b.tensors[name]) for name, tensor in a.tensors.items() if name in b.tensors]
        self.only_a = tuple(name for name in a.tensors if name not in b.tensors)
        self.only_b = tuple(name for name in b.tensors if name not in a.tensors)
        self.counts = tuple((x.name, x.numel, y.numel) for x, y in both if x.numel != y.numel)
        self.pairs = [(x, y) for x, y in both if x.numel == y.numel]
        self.equal = not (self.only_a or self.only_b or self.counts)


def compared(pairs: Iterable[Pair], first_only: bool) -> Iterator[tuple[Tensor, Tensor, Found]]:
    """Every pair of equal size with what the core says of it; with ``first_only`` only as far as to a difference."""
    for batch in batches(pairs):
        for (a, b), found in zip(batch, _compare_batch(batch, first_only), strict=True):
            yield a, b, found
            if first_only and found[0]:
                return


def _compare_batch(batch: list[Pair], first_only: bool) -> list[Found]:
    try:
        return reading(_core.compare, [(values_of(a), values_of(b)) for a, b in batch], first_only)
    except _core.CoreError as error:
        if len(batch) == 1:
            a, b = batch[0]
            blamed = b if isinstance(a.storage, WtsStorage) else a
            raise in_words(f"the storage {blamed.storage.label}", blamed, error) from None
    return [found for pair in batch for found in _compare_batch([pair], first_only)]  # so that one of them is to blame


def batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """What is compared at once; a storage that must be made (inflated, from a GPU) is there for one pair only."""
    batch: list[Pair] = []
    values = 0
    for pair in pairs:
        made = any(_is_made(tensor) for tensor in pair)
        if batch and (made or values + pair[0].numel > _BATCH_VALUES or len(batch) == _BATCH_PAIRS):
            yield batch
            batch, values = [], 0
        if made:
            yield [pair]
            continue
        batch.append(pair)
        values += pair[0].numel
    if batch:
        yield batch


def _is_made(tensor: Tensor) -> bool:
    return tensor.storage.load is not None and (tensor.half or not isinstance(tensor.storage, WtsStorage))


def difference(name: str, found: Found) -> Difference:
    """The first difference that the core found in a tensor."""
    _, index, a, b, *_ = found
    return Difference(name, index, _number(a), _number(b), f"{a:08x}", f"{b:08x}")


def _number(bits: int) -> float:
    value: float = memoryview(bits.to_bytes(4, "little")).cast("f")[0]
    return value


def _sum(parts: list[float]) -> float:
    return fsum(parts) if all(part < float("inf") for part in parts) else float("inf")


def _check(selection: dict[str, Any], function: str) -> None:
    for name in selection:
        if name not in SELECTING:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


def _head(path: str) -> bytes:
    """The first bytes of a regular file; b"" of anything else."""
    try:
        if not os.path.isfile(path):
            return b""
        with open(path, "rb", buffering=0) as file:
            return file.read(4096)
    except (OSError, ValueError):
        return b""


def open_if_wts(path: str) -> WtsFile | None:
    """Open a file that is a .wts by its content, or else by its name."""
    if looks_like_wts(_head(path)) or path.endswith(".wts"):
        return WtsFile(path)
    return None
