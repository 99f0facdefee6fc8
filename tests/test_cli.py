"""The command line: what it prints and where, and every exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import module, save, tensor
from midway import large_source
from processes import ELSEWHERE, TIMEOUT, command, drawn_on, environment, run, start
from reference import reference_wts

import pywts
from pywts import cli
from pywts.cli import COMMANDS, progress
from pywts.cli.progress import LateBar
from pywts.options import OPTIONS

EMA = {"w": numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "b": numpy.array(0.5, numpy.float16)}
MODEL = {name: value * 2 for name, value in EMA.items()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint with averaged and plain weights."""
    modules = {
        key: module(parameters={name: tensor(value) for name, value in named.items()})
        for key, named in (("ema", EMA), ("model", MODEL))
    }
    return save(tmp_path / "best.pt", {"epoch": 3, **modules})


# ------------------------------------------------------------------------------------------------------------- export


def test_export_says_what_it_did_and_what_is_next(source: Path) -> None:
    found = run("export", source)
    assert (found.returncode, found.stderr) == (0, "")
    first, second, third = found.stdout.splitlines()
    size = len(reference_wts(EMA))
    assert re.fullmatch(rf"{source.with_suffix('.wts')}: 2 tensors, 7 values, {size} bytes in \d+\.\d{{3}} s", first), (
        first
    )
    assert second == "weights: ema: averaged weights go before model; --key model takes those"
    assert third.startswith("next:    give best.wts to the program that builds the engine")
    assert source.with_suffix(".wts").read_bytes() == reference_wts(EMA)


def test_export_in_the_current_folder(source: Path) -> None:
    assert run("export", source.name, cwd=source.parent).stdout.startswith("best.wts: 2 tensors")


@pytest.mark.parametrize("flag", ["-w", "--weights"])
def test_weights_flag_stands_for_the_positional_argument(flag: str, source: Path, tmp_path: Path) -> None:
    """As every reference script is called: ``-w best.pt -o best.wts``."""
    found = run("export", flag, source, "-o", tmp_path / "m.wts")
    assert found.returncode == 0
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(EMA)


@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_output_flag(flag: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for output, written in (("new.wts", "new.wts"), ("folder", "folder/best.wts")):
        assert run("export", source, flag, tmp_path / output).returncode == 0
        assert (tmp_path / written).read_bytes() == reference_wts(EMA)


def test_key_and_dialect(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.wts"
    assert run("export", source, "-o", target, "--key", "model").stdout.splitlines()[1] == "weights: asked for by key"
    assert target.read_bytes() == reference_wts(MODEL)
    assert run("export", source, "-o", target, "--dialect", "single").returncode == 0
    assert target.read_bytes() == reference_wts(EMA, "single")


def test_quiet_prints_nothing(source: Path) -> None:
    for flag in ("-q", "--quiet"):
        found = run("export", source, flag)
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_warnings_go_to_standard_error_even_when_quiet(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"w": tensor(EMA["w"]), "epoch": 3})
    found = run("export", path, "-q")
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr == "pywts: warning: left out what is no tensor: epoch (int 3)\n"


def test_standard_output_holds_the_wts_alone(source: Path) -> None:
    found = run("export", source, "-o", "-")
    assert found.returncode == 0
    assert found.stdout == reference_wts(EMA).decode()
    assert found.stderr.startswith("standard output: 2 tensors")
    assert run("export", source, "-o", "-", "-q").stderr == ""


def test_standard_output_stays_clean_without_a_standard_error(source: Path) -> None:
    shell = '"$@" 2>&-; exit $?'
    found = subprocess.run(
        ["sh", "-c", shell, "sh", *command("export", source, "-o", "-")],
        stdout=subprocess.PIPE,
        env=environment(),
        cwd=ELSEWHERE,
        timeout=TIMEOUT,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, reference_wts(EMA))


def test_export_without_standard_output(source: Path) -> None:
    for output, code in (([], 0), (["-o", "-"], 1)):
        found = subprocess.run(
            ["sh", "-c", '"$@" >&-; exit $?', "sh", *command("export", source, *output)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ELSEWHERE,
            timeout=TIMEOUT,
            check=False,
        )
        assert found.returncode == code
        assert "Traceback" not in found.stderr
    assert found.stderr == "pywts: standard output is closed; give a file to -o\n"
    assert source.with_suffix(".wts").read_bytes() == reference_wts(EMA)


def test_reader_that_has_enough_ends_the_export(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"w": tensor(numpy.zeros(200_000, numpy.float32))})
    process = start("export", path, "-o", "-")
    assert process.stdout
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(TIMEOUT) == 1
    assert process.stderr
    message = process.stderr.read()
    process.stderr.close()
    assert message == b"pywts: /dev/stdout: cannot be written: Broken pipe: its reader went away\n"


def test_no_overwrite_and_force(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.wts"
    target.write_bytes(b"notes")
    refused = run("export", source, "-o", target)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"pywts: {target}: exists and is no .wts; give another output, or --force to overwrite it\n"
    )
    assert target.read_bytes() == b"notes"
    assert run("export", source, "-o", target, "--force").returncode == 0
    assert run("export", source, "-o", target).returncode == 0
    kept = run("export", source, "-o", target, "--no-overwrite", "--key", "model")
    assert (kept.returncode, kept.stderr) == (1, f"pywts: {target}: exists, and overwriting was not allowed\n")
    assert target.read_bytes() == reference_wts(EMA)


def test_durable(source: Path) -> None:
    assert run("export", source, "--durable").returncode == 0
    assert source.with_suffix(".wts").read_bytes() == reference_wts(EMA)


# --------------------------------------------------------------------------------------------------------------- JSON


def test_json_result(source: Path) -> None:
    found = run("export", source, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    result = json.loads(found.stdout)
    assert found.stdout.count("\n") == 1
    expected = {
        "path": str(source.with_suffix(".wts")),
        "source": str(source),
        "tensors": 2,
        "values": 7,
        "bytes": len(reference_wts(EMA)),
        "weights": "ema",
        "why": "ema: averaged weights go before model; --key model takes those",
        "recipe": "none",
        "dialect": "double",
        "notes": [],
        "warnings": [],
    }
    assert {name: result[name] for name in expected} == expected
    assert result["seconds"] >= 0
    assert "best.wts" in result["next_step"]


def test_json_warnings_are_in_the_result(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"w": tensor(EMA["w"]), "epoch": 3})
    found = run("export", path, "--json")
    assert found.stderr == ""
    assert json.loads(found.stdout)["warnings"] == ["left out what is no tensor: epoch (int 3)"]


@pytest.mark.parametrize(
    ("arguments", "kind", "code"),
    [
        (["missing.pt"], "CheckpointError", 1),
        (["best.pt", "--key", "nothing"], "SelectionError", 1),
        (["best.pt", "-o", "best.pt"], "OutputError", 1),
        (["best.pt", "-o", ""], "OptionError", 2),
        (["best.pt", "--recipe", "nothing"], "OptionError", 2),
        (["bad.pt"], "TensorError", 1),
    ],
)
def test_exit_code_and_message_are_the_same_with_json(arguments: list[str], kind: str, code: int, source: Path) -> None:
    save(source.parent / "bad.pt", {"a b": tensor(EMA["w"])})
    plain = run("export", *arguments, cwd=source.parent)
    assert (plain.returncode, plain.stdout) == (code, "")
    assert plain.stderr.startswith("pywts: ")
    found = run("export", *arguments, "--json", cwd=source.parent)
    assert (found.returncode, found.stderr) == (code, "")
    assert json.loads(found.stdout) == {"error": {"kind": kind, "message": plain.stderr[len("pywts: ") : -1]}}
    assert issubclass(getattr(pywts, kind), pywts.Error)


def test_json_to_standard_output_is_refused_where_the_wts_goes(source: Path) -> None:
    found = run("export", source, "-o", "-", "--json")
    assert (found.returncode, found.stdout) == (2, "")
    assert "give a file to -o" in found.stderr


# ------------------------------------------------------------------------------------------------------------ dry run


@pytest.mark.parametrize("flag", ["-n", "--dry-run"])
def test_dry_run_shows_the_plan_and_writes_nothing(flag: str, source: Path) -> None:
    before = sorted(source.parent.iterdir())
    found = run("export", source, flag)
    assert (found.returncode, found.stderr) == (0, "")
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0] == ["name", "shape", "dtype", "bytes"]
    assert lines[1] == ["w", "2x3", "float32", str(len("w 6  ") + 9 * 6)]
    assert lines[2] == ["b", "scalar", "float16", str(len("b 1  ") + 9)]
    assert found.stdout.splitlines()[3] == f"2 tensors, 7 values, {len(reference_wts(EMA))} bytes; nothing was written"
    assert found.stdout.splitlines()[4].startswith("weights: ema: ")
    assert sorted(source.parent.iterdir()) == before


def test_dry_run_as_json(source: Path) -> None:
    found = run("export", source, "--dry-run", "--json", "--key", "model")
    planned = json.loads(found.stdout)
    assert planned["bytes"] == len(reference_wts(MODEL))
    assert planned["weights"] == "model"
    assert planned["tensors"] == [
        {"name": "w", "shape": [2, 3], "dtype": "float32", "values": 6, "bytes": 59},
        {"name": "b", "shape": [], "dtype": "float16", "values": 1, "bytes": 14},
    ]
    assert run("export", source, "--dry-run", "--quiet").stdout == ""


def test_dry_run_refuses_what_the_export_would(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"a b": tensor(EMA["w"])})
    planned, exported = run("export", path, "--dry-run"), run("export", path)
    assert planned.returncode == exported.returncode == 1
    assert planned.stderr == exported.stderr


# -------------------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exprot"], "pywts: no command 'exprot'; did you mean export?"),
        (["kernel"], "pywts: no command 'kernel'; did you mean kernels?"),
        (["best.pt"], "pywts: no command 'best.pt'; to export it: pywts export best.pt"),
        (["--weights"], "pywts: no command '--weights'"),
        (["xyz"], "pywts: no command 'xyz'"),
        (["\x1b[31m"], "x1b[31m'"),
        (["export"], "name a checkpoint: pywts export best.pt"),
        (["export", "a.pt", "b.pt"], "takes one checkpoint, 2 were given; for several use: pywts batch"),
        (["export", "a.pt", "b.pt", "c.pt"], "takes one checkpoint, 3 were given; for several use: pywts batch"),
        (["export", "a.pt", "-w", "b.pt"], "takes one checkpoint, 2 were given; for several use: pywts batch"),
        (["export", "a.pt", "--dialect", "typed"], "--dialect"),
        (["export", "a.pt", "--overwrite"], "unrecognized arguments: --overwrite"),
        (["export", "a.pt", "--dry"], "unrecognized arguments: --dry"),
        (["export", "-o"], "expected one argument"),
        (["kernels", "all"], "unrecognized arguments: all"),
        (["recipes", "all"], "unrecognized arguments: all"),
    ],
    ids=str,
)
def test_usage_errors_exit_with_2(arguments: list[str], message: str) -> None:
    found = run(*arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("usage: pywts")
    assert message in found.stderr.splitlines()[-1]
    assert "\x1b" not in found.stderr


def test_no_command_shows_help_and_exits_with_2() -> None:
    found = run()
    assert found.returncode == 2
    assert "commands:" in found.stdout


@pytest.mark.parametrize("flag", ["-h", "--help", "help"])
def test_help_lists_the_commands(flag: str) -> None:
    found = run(flag)
    assert (found.returncode, found.stderr) == (0, "")
    for name in ("export", "kernels", "recipes"):
        assert re.search(rf"^  {name} ", found.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", ["export", "kernels", "recipes"])
def test_help_of_a_command(name: str) -> None:
    for flag in ("-h", "--help"):
        found = run(name, flag)
        assert (found.returncode, found.stderr) == (0, "")
        assert found.stdout.startswith(f"usage: pywts {name}")


def test_help_of_export_names_every_option() -> None:
    text = run("export", "--help", env=environment(COLUMNS="40")).stdout
    for option in OPTIONS:
        assert option.flag in text
    for flag in ("-w", "--weights", "-o", "--output", "-n", "--dry-run", "-q", "--quiet", "--json"):
        assert flag in text


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str) -> None:
    found = run(flag)
    assert (found.returncode, found.stdout) == (0, f"pywts {pywts.__version__}\n")


def test_kernels_lists_them_and_marks_the_one_in_use() -> None:
    found = run("kernels")
    assert found.returncode == 0
    listed = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    assert [name for name, _ in listed] == [kernel.name for kernel in pywts.kernels()]
    states = {True: "in use", False: "usable", None: "not on this processor"}
    assert [state for _, state in listed] == [
        states[kernel.active if kernel.supported else None] for kernel in pywts.kernels()
    ]


def test_installed_script_is_the_module() -> None:
    script = shutil.which("pywts", path=str(Path(sys.executable).parent)) or shutil.which("pywts")
    if script is None:
        pytest.skip("pywts is not installed as a script: pip install .")
    found = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert (found.returncode, found.stdout) == (0, f"pywts {pywts.__version__}\n")


# ------------------------------------------------------------------------------------------------------------- errors


def test_errors_name_file_tensor_position_and_way_out(tmp_path: Path) -> None:
    cases = {
        "missing.pt": (None, "missing.pt: no such file"),
        "name.pt": (
            {"fine": EMA["w"], "a b": EMA["w"]},
            "name.pt: the name of tensor 1, a b, has white space (' ') at position 1, where readers would cut it; "
            "rename it",
        ),
        "overflow.pt": (
            {"head.bias": numpy.array([0, 1, 1e39])},
            "overflow.pt: head.bias, value 2: is finite in float64 and overflows float32; clip it before it is saved",
        ),
        "nothing.pt": (
            {"epoch": 3},
            "nothing.pt: holds no weights; its keys are: epoch; "
            "save the model's state_dict in it, or name another file",
        ),
    }
    for name, (content, message) in cases.items():
        if content is not None:
            stored = {
                key: tensor(value) if isinstance(value, numpy.ndarray) else value for key, value in content.items()
            }
            save(tmp_path / name, stored)
        found = run("export", tmp_path / name)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr == f"pywts: {tmp_path}/{message}\n"
    folder = run("export", tmp_path)
    assert folder.returncode == 1
    assert folder.stderr == f"pywts: {tmp_path}: is a folder; name the checkpoint in it, or use `pywts batch`\n"


def test_source_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = run("export", tmp_path / "pipe")
    assert found.returncode == 1
    assert "is no regular file; save its content to a file first" in found.stderr


def test_names_with_escapes_are_printed_harmlessly(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred\n.pt"
    save(path, {"w": tensor(EMA["w"])})
    found = run("export", path)
    assert found.returncode == 0
    assert "\x1b" not in found.stdout
    assert r"\x1b[31mred\n.wts" in found.stdout
    missing = run("export", tmp_path / "\x1b[31m.pt")
    assert missing.returncode == 1
    assert missing.stderr == (
        f"pywts: {tmp_path}/\\x1b[31m.pt: no such file; did you mean {tmp_path}/\\x1b[31mred\\n.pt?\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ouput", "a.wts"], "unrecognized arguments: --ouput a.wts; did you mean --output?"),
        (["--side"], "unrecognized arguments: --side; did you mean --sidecar?"),
        (["--recipee=none"], "unrecognized arguments: --recipee=none; did you mean --recipe?"),
        (["--qqqqqq"], "unrecognized arguments: --qqqqqq"),
        (["-t", "detection"], "did you mean detect?"),
        (["--dialect", "single "], "did you mean single?"),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_flag_or_choice_that_is_none_is_told_the_nearest(arguments: list[str], message: str, source: Path) -> None:
    """And never taken for it."""
    found = run("export", source, *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.endswith(f"{message}\n")
    assert not source.with_suffix(".wts").exists()


def test_every_command_names_the_nearest_flag() -> None:
    for name in COMMANDS:
        found = run(name, "--hlep")
        assert found.returncode == 2, name
        assert "did you mean --help?" in found.stderr or "are required" in found.stderr, name


def test_file_that_is_missing_is_told_the_nearest(source: Path) -> None:
    other = source.with_name(f"{source.stem}s{source.suffix}")
    found = run("export", other)
    assert (found.returncode, found.stderr) == (1, f"pywts: {other}: no such file; did you mean {source}?\n")
    remote = run("export", "https://example.org/best.pt")
    assert (remote.returncode, remote.stderr) == (
        1,
        "pywts: https://example.org/best.pt: no such file; download it first, or give the URL to `pywts batch`\n",
    )
    piped = run("export", "-")
    assert (piped.returncode, piped.stderr) == (
        1,
        "pywts: -: no such file; what comes from standard input must be saved to a file first\n",
    )


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("best.engine", "; the engine is built from it, on the machine that will run it"),
        ("best.SAFETENSORS", "; `pywts convert` writes that format"),
        ("best.onnx", ""),
    ],
)
def test_output_that_is_called_as_another_format_is_said_to_be_a_wts(name: str, way: str, source: Path) -> None:
    path = source.with_name(name)
    found = run("export", source, "-o", path)
    assert (found.returncode, found.stderr) == (
        0,
        f"pywts: warning: {path}: is a .wts, whatever its suffix says{way}\n",
    )
    assert path.read_bytes() == reference_wts(EMA)


def test_one_of_a_kind_is_no_plural(tmp_path: Path) -> None:
    path = save(tmp_path / "one.pt", {"w": tensor(numpy.ones(1, numpy.float32))})
    for arguments in ((path,), (path, "--dry-run")):
        assert "1 tensor, 1 value, " in run("export", *arguments).stdout
    assert "compared: 1 tensor, 1 value\n" in run("verify", tmp_path / "one.wts", path).stdout


def test_names_beyond_ascii(tmp_path: Path) -> None:
    path = save(tmp_path / "模型.pt", {"层.权重": tensor(EMA["w"])})
    for encoding in ("utf-8", "ascii"):
        for flags in ([], ["--dry-run"], ["--json"]):
            found = run("export", path, *flags, env=environment(PYTHONIOENCODING=encoding))
            assert (found.returncode, found.stderr) == (0, ""), (encoding, flags)
    assert (tmp_path / "模型.wts").read_bytes() == reference_wts({"层.权重": EMA["w"]})


def test_name_that_is_no_text(tmp_path: Path) -> None:
    path = save(tmp_path / os.fsdecode(b"\xff.pt"), {"w": tensor(EMA["w"])})
    found = run("export", path)
    assert (found.returncode, found.stderr) == (0, "")
    assert path.with_suffix(".wts").read_bytes() == reference_wts({"w": EMA["w"]})


# ------------------------------------------------------------------------------------------------------------ signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_signals_end_the_export_with_their_code(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """While it waits for whoever reads its output; what was there stays as it was."""
    process = start("export", large_source(tmp_path / "m.pt"), "-o", "-")
    assert process.stdout
    assert process.stdout.read(8) == b"1\nlarge."
    process.send_signal(number)
    _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == code
    assert stderr == (b"pywts: interrupted; no file was left behind\n" if number == signal.SIGINT else b"")


@pytest.mark.parametrize("kind", [ImportError, RuntimeError])
@pytest.mark.parametrize(("cause", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)], ids=["INT", "TERM"])
def test_signal_that_python_made_an_error_of_ends_with_its_code(
    kind: type[Exception], cause: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules that are libraries do so while they begin, and before 3.12 whoever makes a class."""

    def answer(_: list[str]) -> int:
        raise kind("calling __set_name__") from cause

    def other(_: list[str]) -> int:
        raise kind("another reason")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "_answer", answer)
    try:
        assert cli.main([]) == code
        monkeypatch.setattr(cli, "_answer", other)
        with pytest.raises(kind, match="another reason"):
            cli.main([])
    finally:
        signal.signal(signal.SIGTERM, before)


# ------------------------------------------------------------------------------------------------------- progress bar


def test_bar_waits_until_the_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    drawn: list[Any] = []

    class Bar:
        def add_task(self, title: str, total: int) -> int:
            drawn.append((title, total))
            return 7

        def start(self) -> None:
            drawn.append("start")

        def update(self, task: int, completed: int) -> None:
            drawn.append((task, completed))

        def stop(self) -> None:
            drawn.append("stop")

    monkeypatch.setattr(progress, "monotonic", lambda: now)
    monkeypatch.setattr(progress, "_new_bar", Bar)
    bar = LateBar("best.pt")
    bar(10, 1000)
    now = 100.4
    bar(400, 1000)
    assert drawn == []
    now = 100.6
    bar(600, 1000)
    bar(700, 1000)
    bar.close()
    assert drawn == [("best.pt", 1000), "start", (7, 600), (7, 700), "stop"]

    drawn.clear()
    quick = LateBar("best.pt")
    now = 200.0
    quick(1000, 1000)
    quick.close()
    assert drawn == []


def _on_a_terminal(arguments: list[Any], **more: Any) -> tuple[int, str]:
    """Run the command with a terminal as its standard error: its exit code and what it drew."""
    ours, theirs = os.openpty()
    process = start(*arguments, stdout=subprocess.DEVNULL, stderr=theirs, **more)
    os.close(theirs)
    drawn = drawn_on(ours)
    return process.wait(TIMEOUT), drawn


def test_bar_appears_on_a_terminal_when_the_work_takes_long(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    path = save(tmp_path / "slow.pt", {"w": tensor(numpy.zeros(200_000, numpy.float32))})

    def read_slowly() -> None:
        with fifo.open("rb") as file:
            file.read(1000)
            time.sleep(1)
            file.read()

    for flags, shown in (([], True), (["--quiet"], False), (["--json"], False)):
        reader = threading.Thread(target=read_slowly)
        reader.start()
        code, drawn = _on_a_terminal(["export", path, "-o", fifo, *flags], env=environment(TERM="xterm", COLUMNS="120"))
        reader.join(TIMEOUT)
        assert code == 0
        assert ("slow.pt" in drawn) is shown, drawn


def test_bar_does_not_appear_for_quick_work(source: Path) -> None:
    assert _on_a_terminal(["export", source]) == (0, "")


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied", "/some/file"), OSError(5, "Input/output error")]
)
def test_error_of_the_system_is_not_told_of_standard_output_where_it_names_a_file(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def failing(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_answer", failing)
    previous = signal.getsignal(signal.SIGTERM)
    output = os.dup(1)
    try:
        assert cli.main(["export", "m.pt"]) == 1
    finally:
        os.dup2(output, 1)
        os.close(output)
        signal.signal(signal.SIGTERM, previous)
    told = "standard output cannot be written: Input/output error"
    if error.filename:
        told = "[Errno 13] Permission denied: '/some/file'; please report this"
    assert capfd.readouterr().err == f"pywts: {told}\n"


def test_bar_on_a_terminal_that_went_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    class Broken:
        def add_task(self, title: str, total: int) -> int:
            return begun.append((title, total)) or 7

        def start(self) -> None:
            raise OSError(5, "Input/output error")

        def stop(self) -> None:
            raise OSError(5, "Input/output error")

    now = iter([100.0, 101.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))
    monkeypatch.setattr(progress, "_new_bar", Broken)
    bar = LateBar("best.pt")
    bar(600, 1000)
    bar(700, 1000)
    bar.close()
    assert begun == [("best.pt", 1000)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_that_command_s(command: str) -> None:
    asked = run("help", command)
    assert (asked.returncode, asked.stdout) == (0, run(command, "--help").stdout)
    assert asked.stdout.startswith(f"usage: pywts {command} ")


def test_help_of_what_is_no_command_says_so() -> None:
    found = run("help", "exprot")
    assert found.returncode == 2
    assert found.stderr.endswith("pywts: no command 'exprot'; did you mean export?\n")


@pytest.mark.parametrize("flag", ["-v", "-V", "--version"])
def test_version_by_any_of_its_flags(flag: str) -> None:
    assert run(flag).stdout == f"pywts {pywts.__version__}\n"


def test_help_of_convert_speaks_of_what_convert_overwrites() -> None:
    text = " ".join(run("convert", "--help").stdout.split())
    assert "fail if OUT exists" in text
    assert ".wts exists" not in text
