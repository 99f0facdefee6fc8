"""Buckets and web servers: S3's own protocol over HTTP, with everything that a network does to it."""

from __future__ import annotations

import json
import re
import socket
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, save, tensor
from processes import environment, run, small_files

import pywts
from pywts.zoo.journal import NAME
from pywts.zoo.storage import local_copy, size_and_time

pytestmark = [pytest.mark.remote, pytest.mark.filterwarnings("default")]

VALUES = {"w": numpy.arange(50, dtype=numpy.float32)}


def checkpoint(path: Path, values: int = 50) -> Path:
    """A checkpoint, and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, {"w": tensor(numpy.arange(values, dtype=numpy.float32))})


def exported(source: Path, folder: Path) -> bytes:
    """What a single export gives."""
    pywts.export(source, folder / "single.wts")
    return (folder / "single.wts").read_bytes()


# ------------------------------------------------------------------------------------------------------------------ S3


class Bucket:
    """moto's server on loopback, a bucket in it, and a way to make its answers fail."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self._app = DomainDispatcherApplication(create_backend_app)
        self.requests: list[tuple[str, str, str]] = []
        self.fault: Callable[[str, str, str], str | None] = lambda *_: None
        self._server = make_server("127.0.0.1", 0, self, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def __call__(self, environ: dict[str, Any], respond: Any) -> Any:
        request = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]
        self.requests.append(request)
        fault = self.fault(*request)
        if fault == "drop":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        if fault is not None:
            status, code = fault.split(" ", 1)
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            respond(f"{status} {code}", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{code}</Code><Message>{code} for the test</Message></Error>".encode()]
        return self._app(environ, respond)

    def client(self) -> Any:
        """boto's, which is not what pywts uses."""
        import boto3

        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """A bucket named ``zoo``, which every process finds by its environment."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }.items():
        monkeypatch.setenv(name, value)
    found = Bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    found.client().create_bucket(Bucket="zoo")
    yield found
    found.client().close()
    import moto.backends

    moto.backends.get_backend("s3").reset()
    found.close()


def put(bucket: Bucket, path: Path, key: str) -> None:
    """Put a file into the bucket."""
    bucket.client().put_object(Bucket="zoo", Key=key, Body=path.read_bytes())


def keys(bucket: Bucket, prefix: str) -> list[str]:
    """The objects below a prefix."""
    return [item["Key"] for item in bucket.client().list_objects_v2(Bucket="zoo", Prefix=prefix).get("Contents", [])]


def unfinished(bucket: Bucket) -> list[str]:
    """The keys of uploads that were begun and neither completed nor aborted."""
    return [item["Key"] for item in bucket.client().list_multipart_uploads(Bucket="zoo").get("Uploads", [])]


def content(bucket: Bucket, key: str) -> bytes:
    """An object."""
    body: bytes = bucket.client().get_object(Bucket="zoo", Key=key)["Body"].read()
    return body


def batch(*arguments: Any) -> Any:
    """The command, in a process of its own."""
    return run("batch", *arguments, env=environment(PYTHONWARNINGS="ignore"))


def test_from_a_bucket_to_a_bucket_and_on(bucket: Bucket, tmp_path: Path) -> None:
    good = checkpoint(tmp_path / "a.pt")
    for key in ("in/a.pt", "in/deep/b.pth"):
        put(bucket, good, key)
    put(bucket, save(tmp_path / "optimizer.pt", {"state": {}, "param_groups": []}), "in/optimizer.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04")
    put(bucket, tmp_path / "broken.pt", "in/broken.pt")
    bucket.client().put_object(Bucket="zoo", Key="in/README.md", Body=b"# models")
    found = batch("s3://zoo/in", "-o", "s3://zoo/out", "--jobs", "2")
    assert found.returncode == 1, found.stderr
    assert keys(bucket, "out/") == ["out/a.wts", "out/deep/b.wts", f"out/{NAME}"]
    assert content(bucket, "out/deep/b.wts") == exported(good, tmp_path)
    assert "failed:  broken.wts: s3://zoo/in/broken.pt: " in found.stdout
    lines = [json.loads(line) for line in content(bucket, f"out/{NAME}").splitlines()]
    assert {line["source"] for line in lines} == {
        f"s3://zoo/in/{name}" for name in ("a.pt", "deep/b.pth", "optimizer.pt", "broken.pt")
    }

    put(bucket, checkpoint(tmp_path / "new.pt", 60), "in/a.pt")
    bucket.client().delete_object(Bucket="zoo", Key="in/broken.pt")
    assert "1 checkpoint to do, 1 done before" in batch("s3://zoo/in", "-o", "s3://zoo/out").stdout
    assert content(bucket, "out/a.wts") == exported(tmp_path / "new.pt", tmp_path)
    bucket.client().delete_object(Bucket="zoo", Key="out/a.wts")
    for path in (tmp_path / "state").rglob(NAME):  # as on another machine
        path.unlink()
    assert "1 checkpoint to do, 1 done before" in batch("s3://zoo/in", "-o", "s3://zoo/out").stdout


def test_mixed_sources_with_sidecar_and_verify(bucket: Bucket, tmp_path: Path) -> None:
    put(bucket, checkpoint(tmp_path / "a.pt"), "in/a.pt")
    local = checkpoint(tmp_path / "local" / "b.pt", 70)
    found = batch("s3://zoo/in/a.pt", local, "-o", "s3://zoo/out", "--sidecar", "--verify", "--jobs", "1")
    assert found.returncode == 0, found.stdout
    assert keys(bucket, "out/") == ["out/a.wts", "out/a.wts.json", "out/b.wts", "out/b.wts.json", f"out/{NAME}"]
    assert json.loads(content(bucket, "out/a.wts.json"))["source"]["name"] == "a.pt"
    found = batch("s3://zoo/in/*.pt", "-o", tmp_path / "out", "--jobs", "1")
    assert found.returncode == 0, found.stdout
    assert (tmp_path / "out" / "a.wts").read_bytes() == content(bucket, "out/a.wts")


def test_sharded_model_in_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    names = [f"model-0000{number}-of-00002.bin" for number in (1, 2)]
    for number, name in enumerate(names):
        put(bucket, save(tmp_path / name, {f"w{number}": tensor(VALUES["w"])}), f"in/{name}")
    index = json.dumps({"weight_map": {"w0": names[0], "w1": names[1]}})
    bucket.client().put_object(Bucket="zoo", Key="in/model.bin.index.json", Body=index.encode())
    found = batch("s3://zoo/in", "-o", tmp_path / "out", "--jobs", "1")
    assert found.returncode == 0, found.stdout
    assert pywts.open(tmp_path / "out" / "model.bin.index.wts").names == ["w0", "w1"]
    lost = batch("s3://zoo/in/nothing.pt", "-o", tmp_path / "out")
    assert (lost.returncode, "no such file" in lost.stderr) == (2, True)


def test_large_output_goes_up_in_parts_through_little_memory(bucket: Bucket, tmp_path: Path) -> None:
    values = 33_000_000
    source = save(tmp_path / "large.pt", {"w": Tensor(Storage("float8_e4m3fn", zeros=values), (values,), (1,))})
    found = batch(source, "-o", "s3://zoo/out", "--jobs", "1", "--max-memory", "300M")
    assert found.returncode == 0, found.stdout
    parts = [query for method, _, query in bucket.requests if method == "PUT" and "partNumber" in query]
    assert len(parts) == 5
    head = bucket.client().head_object(Bucket="zoo", Key="out/large.wts")
    pywts.export(source, tmp_path / "single.wts")
    assert head["ContentLength"] == (tmp_path / "single.wts").stat().st_size
    line = json.loads(content(bucket, f"out/{NAME}"))
    assert line["crc32"] == f"{zlib.crc32(content(bucket, 'out/large.wts')):08x}"
    assert unfinished(bucket) == []


class Once:
    """A fault the first so many times that a request is of this kind."""

    def __init__(self, fault: str, method: str, pattern: str, times: int = 1) -> None:
        self.left = times
        self._fault = fault
        self._method = method
        self._pattern = pattern

    def __call__(self, method: str, path: str, query: str) -> str | None:
        if self.left and method == self._method and re.search(self._pattern, f"{path}?{query}"):
            self.left -= 1
            return self._fault
        return None


@pytest.mark.parametrize(
    ("fault", "method", "pattern", "values"),
    [
        *((fault, method, "in/a.pt", 50) for fault in ("500 InternalError", "drop") for method in ("GET", "HEAD")),
        *((fault, "PUT", "out/a.wts", 50) for fault in ("500 InternalError", "drop", "503 SlowDown")),
        ("500 InternalError", "PUT", "partNumber=2", 8_000_000),
        ("drop", "PUT", "partNumber=1", 8_000_000),
        ("drop", "POST", "uploadId", 8_000_000),
    ],
)
def test_fault_of_the_network_is_tried_again(
    fault: str, method: str, pattern: str, values: int, bucket: Bucket, tmp_path: Path
) -> None:
    source = checkpoint(tmp_path / "a.pt", values)
    put(bucket, source, "in/a.pt")
    bucket.fault = once = Once(fault, method, pattern)
    found = batch("s3://zoo/in", "-o", "s3://zoo/out", "--jobs", "1")
    assert found.returncode == 0, found.stdout + found.stderr
    assert once.left == 0, "the fault was not met"
    assert content(bucket, "out/a.wts") == exported(source, tmp_path)
    assert unfinished(bucket) == []


@pytest.mark.parametrize(("method", "pattern"), [("PUT", "partNumber=2"), ("POST", "uploadId"), ("PUT", "small.wts")])
def test_denied_write_is_reported_and_leaves_no_object_and_no_parts(
    method: str, pattern: str, bucket: Bucket, tmp_path: Path
) -> None:
    checkpoint(tmp_path / "zoo" / "large.pt", 8_000_000)
    checkpoint(tmp_path / "zoo" / "small.pt")
    bucket.fault = Once("403 AccessDenied", method, pattern, 1000)
    found = batch(tmp_path / "zoo", "-o", "s3://zoo/out", "--jobs", "1")
    assert found.returncode == 1, found.stdout
    victim = "small" if "small" in pattern else "large"
    other = "large" if victim == "small" else "small"
    assert f"failed:  {victim}.wts: s3://zoo/out/{victim}.wts: cannot be written: " in found.stdout
    assert "no object was left" in found.stdout
    assert set(keys(bucket, "out/")) == {f"out/{other}.wts", f"out/{NAME}"}
    assert unfinished(bucket) == []


def test_parts_that_a_killed_run_left_are_taken_away(bucket: Bucket, tmp_path: Path) -> None:
    checkpoint(tmp_path / "zoo" / "a.pt")
    for key in ("out/a.wts", "out/other.wts"):
        begun = bucket.client().create_multipart_upload(Bucket="zoo", Key=key)
        bucket.client().upload_part(
            Bucket="zoo", Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=bytes(5 << 20)
        )
    assert batch(tmp_path / "zoo", "-o", "s3://zoo/out", "--jobs", "1").returncode == 0
    assert unfinished(bucket) == ["out/other.wts"], "others' uploads are theirs"


def test_object_that_is_no_wts_is_not_overwritten(bucket: Bucket, tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.pt")
    bucket.client().put_object(Bucket="zoo", Key="out/a.wts", Body=b"something else")
    found = batch(tmp_path / "a.pt", "-o", "s3://zoo/out", "--jobs", "1")
    assert found.returncode == 1
    assert "s3://zoo/out/a.wts: exists and is no .wts" in found.stdout
    assert batch(tmp_path / "a.pt", "-o", "s3://zoo/out", "--jobs", "1", "--force").returncode == 0


# ---------------------------------------------------------------------------------------------------------------- HTTP


class Web:
    """A web server on loopback that gives one file, with or without ranges, and can break off."""

    def __init__(self, data: bytes, ranges: bool, refusal: int = 404) -> None:
        self.broken = 0
        self.gets: list[str | None] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(b"" if self.path != "/m/a.pt" else data, "HEAD")

            def do_GET(self) -> None:
                self._answer(b"" if self.path != "/m/a.pt" else data, "GET")

            def _answer(self, body: bytes, method: str) -> None:
                span = self.headers.get("Range")
                if not body:
                    self.send_response(refusal)
                elif span and ranges and method == "GET":
                    begin, end = map(int, re.findall(r"\d+", span))
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {begin}-{min(end, len(body) - 1)}/{len(body)}")
                    body = body[begin : end + 1]
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", '"1"')
                self.end_headers()
                if method == "GET":
                    web.gets.append(span)
                    broken, web.broken = web.broken > 0, max(0, web.broken - 1)
                    try:
                        self.wfile.write(body[: len(body) // 2] if broken else body)
                    except OSError:  # who asked has enough
                        self.close_connection = True
                    if broken:
                        self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/m"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize("broken", [0, 2])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_web_server_with_and_without_ranges(ranges: bool, broken: int, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "a.pt", 5_000_000)
    web = Web(source.read_bytes(), ranges)
    web.broken = broken
    try:
        found = batch(f"{web.url}/a.pt", "-o", tmp_path / "out", "--jobs", "1")
        assert found.returncode == 0, found.stdout
        assert (tmp_path / "out" / "a.wts").read_bytes() == exported(source, tmp_path)
        again = batch(f"{web.url}/a.pt", "-o", tmp_path / "out", "--jobs", "1")
        assert "0 checkpoints to do, 1 done before" in again.stdout
        if ranges:
            assert len(web.gets) >= 3, "it comes block by block"
        missing = batch(f"{web.url}/nothing.pt", "-o", tmp_path / "out", "--jobs", "1")
        assert missing.returncode == 1
        assert f"{web.url}/nothing.pt: no such file" in missing.stdout
    finally:
        web.close()


def test_shard_on_a_web_server_that_lists_no_folders(tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "a.pt")
    web = Web(source.read_bytes(), True, refusal=403)
    try:
        shard = f"{web.url}/model-00001-of-00002.safetensors"
        found = pywts.plan_batch([f"{web.url}/a.pt", shard], tmp_path / "out")
    finally:
        web.close()
    assert [job.source for job in found.jobs] == [f"{web.url}/a.pt"]
    assert [(item.source, item.reason) for item in found.skipped] == [
        (shard, "one of 2 shards that no index.json names")
    ]


def test_url_without_its_driver_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(pywts.OptionError, match=r"unheard://bucket/a\.pt: "):
        pywts.batch("unheard://bucket/a.pt", tmp_path / "out")


def test_full_temporary_folder_is_told_of_as_such_and_not_tried_again() -> None:
    import fsspec

    url = "memory://full/a.pt"
    with fsspec.open(url, "wb") as file:
        file.write(bytes(100_000))
    with small_files(1_000), pytest.raises(pywts.CheckpointError) as raised, local_copy((url,)):
        pass
    assert str(raised.value).startswith(f"{tempfile.gettempdir()}: a copy cannot be kept there: File too large")
    assert "tries" not in str(raised.value)


@pytest.mark.parametrize("told", [RuntimeError("gone"), {"size": None}], ids=["an error", "no size"])
def test_output_that_cannot_be_asked_for_is_not_known(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def info(*_: object, **__: object) -> dict[str, Any]:
        if isinstance(told, Exception):
            raise told
        return dict(told)

    monkeypatch.setattr(MemoryFileSystem, "info", info)
    assert size_and_time("memory://out/a.wts") is None
