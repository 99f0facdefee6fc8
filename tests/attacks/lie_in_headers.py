"""safetensors headers, indexes of shards, TorchScript code and NumPy archives that do not tell the truth."""

from __future__ import annotations

import json
import struct

from .making import (
    GOOD,
    NONE,
    SYSTEM,
    Attack,
    File,
    archive,
    attack,
    checkpoint,
    good,
    instance,
    mapping,
    named,
    refused,
    tensor,
    text,
    values_of,
)


def safetensors(header: object, data: bytes = values_of(GOOD), length: int | None = None) -> bytes:
    """A safetensors file."""
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(packed) if length is None else length) + packed + data


def entry(begin: object = 0, end: object = 16, shape: object = (4,), dtype: object = "F32") -> dict[str, object]:
    """An entry of a safetensors header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@attack
def safetensors_as_they_should_be() -> Attack:
    return good(safetensors({"__metadata__": {"x": "\x1b[2J"}, "good": entry()}))


@attack
def safetensors_header_longer_than_the_file() -> Attack:
    return refused(safetensors({"good": entry()}, length=1 << 40), "no checkpoint that pywts knows|TensorRT|text")


@attack
def safetensors_header_cut() -> Attack:
    return refused(safetensors({"good": entry()}, length=20), "header is no JSON")


@attack
def safetensors_hole() -> Attack:
    return refused(safetensors({"good": entry(16, 32)}, bytes(32)), "leaves a hole of 16 bytes")


@attack
def safetensors_overlap() -> Attack:
    return refused(safetensors({"good": entry(), "harm": entry(8, 24)}, bytes(24)), "overlaps")


@attack
def safetensors_of_one_span() -> Attack:
    return refused(safetensors({"good": entry(), "harm": entry()}), "overlaps")


@attack
def safetensors_beyond_the_file() -> Attack:
    return refused(safetensors({"good": entry(0, 1 << 40, (1 << 38,))}), "the file at")


@attack
def safetensors_bytes_behind() -> Attack:
    return refused(safetensors({"good": entry()}, bytes(17)), "the file at")


@attack
def safetensors_negative() -> Attack:
    return refused(safetensors({"good": entry(-16, 0)}), "no row of natural numbers")


@attack
def safetensors_fractions() -> Attack:
    return refused(safetensors({"good": entry(0.0, 16.0)}), "no row of natural numbers")


@attack
def safetensors_truths() -> Attack:
    return refused(safetensors({"good": entry(False, 16, (True, 4))}), "no row of natural numbers")


@attack
def safetensors_shape_that_overflows() -> Attack:
    return refused(safetensors({"good": entry(0, 16, (1 << 32, 1 << 32))}), "has a span of 16 bytes")


@attack
def safetensors_shape_huge_beside_zero() -> Attack:
    return refused(safetensors({"good": entry(0, 0, (0, 1 << 70))}, b""), "has a span of 0 bytes")


@attack
def safetensors_number_of_many_digits() -> Attack:
    header = b'{"good":{"dtype":"F32","shape":[' + b"9" * 10_000 + b'],"data_offsets":[0,16]}}'
    return refused(safetensors(header), "header is no JSON|span")


@attack
def safetensors_nested_without_end() -> Attack:
    return refused(safetensors(b'{"good":' + b"[" * 1_000_000 + b"}"), "header is no JSON")


@attack
def safetensors_name_twice() -> Attack:
    one = json.dumps(entry()).encode()
    return refused(safetensors(b'{"good":' + one + b',"good":' + one + b"}"), "has good twice")


@attack
def safetensors_last_of_many_names_twice() -> Attack:
    one = json.dumps(entry(0, 0, (0,))).encode()
    names = b"".join(b',"%d":%s' % (i, one) for i in range(300_000))
    return refused(safetensors(b'{"t":' + one + names + b',"299999":' + one + b"}"), "has 299999 twice")


@attack
def safetensors_of_an_unknown_dtype() -> Attack:
    return refused(safetensors({"good": entry(dtype="\x1b[2J")}), r"dtype \\x1b\[2J")


@attack
def safetensors_dtype_that_is_a_list() -> Attack:
    return refused(safetensors({"good": entry(dtype=["F32"])}), "dtype")


@attack
def safetensors_entry_that_is_a_list() -> Attack:
    return refused(safetensors({"good": [1]}), "lacks its dtype")


@attack
def safetensors_not_utf8() -> Attack:
    return refused(safetensors(b'{"\xff":1}'), "header is no JSON")


@attack
def safetensors_of_many_axes() -> Attack:
    return refused(safetensors({"good": entry(0, 16, [1] * 1000 + [4])}), "1001 axes")


@attack
def safetensors_without_tensors() -> Attack:
    return refused(safetensors({}, b""), "holds no weights")


def index(**names: str) -> bytes:
    """An index of shards."""
    return json.dumps({"metadata": {}, "weight_map": names}).encode()


@attack
def shard_that_climbs() -> Attack:
    return refused(index(good="../../etc/passwd"), "does not lie beside it")


@attack
def shard_that_is_a_path() -> Attack:
    return refused(index(good="/dev/zero"), "does not lie beside it")


@attack
def shard_with_a_null() -> Attack:
    return refused(index(good="a\x00b"), "does not lie beside it")


@attack
def shard_without_a_name() -> Attack:
    return refused(index(good=""), "does not lie beside it")


@attack
def shard_that_is_the_index() -> Attack:
    return refused(index(good="harm.pt"), "this is a text")


@attack
def shard_that_is_missing() -> Attack:
    return refused(index(good="b.bin", more="c.bin"), "2 of 2 shards are missing")


@attack
def shard_with_more_than_the_index_says() -> Attack:
    other = checkpoint(mapping({"good": tensor(), "harm": tensor()}))
    return refused(index(good="b.bin"), "has harm, against the index", b_bin=other)


@attack
def shard_with_less_than_the_index_says() -> Attack:
    other = checkpoint(mapping({"good": tensor()}))
    return refused(index(good="b.bin", more="b.bin"), "lacks more", b_bin=other)


@attack
def shard_that_runs_code() -> Attack:
    return refused(index(good="b.bin"), "is no state_dict", b_bin=checkpoint(SYSTEM))


@attack
def index_without_shards() -> Attack:
    return refused(b'{"weight_map": {"good": 7}}', "JSON document without weights")


@attack
def index_nested_without_end() -> Attack:
    return refused(b'{"a":' * 200_000, "begins as JSON")


@attack
def answer_of_a_server() -> Attack:
    return refused(b'{"error": "\\u001b[2JAccess denied"}', r"with a message: \\x1b\[2JAccess denied")


def script(code: bytes, kind: bytes = named("__torch__", "M"), body: bytes | None = None) -> bytes:
    """A TorchScript archive."""
    state = mapping({"good": tensor(), "plain": tensor()}) if body is None else body
    files = File("it/code/__torch__.py", code), File("it/constants.pkl", b"\x80\x02).")
    return checkpoint(instance(kind, state), *files)


@attack
def torchscript_as_it_should_be() -> Attack:
    return good(script(b'class M(Module):\n  __parameters__ = ["good", ]\n  __buffers__ = []\n  good : Tensor\n'))


@attack
def torchscript_with_code_at_the_top() -> Attack:
    code = b'import os\nos.system("id")\nclass M(Module):\n  __parameters__ = ["good", ]\n  os.system("id")\n'
    return good(script(code))


@attack
def torchscript_without_the_class() -> Attack:
    return refused(script(b"class N(Module):\n"), "no code of the class __torch__.M")


@attack
def torchscript_of_no_module() -> Attack:
    return refused(script(b"class M:\n"), "something that is no module")


@attack
def torchscript_with_quotes_without_end() -> Attack:
    code = b"class M(Module):\n  __parameters__ = [" + b'"\\' * 4_000_000
    return refused(script(code), "without parameters, buffers or constants")


@attack
def torchscript_with_a_class_name_without_end() -> Attack:
    return refused(script(b"class " + b"M" * 4_000_000), "no code of the class")


@attack
def torchscript_class_that_climbs() -> Attack:
    return refused(script(b"", named("__torch__...etc", "passwd")), "no code of the class")


@attack
def torchscript_that_lists_what_is_no_tensor() -> Attack:
    code = b'class M(Module):\n  __parameters__ = ["good", ]\n'
    return refused(script(code, body=mapping({"good": text("x")})), "listed as a tensor and is none")


@attack
def torchscript_without_constants() -> Attack:
    data = checkpoint(instance(named("__torch__", "M"), b"}"), File("it/code/__torch__.py", b"class M(Module):\n"),
                      File("it/constants.pkl", b"\x80\x02" + SYSTEM + b"."))  # fmt: skip
    return refused(data, "without parameters, buffers or constants")


@attack
def torchscript_modules_inside_modules() -> Attack:
    head = named("__torch__", "M") + b")\x81}(" + text("m")
    body = head * 200_000 + NONE + b"ub" * 200_000
    files = File("it/code/__torch__.py", b"class M(Module):\n"), File("it/constants.pkl", b"\x80\x02).")
    return refused(checkpoint(body, *files), "nest deeper")


def array(header: bytes, data: bytes = values_of(GOOD)) -> bytes:
    """A .npy file."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n"


@attack
def npz_as_it_should_be() -> Attack:
    return good(archive(File("good.npy", array(HEADER))))


@attack
def npz_header_that_is_code() -> Attack:
    return refused(archive(File("good.npy", array(b"__import__('os').system('id')"))), "array of records")


@attack
def npz_of_objects() -> Attack:
    return refused(archive(File("good.npy", array(HEADER.replace(b"<f4", b"|O")))), "array of object")


@attack
def npz_larger_than_its_file() -> Attack:
    return refused(archive(File("good.npy", array(HEADER.replace(b"(4,)", b"(99999999999,)")))), "bytes of values")


@attack
def npz_header_longer_than_its_file() -> Attack:
    return refused(archive(File("good.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + HEADER)), "is no NumPy array")


@attack
def npz_of_another_kind() -> Attack:
    return refused(archive(File("good.npy", b"PK")), "is no NumPy array")
