"""Finds the pickles of a file, whatever they lie in, and has each judged.

Followed are all pickles in a row, the ``.pkl`` files of an archive and what else in it begins as a pickle does,
archives, NumPy arrays and compressed data inside of those, and bytes and strings inside of pickles. Not looked at are
the storages of an archive (``ROOT/data/KEY``) and of a stream, but for NumPy arrays: loaders take them as numbers.
"""

from __future__ import annotations

from contextlib import closing, contextmanager

from .._core import Survey
from ..checkpoint.archive import Archive, Entry
from ..checkpoint.files import SourceFile
from ..checkpoint.foreign import foreign
from ..checkpoint.legacy import MAGIC, LegacyStorages
from ..checkpoint.objects import arguments, value_of
from ..checkpoint.pickled import CUT_SHORT
from ..errors import CheckpointError, LimitError, shown
from . import arrays
from .going_on import may_go_on
from .held import Held, Part, compressed, inflated, kept, spilled
from .scan_report import FOUND, NEEDS_CODE, Problem, ScannedPickle, Use
from .tar import is_tar, members, pickles_of
from .verdicts import MOST_USES, judge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from .._core import Node
    from ..limits import Limits
    from .held import Content

_WINDOW = 1 << 16
"""Bytes of a pickle that are read at first."""
_DEPTH = 12
"""Levels of one thing inside of another."""
_MOST_PICKLES = 100_000
"""Pickles of one file."""
_UNPACKED = 256 << 20
"""Bytes of one pickle in what was compressed, and four more for each byte that it had."""
_OBJECTS = 1_000_000
"""Objects of one such pickle, and one more for each byte that it had when compressed: one may take 300 bytes."""
_SEARCHED = 1 << 28
"""Bytes that are read of files found by their headers, which may lie in each other."""
_HEADER = 1 << 24
"""Bytes of the header of safetensors: as text of numbers and brackets it takes a hundred times as many."""
_PICKLES = ("pkl", ".pickle", ".pk", ".joblib", ".pt", ".pth", ".ckpt", ".npy", ".npz")
"""How the names of pickles in an archive end."""
PICKLED = (*_PICKLES, ".dill", ".pth.tar", ".jit", ".torchscript", "pytorch_model.bin", "training_args.bin")
"""How the names of files end that loaders take for pickles; only ever used to say that one cannot be read."""

_ANCIENT = ("sys_info", "pickle", "storages", "tensors")
"""The files of a tar that torch before 0.1.10 wrote."""


class Unpacked:
    """What was found in one file."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.kind = ""
        self.pickles: list[ScannedPickle] = []
        self.uses: list[Use] = []
        self.problems: list[Problem] = []
        self._name = name
        self._pickled = name.lower().endswith(PICKLED)
        self._limits = limits
        self._left = limits.pickle_bytes
        """Bytes that may still be unpacked, or taken out of pickles."""
        self._one = limits.pickle_bytes
        """Bytes of one pickle, where it lies."""
        self._nodes = limits.nodes
        """Objects of one pickle, where it lies."""
        self._read = 0
        """Bytes that were followed as pickles, or could not be."""

    # ------------------------------------------------------------------------------------------------------ any content

    def content(self, data: Content, where: str, depth: int, *, expected: bool) -> bool:
        """Go through a file, or a part of one.

        ``expected``: it is meant to be loaded, so it must be followed to its end.

        False: there is nothing in it that is a pickle, or can hold one.
        """
        if depth > _DEPTH:
            self._problem(where, 0, f"more than {_DEPTH} levels of archives and pickles inside of each other")
            return True
        head = data.head(512)
        if is_tar(head):  # older torch asks this first; for other loaders it is what its first file's name begins as
            self._tar(data, where, depth)
            self._but_tar(data, head, where, depth, expected=False)
            return True
        return self._but_tar(data, head, where, depth, expected)

    def _but_tar(self, data: Content, head: bytes, where: str, depth: int, expected: bool) -> bool:
        if head[:4] == b"PK\x03\x04":
            self._archive(data, where, depth)
        elif head[:6] == arrays.MARK:
            self._array(data, head, where, depth)
        elif compressed(head):
            return self._compressed(data, where, depth, expected)
        elif head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= data.size - 8:
            if not self._is_safetensors(data, where):
                return self._row(data, where, depth, expected)
            if not self._row(data, where, depth, expected=False):
                self.kind = self.kind or "safetensors"
        else:
            return self._row(data, where, depth, expected)
        return True

    def appended_archive(self, file: SourceFile) -> None:
        """Tell of a zip archive that stands at the end of something else, as a reader of archives would find it."""
        from .salvage import has_archive_at_end, salvaged

        if not has_archive_at_end(file):
            return
        self._problem("", 0, "a zip archive stands at the end of the file; what is read depends on the reader")
        for name, _, content in salvaged(file):
            self.content(content, shown(name), 1, expected=False)

    def _problem(self, where: str, position: int, message: str) -> None:
        if len(self.problems) < 1000:
            self.problems.append(Problem(where, position, message.removeprefix(f"{self._name}: ")))

    def _take(self, size: int, where: str) -> bool:
        """Whether so many bytes may be held; where not, it is said."""
        self._left -= size
        if self._left < 0:
            self._problem(where, 0, f"unpacks to more than {self._limits.pickle_bytes} bytes")
        return self._left >= 0

    def _is_safetensors(self, data: Content, where: str) -> bool:
        """Whether it is what it begins as; one that is damaged is a problem where its name tells that it is one."""
        if not isinstance(data, SourceFile):
            with spilled(data) as file:
                return self._is_safetensors(file, where)
        from ..checkpoint.safetensors import open_safetensors

        try:
            if int.from_bytes(data.head(8), "little") > _HEADER:
                raise LimitError(f"a safetensors header of more than {_HEADER} bytes")
            open_safetensors(data, self._limits)
        except CheckpointError as error:
            if isinstance(error, LimitError) or (where or self._name).lower().endswith(".safetensors"):
                self._problem(where, 0, str(error))
                return True
            return False
        return True

    # ------------------------------------------------------------------------------------------------- pickles in a row

    def _row(self, data: Content, where: str, depth: int, expected: bool) -> bool:
        """Follow pickles one after another to the end of the content. False: it does not begin with one."""
        number = 0
        window, window_at, position = b"", 0, 0
        before = len(self.pickles), len(self.uses), len(self.problems)
        torchscript = self.kind == "TorchScript archive"
        while position < data.size:
            name = where if position == 0 else f"{where} pickle {number + 1}".strip()
            if len(self.pickles) >= _MOST_PICKLES:
                self._problem(name, position, f"more than {_MOST_PICKLES} pickles; the rest was not looked at")
                return True
            if position - window_at > len(window) - 64 and window_at + len(window) < data.size:
                window, window_at = data.read(position, min(_WINDOW, data.size - position)), position
            survey, window, window_at = self._survey(data, window, window_at, position)
            if survey is None:
                self._problem(name, position, "its objects do not fit in memory")
                return True
            fault = survey.fault
            uses, loaded = judge(name, data.base + position, survey, torchscript)
            idle = (len(self.uses), len(self.problems)) == before[1:]
            if (
                fault is not None
                and idle
                and not (expected or (position and uses) or self._shows(fault, uses, window, data.size))
            ):
                del self.pickles[before[0] :]  # texts may begin as pickles of some bytes do
                return False
            offset = data.base + position
            end = survey.end + window_at if fault is None else position + fault[1]
            self.pickles.append(ScannedPickle(name, offset, end - position, survey.protocol, fault is None))
            self._keep(name, uses)
            self._inside(survey, loaded, name, depth)
            amid = next((use for use in uses if _reads_on(use.name)), None)
            if amid is not None:
                what = "an array of joblib, for which its loader reads on by itself: what follows cannot be told"
                self._problem(name, amid.position, what)
                return True
            if fault is not None:
                where_not = f"the pickle cannot be followed to its end: {fault[0]}"
                if fault[0] in CUT_SHORT and window_at + len(window) < data.size:
                    where_not = f"the pickle goes on after {len(window)} bytes, and more are not held"
                elif position and not uses:
                    where_not = f"what follows the pickle is none: {fault[0]}"
                self._problem(name, data.base + end, where_not)
                return True
            root = survey.root
            if position == 0 and root is not None and value_of(root) == MAGIC:
                self._legacy(data, where, depth, end)
                return True
            position = end
            number += 1
        if number and not self.kind:
            self.kind = "plain pickle" if number == 1 else "pickles in a row"
        return position > 0

    def _survey(self, data: Content, window: bytes, window_at: int, position: int) -> tuple[Survey | None, bytes, int]:
        """Follow the pickle at ``position`` in a window that grows as far as the pickle needs."""
        while True:
            try:
                self._read += len(window) - (position - window_at)
                survey = Survey(window, position - window_at, self._limits.opcodes, self._nodes)
            except MemoryError:
                return None, window, window_at
            fault = survey.fault
            rest = data.size - position
            if fault is None or fault[0] not in CUT_SHORT or len(window) - (position - window_at) >= rest:
                return survey, window, window_at
            size = min(4 * max(len(window), _WINDOW), rest, self._one)
            if size <= len(window) - (position - window_at):
                return survey, window, window_at
            del survey, window  # before the next one is there
            window, window_at = data.read(position, size), position

    def _keep(self, name: str, uses: list[Use]) -> None:
        if len(uses) >= MOST_USES or len(self.uses) + len(uses) > 10 * MOST_USES:
            self._problem(name, 0, "more imports and calls than are told apart")
        self.uses.extend(uses[: 10 * MOST_USES - len(self.uses)])

    def _inside(self, survey: Survey, loaded: list[Node], name: str, depth: int) -> None:
        """Bytes and strings inside of a pickle: what loading reads as a checkpoint, and what looks like a pickle."""
        ids = {argument.id for node in loaded for argument in arguments(node)}  # bytes that protocol 2 keeps as text
        embedded = survey.embedded(_MOST_PICKLES + 1)
        if len(embedded) > _MOST_PICKLES:
            self._problem(name, 0, f"more than {_MOST_PICKLES} bytes and strings that may be pickles")
            return
        for node, expected in [(node, True) for node in loaded] + [(node, False) for node in embedded]:
            value = value_of(node)
            if node.id in ids or not isinstance(value, (bytes, str)):
                continue
            ids.add(node.id)
            if isinstance(value, str):
                try:
                    value = value.encode("latin-1")
                except UnicodeEncodeError:
                    value = value.encode("utf-8", "surrogatepass")
            if not self._take(len(value), name):
                return
            inner = f"{name} > bytes at {node.position}".removeprefix(" > ")
            if expected or _promises(value) or _lines(value):
                kind = self.kind
                self.content(Held(self._name, value), inner, depth + 1, expected=expected)
                self.kind = kind

    # ----------------------------------------------------------------------------------------------- streams and arrays

    def _legacy(self, data: Content, where: str, depth: int, position: int) -> None:
        """What follows the magic number: three pickles that torch reads, one of the storages' keys, the storages."""
        if depth == 0:
            self.kind = "legacy stream"
        window, window_at = b"", position
        roots = []
        for number in range(2, 6):
            name = f"{where} pickle {number}".strip()
            if position >= data.size:
                return self._problem(name, position, "a legacy stream that ends before its fifth pickle")
            if position - window_at > len(window) - 64:
                window, window_at = data.read(position, min(_WINDOW, data.size - position)), position
            survey, window, window_at = self._survey(data, window, window_at, position)
            if survey is None:
                return self._problem(name, position, "its objects do not fit in memory")
            uses, loaded = judge(name, data.base + position, survey, torchscript=False)
            fault = survey.fault
            end = survey.end + window_at if fault is None else position + fault[1]
            offset = data.base + position
            self.pickles.append(ScannedPickle(name, offset, end - position, survey.protocol, fault is None))
            self._keep(name, uses)
            self._inside(survey, loaded, name, depth)
            if fault is not None:
                message = f"the pickle cannot be followed to its end: {fault[0]}"
                return self._problem(name, data.base + end, message)
            position = end
            roots.append(survey.root)
        try:
            root, keys = roots[2], roots[3]
            assert root is not None
            assert keys is not None
            LegacyStorages(data, root, keys, position)  # type: ignore[arg-type]
        except CheckpointError as error:
            self._problem(where, position, str(error))
        return None

    def _array(self, data: Content, head: bytes, where: str, depth: int) -> None:
        """A NumPy array: only one of objects has a pickle behind its header."""
        self.kind = self.kind or "NumPy array"
        wide = head[6:7] >= b"\x02"
        start = (12 if wide else 10) + int.from_bytes(head[8 : 12 if wide else 10], "little")
        if start > min(data.size, 1 << 20):
            return self._problem(where, 0, "a NumPy array whose header does not fit into it")
        header = data.read(12 if wide else 10, start - (12 if wide else 10))
        try:
            has_objects = arrays.holds_objects(header)
        except ValueError:
            return self._problem(where, 0, "a NumPy array whose header is no description of one")
        if has_objects:
            part = Part(data, start, data.size - start)
            self._row(part, f"{where} array of objects".strip(), depth, expected=True)
        return None

    def _compressed(self, data: Content, where: str, depth: int, expected: bool) -> bool:
        """Compressed content, as far as it can be unpacked."""
        damage: list[str] = []
        with self._unpacked(inflated(data), data.size, where, damage) as content:
            inner = f"{where} > unpacked".removeprefix(" > ")
            known = self.content(content, inner, depth + 1, expected=expected) if content.size else False
            weak = compressed(data.head(16)) in ("zlib", "lzma")  # which much else begins as
        if damage and (known or expected or not (content.size or weak)):
            self._problem(where, 0, damage[0])
            return True
        return known

    @contextmanager
    def _unpacked(
        self, pieces: Iterator[bytes], packed: int, where: str, damage: list[str]
    ) -> Iterator[Held | SourceFile]:
        """What pieces are together, as far as they can be had."""

        def bounded() -> Iterator[bytes]:
            try:
                for piece in pieces:
                    if not self._take(len(piece), where):
                        return
                    yield piece
            except CheckpointError as error:
                damage.append(str(error))

        with self._bounded(packed), closing(kept(self._name, bounded())) as content:
            yield content

    @contextmanager
    def _bounded(self, packed: int) -> Iterator[None]:
        """Follow pickles within bounds for what so many bytes were unpacked to."""
        bounds = self._one, self._nodes
        self._one, self._nodes = min(self._one, _UNPACKED + 4 * packed), min(self._nodes, _OBJECTS + packed)
        try:
            yield
        finally:
            self._one, self._nodes = bounds

    # --------------------------------------------------------------------------------------------------------- archives

    def _archive(self, data: Content, where: str, depth: int) -> None:
        if not isinstance(data, SourceFile):
            if not self._take(data.size, where):
                return
            with spilled(data) as file:
                self._archive(file, where, depth)
            return
        try:
            archive = Archive(data, self._limits)
        except CheckpointError as error:
            self._problem(where, 0, str(error))
            self.kind = self.kind or "zip archive"
            self._by_their_headers(data, where, depth)
            return
        names = archive.names()
        kind = _kind_of(names)
        if depth == 0 or not self.kind:
            self.kind = kind
        outer, self.kind = self.kind, kind
        folders = {name[:-4] + "/" for name in names if name.endswith(".pkl")}
        contradicted = False
        looked_at: set[int] = set()
        for name in names:
            if not _is_storage(name, folders) and not name.endswith("/"):
                try:
                    entry = archive.find(name)
                except CheckpointError as error:
                    contradicted = True
                    self._problem(_joined(where, name), 0, str(error))
                    continue
                if entry is not None:
                    looked_at.add(entry.offset)
                self._entry(archive, entry, name, where, depth)
        if contradicted:  # some readers go by the directory, others by the headers
            self._by_their_headers(data, where, depth, looked_at)
        self._storages(archive, names, folders, where, depth)
        self._code(names, kind, where)
        self.kind = outer

    def _by_their_headers(
        self, file: SourceFile, where: str, depth: int, looked_at: Collection[int] = frozenset()
    ) -> None:
        """The files of an archive whose directory cannot be trusted, but those whose data begin at known positions."""
        from .salvage import salvaged

        folders: set[str] = set()
        until = self._read + _SEARCHED
        for name, position, content in salvaged(file):
            if self._read > until:
                return self._problem(
                    _joined(where, name), position, "more files than are searched for by their headers"
                )
            if name.endswith(".pkl"):  # torch writes it before its storages
                folders.add(name[:-4] + "/")
            if position in looked_at:
                continue
            if not _is_storage(name, folders) or content.head(len(arrays.MARK)) == arrays.MARK:
                with self._bounded(file.size):
                    self.content(content, _joined(where, name), depth + 1, expected=False)
        return None

    def _entry(self, archive: Archive, entry: Entry | None, name: str, where: str, depth: int) -> None:
        inner = _joined(where, name)
        expected = name.lower().endswith(_PICKLES)
        if entry is None:
            return self._problem(inner, 0, "a file whose name cannot be looked up")
        try:
            if not expected:
                head = _head(archive, entry)
                if not _promises(head) and not self._guess(Held(self._name, head, entry.offset), entry.size):
                    return None
                expected = announced(head)
        except CheckpointError as error:
            return self._problem(inner, 0, str(error))
        with self._content_of(archive, entry, inner) as data:
            if data.size:
                self.content(data, inner, depth + 1, expected=expected)
        return None

    def _storages(self, archive: Archive, names: list[str], folders: set[str], where: str, depth: int) -> None:
        """Compare the headers of storages with the directory; of their content only arrays are looked at.

        A storage of torch is numbers, whatever it holds; ``numpy.load`` takes any file of an archive for an array.
        """
        for name in names:
            if _is_storage(name, folders):
                try:
                    entry = archive.find(name)
                except CheckpointError as error:
                    self._problem(_joined(where, name), 0, str(error))
                    continue
                if entry is not None and _begins(archive, entry, arrays.MARK):
                    self._entry(archive, entry, name, where, depth)

    @contextmanager
    def _content_of(self, archive: Archive, entry: Entry, inner: str) -> Iterator[Content]:
        """A file of an archive, as far as it can be had; what is wrong with it is said."""
        damage: list[str] = []
        if entry.stored:
            try:
                archive.check(entry)
            except CheckpointError as error:
                self._problem(inner, 0, str(error))
            yield Part(archive.file, entry.offset, entry.size)
            return
        with self._unpacked(archive.chunks(entry), entry.packed, inner, damage) as content:
            for message in damage:
                self._problem(inner, 0, message)
            yield content

    def _guess(self, data: Content, size: int) -> bool:
        """Whether the first bytes of a file that promises nothing are worth following."""
        survey, window, _ = self._survey(data, data.head(_WINDOW), 0, 0)
        if survey is None:
            return False
        uses = judge("", 0, survey, torchscript=False)[0]
        return self._shows(survey.fault, uses, window, size)

    def _shows(self, fault: tuple[str, int] | None, uses: list[Use], held: bytes, size: int) -> bool:
        """Whether what was followed of ``size`` bytes shows that a loader of pickles would do something."""
        return self._evidence(uses, held) or (fault is not None and may_go_on(fault, held, size))

    def _evidence(self, uses: list[Use], head: bytes) -> bool:
        """Whether what was followed of some content shows that it is a pickle: a call, or an import of a likely name.

        Not an opcode for what only the loading program knows: the first bytes of every PNG are one (PERSID).
        """
        if any(use.called and use.how not in ("persistent", "extension") for use in uses):
            return True
        text = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head[:256])
        likely = any(use.how == "import" and use.name.replace(".", "").isidentifier() for use in uses)
        return likely and (self._pickled or not text)

    def _code(self, names: list[str], kind: str, where: str) -> None:
        """Programs in an archive, told for what they are."""
        code = [name for name in names if name.endswith((".py", ".pyc", ".so"))]
        if not code:
            return
        if kind == "TorchScript archive":
            verdict, reason = (
                NEEDS_CODE,
                ("TorchScript: torch's interpreter runs it, which has operators that read and write files"),
            )
        elif kind in ("torch.package", "TorchServe archive"):
            verdict, reason = FOUND, f"Python that a {kind} brings along, and that loading it runs"
        else:
            return
        first = _joined(where, code[0])
        self.uses.append(Use(first, 0, shown(code[0]), "code", True, "", len(code), verdict, reason))

    def _tar(self, data: Content, where: str, depth: int) -> None:
        self.kind = self.kind or "tar archive"
        try:
            for name, position, size in members(data):
                inner = _joined(where, name)
                if size is None:
                    if name in _ANCIENT or name.lower().endswith(PICKLED):
                        self._problem(inner, data.base + position, "a link or device where loaders take a file")
                    continue
                part = Part(data, position, size)
                if name in ("storages", "tensors"):
                    self.kind = "tar of torch before 0.1.10"
                    for at, length in pickles_of(
                        part, name, self._limits.replace(pickle_bytes=self._one, nodes=self._nodes)
                    ):
                        self._row(Part(part, at, length), f"{inner} at {at}", depth + 1, expected=True)
                elif size:
                    self.content(part, inner, depth + 1, expected=name.lower().endswith(_PICKLES) or name == "pickle")
        except CheckpointError as error:
            self._problem(where, 0, str(error))


def named_kind(file: SourceFile) -> str:
    """What a file is that has nothing to load in it, in a few words."""
    error = foreign(file, file.head(512))
    if error is None:
        return "of no kind that is known"
    return str(error).removeprefix(f"{file.name}: this is ").partition(";")[0]


def _reads_on(name: str) -> bool:
    """Whether it is a class for whose objects a loader reads numbers, or another pickle, from amid the opcodes."""
    return name.endswith("ArrayWrapper") and "joblib." in name


def _joined(where: str, name: str) -> str:
    return f"{where} > {shown(name)}".removeprefix(" > ")


def _kind_of(names: list[str]) -> str:
    if any(name.endswith(".data/extern_modules") for name in names):  # before TorchScript: its programs are Python
        return "torch.package"
    if "MAR-INF/MANIFEST.json" in names:
        return "TorchServe archive"
    if any(name.endswith("/constants.pkl") for name in names):
        return "TorchScript archive"
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy archive"
    return "zip archive"


def _is_storage(name: str, folders: set[str]) -> bool:
    """Whether a file of an archive is a storage of a pickle beside it: numbers for torch, whatever it holds."""
    folder, slash, key = name.rpartition("/")
    if name.endswith(".storage") and folder.endswith("/.data"):
        return True
    return bool(slash) and f"{folder}/" in folders and not key.lower().endswith(_PICKLES)


def _head(archive: Archive, entry: Entry) -> bytes:
    if entry.stored:
        return archive.file.read(entry.offset, min(entry.size, _WINDOW))
    return next(archive.chunks(entry, _WINDOW), b"")


def _begins(archive: Archive, entry: Entry, mark: bytes) -> bool:
    """Whether a file of an archive begins so; one that is damaged from the first byte on does not."""
    if entry.stored:
        return archive.file.read(entry.offset, min(entry.size, len(mark))) == mark
    head = b""
    try:
        for piece in archive.chunks(entry, 64):
            head += piece
            if len(head) >= len(mark):
                break
    except CheckpointError:
        pass
    return head.startswith(mark)


def announced(head: bytes) -> bool:
    """Whether content says by its first bytes that it is a pickle, of protocol 2 or later."""
    return head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05"


def _promises(head: bytes) -> bool:
    """Whether content begins as a pickle of protocol 2 and later does, or as what may hold one."""
    return (
        announced(head)
        or head[:4] == b"PK\x03\x04"
        or head[:6] == arrays.MARK
        or bool(compressed(head))
        or is_tar(head)
    )


def _lines(head: bytes) -> bool:
    """Whether it may be a pickle of protocol 0 or 1: it begins with one of their opcodes, and has lines."""
    return head[:1] in (b"c", b"(", b"]", b"}", b"i", b"l", b"d", b"V", b"S", b"I", b"N", b"K") and b"\n" in head
