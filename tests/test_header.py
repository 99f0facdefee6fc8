"""The C++ header by itself: compilers, standards, sanitizers, other systems, a project that finds it when installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from processes import ROOT, tool_path
from test_cpp import checked, configured, ctest

CPP = ROOT / "tests" / "cpp"
INCLUDE = [f"-I{ROOT / 'csrc' / 'include'}", f"-I{ROOT / 'examples' / 'nvinfer_stub'}"]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]
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


@pytest.mark.parametrize("source", ["reader_errors", "reader_units_main", "reader_without_exceptions"])
def test_compiles_for_windows(source: str) -> None:
    names = ("x86_64-w64-mingw32-g++-posix", "x86_64-w64-mingw32-g++")
    compiler = next((name for name in names if tool_path(name)), None)
    if compiler is None:
        pytest.skip("mingw-w64 is not installed (g++-mingw-w64-x86-64)")
    more = ["-fno-exceptions"] if source == "reader_without_exceptions" else []
    checked(compiler, "-std=c++17", *WARNINGS, *INCLUDE, *more, "-S", "-o", os.devnull, CPP / f"{source}.cpp")


@pytest.mark.tool("cmake", "clang++")
@pytest.mark.parametrize(
    ("sanitizers", "tests"),
    [("address,undefined", [*READERS, "reader_units"]), ("thread", ["reader_threads", "reader_stream"])],
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
