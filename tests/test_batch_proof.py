"""Whatever is broken, killed, hung or greedy: every good checkpoint is converted once, the report has the others."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy
import pytest
from attacks import confuse_by_names, lie_in_archives, lie_in_headers, making, reach_outside, run_code
from checkpoints import save, tensor
from midway import hold_now, large_source
from processes import TIMEOUT, environment, python, run, start
from reference import reference_wts

import pywts
from pywts.zoo.engines.processes import Processes
from pywts.zoo.journal import NAME, read_entries

MODULES = (confuse_by_names, lie_in_archives, lie_in_headers, reach_outside, run_code)


def small(path: Path, number: int) -> Path:
    """A small checkpoint, unlike any other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = numpy.arange(number, number + 60, dtype=numpy.float32)
    return save(path, {"a.weight": tensor(values), "a.bias": tensor(values[:7].astype(numpy.float16))})


def parts(out: Path) -> list[str]:
    """What lies in a folder of outputs that is neither an output nor the journal."""
    files = [path for path in out.rglob("*") if path.is_file()]
    return [str(path) for path in files if path.suffix != ".wts" and path.name != NAME]


def done_lines(out: Path) -> Counter[str]:
    """How often the journal says of each output that it was done; every line but cut ones is JSON."""
    entries = []
    for line in (out / NAME).read_bytes().splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return Counter(entry["output"] for entry in entries if entry["status"] == "done")


# -------------------------------------------------------------------------------------------------------- broken ones


def broken(folder: Path) -> int:
    """Broken checkpoints of every kind; how many."""
    folder.mkdir()
    whole = small(folder / "whole.pt", 0).read_bytes()
    (folder / "whole.pt").unlink()
    (folder / "cut.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").write_bytes(b"")
    (folder / "zeros.pt").write_bytes(bytes(5000))
    (folder / "page.pt").write_text("<!doctype html><title>404</title>")
    (folder / "pointer.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (folder / "noise.pt").write_bytes(random.Random(1).randbytes(3000))
    save(folder / "space.pt", {"a b": tensor([1.0])})
    save(folder / "overflow.pt", {"w": tensor([1e39], "float64")})
    save(folder / "two.pt", {"params": {"w": tensor([1.0])}, "net": {"w": tensor([2.0])}})
    kinds = {module.__name__: [] for module in MODULES}  # type: ignore[var-annotated]
    for name, build in making.ATTACKS.items():
        if build.__module__ in kinds:
            kinds[build.__module__].append((name, build))
    for module, builders in kinds.items():
        for index, (_, build) in enumerate(builders):
            attack = build()
            if attack.exports is None and not attack.beside and len(kinds[module]) and index < 9:
                (folder / f"{module.rpartition('.')[2]}-{index}.pt").write_bytes(attack.data)
    for path in list(folder.iterdir()):
        with pytest.raises(pywts.Error) as raised:
            pywts.export(path, folder / "never.wts")
        if isinstance(raised.value, pywts.NoWeightsError):
            path.unlink()  # that is no failure but nothing to convert
    return len(list(folder.iterdir()))


def test_2000_good_ones_and_40_broken_ones(tmp_path: Path) -> None:
    zoo, out, single = tmp_path / "zoo", tmp_path / "out", tmp_path / "single"
    for number in range(2000):
        small(zoo / f"{number % 20}" / f"{number}.pt", number)
    count = broken(zoo / "broken")
    assert count >= 40
    report = pywts.batch(zoo, out, jobs=2)
    assert len(report.converted) == 2000
    assert not report.skipped
    assert not report.without_weights
    assert len(report.failed) == count
    single.mkdir()
    for number in range(2000):
        path = zoo / f"{number % 20}" / f"{number}.pt"
        pywts.export(path, single / "one.wts")
        assert (out / f"{number % 20}" / f"{number}.wts").read_bytes() == (single / "one.wts").read_bytes()
    for entry in report.failed:
        with pytest.raises(pywts.Error) as raised:
            pywts.export(entry.source, single / "never.wts")
        assert (entry.kind, entry.error) == (type(raised.value).__name__, str(raised.value))
        assert entry.source in entry.error
    assert len({entry.error for entry in report.failed}) == count
    assert len(list(out.rglob("*.wts"))) == 2000
    assert parts(out) == []
    assert set(done_lines(out).values()) == {1}


# ------------------------------------------------------------------------------------------------ workers that are lost


def hook(weights: Any) -> Any:
    """A recipe that does to its worker what the checkpoint's name says."""
    word = Path(weights.source).stem.rpartition("-")[2]
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "once" and not os.path.exists(f"{weights.source}.seen"):
        Path(f"{weights.source}.seen").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "abort":
        os.abort()
    elif word == "hang":
        time.sleep(1000)
    elif word == "greedy":
        bytearray(3 << 30)
    elif word == "raise":
        raise KeyError("no such thing")
    return weights


def test_worker_that_is_lost_costs_its_own_file(tmp_path: Path) -> None:
    zoo, out = tmp_path / "zoo", tmp_path / "out"
    for number in range(40):
        small(zoo / f"{number:02}-fine.pt", number)
    for number, word in enumerate(("kill", "once", "abort", "hang", "greedy", "raise")):
        small(zoo / f"{5 * number:02}-{word}.pt", number)
    report = pywts.batch(zoo, out, jobs=2, recipe=hook, timeout=3, max_memory=2 << 30, match="*.pt", ignore="*.seen")
    assert len(report.converted) == 41
    failed = {Path(entry.source).stem.rpartition("-")[2]: entry for entry in report.failed}
    assert {word: entry.kind for word, entry in failed.items()} == {
        "kill": "WorkerLost", "abort": "WorkerLost", "hang": "Timeout", "greedy": "MemoryError", "raise": "KeyError"
    }  # fmt: skip
    assert "was killed by signal 9 (SIGKILL), perhaps by the system for lack of memory" in failed["kill"].error
    assert "(SIGABRT)" in failed["abort"].error
    assert failed["abort"].error.endswith(", 2 times")
    assert failed["hang"].error == f"{failed['hang'].source}: took longer than 3 s; raise --timeout"
    assert failed["greedy"].error.endswith("needs more memory than its worker may take; raise --max-memory")
    assert parts(out) == []
    for entry in report.converted:
        values = numpy.arange(number_of(entry), number_of(entry) + 60, dtype=numpy.float32)
        assert (out / entry.output).read_bytes() == reference_wts(
            {"a.weight": values, "a.bias": values[:7].astype(numpy.float16)}
        )


def number_of(entry: Any) -> int:
    """The number from which a checkpoint's values count."""
    number, word = Path(entry.source).stem.split("-")
    return 1 if word == "once" else int(number)


def test_idle_workers_that_are_killed_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines: list[Processes] = []

    class Watched(Processes):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            engines.append(self)
            victims = {self.submit(os.getpgid, 0).result() for _ in range(20)}
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)

    monkeypatch.setattr("pywts.zoo.engines.processes.Processes", Watched)
    for number in range(30):
        small(tmp_path / "zoo" / f"{number}.pt", number)
    report = pywts.batch(tmp_path / "zoo", tmp_path / "out", jobs=2)
    assert len(report.converted) == 30
    assert not report.failed
    assert len(engines) == 1


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        try:
            text = Path(f"/proc/{name}/stat").read_text() if name.isdigit() else ""
        except OSError:
            continue
        if text:
            children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(name))
    found, left = [], [pid]
    while left:
        left += (new := children.get(left.pop(), []))
        found += new
    return found


def large_zoo(folder: Path) -> Path:
    """Three checkpoints that take a while: of one of them, a worker is caught in the middle."""
    folder.mkdir()
    for number in range(3):
        large_source(folder / f"large{number}.pt")
    return folder


def hold_worker(batch: subprocess.Popen[bytes], out: Path) -> int:
    """Wait for a worker that has written a part of a large output, and stop it there."""
    while batch.poll() is None:
        for pid in descendants(batch.pid):
            if hold_now(pid, out):
                return pid
    raise AssertionError(f"it was faster: {batch.communicate()}")


def test_worker_that_is_killed_in_mid_file_leaves_nothing_and_the_file_is_tried_again(tmp_path: Path) -> None:
    zoo, out = large_zoo(tmp_path / "zoo"), tmp_path / "out"
    for number in range(5):
        small(zoo / f"{number}.pt", number)
    batch = start("batch", zoo, "-o", out, "--jobs", "2")
    os.kill(hold_worker(batch, out), signal.SIGKILL)
    stdout, stderr = batch.communicate(timeout=TIMEOUT)
    assert (batch.returncode, stderr) == (0, b""), stdout
    assert all((out / f"large{number}.wts").stat().st_size > 600_000_000 for number in range(3))
    assert parts(out) == []
    assert set(done_lines(out).values()) == {1}


# -------------------------------------------------------------------------------------------- batches that are stopped


def test_run_that_is_killed_at_ten_random_moments_is_resumed(tmp_path: Path, seed: int) -> None:
    zoo, out = tmp_path / "zoo", tmp_path / "out"
    expected = {}
    for number in range(300):
        small(zoo / f"{number}.pt", number)
    for number in range(20):
        save(zoo / f"large{number}.pt", {"w": tensor(numpy.full(2_000_000 + number, number, numpy.float32))})
    for path in zoo.iterdir():
        pywts.export(path, tmp_path / "one.wts")
        expected[f"{path.stem}.wts"] = hash((tmp_path / "one.wts").read_bytes())
    moments = random.Random(seed)
    for _ in range(10):
        batch = start("batch", zoo, "-o", out, "--jobs", "2", stdout=subprocess.DEVNULL)
        try:
            batch.wait(moments.uniform(0.2, 0.9))
        except subprocess.TimeoutExpired:
            batch.kill()
        batch.communicate()
        for path in out.rglob("*.wts"):
            assert hash(path.read_bytes()) == expected[path.name], f"{path} is not whole"
    found = run("batch", zoo, "-o", out, "--jobs", "2")
    assert found.returncode == 0, found.stdout
    assert {path.name: hash(path.read_bytes()) for path in out.rglob("*.wts")} == expected
    assert parts(out) == []
    assert done_lines(out) == Counter(dict.fromkeys(expected, 1))
    assert "0 checkpoints to do, 320 done before" in run("batch", zoo, "-o", out).stdout


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt_once_finishes_what_runs_and_twice_stops(times: int, tmp_path: Path) -> None:
    zoo, out = large_zoo(tmp_path / "zoo"), tmp_path / "out"
    batch = start("batch", zoo, "-o", out, "--jobs", "1")
    worker = hold_worker(batch, out)
    done = len(list(out.glob("*.wts"))) + (times == 1)
    for _ in range(times):
        batch.send_signal(signal.SIGINT)
        time.sleep(0.5)  # for the batch to see it before its worker goes on
    os.kill(worker, signal.SIGCONT) if times == 1 else None
    stdout, stderr = batch.communicate(timeout=TIMEOUT)
    assert (batch.returncode, stderr) == (130, b""), stdout
    assert len(list(out.glob("*.wts"))) == done
    assert len(read_entries(str(out / NAME))) == done
    assert b"left" in stdout
    assert parts(out) == []
    deadline = time.monotonic() + TIMEOUT
    while worker in descendants(1) or Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "a worker was left"
        time.sleep(0.05)


def test_interrupt_of_the_whole_group_while_workers_start_ends_as_any_other(tmp_path: Path) -> None:
    zoo = large_zoo(tmp_path / "zoo")
    batch = start("batch", zoo, "-o", tmp_path / "out", "--jobs", "1", start_new_session=True)
    deadline = time.monotonic() + TIMEOUT
    while len(descendants(batch.pid)) < 2:  # the tracker of resources and the server of the workers, just started
        assert time.monotonic() < deadline
    os.killpg(batch.pid, signal.SIGINT)
    _, stderr = batch.communicate(timeout=TIMEOUT)
    assert batch.returncode == 130, stderr
    assert b"KeyboardInterrupt" not in stderr


def test_batch_that_is_terminated_while_workers_start_ends_in_silence(tmp_path: Path) -> None:
    zoo = large_zoo(tmp_path / "zoo")
    for tracked in (1, 2, 3):  # the tracker of resources, the server of the workers, and the first of them
        batch = start("batch", zoo, "-o", tmp_path / "out", "--jobs", "2")
        deadline = time.monotonic() + TIMEOUT
        while len(descendants(batch.pid)) < tracked:
            assert time.monotonic() < deadline
        batch.terminate()
        assert batch.communicate(timeout=TIMEOUT)[1] == b""
        assert batch.returncode == 143
        assert parts(tmp_path / "out") == []


TERMINATED = """
import os, signal, sys, threading, pywts
def terminated(*_):
    print("terminated", sum(name.endswith(".wts") for name in os.listdir(sys.argv[2])))
    sys.exit(7)
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, terminated)
    def told(progress):
        if progress.files_done == 1: os.kill(os.getpid(), signal.SIGTERM)
    pywts.batch(sys.argv[1], sys.argv[2], jobs=1, progress=told)
"""


def test_handler_of_a_script_is_called_when_the_workers_have_ended(tmp_path: Path) -> None:
    for number in range(40):
        small(tmp_path / "zoo" / f"{number}.pt", number)
    found = python(TERMINATED, tmp_path / "zoo", tmp_path / "out")
    assert (found.returncode, found.stderr) == (7, "")
    assert found.stdout.startswith("terminated ")
    assert len(list((tmp_path / "out").glob("*.wts"))) == int(found.stdout.split()[1]) < 40
    assert run("batch", tmp_path / "zoo", "-o", tmp_path / "out").returncode == 0
    assert done_lines(tmp_path / "out") == Counter({f"{number}.wts": 1 for number in range(40)})


def test_terminated_batch_exits_with_143_and_its_workers_end(tmp_path: Path) -> None:
    zoo, out = large_zoo(tmp_path / "zoo"), tmp_path / "out"
    batch = start("batch", zoo, "-o", out, "--jobs", "1")
    worker = hold_worker(batch, out)
    done = list(out.glob("*.wts"))
    batch.terminate()
    batch.communicate(timeout=TIMEOUT)
    assert batch.returncode == 143
    assert list(out.glob("*.wts")) == done
    assert parts(out) == []
    assert not Path(f"/proc/{worker}").exists()


def test_workers_of_a_killed_batch_end(tmp_path: Path) -> None:
    zoo, out = large_zoo(tmp_path / "zoo"), tmp_path / "out"
    batch = start("batch", zoo, "-o", out, "--jobs", "1")
    worker = hold_worker(batch, out)
    done = len(list(out.glob("*.wts")))
    batch.kill()
    os.kill(worker, signal.SIGCONT)
    batch.communicate(timeout=TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "its worker goes on"
        time.sleep(0.02)
    assert len(list(out.glob("*.wts"))) <= done + 1  # the last part may be written before the worker sees it
    assert parts(out) == []


def test_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    small(tmp_path / "a.pt", 1)
    script = tmp_path / "script.py"
    script.write_text("import pywts\npywts.batch('a.pt', 'out', jobs=1)\n")
    found = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=TIMEOUT, cwd=tmp_path, env=environment(),
        check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert 'call it under `if __name__ == "__main__":`' in found.stderr
    assert "the workers ended 4 times without a result" in found.stderr.splitlines()[-1]
