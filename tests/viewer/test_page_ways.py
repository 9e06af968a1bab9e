"""Ways through the page: keys, the address, and what stays in view."""

import pytest

from tests.viewer import cases
from tinyres import models, viewer

pytestmark = pytest.mark.browser


def test_the_keyboard_alone_goes_everywhere(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    state = lambda: page.js("tinyres.state()")
    page.press("ArrowRight", "ArrowRight", "ArrowLeft")
    assert page.step() == 1
    page.press("b")
    assert page.text(".tag") == "accumulate", "the same operation, in the other pass"
    page.press("f")
    assert page.step() == 1
    page.press("Shift+ArrowRight")
    assert page.step() > 1
    page.press("Shift+ArrowLeft", "End")
    many = state()["nodes"]
    page.press("Shift+E")
    if state()["nodes"] >= many:
        page.press("Shift+E")
    closed = state()["nodes"]
    assert closed < many
    page.press("e")
    assert state()["nodes"] > closed
    page.press("Home", " ")
    assert state()["playing"]
    page.until("tinyres.step() > 0")
    page.press(" ")
    assert not state()["playing"]
    page.press("t")
    assert page.page.locator("tr[aria-current]").count() == 1
    page.press("t", "/")
    page.page.keyboard.type("tanh")
    page.press("Enter")
    assert "tanh" in page.text("[role=status]")
    page.press("?")
    assert page.page.get_by_role("dialog").is_visible()
    page.press("Escape")
    assert page.page.get_by_role("dialog").count() == 0


def test_the_tab_key_reaches_the_graph_and_opens_a_module(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    page.press("Shift+E", "Shift+E")
    if page.page.locator("[data-key][aria-expanded=false]").count() == 0:
        page.press("Shift+E")
    nodes = page.js("tinyres.state().nodes")
    for _ in range(40):
        page.press("Tab")
        if page.js("document.activeElement.hasAttribute('data-key')"):
            break
    focused = "document.activeElement.getAttribute('data-key')"
    first = page.js(focused)
    page.press("ArrowDown")
    assert page.js(focused) != first
    page.press("ArrowUp")
    assert page.js(focused) == first
    for _ in range(nodes):
        if page.js("document.activeElement.getAttribute('aria-expanded') === 'false'"):
            break
        page.press("ArrowDown")
    page.press("Enter")
    assert page.js("tinyres.state().nodes") > nodes
    assert page.js("document.activeElement.hasAttribute('data-key')"), "the focus stays in the graph"


def test_the_tab_key_comes_to_the_controls_before_the_graph_and_into_the_graph_at_the_current_event(visit):
    """The bar is drawn below; whoever comes by keyboard is not to pass the graph and the panel first."""
    page = visit(viewer.trace(cases.residual()[0]), "#step=5")
    stops = "e => [e.closest('section, header').className || 'top', e.getAttribute('aria-current')]"
    seen = []
    for _ in range(30):
        page.press("Tab")
        seen.append(page.js(f"({stops})(document.activeElement)"))
        if seen[-1][0] == "step":
            break
    rooms = list(dict.fromkeys(room for room, _ in seen))
    assert rooms == ["top", "transport", "left", "step"]
    assert [current for room, current in seen if room == "left"][-1] == "step"
    bar, graph = (page.page.locator(where).bounding_box() for where in (".transport", ".left"))
    assert bar["y"] >= graph["y"] + graph["height"] - 1, "it is drawn below"


def test_the_address_keeps_the_step(visit):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace, "#step=7")
    assert page.step() == 7
    page.press("ArrowRight")
    page.until("location.hash === '#step=8&lane=0&pass=f'")  # page.url hears of it later
    page.js("location.hash = 'step=3'")
    page.until("tinyres.step() === 3")
    assert visit(trace, "#step=999999").step() == len(trace) - 1
    assert visit(trace, "#step=nonsense").step() == 0
    assert visit(trace, "#pass=b").text(".tag") == "seed"


def test_a_key_that_changes_the_view_is_announced_and_the_focus_stays_on_the_page(visit):
    page = visit(viewer.trace(cases.residual()[0]))
    said = lambda: page.text("#said")
    assert page.page.locator("#said").get_attribute("aria-live") == "polite"
    page.press("Shift+E")
    first = said()
    page.press("Shift+E")
    assert {first, said()} == {"All modules closed", "All modules opened"}
    page.page.get_by_role("button", name="Zoom in").focus()
    page.press("t")
    assert said().startswith("Shown as a table of ")
    assert page.js("document.activeElement.closest('tr').hasAttribute('aria-current')"), "its button is gone"
    page.press("t")
    assert said() == "Shown as a graph"
    assert page.js("document.activeElement.hasAttribute('data-key')")
    page.press("e")
    assert said().endswith((" opened", " closed"))
    page.press("ArrowRight")
    assert said() == "", "an event has a sentence of its own"


@pytest.mark.parametrize("view", ["graph", "table"])
def test_after_a_search_the_panel_has_the_focus(visit, view):
    page = visit(viewer.trace(cases.residual()[0]))
    if view == "table":
        page.press("t")
    page.press("/")
    page.page.keyboard.type("tanh")
    page.press("Enter")
    assert page.js("document.activeElement.className") == "step"
    assert page.text("#said").startswith("Found: tanh #")
    page.press("ArrowRight", " ")
    assert page.js("tinyres.state().playing"), "the keys of the page go on working there"


def test_fit_shows_all_of_the_graph_and_the_small_map_goes_where_it_is_pressed(visit):
    model = models.resnet(8, width=4, in_channels=1, rng=0)
    page = visit(viewer.trace(lambda: (model(cases.tensor(2, 1, 8, 8).astype("float32")) ** 2).sum()))
    scrolls = (
        "() => { const s = document.querySelector('.scroll'); return [s.scrollHeight - s.clientHeight, s.scrollTop]; }"
    )
    room, top = page.js(scrolls)
    assert room > 100
    assert top < room / 2
    small = page.page.locator(".minimap").bounding_box()
    page.page.mouse.click(small["x"] + small["width"] / 2, small["y"] + small["height"] - 2)
    assert page.js(scrolls)[1] > 0.9 * room
    page.press("0")
    assert page.js(scrolls)[0] < room, "more of it is in the pane"
    assert page.js("tinyres.state().zoom") == 0.5, "but no less than can be read"
    page.press("0")
    assert page.js(scrolls)[0] == room
    page = visit(viewer.trace(cases.residual()[0]), size=(1280, 760))
    assert page.js(scrolls)[0] > 0
    page.press("0")
    assert page.js(scrolls)[0] <= 1, "all of a small graph is in the pane"
    assert page.page.locator(".minimap").count() == 0
