"""Where routes rejoin, by eye, by ear and by keyboard; and what else a key or a button changes without a new event."""

import math

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tests.viewer.test_page_leads import searched
from tinyres import nn, viewer

pytestmark = pytest.mark.browser


def completed(join):
    return max(route["event"] for route in join["routes"])


@pytest.fixture
def nested():
    return viewer.trace(cases.nested()[0])


def test_a_rejoin_is_announced_with_its_shares_and_angle(visit, nested):
    """Each of them, also where one event completes two; and no other event says such a thing."""
    page = visit(nested)
    by_event = {}
    for join in nested.joins:
        all_norms = sum(route["norm"] for route in join["routes"])
        told = ", ".join(f"{route['role']} {100 * route['norm'] / all_norms:.0f} %" for route in join["routes"])
        angle = round(math.degrees(join["angle"]))
        line = f"block {join['name']} (Residual): the routes rejoin: {told}, {angle} degrees apart"
        by_event.setdefault(completed(join), []).append(line)
    assert sorted(map(len, by_event.values())) == [1, 1, 2]
    for event in range(len(nested)):
        page.go(event)
        said = page.page.get_by_role("status").text_content()
        assert [line for lines in by_event.values() for line in lines if line in said] == by_event.get(event, [])
        assert ("rejoin" in said) == (event in by_event)
        if event in by_event:
            assert page.page.locator(".rejoin").count() == len(by_event[event])
            page.press(" ", " ")
            assert page.text("#said").startswith("Paused at event ")
            assert all(line in page.text("#said") for line in by_event[event])
            page.go(event)


@pytest.mark.parametrize("way", ["keys", "buttons"])
def test_one_comes_from_rejoin_to_rejoin(visit, nested, way):
    page = visit(nested)
    buttons = {
        k: page.page.get_by_role("button", name=f"{name} rejoin") for k, name in (("r", "Next"), ("R", "Previous"))
    }

    def go(key):
        if way == "keys":
            page.press(key)
        else:
            buttons[key].click()

    events = sorted({completed(join) for join in nested.joins})
    for event in events:
        assert buttons["r"].get_attribute("aria-disabled") == "false"
        go("r")
        assert page.step() == event
    assert buttons["r"].get_attribute("aria-disabled") == "true"
    if way == "keys":
        go("r")
        assert (page.step(), page.text("#said")) == (event, "No further rejoin")
    for event in reversed(events[:-1]):
        go("R")
        assert page.step() == event
    assert buttons["R"].get_attribute("aria-disabled") == "true"


def test_without_a_rejoin_there_are_no_such_buttons(visit):
    w = tr.tensor(2.0, requires_grad=True)
    page = visit(viewer.trace(lambda: w * w))
    assert page.page.get_by_role("button", name="rejoin").count() == 0


def test_where_to_look_first_has_the_focus(visit, nested):
    page = visit(nested)
    page.page.get_by_role("button", name="Look first at event").focus()
    page.press("Enter")
    assert page.step() == nested.first["event"]
    assert page.js("document.activeElement.className") == "step", "the button is gone"


@pytest.mark.parametrize("name", ["Residual", "LayerNorm", "BatchNorm", "TransformerEncoderLayer", "norm1 LayerNorm"])
def test_a_search_finds_modules_by_their_class(visit, name):
    norm = nn.Residual(nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Tanh()))
    model = nn.Sequential(nn.Linear(4, 4, rng=0), norm, nn.TransformerEncoderLayer(4, 2, 8, rng=0))
    x = tr.tensor(np.ones((3, 4), "f4"), requires_grad=True)
    trace = viewer.trace(lambda: (model[2](model[1](model[0](x)).reshape(1, 3, 4)) ** 2).sum())
    page = visit(trace)
    said = searched(page, name)
    assert said.startswith("Found: module ")
    path, kind = said.removeprefix("Found: module ").split(" ")
    assert name.split(" ")[-1] in kind
    assert trace.classes[path] == kind
    assert f"{trace[page.step()].path}.".startswith(f"{path}."), "where it begins"


def test_a_search_finds_rejoins(visit, nested):
    page = visit(nested)
    assert searched(page, "rejoin") == f"Found: rejoin of block {nested.joins[0]['name']} (Residual)"
    assert page.step() == completed(nested.joins[0])
    page.press("/")
    page.page.locator("input[type=search]").fill("rejoin")
    options = page.page.locator("#found [role=option]")
    assert options.count() == len(nested.joins)
    assert options.last.inner_text().split("\n")[-1].endswith(f"event {completed(nested.joins[-1]) + 1}")


@pytest.mark.parametrize("way", ["button", "cell"])
def test_another_element_is_announced_with_its_value(visit, way):
    a = tr.tensor([2.0, 3.0, 5.0], requires_grad=True)
    trace = viewer.trace(lambda: (a * tr.tensor([0.5, -4.0, 0.25])).sum())
    page = visit(trace)
    page.go(next(i for i, e in enumerate(trace.events) if e[0] == "r" and trace.ops[e[4]].name == "a"))
    assert page.text("#said") == "", "the largest of an event is in its rule"
    place = lambda: page.text(".chooser span")
    seen = {place()}
    for k in (2, 0, 1):
        if way == "button":
            page.page.get_by_role("button", name="Next element").focus()
            page.press("Enter")
        else:
            page.page.locator(".part.contribution .cell").nth(k).click()
        seen.add(place())
        assert page.text("#said") == f"{place()}: {page.text('.product')}"
    assert len(seen) == 3


def test_an_element_of_what_begins_the_pass_is_announced_as_well(visit):
    """There is no rule then: the number alone is said."""
    a = tr.tensor([2.0], requires_grad=True)
    trace = viewer.trace(lambda: a * 3.0)
    page = visit(trace, "#pass=b")
    cells = page.page.locator(".part.contribution .cell")
    for cell in cells.all():
        cell.click()
        assert page.text("#said") == "[0]: 1"


def test_letters_can_be_switched_off_and_stay_so(visit, nested):
    page = visit(nested, "#step=5")
    box = page.page.get_by_role("checkbox", name="letters")
    letters = "tinyres.state().letters"
    page.press("?")
    box.uncheck()
    page.press("Escape")
    for key in ("t", "E", "/", "?", "0", "r"):
        page.press(key)
        assert page.page.get_by_role("dialog").count() == 0
    assert (page.step(), page.js("tinyres.state().view")) == (5, "graph")
    page.press("ArrowRight", "Home", " ")
    assert page.step() == 0
    assert page.js("tinyres.state().playing"), "what is no letter goes on working"
    page.page.reload()
    page.until("window.tinyres?.ready")
    assert page.js(letters) is False
    page.page.get_by_role("button", name="Help").click()
    box.check()
    page.press("Escape", "t")
    assert page.js("tinyres.state().view") == "table"
