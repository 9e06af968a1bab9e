"""Knobs that act while a run goes on: what is shown then is what a run begun anew with that setting shows."""

import contextlib
import io
import json

import numpy as np
import pytest

from tests.play.record import Page
from tests.play.test_tape import same
from tinyres.play import keep, script
from tinyres.play.labs import LABS
from tinyres.play.messages import full
from tinyres.play.nets import Fixed
from tinyres.play.tape import Tape

SMALL = {"depth": 4, "width": 8, "batch": 16}
NETS = [SMALL, SMALL | {"architecture": "preact", "norm": "batch"}, SMALL | {"activation": "sigmoid", "data": "digits"}]
GAMES = [{"target": t, "batch": 32, "width": 16, "penalty": "r1"} for t in ("ring8", "gaussians", "dirac")]
TURNED = {
    "skip": [0.5, 0.0, -1.0, 10.0], "branch": [1.0, 0.0, 0.22], "lr": [0.5, 0.0], "loss": ["saturating", "wasserstein"],
    "penalty": ["gp", "none"], "weight": [0.01, 7.0], "lr_g": [0.5], "lr_d": [0.5],
}  # fmt: skip
TAKEN = ("losses", "gradient_g", "gradient_d")  # of the step that led here, which was taken with the setting before


def tape(lab, setting, steps=0):
    made = Tape(LABS[lab], full(lab, setting))
    for _ in range(steps):
        made.forward()
    return made


def anew(made, setting):
    """A run begun with this setting, which is given the weights and the optimisers' states of another."""
    run = made.lab.run(setting)
    net = made.lab.name == "net"
    scales = [p for m in run.model.modules() if isinstance(m, Fixed) for p in m.parameters()] if net else []
    begun = [p.data for p in scales]
    if not net:
        run._orbit = list(made.run._orbit)
    run.restore(made.at, made.state.snapshot)
    for parameter, value in zip(scales, begun, strict=True):
        parameter.data = value
    trainer = None if net else run.trainer
    rates = {"lr": run.optimizer} if net else {"lr_g": trainer.optimizer_g, "lr_d": trainer.optimizer_d}
    for name, optimizer in rates.items():
        optimizer.param_groups[0]["lr"] = setting[name]
    return run


def law_of(made):
    """As the page finds it: that of the frame, else that of the start."""
    frame = keep.frame(made, 1, [], dear=True)
    return frame.get("law", made.start["law"])


CASES = [(lab, base, knob.name, value, steps)
         for lab, bases in (("net", NETS), ("game", GAMES)) for base in bases for knob in LABS[lab].knobs if knob.live
         for value in TURNED[knob.name] for steps in (0, 3)]  # fmt: skip


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("lab", "base", "name", "value", "steps"), CASES)
def test_a_turned_knob_shows_what_a_run_begun_so_shows(lab, base, name, value, steps):
    """Every figure, the picture and the law; and after the next step again."""
    made = tape(lab, base, steps)
    before, new = made.state, full(lab, base) | {name: value}
    fresh = anew(made, new)
    made.turn(new)
    assert made.state.setting == new
    for step in (steps, steps + 1):
        expected = fresh.measure()
        taken = {key: before.figures[key] for key in TAKEN if lab == "game" and step == steps}
        assert same(made.state.figures | {"law": None}, expected | taken | {"law": None})
        assert same(made.picture(), fresh.picture())
        law = fresh.start()["law"]
        assert json.dumps(law_of(made)) == json.dumps(law)
        assert keep.frame(made, 1, [], dear=False)["turned"] == {name: value}
        if step == steps:
            made.forward()
            fresh.advance()


def test_every_live_knob_is_turned():
    assert {knob.name for lab in LABS.values() for knob in lab.knobs if knob.live} == set(TURNED)


def test_going_back_over_a_turn_and_turning_another_knob_keeps_what_stood_there():
    """The first knob's later value is not dragged along."""
    for lab, base, first, second in (
        ("net", SMALL, {"branch": 1.0, "lr": 0.5}, {"skip": 0.5}),
        ("game", {"target": "ring8", "batch": 32, "width": 16}, {"loss": "saturating", "lr_g": 0.5}, {"lr_d": 0.1}),
    ):
        made = tape(lab, base, 2)
        law = law_of(made)
        made.turn(made.state.setting | first)
        made.forward()
        made.seek(1)
        assert law_of(made) == law
        made.turn(made.state.setting | second)
        other = tape(lab, base, 1)
        other.turn(other.state.setting | second)
        assert made.state.setting == other.state.setting == full(lab, base) | second
        made.forward()
        other.forward()
        assert same(made.state.figures, other.state.figures)
        assert list(made.turns) == [1]


def test_a_picture_before_a_turn_is_drawn_with_the_loss_that_was_played_there():
    base = {"target": "ring8", "batch": 32, "width": 16}
    made, plain = tape("game", base, 1), tape("game", base, 1)
    made.forward()
    made.turn(made.state.setting | {"loss": "wasserstein"})
    made.seek(1)
    assert same(made.picture(), plain.picture()), "a sigmoid is taken of the logits"


@pytest.mark.parametrize(
    ("lab", "base", "turns"),
    [
        ("net", SMALL, {0: {"branch": 0.5}, 2: {"lr": 0.1}, 3: {"skip": 0.5, "lr": 0.2}}),
        ("net", {"family": "conv", "depth": 8, "width": 4, "data": "digits", "batch": 16}, {1: {"lr": 0.5}}),
        ("game", {"target": "ring8", "batch": 32, "width": 16},
         {0: {"lr_g": 0.01}, 1: {"loss": "hinge"}, 3: {"penalty": "r1", "weight": 0.3}, 4: {"lr_d": 0.1}}),
    ],
)  # fmt: skip
def test_the_script_turns_the_knobs_at_the_same_steps(lab, base, turns):
    made = tape(lab, base)
    for step in range(6):
        if step in turns:
            made.turn(made.state.setting | turns[step])
        if step < 5:
            made.forward()
    defined = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(script.of(lab, made.begun, made.at, None, made.turns), "script", "exec"), defined)
    figures = made.state.figures
    if lab == "net":
        assert defined["loss"].item() == figures["loss"]
        assert list(defined["recording"].gradient_norms().numpy()) == figures["gradient"]
    else:
        record = defined["record"]
        assert (record.d_loss, record.g_loss) == tuple(figures["losses"].values())


@pytest.fixture
def page():
    made = Page()
    yield made
    made.close()


def kind(name, ask=None):
    return lambda message: message["type"] == name and (ask is None or message["ask"] == ask)


def test_answers_name_what_they_answer(page):
    """The page knows by it of which knobs a picture is; also where nothing changes, or a message is wrong."""
    page.say("hello", lab="net", setting=SMALL, ask=1)
    assert page.wait(kind("start"))["ask"] == page.wait(kind("frame"))["ask"] == 1
    for ask, (what, fields) in enumerate([
        ("set", {"values": {"lr": 0.5}}), ("set", {"values": {"lr": 0.5}}), ("set", {"values": {"lr": -1}}),
        ("set", {"values": {"depth": 5}}), ("reset", {}), ("story", {"name": "zoo"}), ("lab", {"name": "zoo"}),
        ("story", {"name": "circling"}), ("lab", {"name": "net"}), ("hello", {"setting": SMALL}),
    ], 2):  # fmt: skip
        page.clear()
        page.say(what, ask=ask, **fields)
        frame = page.wait(kind("frame", ask), 10)
        told = page.wait(kind("setting", ask))
        assert (told["lab"], told["setting"]) == (page.session._tape.lab.name, page.session._tape.state.setting)
        assert frame["run"] == page.session._run
    page.say("set", values={"lr": 0.1}, ask="x")
    page.say("step", by=1)
    assert page.frame(1)["ask"] == ask, "nonsense is not sent back"


def test_a_law_is_sent_once_and_again_when_a_scale_turns(page):
    page.say("hello", lab="net", setting=SMALL)
    assert "law" not in page.wait(kind("frame"))
    page.say("set", values={"branch": 1.0})
    frame = page.wait(lambda m: m["type"] == "frame" and "law" in m)
    assert frame["law"]["gradient"][0] == pytest.approx(2 ** (3 / 2), rel=1e-4)
    assert frame["turned"] == {"branch": 1.0}
    page.say("save", what="json")
    document = json.loads(page.wait(kind("table"))["text"])
    assert document["setting"]["branch"] == 0.2
    assert document["turned"] == [{"step": 0, "branch": 1.0}]


@pytest.mark.parametrize("base", [{"architecture": "residual"}, {"architecture": "preact", "norm": "batch"}])
def test_no_scale_is_too_small_or_too_large_for_a_law(base):
    made = tape("net", {**base, "width": 4, "batch": 8, "depth": 200})
    for scales in [(0.0, 0.0), (0.0, 0.5), (10.0, 10.0), (-1.0, 0.0)]:
        made.turn(made.state.setting | dict(zip(("skip", "branch"), scales, strict=True)))
        law = law_of(made)["gradient"]
        assert len(law) == 200, scales
        assert law[-1] == 1.0 or np.isnan(law).any(), scales
