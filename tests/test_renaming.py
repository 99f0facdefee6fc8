"""The options that select, rename and round tensors, one by one and together."""

from __future__ import annotations

import io
from typing import Any

import numpy
import pytest
from processes import run
from reference import reference_wts

import pywts

SOURCE = {
    "module.conv.weight": numpy.array([[1.0, 2.0], [3.0, 4.1]], "float32"),
    "module.conv.bias": numpy.array([0.1, -0.2], "float32"),
    "module.bn.num_batches_tracked": numpy.array(70_001, "int64"),
    "module.head.weight": numpy.array([5.5], "float64"),
}
JUNK = {"total_ops": numpy.zeros(1), "module.total_params": numpy.ones(1), "module.total_ops": numpy.ones(1)}


def written(source: Any = SOURCE, **options: Any) -> tuple[bytes, pywts.Exported]:
    """What an export writes, and what it says."""
    stream = io.BytesIO()
    exported = pywts.export(source, stream, **options)
    return stream.getvalue(), exported


def names(source: Any = SOURCE, **options: Any) -> list[str]:
    """The names that are written."""
    return [line.split(b" ")[0].decode() for line in written(source, **options)[0].split(b"\n")[1:-1]]


def test_strip_prefix_takes_it_off_where_it_is() -> None:
    assert names(strip_prefix="module.") == [name[7:] for name in SOURCE]
    assert names(strip_prefix="module.c")[:2] == ["onv.weight", "onv.bias"]
    assert names(strip_prefix="module.c")[2:] == list(SOURCE)[2:]
    unused = written(strip_prefix="model.")[1]
    assert any("--strip-prefix model.: no name begins with it" in warning for warning in unused.warnings)


@pytest.mark.parametrize(
    ("rename", "expected"),
    [
        ([(r"^module\.", "")], ["conv.weight", "conv.bias", "bn.num_batches_tracked", "head.weight"]),
        (("module=m", r"m\.conv=c"), ["c.weight", "c.bias", "m.bn.num_batches_tracked", "m.head.weight"]),
        (r"^module\.(\w+)\.weight$=\1.w", ["conv.w", "module.conv.bias", "module.bn.num_batches_tracked", "head.w"]),
        (r"(?=weight)=the_", ["module.conv.the_weight", *list(SOURCE)[1:3], "module.head.the_weight"]),
        ([("conv", "a=b")], ["module.a=b.weight", "module.a=b.bias", *list(SOURCE)[2:]]),
    ],
)
def test_renames_go_in_order(rename: Any, expected: list[str]) -> None:
    text, exported = written(rename=rename)
    assert text == reference_wts(list(zip(expected, SOURCE.values(), strict=True)))
    assert not any("--rename" in warning for warning in exported.warnings)


def test_a_rename_that_changes_nothing_is_said() -> None:
    exported = written(rename=["x=y"])[1]
    assert any("--rename x=y: changes no name" in warning for warning in exported.warnings)


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (["(=x"], "no regular expression: missing \\)"),
        ([("a", r"\2")], "no regular expression: invalid group reference"),
        ([("a", "\\")], "no regular expression: bad escape"),
        (["abc"], "'abc' is no REGEX=TEXT"),
        (["=abc"], "'=abc' is no REGEX=TEXT"),
        ([("a", "b", "c")], "neither a pair"),
        ([("a", 1)], "neither a pair"),
        ([3], "neither a pair"),
    ],
)
def test_a_rename_that_is_none_is_explained(rename: Any, message: str) -> None:
    with pytest.raises(pywts.OptionError, match=message):
        written(rename=rename)


def test_renames_that_collide_are_an_error() -> None:
    with pytest.raises(pywts.TensorError, match="two tensors have the name x"):
        written(rename=[(".*weight", "x")])
    with pytest.raises(pywts.TensorError, match="empty name"):
        written(rename=[(".*bias", "")])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*.conv.*"]}, [0, 1]),
        ({"include": "*.conv.*"}, [0, 1]),
        ({"include": ["*head*", "*.conv.weight"]}, [0, 3]),
        ({"exclude": ["*.weight"]}, [1, 2]),
        ({"exclude": ("*.weight", "*.bias")}, [2]),
        ({"include": ["module.*"], "exclude": ["*tracked", "module.[h]ead.weight"]}, [0, 1]),
        ({"include": ["module.conv.weight"]}, [0]),
    ],
)
def test_globs_select(options: dict[str, Any], expected: list[int]) -> None:
    assert names(**options) == [list(SOURCE)[place] for place in expected]


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_glob_that_matches_nothing_names_near_names(option: str) -> None:
    with pytest.raises(pywts.SelectionError, match=rf"--{option} module\.conv\.wieght .*module\.conv\.weight"):
        written(**{option: ["module.conv.*", "module.conv.wieght"]})
    with pytest.raises(pywts.SelectionError, match=r"MODULE.* matches no tensor; there is module\."):
        written(**{option: ["MODULE.*"]})  # capitals count
    with pytest.raises(pywts.OptionError, match="takes globs, not a int"):
        written(**{option: [1]})


def test_what_is_excluded_need_not_be_exportable() -> None:
    source = {**SOURCE, "spectrum": numpy.zeros(3, "complex64")}
    with pytest.raises(pywts.TensorError, match="or --exclude it"):
        written(source)
    assert names(source, exclude=["spectrum"]) == list(SOURCE)


def test_junk_is_written_and_said_or_dropped() -> None:
    source = {**SOURCE, **JUNK, "module.my_total_ops": numpy.ones(1)}
    text, exported = written(source)
    assert text == reference_wts(source)
    assert any("3 counters of thop" in warning and "--drop-junk" in warning for warning in exported.warnings)
    text, exported = written(source, drop_junk=True)
    assert text == reference_wts({name: value for name, value in source.items() if name not in JUNK})
    assert not any("thop" in warning for warning in exported.warnings)


def test_a_prefix_on_every_name_is_hinted_at() -> None:
    assert any("--strip-prefix module. takes it off" in warning for warning in written()[1].warnings)
    assert written(strip_prefix="module.")[1].warnings == ()
    assert written({**SOURCE, "other": numpy.ones(1)})[1].warnings == ()
    compiled = {f"_orig_mod.{name}": value for name, value in SOURCE.items()}
    assert any("torch.compile" in warning for warning in written(compiled)[1].warnings)


def test_half_rounds_floats_and_leaves_integers() -> None:
    text, _ = written(half=True)
    rounded = {name: value.astype("float16") if value.dtype.kind == "f" else value for name, value in SOURCE.items()}
    assert text == reference_wts(rounded)
    assert text != reference_wts(SOURCE)


def test_half_rounds_what_a_recipe_computed() -> None:
    third = numpy.array([1 / 3], "float32")
    text, _ = written({"a": third}, recipe=lambda weights: {"a": weights.array("a") * 3}, half=True)
    assert text == reference_wts({"a": (third * numpy.float32(3)).astype("float16")})


def test_all_together_in_their_order() -> None:
    options: dict[str, Any] = {
        "recipe": lambda weights: [*weights.items(), ("module.extra.weight", numpy.ones(1, "float32"))],
        "drop_junk": True,
        "include": ["module.*"],
        "exclude": ["*.bn.*"],
        "strip_prefix": "module.",
        "rename": [("^extra", "added"), ("^added", "new")],
        "half": True,
        "dialect": "single",
    }
    source = {**SOURCE, **JUNK}
    expected = ["conv.weight", "conv.bias", "head.weight", "new.weight"]
    assert names(source, **options) == expected
    planned = pywts.plan(source, **options)
    assert [tensor.name for tensor in planned.tensors] == expected
    assert planned.dialect == "single"


def test_the_source_keeps_its_names_and_values() -> None:
    from pywts.checkpoint.live import LiveCheckpoint
    from pywts.limits import DEFAULT_LIMITS

    tensor = LiveCheckpoint({}, DEFAULT_LIMITS).tensor(SOURCE["module.conv.bias"], "before")
    written({"x": tensor}, rename=[("x", "y")], half=True)
    assert isinstance(tensor, pywts.tensor.Tensor)
    assert (tensor.name, tensor.half) == ("before", False)


def test_the_command_line_has_every_option(tmp_path: Any) -> None:
    path = tmp_path / "a.npz"
    numpy.savez(path, **{name.replace("module.", ""): value for name, value in {**SOURCE, **JUNK}.items()})
    done = run(
        "export", path, "-o", tmp_path / "a.wts", "--drop-junk", "--include", "*.weight", "--include", "conv.*",
        "--exclude", "head.*", "--strip-prefix", "conv.", "--rename", "weight=w", "--rename", "^=c_", "--half",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    weight, bias = SOURCE["module.conv.weight"], SOURCE["module.conv.bias"]
    expected = reference_wts({"c_w": weight.astype("float16"), "c_bias": bias.astype("float16")})
    assert (tmp_path / "a.wts").read_bytes() == expected
    assert run("export", path, "--rename", "(=").returncode == 2
    assert run("export", path, "--include", "nothing").returncode == 1
