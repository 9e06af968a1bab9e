"""The playground on a phone, by keyboard and by ear: where the focus goes, what stays in view, what is saved."""

from __future__ import annotations

import json
import xml.etree.ElementTree as tree

import pytest

from tests.play import page_messages as m
from tests.play.pages import FOLDER, game, net

pytestmark = pytest.mark.browser

FOCUSED = "document.activeElement.id || document.activeElement.className"


def test_a_story_by_keyboard_takes_the_focus_along(visit):
    page = net(visit, 56)
    page.press("s")
    page.button("Fifty-six layers, no skip", exact=False).focus()
    page.press("Enter")
    page.push(m.start(56, run=2, kind="plain"), m.frame(0, 56, run=2, kind="plain"))
    assert page.js(FOCUSED) == "question"
    assert page.page.locator("#question").get_attribute("aria-describedby") == "story-text"
    page.press("Tab", "Tab", "Enter")
    assert page.state("told") is True, "the answer is two tabs away"
    assert page.js(FOCUSED) == "answer"
    names = page.page.locator(".answer").get_attribute("aria-labelledby").split()
    assert "Nothing that could move a weight." in " ".join(page.text(f"#{name}") for name in names)
    page.click("End the story")
    assert page.js("document.activeElement.innerText").startswith("Stories")


@pytest.mark.parametrize("size", [(390, 844), (844, 390)], ids=str)
def test_knobs_on_a_phone_leave_the_chart_and_the_bar_in_view(visit, size):
    page = net(visit, size=size)
    assert not page.page.locator("#knob-depth").is_visible()
    page.js("scrollTo(0, 100)")
    page.click("Knobs")
    assert page.js("scrollY") == 100, "the page stays where it is"
    assert page.button("Knobs").get_attribute("aria-expanded") == "true"
    knob, play, sheet = (page.page.locator(s).bounding_box() for s in ("#knob-depth", ".play", ".knobs"))
    assert 0 <= play["y"] < knob["y"] < size[1]
    assert abs(sheet["y"] + sheet["height"] - size[1]) < 2
    assert sheet["y"] > 0.5 * size[1], "half of the window is for the picture"
    page.click("Close the knobs")
    assert not page.page.locator("#knob-depth").is_visible()


@pytest.mark.parametrize("how", ["Escape in a field", "Escape on the sheet", "its button"])
def test_the_focus_goes_into_the_knobs_and_back(visit, how):
    page = net(visit, size=(390, 844))
    page.button("Knobs").focus()
    page.press("Enter")
    assert page.js("document.activeElement.getAttribute('aria-label')") == "Close the knobs"
    page.press("Tab")
    assert page.js("document.activeElement.closest('.knob') !== null"), "the first knob is next"
    if how == "Escape in a field":
        page.page.locator("#knob-depth").focus()
        page.press("Escape")
    elif how == "Escape on the sheet":
        page.press("Escape")
    else:
        page.press("Shift+Tab", "Enter")
    assert page.state("sheet") is False
    assert page.js("document.activeElement.innerText") == "Knobs"


@pytest.mark.parametrize("told", [False, True])
def test_escape_ends_a_story_and_the_focus_goes_where_stories_begin(visit, told):
    page = game(visit, fragment="#lab=game&story=circling")
    assert page.state("story") is not None
    if told:
        page.click("They meet")
    page.press("Escape")
    assert page.state("story") is None
    assert page.js("document.activeElement.innerText").startswith("Stories")


def test_knobs_stand_beside_the_charts_where_there_is_room(visit):
    page = net(visit)
    assert page.page.locator("#knob-depth").is_visible()
    assert not page.button("Knobs").is_visible()


def test_a_tap_reads_a_block(visit):
    page = net(visit, size=(390, 844))
    box = page.page.locator(".net .drawing").bounding_box()
    page.js("""([x, y]) => document.elementFromPoint(x, y)
        .dispatchEvent(new MouseEvent('click', {bubbles: true, clientX: x, clientY: y}))""",
        [box["x"] + 0.9 * box["width"], box["y"] + 100])  # fmt: skip
    page.drawn()
    assert page.state("block") == 7
    assert "Block 8 of 8" in page.text(".chooser p")


def test_the_menu_closes_by_escape_and_by_a_press_elsewhere(visit):
    page = net(visit)
    opened = lambda: page.js("document.querySelector('.menu').open")
    summary = page.page.locator(".menu summary")
    summary.click()
    assert opened()
    page.press("Escape")
    assert not opened()
    assert page.js("document.activeElement.tagName") == "SUMMARY"
    summary.click()
    page.page.locator(".menu p").click()
    assert opened(), "a press inside leaves it open"
    page.page.locator("main").click(position={"x": 5, "y": 5})
    assert not opened()


@pytest.mark.parametrize(
    ("make", "title", "words", "keys"),
    [
        (net, "Over depth", ["gradient", "signal", "predicts"], 3),
        (net, "What the net says", ["class", "surer"], 2),
        (net, "Gradient over training", ["|gradient|"], 1),
        (game, "Losses", ["D", "G"], 2),
    ],
)  # fmt: skip
def test_a_saved_picture_has_its_legend(visit, tmp_path, make, title, words, keys):
    page = make(visit)
    with page.page.expect_download() as waiting:
        page.button(f"Save “{title}” as SVG").click()
    waiting.value.save_as(tmp_path / "saved.svg")
    root = tree.parse(tmp_path / "saved.svg").getroot()
    name = lambda element: element.tag.rpartition("}")[2]
    texts = [element.text for element in root if name(element) == "text"]
    assert set(words) <= set(texts)
    high = float(root.get("height"))
    left, top, *_ = map(float, root.get("viewBox").split())
    assert left <= -4, "no letter touches the edge"
    assert top <= -4
    ys = [float(element.get("y")) for element in root if name(element) == "text"]
    assert max(ys) < high
    shown = [
        e for e in list(root)[list(root).index(next(e for e in root if name(e) == "text")) - 2 :] if name(e) != "text"
    ]
    assert len(shown) >= keys


def recorded(tmp_path, steps):
    messages = [m.hello(), m.start(8), *(m.frame(step, 8) for step in range(steps))]
    data = json.dumps(messages).replace("<", "\\u003c")
    element = f'<script type="application/json" id="tinyres-play-data">{data}</script>'
    path = tmp_path / "kept.html"
    text = (FOLDER / "play.html").read_text(encoding="utf-8")
    path.write_text(text.replace("<!--tinyres-play-data-->", element), encoding="utf-8")
    return path


@pytest.mark.parametrize(("steps", "said"), [(1, "1 recorded picture"), (3, "3 recorded pictures")])
def test_a_kept_page_says_that_it_is_a_recording(visit, tmp_path, steps, said):
    page = visit(path=recorded(tmp_path, steps))
    assert page.text(".rate") == said
    notice = page.text(".notice")
    assert "cannot be turned" in notice
    assert "press Play" in notice
    page.press("?")
    helped = page.text("dialog")
    assert "start anew" not in helped
    assert "stories" not in helped
    assert "Tap the net" in helped
    page.press("Escape")
    assert (page.button("Play").get_attribute("aria-disabled") == "true") == (steps == 1), "nothing to play"
    page.js("document.querySelector('.play').click()")
    assert page.state("playing") == (steps > 1)
    if steps == 1:
        assert "over 1 step:" in page.page.locator("[data-panel=loss] svg.chart").get_attribute("aria-label")


def test_a_ratio_is_said_without_a_riddle(visit):
    page = net(visit, kind="plain")
    law = {"name": "χ", "formula": "", "source": "", "gradient": [1.0] * 8, "signal": None, "scatter": 5.3}
    start = m.start(8, kind="plain", run=2) | {"law": law}
    gradient = [2.6e-8, *[1.0] * 7]
    page.push(start, m.frame(0, 8, kind="plain", run=2) | {"gradient": gradient})
    told = page.text("[data-panel=depth] .finding")
    assert told.startswith("At block 1 the gradient is 2.6·10⁻⁸ of what it is at block 8. The law says it is as large;")
    assert "1/1" not in told
    assert "most lie within a factor of 5.3" in told


def test_modes_before_the_first_step_are_chance(visit):
    page = game(visit, steps=(0,))
    modes = {"found": 3, "of": 8}
    page.push(m.game_frame(0) | {"modes": modes})
    assert "3 of 8 modes hit by chance, before the first step" in page.text(".modes")
    page.push(m.game_frame(1) | {"modes": modes})
    assert "3 of 8 modes found" in page.text(".modes")
