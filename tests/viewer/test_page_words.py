"""What the page calls things, and how numbers stand beside each other."""

import io

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import viewer

pytestmark = pytest.mark.browser


def test_from_the_table_one_comes_to_an_operation_with_the_keyboard(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    page.press("t")
    stops = page.page.locator(".twin button[tabindex='0']")
    assert stops.count() == 1
    stops.focus()
    here = page.js("document.activeElement.closest('tr').sectionRowIndex")
    page.press("ArrowDown", "Enter")
    assert page.js("document.querySelector('tr[aria-current]').sectionRowIndex") == here + 1
    assert page.js("document.activeElement.tabIndex") == 0
    page.press("ArrowUp")
    assert page.js("document.activeElement.closest('tr').sectionRowIndex") == here
    assert page.page.get_by_role("rowheader").get_by_role("button").count() == len(trace.ops)


def test_play_does_not_look_like_next(visit):
    from PIL import Image

    page = visit(viewer.trace(cases.residual()[0]))

    def drawn(name):
        icon = page.page.get_by_role("button", name=name, exact=True).locator("svg")
        dark = Image.open(io.BytesIO(icon.screenshot())).convert("L").point(lambda v: 255 * (v < 128))
        return np.asarray(dark.crop(dark.getbbox()).resize((32, 32))) > 128

    for one, other in (("Play", "Next event"), ("Play", "Last event"), ("Next event", "Last event")):
        a, b = drawn(one), drawn(other)
        assert (a & b).sum() < 0.7 * (a | b).sum(), (one, other)


@pytest.mark.parametrize("touch", [False, True])
def test_help_says_what_is_drawn_and_begins_with_what_is_at_hand(visit, touch):
    page = visit(viewer.trace(cases.residual()[0]), touch=touch)
    page.press("?")
    captions = page.page.locator("dialog caption").all_text_contents()
    assert captions == (["By touch", "With the keyboard"] if touch else ["With the keyboard", "By touch"])
    assert page.page.locator("dialog table", has_text="Home").is_visible() is not touch, "who asks for keys sees them"
    signs = page.text("dialog .signs")
    for sign in ("Green and purple", "dark frame", "‖g‖", "two shades", "▸ and ▾"):
        assert sign in signs
    assert "Home End" in page.page.locator("dialog").evaluate("e => e.textContent"), "keys are read one by one"


@pytest.mark.parametrize(("width", "told"), [(390, True), (1280, False)])
def test_a_table_with_columns_beyond_the_edge_says_so(visit, width, told):
    page = visit(viewer.trace(cases.residual()[0]), size=(width, 800))
    page.js("document.activeElement.blur()")
    page.press("t")
    assert page.text(".beyond") == ("out of view: Shape, Gradient norm, State →" if told else "")
    beyond = page.js("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.table-pane'))")
    assert beyond == told


def test_numbers_of_one_array_have_as_many_decimals_each(visit):
    x = tr.tensor([[0.1937, -0.326], [0.5, 0.0]], requires_grad=True)
    page = visit(viewer.trace(lambda: (x * 1.0).sum()))
    cells = page.page.locator(".step .part.after .cell text").all_text_contents()
    assert cells == ["0.1937", "−0.3260", "0.5000", "0.0000"]
    unlike = tr.tensor([[1000.0, 0.0003]], requires_grad=True)
    page = visit(viewer.trace(lambda: (unlike * 1.0).sum()))
    assert page.page.locator(".step .part.after .cell text").all_text_contents() == ["1000", "0.0003"], "none becomes 0"


def test_a_negative_summand_has_brackets(visit):
    x = tr.tensor(3.0, requires_grad=True)
    trace = viewer.trace(lambda: x * 0.5 + x * -0.25)
    page = visit(trace)
    page.press("End")
    assert "−0.25 + 0.5 = 0.25" in page.text("[role=status]")
    trace = viewer.trace(lambda: x * -0.25 + x * 0.5)
    page = visit(trace)
    page.press("End")
    assert "0.5 + (−0.25) = 0.25" in page.text("[role=status]")
    b = tr.tensor([1.0], requires_grad=True)
    trace = viewer.trace(lambda: ((cases.tensor(2, 1) + b) * tr.tensor([[0.5], [-0.25]])).sum())
    page = visit(trace)
    page.go(next(i for i, e in enumerate(trace.events) if e[0] == "r" and trace.ops[e[4]].name == "b"))
    assert page.text(".product") == "0.5 + (−0.25) = 0.25"


def test_arrays_are_below_headings_and_their_norms_are_words(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    assert page.page.get_by_role("heading", level=3, name="value of").count() == 1
    assert page.page.locator("figcaption", has_text="norm ").count() >= 1
    page.press("End")
    assert page.page.get_by_role("heading", level=3, name="gradient of").count() == 1
    assert page.page.locator(".sum").get_by_role("heading", level=4).count() == 3
    assert "‖·‖" not in page.text(".step")


def test_a_training_announces_its_steps_and_names_only_the_colours_that_it_has(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    said = lambda: page.text("#said")
    page.press("Home", "ArrowRight")
    slider = page.page.get_by_role("slider", name="Training step")
    assert said() == slider.get_attribute("aria-valuetext")
    slider.focus()
    page.press("ArrowLeft")
    assert said() == "", "a slider tells its value itself"
    assert "not finite" in page.text(".scale")
    lane = RUN["lanes"][0] | {"log10": [[-2.898, -2.5, -2.0, None]] * 5}
    page = visit(document(tmp_path, {"lanes": [lane]}))
    assert "not finite" not in page.text(".scale")
    page.press("Home")
    assert "10 to the −2.898 at" in said(), "as in the list"
    assert page.page.locator(".column .value").first.inner_text() == "−2.898"


def test_whoever_is_past_the_event_to_look_at_first_is_not_sent_there(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    page.page.get_by_role("button", name="Look first at event").click()
    for key, there in (("ArrowRight", 0), ("End", 0), ("Home", 1)):
        page.press(key)
        assert page.page.locator(".first").count() == there, key
