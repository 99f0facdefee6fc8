"""The one entry for contributors: ``pipx run nox`` (see CONTRIBUTING.md)."""

from __future__ import annotations

import shutil

import nox

nox.options.sessions = ["tests", "minimal", "lint", "docs"]
nox.options.error_on_missing_interpreters = False

SANITIZED = ["archive", "export", "integrity", "kernels", "layout", "live", "reading", "statistics", "threads"]
"""The Python tests that drive the core; those of attacks bound a process's memory, which no sanitizer bears."""

SHARED = ["-n", "auto", "--dist", "loadfile"]
"""The tests shared among processes, a file at a time."""

PROJECT = nox.project.load_toml("pyproject.toml")["project"]


@nox.session
def tests(session: nox.Session) -> None:
    """All tests on this Python, torch and ultralytics included."""
    session.install(".[test]")
    session.run("pytest", *(session.posargs or SHARED))


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def minimal(session: nox.Session) -> None:
    """The torch-free tests, on every Python that is there."""
    session.install(".[test-minimal]")
    session.run("pytest", "-m", "not torch and not tool and not remote", *(session.posargs or SHARED))


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy --strict, clang-format, and a build in which every warning is an error."""
    tools = ("ruff", "mypy", "clang-format==14.0.6", "cmake", "ninja", "pybind11>=3.0")
    session.install(*tools, "distributed", *PROJECT["dependencies"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    sources = session.run("git", "ls-files", "*.cpp", "*.hpp", external=True, silent=True)
    session.run("clang-format", "--dry-run", "--Werror", *str(sources).split())
    _build_cpp(session, *_with_python(session), "-DCMAKE_CXX_FLAGS=-Werror")


@nox.session
def cpp(session: nox.Session) -> None:
    """The C++ tests, without Python."""
    session.install("cmake", "ninja")
    build = _build_cpp(session)
    session.run("ctest", "--test-dir", build, "--output-on-failure")


@nox.session
@nox.parametrize("sanitizer", ["address,undefined", "thread"], ids=["address", "thread"])
def sanitize(session: nox.Session, sanitizer: str) -> None:
    """The C++ tests, and the Python tests that drive the core, under gcc's sanitizers."""
    _needs(session, "g++")
    session.install(".[test-minimal]", "cmake", "ninja", "pybind11>=3.0")
    build = _build_cpp(
        session,
        *_with_python(session),
        "-DCMAKE_CXX_COMPILER=g++",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        f"-DCMAKE_CXX_FLAGS=-fsanitize={sanitizer} -fno-sanitize-recover=all -fno-omit-frame-pointer",
    )
    session.run("ctest", "--test-dir", build, "--output-on-failure", "--exclude-regex", "^reader_consumer$")
    package = f"{build}/package"
    session.run("cmake", "--install", build, "--prefix", package)
    shutil.copytree("pywts", f"{package}/pywts", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so"))
    # The interpreter is no sanitized program, so it needs the sanitizer's library first, and no memory of its own.
    libraries = [f"lib{'tsan' if sanitizer == 'thread' else 'asan'}.so", "libstdc++.so"]
    found = [str(session.run("g++", f"-print-file-name={x}", external=True, silent=True)).strip() for x in libraries]
    session.run(
        "pytest", "-p", "no:cacheprovider", "-m", "not torch and not tool and not remote",
        *(session.posargs or [f"tests/test_{name}.py" for name in SANITIZED]),
        env={
            "LD_PRELOAD": " ".join(found),
            "PYTHONPATH": package,
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0",  # of the interpreter, which keeps what it has until it ends
            "TSAN_OPTIONS": "report_signal_unsafe=0",
        },
    )  # fmt: skip


@nox.session
def tidy(session: nox.Session) -> None:
    """clang-tidy over the core, as .clang-tidy says."""
    _needs(session, "clang++", "clang-tidy")
    session.install("cmake", "ninja")
    build = _build_cpp(session, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCMAKE_CXX_COMPILER=clang++")
    sources = str(session.run("git", "ls-files", "csrc/*/*.cpp", external=True, silent=True)).split()
    session.run("clang-tidy", "-p", build, "--quiet", *sources, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation's site, into build/site; whatever does not fit together is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """libFuzzer (clang) on a copy of tests/corpus, five minutes each; others: ``nox -s fuzz -- -max_total_time=60``."""
    _needs(session, "clang++")
    session.install("cmake", "ninja")
    work = session.create_tmp()
    build = f"{work}/fuzz"
    options = ["-DPYWTS_PYTHON=OFF", "-DPYWTS_TESTS=ON", "-DPYWTS_FUZZ=ON", "-DCMAKE_CXX_COMPILER=clang++"]
    session.run("cmake", "-S", ".", "-B", build, "-G", "Ninja", *options)
    kept = {name: f"tests/corpus/{name}" for name in ("kernels", "pickle", "spans", "zip")} | {
        "reader": "tests/vectors"
    }
    session.run("cmake", "--build", build, "--target", *(f"{name}_fuzz" for name in kept))
    for name, corpus in kept.items():
        found = f"{work}/{name}"
        session.run("mkdir", "-p", found, external=True)
        arguments = session.posargs or ["-max_total_time=300"]
        limits = ["-max_len=4096", f"-artifact_prefix={work}/{name}-"]
        session.run(f"{build}/tests/cpp/{name}_fuzz", *limits, *arguments, found, corpus, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """All benchmarks; writes their results, the README's table and the pictures of the documentation."""
    session.install(".[bench]", "cmake", "ninja")
    for name in ("export", "load", "limits", "batch"):
        session.run("python", f"benchmarks/bench_{name}.py", *session.posargs)
    session.run("python", "benchmarks/plots.py")
    session.run("python", "benchmarks/bench_kernels.py")  # fails without Google Benchmark, so it is the last


def _needs(session: nox.Session, *programs: str) -> None:
    """Say what pip cannot install, before anything is built."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        session.error(f"{session.name} needs {' and '.join(missing)} (Debian: apt install g++ clang clang-tidy)")


def _with_python(session: nox.Session) -> list[str]:
    """The options of CMake that build the native module for the session's Python, too."""
    return [
        "-DPYWTS_PYTHON=ON",
        f"-DPython_EXECUTABLE={shutil.which('python', path=session.bin)}",
        f"-Dpybind11_DIR={str(session.run('python', '-m', 'pybind11', '--cmakedir', silent=True)).strip()}",
    ]


def _build_cpp(session: nox.Session, *options: str) -> str:
    build = f"{session.create_tmp()}/build"
    session.run("cmake", "-S", ".", "-B", build, "-G", "Ninja", "-DPYWTS_PYTHON=OFF", "-DPYWTS_TESTS=ON", *options)
    session.run("cmake", "--build", build)
    return build
