"""What is loaded when, and which room may know which."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import module, save, tensor
from processes import python

import pywts

PACKAGE = Path(pywts.__file__).parent

HEAVY = {
    "torch", "ultralytics", "numpy", "rich", "jinja2", "pebble", "shtab", "zipfile", "typing", "dataclasses", "inspect",
    "pickle", "pathlib", "tempfile", "shutil", "subprocess", "importlib.metadata", "asyncio", "multiprocessing",
    "logging", "ssl", "hashlib", "json", "unicodedata",
}  # fmt: skip
"""What costs start-up time; some of it is loaded for what needs it."""


def newly_loaded(script: str, *arguments: Any) -> set[str]:
    """The modules that a script loads in a fresh interpreter, beyond those that were there."""
    found = python(
        f"import sys\nbefore = set(sys.modules)\n{script}\n"
        "after = set(sys.modules)\nimport json; print('\\n' + json.dumps(sorted(after - before)))",
        *arguments,
    )
    assert found.returncode == 0, found.stderr
    return set(json.loads(found.stdout.splitlines()[-1]))


def heavy(loaded: set[str]) -> set[str]:
    """Those of the modules that should not be there."""
    return {name for name in loaded if name in HEAVY or name.split(".")[0] in HEAVY}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint of an ordinary kind."""
    model = module(
        "ultralytics.nn.tasks.DetectionModel",
        parameters={"w": tensor(numpy.arange(6, dtype=numpy.float16))},
        yaml={"yaml_file": "yolov8n.yaml", "scale": "n", "nc": 3},
    )
    return save(tmp_path / "m.pt", {"epoch": -1, "model": model, "ema": None})


@pytest.fixture
def written(source: Path) -> Path:
    """Its .wts."""
    pywts.export(source)
    return source.with_suffix(".wts")


def test_import_loads_nothing_else() -> None:
    loaded = newly_loaded("import pywts")
    assert loaded <= {"pywts", "__future__"}


def test_names_and_help_load_nothing_else() -> None:
    assert newly_loaded("import pywts; dir(pywts); pywts.__all__; pywts.__doc__") <= {"pywts", "__future__"}


def test_errors_and_limits_load_neither_core_nor_exporter() -> None:
    loaded = newly_loaded("import pywts; pywts.Error, pywts.TensorError, pywts.Limits().replace(depth=3)")
    assert {name for name in loaded if name.startswith("pywts.")} == {"pywts.errors", "pywts.limits", "pywts.records"}
    assert not heavy(loaded)


@pytest.mark.parametrize("flags", [[], ["--quiet"], ["--dry-run"], ["--durable", "--key", "model"]], ids=str)
def test_export_by_the_command_line_loads_nothing_heavy(flags: list[str], source: Path) -> None:
    loaded = newly_loaded("from pywts.cli import main; assert main(sys.argv[1:]) == 0", "export", source, *flags)
    assert "pywts.exporting" in loaded
    assert not heavy(loaded)


def test_export_in_process_loads_nothing_heavy(source: Path) -> None:
    loaded = newly_loaded("import pywts; print(pywts.export(sys.argv[1])); pywts.plan(sys.argv[1])", source)
    assert not heavy(loaded)
    assert "argparse" not in loaded


@pytest.mark.parametrize("arguments", [["kernels"], ["--version"], ["--help"], ["recipes"]], ids=str)
def test_small_commands_load_nothing_heavy(arguments: list[str]) -> None:
    loaded = newly_loaded("from pywts.cli import main; assert main(sys.argv[1:]) == 0", *arguments)
    assert not heavy(loaded) - {"shutil"}  # argparse asks it for the terminal's width


@pytest.mark.parametrize("flags", [[], ["--check"], ["--stats"], ["--tensor", "w"], ["--tensors"]], ids=str)
def test_inspecting_loads_neither_numpy_nor_jinja2_nor_torch(flags: list[str], source: Path) -> None:
    loaded = newly_loaded("from pywts.cli import main; assert main(sys.argv[1:]) == 0", "inspect", source, *flags)
    assert not {name.split(".")[0] for name in loaded} & {"torch", "numpy", "jinja2"}


def test_inspecting_in_process_loads_nothing_heavy(source: Path) -> None:
    loaded = newly_loaded("import pywts; pywts.inspect(sys.argv[1], check=True, statistics=True)", source)
    assert not heavy(loaded)


@pytest.mark.parametrize("command", ["verify", "diff"])
def test_comparing_loads_nothing_heavy(command: str, source: Path, written: Path) -> None:
    script = "from pywts.cli import main; assert main(sys.argv[1:]) == 0"
    assert not heavy(newly_loaded(script, command, written, source))


def test_scanning_loads_nothing_heavy(source: Path) -> None:
    script = "from pywts.cli import main; assert main(sys.argv[1:]) == 0"
    loaded = newly_loaded(script, "scan", source)
    assert "pywts.inspection.scanning" in loaded
    assert not heavy(loaded)


def test_arrays_are_exported_without_torch() -> None:
    loaded = newly_loaded(
        "import numpy, pywts; pywts.export({'x': numpy.zeros(3)}, '/dev/null'); pywts.encode(numpy.ones(2))"
    )
    assert "torch" not in loaded


CALLS = {
    "export": "pywts.export(source, '/dev/null').tensors == 1",
    "plan": "pywts.plan(source).bytes > 0",
    "encode": "pywts.encode(__import__('numpy').zeros(2, 'f4')) == b' 00000000 00000000'",
    "kernels": "any(kernel.active for kernel in pywts.kernels())",
    "recipes": "len(pywts.recipes()) > 3",
    "open": "pywts.open(written).names == ['w']",
    "load": "pywts.load(written)['w'].size == 6",
    "decode": "pywts.decode(b' 3f800000')[0] == 1",
    "verify": "pywts.verify(written, source).equal",
    "diff": "pywts.diff(written, source).equal",
    "convert": "pywts.convert(written, f'{source}.npz').values == 6",
    "inspect": "pywts.inspect(source).model.classes == 3",
    "plan_batch": "len(pywts.plan_batch(source, f'{source}.planned').jobs) == 1",
    "batch": "not pywts.batch(source, f'{source}.out').failed",
    "scan": "pywts.scan(source).clean",
    "get_include": "__import__('os').path.exists(pywts.get_include() + '/wts.hpp')",
}
"""A call of every public function."""


def test_every_public_function_is_called_below() -> None:
    functions = {
        name for name in pywts.__all__ if callable(getattr(pywts, name)) and not isinstance(getattr(pywts, name), type)
    }
    assert functions == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_function_works_twice_in_a_fresh_process(name: str, source: Path, written: Path) -> None:
    """A lazy name next to a module of that name would be the module on its second use."""
    found = python(
        f"import sys, pywts\nsource, written = sys.argv[1:]\nassert {CALLS[name]}\nassert {CALLS[name]}",
        source,
        written,
    )
    assert found.returncode == 0, found.stderr


def test_functions_work_in_any_order_in_one_process(source: Path, written: Path) -> None:
    lines = [f"assert {call}" for call in [*CALLS.values(), *reversed(CALLS.values())]]
    found = python("\n".join(["import sys, pywts", "source, written = sys.argv[1:]", *lines]), source, written)
    assert found.returncode == 0, found.stderr


def test_from_import_of_every_public_name() -> None:
    names = ", ".join(pywts.__all__)
    found = python(f"from pywts import {names}\nfrom pywts import *\nimport pywts.exporting\nassert callable(export)")
    assert found.returncode == 0, found.stderr


# -------------------------------------------------------------------------------------------------- the way of imports

ROOMS = [
    {"errors", "records", "headers", "system", "_core"},
    {"limits", "options", "tensor", "words"},
    {"layout", "renaming", "destination"},
    {"checkpoint"},
    {"families"},
    {"selecting", "writing"},
    {"exporting", "trusted", "encoding", "reading", "sidecar", "comparing", "keeping"},
    {"converting", "inspection", "pages", "zoo", "ultralytics"},
    {"cli"},
    {"__main__", "gen_wts"},
]
"""From the ground up; a room imports from its own floor and those below it."""

FLOORS = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


def imported_rooms(path: Path) -> set[str]:
    """The rooms of pywts that a file imports, at whatever place in it."""
    inside = path.relative_to(PACKAGE).parts
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = ["pywts", *inside[:-1]][: len(inside) + 1 - node.level] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        rooms.update(name.split(".")[1] for name in names if name.startswith("pywts."))
    return rooms & FLOORS.keys() | {
        room for room in rooms if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()
    }


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert room in FLOORS, f"the new room {room} has no floor in this test"
    for other in imported_rooms(path):
        assert FLOORS[other] <= FLOORS[room], f"{room} imports {other}, which stands above it"


def test_imports_are_found_by_this_test() -> None:
    assert {"errors", "exporting"} <= imported_rooms(PACKAGE / "cli" / "export_command.py")
    assert {"checkpoint", "destination", "trusted", "writing"} <= imported_rooms(PACKAGE / "exporting.py")


def test_torch_is_imported_by_the_trusted_child_and_the_callback_alone() -> None:
    importing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.split(".")[0] in ("torch", "ultralytics") for name in names):
                importing.add(path.name)
    assert importing == {"trusted.py", "ultralytics.py"}


def test_python_s_pickle_is_imported_nowhere() -> None:
    """There is one opinion of what a pickle says: the machine's."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not {name.split(".")[0] for name in names} & {
                    "pickle",
                    "pickletools",
                    "_pickle",
                    "marshal",
                    "shelve",
                }
