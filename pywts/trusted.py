"""``trust=True``: the checkpoint goes through ``torch.load`` and its own classes, in a child process.

The child is this module run as a program. It is handed one request as JSON on standard input, loads the checkpoint,
does the whole export (the output is written by the child, atomically as ever), and hands over one JSON answer on a pipe
of its own, since a checkpoint's code may print: the fields of ``Exported`` or ``Plan``, or an error's kind and words.
Nothing else comes back: no pickle, no shared memory. What the checkpoint's code does to the child ends with the child.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from time import perf_counter

from . import errors
from .errors import CheckpointError, Error, OptionError, shown
from .exporting import Exported, Plan, PlannedTensor, check_stream, export_checkpoint, plan_checkpoint
from .limits import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO


def export_trusted(
    source: str,
    output: str | bytes | os.PathLike[str] | BinaryIO | None,
    selection: dict[str, Any],
    writing: dict[str, Any],
    limits: Limits,
) -> Exported:
    """``export`` by way of the checkpoint's own classes. Raises what ``export`` does."""
    if output is None or isinstance(output, (str, bytes, os.PathLike)):
        named = None if output is None else os.fsdecode(output)
        return _exported(_ask("export", source, selection, limits, output=named, writing=writing))
    check_stream(output, writing["sidecar"], writing["verify"])
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pywts-") as folder:
        path = os.path.join(folder, "MODEL.wts")
        answer = _exported(_ask("export", source, selection, limits, output=path, writing=writing))
        with open(path, "rb") as file:
            shutil.copyfileobj(file, output)
    return answer.replace(path=None)


def plan_trusted(source: str, selection: dict[str, Any], limits: Limits) -> Plan:
    """``plan`` by way of the checkpoint's own classes. Raises what ``plan`` does."""
    answer = _ask("plan", source, selection, limits)
    tensors = tuple(PlannedTensor(**{**tensor, "shape": tuple(tensor["shape"])}) for tensor in answer.pop("tensors"))
    return Plan(**{**answer, "tensors": tensors, **_tuples(answer)})


def _exported(answer: dict[str, Any]) -> Exported:
    return Exported(**{**answer, **_tuples(answer)})


def _tuples(answer: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(answer[name]) for name in ("notes", "warnings")}


def _ask(action: str, source: str, selection: dict[str, Any], limits: Limits, **more: Any) -> dict[str, Any]:
    """Let a child do an action; its answer."""
    import subprocess

    if callable(selection.get("recipe")):
        raise OptionError("a recipe of your own cannot go to the child of trust=True; export the loaded model instead")
    request = {
        "action": action,
        "source": source,
        "selection": _jsonable(selection),
        "limits": limits.as_dict(),
        **more,
    }
    receiving, sending = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(sending)],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else subprocess.DEVNULL,
            pass_fds=[sending],
        )
        os.close(sending)
        sending = -1
        try:
            assert child.stdin is not None
            try:
                child.stdin.write(json.dumps(request).encode())
                child.stdin.close()
            except BrokenPipeError:
                pass  # it died before it read: what it did not answer says so
            with open(receiving, "rb", closefd=False) as pipe:
                answer = pipe.read()  # before the wait: an answer may be larger than a pipe holds
            child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
    finally:
        os.close(receiving)
        if sending >= 0:
            os.close(sending)
    if not answer:
        how = f"by signal {-child.returncode}" if child.returncode < 0 else f"with code {child.returncode}"
        raise CheckpointError(f"{source}: the child that loaded it ended {how}, without an answer")
    found = json.loads(answer)
    if "error" in found:
        kind = getattr(errors, found["error"]["kind"], Error)
        raise kind(found["error"]["message"])
    result: dict[str, Any] = found["done"]
    return result


def _has_descriptor(stream: Any) -> bool:
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError, ValueError):
        return False


def _jsonable(selection: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, (str, bool)) else list(value) for name, value in selection.items()}


# --------------------------------------------------------------------------------------------------------- the child


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from .checkpoint.live import LiveCheckpoint

    start = perf_counter()
    source = request["source"]
    checkpoint = LiveCheckpoint(_load(source), Limits(**request["limits"]), name=source)
    selection = request["selection"]
    if request["action"] == "plan":
        plan = plan_checkpoint(checkpoint, selection)
        return {**plan.as_dict(), "tensors": [tensor.as_dict() for tensor in plan.tensors]}
    writing = request["writing"]
    exported = export_checkpoint(checkpoint, source, request["output"], selection, start=start, **writing)
    return exported.as_dict()


def _load(source: str) -> Any:
    try:
        import torch
    except ImportError:
        raise OptionError("trust needs torch: pip install 'pywts[torch]'") from None
    try:
        return torch.load(source, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{source}: needs the module {shown(error.name)}: install it, or run this in the training repository"
        ) from None
    except Exception as error:  # whatever the checkpoint's own code raises
        if isinstance(error, OSError) and error.filename == source:
            raise CheckpointError(f"{source}: cannot be read: {error.strerror}") from None
        raise CheckpointError(
            f"{source}: torch.load failed: {type(error).__name__}: {shown(error, 300)}; a class of the training script "
            "itself is known to that script alone: load the checkpoint there, and export the loaded object"
        ) from None


def _child(pipe: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent says what there is to say
    request = json.load(sys.stdin)
    try:
        answer = {"done": _answer(request)}
    except Error as error:
        answer = {"error": {"kind": type(error).__name__, "message": str(error)}}
    with open(pipe, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    _child(int(sys.argv[1]))
