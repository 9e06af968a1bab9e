"""The playground's page in a real browser: steps, knobs, stories, links, and what may go wrong."""

from __future__ import annotations

import time

import pytest

from tests.play import page_messages as m
from tests.play.pages import game, net

pytestmark = pytest.mark.browser


def test_transport(visit):
    page = net(visit)
    page.sent()
    page.click("Play")
    page.push(m.frame(31, 8, playing=True))
    assert page.button("Pause").count() == 1
    page.click("Pause")
    page.push(m.frame(32, 8))
    page.press("ArrowRight", "ArrowLeft", "Home", "End", "r")
    page.click("One step back")
    page.push(m.frame(0, 8))
    back = page.button("One step back")
    assert back.get_attribute("aria-disabled") == "true"
    assert back.evaluate("e => e === document.activeElement"), "at the end it keeps the focus"
    back.click(force=True)
    page.page.get_by_label("Speed").select_option(label="10 steps/s")
    slider = page.page.get_by_role("slider", name="Step")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "500"), "what the ring holds"
    slider.fill("77")
    assert page.sent() == [
        {"type": "play"}, {"type": "pause"}, {"type": "step", "by": 1}, {"type": "step", "by": -1},
        {"type": "seek", "step": 0}, {"type": "seek", "step": 500}, {"type": "reset"}, {"type": "step", "by": -1},
        {"type": "speed", "steps_per_second": 10}, {"type": "seek", "step": 77},
    ]  # fmt: skip


@pytest.mark.parametrize("keys", [" ", "ArrowLeft", "ArrowRight", "Home", "r"])
def test_a_picture_on_its_way_does_not_undo_a_pause(visit, keys):
    """Everything that stops a run: the button goes by it, until the run has heard of it."""
    page = net(visit)
    label = lambda: page.page.locator(".play").get_attribute("aria-label")
    page.press(" ")
    page.push(m.frame(30, 8, ask=1))
    assert label() == "Pause", "the picture is older than the wish to play"
    plays = page.state("moved")
    page.push(m.frame(31, 8, playing=True, ask=plays))
    page.press(keys)
    assert label() == "Play"
    page.push(m.frame(32, 8, playing=True, ask=plays))
    assert (label(), page.state("seen.frame.step")) == ("Play", 32), "it is shown all the same"
    page.press(" ")
    assert label() == "Pause"
    page.push(m.frame(33, 8, ask=page.state("moved") - 1))
    assert label() == "Pause"
    page.push(m.frame(34, 8, ask=page.state("moved")))
    assert label() == "Play", "the run has heard of it, and stopped by itself"


def test_before_the_line_is_open_nothing_plays(visit):
    page = net(visit)
    page.js("wire.made.close()")
    page.drawn()
    page.js("() => { window.WebSocket = class { close() {} }; }")
    page.click("Connect again")
    page.press(" ")
    assert page.page.locator(".play").get_attribute("aria-label") == "Play"


def test_ready_is_said_of_what_is_drawn(visit):
    page = net(visit)
    assert page.sent("ready") == [{"type": "ready", "step": 30}]
    page.push(m.frame(31, 8, playing=True))
    assert page.sent("ready") == [{"type": "ready", "step": 31}]


def test_a_knob_is_sent_at_once_and_a_drag_in_few_messages(visit):
    page = net(visit)
    page.sent()
    page.page.get_by_label("Architecture").select_option(label="Plain")
    page.page.get_by_role("checkbox").check()
    time.sleep(0.1)
    assert page.sent() == [
        {"type": "set", "values": {"architecture": "plain"}},
        {"type": "set", "values": {"norm": True}},
    ]
    slider = page.page.get_by_role("slider", name="Lr")
    slider.focus()
    for _ in range(40):
        page.page.keyboard.press("ArrowRight")
    time.sleep(0.1)
    values = [message["values"]["lr"] for message in page.sent()]
    assert values == sorted(set(values))
    assert values[-1] > 0.01
    assert page.js("location.hash").endswith(f"lr={page.state('setting.lr')}&data=moons&seed=0")


def test_every_arrow_key_turns_an_integer(visit):
    page = net(visit)
    slider = page.page.get_by_role("slider", name="Depth")
    slider.focus()
    seen = [8]
    for _ in range(3):
        page.press("ArrowRight")
        seen.append(page.state("setting.depth"))
    assert seen == sorted(set(seen))
    page.press("Home")
    assert page.state("setting.depth") == 2
    page.press("End")
    assert page.state("setting.depth") == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "Depth goes from 2 to 200; 0 does not."),
        ("10000", "10000 does not"),
        ("1.5", "whole number"),
        ("x", "“x” is none"),
    ],
)  # fmt: skip
def test_what_no_knob_can_be_is_not_sent(visit, text, said):
    page = net(visit)
    page.sent()
    field = page.page.locator("#knob-depth")
    field.fill(text)
    field.press("Enter")
    assert said in page.text(".knob [role=alert]")
    assert page.sent() == []
    assert field.input_value() == "8", "it is as before"
    field.fill("40")
    field.press("Enter")
    assert page.page.locator(".knob [role=alert]").count() == 0
    assert page.sent() == [{"type": "set", "values": {"depth": 40}}]


def test_knobs_say_when_they_start_anew_and_hide(visit):
    page = net(visit)
    labels = lambda: page.page.locator(".knob label").all_inner_texts()
    assert "Gate bias" not in " ".join(labels())
    assert page.page.locator(".knob", has=page.page.locator("#knob-depth")).locator(".anew").count() == 1
    assert page.page.locator(".knob", has=page.page.locator("#knob-lr")).locator(".anew").count() == 0
    page.page.locator("#knob-lr").focus()
    assert "What lr does, in a sentence. Acts in the next step." in page.text(".about")
    page.push({"type": "setting", "lab": "net", "setting": m.setting(m.NET_KNOBS, architecture="highway")})
    assert "Gate bias" in " ".join(labels())
    assert "Branch scale" not in " ".join(labels())


def test_a_knob_that_is_being_turned_does_not_jump_back(visit):
    page = net(visit)
    page.page.locator("#knob-lr").fill("0.5")
    page.page.locator("#knob-lr").press("Enter")
    ask = page.state("ask")
    page.push(m.start(8, run=2, lr=0.01, width=32) | {"ask": ask - 1})
    time.sleep(1)
    page.push({"type": "setting", "lab": "net", "setting": m.setting(m.NET_KNOBS, lr=0.03), "ask": ask - 1})
    assert page.state("setting.lr") == 0.5, "however long the answer takes"
    page.push(m.start(8, run=3, lr=0.02) | {"ask": ask})
    assert page.state("setting.lr") == 0.02


def test_frames_of_another_run_are_not_shown(visit):
    page = net(visit)
    page.push(m.start(8, run=2), m.frame(99, 8, run=1), m.game_frame(3, run=2))
    assert page.state("seen.frame.step") == 30
    page.push(m.frame(0, 8, run=2))
    assert page.state("seen.frame.step") == 0
    page.push({"type": "of another version", "x": 1})


def test_the_address_holds_the_whole_setting(visit):
    page = visit(fragment="#lab=game&target=dirac&lr=0.25")
    page.push(m.hello("game"), m.game_start(target="dirac", lr=0.25), m.game_frame(0))
    asked = page.sent()[0]
    assert asked == {"type": "hello", "lab": "game", "setting": {"target": "dirac", "lr": 0.25}}
    expected = "#lab=game&target=dirac&loss=nonsaturating&lr=0.25"
    assert page.js("location.hash") == expected
    page.js("location.hash = '#lab=net&depth=12&norm=true'")
    assert page.sent() == [{"type": "hello", "lab": "net", "setting": {"depth": 12, "norm": True}}]
    page.page.locator(".menu summary").click()
    page.click("Link to this setting")
    assert page.text("dialog pre") == page.js("location.hash")


def test_a_story_asks_before_it_shows(visit):
    page = net(visit, 56)
    page.sent()
    page.press("s")
    card = page.button("Fifty-six layers, no skip", exact=False)
    asked = "Of the gradient at the last block, what reaches the first?"
    assert card.inner_text().split("\n")[-2:] == [asked, "He et al. 2016"]
    card.click()
    assert page.sent() == [{"type": "story", "name": "plain56"}]
    page.push(m.start(56, run=2, kind="plain"), m.frame(0, 56, run=2, kind="plain"))
    assert page.page.locator(".veil").count() == 2, "the chart, and the map that shows the same"
    assert page.page.locator(".finding").count() == 0
    page.until("document.querySelector('p[role=status]').innerText === 'Step 0'")  # nobody hears it either
    assert page.page.locator(".depth svg.chart").get_attribute("aria-label") == "Over depth: shown after your guess"
    assert page.button("Save “Over depth” as SVG").get_attribute("aria-disabled") == "true", "nor saves it"
    assert page.text(".story .source") == "He et al. 2016", "a title may tell the answer"
    fills = page.page.locator(".block rect:not(.outline)").evaluate_all("all => all.map(r => r.getAttribute('fill'))")
    assert set(fills) == {"var(--raised)"}
    page.page.get_by_role("slider", name="Of the gradient").fill("100")
    page.button("I say", exact=False).click()
    page.drawn()
    assert list(filter(None, page.text(".answer").split("\n"))) == [
        "You said",
        "3.2·10⁻⁵",
        "Measured",
        "2.5·10⁻⁶",
        "Nothing that could move a weight.",
    ]
    assert page.page.locator(".veil").count() == 0
    answer, bar = (page.page.locator(where).bounding_box() for where in (".answer", ".transport"))
    assert answer["y"] >= bar["y"] + bar["height"], "the picture came into view, and the answer stayed there"
    assert page.text(".story .source") == "He et al. 2016, Deep residual learning"
    assert page.page.locator(".story a").get_attribute("href") == "https://arxiv.org/abs/1512.03385"
    assert "story=plain56" in page.js("location.hash")


def test_a_story_with_buttons_by_its_link(visit):
    page = game(visit, fragment="#lab=game&story=circling")
    assert page.page.locator(".orbit .veil").count() == 1
    page.click("They meet")
    assert "They meet" in page.text(".answer")
    assert "They never meet" in page.text(".answer")
    page.click("End the story")
    assert "story" not in page.js("location.hash")


def test_notices_and_their_mend(visit):
    page = net(visit)
    page.sent()
    mend = {"label": "Take 200", "message": {"type": "set", "values": {"depth": 200}}}
    page.push({"type": "notice", "level": "warning", "text": "Depth goes to 200.", "mend": mend})
    page.click("Take 200")
    assert page.sent() == [mend["message"]]
    assert page.page.locator(".notice").count() == 0


def test_a_divergence_offers_the_way_back(visit):
    page = net(visit)
    text = "The run diverged at step 31: blocks.3 was the first."
    page.push(m.frame(31, 8, loss="NaN", diverged={"step": 31, "layer": "blocks.3", "text": text}))
    assert text in page.text(".notice")
    page.sent()
    page.click("Go back to step 30")
    assert page.sent() == [{"type": "seek", "step": 30}]
    mend = {"label": "Go back to step 21", "message": {"type": "seek", "step": 21}}
    page.push({"type": "notice", "level": "error", "text": text, "mend": mend})
    assert page.page.locator(".notice").count() == 1, "said once"
    page.click("Go back to step 21")
    page.push(m.frame(21, 8) | {"history": None})
    assert page.page.locator(".notice").count() == 0


def test_after_a_choice_by_pointer_letters_are_shortcuts(visit):
    """By keys, a letter looks for an entry of the list, as the browser has it."""
    page = net(visit)
    lists = page.page.locator("select")
    chosen = """(list, pointer) => {
        list.focus();
        const event = pointer ? new PointerEvent("pointerdown", { bubbles: true, composed: true })
            : new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true, composed: true });
        list.dispatchEvent(event);
        list.selectedIndex = 1;
        list.dispatchEvent(new Event("change", { bubbles: true }));
        return list === document.activeElement;
    }"""
    assert lists.count() > 1
    for list_ in lists.all():
        if list_.is_visible():
            assert list_.evaluate(chosen, False)
            assert not list_.evaluate(chosen, True)
    page.press("s")
    assert page.page.get_by_role("dialog").count() == 1, "S opens the stories"
