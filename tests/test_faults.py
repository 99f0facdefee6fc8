"""What disks, users and the system do to a run: it fails with words or succeeds, and the destination is whole."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import save, tensor
from processes import ELSEWHERE, ROOT, TIMEOUT, command, environment, python, run, start, tool_path
from reference import fast_wts, reference_wts

import pywts

FAULTS = ROOT / "tests" / "faults"
OLD = {"old": numpy.arange(3, dtype=numpy.float32)}
NEW = {
    "a.weight": numpy.arange(150_000, dtype=numpy.float32).reshape(500, 300),
    "b.weight": numpy.linspace(-1, 1, 120_000).astype(numpy.float32),
}
"""Some blocks of text, so that the second thread has its part in it."""
TEXT = reference_wts(NEW)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes the system fail, compiled."""
    compiler = tool_path("cc")
    assert compiler
    path = tmp_path_factory.mktemp("failing") / "failing.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", path, FAULTS / "failing.c", "-ldl"], check=True)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint in a folder of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    return save(folder / "best.pt", {name: tensor(value) for name, value in NEW.items()})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that holds an older result of each kind, and a copy of it beside."""
    folder = tmp_path / "out"
    folder.mkdir()
    pywts.export(OLD, folder / "m.wts")
    return folder


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(os.listdir(folder))


# ------------------------------------------------------------------------------------------- one call after the other

IO_ERRORS = {"EIO": errno.EIO, "short": 0, "EINTR": errno.EINTR}

WRITES: list[tuple[str, int]] = [
    *(("write", number) for number in (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR, 0)),
    *(("open", number) for number in (errno.EACCES, errno.EMFILE, errno.EROFS, errno.ENOMEM)),
    *(("fallocate", number) for number in (errno.ENOSPC, errno.EOPNOTSUPP, errno.EINTR, errno.EIO)),
    *(("link", number) for number in (errno.EIO, errno.ENOSPC, errno.EPERM)),
    *(("rename", number) for number in (errno.EXDEV, errno.EBUSY, errno.EIO)),
    ("fchmod", errno.EPERM),
    ("fdatasync", errno.EIO),
    ("fsync", errno.EIO),
]
"""Calls on what is written, and how they fail. A rename between file systems is EXDEV."""

UNHARMFUL = {("write", 0), ("write", errno.EINTR), ("pread", 0), ("pread", errno.EINTR), ("read", errno.EINTR)}
"""Part of the work done, or an interruption: asked again, all is well."""
UNHARMFUL |= {("fallocate", number) for number in (errno.EOPNOTSUPP, errno.EINTR, errno.EIO)}

WRITERS: dict[str, tuple[str, Callable[[Path, Path], list[str]]]] = {
    "export": ("m.wts", lambda source, out: ["export", str(source), "-o", str(out / "m.wts")]),
    "durable": ("m.wts", lambda source, out: ["export", str(source), "-o", str(out / "m.wts"), "--durable"]),
    "verified": (
        "m.wts",
        lambda source, out: ["export", str(source), "-o", str(out / "m.wts"), "--verify", "--sidecar"],
    ),
    "safetensors": ("m.safetensors", lambda source, out: ["convert", str(source), str(out / "m.safetensors")]),
    "npz": ("m.npz", lambda source, out: ["convert", str(source), str(out / "m.npz")]),
    "pt": ("m.pt", lambda source, out: ["convert", str(source), str(out / "m.pt")]),
}


def swept(
    failing: Path, call: str, number: int, under: Path, out: Path, old: Path, arguments: list[str], *,
    nameless: bool = True, always: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """What came of each run of ``tests/faults/sweep.py``; the last met no failure."""
    found = subprocess.run(
        [sys.executable, FAULTS / "sweep.py", call, str(number), under, str(int(always)), str(int(nameless)),
         out, old, "--", *arguments],
        env=environment(LD_PRELOAD=str(failing)), cwd=ELSEWHERE, capture_output=True, text=True,
        timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    runs = [json.loads(line) for line in found.stdout.splitlines()]
    assert runs[-1]["hits"] == 0, "there are more calls than were tried"
    return runs


@pytest.mark.tool("cc")
@pytest.mark.parametrize("nameless", [True, False], ids=["nameless", "named"])
@pytest.mark.parametrize("writer", WRITERS)
def test_any_call_that_fails_while_writing(
    writer: str, nameless: bool, failing: Path, source: Path, out: Path, tmp_path: Path
) -> None:
    """The destination is as before or whole, nothing else stays, and the next run succeeds."""
    name, arguments = WRITERS[writer]
    old, target = tmp_path / "old", out / name
    if not target.exists():
        pywts.convert(OLD, target)
    old.mkdir()
    before = zlib.crc32(target.read_bytes())
    (old / name).write_bytes(target.read_bytes())
    struck = 0
    for call, number in WRITES:
        runs = swept(failing, call, number, out, out, old, arguments(source, out), nameless=nameless)
        clean = runs[-1]["left"]
        assert before != clean[name]
        assert runs[-1]["code"] == 0, runs[-1]
        for told in runs[:-1]:
            struck += 1
            what = (call, errno.errorcode.get(number, "short"), told)
            assert told["raised"] == "", what
            assert told["left"].get(name) in (before, clean[name]), what
            assert set(told["left"]) <= set(clean), what
            assert told["again"] == 0, what
            assert told["after"].keys() == clean.keys(), what
            assert told["after"][name] == clean[name], what
            if told["code"] == 0:
                assert told["left"][name] == clean[name], what
            else:
                assert told["code"] == 1, what
                assert (call, number) not in UNHARMFUL, what
                assert told["stderr"].startswith(f"pywts: {out}/"), what
                assert told["stderr"].count("\n") == 1, what
                assert os.strerror(number) in told["stderr"], what
    assert struck > 10


READERS: dict[str, Callable[[Path, Path], list[str]]] = {
    "export": lambda source, out: ["export", str(source), "-o", str(out / "m.wts")],
    "unchecked": lambda source, out: ["export", str(source), "-o", str(out / "m.wts"), "--no-check"],
    "convert": lambda source, out: ["convert", str(source.with_suffix(".wts")), str(out / "m.npz")],
    "inspect": lambda source, _: ["inspect", str(source), "--check", "--stats", "--json"],
    "inspect a .wts": lambda source, _: ["inspect", str(source.with_suffix(".wts")), "--stats", "--json"],
    "scan": lambda source, _: ["scan", str(source), "--json"],
    "verify": lambda source, _: ["verify", str(source.with_suffix(".wts")), str(source)],
    "diff": lambda source, _: ["diff", str(source.with_suffix(".wts")), str(source)],
}


@pytest.mark.tool("cc")
@pytest.mark.parametrize("reader", READERS)
def test_any_call_that_fails_while_reading(reader: str, failing: Path, source: Path, out: Path, tmp_path: Path) -> None:
    """It is said, with the file's name, by the exit code of that command; or what is said is what the file holds."""
    pywts.export(source, sidecar=True)
    old = tmp_path / "old"
    old.mkdir()
    (old / "m.wts").write_bytes((out / "m.wts").read_bytes())
    arguments = READERS[reader](source, out)
    struck = 0
    for call, number in (
        ("pread", errno.EIO), ("pread", 0), ("pread", errno.EINTR), ("open", errno.EACCES), ("open", errno.EMFILE),
        ("open", errno.ENOMEM), ("read", errno.EIO), ("read", errno.EINTR),
    ):  # fmt: skip
        runs = swept(failing, call, number, source.parent, out, old, arguments)
        clean = runs[-1]
        assert clean["code"] == 0, clean
        for told in runs[:-1]:
            struck += 1
            what = (call, errno.errorcode.get(number, "short"), told)
            assert told["raised"] == "", what
            assert told["again"] == 0, what
            assert told["after"].keys() == clean["left"].keys(), what
            if told["code"] == 0:
                assert told["left"] == clean["left"], what
                assert reader in ("export", "unchecked", "convert") or told["stdout"] == clean["stdout"], what
                continue
            assert (call, number) not in UNHARMFUL, what
            assert told["left"].get("m.wts") == zlib.crc32((old / "m.wts").read_bytes()), what
            assert told["code"] == (2 if reader in ("scan", "verify", "diff") else 1), what
            said = told["stderr"] + told["stdout"]
            assert str(source.with_suffix("")) in said, what
            assert os.strerror(number) in said, what
    assert struck > 5


# ----------------------------------------------------------------------------------------------------- a full disk


@pytest.mark.tool("cc")
@pytest.mark.parametrize("room", ["nothing", "half", "all but a byte"])
@pytest.mark.parametrize("command_line", ["export", "convert", "batch"])
def test_disk_that_is_full(command_line: str, room: str, failing: Path, source: Path, out: Path) -> None:
    """At the first byte, in the middle, at the last one."""
    target = out / {"export": "m.wts", "convert": "m.npz", "batch": "best.wts"}[command_line]
    arguments = {
        "export": ["export", str(source), "-o", str(target)],
        "convert": ["convert", str(source), str(target)],
        "batch": ["batch", str(source.parent), "-o", str(out), "--jobs", "1"],
    }[command_line]
    if not target.exists():
        pywts.convert(OLD, target)
    before = target.read_bytes()
    pywts.convert(source, out.parent / target.name)
    size = (out.parent / target.name).stat().st_size
    left = {"nothing": 0, "half": size // 2, "all but a byte": size - 1}[room]
    # Of what has no name yet: a batch has its journal beside.
    changes = {"LD_PRELOAD": str(failing), "FAIL_UNDER": f"{out}/#", "FAIL_ROOM": str(left)}
    found = run(*arguments, env=environment(**changes))
    assert found.returncode == 1, found
    assert "No space left on device" in found.stderr + found.stdout
    assert "make room" in found.stderr + found.stdout
    assert target.read_bytes() == before
    assert not [name for name in names(out) if name.endswith("pywts-part")]


@pytest.mark.tool("cc")
def test_destination_on_a_file_system_without_fallocate(failing: Path, source: Path, out: Path) -> None:
    changes = {"FAIL_CALL": "fallocate", "FAIL_AT": "1", "FAIL_ERROR": str(errno.EOPNOTSUPP), "FAIL_ALWAYS": "1"}
    changes |= {"LD_PRELOAD": str(failing), "FAIL_UNDER": str(out)}
    assert run("export", source, "-o", out / "m.wts", env=environment(**changes)).returncode == 0
    assert (out / "m.wts").read_bytes() == TEXT


@pytest.mark.tool("cc")
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_batch_whose_journal_cannot_be_written(number: int, failing: Path, source: Path, out: Path) -> None:
    """It is said, and what was written is whole."""
    changes = {"FAIL_CALL": "write", "FAIL_AT": "1", "FAIL_ERROR": str(number), "FAIL_ALWAYS": "1"}
    changes |= {"LD_PRELOAD": str(failing), "FAIL_UNDER": f"{out}/.pywts"}
    found = run("batch", source.parent, "-o", out, env=environment(**changes))
    assert "Traceback" not in found.stderr
    if found.returncode:
        assert os.strerror(number) in found.stderr + found.stdout
    for path in out.glob("*.wts"):
        assert path.read_bytes() in (TEXT, reference_wts(OLD))


# ------------------------------------------------------------------------------------------- a source that is no file


@pytest.mark.parametrize("name", ["export", "inspect", "scan", "verify", "diff", "convert", "batch"])
def test_source_on_a_fifo_is_named_and_does_not_hang(name: str, source: Path, out: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.pt"
    os.mkfifo(fifo)
    arguments: list[str | Path] = {
        "export": ["export", fifo, "-o", out / "m.wts"],
        "inspect": ["inspect", fifo],
        "scan": ["scan", fifo],
        "verify": ["verify", out / "m.wts", fifo],
        "diff": ["diff", source, fifo],
        "convert": ["convert", fifo, out / "m.npz"],
        "batch": ["batch", fifo, "-o", out],
    }[name]
    before = (out / "m.wts").read_bytes()
    found = run(*arguments)
    assert found.returncode == (2 if name in ("scan", "verify", "diff") else 1), found
    assert str(fifo) in found.stdout + found.stderr
    assert "regular file" in found.stdout + found.stderr
    assert (out / "m.wts").read_bytes() == before
    assert "m.npz" not in names(out)


# ---------------------------------------------------------------------------------------- a source that is changed


def during(export: Callable[[], Any], change: Callable[[], Any]) -> Any:
    """Export, and change something when the destination is ready and nothing has been read of the values."""
    real = os.fchmod

    def changing(descriptor: int, mode: int) -> None:
        real(descriptor, mode)
        change()

    os.fchmod = changing
    try:
        return export()
    finally:
        os.fchmod = real


def test_source_that_grows_while_it_is_read_gives_what_it_was(source: Path, out: Path) -> None:
    def grow() -> None:
        with source.open("ab") as file:
            file.write(b"more" * 100_000)

    during(lambda: pywts.export(source, out / "m.wts"), grow)
    assert (out / "m.wts").read_bytes() == TEXT


def test_source_that_is_replaced_while_it_is_read_gives_what_it_was(source: Path, out: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.pt", {"x": tensor(numpy.zeros(7, numpy.float32))})
    during(lambda: pywts.export(source, out / "m.wts"), lambda: os.replace(other, source))
    assert (out / "m.wts").read_bytes() == TEXT


def test_source_that_is_overwritten_while_it_is_read_is_an_error(source: Path, out: Path) -> None:
    """Its directory was read before, and so were the CRC32s in it."""
    before = (out / "m.wts").read_bytes()
    with pytest.raises(pywts.CheckpointError, match="CRC32"):
        during(
            lambda: pywts.export(source, out / "m.wts"),
            lambda: source.write_bytes(bytes(source.stat().st_size)),
        )
    assert (out / "m.wts").read_bytes() == before
    assert names(out) == ["m.wts"]


# ---------------------------------------------------------------------------------------------- random moments


SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)


def struck(arguments: list[str], number: signal.Signals, moment: float, whole_group: bool = False) -> int:
    """The exit code of a command that a signal meets; what it says is right."""
    # Files that Python was importing are not its fault, but warnings.
    process = start(*arguments, env=environment(PYTHONWARNINGS="ignore"), start_new_session=True)
    time.sleep(moment)
    if whole_group and process.poll() is None:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=TIMEOUT)
    # Before pywts has begun the signal ends the process itself, which a shell tells as the same number.
    if not stderr.startswith((b"Could not import runpy module", b"Fatal Python error: init_")):  # Python's start
        assert process.returncode in (0, -number, 128 + number), stderr
    if process.returncode == 128 + number:
        assert b"Traceback" not in stderr
    return process.returncode


@SIGNALS
@pytest.mark.parametrize(
    ("writer", "rounds"), [("export", 67), ("verified", 30), ("safetensors", 30), ("npz", 30), ("pt", 30)]
)
def test_signals_at_random_moments(
    writer: str, rounds: int, number: signal.Signals, source: Path, out: Path, seed: int
) -> None:
    """From the start of the interpreter to its end: the destination is as before or whole, and nothing else stays."""
    moments = random.Random(f"{seed} {number} {writer}")
    name, arguments_of = WRITERS[writer]
    target, arguments = out / name, arguments_of(source, out)
    if not target.exists():
        pywts.convert(OLD, target)
    old = target.read_bytes()
    begun = time.monotonic()
    assert run(*arguments).returncode == 0
    duration = time.monotonic() - begun
    new, left = target.read_bytes(), names(out)
    ends: set[int] = set()
    for _ in range(rounds):
        target.write_bytes(old)
        code = struck(arguments, number, moments.uniform(0, 1.1 * duration))
        ends.add(code)
        assert target.read_bytes() == new or (code != 0 and target.read_bytes() == old)
    assert ends != {0}  # some were struck; how many end before their moment is the machine's affair
    assert run(*arguments).returncode == 0
    assert target.read_bytes() == new
    assert names(out) == left


@SIGNALS
def test_signals_at_random_moments_of_a_batch(number: signal.Signals, tmp_path: Path, seed: int) -> None:
    """Thirty, to it alone or to its workers too: every output is as before or whole, and the next run goes on."""
    zoo, out = tmp_path / "zoo", tmp_path / "out"
    zoo.mkdir()
    out.mkdir()
    new = {}
    for place in range(6):
        values = numpy.full(100 if place % 2 else 300_000, place, numpy.float32)
        save(zoo / f"{place}.pt", {"w": tensor(values)})
        new[f"{place}.wts"] = fast_wts({"w": values})
    old = reference_wts(OLD)
    arguments = ["batch", str(zoo), "-o", str(out), "--jobs", "2"]

    def begin_anew() -> None:
        for path in out.iterdir():
            path.unlink()
        for name in new:
            (out / name).write_bytes(old)

    durations = []
    for _ in range(2):  # the first may have imports to compile
        begin_anew()
        begun = time.monotonic()
        assert run(*arguments).returncode == 0
        durations.append(time.monotonic() - begun)
    kept = names(out)
    moments = random.Random(f"{seed} {number} batch")
    ends: set[int] = set()
    begin_anew()
    for _ in range(30):
        ends.add(struck(arguments, number, moments.uniform(0, min(durations)), moments.random() < 0.5))
        made = [name for name, text in new.items() if (out / name).read_bytes() == text]
        assert all(name in made or (out / name).read_bytes() == old for name in new)
        if len(made) < len(new) and moments.random() < 0.5:
            continue  # what the next one goes on with
        found = run(*arguments)
        assert (found.returncode, found.stderr) == (0, "")
        assert {name: (out / name).read_bytes() for name in new} == new
        assert names(out) == kept
        begin_anew()
    assert ends != {0}  # some were struck; how many end before their moment is the machine's affair
    for told in ("6 checkpoints to do", "6 done before"):
        begin_anew() if told.endswith("to do") else None
        assert told in run(*arguments).stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("name", ["export", "inspect", "scan", "verify", "diff", "convert", "gen_wts"])
def test_signal_ends_every_command_with_its_code(
    name: str, number: signal.Signals, code: int, source: Path, out: Path
) -> None:
    """It comes when the source is opened, which every command does; tests/test_batch_proof.py has that of a batch."""
    module = "pywts.gen_wts" if name == "gen_wts" else "pywts"
    arguments: list[str | Path] = {
        "export": ["export", source, "-o", out / "m.wts"],
        "inspect": ["inspect", source],
        "scan": ["scan", source],
        "verify": ["verify", out / "m.wts", source],
        "diff": ["diff", source, out / "m.wts"],
        "convert": ["convert", source, out / "m.npz"],
        "gen_wts": ["-w", source, "-o", out / "m.wts"],
    }[name]
    script = (
        "import os, runpy, sys\n"
        "def strike(event, arguments):\n"
        f"    if event == 'open' and arguments[0] == {str(source)!r}: os.kill(os.getpid(), {int(number)})\n"
        "sys.addaudithook(strike)\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
    )
    before = (out / "m.wts").read_bytes()
    found = python(script, *arguments)
    assert found.returncode == code, found
    assert "Traceback" not in found.stderr
    assert (out / "m.wts").read_bytes() == before
    assert not [name for name in names(out) if name.endswith("pywts-part") or name == "m.npz"]


# ------------------------------------------------------------------------------------------------ threads and forks


def test_64_threads_export_at_once(source: Path, out: Path) -> None:
    errors: list[BaseException] = []
    together = threading.Barrier(64)

    def work(number: int) -> None:
        try:
            together.wait(TIMEOUT)
            pywts.export(source, out / f"{number % 48}.wts")  # some to one destination
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert errors == []
    assert names(out) == sorted(["m.wts", *(f"{number}.wts" for number in range(48))])
    assert all((out / f"{number}.wts").read_bytes() == TEXT for number in range(48))


FORKING = """
import os, sys, threading, pywts
source, out = sys.argv[1:]
pywts.export(source, f"{out}/0.wts")  # a module that a thread imports at the fork stays locked: Python's own rule
with pywts.open(f"{out}/0.wts") as file: assert len(file) == 2
done = threading.Event()
def work(number):
    while not done.is_set(): pywts.export(source, f"{out}/{number}.wts")
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
codes = []
for number in range(20):
    child = os.fork()
    if child == 0:
        try:
            pywts.export(source, f"{out}/child{number}.wts")
            with pywts.open(f"{out}/child{number}.wts") as file: assert len(file) == 2
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    codes.append(os.waitpid(child, 0)[1])
done.set()
[thread.join() for thread in threads]
assert not any(codes), codes
"""


def test_child_of_a_fork_exports_while_threads_of_the_parent_do(source: Path, out: Path) -> None:
    found = python(FORKING, source, out, env=environment(PYTHONWARNINGS="ignore"))
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    assert names(out) == sorted(["m.wts", *(f"{n}.wts" for n in range(3)), *(f"child{n}.wts" for n in range(20))])
    assert all(path.read_bytes() == TEXT for path in out.iterdir() if path.name != "m.wts")


# ----------------------------------------------------------------------------------- a standard output that is lost

SAYING = {
    "export": ["export", "{source}"],
    "export --json": ["export", "{source}", "--json"],
    "export -n": ["export", "{source}", "-n"],
    "convert": ["convert", "{source}", "{out}/m.npz"],
    "inspect": ["inspect", "{source}", "--stats", "--tensors"],
    "inspect --json": ["inspect", "{source}", "--json"],
    "inspect --html": ["inspect", "{source}", "--html", "-"],
    "scan": ["scan", "{source}"],
    "scan --json": ["scan", "{source}", "--json"],
    "scan --sarif": ["scan", "{source}", "--sarif"],
    "verify": ["verify", "{out}/m.wts", "{source}"],
    "diff": ["diff", "{out}/m.wts", "{source}", "--json"],
    "batch": ["batch", "{folder}", "-o", "{out}", "--jobs", "1"],
    "recipes": ["recipes"],
    "kernels": ["kernels"],
    "completion": ["completion", "bash"],
    "version": ["--version"],
    "help": ["--help"],
    "help of a command": ["diff", "--help"],
    "include folder": ["--include-dir"],
}


def saying(name: str, source: Path, out: Path) -> list[str]:
    """A command line of SAYING."""
    return [part.format(source=source, out=out, folder=source.parent) for part in SAYING[name]]


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["at the end", "at once"])
@pytest.mark.parametrize("name", SAYING)
def test_reader_that_went_away(name: str, unbuffered: str, source: Path, out: Path) -> None:
    """The command ends as one that SIGPIPE ends: silently, by a code that is no answer; its work is done."""
    if unbuffered and name == "help of a command":  # argparse does not say whether it could
        return
    reading, writing = os.pipe()
    os.close(reading)
    found = run(
        *saying(name, source, out), env=environment(PYTHONUNBUFFERED=unbuffered),
        capture_output=False, stdout=writing, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    assert (found.returncode, found.stderr) == (141, "")
    for path in (source.with_suffix(".wts"), out / "m.npz", out / "best.wts"):
        if path.exists():
            assert pywts.diff(source, path).equal
    assert not [x for x in (*names(out), *names(source.parent)) if x.endswith("pywts-part")]


@pytest.mark.parametrize("name", SAYING)
def test_standard_output_on_a_full_disk(name: str, source: Path, out: Path) -> None:
    """It is said, by a code that is no answer."""
    with open("/dev/full", "w") as full:
        found = run(
            *saying(name, source, out), env=environment(PYTHONUNBUFFERED=""),
            capture_output=False, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert found.stderr == "pywts: standard output cannot be written: No space left on device\n"
    assert found.returncode == (2 if SAYING[name][0] in ("scan", "verify", "diff") else 1)


@pytest.mark.parametrize("name", ["convert", "inspect", "inspect --json", "inspect --html", "scan"])
def test_closed_standard_output(name: str, source: Path, out: Path) -> None:
    """Nobody wants the words; the work is done all the same."""
    closed = ["sh", "-c", '"$@" >&-; exit $?', "sh", *command(*saying(name, source, out))]
    found = subprocess.run(
        closed, stderr=subprocess.PIPE, text=True, env=environment(), cwd=ELSEWHERE, timeout=TIMEOUT, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_reader_that_has_enough_of_a_long_answer(tmp_path: Path) -> None:
    """As of ``pywts inspect m.pt --json | head -c 10``: the pipe does not hold all of it."""
    many = save(tmp_path / "m.pt", {f"layer.{i}.weight": tensor(OLD["old"]) for i in range(2_000)})
    for form in ("--json", "--tensors"):
        process = start("inspect", many, form, env=environment(PYTHONUNBUFFERED=""))
        assert process.stdout
        assert process.stdout.read(10)
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, stderr) == (141, b"")


def test_verdict_of_scan_is_not_what_a_lost_reader_gives(tmp_path: Path) -> None:
    """0, 1 and 2 are answers; a pipe that broke is none."""
    (tmp_path / "found.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "clean.pkl").write_bytes(b"N.")
    for name, code in (("found.pkl", 1), ("clean.pkl", 0)):
        assert run("scan", tmp_path / name, "-q").returncode == code
        reading, writing = os.pipe()
        os.close(reading)
        assert run("scan", tmp_path / name, capture_output=False, stdout=writing).returncode == 141
        assert run("scan", tmp_path / name, "-q", capture_output=False, stdout=writing).returncode == code
        os.close(writing)


def test_error_is_said_where_standard_output_is_lost(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    found = run("verify", tmp_path / "no.wts", tmp_path / "no.pt", capture_output=False, stdout=writing, stderr=-1)
    os.close(writing)
    assert found.returncode == 2
    assert "No such file" in found.stderr


# ---------------------------------------------------------------------------------------------- nothing is left

COMMANDS = {
    "export": ["export", "{source}", "-o", "{out}/m.wts"],
    "sidecar": ["export", "{source}", "-o", "{out}/m.wts", "--sidecar", "--verify"],
    "convert": ["convert", "{source}", "{out}/m.npz"],
    "inspect": ["inspect", "{source}", "--stats", "--check"],
    "scan": ["scan", "{source}"],
    "verify": ["verify", "{beside}", "{source}"],
}


def filled(name: str, source: Path, out: Path) -> list[str]:
    """A command line of COMMANDS."""
    beside = source.with_suffix(".wts")
    if not beside.exists():
        pywts.export(source)
    return [part.format(source=source, out=out, beside=beside) for part in COMMANDS[name]]


LITTLE_MEMORY = """
import resource, sys
from pywts.cli import main
main(sys.argv[2:])  # imports everything: what an import says without memory is Python's
with open("/proc/self/statm") as file: now = int(file.read().split()[0]) * resource.getpagesize()
limit = now + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_little_memory(name: str, source: Path, out: Path) -> None:
    """However little there is, the command does its work or says that there is none; it does not crash."""
    arguments = filled(name, source, out)
    before = (out / "m.wts").read_bytes()
    codes = []
    for kilobytes in (0, 300, 1_000, 2_000, 4_000, 8_000, 12_000, 20_000, 40_000, 100_000, 1_000_000):
        found = python(LITTLE_MEMORY, str(kilobytes << 10), *arguments)
        codes.append(found.returncode)
        what = (kilobytes, found.returncode, found.stderr[-500:])
        assert found.returncode in (0, 1, 2), what
        if found.returncode:
            assert "memory" in found.stderr.lower() + found.stdout.lower(), what
            assert "Traceback" not in found.stderr, what
        assert (out / "m.wts").read_bytes() in (before, TEXT), what
        assert not [x for x in names(out) if x.endswith("pywts-part")], what
    assert codes[-1] == 0


NO_THREADS = """
import os, resource, sys
from _thread import start_new_thread
from pywts.cli import main
out, *arguments = sys.argv[1:]
main(arguments)  # imports everything while it can be read
for name in os.listdir(out): os.chmod(f"{out}/{name}", 0o666)
if os.geteuid() == 0:  # root may start as many as it likes
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    start_new_thread(int, ())
    sys.exit("a thread could be had")
except RuntimeError:
    pass
sys.exit(main(arguments))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_no_threads(name: str, source: Path, out: Path, tmp_path: Path) -> None:
    """What a second thread would do, the first one does."""
    arguments = filled(name, source, out)
    above = [folder for folder in tmp_path.parents if folder.name.startswith(("pytest-", "popen-"))]
    for folder in (out, source.parent, tmp_path, *above):
        folder.chmod(0o777)
    pywts.convert(OLD, out / "m.npz")
    for file in (*out.iterdir(), *source.parent.iterdir()):
        file.chmod(0o666)
    found = python(NO_THREADS, out, *arguments)
    assert found.returncode == 0, found
    assert name not in ("export", "sidecar") or (out / "m.wts").read_bytes() == TEXT


FEW_DESCRIPTORS = """
import os, resource, sys
from pywts.cli import main
if sys.argv[2] == "imported":
    main(sys.argv[3:])
resource.setrlimit(resource.RLIMIT_NOFILE, (3 + int(sys.argv[1]), 3 + int(sys.argv[1])))
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize("state", ["imported", "fresh"])
@pytest.mark.parametrize("name", COMMANDS)
def test_few_descriptors(name: str, state: str, source: Path, out: Path) -> None:
    """None left, one, two and so on, until there are enough."""
    arguments = filled(name, source, out)
    old = (out / "m.wts").read_bytes()
    codes = []
    for left in range(int(state == "fresh"), 12):
        (out / "m.wts").write_bytes(old)
        found = python(FEW_DESCRIPTORS, str(left), state, *arguments)
        codes.append(found.returncode)
        what = (left, found.returncode, found.stdout[-300:], found.stderr[-500:])
        assert found.returncode in (0, 1, 2), what
        assert "Traceback" not in found.stderr, what
        if found.returncode:
            assert "oo many" in found.stderr + found.stdout, what
        assert (out / "m.wts").read_bytes() in (old, TEXT), what
        assert not [x for x in names(out) if x.endswith("pywts-part")], what
    assert codes[0] != 0 or state == "fresh"
    assert codes[-1] == 0


# -------------------------------------------------------------------------------------------- languages and names

SCRIPTS = {
    "latin": "poids.é", "greek": "βάρος", "cyrillic": "вес", "hebrew": "משקל", "arabic": "وزن", "devanagari": "भार",
    "bengali": "ওজন", "tamil": "எடை", "thai": "น้ำหนัก", "georgian": "წონა", "armenian": "քաշ", "ethiopic": "ክብደት",
    "hangul": "가중치", "kana": "おもみ", "han": "权重", "khmer": "ទម្ងន់", "emoji": "⚖️👩‍🔬", "astral": "𓂀𝕨",
    "combining": "e\u0301\u0323", "cherokee": "ᎠᎾ", "mongolian": "ᠵᠢᠩ", "tibetan": "ལྗིད",
}  # fmt: skip


@pytest.fixture
def in_every_script(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint whose names are in every script."""
    values = {f"{text}.weight": numpy.full(3, i, numpy.float32) for i, text in enumerate(SCRIPTS.values())}
    return save(tmp_path / "モデル.pt", {name: tensor(value) for name, value in values.items()}), values


LOCALES = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX, coerced": {"LC_ALL": "POSIX"},
    "latin-1 output": {"PYTHONIOENCODING": "latin-1"},
    "UTF-8": {"LC_ALL": "C.UTF-8"},
}
EVERY_COMMAND = [
    ["export", "{0}.pt"],
    ["export", "{0}.pt", "-o", "{0}.kept.wts", "--sidecar", "--verify"],
    ["export", "{0}.pt", "--json"],
    ["export", "{0}.pt", "-n"],
    ["inspect", "{0}.pt", "--stats", "--check"],
    ["inspect", "{0}.pt", "--json"],
    ["inspect", "{0}.pt", "--html", "{0}.html"],
    ["inspect", "{0}.kept.wts"],
    ["scan", "{0}.pt"],
    ["scan", "{0}.pt", "--json"],
    ["scan", "{0}.pt", "--sarif"],
    ["verify", "{0}.kept.wts"],
    ["verify", "{0}.wts", "{0}.pt", "--json"],
    ["diff", "{0}.wts", "{0}.pt"],
    ["convert", "{0}.kept.wts", "{0}.npz"],
    ["convert", "{0}.kept.wts", "{0}.safetensors"],
    ["convert", "{0}.kept.wts", "{0}.again.pt"],
    ["convert", "{0}.safetensors", "{0}.again.wts"],
    ["diff", "{0}.again.wts", "{0}.again.pt"],
    ["batch", "{0}.pt", "-o", "{0}.out/"],
]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("stem", ["権重", b"\xff\xfe-no-text"], ids=["in another script", "not UTF-8"])
def test_every_command_in_any_locale(
    stem: str | bytes, locale: str, in_every_script: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Names in every script, under a path in another one or in none, where the locale knows of none of them."""
    source, values = in_every_script
    folder = tmp_path / "there"
    folder.mkdir()
    name = os.fsencode(stem)
    source.rename(folder / f"{os.fsdecode(name)}.pt")
    for line in EVERY_COMMAND:
        arguments = [part.encode().replace(b"{0}", name) for part in line]
        found = subprocess.run(
            [*command(), *arguments], cwd=folder, env=environment(**LOCALES[locale]), capture_output=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert found.returncode == 0, (line, found.stderr)
        assert b"Traceback" not in found.stderr, (line, found.stderr)
    text = reference_wts(values)
    for ending in (b".wts", b".kept.wts", b".again.wts", b".out/" + name + b".wts"):
        with open(os.fsencode(folder) + b"/" + name + ending, "rb") as file:
            assert file.read() == text, ending
    assert not [name for name in names(folder) if name.endswith("pywts-part")]
