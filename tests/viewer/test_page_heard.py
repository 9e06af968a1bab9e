"""The page by ear and in forced colours: what is announced, where the focus goes back to, what can be told apart."""

import pytest

from tests.viewer import cases
from tests.viewer.test_page_run import RUN, document
from tinyres import viewer

pytestmark = pytest.mark.browser

OPENERS = {  # how a dialog is opened, and what has the focus then and afterwards
    "button": (".tools button:has-text('{}')", "Enter"),
    "node": (".around [tabindex='0']", None),
    "panel": (".step", None),
    "row of the table": (".twin button[tabindex='0']", None),
}


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("name", "key"), [("Search", "/"), ("Help", "?")])
def test_a_dialog_gives_the_focus_back(visit, name, key, opener):
    page = visit(viewer.trace(cases.residual()[0]), "#step=5")
    if opener == "row of the table":
        page.press("t")
    where, pressed = OPENERS[opener]
    page.page.locator(where.format(name)).first.focus()
    page.js("window.before = document.activeElement")
    page.press(pressed or key)
    assert page.page.get_by_role("dialog", name=name if name == "Search" else "How to read this page").count() == 1
    page.press("Escape")
    assert page.page.get_by_role("dialog").count() == 0
    page.until("document.activeElement === window.before")


def test_what_was_found_keeps_the_focus(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=5")
    page.page.locator(".tools button:has-text('Search')").focus()
    page.press("Enter", "t", "a", "n", "h", "Enter")
    page.page.wait_for_timeout(50)
    assert page.js("document.activeElement.className") == "step"


def test_a_pause_says_where_it_is(visit):
    page = visit(viewer.trace(cases.residual()[0]), "#step=5")
    said = lambda: page.page.locator("#said").text_content()
    page.js("""() => { const said = document.getElementById('said'); window.heard = [];
        new MutationObserver(() => heard.push(said.textContent)).observe(said, { characterData: true, subtree: true,
            childList: true }); }""")  # fmt: skip
    page.press(" ")
    page.until("tinyres.step() >= 7")
    assert [words for words in page.js("heard") if words] == ["Playing"], "while it plays nothing interrupts"
    page.press(" ")
    step = page.step()
    assert said() == f"Paused at event {step + 1}: {page.text('.sentence')}"
    page.press("ArrowRight")
    assert said() == "", "the sentence itself is announced again"
    page.go(page.js("tinyres.state().step") + 10**6)
    last = page.step()
    page.go(last - 1)
    page.press(" ")
    page.until("!tinyres.state().playing")
    assert said().startswith(f"Paused at event {last + 1}: "), "so it is where it ends by itself"


def colours(page, selector):
    return page.page.locator(selector).first.evaluate(
        "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.color, s.borderColor]; }"
    )


def test_choices_and_ends_are_told_apart_in_forced_colours(visit, tmp_path):
    for shown, pages in (
        (viewer.trace(cases.residual()[0]), [".segments button"]),
        (document(tmp_path, RUN), []),
    ):
        page = visit(shown)
        page.page.emulate_media(forced_colors="active")
        for choice in pages:
            assert colours(page, f"{choice}[aria-pressed=true]")[0] != colours(page, f"{choice}[aria-pressed=false]")[0]
            off, on = (colours(page, f".icon[aria-disabled={state}]") for state in ("true", "false"))
            assert off[1] != on[1]
            page.press("t")
            current, other = (
                colours(page, f".twin tbody tr{which} th") for which in ("[aria-current]", ":not([aria-current])")
            )
            assert current[0] != other[0]
        style = page.js("""[...document.styleSheets].flatMap(s => [...s.cssRules])
            .filter(r => r.conditionText?.includes('forced-colors')).map(r => r.cssText).join(' ')""")  # fmt: skip
        assert "slider-runnable-track { border: 1px solid canvastext" in style.lower()
        bars = page.page.locator(".track i")
        if bars.count():
            assert colours(page, ".track i")[0] != colours(page, ".track")[0], "the bars keep their colours"
