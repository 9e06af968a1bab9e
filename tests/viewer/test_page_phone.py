"""The page on a phone: what happens stays in sight, text can be read, fingers find what they aim at."""

import pytest

from tests.viewer import cases
from tinyres import viewer

pytestmark = pytest.mark.browser

PORTRAIT, LANDSCAPE, MAGNIFIED = (390, 844), (844, 390), (320, 256)


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE, MAGNIFIED, (1280, 800)], ids=str)
def test_what_happens_is_in_sight_at_every_event(visit, size):
    """The panel was scrolled down to the numbers, and the next event comes."""
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=size, touch=size != (1280, 800))
    for step in (41, 42):
        page.js("document.querySelector('.source').scrollIntoView()")
        page.page.get_by_role("button", name="Next event").click()
        assert page.step() == step
        for part in (".eyebrow", ".sentence"):
            box = page.page.locator(part).bounding_box()
            seen = """([x, y]) => document.elementFromPoint(x, y).closest('.lead') !== null"""
            assert page.js(seen, [box["x"] + 20, box["y"] + 4]), f"{part} at {box}"


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
def test_the_routes_that_rejoin_are_in_the_first_view(visit, size):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace, f"#step={trace.first['event']}", size=size, touch=True)
    bar, end = page.page.locator(".rejoin .bar").bounding_box(), page.page.locator(".transport").bounding_box()
    assert bar["y"] + bar["height"] <= end["y"]
