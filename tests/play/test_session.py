"""A session: what it answers, what it does with nonsense, and that frames are dropped rather than queued."""

import json
import math
import time

import pytest

from tests.play.record import Page
from tinyres.play import words
from tinyres.play.labs import LABS
from tinyres.play.messages import FIELDS, full
from tinyres.play.tape import Tape

SMALL = {"depth": 4, "width": 8, "batch": 16}


@pytest.fixture
def page():
    made = Page()
    yield made
    made.close()


def kind(name):
    return lambda message: message["type"] == name


def begun(page, lab="net", setting=SMALL):
    page.say("hello", lab=lab, setting=setting)
    return page.wait(kind("frame"))


def test_hello_opens_a_run_that_waits(page):
    frame = begun(page)
    assert [m["type"] for m in page.messages[:3]] == ["hello", "start", "setting"]
    hello, start = page.messages[:2]
    assert {lab["name"] for lab in hello["labs"]} == {"net", "game"}
    assert hello["setting"] == full("net", SMALL) == start["setting"]
    assert len(start["net"]["blocks"]) == 4
    assert frame["step"] == 0
    assert not frame["playing"]
    assert frame["history"]["step"] == [0]
    time.sleep(0.2)
    assert page.session._tape.at == 0


@pytest.mark.parametrize("lab", ["net", "game"])
def test_every_number_on_the_wire_is_what_python_gives(page, lab):
    setting = SMALL if lab == "net" else {"target": "ring8", "batch": 16, "width": 8}
    begun(page, lab, setting)
    page.say("step", by=3)
    frame = page.frame(3)
    rows = [k for m in page.messages if m["type"] == "frame" and "history" in m for k in m["history"]["step"]]
    made = Tape(LABS[lab], full(lab, setting))
    for _ in range(3):
        made.forward()
    expected = json.loads(words.text(made.state.figures | made.picture()))
    assert {name: frame[name] for name in expected} == expected
    assert rows == [0, 1, 2, 3]


def test_stepping_back_shows_what_was_there(page):
    begun(page)
    page.say("step", by=4)
    there = page.frame(4)
    page.clear()
    page.say("step", by=-2)
    back = page.frame(2)
    assert back["kept"] == [0, 4]
    page.clear()
    page.say("step", by=2)
    again = page.frame(4)
    same = ("loss", "signal", "gradient", "boundary", "share")
    assert [again[name] for name in same] == [there[name] for name in same]


def test_playing_and_pausing(page):
    begun(page)
    page.say("play")
    page.wait(lambda m: m["type"] == "frame" and m["step"] > 3 and m["playing"] and m["rate"] > 0)
    page.say("pause")
    page.wait(lambda m: m["type"] == "frame" and not m["playing"] and m["step"] > 3)
    at = page.session._tape.at
    time.sleep(0.2)
    assert page.session._tape.at == at


def test_a_picture_says_of_which_pause_it_knows(page):
    begun(page)
    page.say("play", ask=3)
    assert page.wait(lambda m: m["type"] == "frame" and m["ask"] == 3)["playing"]
    page.say("pause", ask=4)
    assert not page.wait(lambda m: m["type"] == "frame" and m["ask"] == 4)["playing"]


def test_a_step_that_fails_is_seen_to_have_stopped_the_run(page, monkeypatch):
    begun(page)
    page.say("play", ask=3)
    page.wait(lambda m: m["type"] == "frame" and m["step"] > 3)
    monkeypatch.setattr(page.session._tape, "forward", lambda left=[0, 1, 1]: time.sleep(0.1) or 1 / left.pop())
    assert "division by zero" in page.wait(lambda m: m["type"] == "notice")["text"]
    page.wait(lambda m: m["type"] == "frame" and m["ask"] == 3 and not m["playing"])


def test_a_page_that_does_not_draw_gets_no_more_frames():
    """Dropped, not queued: training goes on, and the next frame is the newest, with the rows of all steps."""
    heard = []
    from tinyres.play.session import Session

    session = Session(heard.append)
    try:
        session.receive({"type": "hello", "setting": SMALL})
        session.receive({"type": "play"})
        end = time.monotonic() + 20
        while session._tape is None or session._tape.at < 30:
            assert time.monotonic() < end
            time.sleep(0.01)
        frames = [m for m in heard if m["type"] == "frame"]
        assert len(frames) == 1
        session.receive({"type": "ready", "step": 0})
        while len(frames) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
            frames = [m for m in heard if m["type"] == "frame"]
        assert frames[1]["step"] >= 30
        assert frames[0]["history"]["step"] + frames[1]["history"]["step"] == list(range(frames[1]["step"] + 1))
    finally:
        session.close(5)


@pytest.mark.slow
def test_a_slow_speed_is_kept(page):
    begun(page)
    page.say("speed", steps_per_second=10)
    page.say("play")
    time.sleep(1.0)
    page.say("pause")
    page.wait(lambda m: m["type"] == "frame" and not m["playing"] and m["step"] > 0)
    assert 3 <= page.session._tape.at <= 12


def test_a_live_knob_goes_on_and_another_starts_anew(page):
    begun(page)
    page.say("step", by=3)
    page.frame(3)
    page.clear()
    page.say("set", values={"lr": 0.1})
    assert page.wait(kind("setting"))["setting"]["lr"] == 0.1
    assert page.wait(kind("frame"))["step"] == 3
    page.clear()
    page.say("set", values={"depth": 6})
    assert len(page.wait(kind("start"))["net"]["blocks"]) == 6
    assert page.wait(kind("setting"))["setting"] == full("net", SMALL) | {"depth": 6, "lr": 0.1}
    assert page.wait(kind("frame"))["step"] == 0


WRONG = [
    ({"type": "set", "values": {"depth": 0}}, "from 2 to 200, got 0"),
    ({"type": "set", "values": {"depth": 10_000}}, "from 2 to 200, got 10000"),
    ({"type": "set", "values": {"depth": 3.5}}, "whole number"),
    ({"type": "set", "values": {"depth": True}}, "whole number"),
    ({"type": "set", "values": {"lr": "NaN"}}, "Learning rate must be a number"),
    ({"type": "set", "values": {"lr": "Infinity"}}, "Learning rate must be a number"),
    ({"type": "set", "values": {"lr": None}}, "Learning rate must be a number"),
    ({"type": "set", "values": {"lr": [1]}}, "Learning rate must be a number"),
    ({"type": "set", "values": {"activation": "relu6"}}, "must be one of linear, relu"),
    ({"type": "set", "values": {"activation": ["relu"]}}, "must be one of"),
    ({"type": "set", "values": {"nothing": 1}}, "no knob called 'nothing'"),
    ({"type": "set", "values": 7}, "names knobs"),
    ({"type": "set"}, "needs values"),
    ({"type": "nonsense"}, "no message of type 'nonsense'"),
    ({"type": 5}, "object with a type"),
    ([], "object with a type"),
    ("{", "object with a type"),
    (None, "object with a type"),
    ({"type": "seek", "step": "x"}, "whole number"),
    ({"type": "seek", "step": 10**12}, "whole number"),
    ({"type": "step", "by": float("nan")}, "whole number"),
    ({"type": "speed", "steps_per_second": 0}, "above 0"),
    ({"type": "speed", "steps_per_second": "fast"}, "above 0"),
    ({"type": "lab", "name": "zoo"}, "no lab called 'zoo'"),
    ({"type": "story", "name": {}}, "no story"),
    ({"type": "story", "name": "zoo"}, "no story"),
    ({"type": "save", "what": "pdf"}, "page, csv or json"),
    ({"type": "seek", "step": 99}, "holds steps 0 to 0"),
]


@pytest.mark.parametrize(("message", "said"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_message_is_answered_and_nothing_else_happens(page, message, said):
    begun(page)
    before = page.session._tape
    page.session.receive(message)
    assert said in page.wait(kind("notice"))["text"]
    assert page.session._tape is before
    page.clear()
    page.say("step", by=1)
    assert page.frame(1)["loss"] > 0


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in ("hello", "lab", "story", "ready", "speed")])
def test_before_hello_there_is_nothing_to_turn(page, name):
    page.say(name, **dict.fromkeys(FIELDS[name], 1))
    assert "hello" in page.wait(kind("notice"))["text"]


def test_a_link_that_holds_nonsense_opens_with_the_own_setting(page):
    page.say("hello", lab="net", setting={"depth": -1})
    assert "from 2 to 200" in page.wait(kind("notice"))["text"]
    assert page.wait(kind("start"))["setting"] == full("net", {})


def test_a_depth_that_an_architecture_lacks_becomes_the_nearest(page):
    begun(page, "net", {"family": "conv", "depth": 50, "width": 4, "data": "spirals"})
    said = " ".join(m["text"] for m in page.messages if m["type"] == "notice")
    assert "digits" in said
    start = page.wait(kind("start"))
    assert start["setting"]["depth"] == 50
    page.clear()
    page.say("set", values={"depth": 12})
    assert page.wait(kind("start"))["setting"]["depth"] == 14
    assert "6 n + 2" in page.wait(kind("notice"))["text"]


@pytest.mark.parametrize(("architecture", "most"), [("residual", 64), ("densenet", 24)])
def test_what_would_not_fit_into_memory_is_made_smaller(architecture, most):
    asked = {"family": "conv", "architecture": architecture, "batch": 512, "depth": 50}
    for width, taken in ((most, most), (most + 1, most), (512, most)):
        setting, said = LABS["net"].fit(LABS["net"].setting(asked | {"width": width}))
        assert (setting["width"], setting["batch"]) == (taken, 128)
        assert any("memory" in text for text in said)
    _, said = LABS["net"].fit(LABS["net"].setting(asked | {"width": most, "batch": 128}))
    assert not any("memory" in text for text in said)


def test_divergence_names_step_and_layer_and_offers_to_go_back(page):
    begun(page, "net", {**SMALL, "architecture": "plain", "lr": 1e9})
    page.say("play")
    notice = page.wait(lambda m: m["type"] == "notice" and m["level"] == "error")
    frame = page.wait(lambda m: m["type"] == "frame" and m["diverged"])
    assert frame["diverged"]["step"] == frame["step"]
    assert "blocks" in frame["diverged"]["layer"]
    assert notice["text"] == frame["diverged"]["text"]
    page.clear()
    page.session.receive(notice["mend"]["message"])
    back = page.wait(kind("frame"))
    assert back["diverged"] is None
    assert back["step"] == notice["mend"]["message"]["step"]


def test_a_knob_is_answered_within_a_tenth_of_a_second(page):
    begun(page, "net", {})
    page.say("play")
    page.wait(lambda m: m["type"] == "frame" and m["step"] > 1)
    times = []
    for k in range(5):
        page.clear()
        begin = time.monotonic()
        page.say("set", values={"lr": 0.01 + 0.001 * k})
        page.wait(kind("setting"))
        times.append(time.monotonic() - begin)
    assert sorted(times)[2] < 0.1


def test_closing_ends_the_training(page):
    begun(page)
    page.say("play")
    page.wait(lambda m: m["type"] == "frame" and m["step"] > 2)
    page.session.close(5)
    assert not page.session._thread.is_alive()


def test_floats_travel_bit_for_bit():
    import numpy as np

    values = np.random.default_rng(0).standard_normal(100).astype("float32")
    again = np.array(json.loads(words.text({"values": values}))["values"], "float32")
    assert again.tobytes() == values.tobytes()
    odd = json.loads(words.text({"a": math.nan, "b": [math.inf, -math.inf]}))
    assert odd == {"a": "NaN", "b": ["Infinity", "-Infinity"]}
    assert words.number("-Infinity") == -math.inf
    grid = np.arange(6, dtype="u1").reshape(2, 3)
    packed = json.loads(words.text({"boundary": grid}))["boundary"]
    import base64

    assert (packed["shape"], packed["dtype"]) == ([2, 3], "u1")
    assert base64.b64decode(packed["data"]) == grid.tobytes()
    assert json.loads(words.text({"level": np.ones((1, 2), "f4")}))["level"]["dtype"] == "f4"
