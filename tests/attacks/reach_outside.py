"""Storages that are not where they should be: outside the file, of other names, told twice."""

from __future__ import annotations

import struct

from .making import (
    EMPTY_ORDERED,
    FALSE,
    GOOD,
    NONE,
    TRUE,
    Attack,
    File,
    archive,
    attack,
    beside,
    call,
    checkpoint,
    count_of,
    good,
    legacy,
    many,
    mapping,
    named,
    number,
    refused,
    storage,
    tensor,
    text,
    values_of,
)


@attack
def storage_larger_than_its_entry() -> Attack:
    harm = tensor(storage(numel=1 << 20), shape=(1 << 20,))
    return refused(checkpoint(mapping({"harm": harm})), "has 16 bytes where the pickle tells 4194304")


@attack
def storage_of_a_size_that_overflows() -> Attack:
    return refused(checkpoint(mapping({"harm": tensor(storage(numel=1 << 62))})), "broken key or size|where the pickle")


@attack
def storage_of_a_negative_size() -> Attack:
    return refused(checkpoint(mapping({"harm": tensor(storage(numel=-4))})), "broken key or size")


@attack
def storage_that_is_missing() -> Attack:
    return refused(checkpoint(beside(tensor(storage("7")))), "it/data/7 is missing")


@attack
def key_that_climbs() -> Attack:
    return refused(checkpoint(beside(tensor(storage("../../../etc/passwd")))), "is missing from the archive")


@attack
def key_that_is_a_path() -> Attack:
    return refused(checkpoint(beside(tensor(storage("/etc/passwd")))), "is missing from the archive")


@attack
def key_that_is_the_pickle() -> Attack:
    return refused(checkpoint(beside(tensor(storage("../data.pkl")))), "is missing from the archive")


@attack
def key_with_a_null() -> Attack:
    return refused(checkpoint(beside(tensor(storage("0\x00")))), "is missing from the archive")


@attack
def key_with_escapes_for_the_terminal() -> Attack:
    return refused(checkpoint(beside(tensor(storage("\x1b[2J\x1b]0;x\x07")))), r"\\x1b\[2J")


@attack
def key_that_is_a_list() -> Attack:
    return refused(checkpoint(beside(tensor(storage(b"]")))), "broken key")


@attack
def two_types_of_one_storage() -> Attack:
    harm = tensor(storage(kind="IntStorage"))
    return refused(checkpoint(beside(harm)), "another dtype or size of the storage 0")


@attack
def two_sizes_of_one_storage() -> Attack:
    return refused(checkpoint(beside(tensor(storage(numel=2), shape=(2,)))), "another dtype or size of the storage 0")


@attack
def storage_of_a_quantized_type() -> Attack:
    data = checkpoint(beside(tensor(storage("1", kind="QInt8Storage"))), File("it/data/1", b"abcd"))
    return refused(data, "harm is a quantized tensor")


@attack
def dtype_wider_than_its_storage() -> Attack:
    rebuild = named("torch._utils", "_rebuild_tensor_v3")
    held = storage("1", 4, "UntypedStorage")
    harm = call(rebuild, held, number(0), many(number(4)), many(number(1)), FALSE, EMPTY_ORDERED,
                named("torch", "float64"))  # fmt: skip
    return refused(checkpoint(beside(harm), File("it/data/1", b"abcd")), "reaches outside its storage")


@attack
def negative_bit() -> Attack:
    return refused(checkpoint(beside(tensor(more=mapping({"neg": TRUE})))), "neg bit set")


@attack
def unknown_bit() -> Attack:
    return refused(checkpoint(beside(tensor(more=mapping({"x": TRUE})))), "x bit set")


@attack
def legacy_count_that_lies() -> Attack:
    return refused(legacy(beside(NONE), values=struct.pack("<q", 1 << 40) + values_of(GOOD)), "elements in the storage")


@attack
def legacy_count_that_is_negative() -> Attack:
    return refused(legacy(beside(NONE), values=struct.pack("<q", -4) + values_of(GOOD)), "-4 elements")


@attack
def legacy_storage_beyond_the_file() -> Attack:
    body = mapping({"harm": tensor(storage(numel=1 << 40), shape=(1 << 40,))})
    return refused(legacy(body, values=struct.pack("<q", 1 << 40)), "is cut short: storage 0")


@attack
def legacy_storage_beyond_any_file() -> Attack:
    body = mapping({"harm": tensor(storage(numel=(1 << 62) - 1))})
    return refused(legacy(body, values=struct.pack("<q", (1 << 62) - 1)), "is cut short: storage 0")


@attack
def legacy_key_twice() -> Attack:
    return refused(legacy(beside(NONE), ("0", "0"), count_of(GOOD) * 2), "storage 0 twice")


@attack
def legacy_key_that_no_tensor_has() -> Attack:
    return refused(legacy(beside(NONE), ("0", "9"), count_of(GOOD) * 2), "storage 9, which no tensor asks for")


@attack
def legacy_key_that_is_not_listed() -> Attack:
    return refused(legacy(beside(tensor(storage("1")))), "no storage 1")


@attack
def legacy_bytes_after_the_end() -> Attack:
    return refused(legacy(beside(NONE)) + b"\x80\x02N.", "goes on for 4 bytes after its last storage")


@attack
def legacy_with_the_tail_of_an_archive() -> Attack:
    """torch goes by the first bytes, and reads the stream."""
    return good(legacy(beside(NONE)) + checkpoint(mapping({"harm": tensor()})))


@attack
def legacy_with_half_an_archive_after_it() -> Attack:
    return refused(legacy(beside(NONE)) + checkpoint(mapping({"harm": tensor()}))[:-30], "after its last storage")


@attack
def legacy_view_outside_its_storage() -> Attack:
    view = many(text("v"), number(2), number(4))
    return refused(legacy(beside(tensor(storage(view=view)))), "a view that reaches outside its storage")


@attack
def legacy_view_that_is_negative() -> Attack:
    view = many(text("v"), number(-1), number(2))
    return refused(legacy(beside(tensor(storage(view=view)))), "broken view")


@attack
def legacy_view_that_overflows() -> Attack:
    view = many(text("v"), number((1 << 62) - 1), number((1 << 62) - 1))
    return refused(legacy(beside(tensor(storage(view=view)))), "a view that reaches outside its storage")


@attack
def legacy_view_within_its_view() -> Attack:
    view = many(text("v"), number(1), number(2))
    return refused(legacy(beside(tensor(storage(view=view), shape=(3,)))), "reaches outside its storage")


@attack
def legacy_of_another_version() -> Attack:
    return refused(legacy(beside(NONE)).replace(number(1001), number(1002)), "unknown version 1002")


@attack
def plain_pickle_with_storages() -> Attack:
    return refused(b"\x80\x02" + beside(NONE) + b".", "the data.pkl out of a checkpoint")


@attack
def plain_pickle_with_more_behind() -> Attack:
    return refused(b"\x80\x02}.\x80\x02}.", "goes on for 4 bytes after its pickle")


@attack
def byte_order_that_is_none() -> Attack:
    return refused(checkpoint(beside(NONE), File("it/byteorder", b"middle\x1b")), r"unknown byte order middle\\x1b")


@attack
def pickle_that_goes_on() -> Attack:
    data = archive(File("it/data.pkl", b"\x80\x02" + beside(NONE) + b".N."), File("it/data/0", values_of(GOOD)))
    return refused(data, "goes on after its end")


@attack
def string_ids_of_protocol_0() -> Attack:
    held = b"P('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 4)\n"
    return good(checkpoint(mapping({"good": tensor(held)})))
