"""The task: one checkpoint from its source to its output. Both engines run this function, in whatever process."""

from __future__ import annotations

import os
import posixpath
import tempfile
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, Error, NoWeightsError, OutputError, shown
from ..exporting import export_as
from ..options import SELECTING
from ..records import Record
from . import storage
from .journal import Entry

if TYPE_CHECKING:
    from ..exporting import Exported
    from ..limits import Limits
    from .plan import Job


class Task(Record):
    """All that a worker must know."""

    job: Job
    out: str
    """absolute path or URL"""
    threads: int
    """that one export may use"""
    limits: Limits


def convert(task: Task) -> Entry:
    """Convert one checkpoint. Whatever goes wrong with it is in the result; nothing is raised."""
    job, start = task.job, perf_counter()
    entry = Entry(job.output, job.source, "failed", fingerprint=job.fingerprint, options=job.options_mark)
    try:
        before = storage.facts_of(job.files)
        exported = _exported(task)
        if storage.facts_of(job.files) != before:
            raise CheckpointError(f"{job.source}: changed while it was read; run the batch again")
    except NoWeightsError as error:
        entry = entry.replace(status="skipped", kind="NoWeightsError", error=str(error).removeprefix(f"{job.source}: "))
    except Error as error:
        entry = entry.replace(kind=type(error).__name__, error=str(error))
    except MemoryError:
        entry = entry.replace(kind="MemoryError", error=f"{job.source}: {_OUT_OF_MEMORY}")
    except Exception as error:  # a recipe of the caller's own, or a mistake of pywts: one file's, not the batch's
        words = f"{job.source}: {type(error).__name__}: {shown(error, 300)}"
        entry = entry.replace(kind=type(error).__name__, error=words)
    else:
        place = storage.size_and_time(storage.joined(task.out, job.output))
        entry = entry.replace(
            status="done",
            fingerprint=before.fingerprint,
            written=place[1] if place else None,
            **{name: getattr(exported, name) for name in _TAKEN_OVER},
        )
    return entry.replace(seconds=round(perf_counter() - start, 6), finished=round(time(), 3))


_OUT_OF_MEMORY = "needs more memory than its worker may take; raise --max-memory"

_TAKEN_OVER = ("bytes", "crc32", "tensors", "values", "weights", "why", "recipe", "dialect", "notes", "warnings")
"""Fields of ``Exported`` that the journal keeps."""


def _exported(task: Task) -> Exported:
    job = task.job
    options = dict(job.options)
    trust = options.pop("trust")
    selection = {name: options.pop(name) for name in SELECTING}
    writing = {**options, "checksum": True, "threads": task.threads}
    output = storage.joined(task.out, job.output)
    with storage.local_copy(job.files) as source:

        def export_to(target: Any) -> Exported:
            return export_as(source, target, selection, writing, task.limits, trust=trust)

        try:
            if not storage.is_url(output):
                _make_folder(os.path.dirname(output))
                return export_to(output)
            return _to_url(output, export_to, options)
        except Error as error:
            if source == job.source:
                raise
            folder, beside = os.path.dirname(source), posixpath.dirname(job.source)
            raise type(error)(str(error).replace(folder, beside)) from None


def _to_url(url: str, export_to: Any, options: dict[str, Any]) -> Exported:
    """Upload while it is made; what must be read back or has a companion is made here first."""
    storage.check_replaceable(url, overwrite=options["overwrite"], force=options["force"])
    if not (options["sidecar"] or options["verify"]):
        with storage.uploading(url) as stream:
            return export_to(stream)  # type: ignore[no-any-return]
    with tempfile.TemporaryDirectory(prefix="pywts-") as folder:
        path = os.path.join(folder, storage.name_of(url))
        exported: Exported = export_to(path)
        storage.upload(path, url)
        if options["sidecar"]:
            storage.upload(f"{path}.json", f"{url}.json")
    return exported


def _make_folder(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from None
