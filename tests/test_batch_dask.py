"""The engine dask: a real scheduler and workers, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from checkpoints import save, tensor
from midway import hold_now, large_source
from processes import ELSEWHERE, TIMEOUT, environment, run, start

import pywts
from pywts.zoo.engines.dask import Dask
from pywts.zoo.journal import NAME

pytestmark = pytest.mark.remote

CALM = environment(PYTHONWARNINGS="ignore")


def zoo_of(folder: Path, count: int) -> Path:
    """Small checkpoints."""
    folder.mkdir()
    for number in range(count):
        save(folder / f"{number}.pt", {"w": tensor(numpy.arange(number + 1, dtype=numpy.float32))})
    return folder


class Cluster:
    """A scheduler and two workers on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        file = folder / "scheduler.json"
        self.scheduler = self._start("dask_scheduler", "--scheduler-file", file, "--port", "0", "--no-dashboard")
        deadline = time.monotonic() + TIMEOUT
        while not file.exists() or not file.read_text():
            assert time.monotonic() < deadline
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        self.address: str = json.loads(file.read_text())["address"]
        self.workers = [self.add_worker() for _ in range(2)]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Another worker."""
        return self._start(
            "dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", self.folder,
        )  # fmt: skip

    def _start(self, module: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *map(os.fspath, arguments)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, env=CALM, cwd=ELSEWHERE, **quiet)

    def close(self) -> None:
        """End it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(TIMEOUT)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster, and its end."""
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster")
    yield cluster
    cluster.close()


def test_worker_of_a_cluster_is_killed_and_the_results_are_complete(cluster: Cluster, tmp_path: Path) -> None:
    zoo, out = zoo_of(tmp_path / "zoo", 60), tmp_path / "out"
    large_source(zoo / "large.pt")
    (zoo / "broken.pt").write_bytes(b"PK\x03\x04")
    batch = start("batch", zoo, "-o", out, "--engine", "dask", "--scheduler", cluster.address, env=CALM)
    victim = None
    while victim is None:
        assert batch.poll() is None, batch.communicate()
        victim = next((worker for worker in cluster.workers if hold_now(worker.pid, out)), None)
    victim.send_signal(signal.SIGKILL)
    stdout, stderr = batch.communicate(timeout=TIMEOUT)
    text = stdout.decode()
    assert batch.returncode == 1, (text, stderr)
    assert text.splitlines()[0] == "62 checkpoints to do, 0 done before; 2 workers of dask, dashboard at None" or (
        "workers of dask, dashboard at http://" in text.splitlines()[0]
    )
    assert "broken.wts: " in text
    for number in range(60):
        pywts.export(zoo / f"{number}.pt", tmp_path / "one.wts")
        assert (out / f"{number}.wts").read_bytes() == (tmp_path / "one.wts").read_bytes()
    assert (out / "large.wts").stat().st_size > 600_000_000
    assert sorted(path.name for path in out.iterdir() if path.suffix != ".wts") == [NAME]
    again = run("batch", zoo, "-o", out, "--jobs", "1")  # the journal is the same for every engine
    assert "1 checkpoint to do, 61 done before" in again.stdout


def test_cluster_on_this_machine(tmp_path: Path) -> None:
    zoo = zoo_of(tmp_path / "zoo", 10)
    found = run("batch", zoo, "-o", tmp_path / "out", "--engine", "dask", "--jobs", "2", env=CALM)
    assert found.returncode == 0, found.stderr
    assert "2 workers of dask, dashboard at http://127.0.0.1:" in found.stdout
    assert len(list((tmp_path / "out").glob("*.wts"))) == 10


def test_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pywts.zoo.engines.dask._PATIENCE", 1)
    zoo = zoo_of(tmp_path / "zoo", 1)
    with pytest.raises(pywts.OptionError, match=r"tcp://127\.0\.0\.1:9: no cluster of dask answers"):
        pywts.batch(zoo, tmp_path / "out", engine="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(pywts.OptionError, match="--timeout is of the engine processes"):
        pywts.batch(zoo, tmp_path / "out", engine="dask", timeout=3)


def test_cluster_without_a_worker_is_left_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    class Cluster:
        def __init__(self, **_: object) -> None:
            pass

        def close(self) -> None:
            ended.append("cluster")

    class Client:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def wait_for_workers(self, *_: object, **__: object) -> None:
            raise TimeoutError("no worker came")

        def close(self) -> None:
            ended.append("client")

    monkeypatch.setattr("distributed.LocalCluster", Cluster)
    monkeypatch.setattr("distributed.Client", Client)
    with pytest.raises(pywts.OptionError, match="no cluster of dask answers: no worker came"):
        Dask(jobs=1)
    assert ended == ["client", "cluster"]
