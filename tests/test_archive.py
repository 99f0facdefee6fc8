"""The reader of zip archives against the standard library's writer."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pywts._core import file_crc32
from pywts.checkpoint.archive import Archive
from pywts.checkpoint.files import SourceFile
from pywts.errors import CheckpointError, LimitError
from pywts.limits import DEFAULT_LIMITS

FILES = {"it/data.pkl": b"N." * 100, "it/data/0": bytes(range(256)), "it/empty": b"", "ä/€.txt": b"x", "it/a b": b"y"}


class Unseekable(io.BytesIO):
    """A stream that cannot go back, so that sizes follow the data."""

    def seekable(self) -> bool:
        """No."""
        return False

    def seek(self, *_: int) -> int:
        """Never."""
        raise io.UnsupportedOperation

    def tell(self) -> int:
        """Unknown."""
        raise io.UnsupportedOperation


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[object]:
    files: list[SourceFile] = []

    def open_archive(data: bytes, **limits: int) -> Archive:
        path = tmp_path / f"{len(files)}.zip"
        path.write_bytes(data)
        files.append(SourceFile(path))
        return Archive(files[-1], DEFAULT_LIMITS.replace(**limits))

    yield open_archive
    for file in files:
        file.close()


def written(out: io.BytesIO, method: int, files: dict[str, bytes], zip64: bool = False, comment: bytes = b"") -> bytes:
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(data)
        archive.comment = comment
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("stream", [io.BytesIO, Unseekable], ids=["seekable", "stream"])
@pytest.mark.parametrize("zip64", [False, True], ids=["zip", "zip64"])
@pytest.mark.parametrize("comment", [b"", b"c" * 65535, b"PK\x05\x06"], ids=["bare", "long comment", "mark in comment"])
def test_reads_what_zipfile_writes(method: int, stream: type, zip64: bool, comment: bytes, opened) -> None:  # type: ignore[no-untyped-def]
    archive = opened(written(stream(), method, FILES, zip64, comment))
    assert archive.names() == list(FILES)
    for name, data in FILES.items():
        entry = archive.find(name)
        assert archive.read(entry, 1 << 20) == data
        if entry.stored:
            assert archive.file.read(entry.offset, entry.size) == data


def test_stream_of_zip_tells_the_size_before_the_data_and_the_rest_after_it(opened) -> None:  # type: ignore[no-untyped-def]
    data = bytearray(written(Unseekable(), zipfile.ZIP_DEFLATED, {"it/data.pkl": b"N." * 100}))
    data[22:26] = (200).to_bytes(4, "little")  # as `zip -r - folder` has it in the local header
    archive = opened(bytes(data))
    assert archive.read(archive.find("it/data.pkl"), 1 << 20) == b"N." * 100
    data[22:26] = (201).to_bytes(4, "little")
    with pytest.raises(CheckpointError, match="contradicts the directory"):
        opened(bytes(data)).find("it/data.pkl")


@given(st.dictionaries(st.text("ab/.", min_size=1, max_size=5), st.binary(max_size=300), max_size=6), st.booleans())
def test_any_files(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], deflated: bool) -> None:
    path = tmp_path_factory.mktemp("zip") / "any.zip"
    path.write_bytes(written(io.BytesIO(), zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED, files))
    with SourceFile(path) as file:
        archive = Archive(file, DEFAULT_LIMITS)
        assert {name: archive.read(archive.find(name), 1 << 20) for name in archive.names()} == files


def test_chunks_are_bounded(opened) -> None:  # type: ignore[no-untyped-def]
    data = bytes(5 << 20)
    archive = opened(written(io.BytesIO(), zipfile.ZIP_DEFLATED, {"zeros": data}))
    pieces = list(archive.chunks(archive.find("zeros"), 1 << 16))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 16


def test_limits_stand_before_memory_is_taken(opened) -> None:  # type: ignore[no-untyped-def]
    data = written(io.BytesIO(), zipfile.ZIP_STORED, {str(index): b"" for index in range(20)})
    with pytest.raises(LimitError, match="20 files in the archive, over the limit of 19"):
        opened(data, entries=19)
    archive = opened(written(io.BytesIO(), zipfile.ZIP_DEFLATED, {"x": bytes(100)}))
    with pytest.raises(LimitError, match="has 100 bytes, over the limit of 99"):
        archive.read(archive.find("x"), 99)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_content_is_checked_against_its_crc32(opened, method: int) -> None:  # type: ignore[no-untyped-def]
    data = written(io.BytesIO(), method, {"whole": b"y" * 700_000, "broken": b"x" * 700_001})
    found = zlib.crc32(b"x" * 700_001).to_bytes(4, "little")
    assert data.count(found) == 2  # beside the entry, and in the directory
    archive = opened(data.replace(found, b"\1\2\3\4"))
    archive.check(archive.find("whole"))
    with pytest.raises(CheckpointError, match=r"broken does not match its CRC32: 04030201 in .{8,15}, .{8} found"):
        archive.check(archive.find("broken"))
    with pytest.raises(CheckpointError, match="broken does not match its CRC32"):
        archive.read(archive.find("broken"), 1 << 20)
    archive = opened(data.replace(found, bytes(4)))  # none was computed
    archive.check(archive.find("broken"))


@given(st.binary(max_size=2000), st.integers(0, 2000), st.integers(0, 2000))
def test_a_span_of_a_file_has_the_crc32_of_zlib(data: bytes, start: int, size: int) -> None:
    start, size = min(start, len(data)), min(size, max(len(data) - start, 0))
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        assert file_crc32(file.fileno(), start, size) == zlib.crc32(data[start : start + size])


def test_a_span_that_a_file_does_not_have_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(bytes(100))
    with SourceFile(path) as file, pytest.raises(CheckpointError, match="short: ends at byte 100, before it should"):
        file.crc32(90, 11)
