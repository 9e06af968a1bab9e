"""The playground's page in a real browser: moving through the steps, knobs, stories, links, saving, and what may go wrong."""

from __future__ import annotations

import json
import time

import pytest

from tests.play import page_messages as m
from tests.play.pages import FOLDER, axe, browser, game, net, visit  # noqa: F401  # fixtures among them
from tests.viewer.test_page_access import found_by

pytestmark = pytest.mark.browser


def test_transport(visit):  # noqa: F811
    page = net(visit)
    page.sent()
    page.click("Play")
    page.push(m.frame(31, 8, playing=True))
    assert page.button("Pause").count() == 1
    page.click("Pause")
    page.push(m.frame(32, 8))
    page.press("ArrowRight", "ArrowLeft", "Home", "End", "r")
    page.click("One step back")
    page.page.get_by_label("Speed").select_option(label="10 steps/s")
    slider = page.page.get_by_role("slider", name="Step")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "500"), "what the ring holds"
    slider.fill("77")
    assert page.sent() == [
        {"type": "play"}, {"type": "pause"}, {"type": "step", "by": 1}, {"type": "step", "by": -1},
        {"type": "seek", "step": 0}, {"type": "seek", "step": 500}, {"type": "reset"}, {"type": "step", "by": -1},
        {"type": "speed", "steps_per_second": 10}, {"type": "seek", "step": 77},
    ]  # fmt: skip


def test_ready_is_said_of_what_is_drawn(visit):  # noqa: F811
    page = net(visit)
    assert page.sent("ready") == [{"type": "ready", "step": 30}]
    page.push(m.frame(31, 8, playing=True))
    assert page.sent("ready") == [{"type": "ready", "step": 31}]


def test_a_knob_is_sent_at_once_and_a_drag_in_few_messages(visit):  # noqa: F811
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


def test_every_arrow_key_turns_an_integer(visit):  # noqa: F811
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
)
def test_what_no_knob_can_be_is_not_sent(visit, text, said):  # noqa: F811
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


def test_knobs_say_when_they_start_anew_and_hide(visit):  # noqa: F811
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


def test_a_knob_that_is_being_turned_does_not_jump_back(visit):  # noqa: F811
    page = net(visit)
    page.page.locator("#knob-lr").fill("0.5")
    page.page.locator("#knob-lr").press("Enter")
    page.push(m.start(8, run=2, lr=0.01, width=32))
    assert (page.state("setting.lr"), page.state("setting.width")) == (0.5, 32)
    time.sleep(0.75)
    page.push(m.start(8, run=3, lr=0.02))
    assert page.state("setting.lr") == 0.02


def test_frames_of_another_run_are_not_shown(visit):  # noqa: F811
    page = net(visit)
    page.push(m.start(8, run=2), m.frame(99, 8, run=1), m.game_frame(3, run=2))
    assert page.state("seen.frame.step") == 30
    page.push(m.frame(0, 8, run=2))
    assert page.state("seen.frame.step") == 0
    page.push({"type": "of another version", "x": 1})


def test_the_address_holds_the_whole_setting(visit):  # noqa: F811
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


def test_a_story_asks_before_it_shows(visit):  # noqa: F811
    page = net(visit, 56)
    page.sent()
    page.press("s")
    page.button("Fifty-six layers, no skip", exact=False).click()
    assert page.sent() == [{"type": "story", "name": "plain56"}]
    page.push(m.start(56, run=2, kind="plain"), m.frame(0, 56, run=2, kind="plain"))
    assert page.page.locator(".veil").count() == 2, "the chart, and the map that shows the same"
    assert page.page.locator(".finding").count() == 0
    assert page.text("p[role=status]") == "Step 0", "nobody hears it either"
    assert set(
        page.page.locator(".block rect:not(.outline)").evaluate_all("all => all.map(r => r.getAttribute('fill'))")
    ) == {"var(--raised)"}
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
    assert page.page.locator(".story a").get_attribute("href") == "https://arxiv.org/abs/1512.03385"
    assert "story=plain56" in page.js("location.hash")


def test_a_story_with_buttons_by_its_link(visit):  # noqa: F811
    page = game(visit, fragment="#lab=game&story=circling")
    assert page.page.locator(".orbit .veil").count() == 1
    page.click("They meet")
    assert "They meet" in page.text(".answer")
    assert "They never meet" in page.text(".answer")
    page.click("End the story")
    assert "story" not in page.js("location.hash")


def test_notices_and_their_mend(visit):  # noqa: F811
    page = net(visit)
    page.sent()
    mend = {"label": "Take 200", "message": {"type": "set", "values": {"depth": 200}}}
    page.push({"type": "notice", "level": "warning", "text": "Depth goes to 200.", "mend": mend})
    page.click("Take 200")
    assert page.sent() == [mend["message"]]
    assert page.page.locator(".notice").count() == 0


def test_a_divergence_offers_the_way_back(visit):  # noqa: F811
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


def test_the_server_is_gone(visit):  # noqa: F811
    page = net(visit)
    page.push(m.frame(31, 8), m.frame(32, 8))
    page.js("wire.made.close()")
    page.drawn()
    assert "The server has gone. What it sent is still here" in page.text(".notice")
    assert page.page.locator("fieldset").get_attribute("disabled") is not None
    page.press("ArrowLeft")
    assert "step 31" in page.text(".transport .step")
    page.press("Home")
    assert "step 30" in page.text(".transport .step")
    page.sent()
    page.click("Connect again")
    hello = page.sent()[0]
    assert (hello["type"], hello["lab"], hello["setting"]["depth"]) == ("hello", "net", 8)
    assert page.page.locator(".notice").count() == 0


def test_saving(visit, tmp_path):  # noqa: F811
    page = net(visit)
    page.sent()

    def download(act):
        with page.page.expect_download() as waiting:
            act()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    svg = download(lambda: page.button("Save “Gradient over training” as SVG").click())
    assert svg.name == "tinyres-heat.svg"
    text = svg.read_text(encoding="utf-8")
    assert "data:image/png;base64," in text, "the map's pixels are in it"
    assert "var(--" not in text
    assert " class=" not in text
    png = download(lambda: page.button("Save “Over depth” as PNG").click())
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(set(png.read_bytes())) > 200, "a picture, not a blank"
    for name, what in (("Figures as CSV", "csv"), ("Figures as JSON", "json"), ("Page (opens", "page")):
        page.page.locator(".menu summary").click()
        page.button(name, exact=False).click()
        assert page.sent() == [{"type": "save", "what": what}]
    table = {"type": "table", "name": "net.csv", "format": "csv", "text": "step,loss\n0,NaN\n"}
    path = download(lambda: page.js("text => wire.push(text)", json.dumps(table)))
    assert (path.name, path.read_text(encoding="utf-8")) == ("net.csv", "step,loss\n0,NaN\n")
    page.press("p")
    assert page.sent() == [{"type": "script"}]
    page.push({"type": "script", "text": "import tinyres as tr\n<b>"})
    assert page.text("dialog pre") == "import tinyres as tr\n<b>"
    page.click("Copy")
    assert page.text("dialog .copy [role=status]") in ("Copied.", "It is marked: copy it with Ctrl C.")


def recorded(tmp_path, messages):
    script = json.dumps(messages).replace("<", "\\u003c")
    page = (FOLDER / "play.html").read_text(encoding="utf-8")
    element = f'<script type="application/json" id="tinyres-play-data">{script}</script>'
    path = tmp_path / "recorded.html"
    path.write_text(page.replace("<!--tinyres-play-data-->", element), encoding="utf-8")
    return path


def test_a_recording_needs_no_server(visit, tmp_path):  # noqa: F811
    table = {"type": "table", "name": "a.csv", "format": "csv", "text": "x"}
    messages = [
        m.hello(),
        m.start(8),
        *(m.frame(s, 8) for s in range(20)),
        m.start(4, run=2),
        m.frame(0, 4, run=2),
        table,
    ]
    page = visit(path=recorded(tmp_path, messages))
    page.drawn()
    assert page.js("wire.addresses") == []
    assert page.page.locator(".block").count() == 4, "it opens with the last picture"
    slider = page.page.get_by_role("slider", name="Step")
    slider.fill("7")
    page.drawn()
    assert "step 7" in page.text(".transport .step")
    assert page.page.locator(".block").count() == 8
    assert page.js("tinyresPlay.state().seen.history.count(7)") == 8
    assert page.button("Play").count() == 1
    page.press("End", " ")
    page.until("tinyresPlay.state().at === 2")
    page.press(" ")
    page.page.locator(".menu summary").click()
    assert page.button("Figures as CSV").count() == 1
    assert page.button("Figures as JSON").count() == 0
    assert page.page.locator("fieldset").get_attribute("disabled") is not None


@pytest.mark.parametrize(("text", "said"), [('{"a": 1}', "is no list"), ("[{}]", "without a type"), ("[", "damaged")])
def test_a_damaged_recording_says_so(browser, tmp_path, text, said):  # noqa: F811
    path = recorded(tmp_path, [])
    path.write_text(path.read_text(encoding="utf-8").replace(">[]<", f">{text}<"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert said in page.inner_text("main")
    page.goto((FOLDER / "play.html").as_uri())
    assert "Run “tinyres play”" in page.inner_text("main")
    page.close()


@pytest.mark.parametrize(("size", "scheme"), [((390, 844), "light"), ((1280, 800), "dark"), ((1920, 1080), "light")])
@pytest.mark.parametrize("shown", ["net", "game"])
def test_axe_finds_nothing(visit, axe, shown, size, scheme):  # noqa: F811
    name = "plain56" if shown == "net" else "circling"
    opened = (net if shown == "net" else game)(visit, fragment=f"#lab={shown}&story={name}", size=size, scheme=scheme)
    assert found_by(axe, opened.page) == [], "a question"
    assert opened.js("document.documentElement.scrollWidth <= innerWidth")
    opened.click("Show it without a guess")
    opened.push({"type": "notice", "level": "warning", "text": "Something."})
    assert found_by(axe, opened.page) == [], "the picture"
    assert opened.js("document.documentElement.scrollWidth <= innerWidth")
    if size[0] == 1280:
        opened.press("s")
        assert found_by(axe, opened.page) == [], "the stories"
        opened.press("Escape", "?")
        assert found_by(axe, opened.page) == [], "help"
        opened.press("Escape")
        opened.js("wire.made.close()")
        opened.drawn()
        assert found_by(axe, opened.page) == [], "the server is gone"


def test_by_keyboard_alone(visit):  # noqa: F811
    """Tab comes to every control, what has the focus can be seen, and a dialog gives it back."""
    page = net(visit)
    reached = set()
    for _ in range(60):
        page.page.keyboard.press("Tab")
        found = page.js("""() => { const e = document.activeElement;
            if (e === document.body) return null;
            const s = getComputedStyle(e);
            return [e.getAttribute('aria-label') || e.innerText || e.id, s.outlineStyle !== 'none' || e.closest('.chooser') !== null]; }""")
        if found is None:
            continue  # the end of the page
        assert found[1], found
        reached.add(found[0].split("\n")[0].strip())
    assert {"Play", "Step", "Help ?", "knob-depth", "Depth", "Block", "Dead units", "Keep"} <= reached
    page.button("Help ?").focus()
    page.press("Enter", "Escape")
    assert page.js("document.activeElement.innerText").startswith("Help")


def test_it_is_spoken_in_one_sentence(visit):  # noqa: F811
    page = net(visit)
    told = page.text("p.hidden[role=status]")
    assert told.startswith("Step 30: loss 0.4")
    assert "the gradient at the first block is" in told
    page.push(m.frame(31, 8, playing=True), m.frame(32, 8, playing=True))
    assert page.text("p.hidden[role=status]").startswith("Step 30"), "not at every step while it plays"
    page.push(m.frame(33, 8))
    assert page.text("p.hidden[role=status]").startswith("Step 33")


def test_the_built_page():
    text = (FOLDER / "play.html").read_text(encoding="utf-8")
    widget = (FOLDER / "widget.js").read_text(encoding="utf-8")
    assert len(text.encode()) <= 300 * 1024
    assert text.count("<!--tinyres-play-data-->") == 1
    assert "default-src 'none'" in text
    for holder in ("Jason Miller", "Mike Bostock"):
        assert holder in text
        assert holder in widget
    assert text.count("<script>") == text.count("</script>") == 1, "its hash is in the server's policy"


def test_in_a_notebook_it_keeps_to_its_cell(browser):  # noqa: F811
    """anywidget calls render with a model and an element; messages travel through the model, the style touches nothing else."""
    page = browser.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.set_content(
        '<!doctype html><html lang="en"><body style="background: #111"><h1>Mine</h1><div id="cell"></div></body></html>'
    )
    before = page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize")
    page.evaluate(
        """async (text) => {
        const { default: widget } = await import(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
        const ears = {};
        window.model = { sent: [], ears, send: (m) => model.sent.push(m), on: (name, f) => (ears[name] = f), off: (name) => delete ears[name] };
        window.end = widget.render({ model, el: document.getElementById('cell') });
    }""",
        (FOLDER / "widget.js").read_text(encoding="utf-8"),
    )
    page.wait_for_function("model.sent.length")
    assert page.evaluate("model.sent") == [{"type": "hello"}]
    for message in (m.hello(), m.start(8), m.frame(3, 8, since=-1)):
        page.evaluate("m => model.ears['msg:custom'](m)", message)
    page.wait_for_function("model.sent.some(m => m.type === 'ready')")
    assert page.locator("#cell .block").count() == 8
    assert page.evaluate("document.getElementById('cell').shadowRoot.querySelector('#play').dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == before
    assert page.evaluate("location.hash") == "", "the notebook's address is its own"
    page.keyboard.press("s")
    assert page.locator("dialog").count() == 0, "nor are keys of the notebook taken"
    page.locator("#cell").get_by_role("button", name="Help ?").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("model.sent.at(-1)") == {"type": "step", "by": 1}
    page.evaluate("model.ears['comm:close']()")
    assert "The kernel has closed" in page.locator("#cell .notice").inner_text()
    page.evaluate("end()")
    assert page.evaluate("Object.keys(model.ears).length") == 0
    assert complaints == []
    page.close()
