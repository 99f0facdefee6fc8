"""Recipes on records made by hand: what each writes, what is recognised, what is only suggested. Without torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pytest
from checkpoints import module, save, tensor
from processes import python, run
from reference import reference_wts

import pywts
from pywts.families import detectron2, lenet, tsm

GENERATOR = numpy.random.default_rng(7)


def values(*shape: int, dtype: str = "float32") -> numpy.ndarray:
    """Some values that every dtype below holds exactly."""
    return GENERATOR.integers(-64, 64, shape).astype(dtype) / numpy.array(8, dtype)


def written(source: Any, **options: Any) -> tuple[bytes, pywts.Exported]:
    """What an export writes, and what it says."""
    stream = io.BytesIO()
    exported = pywts.export(source, stream, **options)
    return stream.getvalue(), exported


def names_of(text: bytes) -> list[str]:
    """The names in a .wts, in order."""
    return [line.split(b" ")[0].decode() for line in text.split(b"\n")[1:-1]]


ANCHORS = (numpy.arange(1, 13, dtype="float16") * numpy.float16(1.37)).reshape(2, 3, 2)
STRIDE = numpy.array([8, 16], "float16")
GRID = ANCHORS.astype("float32") * STRIDE.astype("float32")[:, None, None]
CONV, HEAD, PROTO = values(4, 3, 1, 1, dtype="float16"), values(6, 4, 1, 1, dtype="float16"), values(2)


def model(head: Any, qualified_name: str = "models.yolo.DetectionModel", **attributes: Any) -> Any:
    """Two layers, the second of them the head."""
    first = module("models.common.Conv", {"weight": tensor(CONV)})
    layers = module("torch.nn.modules.container.Sequential", modules={"0": first, "1": head})
    return module(qualified_name, modules={"model": layers}, **attributes)


def children(name: str = "m") -> dict[str, Any]:
    """What stands below a head."""
    return {name: module("torch.nn.modules.container.ModuleList", {"weight": tensor(HEAD)})}


def yolov5_head(name: str = "Detect", **attributes: Any) -> Any:
    """The head of yolov5 since v6.0."""
    return module(
        f"models.yolo.{name}",
        buffers={"anchors": tensor(ANCHORS)},
        modules=children(),
        **{"anchor_grid": [tensor(values(1)), tensor(values(1))], "stride": tensor(STRIDE), **attributes},
    )


def yolov7_head(name: str = "IDetect", buffers: tuple[str, ...] = ("anchors", "anchor_grid"), **more: Any) -> Any:
    """The head of yolov7, and of yolov5 up to v5.0."""
    stored = {"anchors": ANCHORS, "anchor_grid": values(2, 1, 3, 1, 1, 2)}
    return module(
        f"models.yolo.{name}",
        buffers={name: tensor(stored[name]) for name in buffers},
        modules=more.pop("modules", children()),
        stride=tensor(STRIDE.astype("float32")),
        **more,
    )


def yolov9_head(name: str = "DDetect", **attributes: Any) -> Any:
    """The head of yolov9."""
    inside = {**children("cv2"), "dfl": module("models.common.DFL")}
    return module(f"models.yolo.{name}", modules=inside, stride=tensor(STRIDE), **attributes)


# ------------------------------------------------------------------------------------------------------------ yolov5


@pytest.mark.parametrize(("head", "task"), [("Detect", "detect"), ("Segment", "segment")])
def test_yolov5_gets_anchor_grid_and_strides(tmp_path: Path, head: str, task: str) -> None:
    path = save(tmp_path / "v5.pt", {"model": model(yolov5_head(head)), "ema": None})
    text, exported = written(path)
    assert text == reference_wts(
        {
            "model.0.weight": CONV,
            "model.1.anchors": ANCHORS,
            "model.1.anchor_grid": GRID,
            "model.1.strides": STRIDE,
            "model.1.m.weight": HEAD,
        }
    )
    assert (exported.recipe, exported.dialect) == ("yolov5", "double")
    assert exported.notes == (f"yolov5 {task}: anchor_grid and strides added",)
    assert exported.warnings == ()
    assert written(path, recipe=exported.recipe)[0] == text


def test_yolov5_in_a_wrapper_keeps_its_prefix(tmp_path: Path) -> None:
    wrapped = module("torch.nn.parallel.data_parallel.DataParallel", modules={"module": model(yolov5_head())})
    path = save(tmp_path / "v5.pt", {"model": wrapped})
    text, exported = written(path)
    assert names_of(text)[1:4] == [f"module.model.1.{name}" for name in ("anchors", "anchor_grid", "strides")]
    assert any("--strip-prefix module." in warning for warning in exported.warnings)
    assert names_of(written(path, strip_prefix="module.")[0])[0] == "model.0.weight"


def test_yolov5_script_on_an_early_head_adds_strides(tmp_path: Path) -> None:
    path = save(tmp_path / "v4.pt", {"model": model(yolov7_head("Detect"), "models.yolo.Model")})
    text, _ = written(path, recipe="yolov5")
    assert names_of(text)[1:4] == [f"model.1.{name}" for name in ("anchors", "anchor_grid", "strides")]


def test_a_classifier_needs_nothing(tmp_path: Path) -> None:
    head = module("models.common.Classify", modules=children("linear"))
    path = save(tmp_path / "cls.pt", {"model": model(head, "models.yolo.ClassificationModel")})
    text, exported = written(path)
    assert exported.recipe == "none"
    for recipe in ("yolov5", "yolov9"):
        again, asked = written(path, recipe=recipe)
        assert again == text
        assert asked.notes == (f"{recipe} classify: nothing to add",)


def test_v5u_is_explained(tmp_path: Path) -> None:
    head = module("ultralytics.nn.modules.head.Detect", modules=children("cv2"), stride=tensor(STRIDE), anchors=None)
    name = "ultralytics.nn.tasks.DetectionModel"
    path = save(tmp_path / "v5u.pt", {"model": model(head, name, yaml={"yaml_file": "yolov5n.yaml"})})
    text, exported = written(path)
    assert text == reference_wts({"model.0.weight": CONV, "model.1.cv2.weight": HEAD})
    assert exported.recipe == "none"
    assert "anchor-free v5u" in exported.notes[0]
    again, asked = written(path, recipe="yolov5")
    assert again == text
    assert "v5u" in asked.warnings[0]


def test_yolov5_of_a_state_dict_needs_strides() -> None:
    source = {"model.0.weight": CONV, "model.1.anchors": ANCHORS, "model.1.m.0.weight": HEAD}
    assert written(source)[0] == reference_wts(source)
    with pytest.raises(pywts.SelectionError, match=r"strides.*yolov5:stride=8/16/32"):
        written(source, recipe="yolov5")
    text, _ = written(source, recipe="yolov5:stride=8/16")
    added = {"model.1.anchor_grid": GRID, "model.1.strides": STRIDE}
    assert text == reference_wts([*list(source.items())[:2], *added.items(), *list(source.items())[2:]])
    with pytest.raises(pywts.SelectionError, match="3 strides do not fit"):
        written(source, recipe="yolov5:stride=8/16/32")


def test_yolov5_asked_for_what_has_no_anchors(tmp_path: Path) -> None:
    with pytest.raises(pywts.SelectionError, match="needs a head with the buffer anchors"):
        written({"a": CONV}, recipe="yolov5")
    path = save(tmp_path / "other.pt", module("mine.Net", {"weight": tensor(CONV)}))
    with pytest.raises(pywts.SelectionError, match=r"this is a mine\.Net"):
        written(path, recipe="yolov5")


@pytest.mark.parametrize(
    "change",
    [
        {"stride": None},
        {"stride": tensor(values(3))},
        {"anchor_grid": None},
    ],
)
def test_a_head_that_is_not_quite_yolov5s_is_left_alone(tmp_path: Path, change: dict[str, Any]) -> None:
    path = save(tmp_path / "no.pt", {"model": model(yolov5_head(**change))})
    text, exported = written(path)
    assert exported.recipe == "none"
    assert names_of(text) == ["model.0.weight", "model.1.anchors", "model.1.m.weight"]


# ------------------------------------------------------------------------------------------------------------ yolov7


@pytest.mark.parametrize("buffers", [("anchors", "anchor_grid"), ("anchor_grid", "anchors")])
def test_yolov7_computes_anchor_grid_anew(tmp_path: Path, buffers: tuple[str, ...]) -> None:
    path = save(tmp_path / "v7.pt", {"model": model(yolov7_head(buffers=buffers), "models.yolo.Model")})
    text, exported = written(path)
    assert text == reference_wts(
        {
            "model.0.weight": CONV,
            "model.1.anchors": ANCHORS,
            "model.1.anchor_grid": GRID,
            "model.1.m.weight": HEAD,
        }
    )
    assert exported.recipe == "yolov7"
    assert "anchor_grid computed anew" in exported.notes[0]


def implicit_head() -> tuple[Any, dict[str, numpy.ndarray]]:
    """A head of one convolution between implicit layers, and its tensors."""
    held = {
        "m.0.weight": GENERATOR.normal(size=(5, 7, 1, 1)).astype("float32"),
        "m.0.bias": GENERATOR.normal(size=5).astype("float32"),
        "ia.0.implicit": GENERATOR.normal(size=(1, 7, 1, 1)).astype("float32"),
        "im.0.implicit": GENERATOR.normal(size=(1, 5, 1, 1)).astype("float32"),
    }
    modules = {}
    for place in ("m", "ia", "im"):
        own = {name.split(".")[2]: tensor(array) for name, array in held.items() if name.startswith(f"{place}.")}
        inner = module("models.common.Implicit", own)
        modules[place] = module("torch.nn.modules.container.ModuleList", modules={"0": inner})
    return yolov7_head(modules=modules), held


def test_yolov7_keeps_implicit_layers_and_says_so(tmp_path: Path) -> None:
    head, held = implicit_head()
    text, exported = written(save(tmp_path / "v7.pt", {"model": model(head)}))
    assert names_of(text)[3:] == [f"model.1.{name}" for name in held]
    assert "--recipe yolov7-fused" in exported.notes[1]


def test_yolov7_that_was_fused_is_not_folded_twice(tmp_path: Path) -> None:
    head, held = implicit_head()
    head.attributes["forward"] = "a bound method: fuseforward"
    path = save(tmp_path / "v7.pt", {"model": model(head)})
    text, exported = written(path, recipe="yolov7-fused")
    assert names_of(text)[3:] == ["model.1.m.0.weight", "model.1.m.0.bias"]
    assert reference_wts({"x": held["m.0.weight"]}).split(b"  ")[1] in text + b"\n"
    assert "already" in exported.notes[1]
    assert "already" in written(path)[1].notes[1]


def test_yolov7_fused_folds_implicit_layers(tmp_path: Path) -> None:
    head, held = implicit_head()
    path = save(tmp_path / "v7.pt", {"model": model(head)})
    text, exported = written(path, recipe="yolov7-fused")
    weight, bias, before, after = (array.astype("float64") for array in held.values())
    folded = after.reshape(5, 1, 1, 1) * weight
    shifted = (bias + weight.reshape(5, 7) @ before.ravel()) * after.ravel()
    assert text == reference_wts(
        {
            "model.0.weight": CONV,
            "model.1.anchors": ANCHORS,
            "model.1.anchor_grid": GRID,
            "model.1.m.0.weight": folded.astype("float32"),
            "model.1.m.0.bias": shifted.astype("float32"),
        }
    )
    assert exported.recipe == "yolov7-fused"
    bare = written(held, recipe="yolov7-fused")[0]
    assert names_of(bare) == ["m.0.weight", "m.0.bias"]
    with pytest.raises(pywts.SelectionError, match=r"there are none; --recipe yolov7"):
        written({"a": CONV}, recipe="yolov7-fused")


# ------------------------------------------------------------------------------------------------------------ yolov9


def test_yolov9_that_never_ran_gets_an_empty_grid(tmp_path: Path) -> None:
    for attributes in ({}, {"anchors": tensor(values(0))}):
        path = save(tmp_path / "v9.pt", {"model": model(yolov9_head(**attributes))})
        text, exported = written(path)
        assert b"\nmodel.1.anchor_grid 0 \nmodel.1.cv2.weight 24  " in text
        assert exported.notes == ("yolov9 detect: anchor_grid added (empty, the model never ran)",)


def test_yolov9_that_ran_gets_its_cached_grid(tmp_path: Path) -> None:
    cached = tensor(values(5, 2, dtype="float16"))
    cached.shape, cached.strides = (2, 5), (1, 2)  # transposed, as the head caches it
    path = save(tmp_path / "v9.pt", {"model": model(yolov9_head("DSegment", anchors=cached))})
    text, exported = written(path)
    array = numpy.frombuffer(cached.storage.data, "float16").reshape(5, 2).T.astype("float32")
    grid = array * STRIDE.astype("float32")[:, None, None]
    assert text == reference_wts({"model.0.weight": CONV, "model.1.anchor_grid": grid, "model.1.cv2.weight": HEAD})
    assert exported.notes == ("yolov9 segment: anchor_grid added (20 values)",)


def test_yolov9_of_a_state_dict_is_refused() -> None:
    with pytest.raises(pywts.SelectionError, match="needs a whole model of yolov9's repository"):
        written({"a": CONV}, recipe="yolov9")


def test_a_hostile_grid_costs_no_memory(tmp_path: Path) -> None:
    cached = tensor(values(1))
    cached.shape, cached.strides = (1, 1 << 20, 8), (0, 0, 0)
    path = save(tmp_path / "v9.pt", {"model": model(yolov9_head(anchors=cached))})
    with pytest.raises(pywts.LimitError, match=r"anchors"):
        written(path)


# ------------------------------------------------------------------------------------------- families by their names


def test_lenet_is_its_ten_names() -> None:
    source = {name: values(2, 2) for name in reversed(lenet.NAMES)}
    text, exported = written({"state_dict": source})
    expected = [f"{layer}.{leaf}" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3") for leaf in ("weight", "bias")]
    assert text == reference_wts({lenet.NAMES[old]: source[old] for old in lenet.NAMES})
    assert names_of(text) == expected
    assert exported.recipe == "lenet"
    other = {**source, "layer3.weight": CONV}
    assert written(other)[1].recipe == "none"
    assert names_of(written(other, recipe="lenet")[0]) == [*expected, "layer3.weight"]
    del source["layer1.0.bias"]
    assert written(source)[1].recipe == "none"
    with pytest.raises(pywts.SelectionError, match=r"needs the tensor layer1\.0\.bias"):
        written(source, recipe="lenet")


def test_detr_splits_every_in_proj_where_it_stands() -> None:
    weight, bias = values(7, 4).T[:, ::2], values(6)
    source = {
        "a": CONV,
        "x.in_proj_weight": values(6, 3),
        "x.in_proj_bias": bias,
        "odd.in_proj": values(7),
        "z": weight,
    }
    text, exported = written(source, recipe="detr")
    expected: list[tuple[str, numpy.ndarray]] = []
    for name, array in source.items():
        third = len(array) // 3
        parts = {"_q": array[:third], "_k": array[third : 2 * third], "_v": array[2 * third :]}
        expected += [(name + part, rows) for part, rows in parts.items()] if "in_proj" in name else [(name, array)]
    assert text == reference_wts(expected)
    assert exported.notes == ("detr: 3 tensors split into query, key and value",)


def test_tsm_renames_and_drops_counters() -> None:
    names = {
        "module.base_model.conv1.weight": "conv1.weight",
        "module.base_model.layer1.0.conv1.net.weight": "layer1.0.conv1.weight",
        "module.new_fc.weight": "fc.weight",
        "backbone.layer2.0.conv1.conv.net.weight": "layer2.0.conv1.weight",
        "backbone.layer2.0.conv3.bn.bias": "layer2.0.bn3.bias",
        "backbone.layer2.0.downsample.conv.weight": "layer2.0.downsample.0.weight",
        "backbone.layer2.0.downsample.bn.weight": "layer2.0.downsample.1.weight",
        "backbone.conv1.bn.running_mean": "bn1.running_mean",
        "cls_head.fc_cls.bias": "fc.bias",
    }
    source = {name: values(2) for name in names}
    counted = {**source, "backbone.conv1.bn.num_batches_tracked": numpy.array(3)}
    text, exported = written(counted, recipe="tsm")
    assert text == reference_wts({names[name]: array for name, array in source.items()}, "single")
    assert exported.dialect == "single"
    assert written(counted, recipe="tsm", dialect="double")[1].dialect == "double"
    assert len(tsm.REPLACEMENTS) == 12


def test_hrnet_takes_the_prefix_off_and_says_what_it_left_out() -> None:
    source = {"model.conv1.weight": CONV, "loss.criterion.weight": values(19), "model.bn1.bias": PROTO}
    text, exported = written(source, recipe="hrnet")
    assert text == reference_wts({"conv1.weight": CONV, "bn1.bias": PROTO})
    assert "loss.criterion.weight" in exported.notes[0]
    with pytest.raises(pywts.SelectionError, match="none begins with it"):
        written({"conv1.weight": CONV}, recipe="hrnet")


def normalized(rows: int, columns: int, bias: bool) -> dict[str, numpy.ndarray]:
    """A convolution and its normalization."""
    held = {"c.weight": GENERATOR.normal(size=(rows, columns, 3, 3)).astype("float32")}
    held["c.weight"].flat[::5] = -0.0
    if bias:
        held["c.bias"] = GENERATOR.normal(size=rows).astype("float32")
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        held[f"c.norm.{leaf}"] = GENERATOR.uniform(0.1, 2, rows).astype("float32")
    return {**held, "c.norm.num_batches_tracked": numpy.array(9)}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("eps", [1e-5, 0.25])
def test_detectron2_folds_normalizations(bias: bool, eps: float) -> None:
    held = normalized(4, 3, bias)
    gamma, beta, mean, variance = (held[f"c.norm.{leaf}"] for leaf in ("weight", "bias", "running_mean", "running_var"))
    scale = gamma / numpy.sqrt(numpy.float32(eps) + variance)
    weight = scale.reshape(4, 1, 1, 1) * held["c.weight"] + numpy.float32(0)
    shift = beta - gamma * mean / numpy.sqrt(variance + numpy.float32(eps))
    folded = scale * held.get("c.bias", numpy.zeros(4, "float32")) + numpy.float32(0) + shift
    assert weight.dtype == folded.dtype == numpy.float32
    name = "detectron2" if eps == detectron2.EPS else f"detectron2:eps={eps}"
    text, exported = written({"first.weight": CONV, **held, "last.bias": PROTO}, recipe=name)
    assert text == reference_wts({"first.weight": CONV, "c.weight": weight, "c.bias": folded, "last.bias": PROTO})
    assert b" 80000000" not in text.split(b"\n")[2]
    assert exported.recipe == name


def test_detectron2_leaves_what_it_cannot_fold() -> None:
    group = {"g.weight": CONV, "g.norm.weight": PROTO, "g.norm.bias": PROTO}
    alone = {f"block.norm.{leaf}": PROTO for leaf in ("weight", "bias", "running_mean", "running_var")}
    text, exported = written({**group, **alone, **normalized(2, 2, False)}, recipe="detectron2")
    assert names_of(text) == [*group, *alone, "c.weight", "c.bias"]
    assert "g.norm.weight" in exported.warnings[0]
    with pytest.raises(pywts.SelectionError, match="there is none"):
        written(group, recipe="detectron2")


def test_real_esrgan_is_its_dialect() -> None:
    source = {"params": {"conv_first.weight": values(2)}, "params_ema": {"conv_first.weight": CONV}}
    text, exported = written(source, recipe="real-esrgan")
    assert text == reference_wts(source["params_ema"], "single")
    assert (exported.weights, exported.dialect) == ("params_ema", "single")


# ------------------------------------------------------------------------------------------------------- suggestions

SUGGESTED = {
    "detr": [
        "transformer.encoder.layers.0.self_attn.in_proj_weight",
        "transformer.decoder.layers.0.multihead_attn.in_proj_weight",
        "class_embed.weight",
        "query_embed.weight",
    ],
    "tsm": ["backbone.layer1.0.conv1.conv.net.weight", "cls_head.fc_cls.weight"],
    "hrnet": ["model.stage4.0.fuse_layers.0.1.0.weight", "model.last_layer.0.weight", "loss.weight"],
    "detectron2": ["backbone.stem.conv1.norm.running_var", "roi_heads.box_predictor.cls_score.weight"],
    "real-esrgan": ["conv_first.weight", "body.0.rdb1.conv1.weight", "conv_last.weight"],
}


@pytest.mark.parametrize("recipe", SUGGESTED)
def test_names_suggest_and_change_nothing(recipe: str) -> None:
    source = {name: values(3) for name in SUGGESTED[recipe]}
    text, exported = written(source)
    assert text == reference_wts(source)
    assert exported.recipe == "none"
    assert len(exported.warnings) == 1
    assert f"--recipe {recipe} " in exported.warnings[0]
    assert written(source, recipe="none")[1].warnings == ()


def test_the_compact_network_of_real_esrgan_is_suggested() -> None:
    source = {}
    for layer in range(0, 9, 2):
        source[f"body.{layer}.weight"], source[f"body.{layer}.bias"] = values(2, 2, 3, 3), values(2)
        source[f"body.{layer + 1}.weight"] = values(2)
    assert "--half" in written(source)[1].warnings[0]
    assert written({**source, "tail.weight": CONV})[1].warnings == ()


@pytest.mark.parametrize(
    "names",
    [
        ["encoder.layers.0.self_attn.in_proj_weight", "encoder.layers.0.self_attn.in_proj_bias"],
        ["backbone.layer1.0.conv1.weight", "cls_head.fc_cls.weight"],
        ["model.24.anchors", "model.24.m.0.weight"],
        ["model.77.anchors", "model.77.anchor_grid", "model.77.ia.0.implicit"],
        ["model.0.conv.weight", "model.1.cv1.conv.weight"],
        ["layer1.0.weight", "layer1.0.bias"],
        ["body.0.weight", "body.0.bias"],
    ],
)
def test_a_name_alone_triggers_and_suggests_nothing(names: list[str]) -> None:
    source = {name: values(3) for name in names}
    text, exported = written(source)
    assert text == reference_wts(source)
    assert (exported.recipe, exported.notes, exported.warnings) == ("none", (), ())


# ------------------------------------------------------------------------------------------------- recipes of a user


def test_a_callable_gets_the_weights_and_may_return_pairs() -> None:
    def twice(weights: pywts.Weights) -> Any:
        assert list(weights) == ["a", "b"]
        assert weights["a"].shape == CONV.shape
        weights.notes.append("doubled")
        weights.warnings.append("look")
        yield "b.renamed", weights["b"]
        yield "a", weights.array("a") * 2
        yield "counted", numpy.arange(3)

    text, exported = written({"a": CONV, "b": PROTO}, recipe=twice)
    expected = {"b.renamed": PROTO, "a": CONV.astype("float32") * 2, "counted": numpy.arange(3)}
    assert text == reference_wts(expected)
    assert (exported.recipe, exported.notes, exported.warnings) == ("callable twice", ("doubled",), ("look",))


def test_a_callable_may_change_the_weights_and_return_them(tmp_path: Path) -> None:
    def without_head(weights: pywts.Weights) -> Any:
        head = weights.head
        assert head is not None
        assert (head.prefix, head.task, weights.class_name) == ("model.1.", "detect", "models.yolo.DetectionModel")
        assert (weights.attribute("scale"), weights.attribute("missing")) == ("n", None)
        assert head.array("stride").tolist() == [8, 16]
        for name in list(weights):
            if name.startswith(head.prefix):
                del weights[name]
        return weights

    path = save(tmp_path / "v5.pt", {"model": model(yolov5_head(), scale="n")})
    assert written(path, recipe=without_head)[0] == reference_wts({"model.0.weight": CONV})


def test_weights_that_outlive_their_recipe_read_no_other_file(tmp_path: Path) -> None:
    kept: list[pywts.Weights] = []

    def keeping(weights: pywts.Weights) -> pywts.Weights:
        kept.append(weights)
        return weights

    path = save(tmp_path / "m.pt", {"a": tensor(CONV)})
    written(path, recipe=keeping)
    with path.open("rb"), pytest.raises(pywts.OptionError, match=r"m\.pt: a: values can be read only while the recipe"):
        kept[0].array("a")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "returned None"),
        (3, "neither a mapping nor pairs"),
        ([("a",)], "a pair of name and tensor"),
        ([(1, CONV)], "a pair of name and tensor"),
        ({"a": "text"}, "returned a str for a"),
        ({"a": 1.5}, "returned a float for a"),
    ],
)
def test_what_a_callable_returns_is_checked(result: Any, message: str) -> None:
    with pytest.raises(pywts.OptionError, match=message):
        written({"a": CONV}, recipe=lambda _: result)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([("a", CONV), ("a", CONV)], "two tensors have the name a"),
        ({"a b": CONV}, "white space"),
        ({}, "holds no tensor"),
        ({"a": numpy.zeros(2, "complex64")}, "a complex array"),
    ],
)
def test_what_a_callable_returns_must_fit_a_wts(result: Any, message: str) -> None:
    with pytest.raises(pywts.TensorError, match=message):
        written({"a": CONV}, recipe=lambda _: result)


def test_a_missing_tensor_is_named_to_a_callable() -> None:
    with pytest.raises(pywts.TensorError, match=r"has no tensor layer\.wieght; there is layer\.weight"):
        written({"layer.weight": CONV}, recipe=lambda weights: {"x": weights.array("layer.wieght")})


# -------------------------------------------------------------------------------------------------- the table, tasks


def test_recipes_are_listed() -> None:
    known = {recipe.name: recipe for recipe in pywts.recipes()}
    assert {name for name, recipe in known.items() if recipe.detected} == {"yolov5", "yolov7", "yolov9", "lenet"}
    assert {name for name, recipe in known.items() if recipe.dialect == "single"} == {"tsm", "real-esrgan"}
    assert known["detectron2"].parameters == ("eps",)
    assert all(recipe.summary for recipe in known.values())
    listed = run("recipes")
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in known)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("yolo5", "no recipe 'yolo5'; did you mean yolov5?"),
        ("yolov8", "no recipe 'yolov8'; models of ultralytics need none; there are: auto, none, yolov5"),
        ("yolo11", "no recipe 'yolo11'; models of ultralytics need none; there are: "),
        ("qqqqqq", "no recipe 'qqqqqq'; there are: auto, none, yolov5"),
        ("detectron2:epsilon=1", r"no parameter 'epsilon=1'; it takes detectron2:eps=\.\.\."),
        ("detectron2:eps", "no parameter 'eps'"),
        ("detectron2:eps=tiny", "'tiny' is no number"),
        ("detectron2:eps=1/2", "is no number"),
        ("detr:x=1", "it takes none"),
        (3, "recipe is a int"),
    ],
)
def test_a_recipe_that_is_none_is_explained(recipe: Any, message: str) -> None:
    with pytest.raises(pywts.OptionError, match=message):
        written({"a": CONV}, recipe=recipe)


HEADS = {
    "models.yolo.Detect": "detect",
    "models.yolo.Segment": "segment",
    "models.yolo.DualDSegment": "segment",
    "models.yolo.IAuxDetect": "detect",
    "models.yolo.IKeypoint": "pose",
    "models.common.Classify": "classify",
    "ultralytics.nn.modules.head.Pose": "pose",
    "ultralytics.nn.modules.head.OBB26": "obb",
    "ultralytics.nn.modules.head.v10Detect": "detect",
    "ultralytics.nn.modules.head.RTDETRDecoder": "detect",
    "ultralytics.nn.modules.head.YOLOESegment": "segment",
}
WORDS = {
    "detect": "detect",
    "cls": "classify",
    "classify": "classify",
    "seg": "segment",
    "segment": "segment",
    "pose": "pose",
    "obb": "obb",
}


@pytest.mark.parametrize("head", HEADS)
def test_a_named_task_that_is_not_the_heads_is_explained(tmp_path: Path, head: str) -> None:
    path = save(tmp_path / "a.pt", {"model": model(module(head, modules=children()))})
    untold = written(path)[0]
    for word, task in WORDS.items():
        told, exported = written(path, task=word)
        assert told == untold
        explained = [warning for warning in exported.warnings if f"is for {HEADS[head]} " in warning]
        assert len(explained) == (task != HEADS[head])
        assert all(f"not for {task}" in warning and "say -t" in warning for warning in explained)


def test_a_task_that_cannot_be_checked_is_said() -> None:
    assert "not checked" in written({"a": CONV}, task="cls")[1].warnings[0]
    with pytest.raises(pywts.OptionError, match="'depth' is none of detect, cls"):
        written({"a": CONV}, task="depth")


def test_the_command_line_says_what_the_recipe_did(tmp_path: Path) -> None:
    path = save(tmp_path / "v5.pt", {"model": model(yolov5_head())})
    done = run("export", path)
    assert "note:    yolov5 detect: anchor_grid and strides added\n" in done.stdout
    planned = run("export", path, "--dry-run", "-t", "detect")
    assert "model.1.anchor_grid" in planned.stdout
    assert "yolov5 detect: anchor_grid and strides added" in planned.stdout
    wrong = run("export", path, "--type", "cls")
    assert wrong.returncode == 0
    assert "warning: the model is for detect" in wrong.stderr
    bare = run("export", path, "--recipe", "none", "-o", tmp_path / "bare.wts")
    assert bare.returncode == 0
    assert "note:" not in bare.stdout
    assert names_of((tmp_path / "bare.wts").read_bytes()) == ["model.0.weight", "model.1.anchors", "model.1.m.weight"]
    assert run("export", path, "--recipe", "no").returncode == 2


def test_plan_takes_recipes_too() -> None:
    planned = pywts.plan({name: values(2, 2) for name in lenet.NAMES})
    assert planned.recipe == "lenet"
    assert planned.tensors[0].name == "conv1.weight"


def test_an_ultralytics_model_costs_no_table_and_no_numpy(tmp_path: Path) -> None:
    head = module("ultralytics.nn.modules.head.Detect", modules=children("cv2"))
    path = save(tmp_path / "v8.pt", {"model": model(head, "ultralytics.nn.tasks.DetectionModel")})
    script = (
        "import sys; before = set(sys.modules); import pywts; pywts.export(sys.argv[1])\n"
        "loaded = set(sys.modules) - before\n"
        "print(sorted(loaded & {'numpy', 'torch', 're', 'fnmatch', 'pywts.families.recipes'}))"
    )
    done = python(script, path)
    assert done.stdout == "[]\n", done.stderr


def test_values_that_a_recipe_cannot_read_are_named(tmp_path: Path) -> None:
    head = yolov5_head()
    head.attributes["stride"] = tensor(numpy.array([8, 1e300]))
    with pytest.raises(pywts.TensorError, match=r"v5\.pt: model\.1\.stride, value 1: .* overflows float32"):
        written(save(tmp_path / "v5.pt", {"model": model(head)}))
    named = {"a.weight": numpy.full((1, 1), 1e300), **{f"a.norm.{leaf}": numpy.ones(1) for leaf in
             ("weight", "bias", "running_mean", "running_var")}}  # fmt: skip
    with pytest.raises(pywts.TensorError, match=r"a\.weight, value 0: .* overflows float32"):
        pywts.export(named, tmp_path / "a.wts", recipe="detectron2")


@pytest.mark.parametrize("multiple", [10**400, float("nan")], ids=["huge", "nan"])
def test_multiples_that_are_none_give_no_size(multiple: Any, tmp_path: Path) -> None:
    yaml = {
        "depth_multiple": multiple, "width_multiple": 0.5, "anchors": [1, 2, 3],
        "backbone": [[-1, 1, kind, []] for kind in ("Conv", "C3", "SPPF")],
    }  # fmt: skip
    path = save(tmp_path / "v5.pt", {"model": model(yolov5_head(), yaml=yaml)})
    exported = pywts.export(path)
    assert exported.next_step.endswith(".engine <size letter>")
