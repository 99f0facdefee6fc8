"""Every example runs, and does what it says."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import checkpoints
import numpy
import pytest
from processes import ROOT, environment

import pywts

EXAMPLES = ROOT / "examples"
TESTED = {
    "train_shapes.py": "its drawing and its model, below; the whole training takes minutes",
    "shapes.pt": "it is data",
    "shapes.md": "tests/test_docs.py",
    **dict.fromkeys(("load_weights.cpp", "nvinfer_stub", "custom_recipe.py", "deploy.sh"), "below"),
    **dict.fromkeys(("train_and_export.py", "convert_zoo.py"), "below"),
}
"""Where each is tested."""


def test_every_example_is_tested() -> None:
    made = ("__pycache__", "shapes.wts")  # the README's first command writes that one
    assert {path.name for path in EXAMPLES.iterdir() if path.name not in made} == set(TESTED)


def ran(*command: str | Path, code: int = 0, folder: Path, seconds: int = 300) -> str:
    """What a command prints, which must end with this exit code."""
    programs = folder / ".bin"
    programs.mkdir(exist_ok=True)
    (programs / "pywts").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pywts "$@"\n')
    (programs / "pywts").chmod(0o755)
    variables = environment(PYTHONWARNINGS="default", PYTHONDONTWRITEBYTECODE="1")
    variables["PATH"] = f"{programs}:{variables['PATH']}"
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=variables, text=True, timeout=seconds, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == code, done.stdout[-4000:]
    return done.stdout


@pytest.mark.tool("g++")
def test_load_weights_reads_what_was_exported(sample: Path, tmp_path: Path) -> None:
    pywts.export(sample, tmp_path / "m.wts")
    program = tmp_path / "load_weights"
    include = ["-I", ROOT / "csrc" / "include", "-I", EXAMPLES / "nvinfer_stub"]
    warnings = ["-Wall", "-Wextra", "-Werror"]
    source = EXAMPLES / "load_weights.cpp"
    ran("g++", "-std=c++17", "-O1", *warnings, *include, source, "-o", program, "-pthread", folder=tmp_path)
    said = ran(program, "m.wts", folder=tmp_path)
    assert "355 tensors by loadWeights()" in said
    assert 'as it should: m.wts: no tensor "model.0.conv.weights"' in said
    (tmp_path / "cut.wts").write_bytes((tmp_path / "m.wts").read_bytes()[:100_000])
    assert "the file ends after" in ran(program, "cut.wts", code=1, folder=tmp_path)


def test_custom_recipe_gives_the_answers_of_the_layers_it_folds(sample: Path, tmp_path: Path) -> None:
    """A convolution and its normalization, by hand, against the one that was written."""
    said = ran(sys.executable, EXAMPLES / "custom_recipe.py", sample, "folded.wts", folder=tmp_path)
    assert "normalizations are folded" in said
    pywts.export(sample, tmp_path / "plain.wts", sidecar=True)
    plain, folded = pywts.load(tmp_path / "plain.wts"), pywts.load(tmp_path / "folded.wts")
    assert not [name for name in folded if ".bn." in name]
    block = "model.0"
    seen = numpy.random.default_rng(0).standard_normal((27, 100)).astype(numpy.float32)
    gamma, beta, mean, variance = (
        plain[f"{block}.bn.{part}"][:, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    expected = (plain[f"{block}.conv.weight"].reshape(8, 27) @ seen - mean) / numpy.sqrt(variance + 1e-3) * gamma + beta
    answer = folded[f"{block}.conv.weight"].reshape(8, 27) @ seen + folded[f"{block}.conv.bias"][:, None]
    numpy.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.torch
def test_training_ends_with_a_wts(tmp_path: Path) -> None:
    said = ran(sys.executable, EXAMPLES / "train_and_export.py", "run", folder=tmp_path, seconds=900)
    assert said.rstrip().endswith("there")
    written = next((tmp_path / "run").rglob("best.wts"))
    assert pywts.verify(written, written.with_suffix(".pt")).equal


@pytest.mark.torch
def test_zoo_is_converted_with_dask(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "zoo" / "sub").mkdir(parents=True)
    for name in ("a.pt", "sub/b.pt"):
        shutil.copy(sample, tmp_path / "zoo" / name)
    first = ran(sys.executable, EXAMPLES / "convert_zoo.py", "zoo", "out", folder=tmp_path)
    assert "2 checkpoints to convert, 0 are done" in first
    assert "2 converted, 0 failed" in first
    assert pywts.verify(tmp_path / "out" / "sub" / "b.wts", sample).equal
    (tmp_path / "zoo" / "bad.pt").write_bytes(b"PK\3\4 no archive")
    again = ran(sys.executable, EXAMPLES / "convert_zoo.py", "zoo", "out", code=1, folder=tmp_path)
    assert "1 checkpoints to convert, 2 are done" in again
    assert "bad.pt" in again


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a deployment puts its files, with an older one."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "m.wts").write_text("1\nold 1  3f800000\n")
    return folder


def deployed(source: Path, folder: Path, code: int) -> str:
    """Run deploy.sh."""
    return ran("sh", EXAMPLES / "deploy.sh", source, folder, code=code, folder=folder.parent)


def test_deployment_replaces_the_files(sample: Path, folder: Path, tmp_path: Path) -> None:
    source = shutil.copy(sample, tmp_path / "m.pt")
    deployed(Path(source), folder, 0)
    assert pywts.verify(folder / "m.wts", sample).equal
    assert sorted(path.name for path in folder.iterdir()) == ["m.inspection.json", "m.wts", "m.wts.json"]


@pytest.mark.parametrize(("kind", "code"), [("runs code", 10), ("cut", 11), ("no weights", 12)])
def test_deployment_that_fails_keeps_what_was_there(
    kind: str, code: int, sample: Path, folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "m.pt"
    match kind:
        case "runs code":
            checkpoints.save(source, {"w": checkpoints.Object("posix.system", {}), "m": {}})
        case "cut":
            source.write_bytes(sample.read_bytes()[:50_000])
        case _:
            checkpoints.save(source, {"epoch": 3})
    deployed(source, folder, code)
    assert [path.name for path in folder.iterdir()] == ["m.wts"]
    assert (folder / "m.wts").read_text().startswith("1\nold")


def test_deployment_whose_copy_is_damaged_is_stopped(sample: Path, folder: Path, tmp_path: Path) -> None:
    """A pywts that writes something else stands in for a disk that does."""
    source = shutil.copy(sample, tmp_path / "m.pt")
    ran("true", folder=tmp_path)
    real = tmp_path / ".bin" / "pywts"
    script = (EXAMPLES / "deploy.sh").read_text()
    broken = script.replace("# By the checkpoint", 'printf "1\\nw 1  00000000\\n" > "$new/$wts"\n# By the checkpoint')
    assert broken != script
    (tmp_path / "deploy.sh").write_text(broken)
    assert real.stat().st_mode & stat.S_IXUSR
    ran("sh", tmp_path / "deploy.sh", source, folder, code=13, folder=tmp_path)
    assert [path.name for path in folder.iterdir()] == ["m.wts"]
