"""What shells complete: commands, options, paths."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from processes import run, tool_path

from pywts.cli import COMMANDS

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_shtab_pywts
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "pywts.bash"
    path.write_text(run("completion", "bash").stdout)
    return path


def completed(script: Path, *words: str, folder: Path | None = None) -> set[str]:
    """What bash offers for the last of these words."""
    command = ["bash", "-c", COMPLETE, "bash", str(script), *words]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert found.returncode == 0, found.stderr
    return {line.rstrip("/") for line in found.stdout.split("\n") if line}


@pytest.mark.tool("bash")
def test_commands_are_completed(script: Path) -> None:
    assert completed(script, "pywts", "") >= COMMANDS.keys()
    assert completed(script, "pywts", "ex") == {"export"}


@pytest.mark.tool("bash")
def test_options_and_their_values_are_completed(script: Path) -> None:
    assert completed(script, "pywts", "export", "--dia") == {"--dialect"}
    assert completed(script, "pywts", "export", "--dialect", "") == {"auto", "double", "single"}
    assert completed(script, "pywts", "completion", "") == {"bash", "fish", "zsh"}


@pytest.mark.tool("bash")
@pytest.mark.parametrize("command", ["export", "verify", "inspect", "batch"])
def test_paths_are_completed(command: str, script: Path, tmp_path: Path) -> None:
    (tmp_path / "best.pt").touch()
    assert completed(script, "pywts", command, "be", folder=tmp_path) == {"best.pt"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_whole_and_parse(shell: str, tmp_path: Path) -> None:
    found = run("completion", shell)
    assert found.returncode == 0
    for command in COMMANDS:
        assert command in found.stdout
    if tool_path(shell):
        path = tmp_path / "script"
        path.write_text(found.stdout)
        assert subprocess.run([shell, "-n", path], check=False).returncode == 0


def test_unknown_shells_are_a_usage_error() -> None:
    assert run("completion", "tcsh").returncode == 2
