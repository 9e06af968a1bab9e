"""The playground's page in a real browser: what is kept, where else it is shown, and for whom."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.play import page_messages as m
from tests.play.pages import FOLDER, game, net
from tests.tabs import swiped
from tests.viewer.test_page_access import found_by

pytestmark = pytest.mark.browser


def test_the_server_is_gone(visit):
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


def test_saving(visit, tmp_path):
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


def test_a_recording_needs_no_server(visit, tmp_path):
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


HALF = json.dumps([m.hello(), m.start(4), {"type": "frame", "run": 1, "step": 0, "kept": [0, 0]}])


@pytest.mark.parametrize(
    ("text", "said"), [('{"a": 1}', "is no list"), ("[{}]", "without a type"), ("[", "damaged"), (HALF, "damaged")]
)
def test_a_damaged_recording_says_so(browser, tmp_path, text, said):
    path = recorded(tmp_path, [])
    path.write_text(path.read_text(encoding="utf-8").replace(">[]<", f">{text}<"), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator("main.empty").filter(has_text=said).wait_for()
    page.goto((FOLDER / "play.html").as_uri())
    assert "Run “tinyres play”" in page.inner_text("main")
    page.close()


WINDOWS = [((390, 844), "light"), ((1280, 800), "dark"), ((1920, 1080), "light")]


@pytest.mark.parametrize("shown", ["net", "game"])
def test_axe_finds_nothing(visit, axe, shown):
    """One page in all windows."""
    name = "plain56" if shown == "net" else "circling"
    opened = (net if shown == "net" else game)(visit, fragment=f"#lab={shown}&story={name}")

    def holds(what):
        for (width, height), scheme in WINDOWS:
            opened.page.set_viewport_size({"width": width, "height": height})
            opened.page.emulate_media(color_scheme=scheme)
            opened.drawn()
            if width < 1920:  # which has nothing of its own that could be wrong but its width
                assert found_by(axe, opened.page) == [], (what, width, scheme)
            assert opened.js("document.documentElement.scrollWidth <= innerWidth"), (what, width)

    holds("a question")
    opened.click("Show it without a guess")
    opened.push({"type": "notice", "level": "warning", "text": "Something."})
    holds("the picture")
    opened.page.set_viewport_size({"width": 1280, "height": 800})
    opened.press("s")
    assert found_by(axe, opened.page) == [], "the stories"
    opened.press("Escape", "?")
    assert found_by(axe, opened.page) == [], "help"
    opened.press("Escape")
    opened.js("wire.made.close()")
    opened.drawn()
    assert found_by(axe, opened.page) == [], "the server is gone"


def test_by_keyboard_alone(visit):
    """Tab and, in a row of buttons, arrows come to every control; the focus can be seen; a dialog gives it back."""
    page = net(visit)
    page.press("Tab")
    assert page.js("document.activeElement.innerText") == "Skip to the pictures"
    page.press("Enter", "Tab")
    assert page.js("document.activeElement.closest('main .panel') !== null"), "past all the knobs"
    reached = set()
    for _ in range(60):
        in_a_row = page.js("document.activeElement.closest('[role=toolbar]') !== null")
        along = in_a_row and page.js("[...document.activeElement.closest('[role=toolbar]').querySelectorAll('button')]"
            ".filter((b) => b.offsetParent && !b.disabled).at(-1) !== document.activeElement")  # fmt: skip
        page.page.keyboard.press("ArrowRight" if along else "Tab")
        found = page.js("""() => { const e = document.activeElement;
            if (e === document.body) return null;
            const s = getComputedStyle(e);
            return [e.getAttribute('aria-label') || e.innerText || e.id,
                s.outlineStyle !== 'none' || e.closest('.chooser') !== null]; }""")
        if found is None:
            continue  # the end of the page
        assert found[1], found
        reached.add(found[0].split("\n")[0].strip())
    assert {"Play", "Step", "Help ?", "knob-depth", "Depth", "Block", "Dead units", "Keep"} <= reached
    page.button("Help ?").focus()
    page.press("Enter")
    page.press("Escape")
    assert page.js("document.activeElement.innerText").startswith("Help")


def test_it_is_spoken_in_one_sentence(visit):
    page = net(visit)
    told = "document.querySelector('p.hidden[role=status]').innerText"
    page.until(f"{told}.startsWith('Step 30: loss 0.4')")
    assert "the gradient at the first block is" in page.js(told)
    page.push(m.frame(31, 8, playing=True), m.frame(32, 8, playing=True))
    assert page.js(told).startswith("Step 30"), "not at every step while it plays"
    page.push(m.frame(33, 8))
    page.until(f"{told}.startsWith('Paused at step 33: loss ')")


def test_a_gradient_that_is_not_finite_is_no_ratio(visit):
    page = net(visit)
    told = "document.querySelector('p.hidden[role=status]').innerText"
    page.push(m.frame(31, 8) | {"gradient": ["NaN"] * 8, "diverged": {"step": 31, "text": "It diverged at step 31."}})
    page.until(f"{told}.startsWith('Step 31')")
    assert "the gradient is not finite, or it is zero at the last block. It diverged at step 31." in page.js(told)


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


def test_in_a_notebook_it_keeps_to_its_cell(browser):
    """anywidget calls render with a model and an element; the style touches nothing else."""
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
        window.model = { sent: [], ears, send: (m) => model.sent.push(m),
            on: (name, f) => (ears[name] = f), off: (name) => delete ears[name] };
        window.end = widget.render({ model, el: document.getElementById('cell') });
    }""",
        (FOLDER / "widget.js").read_text(encoding="utf-8"),
    )
    page.wait_for_function("model.sent.length")
    assert page.evaluate("model.sent") == [{"type": "hello", "ask": 1}]
    for message in (m.hello(), m.start(8), m.frame(3, 8, since=-1)):
        page.evaluate("m => model.ears['msg:custom'](m)", message)
    page.wait_for_function("model.sent.some(m => m.type === 'ready')")
    assert page.locator("#cell .block").count() == 8
    assert page.evaluate("document.getElementById('cell').shadowRoot.querySelector('#play').dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == before
    assert page.evaluate("location.hash") == "", "the notebook's address is its own"
    page.keyboard.press("s")
    assert page.locator("dialog").count() == 0, "nor are keys of the notebook taken"
    page.locator("#cell main").focus()  # in a row of buttons, arrows go along the row
    page.keyboard.press("ArrowRight")
    assert page.evaluate("model.sent.at(-1)") == {"type": "step", "by": 1, "ask": 2}
    slider = page.get_by_role("slider", name="Width").bounding_box()
    swiped(SimpleNamespace(page=page), (slider["x"] + 60, slider["y"] + slider["height"] / 2), (2, -80))
    assert page.evaluate("model.sent.filter(m => m.type === 'set')") == [], "a finger that scrolls turns no knob"
    page.evaluate("model.ears['comm:close']()")
    assert "The kernel has closed" in page.locator("#cell .notice").inner_text()
    page.evaluate("end()")
    assert page.evaluate("Object.keys(model.ears).length") == 0
    assert complaints == []
    page.close()


MOST = 0.020  # seconds of the main thread for a frame: 50 of them a second


def test_fifty_layers_leave_time_for_fifty_frames_a_second(visit):
    """Processor time, which does not depend on what else the machine does: drawing 60 frames after 500 steps."""
    page = net(visit, 50, step=500)
    page.once, wire = True, page.page.context.new_cdp_session(page.page)
    wire.send("Performance.enable", {"timeDomain": "threadTicks"})
    used = lambda: {m["name"]: m["value"] for m in wire.send("Performance.getMetrics")["metrics"]}["TaskDuration"]
    texts = [json.dumps(m.frame(step, 50, playing=True)) for step in range(501, 561)]
    before, drawn = used(), page.js("tinyresPlay.drawn()")
    page.js(
        """async (texts) => { for (const text of texts) {
            wire.push(text); await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); } }""",
        texts,
    )
    frames = page.js("tinyresPlay.drawn()") - drawn
    assert frames >= len(texts) - 1
    assert (used() - before) / frames <= MOST
