"""What an export does after the text is written and before it has its name: read it back, write the sidecar."""

from __future__ import annotations

import os

from . import _core, system
from .comparing import batches, compared, difference
from .destination import KEPT, Destination
from .errors import Error, OptionError, OutputError, WtsError
from .reading import WtsFile, reading, values_of
from .sidecar import describe, facts_of_file, looks_like_sidecar, sidecar_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .layout import Layout
    from .selecting import Selection
    from .tensor import Tensor


def write_and_reread(
    destination: Destination,
    fill: Callable[[int], None],
    name: str,
    source: str | None,
    layout: Layout,
    made: Selection,
    selection: dict[str, Any],
    *,
    sidecar: bool,
    verify: bool,
    overwrite: bool,
    force: bool,
    durable: bool,
) -> None:
    """Write a .wts; with ``verify`` it gets its name only if it holds its source; with ``sidecar`` write that too.

    Neither file gets its name before both are there in full.
    """
    path = destination.path
    if destination.direct:
        raise OptionError(f"{path}: sidecar and verify need a regular file, which can be read back")
    beside = None
    if sidecar:
        beside = Destination(
            sidecar_path(path),
            overwrite=overwrite,
            force=force,
            sources=(),
            kind="sidecar of pywts",
            is_of_kind=looks_like_sidecar,
        )
    facts = {"name": name} if source is None or beside is None else facts_of_file(source)

    def described(marks: list[tuple[int, int]]) -> bytes:
        return describe(
            {"name": os.path.basename(path), "bytes": layout.size, "values": layout.values},
            facts,
            {
                "weights": made.chosen.path,
                "why": made.chosen.why,
                "recipe": made.recipe,
                "dialect": made.dialect,
                "notes": made.notes,
                "options": {option: _plain(value) for option, value in selection.items()},
            },
            [(tensor, *mark) for tensor, mark in zip(layout.tensors, marks, strict=True)],
        )

    def write_wts(sidecar_file: int = -1) -> None:
        def fill_and_reread(file: int) -> None:
            fill(file)
            marks = _reread(file, path, name, layout.tensors, verify, sidecar)
            if beside is not None:
                _write_sidecar(beside, sidecar_file, described(marks), durable)

        destination.write(layout.size, durable, fill_and_reread)

    if beside is None:
        write_wts()
    else:
        _write_both(beside, write_wts, durable, path)


def _write_sidecar(beside: Destination, file: int, text: bytes, durable: bool) -> None:
    try:
        system.write_all(file, text)
        if durable:
            system.sync_data(file)
    except OSError as error:
        raise beside.failed(error) from None


def _write_both(beside: Destination, write_wts: Callable[[int], None], durable: bool, path: str) -> None:
    """Let both be written, and then get their names, the sidecar last."""
    named = False

    def fill(file: int) -> None:
        nonlocal named
        write_wts(file)
        named = True

    try:
        beside.write(0, durable, fill)
    except OutputError as error:
        if not named:
            raise
        what = str(error).removesuffix(KEPT)
        raise OutputError(f"{what}; {path} is new, and a sidecar that was there before does not fit it") from None


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool)):
        return value
    if callable(value):
        return f"callable {getattr(value, '__name__', type(value).__name__)}"
    return [part if isinstance(part, str) else list(part) for part in value]


def _reread(
    descriptor: int, path: str, source: str, tensors: list[Tensor], verify: bool, sums: bool
) -> list[tuple[int, int]]:
    """The offset and checksum of each tensor of a .wts that has no name yet."""
    place = system.path_of(descriptor)
    try:
        with WtsFile(place, sidecar=False) as file:
            written: list[Tensor] = list(file.described().values())
            if [(x.name, x.numel) for x in written] != [(x.name, x.numel) for x in tensors]:
                raise _damaged(path, source, "it holds other tensors than were written")
            if verify:
                for tensor, _, found in compared(zip(written, tensors, strict=True), first_only=True):
                    if found[0]:
                        first = difference(tensor.name, found)
                        where = f"{first.tensor}, value {first.index}"
                        raise _damaged(path, source, f"{where} is {first.a_bits}, not {first.b_bits}")
            if not sums:
                return []
            found_sums = [
                found
                for batch in batches((tensor, tensor) for tensor in written)
                for found in reading(_core.checksums, [values_of(tensor) for tensor, _ in batch])
            ]
            return list(zip((tensor.offset for tensor in file.tensors), found_sums, strict=True))
    except WtsError as error:
        raise _damaged(path, source, str(error).removeprefix(f"{place}: ")) from None


def _damaged(path: str, source: str, what: str) -> Error:
    return Error(
        f"{path}: read back, it is not what {source} holds: {what}; the old state was kept; the disk or memory may fail"
    )
