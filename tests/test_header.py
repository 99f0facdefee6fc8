"""The C++ header by itself: compilers, standards, sanitizers, other systems, a project that finds it when installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from processes import ROOT, run, tool_path
from test_cpp import checked, configured, ctest

CPP = ROOT / "tests" / "cpp"
INCLUDE = [f"-I{ROOT / 'csrc' / 'include'}", f"-I{ROOT / 'examples' / 'nvinfer_stub'}"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]
MINGW = "x86_64-w64-mingw32-g++-posix" if tool_path("x86_64-w64-mingw32-g++-posix") else "x86_64-w64-mingw32-g++"
READERS = sorted(path.stem for path in CPP.glob("reader_*.cpp") if not path.stem.startswith("reader_units"))


@pytest.mark.parametrize("standard", ["17", "20"])
@pytest.mark.parametrize(
    "compiler",
    [pytest.param(name, marks=pytest.mark.tool(name)) for name in ("g++", "clang++", "aarch64-linux-gnu-g++")],
)
def test_compiles_without_a_warning(compiler: str, standard: str) -> None:
    command = [compiler, f"-std=c++{standard}", "-O1", *WARNINGS, *INCLUDE, "-S", "-o", "/dev/null"]
    checked(*command, ROOT / "examples" / "load_weights.cpp")
    checked(*command, "-fno-exceptions", "-fno-rtti", CPP / "reader_without_exceptions.cpp")


@pytest.mark.tool("g++")
@pytest.mark.parametrize("standard", ["11", "14"])
def test_older_standard_is_told_what_is_needed(standard: str) -> None:
    source = ROOT / "examples" / "load_weights.cpp"
    command = ["g++", f"-std=c++{standard}", *INCLUDE, "-fsyntax-only", source]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert "wts.hpp needs C++17: compile with -std=c++17, or set(CMAKE_CXX_STANDARD 17)" in found.stderr


@pytest.mark.tool(MINGW)
@pytest.mark.parametrize("source", [name for name in READERS if name not in ("reader_guarded", "reader_stream")])
def test_links_for_windows(source: str, tmp_path: Path) -> None:
    for_windows(source, tmp_path)


@pytest.mark.tool(MINGW, "wine")
def test_runs_on_windows_as_far_as_wine_is_one(tmp_path: Path) -> None:
    wine = {"WINEPREFIX": str(tmp_path / "wine"), "WINEDEBUG": "-all", "WTS_TEST_MUTATIONS": "1000"}
    for source in ("reader_errors", "reader_units_main", "reader_vectors", "reader_threads", "reader_fuzz"):
        checked("wine", for_windows(source, tmp_path), more=wine)


def for_windows(source: str, folder: Path) -> Path:
    """Build a test for Windows; the program."""
    program = folder / f"{source}.exe"
    sources = [CPP / f"{source}.cpp"] + ([CPP / "reader_units_other.cpp"] if "units" in source else [])
    more = ["-fno-exceptions"] if "without_exceptions" in source else []
    vectors = f'-DWTS_VECTORS="Z:{ROOT / "tests" / "vectors"}"'
    command = [MINGW, "-std=c++17", "-O1", *WARNINGS, *INCLUDE, *more, vectors, "-static", "-o", program]
    checked(*command, *sources)
    return program


@pytest.mark.tool("cmake", "clang++")
@pytest.mark.parametrize(
    ("sanitizers", "tests"),
    [
        ("address,undefined", [*READERS, "reader_units", "values_match_walk", "checksums_match_oracle"]),
        ("thread", ["reader_threads", "reader_stream", "reader_guarded", "values_match_walk"]),
    ],
    ids=["address", "thread"],
)
def test_sanitizers_are_silent(tmp_path: Path, sanitizers: str, tests: list[str]) -> None:
    tests = [name for name in tests if name != "reader_fuzz"] + (["reader_mutated"] if "address" in sanitizers else [])
    cmake = configured(
        tmp_path,
        "-DCMAKE_CXX_COMPILER=clang++",
        f"-DCMAKE_CXX_FLAGS=-g -O1 -fsanitize={sanitizers} -fno-sanitize-recover=all",
    )
    checked(cmake, "--build", tmp_path, "--parallel", "--target", *tests)
    assert "100% tests passed" in ctest(tmp_path, "--no-tests=error", "--tests-regex", f"^({'|'.join(tests)})$")


@pytest.mark.parametrize("compiler", [pytest.param(n, marks=pytest.mark.tool("cmake", n)) for n in ("g++", "clang++")])
@pytest.mark.parametrize("standard", ["17", "20"])
def test_a_project_finds_the_installed_header(tmp_path: Path, compiler: str, standard: str) -> None:
    build = tmp_path / "build"
    cmake = configured(build)
    checked(
        cmake,
        f"-Dbuilt={build}",
        f"-Dwork={tmp_path / 'consumer'}",
        f"-Dcompiler={compiler}",
        f"-Dstandard={standard}",
        "-P",
        ROOT / "tests" / "consumer" / "build_and_run.cmake",
    )


@pytest.mark.tool("cmake")
def test_a_project_finds_the_header_where_the_command_says(tmp_path: Path) -> None:
    """In the installed wheel, where there is one."""
    cmake = tool_path("cmake")
    found = run("--cmake-dir")
    assert (found.returncode, found.stderr) == (0, "")
    assert cmake
    script = ROOT / "tests" / "consumer" / "build_and_run.cmake"
    checked(cmake, f"-Dwts_DIR={found.stdout.strip()}", f"-Dwork={tmp_path}", "-P", script)


@pytest.mark.tool("cmake", "clang++")
def test_fuzzer_finds_nothing(tmp_path: Path) -> None:
    """libFuzzer from the vectors; WTS_TEST_FUZZ says for how many seconds, WTS_TEST_MUTATIONS how often by chance."""
    seconds = os.environ.get("WTS_TEST_FUZZ") or "10"
    cmake = configured(tmp_path, "-DCMAKE_CXX_COMPILER=clang++", "-DPYWTS_FUZZ=ON")
    checked(cmake, "--build", tmp_path, "--target", "reader_fuzz")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    fuzzer = tmp_path / "tests" / "cpp" / "reader_fuzz"
    limits = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-rss_limit_mb=1024",
        "-malloc_limit_mb=256",
        "-timeout=20",
        "-print_final_stats=1",
    ]
    # By a shell in between: the system counts the memory of whoever starts a program as the program's.
    between = ("sh", "-c", '"$@"; exit $?', "sh")
    options = [*limits, f"-artifact_prefix={tmp_path}/"]
    output = checked(*between, fuzzer, *options, corpus, ROOT / "tests" / "vectors", minutes=600)
    runs = int(output.split("number_of_executed_units:")[1].split()[0])
    assert runs > 1000
