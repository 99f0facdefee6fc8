"""Zip archives whose records contradict each other or point where they should not."""

from __future__ import annotations

import struct
import zlib

from .making import (
    GOOD,
    NONE,
    Attack,
    File,
    archive,
    attack,
    beside,
    checkpoint,
    good,
    mapping,
    refused,
    tensor,
    values_of,
)

PICKLE = b"\x80\x02" + beside(NONE) + b"."
STORAGE = values_of(GOOD)


def _with(*more: File, **storage: object) -> bytes:
    return archive(File("it/data.pkl", PICKLE), File("it/data/0", STORAGE, **storage), *more)  # type: ignore[arg-type]


@attack
def two_pickles() -> Attack:
    return refused(_with(File("other/data.pkl", PICKLE)), "two data.pkl in one archive")


@attack
def one_name_twice() -> Attack:
    return refused(_with(File("it/data/0", STORAGE)), "two files have the name it/data/0")


@attack
def pickle_that_fails_its_checksum() -> Attack:
    return refused(archive(File("it/data.pkl", PICKLE, both={"crc": 1})), "does not match its CRC32")


@attack
def pickle_without_a_checksum() -> Attack:
    return good(archive(File("it/data.pkl", PICKLE, both={"crc": 0}), File("it/data/0", STORAGE)))


@attack
def local_header_of_another_name() -> Attack:
    return refused(_with(local={"name": b"it/data/1"}), "another name")


@attack
def local_header_of_another_size() -> Attack:
    return refused(_with(local={"size": 8, "packed": 8}), "contradicts the directory")


@attack
def local_header_of_another_method() -> Attack:
    return refused(_with(local={"method": 8}), "contradicts the directory")


@attack
def local_header_that_is_encrypted() -> Attack:
    return refused(_with(local={"flags": 1}), "contradicts the directory")


@attack
def encrypted() -> Attack:
    return refused(_with(both={"flags": 1}), "is encrypted")


@attack
def method_that_torch_does_not_know() -> Attack:
    return refused(_with(both={"method": 12}), "compressed by method 12")


@attack
def local_header_that_leaves_its_sizes_to_a_field_that_is_missing() -> Attack:
    return refused(_with(local={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}), "contradicts the directory")


@attack
def local_header_with_another_size_in_its_zip64_field() -> Attack:
    field = struct.pack("<2H2Q", 1, 16, 8, 8)
    lies = {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": field}
    return refused(_with(local=lies), "contradicts the directory")


@attack
def local_header_with_its_sizes_in_its_zip64_field() -> Attack:
    field = struct.pack("<2H3s2H2Q", 0x4246, 3, b"ZZZ", 1, 16, len(STORAGE), len(STORAGE))
    return good(_with(local={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": field}))


@attack
def data_that_its_header_pushes_into_the_file_after_it() -> Attack:
    return refused(_with(File("it/data/1", bytes(100)), local={"extra_size": 50}), "reaches into the file after it")


@attack
def data_that_its_header_pushes_into_the_directory() -> Attack:
    return refused(_with(local={"extra_size": 1}), "reaches into the directory")


@attack
def stored_with_two_sizes() -> Attack:
    return refused(_with(both={"size": 1 << 30}), "stored, yet has two sizes")


@attack
def entry_beyond_the_directory() -> Attack:
    return refused(_with(central={"size": 1 << 20, "packed": 1 << 20}), "lies outside the file")


@attack
def entry_that_begins_beyond_the_file() -> Attack:
    return refused(_with(central={"offset": 0xFFFFFF00}), "lies outside the file")


@attack
def entry_that_begins_in_another() -> Attack:
    return refused(_with(central={"offset": 8}), "overlaps")


@attack
def entries_on_one_place() -> Attack:
    return refused(_with(central={"offset": 0}), "overlaps")


@attack
def zip64_field_that_is_missing() -> Attack:
    return refused(_with(central={"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF}), "lies outside the file")


@attack
def more_files_than_the_directory_has() -> Attack:
    files = File("it/data.pkl", PICKLE), File("it/data/0", STORAGE)
    return refused(archive(*files, count=9), "too few for 9 files|ends after 2 of 9")


@attack
def fewer_files_than_the_directory_has() -> Attack:
    files = File("it/data.pkl", PICKLE), File("it/data/0", STORAGE)
    return refused(archive(*files, count=1), "it/data/0 is missing|directory")


@attack
def no_files() -> Attack:
    return refused(_with().replace(b"\x02\x00\x02\x00", b"\x00\x00\x00\x00"), "zip archive|directory")


@attack
def end_record_in_the_comment() -> Attack:
    fake = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 0)
    return refused(archive(File("it/data.pkl", PICKLE), comment=fake), "zip archive|directory|missing")


@attack
def last_end_record_whose_comment_does_not_fit() -> Attack:
    fake = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0, 0, 0, 0, 5)
    return refused(_with_comment(fake), "directory is missing")


def _with_comment(comment: bytes) -> bytes:
    return archive(File("it/data.pkl", PICKLE), File("it/data/0", STORAGE), comment=comment)


def _with_zip64(count: int = 2, more: int = 0) -> bytes:
    """With a zip64 record also where 32 bits are enough, as torch writes it."""
    data = _with()
    size, offset = struct.unpack_from("<2I", data, len(data) - 10)
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset + more)
    return data[:-22] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data) - 22, 1) + data[-22:]


@attack
def zip64_record_that_says_the_same() -> Attack:
    return good(_with_zip64())


@attack
def zip64_record_of_fewer_files() -> Attack:
    return refused(_with_zip64(count=1), "two records of the directory contradict each other")


@attack
def zip64_record_of_a_directory_elsewhere() -> Attack:
    return refused(_with_zip64(more=-10), "two records of the directory contradict each other")


@attack
def second_directory_behind_the_first() -> Attack:
    data = _with()
    size, offset = struct.unpack_from("<2I", data, len(data) - 10)
    return refused(data[:-22] + data[offset : offset + size] + data[-22:], "lie between its directory and the record")


@attack
def byte_order_in_upper_case() -> Attack:
    return refused(_with(File("it/BYTEORDER", b"big")), "it/BYTEORDER differs only in upper and lower case")


@attack
def second_pickle_in_upper_case() -> Attack:
    return refused(_with(File("it/DATA.pkl", PICKLE)), "it/DATA.pkl differs only in upper and lower case")


@attack
def second_storage_in_upper_case() -> Attack:
    return refused(_with(File("it/DATA/0", bytes(16))), "it/DATA/0 differs only in upper and lower case")


@attack
def storage_in_a_folder_in_upper_case() -> Attack:
    return refused(_with(File("IT/data/0", bytes(16))), "IT/data/0 differs only in upper and lower case")


@attack
def names_of_one_spelling() -> Attack:
    return refused(_with(File("it/extra/a", b""), File("it/extra/A", b"")), "extra/A differs only in upper and lower")


@attack
def other_names_in_upper_case() -> Attack:
    return good(_with(File("it/README", b""), File("it/code/Model.py", b""), File("OTHER/data/0", b"")))


@attack
def zip64_end_record_that_lies() -> Attack:
    data = _with()
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 60, 1 << 60, 1 << 62, 1 << 62)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return refused(data + record + locator + end, "outside the file")


@attack
def zip64_locator_that_points_away() -> Attack:
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 1 << 63, 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return refused(_with() + locator + end, "outside the file")


@attack
def cut_in_half() -> Attack:
    data = _with()
    return refused(data[: len(data) // 2], "directory is missing")


@attack
def bytes_before_the_archive() -> Attack:
    return refused(b"#!/bin/sh\n" + _with(), "program's text")


@attack
def script_that_is_an_archive_too() -> Attack:
    files = File("it/data.pkl", PICKLE), File("it/data/0", STORAGE)
    return refused(archive(*files, before=b"\x80\x02}."), "goes on")


@attack
def deflated_data_that_is_none() -> Attack:
    return refused(archive(File("it/data.pkl", PICKLE, both={"method": 8})), "no deflated data|inflates")


@attack
def deflated_pickle_of_another_size() -> Attack:
    return refused(archive(File("it/data.pkl", PICKLE, True, both={"size": 3})), "inflates to more")


@attack
def deflated_pickle_that_is_cut() -> Attack:
    packed = zlib.compress(PICKLE)[2:-4]
    file = File("it/data.pkl", packed[:-9], both={"method": 8, "size": len(PICKLE), "crc": zlib.crc32(PICKLE)})
    return refused(archive(file), "inflates to|no deflated data")


@attack
def names_that_climb() -> Attack:
    return good(_with(File("../../etc/cron.d/x", b"x"), File("/etc/passwd", b"x"), File("C:\\x", b"x")))


@attack
def names_that_are_no_text() -> Attack:
    return good(_with(File("it/\udcff\udcfe", b"x")))


@attack
def deep_pickle_name() -> Attack:
    return refused(archive(File("a/b/data.pkl", PICKLE)), "zip archive")


@attack
def pickle_without_a_folder() -> Attack:
    return refused(archive(File("data.pkl", PICKLE), File("data/0", STORAGE)), "zip archive")


@attack
def storage_in_another_folder() -> Attack:
    data = archive(File("it/data.pkl", b"\x80\x02" + mapping({"x": tensor()}) + b"."), File("other/data/0", STORAGE))
    return refused(data, "it/data/0 is missing")


@attack
def whole_checkpoint_deflated() -> Attack:
    return good(archive(File("it/data.pkl", PICKLE, True), File("it/data/0", STORAGE, True)))


@attack
def checkpoint_with_much_beside() -> Attack:
    return good(checkpoint(beside(NONE), *(File(f"it/x{i}", b"") for i in range(20_000))))
