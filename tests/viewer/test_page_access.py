"""The page for everybody: axe-core, and what the built file must hold."""

import re

import pytest

from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import viewer
from tinyres.viewer.page import TEMPLATE

STATES = {  # the keys that lead to each from the one before
    "begin": [],
    "skip link": ["Tab"],
    "accumulation": ["b"],
    "rejoined": [],
    "closed": ["Shift+E"],
    "table": ["t"],
    "search": ["/", "t", "a"],
    "help": ["Escape", "?"],
}


COLOURS = "color-contrast", "link-in-text-block"  # the rules that colours can break


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    ).Axe()


def found_by(axe, page, *rules):
    """What breaks one of these rules, or any."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": [*rules]} if rules else {})
    violations = axe.run(page, options=options).response["violations"]
    return [(v["id"], v["help"], [node["html"][:160] for node in v["nodes"]][:3]) for v in violations]


@pytest.mark.browser
def test_axe_finds_nothing(visit, axe):
    """One page goes through all states, each in both schemes: what is drawn is a function of the state."""
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace)
    for state, keys in STATES.items():
        page.press(*keys)
        if state == "rejoined":
            page.go(trace.joins[0]["routes"][0]["event"])
            assert page.page.locator(".rejoin").count() == 1
        hold_in_both_schemes(axe, page, state)


def hold_in_both_schemes(axe, page, state):
    """All rules in the light one; in the dark one those of colours, which alone can tell the two apart."""
    for scheme, rules in (("light", ()), ("dark", COLOURS)):
        page.page.emulate_media(color_scheme=scheme)
        assert found_by(axe, page.page, *rules) == [], (state, scheme)


@pytest.mark.browser
def test_axe_finds_nothing_in_a_training(visit, axe, tmp_path):
    hold_in_both_schemes(axe, visit(document(tmp_path, RUN)), "run")


@pytest.mark.browser
def test_axe_finds_what_is_wrong(visit, axe):
    """The check itself: a button that loses its name is found, and so is text that cannot be told from the page."""
    page = visit(viewer.trace(cases.residual()[0]))
    page.js("document.querySelector('.icon').removeAttribute('aria-label')")
    page.js("document.querySelector('.icon').removeAttribute('title')")
    assert [violation[0] for violation in found_by(axe, page.page)] == ["button-name"]
    page.page.emulate_media(color_scheme="dark")
    assert found_by(axe, page.page, *COLOURS) == []
    page.js("document.querySelector('.step').style.color = getComputedStyle(document.body).backgroundColor")
    assert [violation[0] for violation in found_by(axe, page.page, *COLOURS)] == ["color-contrast"]


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (480, 800)])
def test_nothing_sticks_out_sideways(visit, size):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=size)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert page.js("document.querySelector('.step').scrollWidth <= document.querySelector('.step').clientWidth")


def test_the_built_page():
    page = TEMPLATE.read_text(encoding="utf-8")
    assert TEMPLATE.stat().st_size <= 168 * 1024
    for placeholder in ("<!--tinyres-data-->", "<!--tinyres-title-->"):
        assert page.count(placeholder) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'")
    assert "http" not in policy[1]
    assert not re.search(r"<(script|img|iframe)[^>]* src=|<link|@import|url\((?!#)", page)
    above, permission, below = page.partition("Permission is hereby granted, free of charge")
    for package, holder in (("preact", "Jason Miller"), ("@dagrejs/dagre", "Chris Pettitt")):
        assert re.search(rf"{package} \d+\.\d+\.\d+[^`]*\n\nCopyright \(c\) [\d-]+\w* {holder}\n[^`]*$", above)
    assert permission
    assert "The above copyright notice and this permission notice shall be included in all" in below
    assert 'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY' in below
