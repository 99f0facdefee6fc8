"""All or nothing: what is at the destination afterwards, whatever happened on the way."""

from __future__ import annotations

import errno
import gzip
import io
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, save, tensor
from midway import hold, large_source
from processes import TIMEOUT, environment, python, run, start
from reference import reference_wts

import pywts
from pywts.checkpoint.files import SourceFile
from pywts.destination import looks_like_wts

NAMED = {"a.weight": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "a.bias": numpy.ones(3, numpy.float16)}
TEXT = reference_wts(NAMED)
OLD = b"1\nold 1  3f800000\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint in a folder of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    return save(folder / "best.pt", {name: tensor(value) for name, value in NAMED.items()})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def no_nameless_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no nameless files."""
    real_open = os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real_open(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuse)


WITHOUT_NAMELESS_FILES = """
import errno, os
real_open = os.open
def refuse(path, flags, *more, **named):
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return real_open(path, flags, *more, **named)
os.open = refuse
"""

KINDS = {"nameless": "", "named": WITHOUT_NAMELESS_FILES}
"""Both ways to write aside; the second where the file system lacks the first."""


@pytest.fixture(params=["nameless", "named"])
def both_ways(request: pytest.FixtureRequest) -> None:
    """Run a test with nameless files, and without."""
    if request.param == "named":
        request.getfixturevalue("no_nameless_files")


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(os.listdir(folder))


# --------------------------------------------------------------------------------------------------------- the place


def test_default_output_lies_beside_the_source(source: Path) -> None:
    exported = pywts.export(source)
    assert exported.path == str(source.with_suffix(".wts"))
    assert source.with_suffix(".wts").read_bytes() == TEXT


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.pth.tar", "a.pth.wts"),
        ("a.pt", "a.wts"),
        ("a", "a.wts"),
        ("a.b.c", "a.b.wts"),
        (".hidden", ".hidden.wts"),
        ("with space.pt", "with space.wts"),
        ("模型.pt", "模型.wts"),
        ("-rf.pt", "-rf.wts"),
    ],
)
def test_output_is_named_as_splitext_does(name: str, output: str, out: Path) -> None:
    path = save(out / name, {"a": tensor(NAMED["a.bias"])})
    assert pywts.export(path).path == str(out / output)
    assert names(out) == sorted([name, output])


def test_folder_gets_the_name_of_the_source(source: Path, out: Path) -> None:
    for folder in (out, f"{out}/", os.fsencode(out)):
        assert pywts.export(source, folder).path == os.path.join(os.fsdecode(folder), "best.wts")
        assert (out / "best.wts").read_bytes() == TEXT
        os.remove(out / "best.wts")
    (out.parent / "link").symlink_to(out)
    pywts.export(source, out.parent / "link")
    assert (out / "best.wts").read_bytes() == TEXT


def test_folder_that_is_not_there_is_named(source: Path, out: Path) -> None:
    with pytest.raises(pywts.OutputError, match="no such folder; make it first"):
        pywts.export(source, f"{out}/new/")
    with pytest.raises(pywts.OutputError, match=rf"there is no folder {out}/new; make it first"):
        pywts.export(source, out / "new" / "a.wts")
    with pytest.raises(pywts.OutputError, match="cannot be written: Not a directory"):
        pywts.export(source, source / "a.wts")
    assert names(out) == []


def test_live_object_needs_an_output(out: Path) -> None:
    with pytest.raises(pywts.OptionError, match="name the output"):
        pywts.export(NAMED)
    with pytest.raises(pywts.OutputError, match="the source has no name of its own: name the file"):
        pywts.export(NAMED, out)
    with pytest.raises(pywts.OptionError, match="empty path"):
        pywts.export(NAMED, "")


def test_relative_path_is_taken_from_the_current_folder(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    assert pywts.export(source, "a.wts").path == "a.wts"
    assert names(out) == ["a.wts"]
    monkeypatch.chdir(source.parent)
    assert pywts.export("best.pt").path == "best.wts"


@pytest.mark.parametrize("length", [199, 200, 201, 251])
@pytest.mark.usefixtures("both_ways")
def test_longest_file_names(length: int, out: Path) -> None:
    for letter in ("a", "é", "模"):
        name = letter * (length // len(letter.encode())) + ".wts"
        pywts.export(NAMED, out / name)
        assert (out / name).read_bytes() == TEXT
        assert names(out) == [name]
        os.remove(out / name)


def test_names_that_share_their_start_do_not_share_their_part(out: Path) -> None:
    """While one is being named, another of the same first 200 characters is written whole."""
    first, second = out / ("a" * 220 + "1.wts"), out / ("a" * 220 + "2.wts")
    other = {"b": numpy.zeros(2, numpy.float32)}
    real_link = os.link

    def interleaved(*arguments: Any, **named: Any) -> None:
        real_link(*arguments, **named)
        os.link = real_link
        pywts.export(other, second)

    os.link = interleaved
    try:
        pywts.export(NAMED, first)
    finally:
        os.link = real_link
    assert (first.read_bytes(), second.read_bytes()) == (TEXT, reference_wts(other))
    assert len(names(out)) == 2


# --------------------------------------------------------------------------------------------------- what is replaced


@pytest.mark.usefixtures("both_ways")
def test_existing_wts_is_replaced(source: Path, out: Path) -> None:
    target = out / "m.wts"
    for old in (
        OLD,
        b"",
        b"0\n",
        TEXT,
        b"\n\n2\nx 1  3f800000\n",
        b"1\r\nx 1  3F800000\r\n",
        b"1\nx 0 2 3f800000 0 \n",
    ):
        target.write_bytes(old)
        pywts.export(source, target)
        assert target.read_bytes() == TEXT
    assert names(out) == ["m.wts"]


@pytest.mark.parametrize(
    "content",
    [
        b"notes",
        b"PK\x03\x04 a checkpoint",
        b"\x00\x01",
        b"42",
        b"3\nhello\n",
        b"2024\nmy notes\n",
        b"<html>",
        b"\x80\x02}.",
        b" ",
    ],
)
def test_file_that_is_no_wts_is_kept_unless_forced(content: bytes, source: Path, out: Path) -> None:
    target = out / "m.wts"
    target.write_bytes(content)
    with pytest.raises(pywts.OutputError, match=r"m\.wts: exists and is no \.wts; .*--force"):
        pywts.export(source, target)
    assert target.read_bytes() == content
    pywts.export(source, target, force=True)
    assert target.read_bytes() == TEXT
    assert names(out) == ["m.wts"]


def test_wts_is_known_by_its_first_bytes() -> None:
    assert looks_like_wts(TEXT[:4096])
    assert looks_like_wts(b"1\n" + b"n" * 5000)
    assert looks_like_wts(b"1\r\n\r\n\nx  1   3f800000\n")
    assert not looks_like_wts(b"1\n" + b"n" * 500)
    assert not looks_like_wts(b"123456789012345678901\nx 1  3f800000\n")


@pytest.mark.usefixtures("both_ways")
def test_no_overwrite_keeps_any_existing_file(source: Path, out: Path) -> None:
    target = out / "m.wts"
    pywts.export(source, target, overwrite=False)
    assert target.read_bytes() == TEXT
    target.write_bytes(OLD)
    for force in (False, True):
        with pytest.raises(pywts.OutputError, match=r"m\.wts: exists, and overwriting was not allowed"):
            pywts.export(source, target, overwrite=False, force=force)
    assert target.read_bytes() == OLD
    assert names(out) == ["m.wts"]


@pytest.mark.usefixtures("both_ways")
def test_no_overwrite_keeps_a_file_that_came_while_it_was_written(out: Path) -> None:
    target = out / "m.wts"
    with pytest.raises(pywts.OutputError, match="exists, and overwriting was not allowed"):
        pywts.export(NAMED, target, overwrite=False, progress=lambda *_: target.write_bytes(b"someone else's"))
    assert target.read_bytes() == b"someone else's"
    assert names(out) == ["m.wts"]


def test_source_is_never_the_output(source: Path, out: Path) -> None:
    """Not by its path, nor through a symbolic or hard link, nor with force."""
    before = source.read_bytes()
    (out / "symbolic.wts").symlink_to(source)
    os.link(source, out / "hard.wts")
    (out.parent / "folder").symlink_to(out)
    detour = source.parent / ".." / "in" / "best.pt"
    for output in (source, out / "symbolic.wts", out / "hard.wts", out.parent / "folder" / "hard.wts", detour):
        for force in (False, True):
            with pytest.raises(pywts.OutputError, match="is the source itself; give another output"):
                pywts.export(source, output, force=force)
    with pytest.raises(pywts.OutputError, match="is the source itself"):
        pywts.export(out / "symbolic.wts", force=True)
    assert source.read_bytes() == before
    assert names(out) == ["hard.wts", "symbolic.wts"]


def test_source_that_is_open_as_the_output_is_refused(source: Path) -> None:
    before = source.read_bytes()
    with source.open("ab") as itself:
        found = run("export", source, "-o", "-", stdout=itself, stderr=subprocess.PIPE, capture_output=False)
    assert found.returncode == 1
    assert "is the source itself" in found.stderr
    assert source.read_bytes() == before


@pytest.mark.usefixtures("both_ways")
def test_symbolic_link_is_followed(source: Path, out: Path) -> None:
    elsewhere = out.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.wts").write_bytes(OLD)
    for link, real in (("existing.wts", "real.wts"), ("dangling.wts", "new.wts")):
        (out / link).symlink_to(f"../elsewhere/{real}")
        pywts.export(source, out / link)
        assert (out / link).is_symlink()
        assert (elsewhere / real).read_bytes() == TEXT
    assert names(out) == ["dangling.wts", "existing.wts"]
    assert names(elsewhere) == ["new.wts", "real.wts"]


def test_endless_symbolic_link_is_an_error(source: Path, out: Path) -> None:
    (out / "loop.wts").symlink_to("loop.wts")
    with pytest.raises(pywts.OutputError, match="Too many levels of symbolic links"):
        pywts.export(source, out / "loop.wts")


def test_hard_link_to_an_old_wts_keeps_the_old_one(source: Path, out: Path) -> None:
    (out / "m.wts").write_bytes(OLD)
    os.link(out / "m.wts", out / "kept.wts")
    pywts.export(source, out / "m.wts")
    assert (out / "m.wts").read_bytes() == TEXT
    assert (out / "kept.wts").read_bytes() == OLD


# ---------------------------------------------------------------------------------------------------------- the mode


@pytest.mark.usefixtures("both_ways")
def test_umask_decides_the_mode_of_a_new_file(source: Path, out: Path, umask: int) -> None:
    pywts.export(source, out / "m.wts")
    assert stat.S_IMODE((out / "m.wts").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
@pytest.mark.usefixtures("both_ways")
def test_mode_of_an_existing_file_is_kept(mode: int, source: Path, out: Path, umask: int) -> None:
    del umask
    (out / "m.wts").write_bytes(OLD)
    (out / "m.wts").chmod(mode)
    pywts.export(source, out / "m.wts")
    assert (out / "m.wts").read_bytes() == TEXT
    assert stat.S_IMODE((out / "m.wts").stat().st_mode) == mode


PROTECTED = """
import os, shutil, sys, tempfile, numpy, pywts
folder = tempfile.mkdtemp()
os.chmod(folder, 0o777)
named = {"x": numpy.zeros(3, "f4")}
target, new = f"{folder}/m.wts", f"{folder}/new.wts"
pywts.export(named, target)  # imports everything while it can be read
if os.geteuid() == 0:  # root may write everywhere
    os.chown(folder, 65534, 65534)
    os.chown(target, 65534, 65534)
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
def content(path):
    with open(path, "rb") as file: return file.read()
old = content(target)
for path, closed, mode in ((target, target, 0o444), (target, target, 0o222), (new, folder, 0o555)):
    os.chmod(closed, mode)
    try:
        print(pywts.export({"x": numpy.ones(3, "f4")}, path))
    except pywts.OutputError as error:
        print(str(error).replace(folder, ""))
    os.chmod(closed, 0o777)
    assert content(target) == old and os.listdir(folder) == ["m.wts"]
shutil.rmtree(folder, ignore_errors=True)  # its own folder may be root's
"""


def test_protected_places_are_refused() -> None:
    found = python(PROTECTED)
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "/m.wts: is write-protected; change its mode, or give another output with -o",
        "/m.wts: exists and cannot be read: Permission denied; force=True overwrites it",
        "/new.wts: cannot be written: Permission denied: change the folder's mode, or give another output with -o; "
        "the old state was kept",
    ]


# ------------------------------------------------------------------------------------------------- what is no file


def test_dev_null_stays_a_device(source: Path) -> None:
    before = os.stat("/dev/null")
    assert pywts.export(source, "/dev/null").path == "/dev/null"
    pywts.export(source, "/dev/null", overwrite=False)
    after = os.stat("/dev/null")
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_rdev, before.st_mode) == (after.st_ino, after.st_rdev, after.st_mode)


def test_full_device_is_named(source: Path) -> None:
    with pytest.raises(pywts.OutputError, match=r"^/dev/full: cannot be written: No space left on device: make room "):
        pywts.export(source, "/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_fifo_is_written_and_stays(source: Path, out: Path) -> None:
    fifo = out / "pipe.wts"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    pywts.export(source, fifo)
    reader.join(TIMEOUT)
    assert received == [TEXT]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names(out) == ["pipe.wts"]


def test_symbolic_link_to_a_fifo_is_written_through(source: Path, out: Path) -> None:
    os.mkfifo(out / "pipe")
    (out / "m.wts").symlink_to("pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((out / "pipe").read_bytes()))
    reader.start()
    pywts.export(source, out / "m.wts")
    reader.join(TIMEOUT)
    assert received == [TEXT]
    assert names(out) == ["m.wts", "pipe"]


def test_large_output_through_a_fifo_is_whole(out: Path, seed: int) -> None:
    """Larger than a pipe and than the writer's blocks, with its second thread."""
    values = numpy.random.default_rng(seed).standard_normal(1_000_000).astype(numpy.float32)
    fifo = out / "pipe"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    pywts.export({"x": values}, fifo)
    reader.join(TIMEOUT)
    assert received == [b"1\nx 1000000  " + values.astype(">f4").tobytes().hex(" ", 4).encode() + b"\n"]


def test_reader_that_goes_away_is_an_error(out: Path) -> None:
    fifo = out / "pipe"
    os.mkfifo(fifo)

    def read_a_little() -> None:
        with fifo.open("rb", buffering=0) as file:
            file.read(100)

    reader = threading.Thread(target=read_a_little)
    reader.start()
    with pytest.raises(pywts.OutputError, match="pipe: cannot be written: Broken pipe"):
        pywts.export({"x": numpy.zeros(1_000_000, numpy.float32)}, fifo)
    reader.join(TIMEOUT)


def test_standard_output(source: Path) -> None:
    found = run("export", source, "-o", "-", text=False)
    assert found.returncode == 0
    assert found.stdout == TEXT
    assert b"standard output: 2 tensors" in found.stderr


def test_standard_output_goes_on_where_it_stands(source: Path, out: Path) -> None:
    """A shell's ``>>``, or one redirection of several commands: a file opened again is written from its start."""
    for flags in (os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_APPEND):
        descriptor = os.open(out / "all", flags)
        os.write(descriptor, b"before\n")
        assert run("export", source, "-o", "-", "-q", stdout=descriptor, capture_output=False).returncode == 0
        os.write(descriptor, b"after\n")
        os.close(descriptor)
        assert (out / "all").read_bytes() == b"before\n" + TEXT + b"after\n"
        os.remove(out / "all")


def test_standard_output_may_be_a_socket(source: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert run("export", source, "-o", "-", "-q", stdout=theirs, capture_output=False).returncode == 0
        theirs.close()
        assert ours.makefile("rb").read() == TEXT


@pytest.mark.parametrize("spelled", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_descriptor_of_the_caller(spelled: str, source: Path, out: Path) -> None:
    with (out / "all").open("wb", buffering=0) as file:
        file.write(b"before\n")
        assert pywts.export(source, spelled.format(file.fileno())).tensors == 2
        file.write(b"after\n")
    assert (out / "all").read_bytes() == b"before\n" + TEXT + b"after\n"


@pytest.mark.parametrize("number", ["1234567", str(1 << 40), "1" * 5000])
def test_descriptor_that_nobody_has(number: str, source: Path) -> None:
    for folder in ("/dev/fd", "/proc/self/fd"):
        with pytest.raises(pywts.OutputError, match=f"{number[:40]}.*: "):
            pywts.export(source, f"{folder}/{number}")


# ------------------------------------------------------------------------------------------------------------ streams


def test_stream_gets_the_same_bytes(source: Path, out: Path) -> None:
    stream = io.BytesIO()
    exported = pywts.export(source, stream)
    assert stream.getvalue() == TEXT
    assert exported.path is None
    assert exported.bytes == len(TEXT)
    with (out / "raw").open("wb", buffering=0) as raw:
        pywts.export(source, raw)
    assert (out / "raw").read_bytes() == TEXT
    with gzip.open(out / "m.wts.gz", "wb") as packed:
        pywts.export(source, packed)
    assert gzip.decompress((out / "m.wts.gz").read_bytes()) == TEXT


class Sipping:
    """A stream that takes little at a time."""

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self.answer = answer
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> Any:
        count = self.answer(data)
        self.taken.append(data[:count] if isinstance(count, int) else data)
        return count


def test_stream_may_take_less_than_it_is_given() -> None:
    for answer in (lambda data: min(7, len(data)), lambda _: None, len):
        stream = Sipping(answer)
        pywts.export(NAMED, stream)
        assert b"".join(stream.taken) == TEXT


@pytest.mark.parametrize("count", [0, 10**9])
def test_stream_that_answers_nonsense_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="impossible count"):
        pywts.export(NAMED, Sipping(lambda _: count))


def test_error_of_a_stream_reaches_the_caller() -> None:
    def fail(_: bytes) -> int:
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        pywts.export(NAMED, Sipping(fail))


# ----------------------------------------------------------------------------------------------------------- failures


FAILURES: dict[str, tuple[Any, type[Exception]]] = {
    "an overflow in the last tensor": ({**NAMED, "z": numpy.array([1e300])}, pywts.TensorError),
    "a name": ({**NAMED, "z z": numpy.zeros(1)}, pywts.TensorError),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.usefixtures("both_ways")
def test_failure_keeps_the_old_file_and_leaves_nothing(failure: str, out: Path) -> None:
    named, error = FAILURES[failure]
    with pytest.raises(error):
        pywts.export(named, out / "new.wts")
    assert names(out) == []
    (out / "m.wts").write_bytes(OLD)
    with pytest.raises(error):
        pywts.export(named, out / "m.wts")
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == OLD


@pytest.mark.parametrize(
    "error",
    [RuntimeError("no"), KeyboardInterrupt(), SystemExit(3), BrokenPipeError(32, "no"), FileExistsError(17, "no")],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.usefixtures("both_ways")
def test_progress_that_raises_stops_the_export(error: BaseException, out: Path) -> None:
    def progress(*_: int) -> None:
        raise error

    (out / "m.wts").write_bytes(OLD)
    with pytest.raises(type(error)) as raised:
        pywts.export(NAMED, out / "m.wts", progress=progress)
    assert raised.value is error
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == OLD


@pytest.mark.usefixtures("both_ways")
def test_folder_that_comes_in_the_way_is_an_error(out: Path) -> None:
    target = out / "m.wts"
    with pytest.raises(pywts.OutputError, match=r"m\.wts: cannot be written: Is a directory"):
        pywts.export(NAMED, target, progress=lambda *_: target.mkdir(exist_ok=True))
    assert names(out) == ["m.wts"]
    assert names(target) == []


LIMITED = """
import resource, sys, pywts, numpy
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    pywts.export({"x": numpy.zeros(int(sys.argv[2]), "f4")}, sys.argv[1])
except pywts.OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("values", [20_000, 2_000_000], ids=["found when writing", "found when reserving"])
@pytest.mark.parametrize("kind", KINDS)
def test_file_system_without_room_is_an_error_that_names_the_file(kind: str, values: int, out: Path) -> None:
    (out / "m.wts").write_bytes(OLD)
    found = python(KINDS[kind] + LIMITED, out / "m.wts", str(values))
    assert found.stderr == ""
    assert found.stdout.startswith(f"{out}/m.wts: cannot be written: File too large: raise the limit (ulimit -f)")
    assert found.stdout.endswith("; the old state was kept\n")
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == OLD


@pytest.mark.usefixtures("both_ways")
def test_no_descriptor_is_left_open(source: Path, out: Path) -> None:
    def attempt(*arguments: Any, **options: Any) -> None:
        try:
            pywts.export(*arguments, **options)
        except pywts.Error:
            pass

    def everything() -> None:
        attempt(source, out / "m.wts")
        attempt(source, out / "m.wts", durable=True)
        attempt(source, out / "m.wts", overwrite=False)
        attempt(source, "/dev/null")
        attempt(source, "/dev/full")
        attempt(source, source)
        attempt({"z": numpy.array([1e300])}, out / "m.wts")
        attempt(source, io.BytesIO())
        attempt(source, key="nothing")
        attempt(out, out / "m.wts")
        pywts.plan(source)

    everything()
    before = os.listdir("/proc/self/fd")
    everything()
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.usefixtures("both_ways")
def test_durable_writes_the_same(source: Path, out: Path) -> None:
    pywts.export(source, out / "m.wts", durable=True)
    assert (out / "m.wts").read_bytes() == TEXT
    assert names(out) == ["m.wts"]


def test_durable_writes_the_same_where_the_disk_is_begun_with_early(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"x": tensor(numpy.arange(3_000_000, dtype=numpy.float32))})
    pywts.export(path, tmp_path / "a.wts")
    pywts.export(path, tmp_path / "b.wts", durable=True)
    assert (tmp_path / "a.wts").read_bytes() == (tmp_path / "b.wts").read_bytes()


# ---------------------------------------------------------------------------------------- a source that changes


def test_source_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """Not a signal, and not a file with zeros: the stream cuts the source when the first block arrives."""
    data = numpy.arange(4_000_000, dtype=numpy.float32)
    path = save(tmp_path / "m.pt", {"first": tensor(data[:1000]), "second": tensor(data)})
    size = path.stat().st_size

    class Cutting(io.BytesIO):
        def write(self, data: Any) -> int:
            os.truncate(path, size // 2)
            return super().write(data)

    with pytest.raises(pywts.CheckpointError, match=r"m\.pt: ends at byte \d+, within second; it was cut while it was"):
        pywts.export(path, Cutting())


@pytest.mark.usefixtures("both_ways")
def test_source_that_is_cut_keeps_the_old_destination(out: Path, tmp_path: Path) -> None:
    data = numpy.arange(3_000_000, dtype=numpy.float32)
    path = save(tmp_path / "m.pt", {"first": tensor(data[:1000]), "second": tensor(data)})
    (out / "m.wts").write_bytes(OLD)
    real_fchmod = os.fchmod

    def cut(descriptor: int, mode: int) -> None:  # after the checks, before the first byte
        real_fchmod(descriptor, mode)
        os.truncate(path, 1_000_000)

    os.fchmod = cut
    try:
        with pytest.raises(pywts.CheckpointError, match="within second"):
            pywts.export(path, out / "m.wts")
    finally:
        os.fchmod = real_fchmod
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == OLD


def test_source_that_is_cut_before_its_pickle_is_read_is_an_error(source: Path) -> None:
    with SourceFile(source) as file:
        os.truncate(source, 100)
        with pytest.raises(pywts.CheckpointError, match=r"best\.pt: ends at byte 100, 20 bytes before it should"):
            file.read(80, 40)


# -------------------------------------------------------------------------------------------------------- signals


@pytest.fixture
def held(tmp_path: Path, out: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts an export into ``out/m.wts`` and holds it in mid-write."""
    source = large_source(tmp_path / "large.pt")
    processes: list[subprocess.Popen[bytes]] = []

    def begin(prelude: str) -> subprocess.Popen[bytes]:
        for _ in range(20):
            if prelude:
                script = f"{prelude}\nimport sys\nfrom pywts.cli import main\nsys.exit(main())"
                process = subprocess.Popen(
                    [sys.executable, "-c", script, "export", str(source), "-o", str(out / "m.wts")],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment(),
                    cwd=tmp_path,
                )
            else:
                process = start("export", source, "-o", out / "m.wts")
            processes.append(process)
            if hold(process, out):
                return process
            (out / "m.wts").write_bytes(OLD)
        pytest.fail("no export could be caught in mid-write")

    (out / "m.wts").write_bytes(OLD)
    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_signal_in_mid_write_leaves_the_old_file(
    number: signal.Signals, code: int, kind: str, held: Callable[[str], subprocess.Popen[bytes]], out: Path
) -> None:
    process = held(KINDS[kind])
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code, stderr
    assert b"Traceback" not in stderr
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == OLD


@pytest.mark.parametrize("kind", KINDS)
def test_kill_in_mid_write_leaves_the_old_file_and_the_next_run_leaves_no_part(
    kind: str, held: Callable[[str], subprocess.Popen[bytes]], out: Path, source: Path
) -> None:
    process = held(KINDS[kind])
    process.kill()
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGKILL
    assert (out / "m.wts").read_bytes() == OLD
    if kind == "nameless":
        assert names(out) == ["m.wts"]
    assert python(KINDS[kind] + "import sys, pywts; pywts.export(*sys.argv[1:])", source, out / "m.wts").returncode == 0
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == TEXT


def test_kill_between_naming_and_renaming_leaves_no_part_after_the_next_run(source: Path, out: Path) -> None:
    (out / "m.wts").write_bytes(OLD)
    script = (
        "import os, signal, sys, pywts\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "pywts.export(*sys.argv[1:])"
    )
    assert python(script, source, out / "m.wts").returncode == -signal.SIGKILL
    assert (out / "m.wts").read_bytes() == OLD
    assert len(names(out)) == 2
    pywts.export(source, out / "m.wts")
    assert names(out) == ["m.wts"]
    assert (out / "m.wts").read_bytes() == TEXT


@pytest.mark.usefixtures("no_nameless_files")
def test_part_of_a_running_export_is_not_taken_for_abandoned(out: Path) -> None:
    """Where parts have names: a second export to the same place, in the middle of the first."""
    other = {"b": numpy.zeros(2, numpy.float32)}
    seen: list[list[str]] = []

    def meanwhile(*_: int) -> None:
        if not seen:
            seen.append(names(out))
            thread = threading.Thread(target=pywts.export, args=(other, out / "m.wts"))
            thread.start()
            thread.join(TIMEOUT)
            seen.append(names(out))

    pywts.export(NAMED, out / "m.wts", progress=meanwhile)
    assert len(seen[0]) == 1
    assert seen[1] == sorted([*seen[0], "m.wts"])
    assert (out / "m.wts").read_bytes() == TEXT
    assert names(out) == ["m.wts"]


def test_interrupt_while_nobody_reads_the_pipe(out: Path, tmp_path: Path) -> None:
    """The writer waits for a reader that never comes back; without its pulse it would wait forever."""
    source = large_source(tmp_path / "large.pt")
    fifo = out / "pipe"
    os.mkfifo(fifo)
    process = start("export", source, "-o", fifo)
    reader = os.open(fifo, os.O_RDONLY)
    try:
        os.read(reader, 10)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=TIMEOUT)
    finally:
        os.close(reader)
    assert process.returncode == 130
    assert b"interrupted" in stderr
    assert names(out) == ["pipe"]


def test_interrupt_before_the_pipe_has_a_reader(out: Path, source: Path) -> None:
    fifo = out / "pipe"
    os.mkfifo(fifo)
    script = (
        "import os, signal, sys\nfrom pywts.cli import main\n"
        "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))\n"
        "def wait(event, arguments):\n"
        "    if event == 'open' and arguments[0] == sys.argv[-1]: signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
        "sys.addaudithook(wait)\n"
        "sys.exit(main(['export', *sys.argv[1:]]))"
    )
    found = python(script, source, "-o", fifo)
    assert found.returncode == 130, found.stderr


# ------------------------------------------------------------------------------------------------ several at once


@pytest.mark.parametrize("kind", KINDS)
def test_exports_to_one_destination_at_once_leave_one_whole_file(kind: str, out: Path) -> None:
    """Processes and threads, again and again; whichever is last wins, and nothing stays behind."""
    script = (
        f"{KINDS[kind]}\nimport sys, threading, numpy, pywts\n"
        "def work(seed):\n"
        "    values = {'x': numpy.full(3000 + seed, seed, 'f4')}\n"
        "    for _ in range(40): pywts.export(values, sys.argv[1])\n"
        "seed = int(sys.argv[2])\n"
        "threads = [threading.Thread(target=work, args=(seed + i,)) for i in range(2)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    )
    target = out / "m.wts"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(target), str(seed)],
            env=environment(),
            cwd=out,
            stderr=subprocess.PIPE,
        )
        for seed in (1, 3)
    ]
    whole = [reference_wts({"x": numpy.full(3000 + seed, seed, "f4")}) for seed in (1, 2, 3, 4)]
    while any(process.poll() is None for process in running):
        if target.exists():
            assert target.read_bytes() in whole
    for process in running:
        assert process.communicate()[1] == b""
    assert target.read_bytes() in whole
    assert names(out) == ["m.wts"]


def test_two_exports_of_one_source_at_once(source: Path, out: Path) -> None:
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(50):
                pywts.export(source, out / name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a.wts", "b.wts", "a.wts")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert errors == []
    assert (out / "a.wts").read_bytes() == (out / "b.wts").read_bytes() == TEXT
    assert names(out) == ["a.wts", "b.wts"]


def test_hole_in_a_source_is_zeros(out: Path) -> None:
    """The sources of the tests above are holes; what is written of one is not."""
    path = save(out / "m.pt", {"x": Tensor(Storage("float32", zeros=40), (10,), (1,))})
    pywts.export(path, out / "m.wts")
    assert (out / "m.wts").read_bytes() == reference_wts({"x": numpy.zeros(10, numpy.float32)})


@pytest.mark.parametrize("output", ["m.wts", "/dev/null"])
def test_full_temporary_folder_is_not_told_of_the_output(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deflated storage that is too large for memory goes through a temporary file."""

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stored = save(tmp_path / "stored.pt", {"x": tensor(numpy.ones(9, numpy.float32))})
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(stored) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    monkeypatch.setattr("pywts.checkpoint.zip._IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(pywts.Error, match=r"needs a temporary file.*: No space left on device; .*TMPDIR") as found:
        pywts.export(path, tmp_path / output)
    assert not isinstance(found.value, pywts.OutputError)
    assert not (tmp_path / "m.wts").exists()
