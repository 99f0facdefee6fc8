"""Files that mean harm: no code runs, nothing crashes, and what is good among them exports or the error is clear."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks import confuse_by_names, exhaust, lie_in_archives, lie_in_headers, making, reach_outside, run_code, victim
from attacks.making import Attack
from processes import TIMEOUT, environment

MODULES = (run_code, exhaust, reach_outside, confuse_by_names, lie_in_archives, lie_in_headers)


@pytest.mark.parametrize("build", making.ATTACKS.values(), ids=making.ATTACKS.keys())
def test_attack(build: Callable[[], Attack], tmp_path: Path) -> None:
    attack = build()
    source, output = tmp_path / "harm.pt", tmp_path / "out" / "harm.wts"
    output.parent.mkdir()
    source.write_bytes(attack.data)
    for name, data in attack.beside.items():
        (tmp_path / name).write_bytes(data)
    done = _watched(source, output)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr[-2000:]}"
    assert not done.stderr
    told = json.loads(done.stdout)
    assert told["memory"] < victim.MEMORY
    if attack.exports is not None:
        assert "error" not in told, told
        assert output.read_bytes() == _lines(attack.exports)
    else:
        assert "error" in told, f"exported {told['tensors']} tensors"
        assert re.search(attack.refused, told["error"]), told["error"]
        assert str(tmp_path) in told["error"], "the error does not name the file"
        assert told["error"].replace("\n", "").isprintable(), "the error would reach the terminal unescaped"
        assert not list(output.parent.iterdir()), "something was left behind"


def test_every_builder_is_in_the_list() -> None:
    assert len(making.ATTACKS) > 150
    for module in MODULES:
        builders = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        entered = {name.partition(": ")[2] for name in making.ATTACKS}
        helpers = {"safetensors", "entry", "index", "script", "array"}
        assert {name for name in builders if not name.startswith("_")} - helpers <= entered


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        ("import os; os.system('true')", "os.system"),
        ("import subprocess; subprocess.run(['true'])", "subprocess"),
        ("import antigravity_of_no_package", "imports antigravity"),
        ("open('/tmp/pywts-attack', 'w')", "to write"),
        ("exec(compile('1', 'harm', 'exec'))", "harm"),
        ("import pickle; pickle.loads(b'cos\\nsystem\\n.')", "pickle.find_class"),
    ],
)
def test_the_watch_would_see_it(harm: str, word: str, tmp_path: Path) -> None:
    """The audit hook of the victim dies of each, so that its silence means something."""
    script = (
        f"import sys; sys.path.insert(0, {str(Path(victim.__file__).parent)!r})\n"
        "import pickle, subprocess, pywts, victim\n"
        "def harm(*_):\n"
        f"    {harm}\n"
        "pywts.export = harm\n"
        f"victim.main('x', {str(tmp_path / 'out.wts')!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT, env=environment(), check=False
    )
    assert done.returncode == 99, done
    assert word in done.stderr


def _watched(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, victim.__file__, str(source), str(output)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=False,
    )


def _lines(tensors: dict[str, tuple[float, ...]]) -> bytes:
    lines = [f"{len(tensors)}\n"]
    for name, values in tensors.items():
        lines.append(
            f"{name} {len(values)} " + "".join(f" {struct.pack('>f', value).hex()}" for value in values) + "\n"
        )
    return "".join(lines).encode()
