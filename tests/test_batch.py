"""``pywts batch``: what is found, what is planned, what is kept, what is said."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import time
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Object, save, tensor
from midway import large_source
from processes import TIMEOUT, drawn_on, environment, run, start
from reference import reference_wts

import pywts
from pywts.zoo.journal import NAME, Journal, read_entries
from pywts.zoo.lists import read_list
from pywts.zoo.plan import outputs_of
from pywts.zoo.sources import Found, discover

VALUES = {"w": numpy.arange(6, dtype=numpy.float32)}


def checkpoint(path: Path, **more: Any) -> Path:
    """A good one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(path, {**{name: tensor(value) for name, value in VALUES.items()}, **more})


def names(found: Any) -> list[str]:
    """What was found, by name."""
    return [item.name for item in found[0]]


def tree(folder: Path) -> list[str]:
    """The files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Three good checkpoints, and what lies about in such folders."""
    folder = tmp_path / "zoo"
    for name in ("a.pt", "deep/er/b.pth", "deep/c.ckpt"):
        checkpoint(folder / name)
    (folder / "README.md").write_text("# models\n")
    (folder / "page.html").write_text("<!doctype html><html></html>")
    (folder / "deep" / "old.wts").write_text("0\n")
    save(folder / "deep" / "optimizer.pt", {"state": {}, "param_groups": [{"lr": 0.1}]})
    return folder


# ------------------------------------------------------------------------------------------------------- what is found


def test_folder_is_mirrored_and_what_is_no_checkpoint_is_skipped_with_a_reason(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = pywts.batch(zoo, out, jobs=1)
    assert tree(out) == ["a.wts", "deep/c.wts", "deep/er/b.wts", NAME]
    assert (out / "deep/er/b.wts").read_bytes() == reference_wts(VALUES)
    reasons = {Path(item.source).name: item.reason for item in report.skipped}
    assert reasons == {
        "README.md": r"this is a text that begins '# models\n'",
        "page.html": "this is a web page, not the file behind the link",
        "old.wts": "a .wts already",
    }
    assert [(entry.output, entry.status) for entry in report.without_weights] == [("deep/optimizer.wts", "skipped")]
    assert "an optimizer's state" in report.without_weights[0].error
    assert not report.failed
    assert report.bytes == 3 * len(reference_wts(VALUES))


def test_checkpoint_is_told_by_its_content_where_its_name_says_nothing(tmp_path: Path) -> None:
    checkpoint(tmp_path / "best.model")
    (tmp_path / "data.bin").write_bytes(b"\x00\x01" * 100)
    (tmp_path / "images.tar").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 300)
    os.mkfifo(tmp_path / "pipe")
    assert names(discover([str(tmp_path)])) == ["best.model"]


def test_name_of_a_checkpoint_is_taken_at_its_word(tmp_path: Path) -> None:
    """A download that failed is a failure, not something to pass over."""
    (tmp_path / "best.pt").write_text("<!doctype html><html></html>")
    report = pywts.batch(tmp_path, tmp_path / "out", jobs=1)
    assert [entry.error for entry in report.failed] == [
        f"{tmp_path}/best.pt: this is a web page, not the file behind the link; download the file itself"
    ]


def test_match_and_ignore(zoo: Path) -> None:
    checkpoint(zoo / "deep" / "raw.dat")
    assert names(discover([str(zoo)], match=("*.dat", "deep/er/*"))) == ["deep/er/b.pth", "deep/raw.dat"]
    assert names(discover([str(zoo)], ignore=("deep/er", "optim*", "raw.*"))) == ["a.pt", "deep/c.ckpt"]


def test_globs_name_from_their_first_wildcard_on(zoo: Path) -> None:
    assert names(discover([f"{zoo}/deep/*/b.*"])) == ["er/b.pth"]
    assert names(discover([f"{zoo}/**/*.p*t*"])) == ["a.pt", "deep/er/b.pth", "deep/optimizer.pt"]
    assert names(discover([f"{zoo}/**/[bc].*"])) == ["deep/c.ckpt", "deep/er/b.pth"]
    assert names(discover([f"{zoo}/**/[!bc].*t*"])) == names(discover([f"{zoo}/[!bc].*t*"])) == ["a.pt"]
    with pytest.raises(pywts.OptionError, match="no such file, folder, glob or list"):
        discover([f"{zoo}/**/[z-a]*.pt"])  # an empty range, and no regular expression
    with pytest.raises(pywts.OptionError, match="no such file, folder, glob or list"):
        discover([f"{zoo}/*.nothing"])


def test_links_and_loops_convert_a_file_once(zoo: Path) -> None:
    (zoo / "deep" / "loop").symlink_to(zoo)
    (zoo / "again").symlink_to(zoo / "deep")
    (zoo / "0best.pt").symlink_to(zoo / "a.pt")
    (zoo / "gone.pt").symlink_to(zoo / "nothing")
    found, skipped = discover([str(zoo), str(zoo / "a.pt")], ignore=("optim*",))
    assert [item.name for item in found] == ["a.pt", "deep/c.ckpt", "deep/er/b.pth", "gone.pt"]
    assert f"the same file as {zoo}/a.pt" in {item.reason for item in skipped}


def test_link_to_itself_is_one_failure(zoo: Path, tmp_path: Path) -> None:
    (zoo / "self.pt").symlink_to("self.pt")
    (zoo / "self").symlink_to("self")
    report = pywts.batch(zoo, tmp_path / "out", jobs=1)
    assert len(report.converted) == 3
    assert [entry.output for entry in report.failed] == ["self.wts"]
    assert str(zoo / "self") in [item.source for item in report.skipped]


def test_cache_of_huggingface_hub(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--org--name"
    blob = checkpoint(model / "blobs" / "0123abc")
    for revision in ("aaa", "bbb"):
        (model / "snapshots" / revision).mkdir(parents=True)
        (model / "snapshots" / revision / "pytorch_model.bin").symlink_to(blob)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("bbb")
    found, skipped = discover([str(tmp_path / "hub")])
    assert [item.name for item in found] == ["models--org--name/snapshots/bbb/pytorch_model.bin"]
    assert [item.reason for item in skipped] == ["a revision that no ref of the cache names"]


def test_broken_cache_of_huggingface_hub_is_told_of(tmp_path: Path) -> None:
    model = tmp_path / "models--org--name"
    model.mkdir()
    (model / "snapshots").write_text("no folder")
    with pytest.raises(pywts.OptionError, match="models--org--name: cannot be listed: Not a directory; --ignore"):
        discover([str(tmp_path)])
    assert discover([str(tmp_path)], ignore=("models--*",)) == ([], [])


def sharded(folder: Path) -> list[Path]:
    """A model in two shards, and its index."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = [save(folder / f"pytorch_model-0000{i}-of-00002.bin", {f"w{i}": tensor(VALUES["w"] + i)}) for i in (1, 2)]
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"w1": shards[0].name, "w2": shards[1].name}}))
    return [index, *shards]


@pytest.mark.parametrize("source", ["", "*.bin", "*.json", "pytorch_model-00002-of-00002.bin"])
def test_shards_are_one_model(source: str, tmp_path: Path) -> None:
    index, *_ = sharded(tmp_path / "model")
    report = pywts.batch(f"{index.parent}/{source}", tmp_path / "out", jobs=1)
    assert [entry.output for entry in report.converted] == ["pytorch_model.bin.index.wts"]
    written = (tmp_path / "out" / "pytorch_model.bin.index.wts").read_bytes()
    assert written == reference_wts({"w1": VALUES["w"] + 1, "w2": VALUES["w"] + 2})
    again = pywts.batch(index.parent, tmp_path / "out", jobs=1)
    assert again.unchanged == ("pytorch_model.bin.index.wts",)
    save(index.parent / "pytorch_model-00002-of-00002.bin", {"w2": tensor(VALUES["w"])})
    assert len(pywts.batch(index.parent, tmp_path / "out", jobs=1).converted) == 1


def test_shards_without_their_index_are_no_models(tmp_path: Path) -> None:
    index, *shards = sharded(tmp_path / "model")
    index.unlink()
    for name in ("fold-1-of-5.pt", "model-00001-of-00001.pt"):
        checkpoint(tmp_path / "model" / name)
    found, skipped = discover([str(tmp_path / "model")])
    assert [item.name for item in found] == ["fold-1-of-5.pt", "model-00001-of-00001.pt"]
    assert {item.reason for item in skipped} == {"one of 2 shards that no index.json names"}
    assert sorted(item.source for item in skipped) == sorted(map(str, shards))


def test_two_sources_on_one_output_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for name in ("a.pt", "a.pth", "b.pt"):
        checkpoint(tmp_path / "zoo" / name, name=name)
    with pytest.raises(pywts.OptionError, match=r"a\.wts: from .*/a\.pt and .*/a\.pth"):
        pywts.batch(tmp_path / "zoo", tmp_path / "out")
    assert tree(tmp_path / "out") == [NAME]
    assert (tmp_path / "out" / NAME).read_bytes() == b""


def test_output_inside_of_the_source_is_not_a_source(zoo: Path) -> None:
    pywts.batch(zoo, zoo / "out", jobs=1)
    assert len(pywts.batch(zoo, zoo / "out", jobs=1).unchanged) == 3
    assert all("/out/" not in item.source for item in pywts.plan_batch(zoo, zoo / "out").skipped)


# --------------------------------------------------------------------------------------------------------------- lists


def test_list_of_paths(zoo: Path, tmp_path: Path) -> None:
    path = zoo / "list.txt"
    path.write_text(f"# good ones\n{zoo}/a.pt\n\ndeep/er/b.pth\ndeep\n/nowhere/x.pt\n")
    report = pywts.batch(path, tmp_path / "out", jobs=1, ignore="optim*")
    assert sorted(entry.output for entry in report.converted) != []
    assert [(entry.source, entry.error) for entry in report.failed] == [
        ("/nowhere/x.pt", "/nowhere/x.pt: no such file")
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_rows_have_outputs_and_options_of_their_own(suffix: str, tmp_path: Path) -> None:
    source = save(tmp_path / "m.pt", {"ema": {"w": tensor(VALUES["w"])}, "model": {"w": tensor(VALUES["w"] + 1)}})
    path = tmp_path / f"list.{suffix}"
    if suffix == "csv":
        path.write_text("source,output,key,rename,half\nm.pt,averaged.wts,,^w=v;v$=x,yes\nm.pt,sub/plain.wts,model,,\n")
    else:
        rows = [
            {"source": "m.pt", "output": "averaged.wts", "options": {"rename": ["^w=v", "v$=x"], "half": True}},
            {"source": str(source), "output": "sub/plain.wts", "key": "model"},
        ]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert not pywts.batch(path, tmp_path / "out", jobs=1).failed
    assert (tmp_path / "out" / "averaged.wts").read_bytes() == reference_wts({"x": VALUES["w"]})
    assert (tmp_path / "out" / "sub" / "plain.wts").read_bytes() == reference_wts({"w": VALUES["w"] + 1})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "source,keey\na.pt,x\n", r"l\.csv:2: there is no option 'keey'; did you mean key\?"),
        ("l.csv", "source,half\na.pt,perhaps\n", r"l\.csv:2: half: 'perhaps' is neither true nor false"),
        ("l.csv", "source,key\na.pt\n", r"l\.csv:2: has another number of cells than the header"),
        ("l.csv", "path\na.pt\n", r"l\.csv:2: has no source"),
        ("l.jsonl", '{"source": "a.pt"}\n{"source": \n', r"l\.jsonl:2: is no JSON"),
        ("l.jsonl", "[1]\n", r"l\.jsonl:1: is neither a path nor an object"),
        ("l.jsonl", '{"source": "a.pt", "dialect": "typed"}', r"l\.jsonl:1: dialect: 'typed' is none of auto"),
        (
            "l.jsonl",
            '{"source": "a.pt", "output": "../x.wts"}',
            r"l\.jsonl:1: the output '\.\./x\.wts' is no path below",
        ),
        ("l.jsonl", '{"source": "a.pt", "output": "/x.wts"}', r"l\.jsonl:1: the output '/x\.wts' is no path below OUT"),
        ("l.jsonl", '{"source": "a\\ud800"}', r"l\.jsonl:1: the source 'a.*' is no path"),
        ("l.jsonl", '{"source": "a.pt", "output": "a\\ud800"}', r"l\.jsonl:1: the output 'a.*' is no path below OUT"),
        ("l.jsonl", '{"source": "a.pt", "options": {"source": "b"}}', r"l\.jsonl:1: source is no option, or stands"),
        (
            "l.jsonl",
            '{"source": "a.pt", "half": 1, "options": {"half": 0}}',
            r"l\.jsonl:1: half is no option, or stands",
        ),
        ("l.jsonl", '{"source": "a.pt", "output": "."}', r"l\.jsonl:1: the output '\.' is no path below OUT"),
        ("l.jsonl", '{"source": "a.pt", "rename": ["[=x"]}', r"l\.jsonl:1: rename \[=x: no regular expression"),
        ("l.csv", "source,recipe\na.pt,yolo99\n", r"l\.csv:2: no recipe 'yolo99'"),
        ("l.txt", "a\0.pt\n", r"l\.txt: is no text in UTF-8"),
        ("l.jsonl", '{"source": "a.pt", "include": [1]}', r"l\.jsonl:1: include: .* is no list of texts"),
    ],
)
def test_list_with_a_mistake_names_the_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(pywts.OptionError, match=message):
        read_list(str(tmp_path / name))


def test_sources_beside_their_list_stay_below_the_output(tmp_path: Path) -> None:
    checkpoint(tmp_path / "zoo" / "a.pt")
    checkpoint(tmp_path / "lists" / "b.pt")
    path = tmp_path / "lists" / "list.txt"
    path.write_text("../zoo/a.pt\nb.pt\n")
    pywts.batch(path, tmp_path / "out", jobs=1)
    assert tree(tmp_path / "out") == ["lists/b.wts", NAME, "zoo/a.wts"]


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_names_in_lists_may_hold_any_line_separator_of_unicode(suffix: str, tmp_path: Path) -> None:
    name = "a\u2028b\x85c.pt"
    line = json.dumps({"source": name}, ensure_ascii=False) if suffix == "jsonl" else name
    path = tmp_path / f"l.{suffix}"
    path.write_text(f"source\n{line}\n" if suffix == "csv" else f"{line}\r\n", encoding="utf-8")
    assert [row.source for row in read_list(str(path))] == [str(tmp_path / name)]


def test_names_in_lists_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.pt\n")
    assert [row.source for row in read_list(str(tmp_path / "l.txt"))] == [os.fsdecode(bytes(tmp_path) + b"/caf\xe9.pt")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.pt,./x.wts\nb.pt,x.wts\n", "several sources would land on one output"),
        (f"a.pt,{NAME}\n", "the journal"),
    ],
)
def test_rows_that_would_land_on_one_output_or_the_journal_are_refused(rows: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"source,output\n{rows}")
    with pytest.raises(pywts.OptionError, match=message):
        pywts.batch(tmp_path / "l.csv", tmp_path / "out")


def test_object_whose_name_leads_out_of_the_output_is_refused() -> None:
    with pytest.raises(pywts.OptionError, match="outside of OUT"):
        outputs_of([Found("s3://b/x/../../a.pt", ("s3://b/x/../../a.pt",), "x/../../a.pt")])


def test_file_urls_are_paths(zoo: Path, tmp_path: Path) -> None:
    os.mkfifo(zoo / "pipe")
    folder = zoo.rename(tmp_path / "a zoo")
    out = tmp_path / "new" / "out"
    report = pywts.batch(folder.as_uri(), out.as_uri(), jobs=1)
    assert (len(report.converted), report.out, report.journal) == (3, str(out), str(out / NAME))
    (tmp_path / "l.txt").write_text(f"{folder.as_uri()}/a.pt\n")
    assert pywts.batch((tmp_path / "l.txt").as_uri(), out, jobs=1).unchanged == ("a.wts",)


# ------------------------------------------------------------------------------------------------------------- journal


def stamps(out: Path) -> dict[str, int]:
    """When each output was written."""
    return {name: (out / name).stat().st_mtime_ns for name in tree(out) if name.endswith(".wts")}


def test_second_run_does_what_changed_is_missing_or_failed(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (zoo / "broken.pt").write_bytes(b"PK\x03\x04 and no more")
    first = pywts.batch(zoo, out, jobs=1)
    assert [entry.output for entry in first.failed] == ["broken.wts"]
    before = stamps(out)

    second = pywts.batch(zoo, out, jobs=1)
    assert (second.converted, len(second.unchanged)) == ((), 3)
    assert [entry.output for entry in second.entries] == ["broken.wts"], "only the failed one is tried again"
    assert "an optimizer's state" in {item.source: item.reason for item in second.skipped}[f"{zoo}/deep/optimizer.pt"]
    assert stamps(out) == before

    size, time_of = (zoo / "a.pt").stat().st_size, (zoo / "a.pt").stat().st_mtime_ns
    checkpoint(zoo / "a.pt", note="b")
    checkpoint(zoo / "a.pt")  # the same size, and the same time
    os.utime(zoo / "a.pt", ns=(time_of, time_of))
    assert ((zoo / "a.pt").stat().st_size, (zoo / "a.pt").stat().st_mtime_ns) == (size, time_of)
    (out / "deep" / "c.wts").unlink()
    checkpoint(zoo / "broken.pt")
    plan = pywts.plan_batch(zoo, out)
    assert {job.output: job.why for job in plan.jobs} == {
        "a.wts": "the source changed",
        "deep/c.wts": "the output is missing",
        "broken.wts": "failed before",
    }
    third = pywts.batch(zoo, out, jobs=1)
    assert sorted(entry.output for entry in third.converted) == ["a.wts", "broken.wts", "deep/c.wts"]
    assert third.unchanged == ("deep/er/b.wts",)


def test_other_options_redo_and_those_that_change_no_byte_do_not(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pywts.batch(zoo, out, jobs=1)
    assert len(pywts.batch(zoo, out, jobs=1, verify=True, durable=True).unchanged) == 3
    redone = pywts.batch(zoo, out, jobs=1, half=True, sidecar=True)
    assert len(redone.converted) == 3
    (out / "a.wts.json").unlink()
    assert [entry.output for entry in pywts.batch(zoo, out, jobs=1, half=True, sidecar=True).converted] == ["a.wts"]


def test_output_that_was_touched_is_kept_and_one_that_was_changed_is_redone(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pywts.batch(zoo, out, jobs=1)
    (out / "a.wts").touch()
    text = bytearray((out / "deep" / "c.wts").read_bytes())
    text[-3] ^= 1
    (out / "deep" / "c.wts").write_bytes(text)
    redone = pywts.batch(zoo, out, jobs=1)
    assert [entry.output for entry in redone.converted] == ["deep/c.wts"]
    assert (out / "deep" / "c.wts").read_bytes() == reference_wts(VALUES)


def test_line_that_a_crash_cut_is_ignored(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pywts.batch(zoo, out, jobs=1)
    whole = (out / NAME).read_bytes()
    (out / NAME).write_bytes(whole[: len(whole) - 20])
    assert len(read_entries(str(out / NAME))) == 3
    again = pywts.batch(zoo, out, jobs=1)
    assert len(again.entries) == 1
    assert len(read_entries(str(out / NAME))) == 4
    assert (out / NAME).read_bytes().startswith(whole[: len(whole) - 20] + b"\n{")


def test_journal_that_cannot_be_read_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: str) -> None:
        raise pywts.OptionError(f"{path}: cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr("pywts.zoo.journal._read", failing)
        with pytest.raises(pywts.OptionError, match="cannot be read"):
            Journal(str(tmp_path / NAME))
    with Journal(str(tmp_path / NAME)) as journal:
        assert journal.entries == {}


def test_lines_of_the_journal_that_are_no_entries_are_ignored(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pywts.batch(zoo, out, jobs=1)
    garbage = [
        b'{"output": ["x"], "source": "s", "status": "done"}', b"[]", b"7", b"\xff\xfe", b"{" * 100_000,
        b'{"output": "a.wts", "source": "s", "status": "done", "finished": "now"}', b'"output source status"',
    ]  # fmt: skip
    with (out / NAME).open("ab") as file:
        file.write(b"\n".join(garbage) + b"\n")
    assert len(read_entries(str(out / NAME))) == 4
    assert not pywts.batch(zoo, out, jobs=1).converted


def test_journal_says_what_was_decided(tmp_path: Path) -> None:
    source = save(tmp_path / "m.pt", {"ema": {"w": tensor(VALUES["w"])}, "model": {"w": tensor(VALUES["w"] + 1)}})
    pywts.batch(source, tmp_path / "out", jobs=1)
    (line,) = (tmp_path / "out" / NAME).read_text().splitlines()
    entry = json.loads(line)
    text = (tmp_path / "out" / "m.wts").read_bytes()
    assert (entry["bytes"], entry["crc32"]) == (len(text), f"{zlib.crc32(text):08x}")
    assert (entry["source"], entry["output"], entry["status"]) == (str(source), "m.wts", "done")
    assert (entry["weights"], entry["recipe"], entry["dialect"], entry["tensors"]) == ("ema", "none", "double", 1)
    assert entry["seconds"] > 0
    assert abs(entry["finished"] - time.time()) < 600


def test_two_batches_on_one_output_are_refused(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pywts.batch(zoo, out, jobs=1)
    with (out / NAME).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = run("batch", zoo, "-o", out)
    assert (found.returncode, found.stdout) == (2, "")
    assert "another batch writes here now" in found.stderr


# ---------------------------------------------------------------------------------------------------------------- plan


def test_dry_run_shows_sizes_and_writes_nothing(zoo: Path, tmp_path: Path) -> None:
    found = run("batch", zoo, "-o", tmp_path / "out", "--dry-run")
    assert found.returncode == 0, found.stderr
    assert not (tmp_path / "out").exists()
    lines = found.stdout.splitlines()
    assert f"{zoo}/a.pt -> a.wts" in found.stdout
    assert "skipped: 3" in lines
    assert f"{3 * len(reference_wts(VALUES))} bytes are to be written" in lines[-2]


def test_too_little_room_is_an_error_before_anything_starts(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pywts.zoo.storage.free_space", lambda _: 100)
    with pytest.raises(pywts.OptionError, match=r"bytes are to be written, 100 are free; make room, or .*--force"):
        pywts.batch(zoo, tmp_path / "out")
    assert tree(tmp_path / "out") == [NAME]
    assert not pywts.plan_batch(zoo, tmp_path / "out").fits
    assert len(pywts.batch(zoo, tmp_path / "out", jobs=1, force=True).converted) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pt", "-o", "out"], "nothing.pt: no such file, folder, glob or list"),
        (["a.pt"], "the following arguments are required: -o/--output"),
        (["a.pt", "-o", ""], "the output is an empty path"),
        (["a.pt", "-o", "out", "--recipe", "yolov55"], "recipe"),
        (["a.pt", "-o", "out", "--jobs", "0"], "--jobs: '0' is no number from 1 on"),
        (["a.pt", "-o", "out", "--max-memory", "many"], "--max-memory: 'many' is no size, such as 800M or 4G"),
        (["a.pt", "-o", "out", "--max-memory", "9" * 400], "is no size, such as 800M or 4G"),
        (["a.pt", "-o", "out", "--jobs", "9" * 5_000], "is no number from 1 on"),
        (["a.pt", "-o", "out", "--timeout", "-1"], "--timeout"),
        (["a.pt", "-o", "out", "--engine", "spark"], "--engine"),
        (["a.pt", "-o", "out", "--max-memory", "1K"], "a worker takes up to"),
        (["a.pt", "-o", "out", "--rename", "a"], "rename 'a' is no REGEX=TEXT"),
        (["a.pt", "-o", "README.md"], "README.md: is no folder; -o wants one for the outputs"),
        (["a.pt", "-o", "README.md", "--dry-run"], "README.md/pywts-batch.jsonl: cannot be read"),
        (["a.pt", "-o", "out", "--dry-run", "--report", "r.html"], "--report tells of a run"),
        (["a.pt", "-o", "out", "--scheduler", "tcp://x"], "a scheduler is of the engine dask"),
    ],
    ids=str,
)
def test_usage_errors_exit_with_2(arguments: list[str], message: str, zoo: Path) -> None:
    found = run("batch", *arguments, cwd=zoo)
    assert (found.returncode, found.stdout) == (2, ""), found.stderr
    assert message in found.stderr
    assert not [name for name in tree(zoo) if name.startswith("out") and name.endswith(".wts")]


# ------------------------------------------------------------------------------------------------------ what is printed


def test_lines_and_summary_off_a_terminal(zoo: Path, tmp_path: Path) -> None:
    (zoo / "\x1b[31mred.pt").write_bytes(b"PK\x03\x04")
    found = run("batch", zoo, "-o", tmp_path / "out", "--jobs", "1")
    assert (found.returncode, found.stderr) == (1, "")
    assert "\x1b" not in found.stdout
    lines = found.stdout.splitlines()
    assert lines[0] == "5 checkpoints to do, 0 done before; 1 worker process"
    assert sum(" done " in line and "/5 " in line for line in lines) == 3
    assert any(line.startswith(r"failed:  \x1b[31mred.wts: ") for line in lines)
    assert lines[-1] == f"journal: {tmp_path}/out/{NAME}"
    quiet = run("batch", zoo, "-o", tmp_path / "out", "--jobs", "1", "--quiet")
    assert (quiet.returncode, quiet.stdout) == (1, "")


def test_quiet_batch_says_only_what_failed(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(b"")
    found = run("batch", tmp_path, "-o", tmp_path / "out", "-q", "--report", tmp_path / "new" / "r.json")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("failed:  b.wts: ")
    assert json.loads((tmp_path / "new" / "r.json").read_text())["failed"] == 1


@pytest.mark.parametrize("argument", [{"jobs": 0}, {"timeout": -1}, {"max_memory": 0}])
def test_numbers_that_are_none_are_refused(argument: dict[str, Any], zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(pywts.OptionError, match="is not above 0"):
        pywts.batch(zoo, tmp_path / "out", **argument)


def test_fail_fast_begins_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "0.pt").write_bytes(b"PK\x03\x04" + bytes(100_000))  # the largest is first
    for number in range(1, 9):
        checkpoint(tmp_path / "zoo" / f"{number}.pt")
    report = pywts.batch(tmp_path / "zoo", tmp_path / "out", jobs=1, fail_fast=True)
    assert len(report.failed) == 1
    assert report.left >= 5


def test_failures_are_grouped_by_cause(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.pt").write_text("<!doctype html><html></html>")
    save(
        tmp_path / "odd.pt",
        OrderedDict(a=Object("net.Thing", {"x": 1}), b=tensor(VALUES["w"]), **{"a b": tensor([1.0])}),
    )
    report = pywts.batch(tmp_path, tmp_path / "out", jobs=1)
    first, second = report.failures
    assert (first.kind, first.cause, len(first.entries)) == (
        "CheckpointError", "this is a web page, not the file behind the link", 3
    )  # fmt: skip
    assert first.way_out == "download the file itself"
    assert second.kind == "TensorError"


@pytest.mark.parametrize("out", ["http://127.0.0.1:9/out", "HTTPS://127.0.0.1:9/out"])
def test_web_server_as_output_is_refused_at_once(out: str, zoo: Path) -> None:
    for begin in (pywts.batch, pywts.plan_batch):
        with pytest.raises(pywts.OptionError, match="a web server takes no outputs"):
            begin(zoo, out)


def test_unknown_arguments_are_refused(zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'halv'"):
        pywts.batch(zoo, tmp_path / "out", halv=True)
    with pytest.raises(pywts.OptionError, match="dialect 'typed' is none of"):
        pywts.batch(zoo, tmp_path / "out", dialect="typed")


def test_bar_on_a_terminal_shows_files_failures_and_what_is_in_work(tmp_path: Path) -> None:
    for number in range(40):
        checkpoint(tmp_path / "zoo" / f"{number}.pt")
    (tmp_path / "zoo" / "broken.pt").write_bytes(b"PK\x03\x04" + bytes(5000))
    large_source(tmp_path / "zoo" / "large.pt")
    ours, theirs = os.openpty()
    process = start(
        "batch", tmp_path / "zoo", "-o", tmp_path / "out", "--jobs", "1", stdout=theirs, stderr=subprocess.DEVNULL,
        env=environment(TERM="xterm", COLUMNS="150"),
    )  # fmt: skip
    os.close(theirs)
    text = drawn_on(ours)
    assert process.wait(TIMEOUT) == 1
    assert "/42" in text
    assert "1 failed" in text
    assert re.search(r"[0-9.]+/67\.[0-9] MB", text), "bytes done and in all"
    assert "large.wts" in text
    assert "converted" in text.splitlines()[-5]


def test_folders_that_nest_deeper_than_calls_can_are_gone_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = 1_200
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        Path("a").mkdir()
        os.chdir("a")
    try:
        Path("m.pt").write_bytes(b"")
        found, _ = discover([str(tmp_path)])
        assert [item.name for item in found] == ["a/" * depth + "m.pt"]
    finally:
        Path("m.pt").unlink()
        for _ in range(depth):  # whoever removes it otherwise may be recursive, too
            os.chdir("..")
            Path("a").rmdir()


def test_shards_are_told_from_each_other_without_comparing_all_with_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        sharded(tmp_path / name)

    def compared(*_: object) -> bool:
        raise AssertionError("a model was compared with another")

    monkeypatch.setattr(Found, "__eq__", compared)
    assert len(discover([str(tmp_path)])[0]) == 2


def test_recipe_that_fails_is_no_failure_of_the_plan(zoo: Path, tmp_path: Path) -> None:
    def failing(_: pywts.Weights) -> None:
        raise ZeroDivisionError

    planned = pywts.plan_batch(zoo, tmp_path / "out", recipe=failing)
    assert [job.why for job in planned.jobs] == ["new"] * len(planned.jobs)
    assert planned.jobs


def test_memory_limit_beyond_what_the_system_knows_or_allows_is_none(zoo: Path, tmp_path: Path) -> None:
    script = tmp_path / "bounded.py"
    script.write_text(
        "import resource, sys, pywts\n"
        "if __name__ == '__main__':\n"
        "    if sys.argv[3]:\n"
        "        resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]),) * 2)\n"
        "    print(len(pywts.batch(sys.argv[1], sys.argv[2], jobs=1, max_memory=1 << 70).converted))\n"
    )
    for name, hard in (("known", ""), ("allowed", str(8 << 30))):
        found = subprocess.run(
            [sys.executable, script, zoo, tmp_path / name, hard],
            capture_output=True, text=True, timeout=TIMEOUT, env=environment(), check=False,
        )  # fmt: skip
        assert (found.stdout, found.stderr) == ("3\n", "")


STARTS_LATE = """
import signal, sys, time
from pywts.zoo.engines.processes import Processes


def late():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # so that it lives to look for the pool's locks
    time.sleep(1)


class Late:
    def __reduce__(self):
        return late, ()


if __name__ == "__main__":
    engine = Processes(1)
    engine._max_memory = Late()
    engine.restart()
    engine.submit(abs, -1)
    while not engine._pool._pool_manager.worker_manager.workers:
        time.sleep(0.01)
    engine.close(now=True)
"""


def test_worker_that_still_starts_when_its_pool_ends_is_silent(tmp_path: Path) -> None:
    """What it looks for must be there: it printed a traceback now and then at the end of a batch that went well."""
    script = tmp_path / "late.py"
    script.write_text(STARTS_LATE)
    found = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=TIMEOUT, env=environment(), check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
