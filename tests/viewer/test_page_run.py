"""A recorded training in the page."""

import json

import pytest

from tinyres.viewer.page import TEMPLATE

pytestmark = pytest.mark.browser


RUN = {
    "lanes": [
        {
            "name": name,
            "layers": [f"blocks.{i}" for i in range(5)],
            "steps": [0, 10, 20, 30],
            "log10": [[-i - scale, -i - 0.5, "NaN", None] for i in range(5)],
            "skip_share": [[0.75 if i == 1 else None] * 4 for i in range(5)],
            "loss": [2.0, 1.5, 1.0, 0.5],
        }
        for name, scale in (("D", 0.1), ("G", 0.3))
    ]
}


def document(tmp_path, run, trace=None):
    """A page with a training in it."""
    data = {"format": "tinyres-trace", "version": 1, "title": "t", "tinyres": "0", "trace": trace, "run": run}
    element = f'<script type="application/json" id="tinyres-data">{json.dumps(data)}</script>'
    path = tmp_path / "run.html"
    path.write_text(TEMPLATE.read_text(encoding="utf-8").replace("<!--tinyres-data-->", element), encoding="utf-8")
    return path


def test_a_training_has_a_heat_map(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    assert page.page.locator(".lane").count() == 2
    assert page.page.locator(".trace").count() == 0
    slider = page.page.get_by_role("slider", name="Training step")
    slider.focus()
    page.press("Home")
    assert "Step 0" in page.text(".scrub")
    assert page.page.locator(".column .value").all_inner_texts()[:2] == ["−0.1", "−1.1"]
    shares = page.page.locator(".lane").first.locator(".share").all_inner_texts()
    assert [" ".join(share.split()) for share in shares] == ["", "skip 75 %", "", "", ""]
    page.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext").startswith("step 10; D: loss 1.5, ")
    assert "loss 1.5" in page.text(".lane >> nth=0")
    page.press("ArrowRight")
    assert set(page.page.locator(".column .value").all_inner_texts()) == {"NaN"}
    pixels = page.js("[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 4, 1).data]")
    finite, unknown, nothing = (pixels[4 * column : 4 * column + 3] for column in (0, 2, 3))
    assert nothing == [0, 0, 0]
    assert unknown not in (finite, nothing)


def test_an_empty_or_foreign_document_says_so(browser, tmp_path):
    path = document(tmp_path, None)
    page = browser.new_page()
    page.goto(path.as_uri())
    assert "neither a step nor a training" in page.inner_text("main")
    path.write_text(path.read_text(encoding="utf-8").replace('"version": 1', '"version": 9'), encoding="utf-8")
    page.reload()
    assert "has version 9" in page.inner_text("main")
    page.goto(TEMPLATE.as_uri())
    assert "holds no recording" in page.inner_text("main")
    page.close()


def test_arrows_move_without_a_focus_and_help_is_of_this_page(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    for key, step in (("Home", 0), ("ArrowRight", 10), ("ArrowRight", 20), ("ArrowLeft", 10), ("End", 30)):
        page.press(key)
        assert f"Step {step}" in page.text(".scrub")
    cursor, last = (page.page.locator(where).first.bounding_box() for where in (".cursor", ".map canvas"))
    assert abs(cursor["x"] + cursor["width"] - last["x"] - last["width"]) < 2, "the column is framed, not covered"
    assert abs(cursor["width"] - last["width"] / 4) < 2
    page.press("?")
    assert "each column a recorded training step" in page.text("dialog")
    assert "Space" not in page.text("dialog")


def test_losses_are_a_curve_with_its_range(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    assert page.page.locator(".loss svg").first.get_attribute("aria-label") == (
        "Loss over 4 recorded steps, from 2 to 0.5; 0.5 at the chosen one"
    )
    points = page.page.locator(".loss path").first.get_attribute("d")
    assert points == "M0.5 6.00L1.5 35.33L2.5 64.67L3.5 94.00"
    assert page.text(".loss .layers >> nth=0").split() == ["2", "loss", "0.5"]
    assert "5 blocks, 4 recorded steps from 0 to 30" in page.text(".lane >> nth=0")


def test_losses_that_are_missing_leave_a_gap(visit, tmp_path):
    lane = RUN["lanes"][0] | {"loss": [2.0, None, "NaN", 0.5]}
    page = visit(document(tmp_path, {"lanes": [lane]}))
    assert page.page.locator(".loss path").first.get_attribute("d") == "M0.5 6.00M3.5 94.00"
    lane = RUN["lanes"][0] | {"loss": None}
    page = visit(document(tmp_path, {"lanes": [lane]}))
    assert page.page.locator(".loss").count() == 0


@pytest.mark.parametrize(("losses", "places"), [([2.0, 2.0], [50, 50]), ([3e-15, 1e-15], [6, 94])])
def test_equal_losses_lie_half_way_and_tiny_ones_fill_the_chart(visit, tmp_path, losses, places):
    lane = RUN["lanes"][0] | {"loss": [*losses, losses[1], losses[1]]}
    page = visit(document(tmp_path, {"lanes": [lane]}))
    drawn = page.page.locator(".loss path").first.get_attribute("d").replace("M", "L").split("L")[1:]
    assert [float(point.split()[1]) for point in drawn[:2]] == places


def test_long_names_are_cut_where_they_are_alike(visit, tmp_path):
    """Their ends stay, beside the map and in the list; what is short stands as it is."""
    layers = [f"transformer.h.{i // 2}.{'mlp' if i % 2 else 'attention'}.output (1)" for i in range(7)] + ["head (1)."]
    lane = RUN["lanes"][0] | {"layers": layers, "log10": [[-1.0] * 4] * 8, "skip_share": None}
    page = visit(document(tmp_path, {"lanes": [lane]}))
    ends = """(selector) => [...document.querySelectorAll(selector)].map((span) => {
        const text = document.createTreeWalker(span, NodeFilter.SHOW_TEXT).nextNode(), range = document.createRange();
        const seen = [0, text.length - 1].map((i) => { range.setStart(text, i), range.setEnd(text, i + 1);
            const [letter, frame] = [range.getBoundingClientRect(), span.getBoundingClientRect()];
            return letter.left >= frame.left - 1 && letter.right <= frame.right + 1; });
        return [text.data, ...seen]; })"""
    for selector in (".heat .layers > span", ".column .layer"):
        *cut, short = page.js(ends, selector)
        assert [name for name, *_ in cut] == layers[:-1]
        assert all(ending for _, _, ending in cut)
        assert not any(beginning for _, beginning, _ in cut), "there is no room for all of it"
        assert short == [layers[-1], True, True]
        last = page.page.locator(selector).last
        assert last.get_attribute("title") == "head (1)." or last.locator("[title]").count() == 1
