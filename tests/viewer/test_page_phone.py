"""The page on a phone: what happens stays in sight, text can be read, fingers find what they aim at."""

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tests.viewer.test_page_run import document
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


def test_a_number_of_the_table_has_its_operation_beside_it(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=PORTRAIT, touch=True)
    page.page.get_by_role("button", name="Table").click()
    hint, pane = page.page.locator(".beyond"), page.page.locator(".table-pane")
    assert hint.inner_text().startswith("out of view: ")
    assert hint.inner_text().endswith("Gradient norm, State →")
    assert hint.bounding_box()["y"] + hint.bounding_box()["height"] <= pane.bounding_box()["y"] + 1, (
        "never scrolled away"
    )
    assert pane.get_attribute("data-more") == "right"
    pane.evaluate("e => e.scrollLeft = 9999")
    page.until("document.querySelector('.table-pane').dataset.more === 'left'")
    assert hint.inner_text().startswith("out of view: ← Module")
    row = page.page.locator(".twin [aria-current]")
    name, norm = row.locator("th"), row.locator("td").nth(3)
    assert norm.inner_text() == "1.657"
    assert abs(name.bounding_box()["x"] - pane.bounding_box()["x"]) < 2
    assert name.bounding_box()["x"] + name.bounding_box()["width"] <= norm.bounding_box()["x"]
    box = name.bounding_box()
    on_top = "([x, y]) => document.elementFromPoint(x, y).closest('th') !== null"
    assert page.js(on_top, [box["x"] + box["width"] - 3, box["y"] + box["height"] / 2])


def test_a_row_that_goes_on_beyond_its_edge_fades_there(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=MAGNIFIED)
    more = "s => document.querySelector(s).dataset.more"
    faded = "s => getComputedStyle(document.querySelector(s)).maskImage"
    for row in (".top", ".transport", ".path"):
        assert page.js(more, row) == "right"
        assert page.js(faded, row).startswith("linear-gradient")
        page.page.locator(row).evaluate("e => e.scrollLeft = 9999")
        page.until(f"document.querySelector('{row}').dataset.more === 'left'")
        page.page.locator(row).evaluate("e => e.scrollLeft = 10")
        page.until(f"document.querySelector('{row}').dataset.more === 'left right'")
    page.page.set_viewport_size({"width": 1280, "height": 800})
    for row in (".top", ".transport", ".path"):
        page.until(f"document.querySelector('{row}').dataset.more === ''")
        assert page.js(faded, row) == "none", "all of it is there"


def test_a_legend_that_goes_on_can_be_moved_with_the_keyboard(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=PORTRAIT)
    legend = page.page.locator(".legend")
    assert (legend.get_attribute("data-more"), legend.get_attribute("tabindex")) == ("right", "0")
    page.page.set_viewport_size({"width": 1280, "height": 800})
    page.until("document.querySelector('.legend').tabIndex === -1")


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
def test_the_routes_that_rejoin_are_in_the_first_view(visit, size):
    trace = viewer.trace(cases.residual()[0])
    page = visit(trace, f"#step={trace.first['event']}", size=size, touch=True)
    bar, end = page.page.locator(".rejoin .bar").bounding_box(), page.page.locator(".transport").bounding_box()
    assert bar["y"] + bar["height"] <= end["y"]


@pytest.mark.parametrize(
    ("size", "starts", "floor"), [(PORTRAIT, 9, 7), (LANDSCAPE, 9, 7), ((1280, 800), 8.4, 6)], ids=str
)
def test_text_of_the_graph_can_be_read_where_it_starts_and_after_fit(visit, size, starts, floor):
    """It starts where text can be read with ease; `fit` shows more of the graph, as far as it can be read at all."""
    page = visit(viewer.trace(cases.residual()[0]), size=size, touch=size != (1280, 800))
    smallest = """() => { const drawing = document.querySelector('.around .scroll svg');
        const scale = drawing.getBoundingClientRect().width / drawing.viewBox.baseVal.width;
        const sizes = [...drawing.querySelectorAll('text')].map(t => parseFloat(getComputedStyle(t).fontSize));
        return scale * Math.min(...sizes);
    }"""
    before = page.js(smallest)
    assert before >= starts - 1e-6
    if starts == 9:
        assert before < 12.5, "it is no more than that either: there is little room"
    page.press("0")
    assert floor - 1e-6 <= page.js(smallest) < 0.81 * before


@pytest.mark.parametrize("players", [False, True])
def test_the_legend_is_there_wherever_lines_are(visit, players):
    """Two players have no skip connection; their lines mean something all the same."""
    d_loss, g_loss, _, _ = cases.players()
    page = visit(viewer.trace(D=d_loss, G=g_loss) if players else viewer.trace(cases.residual()[0]), "#step=1")
    assert "input of an operation" in page.text(".legend")
    assert ("skip" in page.text(".legend")) == (not players)
    assert "passed" not in page.text(".legend"), "nothing has passed yet"
    high = page.page.locator(".legend").bounding_box()["height"]
    page.press("End")
    assert "gradient has passed" in page.text(".legend")
    assert page.page.locator(".legend").bounding_box()["height"] == high, "the graph keeps its place"


def test_a_constant_is_called_as_in_the_table(visit):
    d_loss, g_loss, _, _ = cases.players()
    page = visit(viewer.trace(D=d_loss, G=g_loss))
    drawn = page.page.locator(".node.constant").evaluate_all("all => all.map(e => e.getAttribute('aria-label'))")
    assert drawn
    assert not any("constant constant" in label for label in drawn)
    page.press("t")
    rows = page.page.locator(".twin th button").all_inner_texts()
    names = [label.rpartition(", ")[0] for label in drawn]
    assert all(name.removeprefix("constant ") in rows or name in rows for name in names)
    assert any(name.startswith("constant #") for name in names)


def test_a_finger_hits_a_cell_and_its_number_is_written(visit):
    y = tr.tensor(np.arange(48.0).reshape(1, 6, 8), requires_grad=True)
    page = visit(viewer.trace(lambda: tr.erf(y).sum()), size=PORTRAIT, touch=True)
    page.press("End")
    cells = page.page.locator(".part.contribution .cell")
    sides = cells.first.bounding_box()
    assert min(sides["width"], sides["height"]) >= 23
    cells.nth(10).scroll_into_view_if_needed()
    cells.nth(10).tap()
    assert page.text(".chooser span") == "[0, 1, 2]"
    assert page.text(".product")
    page.page.get_by_role("button", name="Next element").tap()
    assert page.text(".chooser span") == "[0, 1, 3]"
    with_mouse = visit(viewer.trace(lambda: tr.erf(y).sum()))
    with_mouse.press("End")
    assert with_mouse.page.locator(".part.contribution .cell").first.bounding_box()["width"] <= 12


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=str)
def test_help_can_be_closed_wherever_one_reads(visit, size):
    page = visit(viewer.trace(cases.residual()[0]), size=size, touch=True)
    page.page.get_by_role("button", name="Help").tap()
    page.page.locator("dialog summary", has_text="With a keyboard").tap()
    page.js("document.querySelector('.inside').scrollTop = 9999")
    assert page.js("document.querySelector('.inside').scrollTop") > 50
    seen = """() => { const close = document.querySelector('dialog header button'), b = close.getBoundingClientRect();
        return document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2) === close; }"""
    assert page.js(seen), "without scrolling back to it"
    page.page.get_by_role("button", name="Close", exact=True).tap(timeout=2000)
    assert page.page.get_by_role("dialog").count() == 0


def test_a_list_of_blocks_does_not_scroll_inside_the_page_on_a_phone(visit, tmp_path):
    lane = {
        "name": "a",
        "layers": [f"blocks.{i}" for i in range(40)],
        "steps": [0, 1],
        "skip_share": None,
        "loss": None,
    }
    run = {"lanes": [lane | {"log10": [[-1.0, -2.0]] * 40}]}
    page = visit(document(tmp_path, run), size=PORTRAIT, touch=True)
    room = "(e => [e.scrollHeight, e.clientHeight])(document.querySelector('.column'))"
    high, shown = page.js(room)
    assert high == shown
    wide = visit(document(tmp_path, run))
    high, shown = wide.js(room)
    assert high > shown, "beside the map it is as high as the map"


def test_long_names_break_after_their_dots(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=0", size=PORTRAIT, touch=True)
    page.js("document.querySelector('.symbols').style.width = '170px'")
    cell = page.page.locator(".symbols td", has_text="0.branch.0.weight")
    assert cell.locator("wbr").count() == 3
    words = """td => { const range = document.createRange(), seen = [];
        for (const node of td.childNodes) if (node.nodeType === 3 && /\\w/.test(node.data)) {
            range.selectNodeContents(node); seen.push(range.getClientRects().length); }
        return seen; }"""
    assert set(cell.first.evaluate(words)) == {1}, "no word is on two lines"
