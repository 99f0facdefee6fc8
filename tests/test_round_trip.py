"""There and back: into the real model with the same detections, and through the loop that C++ programs copy."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pytest
from reference import fast_wts

import pywts

pytestmark = pytest.mark.torch

STREAM_READER = r"""
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

// The loop of the programs of the field, then every bit of what it read.
int main(int, char** arguments) {
  std::ifstream input(arguments[1]);
  std::int32_t count = 0;
  input >> count;
  std::cout << count << '\n';
  while (count--) {
    std::string name;
    std::uint32_t size = 0;
    input >> name >> std::dec >> size;
    std::vector<std::uint32_t> values(size);
    for (std::uint32_t& value : values) input >> std::hex >> value;
    std::cout << name << ' ' << size << '\n';
    std::fflush(stdout);
    std::cout.write(reinterpret_cast<const char*>(values.data()), 4 * static_cast<std::streamsize>(size));
  }
  return input ? 0 : 1;
}
"""


def raw_model(ultralytics: Any, path: Path) -> Any:
    """The module of a checkpoint, as its trainer saved it, in float32."""
    return ultralytics.YOLO(path).model.float().eval()


def detections(model: Any, torch: Any) -> list[Any]:
    """What a model says of some images, every tensor of its answer."""
    images = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        answer = model(images)

    def flat(value: Any) -> list[Any]:
        if isinstance(value, torch.Tensor):
            return [value]
        parts = value.values() if isinstance(value, dict) else value
        return [tensor for part in parts for tensor in flat(part)]

    return flat(answer)


@pytest.mark.parametrize("by", ["load", "torch", "safetensors"])
def test_detections_are_identical(by: str, sample: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    ultralytics = pytest.importorskip("ultralytics")
    exported = pywts.export(sample, tmp_path / "shapes.wts", sidecar=True, verify=True)
    assert exported.verified
    if by == "load":
        arrays = pywts.load(tmp_path / "shapes.wts")
        state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    else:
        output = tmp_path / {"torch": "back.pt", "safetensors": "back.safetensors"}[by]
        pywts.convert(tmp_path / "shapes.wts", output)
        if by == "torch":
            state = torch.load(output, weights_only=True)
        else:
            state = pytest.importorskip("safetensors.torch").load_file(output)

    model = raw_model(ultralytics, sample)
    before = detections(model, torch)
    assert len(before) > 1
    with torch.no_grad():
        for parameter in [*model.parameters(), *model.buffers()]:
            parameter.zero_()
    assert not all(torch.equal(a, b) for a, b in zip(before, detections(model, torch), strict=True))
    model.load_state_dict(state, strict=True)
    after = detections(model, torch)
    for a, b in zip(before, after, strict=True):
        assert torch.equal(a, b)
    assert pywts.verify(tmp_path / "shapes.wts", model).equal


@pytest.mark.tool("c++")
def test_stream_reader_of_the_field_reads_the_same_numbers(sample: Path, tmp_path: Path) -> None:
    """What real torch holds, what pywts wrote, and what a plain ``std::ifstream >> std::hex`` makes of it."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("ultralytics")
    compiler = shutil.which("c++")
    assert compiler is not None
    (tmp_path / "reader.cpp").write_text(STREAM_READER)
    subprocess.run([compiler, "-O1", "-o", tmp_path / "reader", tmp_path / "reader.cpp"], check=True)

    state = torch.load(sample, map_location="cpu", weights_only=False)["model"].float().state_dict()
    expected = {name: tensor.reshape(-1).to(torch.float32).numpy() for name, tensor in state.items()}
    (tmp_path / "torch.wts").write_bytes(fast_wts(expected))
    for path in (tmp_path / "shapes.wts", tmp_path / "single.wts", tmp_path / "torch.wts"):
        if path.stem != "torch":
            pywts.export(sample, path, dialect="single" if path.stem == "single" else "double")
        found = subprocess.run([tmp_path / "reader", path], capture_output=True, check=True).stdout
        head, _, rest = found.partition(b"\n")
        assert int(head) == len(expected)
        for name, values in expected.items():
            line, _, rest = rest.partition(b"\n")
            assert line.decode() == f"{name} {values.size}"
            assert rest.startswith(values.astype("<f4").tobytes()), name
            rest = rest[4 * values.size :]
        assert rest == b""
        loaded = pywts.load(path)
        assert all(numpy.array_equal(loaded[name], values) for name, values in expected.items())
    assert (tmp_path / "torch.wts").read_bytes() == (tmp_path / "shapes.wts").read_bytes()
