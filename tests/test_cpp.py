"""The C++ tests: built by CMake without Python, and run; for NEON also across, by an emulator."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from processes import ROOT, tool_path

SOURCES = sorted(path.stem for path in (ROOT / "tests" / "cpp").glob("*.cpp"))

NEON = (
    "kernels_match_oracle",
    "kernels_obey_environment",
    "widen_matches_oracle",
    "gather_matches_index_walk",
    "reader_guarded",
    "reader_kernels",
    "reader_vectors",
    "statistics_match_oracle",
)
"""What depends on the instruction set."""


def checked(*command: str | Path, minutes: int = 20, more: dict[str, str] | None = None) -> str:
    """Run a program to its end, with more variables; its output, which is the message if it fails."""
    found = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=60 * minutes,
        check=False,
        env={name: x for name, x in {**os.environ, **(more or {})}.items() if name not in ("CXXFLAGS", "LDFLAGS")},
    )
    assert found.returncode == 0, f"{' '.join(map(str, command))}\n{found.stdout[-20_000:]}"
    return found.stdout


def configured(build: Path, *options: str) -> str:
    """Configure the project without Python; the path of CMake."""
    cmake, ninja = tool_path("cmake"), tool_path("ninja")
    assert cmake
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    checked(cmake, "-S", ROOT, "-B", build, *generator, "-DPYWTS_PYTHON=OFF", "-DPYWTS_TESTS=ON", *options)
    return cmake


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ tests, built."""
    build = tmp_path_factory.mktemp("cpp")
    checked(configured(build), "--build", build, "--parallel")
    return build


def ctest(build: Path, *options: str) -> str:
    """Run the tests of a build."""
    program = tool_path("ctest")
    assert program
    return checked(
        program, "--test-dir", build, "--output-on-failure", "--parallel", str(os.cpu_count() or 1), *options
    )


@pytest.mark.tool("cmake")
def test_cpp_tests_pass(built: Path) -> None:
    assert "100% tests passed" in ctest(built, "--no-tests=error")


@pytest.mark.tool("cmake")
def test_every_source_is_a_test(built: Path) -> None:
    """A file that nobody added to CMakeLists.txt would never run; fuzzers and second units have a test beside them."""
    program = tool_path("ctest")
    assert program
    listed = json.loads(checked(program, "--test-dir", built, "--show-only=json-v1"))["tests"]
    run = {Path(test["command"][0]).name for test in listed}
    text = (ROOT / "tests" / "cpp" / "CMakeLists.txt").read_text()
    fuzzed = re.search(r"foreach\(fuzzed ([\w ]+)\)", text)
    named = text + " ".join(f"{name}_fuzz.cpp" for name in (fuzzed[1].split() if fuzzed else ()))
    assert [source for source in SOURCES if f"{source}.cpp" not in named] == []
    assert len(run & set(SOURCES)) > 10


@pytest.mark.tool("cmake", "aarch64-linux-gnu-g++", "qemu-aarch64")
def test_neon_kernels_pass_on_an_emulator(tmp_path: Path) -> None:
    emulator = "qemu-aarch64;-L;/usr/aarch64-linux-gnu"
    cmake = configured(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
        f"-DCMAKE_CROSSCOMPILING_EMULATOR={emulator}",
    )
    checked(cmake, "--build", tmp_path, "--parallel", "--target", *NEON)
    for name in NEON:
        output = ctest(tmp_path, "--no-tests=error", "--tests-regex", f"^{name}$")
        assert "100% tests passed" in output, name
