"""Small files that ask for much memory, time or depth, and numbers that overflow."""

from __future__ import annotations

import struct

from .making import (
    EMPTY_ORDERED,
    FALSE,
    GOOD,
    NONE,
    Attack,
    File,
    archive,
    attack,
    beside,
    call,
    checkpoint,
    good,
    instance,
    many,
    mapping,
    module,
    named,
    number,
    refused,
    storage,
    tensor,
    text,
    values_of,
)

LAUGHS = b"]q\x000" + b"".join(b"](" + b"h%c" % i * 10 + b"eq%c0" % (i + 1) for i in range(60)) + b"h\x3c"
"""Sixty lists, each of ten times the one before: 10 ** 60 items."""


@attack
def frame_longer_than_the_pickle() -> Attack:
    return refused(checkpoint(b"\x95" + struct.pack("<Q", 1 << 62) + beside(NONE), protocol=4), "frame")


@attack
def frame_that_ends_inside_an_argument() -> Attack:
    return refused(checkpoint(b"\x95" + struct.pack("<Q", 4) + beside(NONE), protocol=4), "frame")


@attack
def memo_index_of_two_billion() -> Attack:
    return good(checkpoint(beside(NONE + b"r\xff\xff\xff\x7f")))


@attack
def memo_index_beyond_any_integer() -> Attack:
    return refused(checkpoint(beside(NONE + b"p" + b"9" * 4000 + b"\n")), "memo index|integer")


@attack
def memo_entries_that_are_not_there() -> Attack:
    return refused(checkpoint(beside(b"j\xff\xff\xff\xff")), "memo has no entry")


@attack
def billion_laughs() -> Attack:
    return good(checkpoint(beside(LAUGHS)))


@attack
def billion_laughs_in_an_ordered_dict() -> Attack:
    return good(checkpoint(beside(call(named("collections", "OrderedDict"), LAUGHS))))


@attack
def billion_laughs_as_a_shape() -> Attack:
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    harm = call(rebuild, storage(), number(0), LAUGHS, LAUGHS, FALSE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "no natural number|broken shape")


@attack
def tuples_doubled_in_the_arguments() -> Attack:
    laughs = b")q\x00" + b"".join(b"h%c" % i * 3 + b"\x87q" + b"%c" % (i + 1) for i in range(60))
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    harm = call(rebuild, laughs, laughs, laughs, laughs, FALSE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "has no storage")


@attack
def nested_lists() -> Attack:
    return good(checkpoint(beside(b"]" * 200_000 + b"a" * 199_999)))


@attack
def nested_tuples() -> Attack:
    return good(checkpoint(beside(NONE + b"\x85" * 200_000)))


@attack
def nested_dicts() -> Attack:
    return good(checkpoint(beside(b"}" + text("x") + (b"}" + text("x")) * 200_000 + NONE + b"s" * 200_001)))


@attack
def nested_calls() -> Attack:
    return good(checkpoint(beside(named("x", "y") * 200_000 + b")" + b"R\x85" * 199_999 + b"R")))


@attack
def nested_modules() -> Attack:
    head, tail = module({}, {"x": NONE}).split(text("x") + NONE)
    return refused(checkpoint((head + text("x")) * 200_000 + NONE + tail * 200_000), "nest deeper")


@attack
def module_inside_itself() -> Attack:
    body = module({}, {"x": b"h\x00"}).replace(b")\x81", b")\x81q\x00")
    return refused(checkpoint(body), "contains itself|nest deeper")


@attack
def modules_shared_without_end() -> Attack:
    body = module({"w": tensor()}) + b"q\x010"
    for i in range(1, 60):
        again = b"h%c" % i
        body += module({}, {"a": again, "b": again, "c": again}) + b"q" + bytes([i + 1]) + b"0"
    return refused(checkpoint(body + b"h\x3c"), "more than")


@attack
def modules_that_share_one_table_of_nothing() -> Attack:
    table = mapping({str(i): NONE for i in range(100_000)}) + b"q\x010" + b"}q\x020"
    state = {"_parameters": b"h\x01", "_buffers": b"h\x02", "_modules": b"h\x02"}
    child = instance(named("torch.nn.modules.module", "Module"), mapping(state))
    return refused(checkpoint(table + module({}, {str(i): child for i in range(20_000)})), "entries in the tables")


@attack
def dict_inside_itself() -> Attack:
    return refused(checkpoint(b"}q\x00" + text("model") + b"h\x00s"), "holds no weights")


@attack
def list_inside_itself() -> Attack:
    return refused(checkpoint(b"]q\x00h\x00a"), "holds no weights")


@attack
def parameter_inside_itself() -> Attack:
    harm = named("torch._utils", "_rebuild_parameter") + b"]q\x00h\x00aR"
    return refused(checkpoint(beside(harm)), "arguments|no tensor")


@attack
def huge_integer() -> Attack:
    return refused(checkpoint(beside(b"\x8b" + struct.pack("<i", 1 << 24) + b"\xff" * (1 << 24))), "integer")


@attack
def integer_longer_than_the_file() -> Attack:
    return refused(checkpoint(beside(b"\x8b" + struct.pack("<i", 0x7FFFFFFF))), "integer|cut short")


@attack
def many_digits() -> Attack:
    return refused(checkpoint(beside(b"L" + b"9" * 4_000_000 + b"L\n")), "digits")


@attack
def text_longer_than_the_file() -> Attack:
    return refused(checkpoint(beside(b"\x8d" + struct.pack("<Q", 1 << 63)), protocol=4), "cut short")


@attack
def bytes_longer_than_the_file() -> Attack:
    return refused(checkpoint(beside(b"\x96" + struct.pack("<Q", (1 << 64) - 1)), protocol=5), "cut short")


@attack
def buffer_outside_of_the_pickle() -> Attack:
    return refused(checkpoint(beside(b"\x97"), protocol=5), "buffer")


@attack
def marks_without_end() -> Attack:
    return refused(checkpoint(b"(" * 5_000_000), "mark|STOP")


@attack
def pops_without_end() -> Attack:
    return good(checkpoint(b"N0" * 5_000_000 + beside(NONE)))


@attack
def stride_zero() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(1 << 20, 1 << 20), strides=(0, 0)))), "over the limit of 64 times")


@attack
def overlapping_windows() -> Attack:
    rows = tensor(storage(numel=4), (1 << 22, 4), (0, 1))
    return refused(checkpoint(beside(rows)), "over the limit of 64 times")


@attack
def size_that_overflows() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(1 << 32, 1 << 32), strides=(0, 0)))), "impossible shape")


@attack
def size_beyond_any_integer() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(1 << 200,), strides=(0,)))), "impossible shape")


@attack
def size_that_is_huge_beside_one_that_is_zero() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(0, 1 << 63), strides=(1, 1)))), "impossible shape")


@attack
def stride_that_overflows() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(3,), strides=((1 << 62) + 1,)))), "impossible shape")


@attack
def strides_whose_sum_overflows() -> Attack:
    shape, strides = (3, 3, 3), ((1 << 61) - 1,) * 3
    return refused(checkpoint(beside(tensor(shape=shape, strides=strides))), "impossible shape")


@attack
def negative_size() -> Attack:
    return refused(checkpoint(beside(tensor(shape=(-1, -4), strides=(1, 1)))), "no natural number")


@attack
def negative_stride() -> Attack:
    return refused(checkpoint(beside(tensor(strides=(-1,)))), "no natural number")


@attack
def negative_offset() -> Attack:
    return refused(checkpoint(beside(tensor(offset=-1))), "no natural number")


@attack
def offset_beyond_the_storage() -> Attack:
    return refused(checkpoint(beside(tensor(offset=1))), "reaches outside its storage")


@attack
def offset_that_overflows() -> Attack:
    return refused(checkpoint(beside(tensor(offset=(1 << 62) - 1))), "impossible shape|reaches outside")


@attack
def sizes_that_are_truths() -> Attack:
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    harm = call(rebuild, storage(), number(0), many(b"\x88"), many(b"\x88"), FALSE, EMPTY_ORDERED)
    return refused(checkpoint(beside(harm)), "no natural number")


@attack
def a_million_axes() -> Attack:
    ones = (1,) * 1_000_000
    return refused(checkpoint(beside(tensor(shape=(4, *ones), strides=(1, *ones)))), "container of 1000001 entries")


@attack
def tuples_of_a_thousand_in_the_arguments() -> Attack:
    wide = NONE
    for _ in range(4):
        wide = wide + b"q\x01" + b"(" + b"h\x01" * 3000 + b"t"
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    return refused(checkpoint(beside(call(rebuild, wide, wide, wide, wide, FALSE))), "has no storage|broken")


@attack
def dicts_of_a_thousand_shared() -> Attack:
    body = NONE
    for level in range(6):
        body += b"q\x010}(" + b"".join(text(f"{level}.{i}") + b"h\x01" for i in range(1000)) + b"u"
    return refused(checkpoint(body), "holds no weights")


@attack
def a_million_entries() -> Attack:
    entries = b"".join(b"J%sN" % struct.pack("<i", i) for i in range(1_000_000))
    return refused(archive(File("it/data.pkl", b"\x80\x02}(" + entries + b"u.", deflate=True)), "container of 1000000")


@attack
def many_keys_to_one_huge_dict() -> Attack:
    huge = b"}(" + b"".join(b"J%sN" % struct.pack("<i", i) for i in range(300_000)) + b"uq\x010"
    keys = ("ema", "params_ema", "state_dict_ema", "model_ema", "model", "state_dict", "model_state_dict", "net",
            "model_state", "params", "network", "generator", "netG", "module")  # fmt: skip
    body = huge + b"}(" + b"".join(text(key) + b"h\x01" for key in keys) + b"u"
    return refused(checkpoint(body), "holds no weights")


@attack
def a_million_states() -> Attack:
    harm = named("x", "y") + b")\x81" + b"}b" * 1_000_000
    return refused(checkpoint(beside(harm)), "container of 1000000 entries")


@attack
def keys_of_one_hash() -> Attack:
    keys = b"".join(number(i * ((1 << 61) - 1)) + NONE for i in range(1, 100_000))
    return good(checkpoint(beside(b"}(" + keys + b"u")))


@attack
def keys_of_one_hash_at_the_root() -> Attack:
    keys = b"".join(number(i * ((1 << 61) - 1)) + NONE for i in range(1, 100_000))
    return good(checkpoint(b"}(" + keys + text("good") + tensor() + b"u"))


@attack
def a_hundred_states() -> Attack:
    harm = named("x", "y") + b")\x81" + b"}b" * 100
    return refused(checkpoint(beside(harm)), "100 states")


@attack
def a_hundred_axes() -> Attack:
    ones = (1,) * 99
    return refused(checkpoint(beside(tensor(shape=(4, *ones), strides=(1, *ones)))), "100 axes")


@attack
def sixteen_million_lists() -> Attack:
    harm = File("it/data.pkl", b"\x80\x02" + b"]" * 20_000_000 + b".", deflate=True)
    return refused(archive(harm), "more objects than the limit")


@attack
def long_names_of_modules_inside_modules() -> Attack:
    head, tail = module({}, {"x": NONE}).split(text("x") + NONE)
    return refused(
        checkpoint(text("x" * 60_000) + b"q\x010" + (head + b"h\x01") * 900 + NONE + tail * 900), "names longer"
    )


@attack
def array_larger_than_its_bytes() -> Attack:
    dtype = call(named("numpy", "dtype"), text("f4"))
    harm = call(named("numpy._core.numeric", "_frombuffer"), b"C\x04abcd", dtype, many(number(1 << 40)), text("C"))
    return refused(checkpoint(beside(harm), protocol=3), "reaches outside")


@attack
def names_of_a_million_characters() -> Attack:
    return refused(checkpoint(beside(tensor(), "x" * 1_000_000)), "1000000 characters")


@attack
def text_of_fifty_megabytes() -> Attack:
    data = b"\x80\x02" + beside(text("\x1b" * (50 << 20)), "\x1b" * 1000) + b"."
    return good(archive(File("it/data.pkl", data, deflate=True), File("it/data/0", values_of(GOOD))))


@attack
def name_of_fifty_megabytes() -> Attack:
    data = b"\x80\x02" + beside(tensor(), "x" * (50 << 20)) + b"."
    return refused(archive(File("it/data.pkl", data, deflate=True), File("it/data/0", values_of(GOOD))), "characters")


@attack
def half_a_million_tensors() -> Attack:
    one = tensor() + b"q\x01"
    body = b"}(" + text("t") + one + b"".join(text(str(i)) + b"h\x01" for i in range(500_000)) + b"u"
    return refused(checkpoint(body), "container of 500001 entries")


@attack
def pickle_that_inflates_to_a_gigabyte() -> Attack:
    bomb = File("it/data.pkl", b"\x80\x02" + b"N0" * (150 << 20) + b"N.", deflate=True)
    return refused(archive(bomb), "more opcodes|holds no weights|over the limit")


@attack
def storage_that_inflates_beyond_its_size() -> Attack:
    lie = {"size": 16}
    bomb = File("it/data/0", bytes(64 << 20), deflate=True, both=lie)
    data = archive(File("it/data.pkl", b"\x80\x02" + beside(NONE) + b"."), bomb)
    return refused(data, "inflates to more")


@attack
def storage_that_inflates_to_less() -> Attack:
    short = File("it/data/0", values_of(GOOD), deflate=True, both={"size": 1 << 30})
    body = mapping({"good": tensor(storage(numel=1 << 28), shape=(1 << 28,))})
    return refused(archive(File("it/data.pkl", b"\x80\x02" + body + b"."), short), "inflates to 16 bytes")


@attack
def path_that_leads_astray_in_any_number_of_ways() -> Attack:
    """Taken apart at its dots, it leads through a dict that holds itself under one name and under two."""
    loop = b"}q\x01(" + text("a") + b"h\x01" + text("a.a") + b"h\x01u"
    weights = mapping({"a." * 90 + "z": beside(NONE), "other": beside(NONE)})
    return refused(checkpoint(mapping({"w.a": loop, "w": weights})), r"--key w\.other")


@attack
def path_of_thousands_of_names() -> Attack:
    loop = b"}q\x01(" + text("a") + b"h\x01u"
    weights = mapping({"a." * 3000 + "z": beside(NONE), "other": beside(NONE)})
    return refused(checkpoint(mapping({"w.a": loop, "w": weights})), r"--key w\.other")


@attack
def module_that_is_its_own_child_many_times() -> Attack:
    """Each level that is looked into brings as many children as there are names."""
    children = b"}(" + b"".join(text(str(i)) + b"h\x01" for i in range(200_000)) + b"u"
    tables = b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + children + b"u"
    return refused(
        checkpoint(named("torch.nn", "Module") + b")\x81q\x01" + tables + b"b"), "modules and tensors in one"
    )


@attack
def last_of_many_names_twice() -> Attack:
    """By a text, and by a number that is the same as a text."""
    one = tensor() + b"q\x01"
    body = b"}(" + text("t") + one + b"".join(text(str(i)) + b"h\x01" for i in range(300_000))
    return refused(checkpoint(body + number(299_999) + b"h\x01u"), "two tensors have the name 299999")
