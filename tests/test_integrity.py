"""An export finds bytes that changed after a checkpoint was saved, before it gives the .wts its name."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy
import pytest
from checkpoints import Storage, Tensor, module, save, tensor
from processes import run

import pywts

DESCRIPTION = (
    r"damaged\.pt: {}: its storage archive/data/{} does not match its CRC32: [0-9a-f]{{8}} in the archive, "
    r"[0-9a-f]{{8}} found: .*copy or download it again, or .* --no-check \(check=False\)"
)


def damaged(folder: Path, root: dict[str, object], storage: str, at: int = 0) -> Path:
    """A checkpoint of which one bit changed after it was saved."""
    path = save(folder / "damaged.pt", root)
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"archive/data/{storage}")
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 30 + len(entry.filename) + at] ^= 1
    path.write_bytes(data)
    return path


def some(count: int, dtype: str = "float32") -> numpy.ndarray:
    return numpy.random.default_rng(count).integers(0, 100, count).astype(dtype)


def shared(shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Tensor:
    return Tensor(Storage("float32", some(1000).tobytes()), shape, strides, offset)


CHANGES = {
    "a small tensor": (lambda: tensor(some(5, "int64")), 39),
    "the end of a large tensor": (lambda: tensor(some(1 << 20, "float16")), (2 << 20) - 1),
    "a part of a storage": (lambda: shared((10, 9), (9, 1), 700), 2805),
    "what no tensor shows": (lambda: shared((10,), (1,), 700), 17),
    "a transposed tensor": (lambda: shared((20, 50), (1, 20), 0), 3999),
}
"""a tensor, and which byte of its storage changes"""


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_bit_is_found(what: str, tmp_path: Path) -> None:
    make, at = CHANGES[what]
    root = {"a": tensor(some(3)), "b": make()}
    out = tmp_path / "out.wts"
    whole = save(tmp_path / "whole.pt", root)
    pywts.export(whole, out)
    before = out.read_bytes()
    path = damaged(tmp_path, root, "1", at)
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("b", "1")):
        pywts.export(path, out)
    assert out.read_bytes() == before
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("b", "1")):
        pywts.export(path, tmp_path / "new.wts")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["damaged.pt", "out.wts", "whole.pt"]


def test_nothing_goes_into_a_stream_before_all_was_checked(tmp_path: Path) -> None:
    path = damaged(tmp_path, {"a": tensor(some(4)), "b": tensor(some(5))}, "1", 6)
    stream = io.BytesIO()
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("b", "1")):
        pywts.export(path, stream)
    assert stream.getvalue() == b""
    pywts.export(path, stream, check=False)
    assert stream.getvalue().startswith(b"2\na 4  ")


def test_unchecked_it_is_exported_as_it_is(tmp_path: Path) -> None:
    path = damaged(tmp_path, {"a": tensor(numpy.float32([1, 2]))}, "0", 3)
    assert run("export", path).returncode == 1
    assert run("export", path, "--no-check").returncode == 0
    assert (tmp_path / "damaged.wts").read_bytes() == b"1\na 2  3e800000 40000000\n"


def test_damage_that_looks_like_an_overflow_is_told_as_damage(tmp_path: Path) -> None:
    path = damaged(tmp_path, {"a": tensor(numpy.float64([2.0**112, 1]))}, "0", 7)
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("a", "0")):
        pywts.export(path)
    with pytest.raises(pywts.TensorError, match="overflows float32"):
        pywts.export(path, check=False)


def doubled(weights: pywts.Weights) -> dict[str, numpy.ndarray]:
    """A recipe that reckons, so that nothing of the storage itself is written."""
    return {name: weights.array(name) * 2 for name in weights}


def test_what_a_recipe_reads_is_checked(tmp_path: Path) -> None:
    path = damaged(tmp_path, {"a": tensor(some(4)), "b": shared((10,), (1,), 700)}, "1", 17)
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("b", "1")):
        pywts.export(path, recipe=doubled)
    assert not (tmp_path / "damaged.wts").exists()
    pywts.export(path, recipe=doubled, check=False)
    assert pywts.load(tmp_path / "damaged.wts")["a"].tolist() == (some(4) * 2).tolist()


def test_what_a_family_s_recipe_reads_of_the_head_is_checked(tmp_path: Path) -> None:
    strides = tensor(numpy.float32([8, 16, 32]))
    head = module(
        "models.yolo.Detect", buffers={"anchors": tensor(some(18).reshape(3, 3, 2))}, stride=strides, anchor_grid=[],
        modules={"m": module("torch.nn.modules.container.ModuleList", {"weight": tensor(some(2))})},
    )  # fmt: skip
    layers = module("torch.nn.modules.container.Sequential", modules={"0": head})
    root = {"model": module("models.yolo.DetectionModel", modules={"model": layers})}
    assert pywts.export(save(tmp_path / "whole.pt", root)).recipe == "yolov5"
    with zipfile.ZipFile(tmp_path / "whole.pt") as archive:
        place = next(name for name in archive.namelist() if archive.read(name) == numpy.float32([8, 16, 32]).tobytes())
    path = damaged(tmp_path, root, place.rpartition("/")[2], 2)
    with pytest.raises(pywts.CheckpointError, match=r"stride: its storage archive/data/\d does not match its CRC32"):
        pywts.export(path)
    assert pywts.export(path, check=False).recipe == "yolov5"


@pytest.mark.parametrize("suffix", [".wts", ".npz", ".safetensors", ".pt"])
def test_what_is_converted_is_checked(suffix: str, tmp_path: Path) -> None:
    path = damaged(tmp_path, {"a": tensor(some(4)), "b": shared((10,), (1,), 700)}, "1", 17)
    for recipe in ("none", doubled):
        with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("b", "1")):
            pywts.convert(path, tmp_path / f"out{suffix}", recipe=recipe)
    assert [file.name for file in tmp_path.iterdir()] == ["damaged.pt"]


def test_a_deflated_storage_is_always_checked(tmp_path: Path) -> None:
    stored = save(tmp_path / "stored.pt", {"a": tensor(some(3)), "b": tensor(some(5000))})
    path = tmp_path / "deflated.pt"
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name))
        crc = packed.getinfo("archive/data/1").CRC.to_bytes(4, "little")
    pywts.export(path)
    data = path.read_bytes()
    assert data.count(crc) == 2
    path.write_bytes(data.replace(crc, b"abcd"))
    for check in (True, False):
        with pytest.raises(pywts.CheckpointError, match="archive/data/1 does not match its CRC32: 64636261"):
            pywts.export(path, check=check)
        stream = io.BytesIO()
        with pytest.raises(pywts.CheckpointError, match="archive/data/1 does not match its CRC32: 64636261"):
            pywts.export(path, stream, check=check)
        assert not (check and stream.getvalue())


def test_without_a_crc32_there_is_nothing_to_compare(tmp_path: Path) -> None:
    root = {"a": Tensor(Storage("float32", zeros=40), (10,), (1,))}  # its writer leaves 0
    path = damaged(tmp_path, root, "0", 3)
    pywts.export(path)
    assert (tmp_path / "damaged.wts").read_bytes().startswith(b"1\na 10  01000000 00000000")


def test_of_an_entry_that_is_longer_than_the_storage_all_is_checked(tmp_path: Path) -> None:
    shorter = Storage("float32", some(10).tobytes())
    root = {"a": Tensor(shorter, (8,), (1,))}
    shorter.size = 32  # what the pickle tells
    pywts.export(save(tmp_path / "whole.pt", root))
    path = damaged(tmp_path, root, "0", 39)
    with pytest.raises(pywts.CheckpointError, match=DESCRIPTION.format("a", "0")):
        pywts.export(path)


def test_npz_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    numpy.savez(path, x=some(100), y=some(70))
    pywts.export(path)
    data = bytearray(path.read_bytes())
    data[data.index(some(70).tobytes()) + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(pywts.CheckpointError, match=r"y: its storage y\.npy does not match its CRC32"):
        pywts.export(path)
