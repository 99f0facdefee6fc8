"""Every limit stops what goes over it, and lets it through where it is raised."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Storage, Tensor, module, save, tensor
from processes import ROOT

import pywts

VALUES = tensor(numpy.arange(40, dtype=numpy.float32))

LIMITS: dict[str, tuple[int, Any, str]] = {
    "entries": (3, {"x": VALUES}, "files in the archive"),
    "pickle_bytes": (20, {"x": VALUES}, "over the limit of 20"),
    "opcodes": (5, {"x": VALUES}, "limit"),
    "nodes": (3, {"x": VALUES}, "limit"),
    "depth": (2, {"model": module(modules={"a": module(modules={"b": module(modules={"c": module()})})})}, "deeper"),
    "tensors": (1, {"x": VALUES, "y": VALUES}, "more than 1 "),
    "name_length": (5, {"longer": VALUES}, "longer"),
    "inflated_bytes": (100, {"x": VALUES}, "inflates to 160 bytes"),
    "expansion": (2, {"x": Tensor(Storage("float32", bytes(4 << 10)), (4096, 1024), (0, 1))}, "Limits.expansion"),
}
"""A limit, what goes over it, and what is said."""


def source_over(limit: str, path: Path) -> Path:
    """A checkpoint that goes over a limit."""
    save(path, LIMITS[limit][1])
    if limit == "inflated_bytes":
        packed = io.BytesIO()
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        path.write_bytes(packed.getvalue())
    return path


@pytest.mark.parametrize("limit", LIMITS)
def test_limit_stops_what_goes_over_it(limit: str, tmp_path: Path) -> None:
    bound, _, message = LIMITS[limit]
    path, output = source_over(limit, tmp_path / "m.pt"), tmp_path / "m.wts"
    with pytest.raises(pywts.LimitError, match=message) as found:
        pywts.export(path, output, limits=pywts.DEFAULT_LIMITS.replace(**{limit: bound}))
    assert str(path) in str(found.value)
    assert not output.exists()


@pytest.mark.parametrize("limit", [limit for limit in LIMITS if limit != "depth"])
def test_limit_can_be_raised(limit: str, tmp_path: Path) -> None:
    path = source_over(limit, tmp_path / "m.pt")
    assert pywts.plan(path, limits=pywts.DEFAULT_LIMITS.replace(**{limit: 1 << 40})).tensors


def test_every_limit_is_tried_and_documented() -> None:
    limits = pywts.DEFAULT_LIMITS.as_dict()
    assert limits.keys() == LIMITS.keys()
    text = (ROOT / "docs" / "security.md").read_text()
    assert [name for name, value in limits.items() if f"| `{name}` | {value:,} |" not in text] == []


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_no_expansion_at_all_lets_through_what_repeats_nothing(dtype: str, tmp_path: Path) -> None:
    """The core describes the first, Python the second: they are of one mind."""
    values = (1 << 20) + 1
    whole = Tensor(Storage(dtype, zeros=values * (4 if dtype == "float32" else 2)), (values,), (1,))
    path = save(tmp_path / "m.pt", {"x": whole})
    assert pywts.plan(path, limits=pywts.Limits(expansion=0)).values == values


def test_views_of_one_storage_are_bounded_all_together(tmp_path: Path) -> None:
    """None of them repeats a value; the text of all would be a thousand times what the file holds."""
    storage = Storage("float32", bytes(1 << 20))
    path = save(tmp_path / "m.pt", {f"x{place}": Tensor(storage, (1 << 18,), (1,)) for place in range(257)})
    message = r"257 tensors make 67371008 values of 1048576 bytes.*Limits\.expansion"
    for output in (tmp_path / "m.wts", tmp_path / "m.npz"):
        write = pywts.export if output.suffix == ".wts" else pywts.convert
        with pytest.raises(pywts.LimitError, match=message):
            write(path, output)
        assert not output.exists()
    assert pywts.plan(path, limits=pywts.Limits(expansion=128)).values == 257 << 18
