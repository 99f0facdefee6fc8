"""The public API: complete, documented, and typed."""

from __future__ import annotations

import ast
import copy
import inspect
import io
import pickle
from pathlib import Path
from typing import Any

import numpy
import pytest
from processes import python

import pywts
from pywts.options import OPTIONS

PACKAGE = Path(pywts.__file__).parent
NAMED = {"w": numpy.zeros(3, numpy.float32)}


def test_all_is_what_type_checkers_see() -> None:
    """Every public name is imported under TYPE_CHECKING, and nothing else is."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.asname for node in checking.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert None not in seen, "`import x as x` is what re-exports"
    assert sorted(map(str, seen)) == sorted(pywts.__all__)


def test_every_name_is_there_and_listed() -> None:
    for name in pywts.__all__:
        assert getattr(pywts, name) is not None
        assert name in dir(pywts)
    assert isinstance(pywts.__version__, str)
    assert len(set(pywts.__all__)) == len(pywts.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pywts' has no attribute 'nothing'"):
        pywts.nothing  # noqa: B018
    assert not hasattr(pywts, "Exporter")


@pytest.mark.parametrize("name", pywts.__all__)
def test_public_name_has_a_docstring(name: str) -> None:
    value = getattr(pywts, name)
    if callable(value):
        assert len((value.__doc__ or "").split()) > 2
        if not isinstance(value, type):
            assert value.__module__.startswith("pywts.")


def test_no_submodule_bears_a_public_name() -> None:
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix in (".py", ".pyi", ".so") or path.is_dir()}
    assert not modules & set(pywts.__all__)


def test_errors_have_one_base() -> None:
    errors = [getattr(pywts, name) for name in pywts.__all__ if name.endswith("Error")]
    assert len(errors) >= 7
    for error in errors:
        assert issubclass(error, pywts.Error)
    assert issubclass(pywts.OptionError, ValueError)
    assert issubclass(pywts.LimitError, pywts.CheckpointError)
    assert not issubclass(pywts.Error, (ValueError, OSError))


def test_export_documents_every_argument() -> None:
    for name in inspect.signature(pywts.export).parameters:
        assert f"{name}:" in (pywts.export.__doc__ or ""), name


def test_options_are_the_arguments_of_export() -> None:
    """One table: the command line and batch rows offer what the function takes, with its defaults."""
    parameters = inspect.signature(pywts.export).parameters
    offered = {option.name: option.default for option in OPTIONS}
    taken = {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("source", "output", "limits", "progress")
    }
    assert offered == taken
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in taken)


def test_result_of_an_export_is_frozen_and_compares_by_value() -> None:
    exported = pywts.export(NAMED, io.BytesIO())
    with pytest.raises(AttributeError, match="Exported is frozen"):
        exported.tensors = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="Exported is frozen"):
        del exported.tensors
    same = exported.replace()
    assert same == exported
    assert hash(same) == hash(exported)
    assert exported.replace(tensors=2) != exported
    assert exported.as_dict()["tensors"] == 1
    assert repr(exported).startswith("Exported(path=None, source='<dict>', tensors=1, values=3, bytes=")
    assert pickle.loads(pickle.dumps(exported)) == exported
    assert copy.deepcopy(exported) == exported


def test_records_refuse_what_they_have_no_field_for() -> None:
    with pytest.raises(TypeError, match="Limits has no field 'opcode'"):
        pywts.Limits(opcode=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Limits has no field 'opcode'"):
        pywts.DEFAULT_LIMITS.replace(opcode=1)
    with pytest.raises(TypeError, match="takes"):
        pywts.Limits(*range(99))
    with pytest.raises(TypeError, match="Kernel lacks supported, active"):
        pywts.Kernel("name")  # type: ignore[call-arg]
    assert pywts.Limits() == pywts.DEFAULT_LIMITS
    assert pywts.Limits(depth=5) == pywts.DEFAULT_LIMITS.replace(depth=5) != pywts.DEFAULT_LIMITS


@pytest.mark.parametrize("name", ["keys", "verbose", "out"])
def test_unknown_argument_is_a_type_error(name: str) -> None:
    for call in (lambda **options: pywts.export(NAMED, io.BytesIO(), **options), lambda **o: pywts.plan(NAMED, **o)):
        with pytest.raises(TypeError, match=name):
            call(**{name: 1})


def test_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_core.pyi").exists()


def test_stub_of_the_native_module_names_what_is_in_it() -> None:
    from pywts import _core

    stub = ast.parse((PACKAGE / "_core.pyi").read_text())
    declared = {node.name for node in stub.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    declared |= {
        node.target.id for node in stub.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    actual = {name for name in vars(_core) if not name.startswith("_")} | {"__version__"}
    assert declared == actual
    for node in stub.body:
        if isinstance(node, ast.ClassDef):
            members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            missing = {name for name in members if not hasattr(getattr(_core, node.name), name)}
            assert not missing, (node.name, missing)


def test_library_prints_nothing(tmp_path: Path) -> None:
    script = (
        "import sys, numpy, pywts\n"
        "named = {'w': numpy.zeros(3), 'epoch': 3}\n"
        "pywts.export(named, sys.argv[1]); pywts.plan(named); pywts.encode(named['w'])\n"
        "pywts.kernels(); pywts.recipes()\n"
    )
    found = python(script, tmp_path / "m.wts")
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_only_the_command_line_prints() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.parts:
            continue
        calls: list[Any] = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("print", "input")], path
