"""Files that hold no checkpoint pywts can read, told by their marks: what each is, and the way out.

Nothing here reads further than the first bytes and the names in an archive's directory.
"""

from __future__ import annotations

from ..errors import CheckpointError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .archive import Archive
    from .files import SourceFile

_UNPACK = "unpack it and export the checkpoint inside"
_ARRAYS = "read its arrays in Python and give pywts.export() a dict of them: {name: array}"
_OBJECTS = (
    "look into it with `pywts scan`; then numpy.load(path, allow_pickle=True).item() may be the dict of arrays for "
    "pywts.export()"
)
_LUA = "read it with the package torchfile and give pywts.export() a dict of its arrays: {name: array}"
_BACK = "export the PyTorch checkpoint that it was made from"

MARKS = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write them", _ARRAYS),
    (0, b"GGUF", "a GGUF model of llama.cpp, whose values are mostly quantized", _BACK),
    (0, b"lmgg", "a GGML model of llama.cpp", _BACK),
    (0, b"fmgg", "a GGML model of llama.cpp", _BACK),
    (0, b"tjgg", "a GGML model of llama.cpp", _BACK),
    (0, b"ftrt", "a TensorRT engine, whose weights are fused for one GPU", _BACK),
    (0, b"ptrt", "a TensorRT engine, whose weights are fused for one GPU", _BACK),
    (4, b"TFL3", "a TensorFlow Lite model", _BACK),
    (4, b"PTMF", "a TorchScript module for mobile devices, as a flatbuffer", _BACK),
    (4, b"ET12", "an ExecuTorch program", _BACK),
    (0, b"\x12\x01\x00\x00\x00\x00\x00\x00", "parameters of MXNet", _ARRAYS),
    (0, b"\x93NUMPY", "a single NumPy array without a name", "save it with numpy.savez(path, name=array)"),
    (0, b"7767517\n", "a network description of ncnn", _BACK),
    (0, b"\x47\x6b\x30\x01", "float16 weights of ncnn, without names", _BACK),
    (0, b"\x38\x4b\x0d\x00", "int8 weights of ncnn, without names", _BACK),
    (0, b"RKNN", "an RKNN model of Rockchip, whose weights are made for its NPU", _BACK),
    (0, b"\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00V 1", "an object of Torch7 (Lua)", _LUA),
    (0, b"\x03\x00\x00\x00\x01\x00\x00\x00", "a table of Torch7 (Lua)", _LUA),
    (0, b"4\n1\n3\nV 1\n", "an object of Torch7 (Lua), as text", _LUA),
    (0, b"PK\x05\x06", "an empty zip archive", "copy or download it again"),
    (0, b"PK\x07\x08", "a zip archive in several parts", "join them first"),
    (0, b"\x1f\x8b", "gzip data", "unpack it with gunzip"),
    (0, b"BZh", "bzip2 data", "unpack it with bunzip2"),
    (0, b"\xfd7zXZ\x00", "xz data", "unpack it with unxz"),
    (0, b"\x5d\x00\x00", "lzma data", "unpack it with unlzma"),
    (0, b"ZF0x", "compressed data of joblib before 0.10", "load it with joblib and save it uncompressed"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data", "unpack it with unzstd"),
    (0, b"\x04\x22\x4d\x18", "lz4 data", "unpack it with unlz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (0, b"SQLite format 3\x00", "an SQLite database", "name the checkpoint"),
    (0, b"PAR1", "a Parquet table", "name the checkpoint"),
    (0, b"ARROW1", "an Arrow table", "name the checkpoint"),
    (0, b"MATLAB ", "a MATLAB file", _ARRAYS),
    (0, b"\x89PNG\r\n\x1a\n", "an image (PNG)", "name the checkpoint"),
    (0, b"\xff\xd8\xff", "an image (JPEG)", "name the checkpoint"),
    (0, b"GIF8", "an image (GIF)", "name the checkpoint"),
    (0, b"%PDF-", "a PDF document", "name the checkpoint"),
    (0, b"\x7fELF", "a program or library (ELF)", "name the checkpoint"),
    (0, b"MZ\x90\x00", "a program or library of Windows", "name the checkpoint"),
)
"""(where, mark, what it is, the way out)"""

ZIP_MARKS = (
    ("/archive_format", "a torch.export archive (.pt2)", "save its weights: torch.save(program.state_dict, path)"),
    ("serialized_exported_program.json", "a torch.export archive (.pt2)", "save program.state_dict with torch.save"),
    ("/.data/extern_modules", "a torch.package", "load the model and save its state_dict with torch.save"),
    ("/model.json", "a TorchScript archive from before torch 1.4", "load and save it with torch.jit of torch 1.4"),
    ("/.data/serialization_id", "what torch.save left where it failed, without a data.pkl", "save it again"),
    ("model.weights.h5", "a Keras model", _ARRAYS),
    ("MAR-INF/MANIFEST.json", "a TorchServe archive", _UNPACK),
    ("com.apple.CoreML/model.mlmodel", "a Core ML package", _BACK),
    ("[Content_Types].xml", "an office document", "name the checkpoint"),
    ("AndroidManifest.xml", "an Android app", "name the checkpoint"),
    ("META-INF/MANIFEST.MF", "a Java archive", "name the checkpoint"),
    ("__MACOSX/", "a zip archive packed by hand", _UNPACK),
)
"""(how the name of a file in the archive ends, what the archive is, the way out)"""

CHECKPOINTS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pkl", ".tar", ".jit", ".torchscript")
"""What the names of checkpoints end in; only ever used to point at a file inside of another."""


def foreign(file: SourceFile, head: bytes) -> CheckpointError | None:
    """The error that names what a file is, by its first bytes; None where no mark is known."""
    if head.startswith(b"\x93NUMPY") and b"'descr': '|O" in head:
        return named(file, "a NumPy file of pickled objects, not of one array", _OBJECTS)
    for offset, mark, what, way_out in MARKS:
        if head.startswith(mark, offset):
            return named(file, what, way_out)
    if b"joblib.numpy_pickle" in head:
        return named(file, "a joblib dump", _ARRAYS)
    if head[257:262] == b"ustar":
        return named(file, *_tar(head))
    if head[:3] in (b"\x08\x01\x12", b"\x08\x01\x2a") or (head[:1] == b"\x08" and _is_onnx(head)):
        return named(file, "a protobuf, as ONNX, TensorFlow (saved_model.pb) and Core ML write their models", _ARRAYS)
    if _is_caffe(head):
        return named(file, "a protobuf, as Caffe writes its models (.caffemodel)", _ARRAYS)
    if head[:16] == bytes(16) and head[18:21] == b"\x00\x00\x08":
        return named(
            file, "parameters of Paddle without their names (.pdiparams)", "export the .pdparams of its training"
        )
    if _is_msgpack(head):
        return named(file, "msgpack data, as Flax writes its parameters", _ARRAYS)
    if file.size >= 8 and _is_table(file):
        return named(file, "the index of a TensorFlow checkpoint", _ARRAYS)
    if len(head) >= 8 and head[4:5] == b"{" and b'"' in head[5:8]:
        return named(file, "a TensorRT engine with the facts that ultralytics puts before it", _BACK)
    if _is_darknet(file, head):
        return named(
            file, "darknet weights, which need their .cfg to be told apart", "convert both to PyTorch, then export that"
        )
    return _text(file, head) or _zlib(file, head)


def foreign_zip(archive: Archive) -> CheckpointError:
    """The error that names what a zip archive without a ``data.pkl`` is."""
    names = archive.names()
    for ending, what, way_out in ZIP_MARKS:
        if any(name.endswith(ending) or name.startswith(ending) for name in names):
            return named(archive.file, what, way_out)
    if "data.pkl" in names:
        what = "a zip archive of a checkpoint's files without the folder around them"
        return named(archive.file, what, "pack the folder itself: zip -0 -r NAME.pt NAME")
    inside = [name for name in names if name.lower().endswith(CHECKPOINTS)]
    if inside:
        more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
        return named(archive.file, f"a zip archive that holds {shown(inside[0])}{more}", _UNPACK)
    listed = ", ".join(shown(name, 40) for name in names[:4]) or "nothing"
    return named(archive.file, f"a zip archive that is no checkpoint; in it: {listed}", "name the checkpoint")


def named(file: SourceFile, what: str, way_out: str) -> CheckpointError:
    """The error for a file of a known kind."""
    return CheckpointError(f"{file.name}: this is {what}; {way_out}")


def _tar(head: bytes) -> tuple[str, str]:
    first = head[:100].rstrip(b"\x00").decode("utf-8", "replace")
    if first in ("sys_info", "pickle", "storages", "tensors"):
        return "a checkpoint of torch before 0.1.10 (tar)", "load and save it again with torch.load and torch.save"
    if head[156:157] in (b"x", b"g", b"L"):  # facts of the first file, which comes later
        return "a tar archive", _UNPACK
    return f"a tar archive; its first file is {shown(first)}", _UNPACK


def _is_onnx(head: bytes) -> bool:
    """Whether it begins as an ONNX model: the version of the format, then the field of another fact."""
    return head[1:2] <= b"\x20" and head[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42")


def _is_caffe(head: bytes) -> bool:
    """Whether it begins as a Caffe model: the network's name, then a layer (field 100, or 2 of the first version)."""
    if head[:1] != b"\x0a" or len(head) < 4:
        return False
    end = 2 + head[1]
    return _is_name(head[2:end]) and (head[end : end + 2] == b"\xa2\x06" or head[end : end + 1] == b"\x12")


def _is_msgpack(head: bytes) -> bool:
    """Whether it begins as a small map of msgpack does: a short name, then a map or an extension (Flax's arrays)."""
    if len(head) < 4 or not 0x81 <= head[0] <= 0x8F or not 0xA1 <= head[1] <= 0xBF:
        return False
    end = 2 + (head[1] & 31)
    kinds = (*range(0x80, 0x90), 0xC7, 0xC8, 0xC9, 0xDE, 0xDF)
    return _is_name(head[2:end]) and end < len(head) and head[end] in kinds


def _is_name(text: bytes) -> bool:
    return bool(text) and all(32 <= byte < 127 for byte in text)


def _is_table(file: SourceFile) -> bool:
    return file.read(file.size - 8, 8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def _is_darknet(file: SourceFile, head: bytes) -> bool:
    """Whether it begins with darknet's version 0.1 or 0.2, and holds whole floats after its header."""
    major, minor, revision = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8))
    return file.size > 20 and file.size % 4 == 0 and major == 0 and minor in (1, 2) and revision <= 5


def _zlib(file: SourceFile, head: bytes) -> CheckpointError | None:
    """The mark of zlib is two bytes that texts have too, so those go before it (RFC 1950, 2.2)."""
    if head[:1] != b"\x78" or int.from_bytes(head[:2], "big") % 31:
        return None
    return named(file, "zlib data, as joblib writes with compress", "load it and save it uncompressed")


def _text(file: SourceFile, head: bytes) -> CheckpointError | None:
    """What a file is that begins with nothing but text, or with nothing at all."""
    import re

    if not head.strip(b"\x00"):
        return named(file, "empty" if not head else "nothing but zeros at its start", "copy or download it again")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    low = text.lower()
    if text.startswith(b"version https://git-lfs"):
        return named(file, "a git-lfs pointer, not the file itself", "fetch it with `git lfs pull`")
    if low.startswith((b"<!doctype html", b"<html")):
        return named(file, "a web page, not the file behind the link", "download the file itself")
    if low.startswith(b"<?xml"):
        return named(
            file, "an XML document: an error of the server, or a model description", "download the file itself"
        )
    if re.match(rb"\d{1,9}\s+\S+ +\d+ +(?:[0-9a-fA-F]{1,8}\s|\n)", head):
        return named(file, "a .wts already", "give it to the program that builds the engine, or to `pywts convert`")
    if re.match(rb"#!|(?:import|from|def|class) \w|\"\"\"|# -\*-", text):
        return named(file, "a program's text", "name the checkpoint")
    if all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in head):
        try:
            head.decode()
        except UnicodeDecodeError as error:
            if error.start < len(head) - 3:
                return None
        return named(
            file, f"a text that begins {shown(repr(head[:40].decode('utf-8', 'replace')))}", "name the checkpoint"
        )
    return None
