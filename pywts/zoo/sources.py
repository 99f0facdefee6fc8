"""What the sources hold: files, folders, globs, lists and URLs become checkpoints, named from their source on."""

from __future__ import annotations

import os
import posixpath
import re
from fnmatch import fnmatchcase, translate
from glob import escape, glob, has_magic
from typing import TYPE_CHECKING, Any

from ..checkpoint.files import SourceFile
from ..checkpoint.foreign import foreign
from ..checkpoint.sharded import parts_told_by, shards_of
from ..errors import CheckpointError, Error, OptionError, shown
from ..limits import DEFAULT_LIMITS
from ..records import Record
from . import lists, storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".safetensors", ".pth.tar", ".pt.tar", ".jit", ".torchscript", ".index.json")
"""What only the names of checkpoints end in; any other file is told by its first bytes."""

_IN_TORCH_ARCHIVES = re.compile(rb"[^/]+/(?:data\.pkl|constants\.pkl|version|byteorder|\.format_version|code/)")
"""How the first file of an archive of torch is called."""

_SHARD = re.compile(r"-\d+-of-\d+\.")


class Found(Record):
    """A checkpoint among the sources."""

    source: str
    """path or URL"""
    files: tuple[str, ...]
    """the source, and its shards if it is an index"""
    name: str
    """where it lies below its source, with slashes"""
    output: str | None = None
    """where its row of a list puts it, below OUT"""
    options: dict[str, Any] = {}  # noqa: RUF012  (never changed: records are frozen)
    """those of its row"""


class Skipped(Record):
    """What is no checkpoint, and why."""

    source: str
    reason: str


def discover(
    sources: Iterable[str], match: tuple[str, ...] = (), ignore: tuple[str, ...] = (), out: str = ""
) -> tuple[list[Found], list[Skipped]]:
    """Everything that the sources name, in their order; folders and globs in the order of names.

    match: globs of files that are taken from folders whatever they are called; others are not.
    ignore: globs of files and folders that are passed over.
    out: is passed over too, where it lies inside of a source.

    Raises OptionError for a source that is not there, a list that cannot be read, a folder that cannot be listed.
    """
    search = _Search(match, ignore, out)
    for source in sources:
        search.source(source)
    return search.result()


class _Search:
    def __init__(self, match: tuple[str, ...], ignore: tuple[str, ...], out: str) -> None:
        self._match = match
        self._ignore = ignore
        self._out = _identity(out) if out and not storage.is_url(out) else None
        self._folders: set[tuple[int, int]] = set()
        self._found: list[Found] = []
        self._skipped: list[Skipped] = []

    def source(self, text: str) -> None:
        """One argument of the command."""
        text = storage.without_file_scheme(text)
        if lists.is_list(text) and os.path.isfile(text):
            self._rows(lists.read_list(text))
        elif not self._any(text, ""):
            raise OptionError(f"{shown(text, 300)}: no such file, folder, glob or list")

    def result(self) -> tuple[list[Found], list[Skipped]]:
        """What was found: a model once, whether by several names or in several shards."""
        return self._once(self._whole_models(self._found)), self._skipped

    def _rows(self, rows: list[lists.Row]) -> None:
        """The sources of a list, named by where they lie below what they have in common."""
        base = _common_folder([row.source for row in rows])
        for row in rows:
            before = len(self._found)
            name = row.source[len(base) :].lstrip("/")
            if not self._any(row.source, posixpath.dirname(name)):
                self._found.append(Found(row.source, (row.source,), name))  # its task will say that it is not there
            added = self._found[before:]
            if row.output and len(added) != 1:
                raise OptionError(f"{row.place}: one output for the {len(added)} checkpoints of {shown(row.source)}")
            self._found[before:] = [
                found.replace(output=row.output, options={**found.options, **row.options}) for found in added
            ]

    def _any(self, text: str, prefix: str) -> bool:
        """Take what a path, glob or URL names; whether there is such a thing."""
        self._folders.clear()
        if storage.is_url(text):
            return self._url(text, prefix)
        path = os.path.abspath(text)
        if os.path.isdir(path):
            self._folder(path, prefix)
        elif os.path.lexists(path):
            self._named(path, posixpath.join(prefix, os.path.basename(path)))
        elif has_magic(text):
            return self._glob(path, prefix)
        else:
            return False
        return True

    def _named(self, path: str, name: str) -> None:
        """A file that was asked for: it is taken at its word."""
        if path.endswith(".wts"):
            self._skipped.append(Skipped(path, "a .wts already"))
        else:
            self._found.append(Found(path, (path,), name))

    def _glob(self, pattern: str, prefix: str) -> bool:
        parts = pattern.split(os.sep)
        base = os.sep.join(parts[: next(index for index, part in enumerate(parts) if has_magic(part))]) or os.sep
        if "**" in parts:  # by the walk, which enters no folder twice
            wanted = re.compile(_regex(os.path.relpath(pattern, base)))
            below = _Search((), self._ignore, "")
            below._folder(base, "")
            kept = [item for item in below._found if wanted.fullmatch(item.name)]
            self._found += [item.replace(name=posixpath.join(prefix, item.name)) for item in kept]
            return bool(kept)
        paths = sorted(glob(pattern))
        for path in paths:
            name = posixpath.join(prefix, os.path.relpath(path, base))
            if self._ignored(name):
                continue
            if os.path.isdir(path):
                self._folder(path, name)
            else:
                self._file(path, name)
        return bool(paths)

    # ----------------------------------------------------------------------------------------------------- folders

    def _folder(self, path: str, prefix: str) -> None:
        """Everything below a folder; real folders go before links, and none is entered twice."""
        inside = [self._entries(path, prefix)]  # of the folders that are open: they may nest deeper than calls can
        while inside:
            entry, name = next(inside[-1], (None, ""))
            if entry is None:
                inside.pop()
            elif self._ignored(name):
                continue
            elif not os.path.isdir(entry):  # which knows no errors, such as of a link to itself
                self._file(entry.path, name)
            elif entry.name.startswith("."):
                self._skipped.append(Skipped(entry.path, "a hidden folder"))
            else:
                inside.append(self._entries(entry.path, name))

    def _entries(self, path: str, prefix: str) -> Iterator[tuple[os.DirEntry[str], str]]:
        """What lies in a folder, each with its name; nothing where it was entered before, or is a model of the hub."""
        identity = _identity(path)
        if identity is None or identity in self._folders or (identity == self._out and prefix):
            return
        self._folders.add(identity)
        try:
            with os.scandir(path) as scanned:
                entries = sorted(scanned, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            raise _unlisted(path, error) from None
        if os.path.basename(path).startswith("models--") and any(entry.name == "snapshots" for entry in entries):
            self._hub_model(path, prefix)
            return
        for entry in entries:
            yield entry, posixpath.join(prefix, entry.name)

    def _hub_model(self, path: str, prefix: str) -> None:
        """A model in the cache of huggingface_hub: its snapshots are links to blobs, its refs name the current ones."""
        snapshots = os.path.join(path, "snapshots")
        refs = os.path.join(path, "refs")
        current = set()
        try:
            for folder, _, files in os.walk(refs):
                for file in files:
                    with open(os.path.join(folder, file), encoding="ascii", errors="replace") as ref:
                        current.add(ref.read(100).strip())
            revisions = sorted(os.listdir(snapshots))
        except OSError as error:
            raise _unlisted(path, error) from None
        for revision in revisions:
            place = os.path.join(snapshots, revision)
            if current and revision not in current:
                self._skipped.append(Skipped(place, "a revision that no ref of the cache names"))
            else:
                self._folder(place, posixpath.join(prefix, "snapshots", revision))

    def _file(self, path: str, name: str) -> None:
        """A file of a folder or glob."""
        if self._match and not any(_matches(name, pattern) for pattern in self._match):
            return
        if path.endswith(".wts"):
            self._skipped.append(Skipped(path, "a .wts already"))
            return
        reason = None if self._match or path.lower().endswith(CHECKPOINTS) else _no_checkpoint(path)
        if reason:
            self._skipped.append(Skipped(path, reason))
        else:
            self._found.append(Found(path, (path,), name))

    def _ignored(self, name: str) -> bool:
        return any(_matches(name, pattern) for pattern in self._ignore)

    # -------------------------------------------------------------------------------------------------------- URLs

    def _url(self, url: str, prefix: str) -> bool:
        system, path = storage.filesystem(url)

        def listed() -> tuple[str, list[str]]:
            if url.startswith(("http://", "https://")):  # which has no folders, and "?" is no glob there
                return posixpath.dirname(path), [path]
            if has_magic(path) and not system.exists(path):
                return path[: path.index(next(filter(has_magic, path)))].rpartition("/")[0], sorted(system.glob(path))
            if system.isdir(path):
                return path, sorted(system.find(path))
            return posixpath.dirname(path), [path] if system.exists(path) else []

        base, found = storage.patiently(listed, url, OptionError)
        if found == [path]:
            self._found.append(Found(url, (url,), posixpath.join(prefix, storage.name_of(url))))
            return True
        for place in found:
            name = posixpath.join(prefix, place[len(base) :].lstrip("/"))
            whole = system.unstrip_protocol(place)
            if self._ignored(name) or (self._match and not any(_matches(name, pattern) for pattern in self._match)):
                continue
            if place.endswith(".wts"):
                self._skipped.append(Skipped(whole, "a .wts already"))
            elif self._match or place.lower().endswith((*CHECKPOINTS, ".bin")):
                self._found.append(Found(whole, (whole,), name))
            else:
                self._skipped.append(Skipped(whole, "no checkpoint by its name; --match takes it"))
        return bool(found)

    # ----------------------------------------------------------------------------------------------------- models

    def _whole_models(self, found: list[Found]) -> list[Found]:
        """Replace the shards among the found by their models."""
        sharded: dict[str, Found] = {}
        folders = {posixpath.dirname(item.source) for item in found if _SHARD.search(posixpath.basename(item.source))}
        indexes = {item.source: item for item in found if item.source.endswith(".index.json")}
        for folder in sorted(folders):
            for index in _indexes_in(folder):
                indexes.setdefault(index, Found(index, (index,), ""))
        for source, item in indexes.items():
            shards = _shards(source)
            whole = item.replace(files=(source, *shards))
            sharded.update(dict.fromkeys((source, *shards), whole))
        models: list[Found] = []
        added: set[int] = set()  # by their ids: all shards of a model are given the same
        for item in found:
            model = sharded.get(item.source)
            if model is None:
                parts = parts_told_by(item.source)
                if parts > 1:
                    self._skipped.append(Skipped(item.source, f"one of {parts} shards that no index.json names"))
                else:
                    models.append(item)
                continue
            if not model.name:  # its index was not among the found
                model = model.replace(
                    name=posixpath.join(posixpath.dirname(item.name), posixpath.basename(model.source)),
                    options=item.options,
                )
                sharded.update(dict.fromkeys(model.files, model))
            if id(model) not in added:
                added.add(id(model))
                models.append(model)
        return models

    def _once(self, found: list[Found]) -> list[Found]:
        """One file under several names is one model; where a list gives it an output or options, it is another."""
        result: dict[Any, Found] = {}
        for item in sorted(found, key=lambda item: not storage.is_url(item.source) and os.path.islink(item.source)):
            identity = item.source if storage.is_url(item.source) else _identity(item.source) or item.source
            key = (identity, item.output, repr(sorted(item.options.items(), key=str)))
            first = result.setdefault(key, item)
            if first is not item and first.source != item.source:
                self._skipped.append(Skipped(item.source, f"the same file as {shown(first.source, 300)}"))
        kept = {id(item) for item in result.values()}
        return [item for item in found if id(item) in kept]


def _unlisted(folder: str, error: OSError) -> OptionError:
    return OptionError(f"{shown(folder, 300)}: cannot be listed: {error.strerror}; --ignore passes it over")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(posixpath.basename(name), pattern)


def _regex(pattern: str) -> str:
    """A glob with ``**`` as a regular expression."""
    special = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^/][^]/]*\])", pattern)
    return "".join(special.get(part) or (_class(part) if part[:1] == "[" else re.escape(part)) for part in parts)


def _class(part: str) -> str:
    """A glob's set of characters; of those that no regular expression has as such, ``fnmatch`` knows how."""
    return "(?!/)" + translate(part).removesuffix(r"\Z").removesuffix(r"\z")


def _common_folder(sources: list[str]) -> str:
    """The folder that all of them lie in."""
    folders = [posixpath.dirname(source) for source in sources]
    if not folders:
        return ""
    parts = [folder.split("/") for folder in folders]
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1 or has_magic(level[0]):
            break
        common.append(level[0])
    return "/".join(common)


def _no_checkpoint(path: str) -> str | None:
    """Why a file without the name of a checkpoint is none; None if it begins as one."""
    try:
        status = os.stat(path)
        if not os.path.isfile(path):
            return "no regular file"
        with SourceFile(path) as file:
            head = file.head(512)
            if head[:4] == b"PK\x03\x04":
                if _IN_TORCH_ARCHIVES.match(head[30:]):
                    return None
            elif (head[:1] == b"\x80" and b"joblib.numpy_pickle" not in head) or (
                head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= status.st_size - 8
            ):
                return None
            error = foreign(file, head)
    except (OSError, CheckpointError) as found:
        return shown(str(found).removeprefix(f"{path}: "), 300)
    if error is None:
        return "no checkpoint, by its name and its first bytes"
    return str(error).removeprefix(f"{path}: ").partition(";")[0]


def _indexes_in(folder: str) -> Iterator[str]:
    if storage.is_url(folder):
        system, path = storage.filesystem(folder)

        def listed() -> list[str]:
            try:
                return sorted(system.glob(f"{path}/*.index.json"))
            except Exception as error:  # every client has its own
                if getattr(error, "status", 0) in range(400, 500):  # HTTP: a server that lists no folders
                    return []
                raise

        yield from map(system.unstrip_protocol, storage.patiently(listed, folder, OptionError))
    else:
        yield from sorted(glob(os.path.join(escape(folder), "*.index.json")))


def _shards(index: str) -> tuple[str, ...]:
    """The shards of an index; none where it is no index: exporting it will say why."""
    try:
        with storage.local_copy((index,)) as place, SourceFile(place) as file:
            shards = shards_of(file, DEFAULT_LIMITS)
    except Error:
        return ()
    folder = posixpath.dirname(index)
    return tuple(posixpath.join(folder, shard) for shard in sorted(shards))
