"""The page of an inspection, in a real browser: it sorts, filters and folds, asks for nothing, and names stay text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pytest
from browsing import Watched
from checkpoints import module, save, tensor
from processes import small_files

import pywts
from pywts.cli import main
from pywts.inspection.page import page_of, write_page
from pywts.inspection.treemap import size_map

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">'\"&\u202e\x1b[31m.weight"


def model() -> dict[str, Any]:
    """A checkpoint with a tree of three levels, and a layer of a name that means harm."""
    convolution = module("torch.nn.modules.conv.Conv2d", {"weight": tensor(numpy.arange(60, dtype=numpy.float16))})
    layers = {
        "0": module("net.Layer", modules={"conv": convolution}),
        "1": module("net.Head", {"w": tensor(numpy.ones(3))}),
    }
    inner = module("torch.nn.modules.container.Sequential", modules=layers)
    root = module("net.Net", {HOSTILE: tensor(numpy.array([0.5, numpy.nan], numpy.float32))}, modules={"model": inner})
    results = {"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], HOSTILE: [1, 2, float("nan")]}
    return {
        "model": root,
        "epoch": 3,
        "train_args": {HOSTILE: HOSTILE, "imgsz": 64},
        "train_results": results,
        HOSTILE: 1,
    }


@pytest.fixture
def written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The page of the model."""
    page = tmp_path / "m.html"
    assert main(["inspect", str(save(tmp_path / "m.pt", model())), "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}: written\n"
    return page


@pytest.mark.tool("chromium")
def test_tensors_are_sorted_and_filtered(browser: Browser, written: Path) -> None:
    watched = Watched(browser, written)
    names = ["model.0.conv.weight", "model.1.w"]
    assert watched.column("tensors", 1)[1:] == names
    values = watched.page.locator("[data-table=tensors] th", has_text="values")
    values.get_by_role("button").click()
    assert watched.column("tensors", 5) == ["60", "3", "2"]
    assert values.get_attribute("aria-sort") == "descending"
    values.get_by_role("button").click()
    assert watched.column("tensors", 5) == ["2", "3", "60"]
    watched.page.locator("[data-table=tensors] th", has_text="tensor").get_by_role("button").click()
    assert watched.column("tensors", 1)[1:] == names
    search = watched.page.locator("[data-table=tensors] input")
    search.fill("CONV float16")
    watched.page.locator("[data-table=tensors] .tools span", has_text="1 of 3").wait_for()
    assert watched.column("tensors", 1) == names[:1]
    search.fill("")
    watched.page.locator("[data-table=tensors] .tools span", has_text="3 of 3").wait_for()
    assert watched.said == []


@pytest.mark.tool("chromium")
def test_a_row_unfolds_to_its_facts(browser: Browser, written: Path) -> None:
    watched = Watched(browser, written)
    name = watched.page.get_by_role("button", name="model.0.conv.weight")
    assert watched.page.locator("[data-table=tensors] td svg rect").count() > 0
    name.click()
    detail = watched.page.locator("tr.detail")
    assert "0, 1, 2, 3, 4, 5, 6, 7" in detail.inner_text()
    assert detail.locator("svg rect").count() == 6  # 1 to 59
    name.click()
    assert detail.count() == 0
    assert watched.said == []


@pytest.mark.tool("chromium")
def test_the_tree_folds(browser: Browser, written: Path) -> None:
    watched = Watched(browser, written)
    convolution = watched.page.locator(".tree .leaf b", has_text="conv")
    assert not convolution.is_visible()
    watched.page.locator(".tree summary", has_text="Layer").click()
    assert convolution.is_visible()
    watched.page.get_by_role("button", name="Fold all", exact=True).click()
    assert not watched.page.locator(".tree summary", has_text="Sequential").is_visible()
    watched.page.get_by_role("button", name="Unfold all").click()
    assert convolution.is_visible()
    assert watched.said == []


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_and_can_be_turned(browser: Browser, written: Path, scheme: Any) -> None:
    watched = Watched(browser, written, color_scheme=scheme)
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128"
    assert watched.page.evaluate(brightness) == (scheme == "light")
    watched.page.locator("button.theme").click()
    assert watched.page.evaluate(brightness) == (scheme == "dark")
    assert watched.said == []


@pytest.mark.tool("chromium")
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_a_phone(browser: Browser, written: Path, width: int) -> None:
    watched = Watched(browser, written, viewport={"width": width, "height": 800})
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert watched.said == []


@pytest.mark.tool("chromium")
def test_it_prints_with_everything_unfolded(browser: Browser, written: Path) -> None:
    watched = Watched(browser, written, color_scheme="dark")
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert not watched.page.locator("button.theme").is_visible()
    watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert watched.page.locator("details:not([open])").count() == 0
    watched.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert watched.page.locator("details:not([open])").count() > 0
    assert watched.page.pdf().startswith(b"%PDF")
    assert watched.said == []


@pytest.mark.tool("chromium")
def test_a_hostile_name_stays_text(browser: Browser, written: Path) -> None:
    watched = Watched(browser, written)
    watched.page.get_by_role("button", name="Unfold all").click()
    for button in watched.page.locator("td.name button").all():
        button.click()
    assert watched.page.title() == "m.pt - pywts inspect"
    assert watched.page.locator("img, iframe, object, embed, link, main script:not([type])").count() == 0
    shown = watched.column("tensors", 1)[0]
    assert shown.startswith("<script>document.title='run'</script><img")
    assert "\\u202e\\x1b" in shown
    everything = watched.page.evaluate("document.body.innerText")
    assert not set(everything) & {"\u202e", "\x1b"}
    assert watched.said == []


@pytest.mark.tool("chromium")
def test_the_policy_keeps_a_script_from_running_that_was_put_in(browser: Browser, written: Path) -> None:
    """So that a mistake in a template would not be enough."""
    text = written.read_text()
    written.write_text(
        text.replace("<main>", "<main><script>document.title='run'</script><img src='http://127.0.0.1:9/x'>")
    )
    watched = Watched(browser, written)
    assert watched.page.title() == "m.pt - pywts inspect"
    assert any("Content Security Policy" in said for said in watched.said)


@pytest.mark.tool("chromium")
def test_100_000_tensors_are_shown_by_and_by(browser: Browser, tmp_path: Path) -> None:
    values = numpy.ones(3, numpy.float32)
    found = pywts.inspect({f"layers.{place // 10}.{place % 10}.weight": values for place in range(100_000)})
    (tmp_path / "m.html").write_text(page_of(found))
    watched = Watched(browser, tmp_path / "m.html")
    rows = watched.page.locator("[data-table=tensors] tbody tr")
    assert rows.count() == 300
    assert "the first 300 of 100,000" in watched.page.locator("[data-table=tensors] .tools").inner_text()
    watched.page.get_by_role("button", name="Show 300 more").click()
    assert rows.count() == 600
    assert "more modules are not shown here" in watched.page.locator("#tree .tools").inner_text()
    watched.page.locator("[data-table=tensors] input").fill("layers.9999.7")
    watched.page.locator("[data-table=tensors] .tools span", has_text=re.compile("^1 of 100,000$")).wait_for()
    assert watched.column("tensors", 1) == ["layers.9999.7.weight"]
    assert watched.said == []


# ------------------------------------------------------------------------------------------------- without a browser


def test_a_page_asks_for_nothing(tmp_path: Path) -> None:
    page = page_of(pywts.inspect(save(tmp_path / "m.pt", model()), statistics=True))
    for asking in (
        r"\ssrc\s*=",
        r"\shref\s*=",
        r"url\(",
        r"@import",
        r"<link",
        r"\son\w+\s*=",
        r"\sstyle\s*=",
        "fetch",
        "XMLHttp",
    ):
        outside_of_data = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
        found = re.search(asking, outside_of_data.replace("&lt;img src=x onerror=", ""))
        assert found is None, found
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_page_goes_over_a_page_and_over_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, page = save(tmp_path / "m.pt", model()), tmp_path / "m.html"
    for _ in range(2):
        assert main(["inspect", str(source), "--html", str(page)]) == 0
    assert main(["inspect", str(source), "--html", str(source)]) == 1
    assert "exists and is no page" in capsys.readouterr().err
    assert pywts.inspect(source).model is not None
    assert main(["inspect", str(source), "--html", str(tmp_path / "none" / "m.html")]) == 1


def test_a_page_goes_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(save(tmp_path / "m.pt", model())), "--html", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "source", [{}, {"z": numpy.zeros(2, numpy.complex64)}, {"e": numpy.zeros(0)}], ids=["none", "refused", "empty"]
)
def test_there_is_a_page_of_anything(source: Any) -> None:
    assert "<h2>Container</h2>" in page_of(pywts.inspect(source, statistics=True))


def test_the_map_s_areas_are_in_proportion() -> None:
    sizes = {"a.x": 600, "a.y": 200, "b": 150, "c": 50}
    model = pywts.inspect({f"{name}.w": numpy.zeros(size, numpy.uint8) for name, size in sizes.items()}).model
    assert model is not None
    (width, height), cells = size_map(model.modules)
    areas = {cell.title.split(" ")[0]: float(cell.width) * float(cell.height) for cell in cells}
    assert areas.keys() == sizes.keys()
    for name, size in sizes.items():
        assert areas[name] == pytest.approx(width * height * size / 1000, rel=0.01)
    boxes = [(float(cell.x), float(cell.y), float(cell.width), float(cell.height)) for cell in cells]
    assert all(x >= 0 and y >= 0 and x + w <= width + 0.2 and y + h <= height + 0.2 for x, y, w, h in boxes)


def test_a_page_that_cannot_be_written_keeps_the_old_one(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text("<!doctype html>old")
    found = pywts.inspect(model())
    with small_files(1_000), pytest.raises(pywts.OutputError, match=r"a\.html: .* on another file system with --html"):
        write_page(found, str(page))
    assert page.read_text() == "<!doctype html>old"
