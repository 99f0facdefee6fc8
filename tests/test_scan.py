"""What loading a file would import and call: every global, what is done to it, and what cannot be read to its end."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy
import pytest
from attacks import confuse_by_names, exhaust, lie_in_archives, lie_in_headers, making, reach_outside, run_code
from attacks.making import (
    NONE,
    SYSTEM,
    File,
    archive,
    beside,
    call,
    checkpoint,
    instance,
    legacy,
    many,
    mapping,
    named,
    number,
    storage,
    tensor,
    text,
)
from checkpoints import module, save
from checkpoints import tensor as saved_tensor
from processes import python

import pywts
from pywts.checkpoint.files import SourceFile
from pywts.cli import main
from pywts.inspection.scan_report import ScannedFile

HEAD = b"\x80\x02"


def scanned(path: Path, data: bytes | None = None, name: str = "it.pt") -> ScannedFile:
    """The answer for one file."""
    if data is not None:
        path = path / name
        path.write_bytes(data)
    (found,) = pywts.scan(path).files
    return found


def told(found: ScannedFile, verdict: str = "found") -> set[tuple[str, str]]:
    """(name, how) of the uses of a verdict."""
    return {(use.name, use.how) for use in found.of(verdict)}


# ---------------------------------------------------------------------------------------------------------- the attacks

BENIGN = {
    "run_code: parameter_without_arguments",  # fails, and runs nothing
    "run_code: parameters_around_parameters",
    "lie_in_headers: torchscript_with_code_at_the_top",  # a text that torch's own interpreter reads
}
"""Attacks on the exporter that run nothing where they are loaded."""


@pytest.mark.parametrize("name", making.ATTACKS)
def test_attack_is_never_clean(name: str, tmp_path: Path) -> None:
    attack = making.ATTACKS[name]()
    found = scanned(tmp_path, attack.data)
    runs_code = name.startswith("run_code: ") or b"system" in attack.data or b"Popen" in attack.data
    if runs_code and name not in BENIGN:
        assert found.verdict in ("found", "unreadable")
        if name.startswith("run_code: "):
            assert found.verdict == "found"
    for line in (found.kind, *(part for use in found.uses for part in use.as_dict().values())):
        assert str(line).isprintable()
    assert all(problem.message.isprintable() and problem.where.isprintable() for problem in found.problems)


def test_attacks_were_taken_from_the_list() -> None:
    modules = {name.partition(":")[0] for name in making.ATTACKS}
    assert modules >= {
        module.__name__.rpartition(".")[2]
        for module in (confuse_by_names, exhaust, lie_in_archives, lie_in_headers, reach_outside, run_code)
    }


# -------------------------------------------------------------------------------------------------------- what is there


def test_state_dict_is_clean(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", OrderedDict(w=saved_tensor(numpy.zeros((2, 3), numpy.float32))))
    found = scanned(path)
    assert (found.verdict, found.kind) == ("clean", "zip archive")
    assert {name for name, _ in told(found, "harmless")} >= {"torch._utils._rebuild_tensor_v2", "torch.FloatStorage"}
    (only,) = found.pickles
    assert only.complete
    assert only.name.endswith("/data.pkl")


def test_module_of_a_known_framework_needs_code(tmp_path: Path) -> None:
    model = module("ultralytics.nn.tasks.DetectionModel", parameters={"w": saved_tensor(numpy.zeros(3, numpy.float32))})
    found = scanned(save(tmp_path / "m.pt", {"model": model}))
    assert found.verdict == "needs-code"
    assert ("ultralytics.nn.tasks.DetectionModel", "import") in told(found, "needs-code")


def test_module_of_an_unknown_program_is_found(tmp_path: Path) -> None:
    model = module("somebody.Net", parameters={"w": saved_tensor(numpy.zeros(3, numpy.float32))})
    found = scanned(save(tmp_path / "m.pt", {"model": model}))
    assert told(found) == {("somebody.Net", "import"), ("copyreg._reconstructor", "reduce")}


def test_checkpoint_that_was_cut_short_is_unreadable_and_not_found(tmp_path: Path) -> None:
    """Its storages are no pickles, whatever their bytes look like: here each would be an import by its number."""
    whole = tmp_path / "whole.pt"
    numbers = numpy.frombuffer(b"\x84\x01\x02\x03\x04." * 64, numpy.uint8)
    save(whole, {"a": saved_tensor(numbers), "b": saved_tensor(numbers[:-1])})
    data = whole.read_bytes()
    found = scanned(tmp_path, data[: data.rfind(b"PK\x01\x02") - 50])
    assert found.verdict == "unreadable"
    assert not [use for use in found.uses if use.verdict == "found"]


def test_use_tells_where_and_with_what(tmp_path: Path) -> None:
    data = HEAD + call(named("os", "system"), text("echo \x1b[2J" + "x" * 1000)) + b"."
    (use,) = scanned(tmp_path, data).of("found")
    assert (use.pickle, use.name, use.how, use.called, use.count) == ("", "os.system", "reduce", True, 1)
    assert data[use.position : use.position + 1] == b"R"
    assert use.arguments.startswith("'echo \\x1b[2Jxxx")
    assert len(use.arguments) < 300


def test_position_is_that_in_the_file_of_the_archive(tmp_path: Path) -> None:
    data = checkpoint(beside(SYSTEM))
    (use,) = scanned(tmp_path, data).of("found")
    assert use.pickle == "it/data.pkl"
    assert data[use.position : use.position + 1] == b"R"


def test_import_alone_is_told_from_a_call(tmp_path: Path) -> None:
    found = scanned(tmp_path, HEAD + named("os", "system") + b"0" + call(named("os", "getpid")) + b".")
    assert {(use.name, use.how, use.called) for use in found.uses} == {
        ("os.system", "import", False),
        ("os.getpid", "reduce", True),
    }


def test_names_of_python_2_are_those_that_are_imported(tmp_path: Path) -> None:
    found = scanned(tmp_path, HEAD + call(named("__builtin__", "eval"), text("1")) + b".")
    assert told(found) == {("builtins.eval", "reduce")}
    later = scanned(tmp_path, b"\x80\x03" + named("copy_reg", "_reconstructor") + b".")
    assert told(later) == {("copy_reg._reconstructor", "import")}  # from protocol 3 on nothing is renamed


def test_many_equal_calls_are_one_use(tmp_path: Path) -> None:
    found = scanned(tmp_path, HEAD + (SYSTEM + b"0") * 1000 + b"N.")
    assert sum(use.count for use in found.of("found")) == 1000
    assert len(found.uses) < 100


@pytest.mark.parametrize("around", range(6))
def test_call_that_is_inside_of_its_own_arguments_is_told_in_few_words(around: int, tmp_path: Path) -> None:
    lists = b"]" * around
    found = scanned(tmp_path, HEAD + b"]q\x00" + lists + named("my", "f") + b"h\x00\x85R" + b"a" * around + b"a.")
    calls = [use for use in found.uses if use.how == "reduce"]
    assert [len(use.arguments) < 300 and use.verdict for use in calls] == ["found"]


def test_report_stays_small_whatever_the_pickle_names(tmp_path: Path) -> None:
    lines = b"".join(named("a", f"b{index}") + b"0" for index in range(60_000))
    found = scanned(tmp_path, HEAD + lines + b"N.")
    assert found.verdict == "found"
    assert len(found.uses) <= 20_000
    assert found.problems


# ----------------------------------------------------------------------------------------------- what calls what it has


def _partial(function: bytes) -> bytes:
    return call(named("functools", "partial"), function, text("id"))


CALLERS: dict[str, bytes] = {
    "partial_of_system": _partial(named("os", "system")),
    "partial_that_is_called": _partial(named("torch", "device")) + b")R",
    "map": call(named("builtins", "map"), named("os", "system"), many(text("id"))),
    "methodcaller": call(named("operator", "methodcaller"), text("system"), text("id")),
    "attrgetter": call(named("operator", "attrgetter"), text("system")),
    "getattr_of_a_module": call(named("builtins", "getattr"), named("models.common", "os"), text("system")),
    "getattr_of_a_hidden_name": call(
        named("builtins", "getattr"), named("torch.nn.modules.linear", "Linear"), text("__init__")
    ),
    "getattr_handed_on": mapping({"x": named("builtins", "getattr")}),
    "reconstructor": call(
        named("copyreg", "_reconstructor"), named("subprocess", "Popen"), named("builtins", "object"), NONE
    ),
    "reconstructor_of_a_base": call(
        named("copyreg", "_reconstructor"), named("builtins", "dict"), named("ultralytics.nn.tasks", "DetectionModel"),
        mapping({"activation": text("evil()")}),
    ),
    "newobj_by_call": call(named("copyreg", "__newobj__"), named("subprocess", "Popen"), text("id")),
    "model_that_evaluates_text": call(
        named("ultralytics.nn.tasks", "DetectionModel"), mapping({"activation": text("__import__('os').system('id')")})
    ),
    "model_that_evaluates_text_by_rebuild": call(
        named("torch._tensor", "_rebuild_from_type_v2"), named("ultralytics.nn.tasks", "DetectionModel"),
        named("torch", "Tensor"), many(mapping({"activation": text("evil()")})), NONE,
    ),
    "setstate_that_is_a_model": instance(
        named("torch.nn.modules.linear", "Linear"),
        mapping({"__setstate__": named("ultralytics.nn.tasks", "DetectionModel")}),
    ) + mapping({"activation": text("evil()")}) + b"b",
    "setstate_that_loads_bytes": instance(
        named("torch.nn.modules.linear", "Linear"),
        mapping({"__setstate__": named("torch.storage", "_load_from_bytes")}),
    ),
    "append_that_is_a_model": instance(
        named("torch.nn.modules.linear", "Linear"), mapping({"append": named("models.yolo", "Model")})
    ) + text("evil.yaml") + b"a",
    "state_that_a_call_gives": named("torch.nn.modules.linear", "Linear") + b")\x81"
    + call(named("collections", "OrderedDict"), many(many(text("__setstate__"), named("models.yolo", "Model")))) + b"b",
    "slots_of_a_class": named("torch.nn.modules.linear", "Linear") + many(NONE, mapping({"forward": NONE})) + b"b",
    "file_written_by_an_item_of_a_reconstructed": call(
        named("copyreg", "_reconstructor"), named("torch.nn.modules.container", "ModuleDict"),
        named("builtins", "object"), NONE,
    ) + text("a") + NONE + b"s",
    "file_written_by_an_item": instance(named("ultralytics.utils", "JSONDict"), mapping({})) + text("a") + NONE + b"s",
    "items_of_a_module": named("torch.nn.modules.container", "ModuleDict") + b")\x81" + text("a") + NONE + b"s",
    "metaclass": call(named("builtins", "type"), text("X"), many(), mapping({})),
    "codec_of_programs": call(named("_codecs", "encode"), text("x"), text("rot13")),
    "load_of_what_a_call_gives": call(
        named("torch.storage", "_load_from_bytes"), call(named("builtins", "bytes"), NONE)
    ),
    "loaded_module_that_is_changed": storage() + mapping({"x": NONE}) + b"b",
    "extension": b"\x82\x07" + many(text("id")) + b"R",
    "call_of_a_call": call(named("torch", "device"), text("cpu")) + many(text("id")) + b"R",
    "graph_module": call(
        named("torch.fx.graph_module", "reduce_graph_module"), mapping({"_code": text("x")}), text("")
    ),
    "function_without_arguments": b"(imlp\nmain\n",
    "function_of_a_framework_handed_on": mapping({"x": named("models.yolo", "parse_model")}),
    "partial_of_what_evaluates_text": _partial(named("ultralytics.nn.tasks", "DetectionModel")),
    "partial_that_becomes_another": call(
        named("functools", "partial"), named("torch.nn.modules.batchnorm", "BatchNorm2d")
    ) + many(named("models.yolo", "Model"), many(text("evil.yaml")), mapping({}), NONE) + b"b",
    "partial_with_a_class_that_evaluates_text": call(
        named("functools", "partial"), named("torch.ao.quantization.fake_quantize", "FakeQuantize"),
        named("models.yolo", "Model"),
    ),
    "factory_that_is_a_model": call(named("collections", "defaultdict"), named("models.yolo", "Model")),
    "factory_that_is_a_method": call(
        named("collections", "defaultdict"),
        call(named("builtins", "getattr"), instance(named("models.yolo", "Model"), mapping({})), text("forward")),
    ),
    "method_that_an_optimizer_calls": instance(
        named("torch.optim.sgd", "SGD"),
        mapping({"defaults": call(named("types", "SimpleNamespace")) + mapping({"setdefault": call(
            named("builtins", "getattr"), instance(named("models.yolo", "Model"), mapping({})), text("forward")
        )}) + b"b"}),
    ),
    **{
        f"class_that_an_optimizer_calls_by_its_{table}": instance(
            named("torch.optim.sgd", "SGD"), mapping({table: around(
                call(named("types", "SimpleNamespace")) + mapping({"setdefault": named("models.yolo", "Model")}) + b"b"
            )})
        )
        for table, around in (
            ("defaults", lambda it: it), ("state", lambda it: it), ("param_groups", lambda it: b"](" + it + b"e"),
        )
    },
    "class_that_an_optimizer_of_protocol_0_calls": call(
        named("copy_reg", "_reconstructor"), named("torch.optim.sgd", "SGD"), named("__builtin__", "object"), NONE
    ) + mapping({"defaults": instance(
        named("models.yolo", "Model"), mapping({"setdefault": named("models.yolo", "Model")})
    )}) + b"b",
    "method_that_is_no_forward": call(named("builtins", "getattr"), named("models.yolo", "Model"), text("info")),
    "attribute_by_its_setter": instance(
        named("ultralytics.nn.tasks", "DetectionModel"), many(NONE, mapping({"end2end": b"\x88"}))
    ),
    "options_that_import_what_they_name": instance(
        named("mmengine.config.lazy", "LazyObject"), mapping({"_module": text("antigravity")})
    ),
    "script_object_of_another_class": instance(
        named("torch", "ScriptObject"), many(many(), text("__torch__.torch.classes.somebody.Program"))
    ),
    "dotted_name_of_a_framework": b"\x80\x04" + text("torch.nn.modules.linear") + text("Linear.__init__") + b"\x93",
}  # fmt: skip
"""Bodies of pickles that call, or change, by way of something that is harmless alone."""


@pytest.mark.parametrize("name", CALLERS)
def test_call_by_way_of_something_else_is_found(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, HEAD + CALLERS[name] + b".")
    assert found.verdict == "found", found


ORDINARY: dict[str, bytes] = {
    "bytes_of_protocol_2": call(named("_codecs", "encode"), text("b"), text("latin1")),
    "method_of_a_head": call(named("__builtin__", "getattr"), named("models.yolo", "Detect"), text("forward")),
    "partial_of_a_layer": call(named("functools", "partial"), named("torch.nn.modules.batchnorm", "BatchNorm2d"))
    + many(named("torch.nn.modules.batchnorm", "BatchNorm2d"), many(), mapping({"eps": number(1)}), NONE) + b"b",
    "default_dict": call(named("collections", "defaultdict"), named("builtins", "int")) + text("a") + number(1) + b"s",
    "options": instance(named("argparse", "Namespace"), mapping({"lr": number(1)})),
    "options_of_protocol_0": call(
        named("copy_reg", "_reconstructor"), named("argparse", "Namespace"), named("__builtin__", "object"), NONE
    ) + mapping({"lr": number(1)}) + b"b",
    "options_of_ultralytics": call(named("ultralytics.utils", "IterableSimpleNamespace"))
    + mapping({"lr": NONE}) + b"b",
    "an_optimizer": instance(named("torch.optim.sgd", "SGD"), mapping({
        "defaults": mapping({"lr": number(1)}),
        "state": call(named("collections", "defaultdict"), named("builtins", "dict")) + number(1)
        + mapping({"momentum_buffer": NONE}) + b"s",
        "param_groups": b"](" + mapping({"lr": number(1)}) + b"e",
    })),
    "an_object_with_a_state_of_its_own": call(
        named("copy_reg", "_reconstructor"), named("models.yolo", "Model"), named("__builtin__", "object"), NONE
    ) + mapping({"state": text("idle"), "defaults": NONE}) + b"b",
    "a_bottleneck": instance(named("models.common", "Bottleneck"), mapping({"add": b"\x88", "training": b"\x89"})),
    "class_by_the_loader": many(text("module"), named("torch.nn.modules.linear", "Linear"), text("f"), text("x"))
    + b"Q)\x81" + mapping({"training": b"\x89"}) + b"b",
    "default_dict_of_a_scaler": call(
        named("collections", "defaultdict"), named("torch.amp.grad_scaler", "_refresh_per_optimizer_state")
    ),
    "options_of_mmengine": instance(named("mmengine.config.config", "ConfigDict"), mapping({}))
    + text("a") + NONE + b"s",
    "layer_whose_class_is_written_small": instance(named("models.common", "conv_bn_relu"), mapping({"a": NONE})),
    "model_that_keeps_its_fused_forward": instance(
        named("models.common", "Conv"), mapping({"forward": call(
            named("builtins", "getattr"), instance(named("models.common", "Conv"), mapping({})), text("forward_fuse")
        )})
    ),
    "a_path": call(named("pathlib", "PosixPath"), text("a"), text("b")),
    "subclass_of_tensor": call(
        named("torch._tensor", "_rebuild_from_type_v2"), named("torch._utils", "_rebuild_tensor_v2"),
        named("torch.nn.modules.linear", "Linear"), many(), mapping({"x": NONE}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_what_trainers_write_is_not_found(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, HEAD + ORDINARY[name] + b".")
    assert found.verdict in ("clean", "needs-code"), found.of("found")


# ----------------------------------------------------------------------------------------- real pickles, and the tricks


class Reduced:
    """What pickle writes as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.answer = function, arguments

    def __reduce__(self) -> Any:
        return self.answer


def _evil() -> list[Any]:
    import importlib
    import operator
    import runpy
    import timeit
    import webbrowser

    return [
        Reduced(os.system, "true"),
        Reduced(eval, "1"),
        Reduced(exec, "pass"),
        Reduced(runpy.run_path, "x.py"),
        Reduced(webbrowser.open, "x"),
        Reduced(operator.attrgetter("system"), "x"),
        Reduced(pickle.loads, pickle.dumps(Reduced(os.system, "true"), 0)),
        Reduced(numpy.load, "x.npy"),
        Reduced(importlib.import_module, "x"),
        Reduced(timeit.timeit, "pass"),
        Reduced(Reduced, Reduced(os.system, "true")),
        {"a": [1, (2, Reduced(os.system, "x"))]},
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("index", range(len(_evil())))
def test_call_that_pickle_itself_wrote_is_found(index: int, protocol: int, tmp_path: Path) -> None:
    found = scanned(tmp_path, pickle.dumps(_evil()[index], protocol), "x.pkl")
    assert found.verdict == "found"
    assert any(use.called for use in found.of("found"))


GADGETS = (
    "pip.main", "ensurepip._run_pip", "timeit.timeit", "idlelib.run.Executive.runcode", "asyncio.subprocess.create",
    "asyncio.unix_events._UnixSubprocessTransport._start", "torch._dynamo.guards.GuardBuilder.get", "cProfile.run",
    "torch.utils.bottleneck.__main__.run_autograd_prof", "lib2to3.pgen2.pgen.ParserGenerator.make_label", "doctest.run",
    "numpy.f2py.crackfortran.getlincoef", "pkgutil.resolve_name", "importlib.import_module",
    "code.InteractiveInterpreter",
    "pydoc.locate", "ctypes.CDLL", "distutils.file_util.write_file", "_io.FileIO", "shutil.rmtree", "builtins.open",
    "torch.load", "torch.hub.load", "torch.jit.load", "torch.classes.load_library", "joblib.load", "numpy.load",
    "requests.get", "uuid._get_command_stdout", "venv.create", "http.client.HTTPSConnection", "aiohttp.ClientSession",
    "torch.serialization.load", "_pickle.loads", "_pickle.Unpickler", "marshal.loads", "types.FunctionType", "bdb.Bdb",
    "ultralytics.utils.downloads.safe_download", "torch.utils._config_module.load_config", "posix.system", "nt.system",
)  # fmt: skip
"""Functions by which scanners that go by a list of what is bad were passed."""


@pytest.mark.parametrize("gadget", GADGETS)
def test_function_that_no_list_names_is_found(gadget: str, tmp_path: Path) -> None:
    place, _, name = gadget.rpartition(".")
    found = scanned(tmp_path, HEAD + call(named(place, name), text("x")) + b".")
    assert told(found) == {(gadget, "reduce")}


TRICKS: dict[str, bytes] = {
    "broken_after_the_call": HEAD + SYSTEM + b"\xff",
    "nothing_after_the_call": HEAD + SYSTEM,
    "popped": HEAD + SYSTEM + b"0N.",
    "popped_with_a_mark": HEAD + b"(" + SYSTEM + b"1N.",
    "memo_written_twice": HEAD + named("torch", "device") + b"q\x000" + named("os", "system") + b"q\x000h\x00)R.",
    "duplicated": HEAD + named("os", "system") + b"2)R.",
    "after_the_stop": HEAD + b"N." + HEAD + SYSTEM + b".",
    "after_many_stops": (HEAD + b"N.") * 5000 + HEAD + SYSTEM + b".",
    "protocol_0": b"cos\nsystem\n(S'id'\ntR.",
    "protocol_0_by_inst": b"(S'id'\nios\nsystem\n.",
    "no_protocol": SYSTEM + b".",
    "names_from_the_memo": b"\x80\x04" + text("os") + b"\x94" + text("system") + b"\x940" + b"0h\x00h\x01\x93)R.",
    "behind_a_picture": b"GIF89a..." + b"0" + SYSTEM + b".",
    "behind_an_executable": b"MZ\x90" + b"0" + SYSTEM + b".",
    "behind_64_kib": HEAD + b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0" + SYSTEM + b".",
    "inside_bytes": b"\x80\x03" + b"B" + struct.pack("<I", len(HEAD + SYSTEM + b".")) + HEAD + SYSTEM + b"..",
    "inside_text": HEAD + text((HEAD + SYSTEM + b".").decode("latin-1")) + b".",
    "protocol_0_inside_text": HEAD + text("cos\nsystem\n(S'id'\ntR.") + b".",
    "compressed_inside_bytes": b"\x80\x03" + b"C" + bytes([len(zlib.compress(HEAD + SYSTEM + b"."))])
    + zlib.compress(HEAD + SYSTEM + b".") + b".",
    "before_a_legacy_stream": HEAD + SYSTEM + b"0" + legacy(beside(NONE))[2:],
    "facts_of_a_legacy_stream": b"".join(
        HEAD + part + b"." for part in (number(making.MAGIC), number(1001), SYSTEM, mapping({}), b"]")
    ),
    "keys_of_a_legacy_stream": b"".join(
        HEAD + part + b"." for part in (number(making.MAGIC), number(1001), b"}", mapping({}), SYSTEM)
    ),
    "gzip": gzip.compress(HEAD + SYSTEM + b"."),
    "zlib": zlib.compress(HEAD + SYSTEM + b"."),
    "bzip2": bz2.compress(HEAD + SYSTEM + b"."),
    "xz": lzma.compress(HEAD + SYSTEM + b"."),
    "lzma": lzma.compress(HEAD + SYSTEM + b".", format=lzma.FORMAT_ALONE),
}  # fmt: skip


@pytest.mark.parametrize("name", TRICKS)
def test_hidden_call_is_found(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, TRICKS[name])
    assert found.verdict == "found", found
    assert any(use.name in ("os.system", "posix.system") for use in found.of("found"))


HARM = HEAD + SYSTEM + b"."
ZIPS: dict[str, bytes] = {
    "wrong_checksum": checkpoint(NONE, File("it/more.pkl", HARM, both={"crc": 1})),
    "encrypted_by_its_flag": checkpoint(NONE, File("it/more.pkl", HARM, both={"flags": 1})),
    "encrypted_by_its_local_flag": checkpoint(NONE, File("it/more.pkl", HARM, local={"flags": 1})),
    "encrypted_by_its_central_flag": checkpoint(NONE, File("it/more.pkl", HARM, central={"flags": 1})),
    "name_in_the_local_header": checkpoint(NONE, File("it/more.pkl", HARM, local={"name": b"it/more.txt"})),
    "name_in_the_directory": checkpoint(NONE, File("it/more.pkl", HARM, central={"name": b"it/more.txt"})),
    "name_twice": checkpoint(NONE, File("it/data.pkl", HARM)),
    "sizes": checkpoint(NONE, File("it/more.pkl", HARM, local={"size": 3, "packed": 3})),
    "unknown_method": checkpoint(NONE, File("it/more.pkl", HARM, both={"method": 12})),
    "one_more_file_than_told": archive(File("it/data.pkl", HEAD + b"N."), File("it/more.pkl", HARM), count=1),
    "no_directory": checkpoint(SYSTEM)[:-22],
}


@pytest.mark.parametrize("name", ZIPS)
def test_archive_that_lies_is_never_clean(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, ZIPS[name])
    assert found.verdict in ("found", "unreadable")
    assert found.problems or found.verdict == "found"


@pytest.mark.parametrize("name", ZIPS)
def test_content_of_an_archive_that_lies_is_told_all_the_same(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, ZIPS[name])
    assert ("os.system", "reduce") in told(found)
    assert found.problems


def test_headers_that_lie_in_each_other_are_not_each_read_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = archive(File("a", b""))[:31]
    (tmp_path / "it.pt").write_bytes((header + b"(c") * 300 + b"x" * (4 << 20))
    read = 0
    original = SourceFile.read

    def counted(self: SourceFile, offset: int, size: int) -> bytes:
        nonlocal read
        read += size
        return original(self, offset, size)

    monkeypatch.setattr(SourceFile, "read", counted)
    monkeypatch.setattr("pywts.inspection.unpacking._SEARCHED", 16 << 20)
    found = scanned(tmp_path / "it.pt")
    assert any("searched for by their headers" in problem.message for problem in found.problems)
    assert read < 64 << 20


def test_deflated_content_of_an_archive_without_a_directory_is_told(tmp_path: Path) -> None:
    data = _zip(it__data_pkl=HARM)
    found = scanned(tmp_path, data[: data.index(b"PK\x01\x02")])
    assert ("os.system", "reduce") in told(found)


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name.replace("__", "/").replace("_", "."), data)
    return out.getvalue()


def _npy(objects: bytes, descr: str = "|O") -> bytes:
    return _npy_of(f"'{descr}'", objects)


def _npy_of(descr: str, objects: bytes) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + objects


def _tar(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _ancient(harm_in: str) -> bytes:
    harm = {name: SYSTEM if name == harm_in else b"" for name in ("storages", "tensors", "pickle", "sys_info")}
    values = struct.pack("<q4f", 4, *making.GOOD)
    kind = many(text("0"), text("cpu"), named("torch", "FloatStorage"))
    parts = {
        "sys_info": HEAD + (harm["sys_info"] or b"}") + b".",
        "pickle": HEAD + (harm["pickle"] or NONE) + b".",
        "storages": HEAD + number(1) + b"." + HEAD + kind + b"." + values
        + HEAD + (harm["storages"] or b"]") + b".",
        "tensors": HEAD + number(1) + b"." + HEAD + many(text("1"), text("0"), named("torch", "FloatTensor")) + b"."
        + struct.pack("<iiqqq", 1, 0, 4, 1, 0) + (HEAD + harm["tensors"] + b"." if harm["tensors"] else b""),
    }  # fmt: skip
    return _tar(**parts)


def _renamed(tar: bytes, name: bytes, write: Callable[[int], bytes], *, signed: bool = False) -> bytes:
    """A tar whose first file has another name, and a checksum that is written otherwise."""
    header = bytearray(tar[:512])
    header[:100] = name.ljust(100, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = write(sum(header) - 256 * signed * sum(byte > 127 for byte in header))
    return bytes(header) + tar[512:]


_ALL = b"\x8e" + struct.pack("<Q", 10240 - 9) + b"\x80x"
"""A name that is an opcode with all of a small tar as its argument."""
_NUMPY = b"\x93NUMPY\x01\x00" + struct.pack("<H", 70) + b"{'descr':'<i4','fortran_order':False,'shape':(3,),}   \n"
TARS: dict[str, bytes] = {
    "signed_checksum": _renamed(_ancient("storages"), _ALL, b"%06o\0 ".__mod__, signed=True),
    "checksum_with_a_prefix": _renamed(_ancient("storages"), _ALL, b"0o%05o ".__mod__),
    "checksum_of_base_256": _renamed(_ancient("storages"), _ALL, lambda total: b"\x80" + total.to_bytes(7, "big")),
    "name_of_an_array": _renamed(_ancient("storages"), _NUMPY, b"%06o\0 ".__mod__),
    "name_of_a_zip": _renamed(_ancient("storages"), b"PK\x03\x04", b"%06o\0 ".__mod__),
    "name_of_a_compressed_file": _renamed(_ancient("storages"), b"BZh91AY&SY", b"%06o\0 ".__mod__),
    "name_of_safetensors": _renamed(_ancient("storages"), struct.pack("<Q", 999) + b"{", b"%06o\0 ".__mod__),
}  # fmt: skip


@pytest.mark.parametrize("name", TARS)
def test_tar_is_one_where_python_takes_it_for_one(name: str, tmp_path: Path) -> None:
    """torch.load tries ``tarfile`` before all but zips."""
    with tarfile.open(fileobj=io.BytesIO(TARS[name])) as archive:
        assert "storages" in archive.getnames()
    found = scanned(tmp_path, TARS[name] + b".")
    assert found.verdict == "found", found
    assert ("os.system", "reduce") in told(found)


def _tar_with(name: str, kind: bytes, target: str) -> bytes:
    """A tar with a regular file, ``aa``, and a member of another kind."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for each, type_, link, data in ((name, kind, target, b""), ("aa", tarfile.REGTYPE, "", b"hello")):
            info = tarfile.TarInfo(each)
            info.type, info.linkname, info.size = type_, link, len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE], ids=["hard", "soft", "fifo"])
def test_link_in_a_tar_is_unreadable_where_loaders_take_a_file(kind: bytes, tmp_path: Path) -> None:
    for name in ("storages", "tensors", "pickle", "model/pytorch_model.bin"):
        (tmp_path / "it.bin").write_bytes(_tar_with(name, kind, "aa"))
        (only,) = pywts.scan(tmp_path).files
        assert (only.verdict, only.problems[0].where) == ("unreadable", name)
    (tmp_path / "it.bin").write_bytes(_tar_with("readme", kind, "aa"))
    assert [file.verdict for file in pywts.scan(tmp_path).files] == ["no checkpoint"]


def test_import_in_a_broken_pickle_behind_a_plain_one_is_found(tmp_path: Path) -> None:
    """Its loader has imported that, whatever comes of the rest."""
    (tmp_path / "notes").write_bytes(b"N." + b"csomething\nx\n" + b"\xff")
    (file,) = pywts.scan(tmp_path).files
    assert file.verdict == "found"
    assert file.problems


def test_pickles_in_a_pickle_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps([pickle.dumps(number) for number in range(5)]))
    assert pywts.scan(path).clean
    monkeypatch.setattr("pywts.inspection.unpacking._MOST_PICKLES", 4)
    (file,) = pywts.scan(path).files
    assert (file.verdict, file.problems[0].message) == (
        "unreadable",
        "more than 4 bytes and strings that may be pickles",
    )


def test_text_that_begins_as_a_pickle_does_is_no_checkpoint(tmp_path: Path) -> None:
    """``C`` takes as many bytes as ``o`` says, and a full stop ends the pickle."""
    (tmp_path / "LICENSE").write_bytes(b"Copyright".ljust(113) + b".\n\nRedistribution")
    assert [file.verdict for file in pywts.scan(tmp_path).files] == ["no checkpoint"]
    assert pywts.scan(tmp_path / "LICENSE").files[0].verdict == "unreadable"


def test_member_of_an_unknown_kind_in_a_tar_is_a_file(tmp_path: Path) -> None:
    """As ``tarfile`` extracts it."""
    tar = bytearray(_tar(x=HARM))
    tar[156:157] = b"Z"
    found = scanned(tmp_path, _renamed(bytes(tar), b"x", b"%06o\0 ".__mod__))
    assert ("os.system", "reduce") in told(found)


OBJECTS = (
    "'O,O'",
    "'i4,O'",
    "'2O'",
    "'T'",
    "'\\x4f'",
    "('O', (2,))",
    "[('a', '<i4'), ('b', [('c', '|O')])]",
    "[('a','O',2)]",
    "('V8', [('a', 'O')])",
    "[('a', 'V8', [('b', 'O')])]",
)
"""Types that NumPy pickles."""
PLAIN = ("'|b1'", "'<M8[25ns]'", "'>U7'", "[('a', '<f4', (2, 3)), (('t', 'b'), [('', '|V4')])]", "('<i4', (2,))")


@pytest.mark.parametrize("kind", OBJECTS)
def test_array_of_objects_by_another_name_is_followed(kind: str, tmp_path: Path) -> None:
    for data in (_npy_of(kind, HARM), _zip(x_npy=_npy_of(kind, HARM))):
        assert ("os.system", "reduce") in told(scanned(tmp_path, data, "x.npy"))


@pytest.mark.parametrize("kind", PLAIN)
def test_array_of_plain_values_is_clean(kind: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, _npy_of(kind, bytes(100)), "x.npy").verdict == "clean"


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("name", ["x/a", "x/.data/a.storage"])
def test_array_of_objects_where_a_storage_would_be_is_followed(name: str, packed: int, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed) as made:
        made.writestr("x.pkl", HEAD + b"N.")
        made.writestr(name, _npy(HARM))
    assert ("os.system", "reduce") in told(scanned(tmp_path, out.getvalue(), "x.npz"))
    without_directory = out.getvalue()[: out.getvalue().index(b"PK\x01\x02")]
    assert ("os.system", "reduce") in told(scanned(tmp_path, without_directory, "x.npz"))


INSIDE: dict[str, bytes] = {
    "pickle_of_another_name": checkpoint(NONE, File("it/notes.txt", HARM)),
    "pickle_of_another_name_deflated": _zip(it__data_pkl=HEAD + b"N.", it__notes_txt=HARM),
    "pickle_of_protocol_0_of_another_name": _zip(it__data_pkl=HEAD + b"N.", it__notes_txt=b"cos\nsystem\n(S'id'\ntR."),
    "pickle_in_capitals": _zip(it__DATA_PKL=HARM),
    "pickle_where_storages_are": checkpoint(NONE, File("it/data/more.pkl", HARM)),
    "constants_of_torchscript": _zip(it__data_pkl=HEAD + b"N.", it__constants_pkl=HARM),
    "zip_in_zip": _zip(it__more_zip=_zip(it__data_pkl=HARM)),
    "zip_in_zip_stored": archive(File("it/more.bin", checkpoint(SYSTEM))),
    "tar_in_zip": _zip(it__more_tar=_tar(x=HARM)),
    "zip_in_tar": _tar(x=checkpoint(SYSTEM)),
    "zip_in_gzip": gzip.compress(checkpoint(SYSTEM)),
    "tar_in_gzip": gzip.compress(_tar(x=HARM)),
    "array_of_objects": _npy(HARM),
    "array_of_records_with_objects": _npy(HARM, "O4"),
    "arrays_of_objects": _zip(x_npy=_npy(HARM)),
    "legacy_checkpoint_in_zip": _zip(it__x_pth=legacy(beside(SYSTEM))),
    "ancient_storages": _ancient("storages"),
    "ancient_tensors": _ancient("tensors"),
    "ancient_pickle": _ancient("pickle"),
    "ancient_sys_info": _ancient("sys_info"),
    "zip_at_the_end_of_a_pickle": HEAD + b"N." + checkpoint(SYSTEM),
    "zip_at_the_end_of_a_stream": legacy(beside(NONE)) + checkpoint(SYSTEM),
    "tar_whose_first_name_is_a_pickle": _tar(**{"cos\nsystem\n(S'id'\ntR.": b"x"}),
}


@pytest.mark.parametrize("name", INSIDE)
def test_pickle_inside_of_something_is_found(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, INSIDE[name])
    assert found.verdict == "found", found
    assert ("os.system", "reduce") in told(found)


def test_ancient_checkpoint_without_harm_is_clean(tmp_path: Path) -> None:
    found = scanned(tmp_path, _ancient(""))
    assert (found.verdict, found.kind) == ("clean", "tar of torch before 0.1.10"), found


def test_arrays_of_numbers_are_clean(tmp_path: Path) -> None:
    numpy.save(tmp_path / "x.npy", numpy.zeros(3))
    numpy.savez(tmp_path / "x.npz", a=numpy.zeros(3), b=numpy.zeros(2, "U4"))
    assert [file.verdict for file in pywts.scan(tmp_path).files] == ["clean", "clean"]
    assert scanned(tmp_path, _npy(b"", "__import__('os').system('id')"), "y.npy").verdict == "unreadable"


def test_array_of_harmless_objects_is_clean(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    numpy.save(path, numpy.array([{"a": 1}, defaultdict(int)], dtype=object), allow_pickle=True)
    assert scanned(path).verdict == "clean"


def test_storage_that_is_a_pickle_is_left_alone(tmp_path: Path) -> None:
    """torch.load takes it as numbers."""
    assert scanned(tmp_path, checkpoint(beside(NONE), File("it/data/1", HARM))).verdict == "clean"


def test_storage_whose_header_lies_is_unreadable(tmp_path: Path) -> None:
    found = scanned(tmp_path, checkpoint(NONE, File("it/data/1", HARM, local={"name": b"it/more.pk"})))
    assert found.verdict == "unreadable"


def test_torchscript_needs_code_and_a_package_is_found(tmp_path: Path) -> None:
    script = scanned(
        tmp_path,
        _zip(
            it__data_pkl=HEAD + named("__torch__", "M") + b")\x81.", it__constants_pkl=HEAD + b").", it__code__x_py=b""
        ),
    )
    assert (script.verdict, script.kind) == ("needs-code", "TorchScript archive")
    assert {use.how for use in script.uses} >= {"code", "newobj"}
    package = archive(File("it/.data/extern_modules", b""), File("it/m.py", b"x=1"), File("it/a.pkl", HEAD + b"N."))
    assert told(scanned(tmp_path, package)) == {("it/m.py", "code")}
    both = archive(
        File("it/.data/extern_modules", b""), File("it/m.py", b"x=1"), File("it/constants.pkl", HEAD + b"N.")
    )
    assert told(scanned(tmp_path, both)) == {("it/m.py", "code")}
    outside = scanned(tmp_path, HEAD + named("__torch__", "M") + b".")
    assert outside.verdict == "found"


# -------------------------------------------------------------------------------------------------- what cannot be read


UNREADABLE: dict[str, bytes] = {
    "cut_short": HEAD + beside(NONE)[:-3],
    "unknown_opcode": HEAD + b"}(\xff",
    "lying_frame": b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00" + b"B" + struct.pack("<I", 4) + b"abcd.",
    "garbage_behind": HEAD + b"N." + b"\x00garbage",
    "garbage_behind_a_stream": legacy(beside(NONE)) + b"1234",
    "stream_without_its_storages": legacy(beside(NONE), values=b""),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(20),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "gzip_cut_short": gzip.compress(HEAD + SYSTEM + b".")[:-9],
    "nothing": b"",
    "text": b"not a checkpoint\n",
    "git_lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "object_array_cut_short": _npy(HEAD + b"]("),
    "protocol_of_the_future": b"\x80\x09N.",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_cannot_be_followed_to_its_end_is_not_clean(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, UNREADABLE[name])
    assert found.verdict in ("unreadable", "found")
    assert found.problems


def test_call_that_a_lying_frame_hides_from_others_is_not_clean(tmp_path: Path) -> None:
    """CPython reads on from memory where the frame ends inside an argument; a reader that drops the rest does not."""
    data = b"\x80\x04\x95" + struct.pack("<Q", 4) + text("x" * 40) + b"0" + SYSTEM + b"."
    found = scanned(tmp_path, data)
    assert found.verdict == "unreadable"
    assert "frame" in found.problems[0].message


def test_bomb_is_refused_within_bounds(tmp_path: Path) -> None:
    limits = pywts.DEFAULT_LIMITS.replace(pickle_bytes=1 << 20)
    path = tmp_path / "it.pkl.gz"
    path.write_bytes(gzip.compress(HEAD + b"N0" * (4 << 20) + b"N."))
    (found,) = pywts.scan(path, limits=limits).files
    assert found.verdict == "unreadable"
    assert "more than" in found.problems[0].message


def test_few_bytes_do_not_stand_for_many_objects(tmp_path: Path) -> None:
    many_objects = HEAD + b"]0" * 1_100_000 + b"N."
    assert scanned(tmp_path, many_objects).verdict == "clean"
    for data in (gzip.compress(many_objects), _zip(it__data_pkl=many_objects)):
        found = scanned(tmp_path, data)
        assert "more objects" in found.problems[0].message


def test_memory_does_not_grow_with_what_a_bomb_unpacks_to(tmp_path: Path) -> None:
    pieces = zlib.compressobj(1)
    bomb = pieces.compress(HEAD) + b"".join(pieces.compress(b"N0" * (1 << 20)) for _ in range(200)) + pieces.flush()
    (tmp_path / "it.bin").write_bytes(bomb)
    script = "import pywts, sys; print(pywts.scan(sys.argv[1]).files[0].verdict, open('/proc/self/status').read())"
    verdict, *status = python(script, tmp_path / "it.bin").stdout.split()
    memory = status[status.index("VmHWM:") + 1]
    assert verdict == "unreadable"
    assert int(memory) < 600_000


def test_unpacked_content_is_the_same_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pywts.inspection.held._IN_MEMORY", 10)
    for name in ("gzip", "zlib", "bzip2", "xz", "lzma"):
        assert ("os.system", "reduce") in told(scanned(tmp_path, TRICKS[name]))
    for name in ("zip_in_zip", "tar_in_gzip", "pickle_of_another_name_deflated", "arrays_of_objects"):
        assert ("os.system", "reduce") in told(scanned(tmp_path, INSIDE[name]))


def test_damaged_compressed_file_is_followed_as_far_as_it_goes(tmp_path: Path) -> None:
    large = HEAD + SYSTEM + b"0" + b"N0" * (1 << 20) + b"N."
    damaged = {
        "cut_short": gzip.compress(large)[:-9],
        "wrong_checksum": gzip.compress(large)[:-8] + bytes(8),
        "small_and_wrong": gzip.compress(HARM)[:-8] + bytes(8),
        "with_more": gzip.compress(HARM) + gzip.compress(b"more"),
    }
    for name, data in damaged.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "it.gz").write_bytes(data)
        (only,) = pywts.scan(tmp_path / name).files
        assert only.problems
        assert ("os.system", "reduce") in told(only) or name == "small_and_wrong"
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "it.gz").write_bytes(gzip.compress(b"a text\n") * 2)
    assert [file.verdict for file in pywts.scan(tmp_path / "text").files] == ["no checkpoint"]


def test_archives_inside_of_each_other_end(tmp_path: Path) -> None:
    data = HARM
    for _ in range(40):
        data = archive(File("it.zip", data))
    found = scanned(tmp_path, data)
    assert found.verdict == "unreadable"
    assert "levels" in found.problems[0].message


# -------------------------------------------------------------------------------------------------------------- folders


def test_folder_is_gone_through_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a" / "again.pt").symlink_to(tmp_path / "a" / "b" / "harm.pt")
    os.mkfifo(tmp_path / "a" / "fifo")
    (tmp_path / "a" / "b" / "harm.pt").write_bytes(checkpoint(SYSTEM))
    (tmp_path / "good.pt").write_bytes(checkpoint(beside(NONE)))
    (tmp_path / "readme.md").write_text("# about\n")
    (tmp_path / "broken.pt").write_bytes(HEAD + b"}(")
    report = pywts.scan(tmp_path)
    verdicts = sorted(file.verdict for file in report.files)
    assert verdicts == ["clean", "found", "no checkpoint", "no checkpoint", "unreadable"]
    assert report.exit_code() == 1
    assert not report.clean


BYTEARRAY = b"\x96" + struct.pack("<Q", 1) + b"a"
LONG = b"\x8b" + struct.pack("<I", 2 << 20) + bytes(2 << 20)
ON = b"0cos\nsystem\n(S'id'\ntR."
GO_ON: dict[str, bytes] = {
    "append_to_a_bytearray": BYTEARRAY + b"(K\x01e" + ON,
    "append_one_to_a_bytearray": BYTEARRAY + b"K\x01a" + ON,
    "item_of_a_bytearray": BYTEARRAY + b"K\x00K\x01s" + ON,
    "long_integer": LONG + ON,
    "hexadecimal_integer": b"L0x" + b"1" * (4 << 20) + b"L\n" + ON,
    "frame_that_ends_inside": b"\x95" + struct.pack("<Q", 4) + b"X" + struct.pack("<I", 9) + b"x" * 9 + ON,
    "slice_of_a_list": b"]cbuiltins\nslice\n(NNtR]s" + ON,
}  # fmt: skip
"""Pickles that name no protocol, and in which CPython goes on where the machine stops."""


@pytest.mark.parametrize("name", GO_ON)
def test_call_behind_what_the_machine_refuses_is_unreadable_in_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "optimizer.bin").write_bytes(GO_ON[name])
    (only,) = pywts.scan(tmp_path).files
    assert only.verdict == "unreadable"
    assert scanned(tmp_path, _zip(it__data_pkl=HEAD + b"N.", it__optimizer=GO_ON[name])).verdict == "unreadable"


def test_pickle_over_the_limit_is_unreadable_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "it.bin").write_bytes(b"B" + struct.pack("<I", 2 << 20) + bytes(2 << 20) + ON)
    for limits in (pywts.DEFAULT_LIMITS.replace(pickle_bytes=1 << 20), pywts.DEFAULT_LIMITS.replace(opcodes=1)):
        (only,) = pywts.scan(tmp_path, limits=limits).files
        assert only.verdict == "unreadable"


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


def test_what_only_begins_as_safetensors_is_followed(tmp_path: Path) -> None:
    for mid in (b"", BYTEARRAY + b"(K\x01e"):
        data = b"B" + struct.pack("<I", 4) + b"\0\0\0{0" + mid + ON + bytes(2000)
        assert scanned(tmp_path, data).verdict in ("found", "unreadable")
    good = _safetensors()
    assert (scanned(tmp_path, good).verdict, scanned(tmp_path, good).kind) == ("clean", "safetensors")
    assert scanned(tmp_path, gzip.compress(good)).kind == "safetensors"
    damaged = scanned(tmp_path, good[:-1], "it.safetensors")
    assert damaged.verdict == "unreadable"
    assert "damaged safetensors" in damaged.problems[0].message
    large = struct.pack("<Q", 1 << 25) + b"{" + b" " * (1 << 25)
    assert "header" in scanned(tmp_path, large).problems[0].message


WRAPPERS = ("joblib.numpy_pickle NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle NDArrayWrapper")
JOBLIB: dict[str, bytes] = {
    "numbers_that_hide_opcodes": b"}b" + b"B" + struct.pack("<I", len(ON)) + ON + b".",
    "a_pickle_with_its_own_memo": b"}b" + HEAD + b"h\x00." + b"N.",
    "state_of_none": b"N.",
    "not_even_made": b".",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", JOBLIB)
def test_array_of_joblib_is_unreadable(name: str, wrapper: str, tmp_path: Path) -> None:
    """Its loader reads numbers, or another pickle, from amid the opcodes."""
    made = named(*wrapper.split()) + (b"" if name == "not_even_made" else b")\x81")
    found = scanned(tmp_path, HEAD + made + JOBLIB[name], "it.joblib")
    assert found.verdict in ("unreadable", "found")
    assert any("joblib" in problem.message for problem in found.problems)


def test_archive_without_pickles_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_bytes(_zip(notes_txt=b"hello"))
    assert [file.verdict for file in pywts.scan(tmp_path).files] == ["no checkpoint"]
    assert scanned(tmp_path / "notes.zip").verdict == "unreadable"


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40)


@pytest.mark.parametrize("data", [PNG, archive(File("it/results.png", PNG))], ids=["itself", "in an archive"])
def test_image_is_no_pickle_with_a_persistent_id(data: bytes, tmp_path: Path) -> None:
    """The first opcodes of a PNG: False, and a persistent id up to the end of the line."""
    assert told(scanned(tmp_path, data, "results.png")) == set()


def test_import_of_a_broken_text_is_found_where_the_name_promises_a_pickle(tmp_path: Path) -> None:
    data = b"cbuiltins\nexec\n(X>\nprint('harm')tR."
    assert told(scanned(tmp_path, data, "it.pkl")) == {("builtins.exec", "import")}
    assert scanned(tmp_path, data, "it.txt").verdict == "unreadable"


def test_file_without_a_pickle_is_called_what_it_is(tmp_path: Path) -> None:
    assert scanned(tmp_path, b"").kind == "empty"
    assert scanned(tmp_path, PNG).kind == "an image (PNG)"


def test_lzma_of_any_dictionary_is_unpacked(tmp_path: Path) -> None:
    for size in (1 << 16, 1 << 22):
        chosen = [{"id": lzma.FILTER_LZMA1, "dict_size": size}]
        data = lzma.compress(HARM, lzma.FORMAT_ALONE, filters=chosen)
        assert told(scanned(tmp_path, data)) == {("os.system", "reduce")}


def test_files_beside_a_model_are_no_checkpoints(tmp_path: Path) -> None:
    """What lies in the folders of models: texts, tables, raw numbers under common names."""
    raw = bytes(range(256)) * 40
    beside_it = {"model.bin": raw, "tokenizer.model": b"\n\x0e\n\x05<unk>" + raw, "config.json": b"{}"}
    beside_it["vocab.txt"] = b"c\na\n"
    beside_it["i.yaml"] = b"common:\n  names: x\n"
    beside_it["results.png"] = PNG
    beside_it["notes.tar"] = _tar(notes_txt=b"hello").replace(b"notes_txt", b"PaxHead\r\n", 1)
    for name, data in beside_it.items():
        (tmp_path / name).write_bytes(data)
    assert {file.verdict for file in pywts.scan(tmp_path).files} == {"no checkpoint"}
    (tmp_path / "pytorch_model.bin").write_bytes(raw)
    assert {file.verdict for file in pywts.scan(tmp_path).files} == {"no checkpoint", "unreadable"}


def test_missing_file_is_in_the_report(tmp_path: Path) -> None:
    found = scanned(tmp_path / "none.pt")
    assert found.verdict == "unreadable"
    assert found.problems[0].message.startswith("no such file")


def test_no_path_is_an_error() -> None:
    with pytest.raises(TypeError):
        pywts.scan()


# ----------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file of each verdict."""
    made = {
        "clean": checkpoint(beside(NONE)),
        "needs-code": checkpoint(making.module({"w": tensor()})),
        "found": checkpoint(SYSTEM),
        "unreadable": HEAD + b"}(",
        "both": HEAD + SYSTEM + b"\xff",
    }
    for name, data in made.items():
        (tmp_path / f"{name}.pt").write_bytes(data)
    return {name: tmp_path / f"{name}.pt" for name in made}


CODES = {"clean": 0, "needs-code": 0, "found": 1, "unreadable": 2, "both": 1}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("flag", [None, "--json", "--sarif", "--quiet", "--all"])
def test_exit_code(name: str, flag: str | None, files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(files[name]), *([flag] if flag else [])]) == CODES[name]
    assert bool(capsys.readouterr().out) == (flag != "--quiet")


def test_strict_counts_needs_code_as_found(files: dict[str, Path]) -> None:
    assert main(["scan", "-q", "--strict", str(files["needs-code"])]) == 1
    assert main(["scan", "-q", "--strict", str(files["clean"])]) == 0


def test_found_counts_more_than_unreadable(files: dict[str, Path]) -> None:
    assert main(["scan", "-q", str(files["unreadable"]), str(files["found"])]) == 1
    assert main(["scan", "-q", str(files["unreadable"]), str(files["clean"])]) == 2


def test_wrong_usage_is_2() -> None:
    for arguments in ([], ["--json", "--sarif", "x"], ["--nothing", "x"]):
        assert main(["scan", *arguments]) == 2


def test_summary_of_a_folder(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main(["scan", str(files["found"].parent)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "5 files: 2 found, 1 unreadable, 1 needs-code, 1 clean"
    assert any("os.system('touch /tmp/pwned')" in line for line in lines)


SARIF: dict[str, Any] = {
    "log": {"$schema": str, "version": str, "runs": ["run"]},
    "run": {"tool": "tool", "columnKind": str, "results": ["result"]},
    "tool": {"driver": "driver"},
    "driver": {"name": str, "version": str, "rules": ["rule"]},
    "rule": {"id": str, "shortDescription": "message", "defaultConfiguration": "configuration"},
    "configuration": {"level": str},
    "result": {
        "ruleId": str, "ruleIndex": int, "level": str, "message": "message", "locations": ["location"],
        "properties": dict,
    },
    "message": {"text": str},
    "location": {"physicalLocation": "physical", "logicalLocations": ["logical"]},
    "logical": {"fullyQualifiedName": str},
    "physical": {"artifactLocation": "artifact", "region": "region"},
    "artifact": {"uri": str},
    "region": {"byteOffset": int, "byteLength": int},
}  # fmt: skip
"""The objects of SARIF 2.1.0 that are used, with the types of their properties, after chapter 3 of the standard."""

OPTIONAL = {"properties", "logicalLocations"}


def _check_sarif(kind: Any, value: Any) -> None:
    if isinstance(kind, list):
        assert isinstance(value, list)
        for each in value:
            _check_sarif(kind[0], each)
    elif isinstance(kind, str):
        fields = SARIF[kind]
        assert fields.keys() - OPTIONAL <= value.keys() <= fields.keys()
        for name, part in value.items():
            _check_sarif(fields[name], part)
    else:
        assert type(value) is kind


def test_sarif_is_what_the_standard_says(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--sarif", str(files["found"].parent)]) == 1
    log = json.loads(capsys.readouterr().out)
    _check_sarif("log", log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    results = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert set(results) == {("found", "error"), ("unreadable", "warning"), ("needs-code", "note")}
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region["byteOffset"] >= 0


def test_sarif_names_the_file_by_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a b#\u202e.pt"
    path.write_bytes(HARM)
    main(["scan", "--sarif", str(path)])
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == str(path)
    assert uri.isascii()
    assert not set(uri) & set(" #")


def test_json_has_a_version_and_every_field(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    main(["scan", "--json", str(files["found"])])
    told_all = json.loads(capsys.readouterr().out)
    assert (told_all["schema"], told_all["version"]) == ("pywts scan", 1)
    assert told_all["counts"] == {"found": 1, "unreadable": 0, "needs-code": 0, "clean": 0, "no checkpoint": 0}
    (file,) = told_all["files"]
    assert set(file) == {"path", "kind", "verdict", "pickles", "uses", "problems"}
    (use,) = file["uses"]
    assert use["name"] == "os.system"
    assert set(use) == {
        "pickle", "position", "name", "how", "called", "arguments", "count", "verdict", "reason",
    }  # fmt: skip


@pytest.mark.parametrize("flag", [None, "--all", "--json", "--sarif"])
def test_nothing_of_a_file_reaches_the_terminal_raw(
    flag: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "\x1b[2J\u202e\x07\x9b"
    body = call(named(f"os{bad}", f"sys{bad}"), text(bad)) + mapping({bad: text(bad)}) + b"b"
    data = archive(File(f"it{bad}/data.pkl", b"\x80\x04" + body + b"."), File(f"it{bad}/x.pkl", b"\x80\x04}("))
    path = tmp_path / f"x{bad}.pt"
    path.write_bytes(data)
    assert main(["scan", str(path), *([flag] if flag else [])]) == 1
    out = capsys.readouterr()
    assert (out.out + out.err).replace("\n", "").isprintable()
