"""The page without a mouse: how many stops there are, what each row of buttons hears, and what has the focus then."""

import pytest

from tests.viewer import cases
from tinyres import viewer

pytestmark = pytest.mark.browser

FOCUSED = "(e => e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)"
ROOM = "document.activeElement.closest('[role=toolbar], .left, .step')?.className"


@pytest.fixture
def page(visit):
    return visit(viewer.trace(cases.residual()[0]), "#step=5")


@pytest.mark.parametrize("view", ["graph", "table"])
def test_the_first_stop_leads_to_the_current_event(page, view):
    page.press("Tab")
    if view == "table":
        page.press("t")
    assert page.js(FOCUSED) == f"Skip to the {view}"
    assert page.page.locator(".jump").bounding_box()["width"] > 50, "it is seen while it has the focus"
    page.press("Enter")
    assert page.js("document.activeElement.closest('[aria-current=step]') !== null")


def test_a_row_of_buttons_is_one_stop_and_the_arrows_go_along_it(page):
    for toolbar in page.page.get_by_role("toolbar").all():
        controls = toolbar.locator("button, select")
        stops = controls.evaluate_all("all => all.map(e => e.tabIndex)")
        assert sorted(stops, reverse=True) == [0] + [-1] * (len(stops) - 1)
        controls.first.focus()
        for k in range(1, len(stops)):
            page.press("ArrowRight")
            assert controls.nth(k).evaluate("e => e === document.activeElement")
        page.press("ArrowRight")
        assert controls.first.evaluate("e => e === document.activeElement"), "round to the first"
        page.press("End")
        assert controls.last.evaluate("e => e === document.activeElement && e.tabIndex === 0"), "Tab comes back to it"
    assert page.step() == 5, "no event was passed meanwhile"
    page.js("document.activeElement.blur()")
    stops = 0
    page.js("document.querySelector('.jump').focus()")
    while not page.js("document.activeElement.hasAttribute('data-key')"):
        page.press("Tab")
        stops += 1
        assert stops <= 6, "with the keyboard one is soon in the graph"
    page.page.get_by_role("button", name="Next event").click()
    page.press("ArrowRight")
    assert page.step() == 7, "after a click the arrows go on moving through the events"


def test_a_button_at_an_end_keeps_the_focus(page):
    page.go(1)
    back = page.page.get_by_role("button", name="Previous event")
    back.focus()
    page.press("Enter")
    assert (page.step(), back.get_attribute("aria-disabled")) == (0, "true")
    assert page.js(FOCUSED) == "Previous event"
    page.press("Enter")
    assert page.step() == 0


def test_a_frame_closes_and_opens_with_the_keyboard(page):
    label = page.page.locator(".frame-label").first
    assert (label.get_attribute("role"), label.get_attribute("aria-expanded")) == ("button", "true")
    name, key = label.get_attribute("aria-label"), label.get_attribute("data-key")
    assert name.startswith("module ")
    page.page.locator(".around [tabindex='0']").focus()
    for by in ("ArrowUp", "ArrowDown"):
        order, at = [], None
        while at != (at := page.js(FOCUSED)):  # to the end of the graph
            order.append(at)
            page.press(by)
    labels = page.page.locator(".frame-label").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    assert len(labels) > 2
    assert [each for each in order if each in labels] == labels, "the arrows come to every frame, the outer ones first"
    assert order.index("module 0.branch.0 Linear") == order.index("leaf 0.branch.0.weight, 3×3") - 1, "before its nodes"
    label.focus()
    page.press("Enter")
    focused = "[document.activeElement.getAttribute('data-key'), document.activeElement.getAttribute('aria-expanded')]"
    assert page.js(focused) == [key, "false"], "closed, it has the focus"
    page.press("Enter")
    assert page.js(focused) == [key, "true"], "opened, its frame has it"


def test_the_legend_names_only_the_lines_that_are_drawn(page):
    names = lambda: [name.strip() for name in page.page.locator(".legend span").all_inner_texts()]
    assert names() == ["skip", "branch", "input of an operation", "this event"], (
        "nothing has passed in the forward pass"
    )
    page.press("b", "ArrowRight", "ArrowRight")
    assert names() == ["skip", "branch", "gradient has passed", "input of an operation", "this event"]
    page.page.get_by_role("button", name="Close all").click()
    assert page.page.locator(".scroll .edge.skip").count() == 0
    assert names() == ["gradient has passed", "input of an operation"], "the event is inside a module"
    page.press("End")
    looks = "[...document.querySelectorAll('.scroll .edge')].map(e => e.classList.contains('walked'))"
    assert ("input of an operation" in names()) == (not all(page.js(looks))), "only while such a line is there"
    page.page.get_by_role("button", name="Open all").click()
    assert "skip" in names()
