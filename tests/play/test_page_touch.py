"""A finger on the playground: what scrolls changes nothing, what goes to the side or taps does."""

from __future__ import annotations

import pytest

from tests.play import page_messages as m
from tests.play.pages import net
from tests.tabs import swiped, touched

pytestmark = pytest.mark.browser

SLIDERS = """[...document.querySelectorAll('input[type=range]:not(.hidden)')]
    .filter((e) => e.checkVisibility()).map((e) => e.getAttribute('aria-label') ?? 'guess')"""


def named(page, name):
    return page.page.locator(".question input" if name == "guess" else f"input[type=range][aria-label='{name}']")


def middle(slider, share):
    """A place on a slider, after it was brought into view."""
    slider.evaluate("e => e.scrollIntoView({block: 'center'})")
    box = slider.bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def test_a_swipe_that_begins_on_a_slider_scrolls_and_changes_nothing(visit):
    """Every slider that is on the page: the steps, a story's guess, each knob."""
    page = net(visit, size=(390, 844), touch=True, fragment="#story=plain56")
    page.click("Knobs")
    names = page.js(SLIDERS)
    assert {"Step", "guess", "Depth", "Width", "Lr"} <= set(names)
    page.sent()
    scrolled, far = "document.querySelector('.scroller').scrollTop + scrollY", set()
    for name in names:
        slider = named(page, name)
        before = slider.input_value(), page.js("JSON.stringify(tinyresPlay.state().setting)")
        for away in (-120, 120):
            at = page.js(scrolled)
            swiped(page, middle(slider, 0.23), (4, away))
            page.drawn()
            assert (slider.input_value(), page.js("JSON.stringify(tinyresPlay.state().setting)")) == before, name
            assert page.sent() == [], name
            if page.js(scrolled) != at:
                far.add(name)
    assert far >= {"guess", "Width"}, "and what lies under the finger has moved"


@pytest.mark.parametrize("name", ["Step", "guess", "Width", "Lr"])
def test_a_tap_on_a_slider_and_a_swipe_to_the_side_move_it(visit, name):
    page = net(visit, size=(390, 844), touch=True, fragment="#story=plain56")
    page.click("Knobs")
    slider, before = named(page, name), named(page, name).input_value()
    page.sent()
    x, y = middle(slider, 0.23)
    page.page.touchscreen.tap(x, y)
    told = page.sent()
    tapped = slider.input_value() if name in ("guess", "Width", "Lr") else str(told[-1]["step"])
    assert tapped != before
    assert name == "guess" or told
    swiped(page, middle(slider, 0.23), (150, 5))
    page.drawn()
    again = page.sent()
    drawn = slider.input_value() if name in ("guess", "Width", "Lr") else str(again[-1]["step"])
    assert int(drawn) > int(tapped)


def test_a_tap_counts_although_a_picture_comes_while_the_finger_is_down(visit):
    """Each picture puts the thumb to its own step."""
    page = net(visit, size=(390, 844), touch=True)
    x, y = middle(named(page, "Step"), 0.8)
    page.sent()
    touched(page, ("touchStart", (x, y)))
    page.push(m.frame(31, 8, playing=True))
    touched(page, ("touchEnd",))
    (sought,) = page.sent("seek")
    assert sought["step"] > 350
