"""What ``inspect`` finds in files of every kind, and that hostile ones neither hang it nor break its view."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy
import pytest
from attacks import confuse_by_names, exhaust, lie_in_archives, lie_in_headers, reach_outside, run_code
from attacks.making import (
    ATTACKS,
    FALSE,
    NONE,
    Attack,
    call,
    checkpoint,
    instance,
    mapping,
    named,
    number,
    text,
)
from attacks.making import (
    module as module_pickle,
)
from attacks.making import (
    tensor as tensor_pickle,
)
from checkpoints import Object, Storage, Tensor, module, save, tensor

import pywts
from pywts.cli import main
from pywts.inspection.facts import SCHEMA, SCHEMA_VERSION

SHAPES = Path(__file__).parent.parent / "examples" / "shapes.pt"


def head(**attributes: Any) -> Object:
    """The last layer of a model of three classes."""
    return module("ultralytics.nn.modules.head.Detect", {"w": tensor(numpy.ones((3, 2), numpy.float16))}, **attributes)


def yolo(scale: str = "n", kind: str = "DetectionModel", last: Object | None = None) -> Object:
    """A small record with the structure of an ultralytics model."""
    convolution = module(
        "torch.nn.modules.conv.Conv2d",
        {"weight": tensor(numpy.ones((4, 3, 1, 1), numpy.float16))},
        in_channels=3, out_channels=4, kernel_size=(1, 1), stride=(2, 2), groups=1,
    )  # fmt: skip
    layer = module("ultralytics.nn.modules.conv.Conv", modules={"conv": convolution})
    stride = tensor(numpy.array([8, 16, 32], numpy.float32))
    layers = module(
        "torch.nn.modules.container.Sequential", modules={"0": layer, "1": last or head(nc=3, stride=stride)}
    )
    return module(
        f"ultralytics.nn.tasks.{kind}",
        modules={"model": layers},
        yaml={"yaml_file": "yolov8n.yaml", "scale": scale, "nc": 3, "scales": {"n": [0.33, 0.25, 1024]}},
        names={0: "circle", 1: "square", 2: "triangle"},
        nc=3,
    )


def trained(**entries: Any) -> dict[str, Any]:
    """What the ultralytics trainer writes, once it is done."""
    usual = {"epoch": -1, "best_fitness": 0.5, "model": yolo(), "ema": None, "updates": None, "optimizer": None}
    return {**usual, "train_args": {"imgsz": 320, "epochs": 10, "task": "detect"}, "version": "8.3.0", **entries}


def inspected(tmp_path: Path, root: Any, **options: Any) -> pywts.Inspection:
    """A checkpoint, written and inspected."""
    return pywts.inspect(save(tmp_path / "m.pt", root), **options)


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    """``pywts inspect``."""
    code = main(["inspect", *map(str, arguments)])
    return (code, *capsys.readouterr())


# -------------------------------------------------------------------------------------------------------- the facts


def test_a_stripped_checkpoint_is_described(tmp_path: Path) -> None:
    found = inspected(tmp_path, trained())
    assert found.container.kind == "zip archive"
    assert found.container.bytes == (tmp_path / "m.pt").stat().st_size
    assert found.training.state == "stripped"
    assert (found.training.epoch, found.training.epochs, found.training.best_fitness) == (-1, 10, 0.5)
    assert (found.training.framework, found.training.version) == ("ultralytics", "8.3.0")
    assert found.training.ema is False
    assert [entry.name for entry in found.training.entries] == list(trained())
    assert found.model is not None
    assert found.model.names == {"0": "circle", "1": "square", "2": "triangle"}
    assert (found.model.task, found.model.classes, found.model.fused) == ("detect", 3, True)
    assert [tensor.name for tensor in found.tensors] == ["model.0.conv.weight", "model.1.w"]
    assert found.tensors[0].shape == (4, 3, 1, 1)
    assert not found.problems


def test_the_cpp_side_is_told(tmp_path: Path) -> None:
    told = inspected(tmp_path, trained()).cpp_side
    assert told is not None
    assert {constant.name: constant.value for constant in told.constants} == {
        "kNumClass": 3, "kInputH": 320, "kInputW": 320,
    }  # fmt: skip
    assert (told.program, told.size, told.strides) == ("yolov8_det", "n", (8.0, 16.0, 32.0))
    assert (told.depth_multiple, told.width_multiple, told.max_channels) == (0.33, 0.25, 1024)
    assert told.commands[-1] == "./yolov8_det -s m.wts m.engine n"
    assert not told.unknown


def test_what_the_checkpoint_does_not_say_is_said_to_be_unknown(tmp_path: Path) -> None:
    told = inspected(tmp_path, {"model": yolo(scale="")}).cpp_side
    assert told is not None
    assert told.input_size is None
    assert told.size is None or told.size == "n"  # the file's name may tell it
    assert "the input size" in told.unknown
    bare = pywts.inspect({"w": numpy.zeros(3, numpy.float32)})
    assert bare.cpp_side is not None
    assert bare.cpp_side.classes is None
    assert {"the number of classes", "the program that builds the engine"} <= set(bare.cpp_side.unknown)
    assert bare.model is not None
    assert bare.model.parameters is None
    assert bare.tensors[0].kind == "tensor"


def test_the_classes_of_the_other_tasks_have_names_of_their_own(tmp_path: Path) -> None:
    pose = module("ultralytics.nn.modules.head.Pose", {"w": tensor(numpy.ones(2))}, nc=1, kpt_shape=[17, 3])
    told = inspected(tmp_path, trained(model=yolo(kind="PoseModel", last=pose))).cpp_side
    assert told is not None
    assert {constant.name for constant in told.constants} == {"kPoseNumClass", "kNumberOfPoints", "kInputH", "kInputW"}
    assert told.keypoints == (17, 3)
    few = module("ultralytics.nn.modules.head.Pose", {"w": tensor(numpy.ones(2))}, nc=1, kpt_shape=[4, 2])
    noted = inspected(tmp_path, trained(model=yolo(kind="PoseModel", last=few))).cpp_side
    assert noted is not None
    assert "3 values a keypoint" in noted.notes[-1]


def test_yolov5_has_anchors_in_pixels_and_its_recipe(tmp_path: Path) -> None:
    last = module(
        "models.yolo.Detect",
        {"w": tensor(numpy.ones(2))},
        {"anchors": tensor(numpy.arange(12, dtype=numpy.float32).reshape(2, 3, 2))},
        nc=4, anchor_grid=[], stride=tensor(numpy.array([8, 16], numpy.float32)),
    )  # fmt: skip
    layers = module("torch.nn.modules.container.Sequential", modules={"0": last})
    found = inspected(tmp_path, {"model": module("models.yolo.DetectionModel", modules={"model": layers}, yaml={})})
    told = found.cpp_side
    assert told is not None
    assert (told.family, told.recipe) == ("yolov5", "yolov5")
    assert told.anchors == ((0.0, 8.0, 16.0, 24.0, 32.0, 40.0), (96.0, 112.0, 128.0, 144.0, 160.0, 176.0))
    assert [tensor.name for tensor in found.tensors] == ["model.0.w", "model.0.anchors"]  # as they are in the file


def test_a_running_training_is_told_with_its_optimizer(tmp_path: Path) -> None:
    moments = {0: {"step": tensor(numpy.float32(3)), "exp_avg": tensor(numpy.zeros(5, numpy.float32))}}
    group = {"lr": 0.01, "betas": (0.9, 0.999), "amsgrad": False, "params": [0, 1]}
    optimizer = {"state": moments, "param_groups": [group]}
    found = inspected(tmp_path, trained(epoch=4, model=None, ema=yolo(), optimizer=optimizer, updates=7))
    assert found.training.state == "in training"
    assert "can be resumed" in found.training.meaning
    assert "ema" in found.training.meaning
    told = found.training.optimizer
    assert told is not None
    assert (told.kind, told.tensors, told.values, told.bytes) == ("Adam or AdamW", 2, 6, 24)
    assert told.groups[0] == {"lr": 0.01, "betas": [0.9, 0.999], "amsgrad": False, "params": 2}
    assert found.model is not None
    assert found.model.path == "ema"


def test_the_tree_sums_up_what_lies_below(tmp_path: Path) -> None:
    model = inspected(tmp_path, trained()).model
    assert model is not None
    tree = {module.path: module for module in model.modules}
    assert list(tree) == ["", "model", "model.0", "model.0.conv", "model.1"]
    assert tree[""].values == 18
    assert tree["model.0"].bytes == 24
    assert tree["model.0.conv"].about == "3 -> 4, 1x1, stride 2"
    assert tree["model.0.conv"].class_name == "torch.nn.modules.conv.Conv2d"
    assert tree["model.1"].parameters == 6


def test_the_tree_of_a_state_dict_is_that_of_its_names() -> None:
    model = pywts.inspect(
        {"b.x": numpy.zeros(2), "a": numpy.zeros(1), "b.c.y": numpy.zeros(4), ".odd": numpy.zeros(1)}
    ).model
    assert model is not None
    assert [(module.path, module.depth, module.values) for module in model.modules] == [
        ("", 0, 8), ("b", 1, 6), ("b.c", 2, 4), (".", 1, 1),
    ]  # fmt: skip
    assert model.modules[1].class_name is None


def test_parameters_buffers_tied_shared_and_strided_are_told_apart(tmp_path: Path) -> None:
    held = Storage("float32", numpy.arange(6, dtype=numpy.float32).tobytes())
    whole, part = Tensor(held, (2, 3), (3, 1)), Tensor(held, (3,), (1,), 3)
    turned = Tensor(held, (3, 2), (1, 3))
    record = module(
        "net.Net",
        {"a": whole, "b": whole, "c": part, "d": turned},
        {"mean": tensor(numpy.zeros(2)), "cache": tensor(numpy.zeros(2))},
        transient=("cache",),
    )
    found = inspected(tmp_path, record)
    assert [tensor.kind for tensor in found.tensors] == ["parameter"] * 4 + ["buffer"]
    assert found.model is not None
    assert found.model.tied == (("a", "b"),)
    assert found.model.shared == (("a", "c", "d"),)
    assert found.model.strided == ("d",)
    assert found.model.transient == ("cache",)
    assert (found.model.parameters, found.model.buffers) == (15, 2)


def test_weights_that_cannot_be_written_are_a_problem_and_no_error(tmp_path: Path) -> None:
    found = pywts.inspect({"z": numpy.zeros(2, numpy.complex64), "ok": numpy.zeros(2, numpy.float32)})
    assert found.tensors[0].refused == "a complex array (complex64)"
    assert "z is a complex array" in found.problems[0]
    none = inspected(tmp_path, {"epoch": 3, "loss": 0.5})
    assert none.model is None
    assert "holds no weights" in none.problems[0]
    assert none.training.epoch == 3
    two = inspected(tmp_path, {"net": {"w": tensor(numpy.zeros(2))}, "params": {"w": tensor(numpy.zeros(2))}})
    assert "holds several sets of weights" in two.problems[0]


def test_a_key_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(pywts.SelectionError, match="no 'nothing' in the checkpoint"):
        inspected(tmp_path, trained(), key="nothing")
    model = inspected(tmp_path, trained(ema=yolo()), key="model").model
    assert model is not None
    assert (model.path, model.why) == ("model", "asked for by key")


def test_scalars_of_numpy_and_torch_are_numbers(tmp_path: Path) -> None:
    root = trained(best_fitness=tensor(numpy.array([0.25])), date=None)
    assert inspected(tmp_path, root).training.best_fitness == 0.25


# ----------------------------------------------------------------------------------------------------- other containers


def test_a_wts_is_described_with_and_without_its_sidecar(tmp_path: Path) -> None:
    wts = tmp_path / "m.wts"
    pywts.export({"a.w": numpy.ones((2, 3), numpy.float16), "b": numpy.zeros(4, numpy.float32)}, wts)
    found = pywts.inspect(wts, statistics=True, check=True)
    assert found.container.kind == ".wts"
    assert [(tensor.name, tensor.shape, tensor.values) for tensor in found.tensors] == [
        ("a.w", None, 6),
        ("b", None, 4),
    ]
    assert found.tensors[0].statistics is not None
    assert found.tensors[0].statistics.mean == 1
    assert found.container.check is not None
    assert not found.container.check.damaged
    pywts.export({"a.w": numpy.ones((2, 3), numpy.float16)}, wts, sidecar=True)
    with_sidecar = pywts.inspect(wts, check=True)
    assert with_sidecar.tensors[0].shape == (2, 3)
    assert with_sidecar.container.check is not None
    assert with_sidecar.container.check.checked == 1


def test_npz_and_plain_arrays_are_described(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "m.npz", a=numpy.zeros((2, 2), numpy.float32), b=numpy.zeros(3, numpy.int64))
    found = pywts.inspect(tmp_path / "m.npz", check=True)
    assert found.container.kind == "NumPy archive"
    assert found.container.check is not None
    assert found.container.check.checked == 2
    assert [tensor.dtype for tensor in found.tensors] == ["float32", "int64"]


def test_safetensors_and_their_shards_are_described(tmp_path: Path) -> None:
    header = json.dumps({"a.w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    data = struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1, 2)
    (tmp_path / "one.safetensors").write_bytes(data)
    found = pywts.inspect(tmp_path / "one.safetensors", check=True)
    assert found.container.kind == "safetensors"
    assert found.container.check is not None
    assert "no checksums" in found.container.check.summary
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"weight_map": {"a.w": "one.safetensors"}}))
    sharded = pywts.inspect(tmp_path / "m.safetensors.index.json", check=True)
    assert sharded.container.kind == "model in 1 shards"
    assert [(file.name, file.bytes) for file in sharded.container.files] == [("one.safetensors", len(data))]
    assert sharded.tensors[0].shape == (2,)


def test_what_is_no_checkpoint_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pt").write_text("<!doctype html>")
    with pytest.raises(pywts.CheckpointError, match="web page"):
        pywts.inspect(tmp_path / "x.pt")
    code, out, error = run(capsys, tmp_path / "x.pt")
    assert (code, out) == (1, "")
    assert "web page" in error
    code, out, _ = run(capsys, tmp_path / "missing.pt", "--json")
    assert code == 1
    assert "no such file" in json.loads(out)["error"]["message"]


# ------------------------------------------------------------------------------------------------------------- checking


def test_a_flipped_bit_is_found_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "m.pt", trained())
    entry = next(file for file in pywts.inspect(path).container.files if file.name.endswith("/data/1"))
    data = bytearray(path.read_bytes())
    values = numpy.ones((3, 2), numpy.float16).tobytes()
    at = data.rindex(values)
    data[at + 3] ^= 0x10
    path.write_bytes(data)
    check = pywts.inspect(path, check=True).container.check
    assert check is not None
    assert [damage.entry for damage in check.damaged] == [entry.name]
    assert check.damaged[0].tensors == ("model.model.1.w",)
    assert entry.crc32 is not None
    assert entry.crc32 in check.damaged[0].what
    code, out, _ = run(capsys, path, "--check")
    assert code == 1
    assert "model.model.1.w" in out
    code, out, _ = run(capsys, path, "--check", "--json")
    assert code == 1
    assert json.loads(out)["container"]["check"]["damaged"][0]["tensors"] == ["model.model.1.w"]
    code, _, error = run(capsys, path, "--check", "--tensor", "model.0.conv.weight")
    assert code == 1
    assert "damaged" in error
    assert "model.model.1.w" in error
    assert run(capsys, path)[0] == 0  # nothing is read that was not asked for


def test_a_wts_whose_values_changed_is_found_by_its_sidecar(tmp_path: Path) -> None:
    wts = tmp_path / "m.wts"
    pywts.export({"a": numpy.ones(2, numpy.float32), "b": numpy.ones(2, numpy.float32)}, wts, sidecar=True)
    text = wts.read_text()
    at = text.rindex("3f800000")
    wts.write_text(f"{text[:at]}3f800001{text[at + 8 :]}")
    check = pywts.inspect(wts, check=True).container.check
    assert check is not None
    assert [damage.tensors for damage in check.damaged] == [("b",)]
    wts.write_text(f"{text[:at]}3f8x0001{text[at + 8 :]}")
    (tmp_path / "m.wts.json").unlink()
    digits = pywts.inspect(wts, check=True).container.check
    assert digits is not None
    assert digits.damaged[0].tensors == ("b",)


# ------------------------------------------------------------------------------------------------------------ the views


def test_the_view_is_plain_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "m.pt", trained())
    code, out, error = run(capsys, path)
    assert (code, error) == (0, "")
    assert "\x1b" not in out
    assert "kNumClass  3" in out
    assert "./yolov8_det -s m.wts m.engine n" in out
    assert not any(line.endswith(" ") for line in out.splitlines())


@pytest.mark.parametrize("width", [30, 60, 200])
def test_the_view_folds_to_the_width(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for flags in ([], ["--stats"], ["--tensors"], ["--tensor", "model.1.w"]):
        _, out, _ = run(capsys, save(tmp_path / "m.pt", trained()), *flags)
        assert max(map(len, out.splitlines())) <= width


def test_one_tensor_is_shown_with_its_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "m.pt", {"a.weight": tensor(numpy.array([1, -2, 3.5, 0], numpy.float32))})
    _, out, _ = run(capsys, path, "--tensor", "a.weight")
    assert "1, -2, 3.5, 0" in out
    assert "1 zero, 1 negative" in out
    assert "from 2^1" in out
    code, out, error = run(capsys, path, "--tensor", "weight")
    assert (code, out) == (1, "")
    assert "has no tensor weight; there is a.weight" in error


def test_json_is_the_facts_under_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "m.pt", trained(best_fitness=float("nan")))
    _, out, _ = run(capsys, path, "--json", "--stats")
    found = json.loads(out)
    assert (found["format"], found["version"]) == (SCHEMA, SCHEMA_VERSION)
    assert found["tensors"][0]["statistics"]["mean"] == 1.0
    assert found["training"]["best_fitness"] == "nan"
    assert set(found) == {"format", "version", *pywts.Inspection._fields}


def test_names_reach_the_terminal_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\x1b[31m\u202e\x07.w"
    root = {evil: tensor(numpy.zeros(2, numpy.float32)), "b.w": tensor(numpy.zeros(2, numpy.float32))}
    record = trained(**{"\x1b]0;title\x07": "\x1b[2J"}, version="\x1b[31m", train_args={"\x1b[1m": "\u202e"})
    for source in (save(tmp_path / "a.pt", root), save(tmp_path / "b.pt", record)):
        for flags in ([], ["--tensors"], ["--stats"], ["--check"]):
            _, out, error = run(capsys, source, *flags)
            assert all(character.isprintable() or character == "\n" for character in out + error)


@pytest.mark.parametrize("arguments", [[], ["a.pt", "b.pt"], ["a.pt", "--json", "--html", "-"]], ids=str)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert main(["inspect", *arguments]) == 2


# -------------------------------------------------------------------------------------------------------- hostile files


def doubled(times: int, start: bytes) -> bytes:
    """A pickle's tuple of the same thing twice, so many times over: 2**times paths to it."""
    return start + (b"q\x00h\x00\x86" * times)


WEIGHTS = mapping({"w": tensor_pickle()})

HOSTILE = {
    "an integer of 7,000 digits": mapping({"epoch": number(10**7000), "good": tensor_pickle()}),
    "one as a key": mapping({"good": tensor_pickle()})[:-1] + number(10**7000) + NONE + b"u",
    "a list in itself": mapping({"loop": b"]q\x01h\x01a", "model": WEIGHTS}),
    "2^28 paths to one tensor": mapping({"many": doubled(28, tensor_pickle()), "model": WEIGHTS}),
    "lists 100,000 deep": mapping({"deep": b"]" * 100_000 + b"a" * 99_999, "model": WEIGHTS}),
    "numbers that are texts": mapping({"epoch": text("1"), "best_fitness": text("x"), "model": WEIGHTS}),
    "options of a wrong kind": mapping({"train_args": number(3), "optimizer": text("no"), "model": WEIGHTS}),
    "names that are a call": mapping(
        {"model": instance(named("ultralytics.nn.tasks", "DetectionModel"), mapping({
            "_parameters": mapping({"w": tensor_pickle()}), "_buffers": b"}", "_modules": b"}",
            "names": call(named("os", "system"), text("x")), "yaml": number(1), "nc": text("x"), "stride": FALSE,
        }))}
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_neither_hang_nor_break_the_view(
    body: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "harm.pt"
    path.write_bytes(checkpoint(body))
    for flags in ([], ["--json"], ["--check"], ["--stats", "--tensors"]):
        code, out, error = run(capsys, path, *flags)
        assert code in (0, 1), error
        assert len(out) < 2_000_000


def test_modules_that_are_shared_2_to_the_28_times_are_a_problem(tmp_path: Path) -> None:
    inner = module_pickle({"w": tensor_pickle()})
    body = inner
    for level in range(28):
        place = bytes([level + 1])
        body = module_pickle({}, {"a": body + b"q" + place, "b": b"h" + place})
    (tmp_path / "harm.pt").write_bytes(checkpoint(body))
    found = pywts.inspect(tmp_path / "harm.pt", limits=pywts.DEFAULT_LIMITS.replace(tensors=10_000))
    assert found.model is None
    assert "more than 10000 modules and tensors" in found.problems[0]


def test_long_texts_and_containers_are_shortened(tmp_path: Path) -> None:
    found = inspected(tmp_path, trained(train_args={"text": "x" * 100_000, "list": list(range(5_000))}))
    assert found.training.arguments is not None
    assert len(found.training.arguments["text"]) < 2_000
    assert found.training.arguments["list"][-1] == "<3,000 more>"


BUILDERS = (confuse_by_names, exhaust, lie_in_archives, lie_in_headers, reach_outside, run_code)
"""Importing them fills the list."""


@pytest.mark.parametrize("build", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_attack_gets_through_inspecting(build: Any, tmp_path: Path) -> None:
    """In this process: a hang or a crash is the test's; that no code runs is shown for the same reader by export."""
    attack: Attack = build()
    path = tmp_path / "harm.pt"
    path.write_bytes(attack.data)
    for name, data in attack.beside.items():
        (tmp_path / name).write_bytes(data)
    try:
        found = pywts.inspect(path, check=True, statistics=True)
        said = [] if found.model is not None else found.problems
    except pywts.Error as error:
        said = [str(error)]
    assert all(str(tmp_path) in message for message in said)


def test_inspecting_the_sample_says_what_its_documentation_says() -> None:
    found = pywts.inspect(SHAPES, check=True)
    assert found.model is not None
    assert (found.model.classes, found.model.tensors) == (3, 355)
    assert found.container.check is not None
    assert not found.container.check.damaged


@pytest.mark.parametrize(
    "attributes",
    [
        {"in_channels": [], "out_channels": 4, "kernel_size": (1, 1), "stride": (1, 1), "groups": []},
        {"in_features": (), "out_features": []},
        {"num_features": []},
    ],
    ids=lambda attributes: next(iter(attributes)),
)
def test_a_layer_whose_sizes_are_no_numbers_has_no_sizes(attributes: dict[str, Any], tmp_path: Path) -> None:
    layer = module("torch.nn.Layer", {"w": tensor(numpy.ones(2, numpy.float32))}, **attributes)
    found = inspected(tmp_path, {"model": module(modules={"a": layer})})
    assert found.model is not None
    assert [each.about for each in found.model.modules] == ["", ""]


def test_what_shares_its_parts_many_times_costs_no_more_than_what_it_holds(tmp_path: Path) -> None:
    weight = {"w": tensor(numpy.ones(2, numpy.float32))}
    names = tuple(f"t{number}" for number in range(50_000))
    shared = module(buffers=dict.fromkeys(names[:300], weight["w"]), transient=names)
    moments = {number: number for number in range(50_000)}
    found = inspected(
        tmp_path,
        {
            "model": module(parameters=weight, modules={str(number): shared for number in range(50_000)}),
            "epoch": 1,
            "optimizer": {"state": dict.fromkeys(range(50_000), moments), "param_groups": []},
        },
    )
    assert found.model is not None
    assert len(found.model.modules) == 50_001
    assert found.model.modules[2].same_as == "0"
    assert found.model.transient[:2] == ("0.t0", "0.t1")
    assert len(found.model.transient) <= 100_000
    assert found.training.optimizer is not None


def test_all_groups_of_an_optimizer_together_are_brief(tmp_path: Path) -> None:
    group = {str(number): list(range(2_000)) for number in range(20)}
    found = inspected(tmp_path, trained(optimizer={"state": {}, "param_groups": [group] * 5}))
    assert found.training.optimizer is not None
    told = [value for each in found.training.optimizer.groups for value in each.values() if isinstance(value, list)]
    assert sum(map(len, told)) <= 20_000


def test_views_that_make_too_much_of_a_file_are_not_looked_at_or_compared(tmp_path: Path) -> None:
    storage = Storage("float32", numpy.ones(4, numpy.float32).tobytes())
    views = {f"k{number}": Tensor(storage, (1 << 20,), (0,)) for number in range(80)}
    path = save(tmp_path / "m.pt", views)
    found = pywts.inspect(path, statistics=True)
    assert "80 tensors make 83886080 values of 16 bytes" in found.problems[-1]
    assert len(found.tensors) == 80
    assert pywts.inspect(path, statistics=("k7",)).tensors[7].statistics is not None
    with pytest.raises(pywts.LimitError, match="80 tensors make 83886080 values of 16 bytes"):
        pywts.diff(path, path)


def test_a_tree_of_long_names_is_bounded(tmp_path: Path) -> None:
    long = ".".join(["n" * 900] * 60)
    found = inspected(tmp_path, {f"{number}{long}": tensor([1.0]) for number in range(100)})
    assert found.model is not None
    assert len(found.tensors) == 100
    assert sum(len(each.path) for each in found.model.modules) <= 1 << 25


@pytest.mark.parametrize("root", [{"state": {}, "param_groups": []}, [1, 2]], ids=["an optimizer", "a list"])
def test_a_file_without_weights_is_not_said_to_hold_some(
    root: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = inspected(tmp_path, root)
    assert found.model is None
    assert (found.training.state, found.training.meaning[:21]) == ("unknown", "No weights were taken")
    code, _, error = run(capsys, save(tmp_path / "none.pt", root), "--tensor", "x")
    assert (code, error) == (1, f"pywts: {found.problems[0].replace(found.source, str(tmp_path / 'none.pt'))}\n")


def test_strides_that_float32_cannot_hold_are_a_problem_and_no_crash(tmp_path: Path) -> None:
    found = inspected(tmp_path, {"model": yolo(last=head(stride=tensor(numpy.array([8, 16, 1e300]))))})
    assert "stride, value 2: is finite in float64 and overflows float32" in found.problems[-1]
