"""The page between a turned knob and its picture: nothing is said of one setting beside the knobs of another."""

from __future__ import annotations

import time

import pytest

from tests.play import page_messages as m
from tests.play.pages import game, net
from tests.play.test_browser import Visit
from tinyres.play.labs import LABS
from tinyres.play.messages import full
from tinyres.play.messages import hello as real_hello

pytestmark = pytest.mark.browser

# What somebody can read of a picture, or hear of it: words in it, under it and beside its title.
WORDS = """[...document.querySelectorAll(
    '.shown :is(.finding, .source, .legend, .now, .chooser p, .modes, .chart text)')]
    .filter((e) => e.checkVisibility({visibilityProperty: true})).map((e) => e.textContent)"""
HEARD = "[...document.querySelectorAll('.shown svg.chart')].map((e) => e.getAttribute('aria-label'))"


def said_to_compute(page):
    page.until(f"({WORDS}).length === 0")  # a live knob has a moment of grace
    assert page.js("document.querySelector('.shown').getAttribute('aria-busy')") == "true"
    assert all(label.endswith(": computing …") for label in page.js(HEARD))
    signs = page.page.locator(".awaited")
    assert signs.count() == page.page.locator(".shown .panel").count() - page.page.locator(".veil").count()
    assert all(sign.is_visible() and sign.inner_text() == "computing …" for sign in signs.all())
    dim = "[...document.querySelectorAll('.shown svg.chart')].map((e) => +getComputedStyle(e).opacity)"
    assert max(page.js(dim)) < 0.5
    return True


def said_to_be_there(page):
    assert page.js(WORDS)
    assert page.page.locator(".awaited").count() == 0
    assert page.js("document.querySelector('.shown').getAttribute('aria-busy')") == "false"
    return not any("computing" in label for label in page.js(HEARD))


def test_another_architecture_is_said_to_be_computed_until_its_picture_is_there(visit):
    page = net(visit, kind="plain")
    page.push({"type": "setting", "lab": "net", "setting": m.setting(m.NET_KNOBS, architecture="plain", depth=8)})
    assert said_to_be_there(page)
    places = "[...document.querySelectorAll('.shown, .panel')].map((e) => JSON.stringify(e.getBoundingClientRect()))"
    before = page.js(places)
    page.page.get_by_label("Architecture").select_option(label="Residual")
    page.drawn()
    assert page.js(WORDS) == [], "at once"
    assert page.js(places) == before, "nothing moves"
    assert said_to_compute(page)
    assert page.text(".transport .step") == "step –"
    ask = page.state("ask")
    page.push(m.frame(31, 8, kind="plain", ask=ask - 1))
    assert said_to_compute(page), "a step of the run before"
    page.push(m.start(8, run=2, ask=ask))
    assert said_to_compute(page), "a run without a picture"
    assert page.state("setting.architecture") == "residual"
    page.push(m.frame(0, 8, run=2, ask=ask))
    assert said_to_be_there(page)
    page.page.get_by_label("Architecture").select_option(label="Plain")
    page.push({"type": "setting", "lab": "net", "setting": m.setting(m.NET_KNOBS), "ask": page.state("ask")})
    page.push(m.frame(0, 8, run=2, ask=page.state("ask")))
    assert page.state("setting.architecture") == "residual", "it was refused: the knob goes back, and the picture stays"
    assert said_to_be_there(page)


def test_starting_anew_and_a_slow_live_knob_are_said_to_be_computed(visit):
    page = net(visit)
    page.press("r")
    assert said_to_compute(page)
    page.push(m.start(8, run=2, ask=page.state("ask")), m.frame(0, 8, run=2, ask=page.state("ask")))
    assert said_to_be_there(page)
    page.page.locator("#knob-lr").fill("0.5")
    page.page.locator("#knob-lr").press("Enter")
    assert said_to_compute(page)
    assert page.text(".transport .step") == "step 0", "the run goes on"
    page.push(m.frame(0, 8, run=2, ask=page.state("ask"), turned={"lr": 0.5}))
    assert said_to_be_there(page)


def test_what_answers_in_time_does_not_flicker(visit):
    """A live knob's picture has a moment to come before the old one is dimmed; a run that starts anew has none."""
    page = net(visit)
    delays = """['.shown .finding', '.shown svg.chart', '.awaited'].map((what) => {
        const style = getComputedStyle(document.querySelector(what));
        return [style.transitionDelay, style.animationDelay].map(parseFloat).reduce((a, b) => Math.max(a, b)); })"""
    page.page.locator("#knob-lr").fill("0.5")
    page.page.locator("#knob-lr").press("Enter")
    page.drawn()
    assert page.js(delays) == [0.15] * 3
    page.page.get_by_label("Architecture").select_option(label="Plain")
    page.drawn()
    assert page.js(delays) == [0] * 3


def test_a_story_has_its_own_knobs_at_once(visit):
    page = net(visit)
    page.press("s")
    page.button("Fifty-six layers, no skip", exact=False).click()
    page.drawn()
    assert page.page.locator("#knob-depth").input_value() == "56"
    assert page.page.locator("#knob-architecture option:checked").inner_text() == "Plain"
    assert "Computing the first step …" in page.text("main")
    late = [m.start(12, run=2, ask=0), m.frame(0, 12, run=2, ask=0)]
    page.push(
        m.frame(31, 8, ask=0), {"type": "setting", "lab": "net", "setting": m.setting(m.NET_KNOBS), "ask": 0}, *late
    )
    assert page.page.locator("#knob-depth").input_value() == "56", "what was asked before comes too late"
    assert page.page.locator(".shown").count() == 0
    ask = page.state("ask")
    page.push(m.start(56, run=3, kind="plain", ask=ask), m.frame(0, 56, run=3, kind="plain", ask=ask))
    assert page.page.locator(".block").count() == 56


def test_the_other_lab_and_an_address_have_their_own_knobs_at_once(visit):
    page = net(visit)
    page.click("Two players")
    assert page.page.locator("#knob-target").count() == 1
    assert page.state("setting") == m.setting(m.GAME_KNOBS)
    page.js("location.hash = '#lab=net&depth=12&norm=true&zoo=1&width=x'")
    page.drawn()
    assert page.state("setting") == m.setting(m.NET_KNOBS, depth=12, norm=True), (
        "what no knob can show is the engine's matter"
    )


def test_the_law_and_the_knobs_are_those_of_the_step(visit):
    page = visit().push(m.hello(), m.start(8, branch_scale=0.2), m.frame(0, 8, gradient=[2.0] * 8))
    law = {"name": "Depth law", "formula": "other", "source": "s", "gradient": [724.0, *[1.0] * 7], "signal": None}
    before = (page.text(".depth .finding"), page.text(".depth .source"))
    page.push(m.frame(1, 8, gradient=[2.0] * 8, law=law, turned={"branch_scale": 1.0}))
    assert "says 724 times" in page.text(".depth .finding")
    assert page.text(".depth .source").startswith("Depth law: other")
    assert page.page.locator(".depth .signal .law").count() == 0
    assert page.state("setting.branch_scale") == 1.0
    page.push(m.frame(0, 8, gradient=[2.0] * 8) | {"history": None})
    assert (page.text(".depth .finding"), page.text(".depth .source")) == before
    assert page.state("setting.branch_scale") == 0.2
    page.js("wire.made.close()")
    page.drawn()
    page.press("ArrowLeft")
    assert page.state("setting.branch_scale") == 1.0, "also when the server is gone"


def test_a_dragged_knob_is_announced_once(visit):
    page = net(visit)
    page.until("document.querySelector('p.hidden[role=status]').innerText.startsWith('Step 30')")
    time.sleep(0.8)
    page.js("""() => { window.told = []; const status = document.querySelector('p.hidden[role=status]');
        new MutationObserver(() => told.push(status.innerText))
        .observe(status, {subtree: true, childList: true, characterData: true}); }""")
    slider = page.page.get_by_role("slider", name="Branch scale")
    slider.focus()
    for k in range(20):
        page.press("ArrowLeft")
        page.push(m.frame(30, 8, gradient=[2.0 + k] * 8, loss=0.1 * (k + 1), ask=page.state("ask")))
    time.sleep(1)
    told = page.js("told")
    assert len(told) <= 2, told
    assert "loss 2," in told[-1], "the last is told"


def test_computing_is_announced_if_it_takes_a_while(visit):
    page = net(visit)
    page.press("r")
    page.until("document.querySelector('p.hidden[role=status]').innerText === 'Computing the first step …'")


@pytest.mark.parametrize("lab", ["net", "game"])
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=str)
def test_labels_and_choices_of_the_real_knobs_fit(visit, lab, size):
    """An arrow stands on the line of its label, and no choice is cut."""
    page = visit(size=size)
    page.push(real_hello(lab, full(lab, {})))
    if size[0] < 900:
        page.click("Knobs")
    page.push({"type": "setting", "lab": lab, "setting": full(lab, {"penalty": "r1"} if lab == "game" else {})})
    tall = page.js("""[...document.querySelectorAll('.knob > label')]
        .filter((e) => e.getBoundingClientRect().height > 30).map((e) => e.innerText)""")
    assert tall == []
    cut = page.js("""[...document.querySelectorAll('.knob select')].flatMap((select) => {
        const brush = document.createElement('canvas').getContext('2d'), style = getComputedStyle(select);
        brush.font = style.font;
        const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 16;
        return [...select.options].map((o) => o.text).filter((text) => brush.measureText(text).width > room); })""")
    assert cut == []


def test_what_was_measured_is_called_so_without_a_guess(visit):
    page = net(visit, 56)
    page.press("s")
    page.button("Fifty-six layers, no skip", exact=False).click()
    page.push(m.start(56, run=2, kind="plain"), m.frame(0, 56, run=2, kind="plain"))
    page.click("Show it without a guess")
    said = list(filter(None, page.text(".answer").split("\n")))
    assert said == ["Measured", "2.5·10⁻⁶", "Nothing that could move a weight."]


def test_how_many_layers_a_block_has_is_said(visit):
    page = net(visit)
    start = m.start(27, run=2)
    for block in start["net"]["blocks"]:
        block["layers"] = 2
    page.push(start, m.frame(0, 27, run=2))
    assert page.text(".net .source") == "27 blocks of 2 layers each, between the first layer and the head."
    page.press("?")
    assert "27 blocks of two" in page.text("dialog")


def test_the_game_says_of_which_step_its_gradient_is(visit):
    page = game(visit)
    assert page.text(".probe .finding").startswith(
        "In the step that led here, the gradient that reached G had the norm"
    )


BASES = [("net", {"depth": 6, "width": 8, "batch": 16}), ("game", {"target": "ring8", "batch": 32, "penalty": "r1"})]
LIVE = [(lab, base, knob.name) for lab, base in BASES for knob in LABS[lab].knobs if knob.live]
VALUES = {"skip": 0.5, "branch": 1.0, "lr": 0.5, "loss": "saturating", "penalty": "gp", "weight": 7.0, "lr_g": 0.5,
          "lr_d": 0.5}  # fmt: skip


@pytest.mark.parametrize(("lab", "base", "name"), LIVE)
def test_a_page_whose_knob_was_turned_is_the_page_that_opens_so(browser, server, lab, base, name):
    """All that stands on it: knobs, numbers, lines and sentences, what is told to those who listen, and the script."""
    turned, fresh = (
        Visit(browser, server.address, lab, base),
        Visit(browser, server.address, lab, base | {name: VALUES[name]}),
    )
    try:
        before = everything(turned)
        field = turned.page.locator(f"#knob-{name}")
        if isinstance(VALUES[name], str):
            value = [v for v, _ in next(k for k in LABS[lab].knobs if k.name == name).choices].index(VALUES[name])
            field.select_option(str(value))
        else:
            field.fill(str(VALUES[name]))
            field.press("Enter")
        turned.until("s.seen.frame.ask === s.ask")
        end = time.monotonic() + 10
        while (found := everything(turned)) != (expected := everything(fresh)):
            assert time.monotonic() < end, (found, expected)
        assert found != before
    finally:
        turned.close()
        fresh.close()


def everything(page):
    page.page.mouse.move(0, 0)
    shown = page.js("""() => { const s = tinyresPlay.state();
        return [...document.querySelectorAll('.shown, .knobs fieldset, .transport')].map((e) => e.outerHTML
            .replace(/ (id|tabindex|aria-invalid)="[^"]*"/g, '')).concat(
            [...document.querySelectorAll('.knobs input, .knobs select')].map((e) => e.value),
            [...document.querySelectorAll('canvas')].map((c) => c.toDataURL()),
            [location.hash, JSON.stringify(s.setting)]); }""")
    page.js("() => document.activeElement.blur()")
    page.page.keyboard.press("p")
    page.until("s.dialog === 'script'")
    script = page.page.locator("dialog pre").inner_text()
    page.page.keyboard.press("Escape")
    page.until("s.dialog === null")
    return [*shown, script]
