"""The pipeline, top to bottom: source, weights, layout, encoder, file."""

from __future__ import annotations

import os
from time import perf_counter

from .destination import Destination, default_path, misnamed, resolve
from .errors import OptionError, shown
from .families.programs import next_command
from .layout import TEXT_PER_VALUE, Layout, check_expansion, lay_out
from .limits import DEFAULT_LIMITS, Limits
from .records import Record
from .selecting import select
from .writing import Job, check_before, check_overflow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

    from .checkpoint.choosing import Chosen
    from .checkpoint.protocol import Checkpoint
    from .families.weights import Weights
    from .renaming import Renames
    from .selecting import Selection
    from .tensor import Tensor
    from .writing import Progress


class Exported(Record):
    """What an export did."""

    path: str | None
    """of the .wts; None where a stream was written"""
    source: str
    tensors: int
    values: int
    bytes: int
    seconds: float
    weights: str
    """the dotted path of the weights that were taken ("ema", "model", "state_dict"); "" for the whole source"""
    why: str
    """why these"""
    recipe: str
    """the family's surgery that was applied, as it can be asked for again; "none" where there was none"""
    dialect: str
    notes: tuple[str, ...]
    """what the recipe did"""
    next_step: str
    """what to do with the .wts on the C++ side"""
    warnings: tuple[str, ...]
    sidecar: str | None = None
    """the path of the sidecar that was written"""
    verified: bool = False
    """whether the .wts was read back and compared"""
    crc32: str | None = None
    """8 hex digits: the CRC-32 (zlib's) of the text that was written, where it was asked for"""


class PlannedTensor(Record):
    """One line of a .wts that would be written."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """of the source; the .wts holds float32"""
    values: int
    bytes: int
    """of its line"""


class Plan(Record):
    """What an export would write."""

    source: str
    tensors: tuple[PlannedTensor, ...]
    values: int
    bytes: int
    weights: str
    why: str
    recipe: str
    dialect: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def export(
    source: Any,
    output: str | os.PathLike[str] | BinaryIO | None = None,
    *,
    key: str = "auto",
    recipe: str | Callable[[Weights], Any] = "auto",
    dialect: str = "auto",
    task: str = "auto",
    strip_prefix: str = "",
    rename: Renames = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    drop_junk: bool = False,
    half: bool = False,
    overwrite: bool = True,
    force: bool = False,
    durable: bool = False,
    sidecar: bool = False,
    verify: bool = False,
    check: bool = True,
    trust: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Exported:
    """Write the weights of a source as a .wts.

    source: the path of a checkpoint (never imported from, never run), or a live object: an ``nn.Module``, an
        ultralytics ``YOLO``, a state_dict, a dict of NumPy arrays, a loaded checkpoint.
    output: a path, a folder, or a binary stream; without it the .wts lies beside the source.
    key: the dotted path of the weights in the checkpoint, for example ``"ema"`` or ``"model"``; ``"auto"`` takes what
        the reference scripts take.
    recipe: the family's surgery: ``"auto"`` where its mark is found, ``"none"``, a name that ``pywts.recipes()`` lists
        (``"detectron2:eps=1e-3"`` sets a parameter), or a callable that takes ``pywts.Weights`` and returns what is to
        be written: a mapping, or pairs of a name and a tensor or array.
    dialect: ``"double"`` (two spaces before the first value) or ``"single"``; ``"auto"`` is the recipe's.
    task: ``"detect"``, ``"segment"`` and so on, checked against the head: a warning where that is for another.
    strip_prefix: taken off the front of the names that have it.
    rename: pairs of a regular expression and a text as in ``re.sub``, or texts ``"REGEX=TEXT"``; in order.
    include: globs; only names that match one are written.
    exclude: globs; names that match one are not.
    drop_junk: leave out the counters of thop, ``total_ops`` and ``total_params``.
    half: round every floating-point tensor through float16 first.
    overwrite: whether an existing .wts may be replaced.
    force: whether an existing file that is no .wts may be replaced.
    durable: wait until the file is on the disk.
    sidecar: write ``NAME.wts.json`` beside the .wts: shapes, dtypes, checksums, the source's hash, the choices made.
    verify: read the .wts back before it gets its name, and compare it with the source bit for bit.
    check: compare every storage of an archive with the CRC32 that the archive keeps of it (0 means that it keeps none);
        torch does not. They are compared while they are read, and before a file gets its name; before a stream or a
        device is written, which could not be taken back, they are read through once more. What is deflated is always
        checked.
    trust: load the checkpoint by ``torch.load`` and its own classes, in a child process, for classes that make their
        state_dict themselves. THE CHILD RUNS WHATEVER CODE THE CHECKPOINT HOLDS. ``progress`` is not called.
    limits: what the source may ask for.
    progress: called with the bytes done and in all, some times a second.

    Raises ``pywts.Error``: CheckpointError, SelectionError, TensorError, OutputError, OptionError.
    """
    selection = {
        "key": key,
        "recipe": recipe,
        "dialect": dialect,
        "task": task,
        "strip_prefix": strip_prefix,
        "rename": rename,
        "include": include,
        "exclude": exclude,
        "drop_junk": drop_junk,
        "half": half,
    }
    writing: dict[str, Any] = {
        "overwrite": overwrite,
        "force": force,
        "durable": durable,
        "sidecar": sidecar,
        "verify": verify,
        "check": check,
    }
    return export_as(source, output, selection, writing, limits, progress, trust=trust)


def export_as(
    source: Any,
    output: str | bytes | os.PathLike[str] | BinaryIO | None,
    selection: dict[str, Any],
    writing: dict[str, Any],
    limits: Limits,
    progress: Progress | None = None,
    *,
    trust: bool = False,
) -> Exported:
    """``export`` with its options in two: what is written, and how, which ``export_checkpoint`` takes by name."""
    path = path_of(source)
    if trust and path is not None:
        from .trusted import export_trusted

        return export_trusted(path, output, selection, writing, limits)
    start = perf_counter()
    checkpoint = open_source(source, limits)
    try:
        return export_checkpoint(checkpoint, path, output, selection, progress=progress, start=start, **writing)
    finally:
        checkpoint.close()


def export_checkpoint(
    checkpoint: Checkpoint,
    source: str | None,
    output: str | bytes | os.PathLike[str] | BinaryIO | None,
    selection: dict[str, Any],
    *,
    overwrite: bool,
    force: bool,
    durable: bool,
    sidecar: bool = False,
    verify: bool = False,
    check: bool = True,
    checksum: bool = False,
    threads: int = 2,
    progress: Progress | None = None,
    start: float,
) -> Exported:
    """``export`` of an opened source; ``source`` is its path, if it has one, ``start`` when the work began.

    checksum: compute the CRC-32 of the text while it is written.
    threads: 1 where other work keeps the other processors busy; more than 2 are never used.
    """
    made = select(checkpoint, check=check, **selection)
    layout = laid_out(checkpoint, made)
    job = Job(checkpoint.name, layout, check, durable, threads > 1, checksum, progress)
    path = None
    warnings = made.warnings
    if output is None or isinstance(output, (str, bytes, os.PathLike)):
        path = _output_path(source, output)
        sources = identities(source, layout.tensors)
        destination = Destination(path, overwrite=overwrite, force=force, sources=sources)
        if destination.direct:
            check_before(checkpoint.name, layout.tensors, check)
        if sidecar or verify:
            from .keeping import write_and_reread

            write_and_reread(
                destination, job.to_file, checkpoint.name, source, layout, made, selection,
                sidecar=sidecar, verify=verify, overwrite=overwrite, force=force, durable=durable,
            )  # fmt: skip
        else:
            destination.write(layout.size, durable, job.to_file)
        other = misnamed(path)
        if other is not None:
            warnings += (other,)
        if not sidecar and os.path.exists(f"{path}.json"):
            warnings += (f"{shown(path)}.json was left as it was, and may describe another .wts; --sidecar writes it",)
    else:
        check_stream(output, sidecar, verify)
        check_before(checkpoint.name, layout.tensors, check)
        job.to_stream(output)
    return Exported(
        path=path,
        source=checkpoint.name,
        tensors=len(layout.tensors),
        values=layout.values,
        bytes=layout.size,
        seconds=perf_counter() - start,
        weights=made.chosen.path,
        why=made.chosen.why,
        recipe=made.recipe,
        dialect=made.dialect,
        notes=made.notes,
        next_step=_next_step(checkpoint, made.chosen, path),
        warnings=warnings,
        sidecar=f"{path}.json" if sidecar else None,
        verified=verify,
        crc32=job.crc32,
    )


def plan(source: Any, *, trust: bool = False, limits: Limits = DEFAULT_LIMITS, **selection: Any) -> Plan:
    """What ``export`` would write, without writing: names, shapes, dtypes, bytes. Raises what ``export`` would, but for
    damage that only reading all values shows.

    selection: those arguments of ``export`` that decide what is written, from ``key`` to ``half``.
    """
    path = path_of(source)
    if trust and path is not None:
        from .trusted import plan_trusted

        return plan_trusted(path, selection, limits)
    checkpoint = open_source(source, limits)
    try:
        return plan_checkpoint(checkpoint, selection)
    finally:
        checkpoint.close()


def plan_checkpoint(checkpoint: Checkpoint, selection: dict[str, Any]) -> Plan:
    """``plan`` of an opened source."""
    made = select(checkpoint, **selection)
    layout = laid_out(checkpoint, made)
    check_overflow(checkpoint.name, layout.tensors)
    return Plan(
        source=checkpoint.name,
        tensors=tuple(
            PlannedTensor(x.name, x.shape, x.dtype, x.numel, len(head) + TEXT_PER_VALUE * x.numel + len("\n"))
            for x, head in zip(layout.tensors, layout.heads, strict=True)
        ),
        values=layout.values,
        bytes=layout.size,
        weights=made.chosen.path,
        why=made.chosen.why,
        recipe=made.recipe,
        dialect=made.dialect,
        notes=made.notes,
        warnings=made.warnings,
    )


def laid_out(checkpoint: Checkpoint, made: Selection) -> Layout:
    """The layout of what was selected. Raises LimitError where a file's views make too much of its bytes."""
    layout = lay_out(checkpoint.name, made.items, made.dialect, checkpoint.limits)
    if checkpoint.inert:  # whoever holds a live object has what it takes
        check_expansion(checkpoint.name, layout.tensors, checkpoint.limits, layout.values)
    return layout


def path_of(source: Any) -> str | None:
    """The path that a source is, if it is one."""
    return os.fsdecode(source) if isinstance(source, (str, bytes, os.PathLike)) else None


def open_source(source: Any, limits: Limits) -> Checkpoint:
    """Open a path or a live object. The caller closes it."""
    path = path_of(source)
    if path is not None:
        from .checkpoint.opening import open_checkpoint

        return open_checkpoint(path, limits)
    from .checkpoint.live import LiveCheckpoint

    return LiveCheckpoint(source, limits)


def check_stream(output: object, sidecar: bool, verify: bool) -> None:
    """Raise OptionError for an output that is no path where it is no binary stream, or more than one is asked for."""
    if sidecar or verify:
        raise OptionError("sidecar and verify need a file that can be read back: give a path as the output")
    if not callable(getattr(output, "write", None)) or hasattr(output, "encoding"):
        raise OptionError(f"the output is neither a path nor a binary stream but a {type(output).__name__}")


def _output_path(source: str | None, output: str | bytes | os.PathLike[str] | None) -> str:
    if output is None:
        if source is None:
            raise OptionError("a live object has no path to put a .wts beside: name the output")
        return default_path(source)
    path = os.fsdecode(output)
    if not path:
        raise OptionError("the output is an empty path")
    return resolve(path, source)


def _next_step(checkpoint: Checkpoint, chosen: Chosen, path: str | None) -> str:
    name = os.path.basename(path) if path and not path.startswith("/dev/") else "MODEL.wts"
    command = next_command(checkpoint, chosen.value, name)
    if command is None:
        return (
            f"give {shown(name)} to the program that builds the engine; "
            "its class count and input size must be the model's"
        )
    return f"build the engine: {command}"


def identities(path: str | None, tensors: list[Tensor]) -> set[tuple[int, int]]:
    """Device and inode of every file that is read: the source, and its shards."""
    descriptors = {tensor.storage.file for tensor in tensors if tensor.storage.file >= 0}
    found = [os.fstat(descriptor) for descriptor in descriptors]
    if path is not None:
        try:
            found.append(os.stat(path))
        except OSError:  # it went in the meantime, and nothing can be written over it
            pass
    return {(status.st_dev, status.st_ino) for status in found}
