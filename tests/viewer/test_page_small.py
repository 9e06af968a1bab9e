"""The page on a phone: small and low windows, fingers, and what stays in view."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.tabs import swiped, touched
from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import models, nn, viewer

pytestmark = pytest.mark.browser


def test_the_page_fits_the_window_and_the_bar_is_in_it(visit):
    """The last window is a laptop's at 400 %: all of the panel can be reached there."""
    page = visit(viewer.trace(cases.residual()[0]), "#step=40")
    for size in [(844, 390), (1280, 400), (390, 844), (640, 400), (320, 256)]:
        page.page.set_viewport_size({"width": size[0], "height": size[1]})
        page.js("document.documentElement.scrollTo(0, 9999)")
        document = page.js("[document.documentElement.scrollTop, document.documentElement.scrollHeight, innerHeight]")
        assert document == [0, size[1], size[1]], "nothing scrolls but panels"
        bar = page.page.locator(".transport").bounding_box()
        assert bar["y"] + bar["height"] <= size[1] + 1
        assert page.page.get_by_role("button", name="Next event").bounding_box()["y"] < size[1]
        if size != (320, 256):  # one below the other there, in a pane that scrolls
            assert page.page.locator(".step").bounding_box()["height"] >= 0.5 * min(size[1], 560)
    page.js("document.querySelector('.source').scrollIntoView()")
    source, bar = (page.page.locator(s).bounding_box() for s in (".source", ".transport"))
    assert 0 <= source["y"] < bar["y"]


def test_a_module_that_is_opened_stays_in_view(visit):
    blocks = [nn.Residual(nn.Sequential(nn.Linear(4, 4, rng=i), nn.Tanh())) for i in range(12)]
    model, x = nn.Sequential(*blocks), tr.tensor(np.ones((2, 4), "f4"), requires_grad=True)
    page = visit(viewer.trace(lambda: model(x).sum()), "#step=0", size=(844, 390))
    page.press("Shift+E")
    while page.page.locator(".frame-label").count():
        page.press("Shift+E")
    module = page.page.locator("[data-key][aria-expanded=false]").last
    key = module.get_attribute("data-key")
    module.focus()
    page.press("Enter")
    shown = """() => { const [a, b] = [document.activeElement, document.querySelector('.around .scroll')]
        .map(e => e.getBoundingClientRect());
        return a.top >= b.top && a.bottom <= b.bottom && a.left >= b.left && a.right <= b.right; }"""
    assert page.js(shown), "what has the focus is on the screen"
    page.js("""key => document.querySelector(`.frame-label[data-key='${key}']`)
        .dispatchEvent(new MouseEvent('click', {bubbles: true}))""", key)  # fmt: skip
    assert page.js("document.activeElement.getAttribute('data-key')") == key, "closed, it has the focus again"
    assert page.js(shown)


def test_the_fit_button_is_called_what_it_shows(visit):
    page = visit(viewer.trace(cases.residual()[0]), size=(900, 600))
    fit = page.page.get_by_role("group", name="Zoom").get_by_role("button").nth(1)
    assert fit.get_attribute("aria-label") == "fit: show more of the graph in smaller print"
    fit.click()
    assert page.js("tinyres.state().zoom") >= 0.5
    back = fit.inner_text()
    assert re.fullmatch(r"to \d+ %", back), "it says what pressing it does"
    assert fit.get_attribute("aria-label").startswith(f"{back}: a size that can be read with ease; it is at ")
    fit.click()
    assert fit.inner_text() == "fit"


def wide_players():
    d_loss, g_loss, *_ = cases.players()
    return viewer.trace(D=d_loss, G=g_loss)


def text_model():
    model = models.gpt(2, 16, 2, symbols=11, context=8, rng=0)
    index = np.arange(8).reshape(1, 8) % 11
    return viewer.trace(lambda: (model(index) ** 2).sum())


def images_model():
    model = models.cnn(in_channels=1, rng=0)
    images = cases.tensor(1, 1, 8, 8).astype("float32")
    return viewer.trace(lambda: (model(images) ** 2).sum())


@pytest.mark.parametrize("made", [wide_players, text_model, images_model])
@pytest.mark.parametrize("size", [(390, 844), (844, 390), (1280, 800)], ids=str)
def test_fit_shows_more_of_the_graph_wherever_there_is_more(visit, made, size):
    page = visit(made(), size=size, touch=size[0] < 900)
    scale = "(e => e.getBoundingClientRect().width / e.viewBox.baseVal.width)(document.querySelector('.scroll > svg'))"
    hidden = """(e => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)(
        document.querySelector('.around > .scroll'))"""
    assert page.js(hidden)
    before, fit = page.js(scale), page.page.get_by_role("button", name="fit")
    assert fit.get_attribute("aria-disabled") == "false"
    fit.click()
    assert page.js(scale) <= 0.85 * before
    assert page.js(scale) >= 0.5
    page.page.get_by_role("button", name="with ease").click()
    assert page.js(scale) == before
    page.press("-", "+")
    assert fit.is_visible(), "back where it was, it offers what it did there"


def test_fit_says_when_there_is_nothing_more_to_show(visit):
    w = tr.tensor(2.0, requires_grad=True)
    page = visit(viewer.trace(lambda: w * 3), size=(1280, 800))
    fit = page.page.get_by_role("button", name="fit: all of the graph is in view")
    assert fit.get_attribute("aria-disabled") == "true"
    assert fit.get_attribute("title") == "all of the graph is in view"
    fit.click(force=True)
    assert page.js("tinyres.state().zoom") is None
    page.page.set_viewport_size({"width": 700, "height": 300})
    page.until("document.querySelector('[aria-label=Zoom] [aria-disabled=false]') !== null")
    page.page.set_viewport_size({"width": 1280, "height": 800})
    page.until("document.querySelector('[aria-label=Zoom] [aria-disabled=true]') !== null")


def test_two_fingers_zoom_the_graph_and_not_the_page(visit):
    page = visit(viewer.trace(cases.residual()[0]), size=(844, 390), touch=True)
    wide = "document.querySelector('.around svg').getBoundingClientRect().width"
    before = page.js(wide)
    apart = lambda by: ((200 - by, 200), (200 + by, 200))
    touched(page, ("touchStart", *apart(20)), *(("touchMove", *apart(20 + 5 * i)) for i in range(1, 9)), ("touchEnd",))
    assert page.js(wide) > 1.5 * before
    assert page.js("visualViewport.scale") == 1


def test_a_swipe_over_the_map_scrolls_and_a_tap_chooses(visit, tmp_path):
    page = visit(document(tmp_path, RUN), size=(844, 390), touch=True)
    chosen = lambda: page.js("tinyres.state().runStep")
    box = page.page.locator(".map").first.bounding_box()
    x, y = box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"]
    page.page.touchscreen.tap(x, y)
    assert chosen() == 0
    across = [("touchMove", (x + 0.08 * box["width"] * i, y)) for i in range(1, 9)]
    touched(page, ("touchStart", (x, y)), *across, ("touchEnd",))
    assert chosen() == 2
    swiped(page, (x, y), (0, -96))
    page.until("document.querySelector('main').scrollTop > 0")
    assert chosen() == 2, "the step is as before"


def test_a_finger_that_scrolls_leaves_the_slider_where_it_is(visit, tmp_path):
    trained = visit(document(tmp_path, RUN), size=(844, 390), touch=True)
    stepped = visit(viewer.trace(cases.residual()[0]), "#step=40", size=(390, 844), touch=True)
    for page, name, chosen in (
        (trained, "Training step", lambda: trained.js("tinyres.state().runStep")),
        (stepped, "Event", stepped.step),
    ):
        slider, before = page.page.get_by_role("slider", name=name), chosen()
        box = slider.bounding_box()
        x, y = box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2
        swiped(page, (x, y), (3, -96))
        assert (chosen(), slider.input_value()) == (before, str(before)), f"{name}: the finger scrolled"
        slider.evaluate("e => e.scrollIntoView({block: 'center'})")
        box = slider.bounding_box()
        y = box["y"] + box["height"] / 2
        page.page.touchscreen.tap(x, y)
        tapped = chosen()
        assert tapped < before, f"{name}: the finger chose a place"
        swiped(page, (x, y), (0.5 * box["width"], 3))
        assert chosen() > tapped, f"{name}: the finger drew the thumb along"


def test_the_slider_of_a_training_says_what_is_seen(visit, tmp_path):
    page = visit(document(tmp_path, RUN))
    page.press("Home")
    slider = page.page.get_by_role("slider", name="Training step")
    assert slider.get_attribute("aria-valuetext").startswith("step 0; D: loss 2, gradient 10 to the −0.1 at blocks.0, ")
    assert "step 0 to 30" in page.page.locator(".map canvas").first.get_attribute("aria-label")
    one = {"lanes": [RUN["lanes"][0] | {"steps": [0], "log10": [[-1.0]] * 5, "skip_share": None, "loss": [2.0]}]}
    assert "1 recorded step, 0" in visit(document(tmp_path, one)).text(".lane")


def test_three_uses_of_one_player_have_three_names(visit):
    d_loss, g_loss, _, _ = cases.players()
    page = visit(viewer.trace(D=d_loss, G=g_loss))
    while page.page.locator(".frame-label").count() or page.page.locator("[data-key*='@']").count() == 0:
        page.press("Shift+E")
    modules = "[...document.querySelectorAll('[aria-expanded][data-key]')]"
    names = page.js(f"{modules}.map(n => n.getAttribute('aria-label'))")
    of_d = [name.partition(", use ")[2] for name in names if name.startswith(("module D,", "module D "))]
    assert of_d == ["1 of 3, for the loss of D", "2 of 3, for the loss of D", "3 of 3, for the loss of G"]
    notes = page.page.locator(".node.module", has_text=re.compile("▸ D")).locator(".note").all_text_contents()
    assert [note.partition(", ")[2] for note in notes] == ["use 1 of 3", "use 2 of 3", "use 3 of 3"], "seen as well"


def test_one_escape_closes_the_search(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    page.press("/", "t", "a", "Escape")
    assert page.page.get_by_role("dialog").count() == 0


def test_a_thumbnail_shows_each_token_once_and_says_so(visit):
    x = tr.tensor(np.arange(96.0).reshape(1, 6, 16), requires_grad=True)
    page = visit(viewer.trace(lambda: (x * 2.0).sum()))
    cells = page.page.locator(".step .cells").first
    shares = cells.locator(".cell").evaluate_all("all => all.map(cell => cell.style.getPropertyValue('--share'))")
    rows = [tuple(shares[i : i + 8]) for i in range(0, len(shares), 8)]
    assert len(rows) == len(set(rows)) == 6
    assert "down: axis 1; across: axis 2, 2 to a cell" in page.text(".step figcaption >> nth=0")
