"""Where checkpoints come from and a .wts goes to: paths of this machine, and URLs of whatever fsspec knows."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import sys
import tempfile
import time
import zlib
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from ..destination import looks_like_wts
from ..errors import CheckpointError, Error, OptionError, OutputError, shown
from ..records import Record
from ..system import write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from io import FileIO

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_TELLTALES = (
    "ETag", "etag", "LastModified", "Last-Modified", "last_modified", "mtime", "modified", "created", "generation",
    "md5Hash", "Content-MD5", "Digest", "content_md5", "blob_id", "lfs", "checksum", "ino",
)  # fmt: skip
"""What file systems call the facts that change with a file's content."""

_BLOCK = 8 << 20
"""Bytes that are asked for at a time."""

_PART = 64 << 20
"""Bytes of a part of an upload; what is larger goes up in several."""

_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "hf")
"""Where an object is there when its upload is complete; elsewhere the file system is asked to do it in two steps."""

_TRIES = 5
_FIRST_PAUSE = 0.2


class Facts(Record):
    """What tells whether a file is still the one that was seen."""

    size: int
    fingerprint: str


def is_url(place: str) -> bool:
    """Whether a place is a URL rather than a path."""
    return bool(_URL.match(place))


def without_file_scheme(place: str) -> str:
    """The path in a ``file://`` URL: what lies on this machine is read and locked as such; other places as they are."""
    return unquote(urlsplit(place).path) if place[:7].lower() == "file://" else place


def name_of(place: str) -> str:
    """The last part of a path or URL."""
    return posixpath.basename(unquote(urlsplit(place).path)) if is_url(place) else os.path.basename(place)


def facts_of(files: Iterable[str]) -> Facts:
    """Size and fingerprint of the files of one model. Raises CheckpointError where one is missing.

    A file of this machine is known by its size and the times of its last change, of content and of inode: no program
    can set the latter back. One elsewhere by what its server tells of it: size, ETag, time, version.
    """
    found = [_facts_of_url(file) if is_url(file) else _facts_of_path(file) for file in files]
    if len(found) == 1:
        return found[0]
    joined = hashlib.sha256("\n".join(facts.fingerprint for facts in found).encode()).hexdigest()[:32]
    return Facts(sum(facts.size for facts in found), joined)


def _facts_of_path(path: str) -> Facts:
    try:
        status = os.stat(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {_reason(error)}") from None
    return Facts(status.st_size, f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}")


def _facts_of_url(url: str) -> Facts:
    system, path = filesystem(url)
    return facts_of_info(patiently(lambda: system.info(path), url, CheckpointError))


def facts_of_info(info: dict[str, Any]) -> Facts:
    """The facts in what a file system of fsspec tells of a file."""
    told = [f"{key}={info[key]}" for key in _TELLTALES if info.get(key)]
    size = info.get("size") or 0
    return Facts(size, hashlib.sha256("\n".join([str(size), *told]).encode()).hexdigest()[:32])


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise OptionError(f"{shown(url)}: URLs need fsspec: pip install 'pywts[remote]'") from None
    try:
        system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:  # no such scheme, or its package is missing
        raise OptionError(f"{shown(url)}: {shown(error)}") from None
    return system, str(path)


def patiently(action: Callable[[], Any], url: str, kind: type[Error]) -> Any:
    """An action over a network, tried again where it may go better the next time. Raises ``kind``."""
    pause = _FIRST_PAUSE
    for attempt in count(1):
        try:
            return action()
        except Error:
            raise
        except Exception as error:  # every client has its own for what the network does
            if _is_final(error):
                raise kind(f"{url}: {_reason(error)}") from None
            if attempt == _TRIES:
                raise kind(f"{url}: {_reason(error)}, after {_TRIES} tries") from None
            time.sleep(pause)
            pause *= 2
    return None


def _is_final(error: Exception) -> bool:
    """Whether an error would come again."""
    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:  # HTTP: whatever went wrong
        return getattr(error.__cause__, "status", 0) in range(400, 500)
    return isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, MemoryError))


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        cause = error.__cause__
        return "no such file" if cause is None or getattr(cause, "status", 0) == 404 else _reason(cause)
    if isinstance(error, NotImplementedError):
        return "this kind of URL cannot be written"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(words, 300)


# -------------------------------------------------------------------------------------------------------- to be read


@contextmanager
def local_copy(files: tuple[str, ...]) -> Iterator[str]:
    """The path of a model's first file, the others beside it; of URLs a copy that has no name and leaves nothing."""
    if not is_url(files[0]):
        yield files[0]
        return
    with tempfile.TemporaryDirectory(prefix="pywts-") as folder, ExitStack() as opened:
        places = [os.path.join(folder, name_of(url) or "checkpoint") for url in files]
        for url, place in zip(files, places, strict=True):
            if sys.platform == "linux":
                file = opened.enter_context(tempfile.TemporaryFile(buffering=0))
                os.symlink(f"/proc/{os.getpid()}/fd/{file.fileno()}", place)
            else:
                file = opened.enter_context(open(place, "w+b", buffering=0))
            _download(url, file)
        yield places[0]


def _download(url: str, file: FileIO) -> None:
    """Copy a file, block by block; after an error go on where it stopped, if the server gives parts of a file."""
    system, path = filesystem(url)
    parts = True

    def copy() -> None:
        nonlocal parts
        with system.open(path, "rb", block_size=_BLOCK if parts else 0, cache_type="none") as remote:
            if parts:
                remote.seek(file.tell())
            else:
                file.seek(0)
                file.truncate()
            try:
                while block := remote.read(_BLOCK):
                    _keep(file, block)
            except ValueError:
                parts = False  # of HTTP, by a server without ranges
                raise
            size = remote.size or file.tell()
            if file.tell() != size:
                raise OSError(f"ended after {file.tell()} of {size} bytes")

    patiently(copy, url, CheckpointError)


def _keep(file: FileIO, block: bytes) -> None:
    """Write a block of a copy. Raises CheckpointError: asking the server again would not change it."""
    try:
        write_all(file.fileno(), block)
    except OSError as error:
        raise CheckpointError(
            f"{tempfile.gettempdir()}: a copy cannot be kept there: {_reason(error)}; make room, or name another "
            "folder with TMPDIR"
        ) from None


# ----------------------------------------------------------------------------------------------------- to be written


def joined(out: str, name: str) -> str:
    """The place of an output in OUT."""
    return f"{out.rstrip('/')}/{name}" if is_url(out) else os.path.join(out, *name.split("/"))


def free_space(out: str) -> int | None:
    """Bytes that are free where OUT is or will be; None where nobody knows."""
    if is_url(out):
        return None
    folder = os.path.abspath(out)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def size_and_time(place: str) -> tuple[int, int | None] | None:
    """Size and time (ns) of an output, as far as they are known; None where there is none."""
    try:
        if is_url(place):
            system, path = filesystem(place)
            return int(system.info(path)["size"]), None
        status = os.stat(place)
        return status.st_size, status.st_mtime_ns
    except Error:
        raise
    except Exception:  # of a URL every client has its own, and some tell no size
        return None


def crc32_of(place: str) -> str | None:
    """The CRC-32 of an output, 8 hex digits; None where it is no file of this machine, or cannot be read."""
    if is_url(place):
        return None
    checksum, buffer = 0, bytearray(1 << 20)
    try:
        with open(place, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                checksum = zlib.crc32(memoryview(buffer)[:count], checksum)
    except OSError:
        return None
    return f"{checksum:08x}"


def check_replaceable(url: str, *, overwrite: bool, force: bool) -> None:
    """Raise OutputError for an object that must not be overwritten: any, or one that is no .wts."""
    system, path = filesystem(url)

    def head() -> bytes | None:
        if not system.exists(path):
            return None
        found: bytes = system.cat_file(path, start=0, end=4096)
        return found

    there = patiently(head, url, OutputError)
    if there is not None and not overwrite:
        raise OutputError(f"{url}: exists, and overwriting was not allowed")
    if there and not force and not looks_like_wts(there):
        raise OutputError(f"{url}: exists and is no .wts; force=True overwrites it")


@contextmanager
def uploading(url: str) -> Iterator[BinaryIO]:
    """A stream to an object that appears when all of it is there, and not at all if anything fails."""
    system, path = filesystem(url)
    whole = urlsplit(url).scheme in _OBJECT_STORES
    try:
        if not whole:
            system.makedirs(posixpath.dirname(path), exist_ok=True)
        file = system.open(path, "wb", block_size=_PART, autocommit=whole)
        try:
            yield file
            file.close()
            if not whole:
                file.commit()
        except BaseException:
            with suppress(AttributeError):
                file.closed = True  # closing it would complete it
            file.discard()
            raise
    except Error:
        raise
    except Exception as error:  # every client has its own
        raise OutputError(f"{url}: cannot be written: {_reason(error)}; no object was left") from None


def drop_unfinished(out: str, outputs: Collection[str]) -> None:
    """Take away the parts of uploads that killed workers left for these outputs: S3 keeps them, unseen and paid for."""
    if urlsplit(out).scheme not in ("s3", "s3a"):
        return
    system, path = filesystem(out)
    bucket, key, _ = system.split_path(path)
    wanted = {posixpath.join(key, output) for output in outputs}

    def drop() -> None:
        where: dict[str, Any] = {"Bucket": bucket, "Prefix": key}
        while True:
            answer = system.call_s3("list_multipart_uploads", **where)
            for found in answer.get("Uploads", ()):
                if found["Key"] in wanted:
                    system.abort_mpu(bucket, found["Key"], found["UploadId"])
            if not answer.get("IsTruncated"):
                return
            where.update(KeyMarker=answer["NextKeyMarker"], UploadIdMarker=answer["NextUploadIdMarker"])

    with suppress(OutputError):  # who may not list uploads may write all the same
        patiently(drop, out, OutputError)


def upload(path: str, url: str) -> None:
    """Copy a file to a URL, all of it or nothing."""
    with open(path, "rb") as file, uploading(url) as stream:
        while block := file.read(_BLOCK):
            stream.write(block)
