"""Which weights are taken, why, and what is said where that is not clear."""

from __future__ import annotations

import contextlib
import io
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import Global, Object, Parameter, Storage, Tensor, module, save, tensor
from reference import reference_wts

import pywts
from pywts.checkpoint.opening import open_checkpoint
from pywts.checkpoint.pickled import PickledCheckpoint

EXPORT = Callable[..., tuple[pywts.Exported, bytes]]


def weights(value: float) -> dict[str, numpy.ndarray]:
    """A state_dict that is told apart by its values."""
    return {"w": numpy.full(2, value, numpy.float32), "b": numpy.full(1, value, numpy.float16)}


EMA, MODEL, OTHER = weights(1), weights(2), weights(3)
OPTIMIZER = {"state": {0: {"exp_avg": numpy.zeros(4, numpy.float32)}}, "param_groups": [{"lr": 0.1}]}


def stored(value: Any) -> Any:
    """The same with its arrays as tensors of a file."""
    if isinstance(value, dict):
        return {key: stored(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(stored, value))
    return tensor(value) if isinstance(value, numpy.ndarray) else value


@pytest.fixture(params=["file", "live"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> EXPORT:
    """Export a checkpoint that is given by its content, from a file and as the loaded object."""

    def work(content: Any, **options: Any) -> tuple[pywts.Exported, bytes]:
        stream = io.BytesIO()
        source = save(tmp_path / "m.pt", stored(content)) if request.param == "file" else content
        return pywts.export(source, stream, **options), stream.getvalue()

    return work


def as_module(named: dict[str, numpy.ndarray]) -> Object:
    """A pickled module with these parameters."""
    return module(parameters={name: tensor(value) for name, value in named.items()})


# ------------------------------------------------------------------------------------------------------ what is taken


@pytest.mark.parametrize(
    ("content", "path", "why", "taken"),
    [
        (EMA, "", "state_dict", EMA),
        ({"ema": EMA, "model": MODEL}, "ema", "averaged weights go before model; --key model takes those", EMA),
        ({"model": MODEL, "ema": EMA}, "ema", "averaged weights go before model", EMA),
        ({"ema": EMA, "model": None}, "ema", "the only ones (model is None, as in a checkpoint of a running", EMA),
        ({"ema": None, "model": MODEL}, "model", "the checkpoint has no ema", MODEL),
        ({"ema": {}, "model": MODEL}, "model", "the checkpoint has no ema", MODEL),
        ({"ema": False, "model": MODEL}, "model", "the checkpoint has no ema", MODEL),
        ({"ema": "see model", "model": MODEL}, "model", "ema holds no weights", MODEL),
        ({"model": MODEL, "net": OTHER}, "model", "model holds the weights", MODEL),
        ({"params_ema": EMA, "params": MODEL}, "params_ema", "averaged weights go before params", EMA),
        ({"state_dict": MODEL, "state_dict_ema": EMA}, "state_dict_ema", "go before state_dict", EMA),
        ({"model": MODEL, "model_ema": EMA}, "model_ema", "go before model", EMA),
        ({"state_dict": {"ema": {"deeper": 1}}, "params": MODEL}, "params", "params holds the weights", MODEL),
        ({"model": {"state_dict": MODEL, "name": "x"}}, "model.state_dict", "model holds the weights", MODEL),
        ({"ema": {"module": EMA}, "model": MODEL}, "ema.module", "averaged weights", EMA),
        ({"generator": MODEL, "discriminator": OTHER}, "generator", "generator holds the weights", MODEL),
        ({"netG": MODEL, "netD": OTHER}, "netG", "netG holds the weights", MODEL),
        ({"weights": MODEL, "epoch": 3, "optimizer": OPTIMIZER}, "weights", "weights is the only entry that", MODEL),
        ({"a": {"b": {"c": MODEL}}}, "a.b.c", "a.b.c is the only entry that holds weights", MODEL),
        ([MODEL, "notes"], "0", "item 0 is the only one that holds weights", MODEL),
    ],
)
def test_weights_that_are_taken(
    content: Any, path: str, why: str, taken: dict[str, numpy.ndarray], export: EXPORT
) -> None:
    exported, text = export(content)
    assert exported.weights == path
    assert why in exported.why
    assert text == reference_wts(taken)


@pytest.mark.parametrize(
    "key", ["state_dict", "model_state_dict", "model_state", "params", "net", "network", "generator", "netG", "model"]
)
def test_usual_keys_of_trainers(key: str, export: EXPORT) -> None:
    exported, text = export({"epoch": 12, key: MODEL, "optimizer": OPTIMIZER, "lr_scheduler": {"last": numpy.ones(1)}})
    assert (exported.weights, text) == (key, reference_wts(MODEL))


@pytest.mark.parametrize("key", ["ema", "ema_net", "weights"])
def test_modules_of_a_checkpoint(key: str, tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"epoch": 3, key: as_module(EMA), "optimizer": stored(OPTIMIZER)})
    exported = pywts.export(path)
    assert exported.weights == key
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(EMA)


def test_file_that_is_a_module(tmp_path: Path) -> None:
    exported = pywts.export(save(tmp_path / "m.pt", as_module(MODEL)))
    assert exported.weights == ""
    assert "whole module" in exported.why
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(MODEL)


def test_ema_in_a_wrapper(tmp_path: Path) -> None:
    """A trainer's ModelEMA object, and the pair (module, updates) of an old yolov5."""
    for ema, where in (
        (Object("utils.torch_utils.ModelEMA", {"ema": as_module(EMA), "updates": 7}), "ema.ema"),
        ((as_module(EMA), 7), "ema.0"),
    ):
        exported = pywts.export(save(tmp_path / "m.pt", {"model": as_module(MODEL), "ema": ema}))
        assert exported.weights == where
        assert (tmp_path / "m.wts").read_bytes() == reference_wts(EMA)


# ------------------------------------------------------------------------------------------------------------ by key


@pytest.mark.parametrize(
    ("key", "path", "taken"),
    [
        ("ema", "ema", EMA),
        ("model", "model", MODEL),
        ("extra.inner", "extra.inner", OTHER),
        ("with.dots", "with.dots", OTHER),
        ("history.1", "history.1", OTHER),
    ],
)
def test_key_takes_what_it_names(key: str, path: str, taken: dict[str, numpy.ndarray], export: EXPORT) -> None:
    content = {"ema": EMA, "model": MODEL, "extra": {"inner": OTHER}, "with.dots": OTHER, "history": [MODEL, OTHER]}
    exported, text = export(content, key=key)
    assert (exported.weights, exported.why, text) == (path, "asked for by key", reference_wts(taken))


def test_key_of_modules(tmp_path: Path) -> None:
    """Both there: the default is the averaged one, as in the reference scripts; the article's script takes model."""
    path = save(tmp_path / "m.pt", {"epoch": -1, "model": as_module(MODEL), "ema": as_module(EMA)})
    for key, taken in (("auto", EMA), ("ema", EMA), ("model", MODEL)):
        pywts.export(path, tmp_path / "m.wts", key=key)
        assert (tmp_path / "m.wts").read_bytes() == reference_wts(taken)


def test_root_by_key(export: EXPORT) -> None:
    _, text = export({**MODEL, "extra": OTHER}, key=".")
    assert text == reference_wts(MODEL)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("emma", "no 'emma' in the checkpoint; weights are under 'ema'"),
        ("model.nothing", "no 'model.nothing' in the checkpoint; weights are under 'ema', 'model'"),
        ("epoch", r"'epoch' holds no weights, it is int 7; weights are under"),
        ("history", r"'history' holds no weights, it is a list; weights are under"),
        ("", "no '' in the checkpoint"),
    ],
)
def test_key_that_names_no_weights_is_an_error_that_names_those_that_do(key: str, message: str, export: EXPORT) -> None:
    with pytest.raises(pywts.SelectionError, match=message):
        export({"ema": EMA, "model": MODEL, "epoch": 7, "history": [1, 2]}, key=key)


def test_key_of_a_none_says_so(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", stored({"ema": EMA, "model": None}))
    with pytest.raises(pywts.SelectionError, match="'model' is None; weights are under 'ema'"):
        pywts.export(path, key="model")


# ---------------------------------------------------------------------------------------------------- what is not clear


@pytest.mark.parametrize(
    ("content", "choices"),
    [
        ({"state_dict": MODEL, "net": OTHER}, ["state_dict", "net"]),
        ({"encoder": MODEL, "decoder": OTHER}, ["encoder", "decoder"]),
        ({"a": {"x": MODEL, "y": OTHER}}, ["a.x", "a.y"]),
        ({**MODEL, "extra": OTHER}, [".", "extra"]),
        ([MODEL, OTHER], ["0", "1"]),
    ],
)
def test_several_sets_of_weights_are_an_error_that_lists_them(content: Any, choices: list[str], export: EXPORT) -> None:
    with pytest.raises(pywts.SelectionError, match="holds several sets of weights; say which") as caught:
        export(content)
    for choice in choices:
        assert f"--key {choice}  (2 tensors)" in str(caught.value)
        exported, _ = export(content, key=choice)
        assert exported.weights == choice


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3, "names": ["a"]}, "holds no weights; its keys are: epoch, names"),
        (
            {"ema": None, "model": None},
            r"holds no weights; its keys are: ema \(None\), model \(None\); save the model's state_dict",
        ),
        (OPTIMIZER, "an optimizer's state, which holds no weights; export the model's checkpoint"),
        ({"state_dict": {}, "epoch": 1}, r"its keys are: state_dict \(empty\), epoch; save"),
        ({}, "holds no weights: it is an empty dict; save"),
        ([], "holds no weights: it is a list; save"),
        (5, "holds no weights: it is int 5"),
    ],
)
def test_no_weights_is_an_error_that_says_what_there_is(content: Any, message: str, export: EXPORT) -> None:
    with pytest.raises(pywts.SelectionError, match=message):
        export(content)


def test_optimizer_is_never_taken_for_weights(export: EXPORT) -> None:
    with pytest.raises(pywts.SelectionError, match="holds no weights"):
        export({"epoch": 1, "optimizer": {"exp_avg": numpy.zeros(3, numpy.float32)}})


# ----------------------------------------------------------------------------------------------- a module's state_dict


def test_state_dict_of_a_pickled_module(tmp_path: Path) -> None:
    """Parameters, then persistent buffers, then children, each in order; what is None or not persistent is left out."""
    one = [numpy.full(1, value, numpy.float32) for value in range(8)]
    head = module(
        "models.Head",
        parameters={"weight": tensor(one[4]), "bias": None},
        buffers={"running": tensor(one[5]), "cache": tensor(one[6]), "none": None},
        transient=("cache",),
        plain=tensor(one[7]),
    )
    root = module(
        parameters={"z": tensor(one[0]), "a": tensor(one[1])},
        buffers={"steps": tensor(numpy.int64(3))},
        modules={"late": module(parameters={"w": tensor(one[2])}), "gone": None, "0": head},
        forward_hooks={},
    )
    pywts.export(save(tmp_path / "m.pt", {"model": root}), tmp_path / "m.wts")
    assert (tmp_path / "m.wts").read_bytes() == reference_wts(
        {
            "z": one[0],
            "a": one[1],
            "steps": numpy.int64(3),
            "late.w": one[2],
            "0.weight": one[4],
            "0.running": one[5],
        }
    )


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"_parameters": {"w": tensor(MODEL["w"]), "none": None}},
        {"_parameters": defaultdict(list, {"w": tensor(MODEL["w"])})},
        {"_buffers": {"b": tensor(MODEL["b"]), "c": tensor(MODEL["b"])}, "_non_persistent_buffers_set": {"c"}},
        {"_buffers": {"b": tensor(MODEL["b"])}, "_non_persistent_buffers_set": frozenset()},
        {"_buffers": {"b": tensor(MODEL["b"]), "c": tensor(MODEL["b"])}, "_non_persistent_buffers_set": ["c"]},
        {"_parameters": {"w": 1}},
        {"_parameters": {1: tensor(MODEL["w"])}},
        {"_parameters": None},
        {"_modules": [("late", None)]},
        {"_state_dict_hooks": {1: "hook"}},
        {"_state_dict_pre_hooks": OrderedDict({1: "hook"})},
        {"_state_dict_hooks": None},
    ],
    ids=range(13),
)
def test_usual_modules_are_read_as_all_others_are(
    changed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core reads modules in the form that torch writes; what it makes of them is what the careful views make."""

    def outcome() -> object:
        try:
            return pywts.plan(path)
        except pywts.Error as error:
            return str(error)

    child = module(parameters={"w": tensor(MODEL["w"])}, buffers={"none": None}, modules={"gone": None})
    child.attributes.update(changed)
    path = save(tmp_path / "m.pt", {"model": module(parameters={"z": tensor(EMA["w"])}, modules={"child": child})})
    found = outcome()
    monkeypatch.setattr(PickledCheckpoint, "usual_parts", lambda *_: None)
    assert outcome() == found


def view(storage: Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Tensor:
    return Tensor(storage, shape, strides, offset)


class Made:
    """An object that a call makes of its arguments, without a state."""

    def __init__(self, called: str, *arguments: Any) -> None:
        self.called = Global(*called.rsplit(".", 1))
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return self.called, self.arguments


def test_compiled_module_is_the_child_that_torch_makes_it(tmp_path: Path) -> None:
    compiled = Made("torch._dynamo.eval_frame.OptimizedModule", as_module(MODEL), {"config": 1})
    for root in (compiled, {"model": compiled, "epoch": 1}):
        done = pywts.export(save(tmp_path / "c.pt", root), tmp_path / "c.wts")
        assert (tmp_path / "c.wts").read_bytes() == reference_wts({f"_orig_mod.{name}": MODEL[name] for name in MODEL})
        assert "_orig_mod." in done.warnings[0]


def test_traced_module_is_read_from_the_attributes_it_is_made_of(tmp_path: Path) -> None:
    attributes = module(
        parameters={"w": tensor(MODEL["w"])}, modules={"child": as_module(OTHER)}, _code="def forward(self): ..."
    ).attributes
    traced = Made("torch.fx.graph_module.reduce_graph_module", attributes, "from math import inf")
    pywts.export(save(tmp_path / "t.pt", traced), tmp_path / "t.wts")
    expected = {"w": MODEL["w"], **{f"child.{name}": value for name, value in OTHER.items()}}
    assert (tmp_path / "t.wts").read_bytes() == reference_wts(expected)


@pytest.mark.parametrize("state", [{}, ("packed", 1)], ids=["tables", "tuple"])
def test_quantized_layer_is_never_left_out_in_silence(state: Any, tmp_path: Path) -> None:
    packed = module("torch.ao.nn.quantized.modules.linear.LinearPackedParams")
    if state:
        packed.attributes = state
    whole = module(parameters={"w": tensor(MODEL["w"])}, modules={"fc": module(modules={"_packed_params": packed})})
    with pytest.raises(
        pywts.SelectionError, match=r"fc\._packed_params is a quantized layer .*before it was quantized"
    ):
        pywts.export(save(tmp_path / "q.pt", whole))


@pytest.mark.parametrize("size", [5056, 16])
def test_states_of_random_number_generators_are_no_weights(size: int, export: EXPORT) -> None:
    state = numpy.zeros(size, numpy.uint8)
    for content in ({"python": (3, 1), "cpu": state}, {"cpu": state, "cuda": state}):
        with pytest.raises(pywts.NoWeightsError, match="holds no weights; its keys are: "):
            export(content)
    assert export({"cpu": state, "w": numpy.ones(2, numpy.float32)})[0].tensors == 2


def test_sixteen_bytes_are_weights_unless_their_name_is_a_generators(export: EXPORT) -> None:
    weights = {"table": numpy.arange(16, dtype=numpy.uint8)}
    assert export({"state_dict": weights, "epoch": 1})[1] == reference_wts(weights)
    assert export(weights)[1] == reference_wts(weights)


def test_extra_state_of_a_module_is_no_second_set_of_weights(export: EXPORT) -> None:
    done, text = export({**MODEL, "layer._extra_state": {"scale": numpy.ones(3, numpy.float32)}})
    assert text == reference_wts(MODEL)
    assert "layer._extra_state" in done.warnings[0]


@pytest.mark.parametrize(("root", "what"), [(MODEL["w"], "a single tensor"), ([MODEL["w"]], "a list of tensors")])
def test_tensors_without_names_are_told_so(root: Any, what: str, tmp_path: Path) -> None:
    with pytest.raises(pywts.NoWeightsError, match=f"no weights with names: it is {what}; save a dict"):
        pywts.export(save(tmp_path / "m.pt", stored(root)))


FOUR = Storage("float32", bytes(range(16)))


@pytest.mark.parametrize(
    "odd",
    [
        view(FOUR, (2, 2), (1, 2)),
        view(FOUR, (), (), 3),
        view(FOUR, (0, 7), (7, 1), 900),
        view(FOUR, (3, 4), (0, 1)),
        view(FOUR, (1 << 21,), (0,)),
        view(FOUR, (5,), (1,)),
        view(FOUR, (2,), (1,), 3),
        view(FOUR, (1 << 40, 1 << 40), (1, 1)),
        view(FOUR, (1,) * 65, (1,) * 65),
        view(FOUR, (2,), (1, 1)),
        view(Storage("uint16", b"abcd"), (2,), (1,)),
        view(Storage("int64", b"abcdefgh"), (1,), (1,)),
        view(Storage("bool", b"\0\1"), (2,), (1,)),
        view(Storage("float16", b""), (0,), (1,)),
        None,
        "text",
        {"w": view(FOUR, (1,), (1,))},
    ],
    ids=lambda odd: (
        f"{odd.storage.dtype}{odd.shape[:3]}{odd.strides[:3]}" if isinstance(odd, Tensor) else repr(odd)[:6]
    ),
)
def test_usual_tensors_are_read_as_all_others_are(odd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core describes tensors in the form that torch writes; what it tells is what the careful way tells."""

    def outcome() -> object:
        try:
            pywts.export(path, tmp_path / "m.wts", overwrite=True)
        except pywts.Error as error:
            return str(error)
        return pywts.plan(path), (tmp_path / "m.wts").read_bytes()

    names = {"a": view(FOUR, (4,), (1,)), "odd": odd, "b": view(FOUR, (3,), (1,), 1), 7: tensor(MODEL["b"])}
    path = save(tmp_path / "m.pt", names)
    found = outcome()
    monkeypatch.setattr(PickledCheckpoint, "usual_tensors", lambda *_: [])
    assert outcome() == found


@pytest.mark.parametrize("root", ["archive", "Gewichte-größer", "重み", "tab\there"])
def test_tensors_of_an_archive_of_any_name_are_described_by_the_core(root: str, tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {**stored(MODEL), "p": Parameter(tensor(MODEL["b"]))}, archive_root=root)
    with contextlib.closing(open_checkpoint(path, pywts.Limits())) as checkpoint:
        names, values = zip(*checkpoint.root.mapping.items(), strict=True)
        assert [found.name for found in checkpoint.usual_tensors([*names], [*values], 0)] == ["w", "b", "p"]
        assert "\t" not in checkpoint.usual_tensors([*names], [*values], 0)[0].storage.label


def test_module_used_twice_is_written_twice(tmp_path: Path) -> None:
    shared = module(parameters={"w": tensor(MODEL["w"])})
    path = save(tmp_path / "m.pt", module(modules={"a": shared, "b": shared}))
    pywts.export(path, tmp_path / "m.wts")
    assert (tmp_path / "m.wts").read_bytes() == reference_wts({"a.w": MODEL["w"], "b.w": MODEL["w"]})


def test_module_that_contains_itself_is_an_error(tmp_path: Path) -> None:
    loop = module(parameters={"w": tensor(MODEL["w"])})
    loop.attributes["_modules"]["again"] = loop
    with pytest.raises(pywts.CheckpointError, match="contains itself"):
        pywts.export(save(tmp_path / "m.pt", loop), tmp_path / "m.wts")


def test_depth_of_modules_is_bounded(tmp_path: Path) -> None:
    deep = module(parameters={"w": tensor(MODEL["w"])})
    for _ in range(60):
        deep = module(modules={"m": deep})
    path = save(tmp_path / "m.pt", deep)
    assert pywts.export(path, tmp_path / "m.wts").tensors == 1
    with pytest.raises(pywts.LimitError, match="modules nest deeper than the limit of 50"):
        pywts.export(path, tmp_path / "m.wts", limits=pywts.Limits(depth=50))
    with pytest.raises(pywts.LimitError, match="more than 20 modules and tensors"):
        pywts.export(path, tmp_path / "m.wts", limits=pywts.Limits(tensors=20))


def test_parameter_that_is_no_tensor_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", module(modules={"head": module(parameters={"w": "text"})}))
    with pytest.raises(pywts.SelectionError, match=r"head\.w should be a tensor and is"):
        pywts.export(path, tmp_path / "m.wts")


def test_hooks_that_only_the_class_can_run_are_said(tmp_path: Path) -> None:
    hooked = module(parameters={"w": tensor(MODEL["w"])}, _state_dict_hooks={1: "hook"})
    exported = pywts.export(save(tmp_path / "m.pt", module(modules={"head": hooked})), tmp_path / "m.wts")
    assert any("head has state_dict hooks" in warning for warning in exported.warnings)


# ------------------------------------------------------------------------------------------- what looks like weights

SCALAR = numpy.array(1.0, numpy.float32)


@pytest.mark.parametrize(
    "content",
    [
        {"loss": SCALAR, "epoch": 3},
        {"loss": SCALAR, "optimizer": {"state": {0: {"exp_avg": MODEL["w"]}}, "param_groups": []}},
        {0: {"step": SCALAR, "exp_avg": MODEL["w"], "exp_avg_sq": MODEL["w"]}},
        {"adam": {0: {"step": SCALAR, "exp_avg": MODEL["w"]}}},
    ],
)
def test_metrics_and_moments_are_no_weights(content: Any, export: EXPORT) -> None:
    with pytest.raises(pywts.SelectionError, match="holds no weights"):
        export(content)


@pytest.mark.parametrize(
    ("content", "choices"),
    [
        ({"model": {"backbone": MODEL, "head": OTHER, **MODEL}}, ["model", "model.backbone", "model.head"]),
        ({"model": {"state_dict": MODEL, "classifier": OTHER}}, ["model.state_dict", "model.classifier"]),
        ({"ema": {"decay": 0.9, "shadow": EMA}, "model": MODEL}, ["ema.shadow", "model"]),
        ({"models": [MODEL, OTHER]}, ["models.0", "models.1"]),
    ],
)
def test_weights_beside_the_taken_ones_are_never_dropped_in_silence(
    content: Any, choices: list[str], export: EXPORT
) -> None:
    with pytest.raises(pywts.SelectionError, match="holds several sets of weights; say which") as caught:
        export(content)
    for choice in choices:
        assert f"--key {choice} " in str(caught.value)


def test_layouts_of_the_field(export: EXPORT) -> None:
    optimizer = {"state": {0: {"exp_avg": MODEL["w"]}}, "param_groups": []}
    layouts = {
        "lightning": {
            "pytorch-lightning_version": "2.0",
            "state_dict": MODEL,
            "callbacks": {"best": {"score": SCALAR}},
            "optimizer_states": [optimizer],
            "hyper_parameters": {"lr": 0.1},
        },
        "mmengine": {"meta": {"epoch": 1}, "state_dict": MODEL, "message_hub": {"log": OTHER}, "optimizer": optimizer},
        "detectron2": {"model": MODEL, "optimizer": optimizer, "iteration": 3, "__author__": "someone"},
        "hugging face": MODEL,
        "a metric beside": {"best_acc": SCALAR, "weights": MODEL},
        "a list of one": {"model": [MODEL]},
    }
    for name, content in layouts.items():
        assert export(content)[1] == reference_wts(MODEL), name
    timm = export({"epoch": 1, "state_dict": MODEL, "state_dict_ema": EMA, "metric": 1.0})
    assert timm[1] == reference_wts(EMA)


def test_other_weights_beside_the_taken_ones_are_named(export: EXPORT) -> None:
    exported, text = export({"netG": MODEL, "netD": OTHER})
    assert text == reference_wts(MODEL)
    assert "also there: netD" in exported.why
    exported, text = export({"model": {"ema": EMA, "model": MODEL}})
    assert text == reference_wts(EMA)
    assert exported.why.startswith("model.ema, ")
