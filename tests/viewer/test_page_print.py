"""The page on paper, and in the colours that a system prescribes."""

import pytest

import tests.viewer.test_page_run as run
from tests.viewer import cases
from tinyres import viewer

pytestmark = pytest.mark.browser

A4 = (794, 1123)
SCROLLED = """() => [...document.querySelectorAll('body, body *')]
    .filter(e => e.clientHeight > 2 && !e.closest('svg, math') && getComputedStyle(e).display !== 'inline')
    .filter(e => /auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1)
    .map(e => e.className || e.tagName)"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => e.getClientRects().length && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .map(e => { const m = e.ownerSVGElement && e.getScreenCTM();
        return parseFloat(getComputedStyle(e).fontSize) * (m ? Math.hypot(m.a, m.b) : 1); }))"""


@pytest.mark.parametrize("view", ["graph", "table"])
def test_all_of_a_page_is_printed_and_nothing_that_only_moves_it(visit, view):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=A4)
    if view == "table":
        page.press("t")
    assert page.js(SCROLLED) != [], "a window shows a part"
    page.page.emulate_media(media="print")
    assert page.js(SCROLLED) == []
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    for control in (".tools", ".transport", ".minimap"):
        assert not page.page.locator(control).first.is_visible(), control
    assert page.js(SMALLEST) >= 9
    page.page.emulate_media(media="screen")
    assert page.page.locator(".transport").is_visible()


def test_a_training_is_printed(visit, tmp_path):
    page = visit(run.document(tmp_path, run.RUN), size=A4)
    page.page.emulate_media(media="print")
    assert page.js(SCROLLED) == []
    assert page.js(SMALLEST) >= 9
    assert page.page.locator(".map canvas").first.is_visible()
    page.page.emulate_media(media="screen")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawings_take_the_colours_that_the_system_prescribes(visit, scheme):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", scheme=scheme)
    colours = """() => { const of = (s, name) => getComputedStyle(document.querySelector(s))[name];
        return [of('.edge:not(.skip, .branch, .lit)', 'stroke'), of('.node:not(.current, .sender) .note', 'fill'),
            of('body', 'color')]; }"""
    line, text, ink = page.js(colours)
    assert ink not in (line, text), "quieter than text is elsewhere"
    page.page.emulate_media(forced_colors="active")
    line, text, ink = page.js(colours)
    assert line == text == ink
