"""Views of every kind come out in C order, and what no .wts can hold is refused before a byte is written."""

from __future__ import annotations

from pathlib import Path

import checkpoints
import numpy
import pytest
from checkpoints import Storage, Tensor, save, tensor
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from reference import DTYPES, NUMPY_DTYPES, item_size, of_bytes, reference_values, reference_wts

import pywts


def exported(source: object, tmp_path: Path, **options: object) -> bytes:
    """What an export writes."""
    target = tmp_path / "out.wts"
    pywts.export(source, target, **options)
    return target.read_bytes()


# ------------------------------------------------------------------------------------------------------------ views

BASE = numpy.arange(2 * 3 * 4 * 5, dtype=numpy.float32).reshape(2, 3, 4, 5)

VIEWS = {
    "transposed": BASE.reshape(6, 20).T,
    "permuted to channels last": BASE.transpose(0, 2, 3, 1),
    "permuted 4-d": BASE.transpose(3, 1, 0, 2),
    "every other": BASE[:, ::2, 1::2],
    "one column": BASE[..., 3],
    "diagonal": numpy.diagonal(BASE[0, 0]),
    "expanded in front": numpy.broadcast_to(BASE[0, 0, 0], (7, 5)),
    "expanded behind": numpy.broadcast_to(BASE[0, 0, 0][:, None], (5, 6)),
    "expanded scalar": numpy.broadcast_to(numpy.float32(1.5), (3, 4)),
    "overlapping windows": as_strided(BASE, (10, 4), (8, 4)),
    "slice": BASE[1, 1:],
    "empty": BASE[:0],
    "empty in the middle": BASE[:, 3:, :],
    "scalar in a storage": BASE[1, 2, 3, 4:].reshape(()),
    "0-d": numpy.array(2.5, numpy.float32),
    "dimensions of one": BASE.reshape(1, 120, 1, 1),
    "fortran order": numpy.asfortranarray(BASE),
    "reversed": BASE[::-1],
    "reversed in all dimensions": BASE[::-1, ::-1, ::-1, ::-1],
    "reversed and every other": BASE[:, ::-2, :, ::-2],
    "reversed and transposed": BASE[::-1].T,
}


@pytest.mark.parametrize("view", VIEWS)
def test_numpy_view_is_written_in_c_order(view: str, tmp_path: Path) -> None:
    named = {"before": BASE[0], "view": VIEWS[view], "after": BASE[1]}
    assert exported(named, tmp_path) == reference_wts(named)
    assert pywts.encode(VIEWS[view]) == reference_values(VIEWS[view].reshape(-1)).encode()


@pytest.mark.parametrize("view", [name for name in VIEWS if "reversed" not in name])
def test_view_in_a_file_is_written_in_c_order(view: str, tmp_path: Path) -> None:
    """The same views, described by a checkpoint: torch knows no negative strides."""
    array = VIEWS[view]
    strides = tuple(stride // 4 for stride in array.strides)
    offset = array.__array_interface__["data"][0] - BASE.ctypes.data
    if 0 <= offset < BASE.nbytes:
        stored = Tensor(Storage("float32", BASE.tobytes()), array.shape, strides, offset // 4)
    else:  # an array of its own
        memory = array.tobytes("A") if array.flags.forc else array.ravel()[:1].tobytes()
        stored = Tensor(Storage("float32", memory), array.shape, strides)
    path = save(tmp_path / "m.pt", {"view": stored})
    assert exported(path, tmp_path) == reference_wts({"view": array})


@given(data=st.data())
def test_any_strided_view(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """From memory and from a file, any dtype, any strides that stay inside."""
    dtype = data.draw(st.sampled_from([name for name in DTYPES if name not in ("float64", "bool")]))
    size = item_size(dtype)
    rank = data.draw(st.integers(0, 4))
    shape = tuple(data.draw(st.integers(0, 6)) for _ in range(rank))
    strides = tuple(data.draw(st.integers(0, 9)) for _ in range(rank))
    offset = data.draw(st.integers(0, 5))
    needed = offset + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True) if count) + 1
    raw = data.draw(st.binary(min_size=needed * size, max_size=needed * size))
    bits = as_strided(
        numpy.frombuffer(raw, f"u{size}")[offset:], shape, tuple(size * stride for stride in strides), writeable=False
    )
    expected = reference_wts({"x": of_bytes(dtype, numpy.ascontiguousarray(bits).tobytes())})
    folder = tmp_path_factory.mktemp("strided")
    path = save(folder / "m.pt", {"x": Tensor(Storage(dtype, raw), shape, strides, offset)})
    assert exported(path, folder) == expected
    if dtype in NUMPY_DTYPES:
        assert exported({"x": bits.view(dtype)}, folder) == expected


def test_large_views_are_written_in_c_order(tmp_path: Path, seed: int) -> None:
    """Larger than the gatherer's memory, from a file and from memory: transposed, permuted, with holes."""
    values = numpy.random.default_rng(seed).standard_normal((1200, 2000)).astype(numpy.float32)
    four = values.reshape(40, 30, 50, 40)
    views = {
        "transposed": (values.T, (1, 2000), 0),
        "permuted": (four.transpose(3, 1, 0, 2), (1, 2000, 60_000, 40), 0),
        "holes": (values[1::3, 1::2], (6000, 2), 2001),
    }
    storage = Storage("float32", values.tobytes())
    for name, (view, strides, offset) in views.items():
        path = save(tmp_path / "m.pt", {name: Tensor(storage, view.shape, strides, offset)})
        expected = b"1\n%s %d " % (name.encode(), view.size) + b" " + view.astype(">f4").tobytes().hex(" ", 4).encode()
        assert exported(path, tmp_path) == expected + b"\n", name
        assert exported({name: view}, tmp_path) == expected + b"\n", name


@pytest.mark.parametrize("dtype", [name for name in DTYPES if item_size(name) > 1])
def test_storages_of_the_other_byte_order(dtype: str, tmp_path: Path, seed: int) -> None:
    raw = numpy.random.default_rng(seed).integers(0, 255, 300 * item_size(dtype), numpy.uint8).tobytes()
    if dtype == "float64":
        raw = numpy.random.default_rng(seed).standard_normal(300).tobytes()
    values = of_bytes(dtype, raw)
    path = save(tmp_path / "m.pt", {"x": tensor(values)}, byteorder="big")
    assert exported(path, tmp_path) == reference_wts({"x": values})


def test_transposed_storage_of_the_other_byte_order(tmp_path: Path) -> None:
    path = save(tmp_path / "m.pt", {"x": Tensor(Storage("float32", BASE.tobytes()), (20, 6), (1, 20))}, byteorder="big")
    assert exported(path, tmp_path) == reference_wts({"x": BASE.reshape(6, 20).T})


@pytest.mark.parametrize("dtype", [">f4", ">f2", ">f8", ">i2", ">i4", ">i8", ">u2", ">u4", ">u8"])
def test_big_endian_arrays(dtype: str, tmp_path: Path) -> None:
    array = numpy.arange(100).astype(dtype).reshape(10, 10)
    for view in (array, array.T, array[::-1, 3:]):
        assert exported({"x": view}, tmp_path) == reference_wts({"x": view.astype(view.dtype.newbyteorder("="))})


def test_field_of_a_record_array(tmp_path: Path) -> None:
    """Elements that are no whole number of their own size apart."""
    records = numpy.zeros(5, [("flag", "u1"), ("value", "<f4"), ("more", "<u2")])
    records["value"] = [1, 2, 3, 4, 5]
    assert exported({"x": records["value"]}, tmp_path) == reference_wts({"x": records["value"]})
    assert exported({"x": records["value"][::-2]}, tmp_path) == reference_wts({"x": records["value"][::-2]})


def test_tied_weights_are_written_once_per_name(tmp_path: Path) -> None:
    shared = tensor(BASE[0])
    path = save(tmp_path / "m.pt", {"encoder.weight": shared, "bias": tensor(BASE[1]), "decoder.weight": shared})
    named = {"encoder.weight": BASE[0], "bias": BASE[1], "decoder.weight": BASE[0]}
    assert exported(path, tmp_path) == reference_wts(named)
    assert exported(named, tmp_path) == reference_wts(named)


def test_empty_tensor_has_one_trailing_space(tmp_path: Path) -> None:
    empty = {"a": numpy.zeros(0, numpy.float32), "b": numpy.zeros((3, 0, 2), numpy.int64)}
    assert exported(empty, tmp_path) == b"2\na 0 \nb 0 \n"
    assert exported(empty, tmp_path, dialect="single") == b"2\na 0\nb 0\n"
    path = save(tmp_path / "m.pt", {name: tensor(value) for name, value in empty.items()})
    assert exported(path, tmp_path) == b"2\na 0 \nb 0 \n"


def test_dialects_differ_in_one_space(tmp_path: Path) -> None:
    named = {"x": numpy.array([1, 2], numpy.float32)}
    assert exported(named, tmp_path) == b"1\nx 2  3f800000 40000000\n"
    assert exported(named, tmp_path, dialect="double") == b"1\nx 2  3f800000 40000000\n"
    assert exported(named, tmp_path, dialect="single") == b"1\nx 2 3f800000 40000000\n"
    assert exported(named, tmp_path, dialect="single") == reference_wts(named, "single")


def test_order_is_that_of_the_source(tmp_path: Path) -> None:
    names = ["z", "a", "m.10", "m.9", "Ä", "a.b"]
    named = {name: numpy.array([index], numpy.float32) for index, name in enumerate(names)}
    assert exported(named, tmp_path) == reference_wts(named)
    lines = exported(named, tmp_path).decode().splitlines()
    assert [line.split()[0] for line in lines[1:]] == names


# --------------------------------------------------------------------------------------------------------- refusals

ONE = numpy.ones(1, numpy.float32)

BAD_NAMES = {
    "a b": "white space",
    " a": "white space",
    "a ": "white space",
    "a\tb": "white space",
    "a\nb": "white space",
    "a\rb": "white space",
    "a\x0bb": "white space",
    "a\x1cb": "white space",
    "a\x00b": "control character",
    "a\x7fb": "control character",
    "a\x85b": "white space",
    "a\x9fb": "control character",
    "a\u00a0b": "white space",
    "a\u1680b": "white space",
    "a\u2003b": "white space",
    "a\u2028b": "white space",
    "a\u2029b": "white space",
    "a\u202fb": "white space",
    "a\u3000b": "white space",
    "a\u200bb": "control character",
    "a\u202eb": "control character",
    "a\ufeffb": "control character",
    "a\u00adb": "control character",
    "a\u2060b": "control character",
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_name_that_readers_would_cut_is_refused(name: str, tmp_path: Path) -> None:
    """From memory and from a file, naming the tensor and the position; nothing is written."""
    target = tmp_path / "m.wts"
    position = next(index for index, character in enumerate(name) if not character.isalnum())
    path = save(tmp_path / "m.pt", {"fine": tensor(ONE), name: tensor(ONE)})
    for source in ({"fine": ONE, name: ONE}, path):
        with pytest.raises(pywts.TensorError) as caught:
            pywts.export(source, target)
        message = str(caught.value)
        assert "tensor 1" in message
        assert BAD_NAMES[name] in message
        assert f"position {position}" in message
        assert message.isprintable(), "a name may hold what a terminal obeys"
        with pytest.raises(pywts.TensorError):
            pywts.plan(source)
    assert not target.exists()


def test_lone_surrogate_in_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pywts.TensorError, match="tensor 0"):
        pywts.export({"a\ud800": ONE}, tmp_path / "m.wts")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["模型.权重", "Ä.weight", "a/b", "a-b_c:d", "\u0915\u094d\u200d\u0937", "#", "0"])
def test_other_names_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    assert exported({name: ONE}, tmp_path) == reference_wts({name: ONE})
    assert exported(save(tmp_path / "m.pt", {name: tensor(ONE)}), tmp_path) == reference_wts({name: ONE})


@pytest.mark.parametrize("name", ["a" * 65_537, "é" * 32_769], ids=["ASCII", "two bytes each"])
def test_name_that_readers_find_too_long_is_refused_whatever_the_limits(name: str, tmp_path: Path) -> None:
    limits = pywts.DEFAULT_LIMITS.replace(name_length=1 << 20)
    with pytest.raises(pywts.TensorError, match=r"the name of tensor 0, .* bytes, over the 65536 that readers take"):
        pywts.export({name: ONE}, tmp_path / "m.wts", limits=limits)
    longest = name.encode()[:65_536].decode()
    pywts.export({longest: ONE}, tmp_path / "m.wts", limits=limits, verify=True)
    assert list(pywts.load(tmp_path / "m.wts")) == [longest]


def test_shape_that_no_array_can_have_is_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.pt", {"a": tensor(ONE), "e": Tensor(Storage("float32", b""), (1 << 40, 0, 1 << 40), (1, 1, 1))}
    )
    with pytest.raises(pywts.TensorError, match=r"e has the shape \[1099511627776, 0, 1099511627776\], which no array"):
        pywts.export(path)
    pywts.export({"e": numpy.zeros((0, 1 << 60), numpy.float32)}, tmp_path / "m.wts", sidecar=True)
    assert pywts.load(tmp_path / "m.wts")["e"].shape == (0, 1 << 60)


def test_empty_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pywts.TensorError, match="tensor 1 has an empty name"):
        pywts.export({"a": ONE, "": ONE}, tmp_path / "m.wts")
    for nameless in (
        {"a": tensor(ONE), "": tensor(ONE)},
        checkpoints.module(parameters={"a": tensor(ONE)}, buffers={"": tensor(ONE)}),
    ):
        with pytest.raises(pywts.TensorError, match="tensor 1 has an empty name"):
            pywts.export(save(tmp_path / "m.pt", nameless), tmp_path / "m.wts")
    assert not (tmp_path / "m.wts").exists()


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    """A module whose names collide: a parameter "a.b" beside a child "a" with a parameter "b"."""
    child = checkpoints.module(parameters={"b": tensor(ONE)})
    path = save(tmp_path / "m.pt", checkpoints.module(parameters={"a.b": tensor(ONE)}, modules={"a": child}))
    for recipe in ("auto", "none"):
        with pytest.raises(pywts.TensorError, match=r"two tensors have the name a\.b"):
            pywts.export(path, tmp_path / "m.wts", recipe=recipe)
    with pytest.raises(pywts.TensorError, match="two tensors have the name 1"):
        pywts.export({1: ONE, "1": ONE}, tmp_path / "m.wts")
    assert not (tmp_path / "m.wts").exists()


def test_numel_that_readers_cannot_count_is_refused(tmp_path: Path) -> None:
    just_over = numpy.broadcast_to(numpy.uint8(0), (2**16, 2**16))
    with pytest.raises(pywts.TensorError, match=f"huge has {2**32} values, over the {2**32 - 1}"):
        pywts.export({"huge": just_over}, tmp_path / "m.wts")
    with pytest.raises(pywts.TensorError, match=f"huge has {2**32} values"):
        pywts.plan({"huge": just_over})
    most = numpy.broadcast_to(numpy.uint8(0), (2**32 - 1,))
    assert pywts.plan({"most": most}).bytes == len(f"1\nmost {2**32 - 1} \n") + 9 * (2**32 - 1)
    assert list(tmp_path.iterdir()) == []


def test_expansion_in_a_file_is_bounded(tmp_path: Path) -> None:
    """A few bytes of a checkpoint must not ask for gigabytes of text; the way out is named."""
    path = save(tmp_path / "m.pt", {"x": Tensor(Storage("float32", b"1234"), (2**30,), (0,))})
    with pytest.raises(pywts.LimitError, match=r"x repeats 1 values to 1073741824.*Limits\.expansion"):
        pywts.export(path, tmp_path / "m.wts")
    assert pywts.plan(path, limits=pywts.Limits(expansion=2**30)).values == 2**30


@pytest.mark.parametrize("source", [{}, {"epoch": 3}], ids=["empty", "no weights"])
def test_source_without_a_tensor_is_refused(source: object, tmp_path: Path) -> None:
    for given_source in (source, save(tmp_path / "m.pt", source)):
        with pytest.raises((pywts.TensorError, pywts.SelectionError), match="holds no"):
            pywts.export(given_source, tmp_path / "m.wts")
    path = save(tmp_path / "m.pt", {"model": checkpoints.module()})
    with pytest.raises(pywts.TensorError, match="holds no tensor"):
        pywts.export(path, tmp_path / "m.wts")
    assert not (tmp_path / "m.wts").exists()


def test_unknown_dialect_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pywts.OptionError, match="dialect 'typed' is none of double, single"):
        pywts.export({"x": ONE}, tmp_path / "m.wts", dialect="typed")
    assert list(tmp_path.iterdir()) == []


def test_span_outside_of_its_storage_is_refused(tmp_path: Path) -> None:
    for shape, strides, offset in (((5,), (1,), 0), ((2,), (1,), 3), ((2, 2), (3, 1), 0), ((1,), (1,), 4)):
        path = save(tmp_path / "m.pt", {"x": Tensor(Storage("float32", bytes(16)), shape, strides, offset)})
        with pytest.raises(pywts.CheckpointError, match="tensor x reaches outside its storage"):
            pywts.export(path, tmp_path / "m.wts")
    path = save(tmp_path / "m.pt", {"x": Tensor(Storage("float32", bytes(16)), (2, 2), (2, 1))})
    assert exported(path, tmp_path) == reference_wts({"x": numpy.zeros(4, numpy.float32)})


def test_layout_knows_every_byte_before_the_first(tmp_path: Path) -> None:
    named = {"a": BASE, "b": BASE[0].T, "c": BASE[:0], "d": numpy.array(1.5)}
    planned = pywts.plan(named)
    text = exported(named, tmp_path)
    lines = text.splitlines(keepends=True)
    assert planned.bytes == len(text)
    assert [line.bytes for line in planned.tensors] == [len(line) for line in lines[1:]]
