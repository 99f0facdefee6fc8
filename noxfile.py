"""The one entry for contributors: ``pipx run nox`` (see CONTRIBUTING.md)."""

from __future__ import annotations

import nox

nox.options.sessions = ["tests", "minimal", "lint", "docs"]
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")["project"]


@nox.session
def tests(session: nox.Session) -> None:
    """All tests on this Python, torch and ultralytics included."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def minimal(session: nox.Session) -> None:
    """The torch-free tests, on every Python that is there."""
    session.install(".[test-minimal]")
    session.run("pytest", "-m", "not torch and not tool and not remote", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy --strict, clang-format, and a build in which every warning is an error."""
    session.install("ruff", "mypy", "clang-format==14.0.6", "cmake", "ninja", "distributed", *PROJECT["dependencies"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    sources = session.run("git", "ls-files", "*.cpp", "*.hpp", external=True, silent=True)
    session.run("clang-format", "--dry-run", "--Werror", *str(sources).split())
    _build_cpp(session, "-DCMAKE_CXX_FLAGS=-Werror")


@nox.session
def cpp(session: nox.Session) -> None:
    """The C++ tests, without Python."""
    session.install("cmake", "ninja")
    build = _build_cpp(session)
    session.run("ctest", "--test-dir", build, "--output-on-failure")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation's site, into build/site; whatever does not fit together is an error."""
    session.install(".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """libFuzzer (clang) on a copy of tests/corpus, five minutes each; others: ``nox -s fuzz -- -max_total_time=60``."""
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
        session.run(f"{build}/tests/cpp/{name}_fuzz", "-max_len=4096", *arguments, found, corpus, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """All benchmarks; writes their results, the README's table and the pictures of the documentation."""
    session.install(".[bench]", "cmake", "ninja")
    for name in ("export", "load", "limits", "batch"):
        session.run("python", f"benchmarks/bench_{name}.py", *session.posargs)
    session.run("python", "benchmarks/plots.py")


def _build_cpp(session: nox.Session, *options: str) -> str:
    build = f"{session.create_tmp()}/build"
    session.run("cmake", "-S", ".", "-B", build, "-G", "Ninja", "-DPYWTS_PYTHON=OFF", "-DPYWTS_TESTS=ON", *options)
    session.run("cmake", "--build", build)
    return build
