"""The playground by touch, by ear and in forced colours."""

from __future__ import annotations

import pytest

from tests.play import page_messages as m
from tests.play.pages import net

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.innerText || document.activeElement.getAttribute('aria-label')"


@pytest.mark.parametrize(
    ("name", "key"), [("Stories", "Enter"), ("Help", "Enter"), ("Play", "s"), ("Play", "?"), ("Keep", "link")]
)
def test_a_dialog_gives_the_focus_back(visit, name, key):
    page = net(visit)
    opener = page.page.locator("summary, button", has_text=name).first
    opener.focus()
    if key == "link":
        page.press("Enter")
        page.button("Link to this setting").focus()
        page.press("Enter")
    else:
        page.press(key)
    assert page.page.get_by_role("dialog").count() == 1
    page.press("Escape")
    assert page.page.get_by_role("dialog").count() == 0
    page.until("document.activeElement !== document.body")
    assert opener.evaluate("e => e === document.activeElement"), page.js(FOCUSED)


def test_the_program_that_the_engine_sends_gives_the_focus_back(visit):
    page = net(visit)
    summary = page.page.locator(".menu summary")
    summary.focus()
    page.press("Enter")
    page.button("As Python").focus()
    page.press("Enter")
    page.push({"type": "script", "text": "print(1)"})
    assert page.page.get_by_role("dialog", name="As Python").count() == 1
    page.press("Escape")
    page.until("document.activeElement.tagName === 'SUMMARY'")


def test_a_pause_says_where_it_is(visit):
    page = net(visit)
    heard = lambda: page.js("document.querySelector('#play > [role=status]').textContent")
    page.press(" ")
    page.push(m.frame(31, 8, playing=True), m.frame(32, 8, playing=True))
    page.press(" ")
    page.push(m.frame(33, 8))
    page.until("document.querySelector('#play > [role=status]').textContent.startsWith('Paused at step 33: loss ')")
    page.page.wait_for_timeout(800)
    page.push(m.frame(34, 8))
    page.until("document.querySelector('#play > [role=status]').textContent.startsWith('Step 34: loss ')")
    assert "Paused" not in heard(), "once"


def test_the_buttons_that_move_are_one_stop(visit):
    page = net(visit)
    controls = page.page.get_by_role("toolbar", name="Move through the steps").locator("button")
    stops = controls.evaluate_all("all => all.map(e => e.tabIndex)")
    assert sorted(stops, reverse=True) == [0] + [-1] * (len(stops) - 1)
    controls.first.focus()
    page.sent()
    page.press("ArrowRight")
    assert controls.nth(1).evaluate("e => e === document.activeElement")
    assert page.sent("step") == [], "no step was made meanwhile"


def test_every_row_of_buttons_is_a_toolbar_and_one_stop(visit):
    page = net(visit)
    named = [toolbar.get_attribute("aria-label") for toolbar in page.page.get_by_role("toolbar").all()]
    rows = {"Lab, stories, files and help", "Move through the steps", "Colour of the blocks", "Save “Loss”"}
    assert rows <= set(named)
    assert len(set(named)) == len(named), "each has a name of its own"
    stops = """all => all.map(row => [...row.querySelectorAll("button:not(details *), select, summary")]
        .filter(control => control.tabIndex === 0).length)"""
    assert set(page.page.locator("[role=toolbar]").evaluate_all(stops)) == {1}
    alone = "all => all.filter(b => b.parentElement.querySelectorAll(':scope > button').length > 1).length"
    assert page.page.locator("header button:not([role=toolbar] *)").evaluate_all(alone) == 0


def test_the_arrows_pass_the_closed_list_and_tab_goes_into_the_open_one(visit):
    page = net(visit)
    page.press("Tab", "Tab")  # past the way to the pictures
    here = "document.activeElement.textContent"
    row = [page.js(here)]
    for _ in range(12):
        page.press("ArrowRight")
        row.append(page.js(here))
        if row[-1] == row[0]:
            break
    assert row[-1] == row[0], "from the last to the first"
    assert "Keep" in row
    assert "Link to this setting" not in row
    while page.js(here) != "Keep":
        page.press("ArrowRight")
    page.press("Enter", "Tab")
    assert page.js(here) == "Link to this setting"
    page.press("Shift+Tab")
    assert page.js(here) == "Keep", "the row still has its stop"


@pytest.mark.parametrize("touch", [False, True])
def test_a_finger_is_told_of_fingers(visit, touch):
    page = net(visit, touch=touch)
    told = page.text(".chooser p")
    assert ("Tap" in told) == touch
    assert ("arrow keys" in told) != touch
    page.press("?")
    assert page.page.locator("dialog table", has_text="Space").is_visible() is not touch
    assert page.page.locator("dialog table", has_text="Tap the net").is_visible()


def test_help_names_what_the_view_has(visit):
    """What is done to the net cannot be done to two players; the rest holds for both."""
    page = visit().push(m.hello(), m.start(8), m.frame(3, 8))
    listed = "[...document.querySelectorAll('dialog th')].map((e) => e.innerText.trim())"
    ways = []
    for _ in range(2):
        page.press("?")
        ways.append(page.js(listed))
        page.press("Escape", "l")
        page.push(m.game_start(run=2), m.game_frame(3, run=2))
    of_a_net, of_two = ways
    assert [way for way in of_a_net if way not in of_two] == ["B I G D", "Tap the net", "Drag sideways"]
    assert [way for way in of_a_net if way in of_two] == of_two
    page.press("l")
    view = page.state("view")
    page.press("l", "g")
    assert page.state("view") == view, "and the keys that it does not name do nothing"


def test_under_the_knobs_stands_nothing_of_a_knob_that_is_gone(visit):
    page = net(visit)
    page.page.locator("#knob-depth").focus()
    page.drawn()
    assert page.text(".about").startswith("Depth. What depth does")
    page.click("Two players")
    assert "Depth" not in page.text(".about")
    assert "starts anew" in page.text(".about")


def test_help_can_be_closed_wherever_one_reads(visit):
    page = net(visit, size=(844, 390), touch=True)
    page.press("?")
    page.js("document.querySelector('.inside').scrollTop = 9999")
    assert page.js("document.querySelector('.inside').scrollTop") > 50
    seen = """() => { const close = document.querySelector('dialog header button'), b = close.getBoundingClientRect();
        return document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2) === close; }"""
    assert page.js(seen), "without scrolling back to it"
    page.click("Close")
    assert page.page.get_by_role("dialog").count() == 0


def test_choices_are_told_apart_in_forced_colours(visit):
    page = net(visit)
    page.page.emulate_media(forced_colors="active")
    ground = lambda selector: page.page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
    ink = lambda selector: page.page.locator(selector).first.evaluate("e => getComputedStyle(e).color")
    assert ground("[aria-pressed=true]") != ground("[aria-pressed=false]")
    page.push(m.frame(0, 8))
    assert ink(".icon[aria-disabled=true]") != ink(".icon[aria-disabled=false]")
