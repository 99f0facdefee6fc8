"""Harmless names with values that make them harmful: forged dtypes, keywords, objects whose methods they run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from attacks.making import FALSE, NONE, TRUE, call, instance, many, mapping, named, number, text

import pywts
from pywts.inspection import quiet
from pywts.inspection.scan_report import ScannedFile

HEAD = b"\x80\x03"


def scanned(path: Path, body: bytes) -> ScannedFile:
    """The answer for a pickle."""
    (path / "it.pkl").write_bytes(HEAD + body + b".")
    (found,) = pywts.scan(path / "it.pkl").files
    return found


# ---------------------------------------------------------------------------------------------------------------- NumPy

RAW = b"C\x08ABCDEFGH"


def dtype(letter: str, *state: bytes) -> bytes:
    """A dtype with the state that it is given."""
    made = call(named("numpy", "dtype"), text(letter), FALSE, TRUE)
    return made + many(*state) + b"b" if state else made


def array(*state: bytes) -> bytes:
    """An array, filled by its state."""
    made = call(named("numpy._core.multiarray", "_reconstruct"), named("numpy", "ndarray"), many(number(0)), b"C\x01b")
    return made + many(*state) + b"b"


def fields(of: bytes, flags: int, size: int = 8, offset: int = 0) -> tuple[bytes, ...]:
    """The state of a dtype with one field."""
    table = mapping({"a": many(of, number(offset))})
    return (number(3), text("|"), NONE, many(text("a")), table, number(size), number(1), number(flags))


def plain(flags: int, version: int = 3, size: int = -1) -> tuple[bytes, ...]:
    """That of one without fields."""
    return (number(version), text("|"), NONE, NONE, NONE, number(size), number(-1), number(flags))


def filled(kind: bytes, values: bytes = RAW, count: int = 1) -> bytes:
    """An array of a dtype."""
    return array(number(1), many(number(count)), kind, FALSE, values)


OBJECTS = dtype("O8", *plain(63))
MODEL = instance(named("ultralytics.nn.tasks", "DetectionModel"), mapping({"yaml": NONE}))
RANDOM = "numpy.random._pickle"

FORGED: dict[str, bytes] = {
    **{f"object_field_with_flags_{flags}": filled(dtype("V8", *fields(OBJECTS, flags))) for flags in (0, 1, 16, 27)},
    "object_field_in_a_field": dtype("V8", *fields(dtype("V8", *fields(OBJECTS, 16)), 16)),
    "object_field_that_comes_after_the_array": dtype("V8") + b"q\x05" + filled(b"h\x05")
    + b"h\x05" + many(*fields(OBJECTS, 27)) + b"b\x87",
    "object_field_of_a_dtype_without_state": dtype("V8", *fields(call(named("numpy", "dtype"), text("O8,V4")), 16)),
    "subarray_of_objects": dtype("V8", number(3), text("|"), many(OBJECTS, many(number(1))), NONE, NONE, number(8),
                                 number(1), number(0)),
    "objects_without_their_flags": filled(dtype("O8", *plain(0))),
    "objects_without_any_flags": filled(dtype("O8", *plain(0)[:-1])),
    "objects_with_flags_beyond_their_width": dtype("O8", *plain((1 << 64) + 16)),
    "numbers_with_flags_of_objects": dtype("f8", *plain(63)),
    "state_twice": dtype("V8", *fields(dtype("f8"), 16)) + many(*fields(OBJECTS, 16)) + b"b",
    "state_of_another_size": dtype("V8", *plain(0, size=1 << 30)),
    "field_beyond_the_end": dtype("V8", *fields(dtype("f8"), 16, offset=8)),
    "field_before_the_beginning": dtype("V8", *fields(dtype("f8"), 16, offset=-8)),
    "dtype_by_new": named("numpy", "dtype") + many(text("V8"), FALSE, TRUE) + b"\x81"
    + many(*fields(OBJECTS, 16)) + b"b",
    "dtype_by_copyreg": call(named("copyreg", "__newobj__"), named("numpy", "dtype"), text("V8"), FALSE, TRUE)
    + many(*fields(OBJECTS, 16)) + b"b",
    "dtype_by_another_name": call(named("numpy.dtypes", "dtype"), text("V8"), FALSE, TRUE)
    + many(*fields(OBJECTS, 16)) + b"b",
    "dtype_by_a_tag": call(named("torch.jit._pickle", "restore_type_tag"), dtype("V8"), text("x"))
    + many(*fields(OBJECTS, 16)) + b"b",
    "list_that_is_too_short": filled(OBJECTS, b"](Ne", 1 << 20),
    "buffer_of_objects": call(named("numpy", "ndarray"), many(number(1)), text("O"), RAW),
    "scalar_of_objects": call(
        named("numpy._core.multiarray", "scalar"), call(named("numpy", "dtype"), text("O8,O8")), b"C\x10" + RAW[2:] * 2
    ),
    "keyword_that_is_an_address": named("torch", "FloatTensor") + b")" + mapping({"cdata": number(4919)}) + b"\x92",
    "keyword_that_is_an_allocator": named("torch", "UntypedStorage") + b")" + mapping({"allocator": number(4919)})
    + b"\x92",
    "keyword_by_copyreg": call(
        named("copyreg", "__newobj_ex__"), named("torch", "FloatTensor"), many(), mapping({"cdata": number(4919)})
    ),
    "generator_of_what_the_pickle_names": call(
        named(RANDOM, "__generator_ctor"), text("evil.yaml"), named("ultralytics.nn.tasks", "DetectionModel")
    ),
    "random_state_of_what_the_pickle_names": call(
        named(RANDOM, "__randomstate_ctor"), text("evil.yaml"), named("ultralytics.nn.tasks", "DetectionModel")
    ),
    "bits_of_what_the_pickle_names": call(
        named(RANDOM, "__bit_generator_ctor"), named("ultralytics.nn.tasks", "DetectionModel")
    ),
    "state_of_bits_that_is_an_object": call(named(RANDOM, "__bit_generator_ctor"), text("MT19937")) + MODEL + b"b",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_value_that_no_pickler_writes_is_found(name: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, FORGED[name]).verdict == "found"


DTYPES: tuple[Any, ...] = (
    "f4", ">f8", "?", "c16", "U3", ">U3", "U0", "S3", "S0", "V8", "M8[ns]", "m8[3us]", "O", "g",
    [("a", "f4"), ("b", "i8")], [("a", "f4", (2, 3)), ("b", "U3")], [("a", [("b", "M8[ns]")])],
    [(("title", "a"), "f4")], [], {"names": ["a"], "formats": ["f4"], "offsets": [4], "itemsize": 16}, ("f4", (2, 3)),
)  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_numpy_writes_is_clean(protocol: int, tmp_path: Path) -> None:
    dtypes = [
        *map(numpy.dtype, DTYPES),
        numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
        *(numpy.dtype(letter, metadata={"vlen": str}) for letter in ("f4", "M8[s]", "O")),  # type: ignore[call-overload]
    ]
    arrays = [numpy.zeros(shape, kind) for kind in dtypes for shape in ((), (0,), (2, 3))]
    scalars = [array[0, 0] for array in arrays if array.ndim == 2 and array.dtype != object]
    random = [numpy.random.RandomState(1), numpy.random.default_rng(1), numpy.random.MT19937(1)]
    objects = numpy.array([{"a": 1}, None, "x", numpy.zeros(2)], object)
    path = tmp_path / "it.pkl"
    path.write_bytes(pickle.dumps([dtypes, arrays, scalars, random, objects], protocol))
    (found,) = pywts.scan(path).files
    assert found.verdict == "clean", found.of("found")


# ------------------------------------------------------------------------------------------------- a framework's object

SPACE = call(named("types", "SimpleNamespace"))
LOOKED_INTO: dict[str, bytes] = {
    "list": call(named("builtins", "list"), MODEL),
    "list_in_a_list": call(named("builtins", "set"), b"](" + MODEL + b"e"),
    "keys": call(named("collections", "OrderedDict"), b"](" + b"](" + MODEL + NONE + b"ee"),
    "mapping": call(named("collections", "OrderedDict"), MODEL),
    "counted": call(named("collections", "Counter"), b"](" + MODEL + b"e"),
    "factory_and_mapping": call(named("collections", "defaultdict"), NONE, MODEL),
    "text": call(named("builtins", "str"), MODEL),
    "text_of_a_list": call(named("builtins", "str"), b"](" + MODEL + b"e"),
    "text_by_copyreg": call(
        named("copyreg", "_reconstructor"), named("easydict", "EasyDict"), named("builtins", "str"),
        b"](" + MODEL + b"e",
    ),
    "path": call(named("pathlib", "PosixPath"), MODEL),
    "tensor": call(named("torch", "Tensor"), MODEL),
    "parameter": call(named("torch._utils", "_rebuild_parameter"), MODEL, TRUE, NONE),
    "parameter_with_state": call(named("torch._utils", "_rebuild_parameter_with_state"), MODEL, TRUE, NONE, NONE),
    "class_as_an_attribute": call(
        named("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
        SPACE + mapping({"to": named("models.yolo", "Model")}) + b"b", NONE, text("evil.yaml"), FALSE,
    ),
    "attributes_that_follow": SPACE + b"q\x07" + call(named("uuid", "UUID"), b"h\x07")
    + b"h\x07" + mapping({"replace": named("models.yolo", "Model")}) + b"b\x87",
    "value_of_an_enumeration": call(
        named("torchvision.transforms.functional", "InterpolationMode"), MODEL
    ),
    "appended_to": call(named("torch.jit._pickle", "build_intlist"), MODEL) + NONE + b"a",
    "tag_around_it": call(
        named("builtins", "list"), call(named("torch.jit._pickle", "restore_type_tag"), MODEL, text("x"))
    ),
    "in_a_cycle": b"]q\x07(h\x07" + MODEL + b"e" + call(named("builtins", "set"), b"h\x07"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKED_INTO)
def test_object_of_a_framework_that_a_harmless_call_looks_into_is_found(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, LOOKED_INTO[name])
    assert found.verdict == "found"


PLAIN_TABLES = {"_parameters": mapping({}), "_modules": mapping({})}


def attribute_of(tables: dict[str, bytes], around: bool = False) -> bytes:
    """A method of a module with some tables, or of one that it is a child of."""
    owner = instance(named("models.common", "Conv"), mapping(tables))
    if around:
        owner = instance(named("models.common", "Conv"), mapping({**PLAIN_TABLES, "_modules": mapping({"a": owner})}))
    return call(named("builtins", "getattr"), owner, text("forward_fuse"))


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("table", ["_parameters", "_buffers", "_modules"])
def test_method_of_a_module_whose_tables_are_objects_is_found(table: str, around: bool, tmp_path: Path) -> None:
    """``Module.__getattr__`` looks into them for a name that the class does not have."""
    assert scanned(tmp_path, attribute_of(PLAIN_TABLES, around)).verdict == "needs-code"
    assert scanned(tmp_path, attribute_of({**PLAIN_TABLES, table: MODEL}, around)).verdict == "found"


def test_object_of_a_framework_that_is_given_a_state_twice_is_found(tmp_path: Path) -> None:
    assert scanned(tmp_path, MODEL).verdict == "needs-code"
    assert scanned(tmp_path, MODEL + mapping({}) + b"b").verdict == "found"


KEPT: dict[str, bytes] = {
    "pairs": call(named("collections", "OrderedDict"), b"](" + b"](" + text("0") + MODEL + b"ee"),
    "items": call(named("collections", "OrderedDict")) + text("0") + MODEL + b"s",
    "attribute": SPACE + mapping({"model": MODEL}) + b"b",
    "list": call(named("builtins", "list"), b"](" + MODEL + b"e"),
    "deque": call(named("collections", "deque"), many(), number(3)) + MODEL + b"a",
    "list_of_torchscript": call(named("torch.jit._pickle", "restore_type_tag"), b"](" + MODEL + b"e", text("x")),
    "array": filled(OBJECTS, b"](" + MODEL + b"e"),
    "options_of_protocol_0": call(
        named("copyreg", "_reconstructor"), named("easydict", "EasyDict"), named("builtins", "dict"),
        mapping({"model": MODEL}),
    ),
    "beside": many(MODEL, call(named("builtins", "set"), b"](" + text("a") + b"e")),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_object_of_a_framework_that_is_only_kept_needs_code(name: str, tmp_path: Path) -> None:
    found = scanned(tmp_path, KEPT[name])
    assert found.verdict == "needs-code", found.of("found")


# ------------------------------------------------------------------------------------------------------ many that share


def _shared(big: bytes, kind: bytes, use: bytes, before: bytes = b"") -> bytes:
    """40,000 uses of what is big (0 in the memo) and of a kind (1)."""
    return before + big + b"q\x00" + kind + b"q\x01" + b"00" + (use + b"0") * 40_000 + NONE


def _table(count: int) -> bytes:
    return b"}(" + b"".join(b"J" + index.to_bytes(4, "little") + NONE for index in range(count)) + b"u"


_BUILT = b"h\x01)\x81h\x00b"
_SGD = named("torch.optim.sgd", "SGD")
SHARED: dict[str, bytes] = {
    "state_of_an_optimizer": _shared(mapping({"state": _table(40_000)}), _SGD, _BUILT),
    "groups_of_an_optimizer": _shared(mapping({"param_groups": b"](" + b"}" * 80_000 + b"e"}), _SGD, _BUILT),
    "table_in_the_state_of_an_optimizer": _shared(_table(40_000), _SGD, b"h\x01)\x81}" + text("state") + b"h\x00sb"),
    "state_beside_getattr": _shared(
        _table(40_000), named("torch.nn.modules.linear", "Linear"), _BUILT,
        named("builtins", "getattr") + b"0",
    ),
    "keyword_of_a_partial": _shared(
        _table(40_000), named("functools", "partial"), b"h\x01h\x02h\x00\x86R",
        named("torch.nn.modules.linear", "Linear") + b"q\x020",
    ),
    "opaque_state": _shared(
        _table(40_000), named("torch.nn.modules.linear", "Linear"), b"h\x01)\x81h\x00h\x02\x86b",
        call(named("collections", "OrderedDict")) + b"q\x020",
    ),
    "arguments": _shared(
        many(b"](" + NONE * 80_000 + b"e"), named("builtins", "set"), b"h\x01h\x00R",
        named("torch.nn.modules.linear", "Linear") + b"0",
    ),
    "arguments_with_an_object": _shared(
        b"](" + NONE * 40_000 + MODEL + b"e", named("builtins", "set"), b"h\x01h\x00\x85R",
    ),
    "many_arguments": _shared(b"(" + NONE * 80_000 + b"t", named("functools", "partial"), b"h\x01h\x00R"),
    "arguments_of_many_names": b"".join(
        b"(" + before * 8 + NONE * 9_000 + b"tq" + bytes([index]) + b"0"
        for index, before in enumerate((b"", b"h\x00", b"h\x01", b"h\x02"))
    ) + b"".join(named("a", f"b{index}") + b"h\x03\x85R0" for index in range(19_000)) + NONE,
    "fields_of_a_dtype": _shared(
        b"}(" + b"".join(text(f"f{index}") + many(dtype("f8"), number(0)) for index in range(20_000)) + b"u",
        named("numpy", "dtype"),
        b"h\x01" + many(text("V8"), FALSE, TRUE) + b"R("
        + number(3) + text("|") + NONE + b"(th\x00" + number(8) + number(1) + number(16) + b"tb",
    ),
}  # fmt: skip
"""Pickles of 1 MB or so that are judged at once, and took an hour where each use looked through what it shares."""

TIMEOUT = 120


@pytest.mark.parametrize("name", SHARED)
def test_what_many_share_is_looked_through_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "it.pkl"
    path.write_bytes(HEAD + SHARED[name] + b".")
    program = "import sys, pywts; print(pywts.scan(sys.argv[1]).files[0].verdict)"
    environment = {**os.environ, "PYTHONPATH": str(Path(pywts.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=TIMEOUT, env=environment
    )
    assert ran.stdout.strip() in ("clean", "needs-code", "found"), ran.stderr


def test_nested_state_is_no_recursion(tmp_path: Path) -> None:
    nested = NONE + b"\x85" * 100_000
    body = (
        named("torch.nn.modules.linear", "Linear") + b")\x81" + many(nested, call(named("builtins", "object"))) + b"b"
    )
    assert scanned(tmp_path, body).verdict == "found"


def test_search_for_objects_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "_MOST_STEPS", 100)
    inner = b"](" + NONE * 200 + MODEL + b"eq\x050"
    body = inner + b"".join(call(named("builtins", "set"), b"](h\x05e") + b"0" for _ in range(20)) + NONE
    found = scanned(tmp_path, body)
    assert sum(use.count for use in found.of("found")) == 20
