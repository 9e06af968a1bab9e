"""What is odd: names that are code, NaN, broadcasts, arrays that nobody kept, narrow windows, foreign documents."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import nn, viewer

pytestmark = pytest.mark.browser


def test_names_are_text(visit):
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    w = tr.tensor([1.0, 2.0], requires_grad=True)

    class Hostile(nn.Module):
        def forward(self, x):
            return x * w  # </script><script>alert(3)</script>

    class Net(nn.Module):
        def __init__(self):
            setattr(self, bad, Hostile())

        def forward(self, x):
            return getattr(self, bad)(x)

    model = Net()
    trace = viewer.trace(**{bad: lambda: model(tr.tensor([3.0, 4.0])).sum()})
    page = visit(trace)
    for key in ("End", "t", "t", "?", "Escape", "/"):
        page.press(key)
    page.page.keyboard.type("img")
    inside = "['script', 'img', 'iframe'].map(tag => document.querySelectorAll(`#page ${tag}`).length)"
    assert page.js(inside) == [0, 0, 0]
    assert bad in page.page.locator("#page").inner_html().replace("&lt;", "<").replace("&gt;", ">")


def test_what_is_not_finite_says_so(visit):
    x = tr.tensor([1.0, 0.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"):
        trace = viewer.trace(lambda: (tr.log(x) * 1.0).sum() + tr.sqrt(x * tr.tensor(np.ones((40, 3)))).sum())
    page = visit(trace)
    words = set()
    for step in range(len(trace)):
        page.go(step)
        words |= set(re.findall(r"NaN|−?∞|\d+ not finite", page.text(".step")))
    assert {"NaN", "−∞", "∞"} <= words
    assert any(word.endswith("not finite") for word in words)


def test_a_contribution_that_is_summed_says_so(visit):
    a, b = tr.tensor(np.ones((3, 2)), requires_grad=True), tr.tensor(np.ones(2), requires_grad=True)
    trace = viewer.trace(lambda: (a + b).sum())
    page = visit(trace)
    told = {}
    for step, event in enumerate(trace.events):
        if event[0] == "r":
            page.go(step)
            told[trace.ops[event[2]].kind, event[3]] = "summed over the axes" in page.text(".derivation")
    assert told == {("sum", 0): False, ("add", 0): False, ("add", 1): True}


def test_what_the_tape_did_not_keep_is_explained(visit):
    x = cases.tensor(3, requires_grad=True)
    page = visit(viewer.trace(((x + 1.0) * 2.0).sum()))
    assert "Trace a function" in page.text("[aria-label=Value]")
    page = visit(viewer.trace(lambda: ((x + 1.0) * 2.0).sum()))
    assert "Trace a function" not in page.text("[aria-label=Value]")


@pytest.mark.parametrize("size", [(1280, 800), (800, 600)])
def test_numbers_stay_in_their_cells(visit, size):
    x = tr.tensor(np.array([[-0.00926, -0.0004372, 12345.6], [-1.5e-20, -0.01234, -98765.4]]), requires_grad=True)
    page = visit(viewer.trace(lambda: (x * 1.0).sum()), size=size)
    out = page.js(
        "[...document.querySelectorAll('.cell')].filter(c => c.querySelector('text').getBoundingClientRect().width"
        " > c.querySelector('rect').getBoundingClientRect().width).map(c => c.textContent)"
    )
    assert out == []
    assert page.page.locator(".cell text").count() >= 12


def test_a_pane_that_changes_its_size_keeps_the_event_in_view(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    page.go(next(i for i, event in enumerate(trace.events) if event[0] == "s"))  # at the bottom
    for size in ((1280, 420), (700, 900), (1280, 800)):
        page.page.set_viewport_size({"width": size[0], "height": size[1]})
        page.until(
            "(() => { const [n, p] = ['.node.current', '.graph-pane .scroll'].map(s => document.querySelector(s)"
            ".getBoundingClientRect()); return n.top >= p.top && n.bottom <= p.bottom && n.left >= p.left"
            " && n.right <= p.right })()"
        )


def test_an_empty_array_is_no_error(visit):
    page = visit(viewer.trace(cases.empty()[0]))
    page.press("End", "Home")
    assert "0×3" in page.shown()


def test_a_remark_of_the_browser_is_no_damage(visit):
    """A ResizeObserver that could not tell everything in time is told of as an error without one."""
    page = visit(viewer.trace(cases.residual()[0]))
    page.js("() => void dispatchEvent(new ErrorEvent('error', { message: 'ResizeObserver loop' }))")
    assert page.page.locator(".step").count() == 1
    page.js("() => void dispatchEvent(new ErrorEvent('error', { error: new TypeError('x') }))")
    assert "damaged (TypeError: x)" in page.text("main")


def test_help_stops_what_plays_behind_it(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    page.press(" ")
    page.page.get_by_role("button", name="Help").click()
    assert page.js("tinyres.state().playing") is False


def test_an_array_without_elements_is_said_to_have_none(visit):
    page = visit(viewer.trace(cases.empty()[0]))
    assert any("no elements" in (page.go(step), page.text(".step"))[1] for step in range(4))
