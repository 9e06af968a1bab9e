"""The page for everybody: axe-core, and what the built file must hold."""

import re

import pytest

from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import viewer
from tinyres.viewer.page import TEMPLATE

STATES = {
    "begin": [],
    "accumulation": ["b"],
    "rejoined": [],
    "closed": ["Shift+E"],
    "table": ["b", "t"],
    "search": ["/", "t", "a"],
    "help": ["?"],
}


@pytest.fixture(scope="module")
def axe():
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    ).Axe()


def found_by(axe, page):
    violations = axe.run(page).response["violations"]
    return [(v["id"], v["help"], [node["html"][:160] for node in v["nodes"]][:3]) for v in violations]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(visit, axe, state, scheme):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace, scheme=scheme)
    page.press(*STATES[state])
    if state == "rejoined":
        page.go(trace.joins[0]["routes"][0]["event"])
        assert page.page.locator(".rejoin").count() == 1
    assert found_by(axe, page.page) == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_training(visit, axe, scheme, tmp_path):
    assert found_by(axe, visit(document(tmp_path, RUN), scheme=scheme).page) == []


@pytest.mark.browser
def test_axe_finds_what_is_wrong(visit, axe):
    """The check itself: a button that loses its name is found."""
    page = visit(viewer.trace(cases.residual()[0]))
    page.js("document.querySelector('.icon').removeAttribute('aria-label')")
    page.js("document.querySelector('.icon').removeAttribute('title')")
    assert [violation[0] for violation in found_by(axe, page.page)] == ["button-name"]


@pytest.mark.browser
@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (480, 800)])
def test_nothing_sticks_out_sideways(visit, size):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=size)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert page.js("document.querySelector('.step').scrollWidth <= document.querySelector('.step').clientWidth")


def test_the_built_page():
    page = TEMPLATE.read_text(encoding="utf-8")
    assert TEMPLATE.stat().st_size <= 176 * 1024
    for placeholder in ("<!--tinyres-data-->", "<!--tinyres-title-->"):
        assert page.count(placeholder) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'")
    assert "http" not in policy[1]
    assert not re.search(r"<(script|img|iframe)[^>]* src=|<link|@import|url\((?!#)", page)
    for holder in ("Jason Miller", "Chris Pettitt"):  # preact; dagre and graphlib
        assert holder in page
    assert page.count("Permission is hereby granted") >= 2
