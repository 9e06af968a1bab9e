"""The pages with larger letters, as a reader sets them in the browser, and in little room: nothing is cut."""

import pytest

from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import viewer

pytestmark = pytest.mark.browser

CUT = """() => { const cut = [], seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text; (text = seen.nextNode()); ) {
        const range = document.createRange(), around = text.parentElement;
        if (!text.data.trim() || around.closest('.hidden, .jump, script, noscript, .scroll > svg, math')) continue;
        range.selectNodeContents(text);
        const { left, right, top, bottom, width } = range.getBoundingClientRect();
        if (!width) continue;
        const inside = (b) => left >= b.left - 1 && right <= b.right + 1 && top >= b.top - 1 && bottom <= b.bottom + 1;
        for (let box = around; box; box = box.parentElement) {
            const { textOverflow, overflowX } = getComputedStyle(box);
            if (textOverflow === 'ellipsis' || /auto|scroll/.test(overflowX)) break; // it says so, or scrolls
            const holds = box.matches('button, select, .tag, .part, .axis, .head, .scale, li, main, body');
            if (!holds || inside(box.getBoundingClientRect())) continue;
            cut.push([text.data, box.className || box.tagName]);
            break;
        }
    }
    return cut; }"""
SIZES = """() => [...document.querySelectorAll('h1, h2, h3, h4, p, button, select, figcaption, code, th, td, li,'
    + ' .tag, .layers span, .cell text, .node text')]
    .filter(e => e.textContent.trim() && e.getClientRects().length)
    .map(e => [e.className.baseVal ?? e.className, e.ownerSVGElement ? e.getBoundingClientRect().height
        : parseFloat(getComputedStyle(e).fontSize)])"""


def pages(visit, tmp_path, size, letters=16):
    """A step at a rejoin and a training, opened with letters of this size."""
    trace = viewer.trace(cases.residual()[0])
    for shown, fragment in ((trace, f"#step={trace.first['event']}"), (document(tmp_path, RUN), "")):
        page = visit(shown, fragment, size=size, touch=True)  # a tab of its own
        session = page.page.context.new_cdp_session(page.page)
        session.send("Page.setFontSizes", {"fontSizes": {"standard": letters}})
        page.page.reload()
        page.until("window.tinyres?.ready")
        assert page.js("getComputedStyle(document.documentElement).fontSize") == f"{letters}px"
        yield page


@pytest.mark.parametrize(
    ("width", "letters"), [(288, 16), *((width, letters) for width in (360, 390, 1280) for letters in (16, 20, 24))]
)
def test_nothing_is_cut(visit, tmp_path, width, letters):
    for page in pages(visit, tmp_path, (width, 800), letters):
        assert page.js("document.documentElement.scrollWidth <= innerWidth")
        assert page.js("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('main'))")
        assert page.js(CUT) == []
        if page.page.locator(".trace").count():
            page.press("t")
            assert page.js(CUT) == []


def test_all_text_grows_with_the_letters_of_the_browser(visit, tmp_path):
    small = [page.js(SIZES) for page in pages(visit, tmp_path, (1280, 1400), 16)]
    for before, page in zip(small, pages(visit, tmp_path, (1920, 2100), 24), strict=True):
        after = page.js(SIZES)
        assert [name for name, _ in after] == [name for name, _ in before]
        grown = {name: after[i][1] / size for i, (name, size) in enumerate(before)}
        assert grown == pytest.approx(dict.fromkeys(grown, 1.5), rel=0.06)


def test_in_little_room_the_graph_keeps_its_share_and_numbers_their_size(visit, tmp_path):
    """A phone whose letters are half as large again."""
    step, run = pages(visit, tmp_path, (260, 563))
    assert step.page.locator(".around").bounding_box()["height"] >= 0.2 * 563
    assert step.page.locator(".step").bounding_box()["height"] >= 0.3 * 563
    sizes = """[...document.querySelectorAll('.cell text')].map(t => t.getCTM().a * 11)"""
    assert min(step.js(sizes)) >= 9
    scale = run.page.locator(".scale").bounding_box()
    ends = run.page.locator(".scale span").evaluate_all("all => all.map(e => e.getBoundingClientRect().right)")
    assert max(ends) <= scale["x"] + scale["width"] + 0.5 <= 260


CONTROL = """() => { const e = document.activeElement;
    if (!e.matches('button, select, input, summary')) return [e.tagName, 'other', true];
    const { left, right, top, bottom } = e.getBoundingClientRect(), slack = e.type === 'range' ? 8 : 3;
    const seen = [left + slack, right - slack].every(x => [top + slack, bottom - slack].every(y => {
        const there = document.elementFromPoint(x, y);
        return there !== null && (e === there || e.contains(there)); }));
    const name = e.getAttribute('aria-label') || e.textContent.trim();
    return [name, e.closest('[role=toolbar]')?.className ?? '', seen]; }"""


@pytest.mark.parametrize("size", [(320, 225), (320, 256), (844, 390), (390, 844), (260, 563), (1280, 800)], ids=str)
def test_what_has_the_focus_is_wholly_in_view(visit, size):
    """Every stop of the Tab key, there and back, and along each row of buttons."""
    page = visit(viewer.trace(cases.residual()[0]), "#step=40", size=size)
    seen = []
    for key in ("Tab", "Shift+Tab"):
        for _ in range(40):
            page.press(key)
            if page.js("document.activeElement === document.body"):
                break
            seen.append(page.js(CONTROL))
            if seen[-1][1] != "other" and page.js("document.activeElement.closest('[role=toolbar]') !== null"):
                first = page.js("document.activeElement.outerHTML")
                for _ in range(12):
                    page.press("ArrowRight")
                    seen.append(page.js(CONTROL))
                    if page.js("document.activeElement.outerHTML") == first:
                        break
    assert [(name, room) for name, room, inside in seen if not inside] == []
    assert {"Forward", "Next event", "Help ?", "Next rejoin", "Next element"} <= {name for name, *_ in seen}
