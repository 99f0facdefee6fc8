"""What every test shares: marks and what becomes of them, the header, the environment of ultralytics."""

from __future__ import annotations

import atexit
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from processes import ROOT, tool_path

CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
REBUILD = f"{sys.executable} -m pip install {ROOT}"
SEED = int(os.environ.get("PYWTS_TEST_SEED") or random.SystemRandom().randrange(1 << 32))

os.environ["PYWTS_TEST_SEED"] = str(SEED)  # for the processes that xdist shares the tests among
os.environ.pop("PYWTS_KERNEL", None)  # the tests choose themselves
signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs, and all they start, ignore it

# ultralytics reads these when it is imported: it shall neither phone home nor install anything, nor write into the
# home folder. The font is there, so it is not downloaded.
_CONFIG = Path(tempfile.mkdtemp(prefix="pywts-tests-"))
atexit.register(shutil.rmtree, _CONFIG, ignore_errors=True)
(_CONFIG / "Ultralytics").mkdir()
(_CONFIG / "Ultralytics" / "Arial.ttf").touch()
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(_CONFIG), WANDB_MODE="disabled")

settings.register_profile(
    "pywts", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("pywts")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Refuse a native module that is missing or of another version, and let one seed rule all randomness."""
    problem = _native_problem()
    if problem:
        raise pytest.UsageError(f"{problem}\nbuild it again:\n\n    {REBUILD}\n")
    if getattr(config.option, "hypothesis_seed", "absent") is None:
        config.option.hypothesis_seed = SEED
    config.option.loadscopereorder = False  # of xdist, which would keep the files of few tests, the longest, to the end


def pytest_report_header() -> list[str]:
    """Kernels, seed and versions: what a report of a failure must say."""
    import pywts
    from pywts import _core

    kernels = ", ".join(f"{name}{'' if usable else ' (not on this processor)'}" for name, usable in _core.kernels())
    versions = ", ".join(
        f"{name} {_version(name)}" for name in ("pywts", "numpy", "hypothesis", "torch", "ultralytics")
    )
    lines = [
        f"pywts: {pywts.__file__}",
        f"kernels: {kernels}; {platform.machine()}",
        f"seed: {SEED} (again with PYWTS_TEST_SEED={SEED})",
        f"versions: {versions}",
    ]
    if _sources_are_newer():
        lines.append(f"WARNING: {_STALE}")
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, where it is read, what was not tested."""
    skipped = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr]
    reasons = sorted({text.removeprefix("Skipped: ") for text in skipped if text.startswith("Skipped: kernel ")})
    if reasons or _sources_are_newer():
        terminalreporter.section("not tested here", sep="=", yellow=True, bold=True)
    for reason in reasons:
        terminalreporter.line(reason, yellow=True)
    if _sources_are_newer():
        terminalreporter.line(_STALE, yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In torch's company, only warnings of pywts are errors."""
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.filterwarnings("default"))
            item.add_marker(pytest.mark.filterwarnings("error:::pywts"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, and say why; a missing tool fails under CI, where nobody reads of skips."""
    if item.get_closest_marker("torch") and not find_spec("torch"):
        pytest.skip("torch is not installed: pip install '.[test]'")
    if item.get_closest_marker("remote") and not (find_spec("distributed") and find_spec("moto")):
        pytest.skip("the packages of remote storage and clusters are not installed: pip install '.[test]'")
    for mark in item.iter_markers("tool"):
        for name in mark.args:
            if tool_path(name) is None:
                if CI:
                    pytest.fail(f"{name} is not installed, and under CI=true every tool must be", pytrace=False)
                pytest.skip(f"{name} is not installed")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, which playwright drives."""
    from playwright.sync_api import sync_playwright

    path = tool_path("chromium")
    assert path is not None
    with sync_playwright() as playwright:
        # As root, as in a container, it starts only without its sandbox.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def seed() -> int:
    """The seed of this session."""
    return SEED


@pytest.fixture
def umask() -> Iterator[int]:
    """A umask of 027 for the length of a test."""
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


@pytest.fixture(scope="session")
def sample() -> Path:
    """The checkpoint in examples/."""
    path = ROOT / "examples" / "shapes.pt"
    if not path.exists():
        pytest.skip("examples/shapes.pt is part of the repository only")
    return path


def _native_problem() -> str | None:
    wanted = _project_version()
    try:
        from pywts import _core
    except ImportError as error:
        return f"pywts cannot be imported: {error}"
    if _core.__version__ != wanted:
        return f"the native module {_core.__file__} is of version {_core.__version__}, the sources are {wanted}"
    return None


def _project_version() -> str:
    for line in (ROOT / "pyproject.toml").read_text().splitlines():  # tomllib came with Python 3.11
        if line.startswith("version = "):
            return line.split('"')[1]
    raise AssertionError("pyproject.toml has no version")


def _sources_are_newer() -> bool:
    from pywts import _core

    sources = [*(ROOT / "csrc").rglob("*.[ch]pp"), ROOT / "CMakeLists.txt"]
    return max(path.stat().st_mtime for path in sources) > Path(_core.__file__).stat().st_mtime


_STALE = f"the C++ sources are newer than the native module; if they were changed since, build it again: {REBUILD}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
