"""Writes the test vectors: NAME.wts, and NAME.json that says what it holds or what is wrong with it.

Run it after a change and commit what it writes; README.md describes the format of the JSON files. Everything here is
built from numbers by hand, not by a writer or a reader of this project. ``found_*.wts`` are files that a fuzzer found;
their JSON files are written by hand and stay as they are.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

HERE = Path(__file__).parent
SPECIALS = [
    "00000000",
    "80000000",
    "00000001",
    "80000001",
    "007fffff",
    "807fffff",
    "00800000",
    "3f800000",
    "bf800000",
    "7f7fffff",
    "ff7fffff",
    "7f800000",
    "ff800000",
    "7fc00000",
    "ffc00000",
    "7fc00001",
    "7fffffff",
    "ffffffff",
    "7f800001",
    "ff800001",
    "7fbfffff",
    "01234567",
    "89abcdef",
    "fedcba98",
]


def values(count: int, seed: int) -> list[str]:
    source = random.Random(seed)
    return [f"{source.getrandbits(32):08x}" for _ in range(count)]


class Vector:
    """Lines of text beside what a reader must find in them."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = about
        self.text = b""
        self.line = 1
        self.tensors: list[dict[str, object]] = []

    def raw(self, text: bytes) -> Vector:
        self.text += text
        self.line += text.count(b"\n")
        return self

    def tensor(
        self,
        name: str,
        bits: list[str],
        *,
        head: str | None = None,
        gap: str = "  ",
        between: str = " ",
        written: list[str] | None = None,
        end: str = "\n",
        dialect: str = "two_spaces",
    ) -> Vector:
        head = f"{name} {len(bits)}" if head is None else head
        body = between.join(bits if written is None else written)
        offset = len(self.text) + len((head + gap).encode())
        self.tensors.append(
            {
                "name": name,
                "count": len(bits),
                "line": self.line,
                "offset": offset,
                "dialect": dialect,
                "bits": bits,
            }
        )
        return self.raw((head + gap + body + end).encode())

    def good(self) -> None:
        self.write({"tensors": self.tensors})

    def bad(self, code: str, at: int | bytes = 0, *, line: int = 0, tensor: str = "") -> None:
        """``at``: the offset of the offending byte, or the text that ends just before it."""
        if isinstance(at, bytes):
            if self.text.count(at) != 1:
                raise ValueError(f"{self.name}: {at!r} must be there once")
            at = self.text.index(at) + len(at)
        error = {"code": code, "line": line, "tensor": tensor, "offset": at}
        self.write({"error": error})

    def write(self, holds: dict[str, object]) -> None:
        (HERE / f"{self.name}.wts").write_bytes(self.text)
        rows = ",\n".join("  " + json.dumps(tensor, ensure_ascii=False) for tensor in self.tensors)
        rest = f'"tensors": [\n{rows}\n]' if self.tensors else f'"error": {json.dumps(holds["error"])}'
        text = f'{{"about": {json.dumps(self.about)},\n {rest}}}\n'
        (HERE / f"{self.name}.json").write_text(text, encoding="utf-8", newline="\n")


def good_vectors() -> None:
    ones = ["3f800000", "40000000", "bf000000"]

    vector = Vector("two_spaces", "what most scripts write: two spaces before the first value").raw(b"3\n")
    vector.tensor("conv1.weight", values(27, 1)).tensor("bn1.running_mean", values(3, 2)).tensor("fc.bias", ones).good()

    vector = Vector("one_space", "what some scripts write: one space before the first value").raw(b"2\n")
    for name, seed in (("conv1.weight", 3), ("fc.bias", 4)):
        vector.tensor(name, values(20, seed), gap=" ", dialect="one_space")
    vector.good()

    vector = Vector("mixed_gaps", "each line may choose for itself").raw(b"3\n")
    vector.tensor("a", ones).tensor("b", ones, gap=" ", dialect="one_space").tensor("c", ones).good()

    Vector("scalar", "a tensor of no dimension has one value").raw(b"1\n").tensor("n", ["43fa0000"]).good()

    vector = Vector("specials", "zeros, subnormals, infinities, NaN: bits come out as they are written").raw(b"1\n")
    vector.tensor("s", SPECIALS).good()

    vector = Vector("lengths", "every length from 1 to 70, so that every rest of a block occurs").raw(b"70\n")
    for count in range(1, 71):
        vector.tensor(f"t{count}", values(count, 100 + count))
    vector.good()

    vector = Vector("empty_tensor", "no values: a space, two, or none behind the 0").raw(b"4\n")
    vector.tensor("reference", [], gap=" ").tensor("bare", [], gap="").tensor("padded", [], gap="  ")
    vector.tensor("last", ones).good()

    vector = Vector("crlf", "lines that end with a carriage return and a line feed").raw(b"4\r\n")
    vector.tensor("a", values(17, 5), end="\r\n").tensor("empty", [], gap=" ", end="\r\n")
    vector.tensor("bare", [], gap="", end="\r\n")
    vector.tensor("b", values(9, 6), gap=" ", end="\r\n", dialect="one_space").good()

    vector = Vector("crlf_no_final_newline", "the last line ends with a carriage return alone").raw(b"1\r\n")
    vector.tensor("a", values(5, 7), end="\r").good()

    vector = Vector("upper_case", "digits of either case").raw(b"2\n")
    vector.tensor("upper", values(33, 8), written=[v.upper() for v in values(33, 8)])
    vector.tensor("both", ["abcdefab"], written=["aBcDEfAb"]).good()

    vector = Vector("blank_lines", "blank lines before the count, between the lines and after them")
    vector.raw(b"\n  \n\r\n2\n\n").tensor("a", ones).raw(b" \r\n\n").tensor("b", ones).raw(b"\n \n\n").good()

    vector = Vector("spaces_around_count", "spaces before and behind the count").raw(b"  1  \n")
    vector.tensor("a", ones).good()

    vector = Vector("trailing_spaces", "spaces behind the last value").raw(b"2\n")
    vector.tensor("a", ones, end=" \n").tensor("b", ones, gap=" ", end="   ", dialect="one_space").good()

    Vector("no_final_newline", "the last line without its end").raw(b"1\n").tensor("a", values(19, 9), end="").good()
    Vector("no_final_newline_empty", "the same, without a value").raw(b"1\n").tensor("a", [], gap=" ", end="").good()

    vector = Vector("names", "a name is any bytes but spaces and control characters").raw(b"7\n")
    for name in ("0", "1.weight", "модель.вес", "a/b:c[0]{x}='\"\\", "-", "7f800000", "n" * 300):
        vector.tensor(name, ones)
    vector.good()

    vector = Vector("leading_zeros", "zeros before a number of values").raw(b"0002\n")
    vector.tensor("a", ones, head="a 0003").tensor("b", [], head="b 00", gap=" ").good()

    vector = Vector("spaced", "more spaces than usual, somewhere").raw(b"4\n")
    vector.tensor("gap", ones, gap="   ", dialect="spaced").tensor("between", ones, between="  ", dialect="spaced")
    vector.tensor("behind_name", ones, head="behind_name  3").tensor("plain", ones).good()

    vector = Vector("prefixed", "0x before each value, which is not padded").raw(b"3\n")
    written = ["0x0", "0x3f800000", "0Xdead", "0x00000001"]
    bits = ["00000000", "3f800000", "0000dead", "00000001"]
    vector.tensor("a", bits, gap=" ", written=written, dialect="prefixed")
    vector.tensor("b", bits[:1], written=written[:1], dialect="prefixed").tensor("plain", ones).good()

    vector = Vector("typed", "a type (0: float) before the number, values not padded, a space at the end").raw(b"3\n")
    bits = ["3f800000", "00000000", "00000001", "bf800000"]
    vector.tensor(
        "a", bits, head="a 0 4", gap=" ", written=["3f800000", "0", "1", "BF800000"], end=" \n", dialect="typed"
    )
    vector.tensor("b", [], head="b 0 0", gap=" ", end="\n", dialect="typed")
    vector.tensor("c", bits[:1], head="c 0 1", gap=" ", written=bits[:1], end="\n", dialect="typed").good()

    halves = [
        (0x0000, "00000000"),
        (0x8000, "80000000"),
        (0x0001, "33800000"),
        (0x03FF, "387fc000"),
        (0x0400, "38800000"),
    ]
    halves += [
        (0x3C00, "3f800000"),
        (0xC000, "c0000000"),
        (0x7BFF, "477fe000"),
        (0x7C00, "7f800000"),
        (0xFC00, "ff800000"),
    ]
    halves += [
        (0x7E00, "7fc00000"),
        (0x7C01, "7fc02000"),
        (0xFFFF, "ffffe000"),
        (0x3555, "3eaaa000"),
        (0x8200, "b8000000"),
    ]
    for half, bits_of in halves:  # by another road: Python's own widening, but for the NaN
        wide = struct.unpack(">e", struct.pack(">H", half))[0]
        if wide == wide and struct.pack(">f", wide).hex() != bits_of:
            raise ValueError(f"{half:04x}")
    vector = Vector("typed_half", "the type 1: float16, widened exactly; a NaN keeps its payload and becomes quiet")
    vector.raw(b"\n2\n")
    vector.tensor(
        "h",
        [bits_of for _, bits_of in halves],
        head=f"h 1 {len(halves)}",
        gap=" ",
        written=[f"{half:x}" for half, _ in halves],
        end=" \n",
        dialect="typed_half",
    )
    vector.tensor("f", ["40490fdb"], head="f 0 1", gap=" ", dialect="typed").good()

    vector = Vector("typed_empty_first", "a first line with a type and without values").raw(b"2\n")
    vector.tensor("e", [], head="e 1 0", gap=" ", dialect="typed_half")
    vector.tensor("f", ["0000000f"], head="f 0 1", gap=" ", written=["f"], dialect="typed").good()

    vector = Vector("typed_crlf", "types, and lines that end with a carriage return and a line feed").raw(b"2\r\n")
    vector.tensor("e", [], head="e 1 0", gap="", end="\r\n", dialect="typed_half")
    vector.tensor("f", ["0000000f"], head="f 0 1", gap=" ", written=["f"], end="\r\n", dialect="typed").good()

    vector = Vector("not_typed", "lines that begin as a typed file would, and are none").raw(b"3\n")
    vector.tensor("a", ["00000001"], gap=" ", dialect="one_space").tensor("b", ["12345678"]).tensor(
        "c", [], gap=" "
    ).good()


def bad_vectors() -> None:
    def bad(
        name: str, about: str, text: bytes, code: str, at: int | bytes = 0, *, line: int = 0, tensor: str = ""
    ) -> None:
        Vector(name, about).raw(text).bad(code, at, line=line, tensor=tensor)

    first = b"2\na 2  3f800000 40000000\n"

    # What is no .wts at all.
    bad("other_empty", "an empty file", b"", "not_wts")
    bad("other_blank", "nothing but blank lines", b"\n \r\n\n", "not_wts")
    bad("other_zip", "a PyTorch checkpoint that was renamed", b"PK\x03\x04" + bytes(60), "not_wts")
    bad("other_pickle", "an old PyTorch checkpoint", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "not_wts")
    bad(
        "other_lfs",
        "a git-lfs pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "not_wts",
    )
    bad("other_html", "a web page", b"\n<!DOCTYPE html>\n<html><head></head></html>\n", "not_wts")
    bad("other_darknet", "darknet's binary weights", struct.pack("<iiiq", 0, 2, 5, 32013312) + bytes(64), "not_wts")
    bad("other_safetensors", "a .safetensors", struct.pack("<Q", 17) + b'{"a":{"dtype":1}}', "not_wts")
    bad("other_hdf5", "Keras's HDF5", b"\x89HDF\r\n\x1a\n" + bytes(40), "not_wts")
    bad("other_gzip", "compressed", b"\x1f\x8b\x08" + bytes(20), "not_wts")
    bad("other_onnx", "an ONNX model", b"\x08\x07\x12\x07pytorch", "not_wts")
    bad("other_zeros", "zeros", bytes(100), "not_wts")
    bad("other_utf16", "UTF-16", "1\na 0 \n".encode("utf-16"), "not_wts")
    bad("other_bom", "UTF-8 with a byte order mark", b"\xef\xbb\xbf1\na 0 \n", "not_wts")

    # The count.
    bad("count_zero", "a count of 0", b"0\n", "head", 0, line=1)
    bad("count_negative", "a count below 0", b"-1\na 0 \n", "head", 0, line=1)
    bad("count_large", "a count beyond 2147483647", b"2147483648\na 0 \n", "head", 0, line=1)
    bad("count_word", "no number", b"\nthree\n", "head", 1, line=2)
    bad("count_missing", "the lines without the count before them", b"a 1  3f800000\n", "head", 0, line=1)
    bad("count_not_alone", "a second word behind the count", b"1 a\na 0 \n", "head", 0, line=1)
    bad("count_more", "more tensors announced than there are", first, "cut", len(first), line=3)
    bad("count_less", "text behind the last tensor", b"1" + first[1:] + b"b 0 \n", "trailing", len(first), line=3)
    bad("trailing_zero", "a zero byte behind the last tensor", b"1\na 0 \n\0", "trailing", 7, line=3)

    # A line's head.
    bad("name_missing", "a line that begins with a space", b"1\n 2  3f800000 40000000\n", "line", 2, line=2)
    bad("name_control", "a control character in a name", b"1\na\x07b 0 \n", "line", b"\na", line=2)
    bad("name_tab", "a tab behind the name", b"1\na\t0 \n", "line", b"\na", line=2)
    bad("name_alone", "a line that ends behind the name", b"2\na\nb 0 \n", "line", b"2\na", line=2, tensor="a")
    bad("name_long", "a name of more than 65536 bytes", b"1\n" + b"n" * 65537 + b" 0 \n", "line", 65538, line=2)
    bad("name_twice", "a name that is there already", first + b"a 0 \n", "duplicate", b"a 0 ", line=3, tensor="a")
    bad("numel_word", "no number behind the name", b"1\nname x\n", "line", b"name ", line=2, tensor="name")
    bad("numel_large", "a number beyond 4294967295", b"1\na 4294967296  3f800000\n", "line", b"a ", line=2, tensor="a")
    bad("numel_negative", "a number below 0", b"1\na -1 \n", "line", b"a ", line=2, tensor="a")
    bad("numel_real", "a number with a point", b"1\na 1.0  3f800000\n", "line", b"a ", line=2, tensor="a")

    # Values.
    for where, text, at in (
        ("first", b"a 3  3f8000g0 40000000 40400000", b"3f8000"),
        ("middle", b"a 3  3f800000 x0000000 40400000", b"3f800000 "),
        ("last", b"a 3  3f800000 40000000 4040000:", b" 4040000"),
    ):
        bad(
            f"digit_{where}", "a character that is no hex digit", b"1\n" + text + b"\n", "digit", at, line=2, tensor="a"
        )
    many = b" ".join(v.encode() for v in values(200, 20))
    bad("digit_deep", "the same among many values", b"1\na 200  " + many[:1234] + b"/" + many[1235:] + b"\n", "digit",
        2 + 7 + 1234, line=2, tensor="a")  # fmt: skip
    for byte in (0x00, 0x09, 0x20, 0x2F, 0x3A, 0x40, 0x47, 0x60, 0x67, 0x80, 0xB0, 0xFF):
        text = bytearray(many)
        text[903] = byte
        bad(f"digit_{byte:02x}", f"the byte 0x{byte:02x} in place of a digit", b"1\na 200  " + text + b"\n", "digit",
            2 + 7 + 903, line=2, tensor="a")  # fmt: skip
    text = bytearray(many)
    text[908] = ord("0")
    bad("space_missing", "a digit in place of the space between two values", b"1\na 200  " + text + b"\n", "digit",
        2 + 7 + 908, line=2, tensor="a")  # fmt: skip
    bad("tab_between", "a tab in place of the space between two values", b"1\na 2  3f800000\t40000000\n", "digit",
        b" 3f800000", line=2, tensor="a")  # fmt: skip
    bad(
        "value_short", "a value of seven digits", b"1\na 2  3f80000 40000000\n", "digit", b"3f80000", line=2, tensor="a"
    )
    bad(
        "value_long",
        "a value of nine digits",
        b"1\na 2  3f8000000 40000000\n",
        "digit",
        b"3f800000",
        line=2,
        tensor="a",
    )
    bad(
        "line_short",
        "fewer values than announced",
        b"2\na 3  3f800000 40000000\nb 0 \n",
        "values",
        b"40000000",
        line=2,
        tensor="a",
    )
    bad(
        "line_long",
        "more values than announced",
        b"1\na 1  3f800000 40000000\n",
        "values",
        b"3f800000 ",
        line=2,
        tensor="a",
    )
    bad(
        "line_not_empty",
        "a value where none is announced",
        b"1\nname 0  3f800000\n",
        "values",
        b"name 0  ",
        line=2,
        tensor="name",
    )
    bad("line_empty", "no value where one is announced", b"2\na 1 \nb 0 \n", "values", b"a 1 ", line=2, tensor="a")
    bad(
        "line_broken",
        "values on the next line",
        b"1\na 2  3f800000\n40000000\n",
        "values",
        b" 3f800000",
        line=2,
        tensor="a",
    )
    text = b"1\na 3  3f800000 40000000\nbcdef 0 \n"  # three values would end where the next line does
    bad("line_swallows", "a short line, where arithmetic meets another line's end", text, "values", b"40000000",
        line=2, tensor="a")  # fmt: skip
    bad("cut_in_value", "the file ends in a value", b"1\na 2  3f800000 4000", "cut", b"4000", line=2, tensor="a")
    bad(
        "cut_behind_value", "the file ends behind a value", b"1\na 2  3f800000", "cut", b" 3f800000", line=2, tensor="a"
    )
    bad("cut_in_head", "the file ends in a line's head", b"1\nname ", "cut", b"name ", line=2, tensor="name")
    bad("cut_between_lines", "the file ends behind a line", b"3\na 0 \nb 0 \n", "cut", b"b 0 \n", line=4)
    bad(
        "prefix_missing",
        "0x before some of the values",
        b"1\na 2 0x3f800000 40000000\n",
        "digit",
        b"00 ",
        line=2,
        tensor="a",
    )
    bad("prefix_alone", "0x without a digit", b"1\na 2 0x 0x0\n", "digit", b"2 0x", line=2, tensor="a")
    bad("prefix_long", "0x and nine digits", b"1\na 1 0x03f800000\n", "digit", b"0x03f80000", line=2, tensor="a")
    bad(
        "typed_unknown",
        "a type that is neither float nor half",
        b"2\na 0 1 0\nb 3 1 0\n",
        "line",
        b"\nb ",
        line=3,
        tensor="b",
    )
    bad("typed_missing", "a line without a type in a file with types", b"2\na 0 1 0\nb 1 00000000\n", "line", b"\nb ",
        line=3, tensor="b")  # fmt: skip
    bad("typed_short", "fewer values than announced, with a type", b"3\na 0 1 0\nb 0 2 1\nc 0 0 \n", "values",
        b"b 0 2 1", line=3, tensor="b")  # fmt: skip
    bad("typed_half_long", "a half of five digits", b"2\na 1 0 \nb 1 1 03c00\n", "digit", b"03c0", line=3, tensor="b")
    bad(
        "typed_late",
        "a type in a later line only",
        b"2\na 1  3f800000\nb 0 1 3f800000\n",
        "values",
        b"b 0 ",
        line=3,
        tensor="b",
    )


def main() -> None:
    for old in [*HERE.glob("*.wts"), *HERE.glob("*.json")]:
        if not old.name.startswith("found_"):
            old.unlink()
    good_vectors()
    bad_vectors()


if __name__ == "__main__":
    main()
