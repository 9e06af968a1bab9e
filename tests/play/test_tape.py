"""A run that goes forwards and backwards: the same numbers every time, bit for bit, and what a diverging run says."""

import numpy as np
import pytest

from tinyres.play.labs import LABS
from tinyres.play.messages import full
from tinyres.play.tape import Tape

SMALL = {"depth": 4, "width": 8, "batch": 16}
RUNS = [
    ("net", {**SMALL, "optimizer": optimizer, "architecture": kind, "norm": norm})
    for kind, optimizer, norm in (
        ("residual", "momentum", "none"), ("plain", "adam", "batch"), ("highway", "rmsprop", "none"),
        ("densenet", "sgd", "layer"), ("preact", "momentum", "batch"), ("skipinit", "adam", "none"),
    )
] + [("game", {"target": t, "batch": 32, "width": 16}) for t in ("gaussians", "ring8", "dirac", "digits")]  # fmt: skip


def tape(lab, setting):
    return Tape(LABS[lab], full(lab, setting))


def flat(figures):
    """Everything that was measured, as bytes."""
    if isinstance(figures, dict):
        return {key: flat(value) for key, value in figures.items()}
    return (
        None
        if figures is None
        else np.asarray(figures, dtype=None if not isinstance(figures, list) else float).tobytes()
    )


def same(a, b):
    return flat(a) == flat(b)


@pytest.mark.parametrize(("lab", "setting"), RUNS)
def test_going_back_shows_what_was_there_and_forward_again_gives_the_same(lab, setting):
    """From the ring, and computed anew after what came later was dropped."""
    made, seen, pictures = tape(lab, setting), [], []
    for _ in range(7):
        seen.append(made.state.figures)
        pictures.append(made.picture())
        made.forward()
    for step in (5, 2, 0, 3):
        made.seek(step)
        assert made.at == step
        assert made.state.figures is seen[step]
        assert same(made.picture(), pictures[step])
    made.forward()
    assert made.at == 4
    assert made.state.figures is seen[4]
    made.seek(2)
    made.ring.forget_after(2)
    made.state.picture = None
    assert same(made.picture(), pictures[2])
    for step in (3, 4, 5):
        made.forward()
        assert made.state.figures is not seen[step]
        assert same(made.state.figures, seen[step])
    assert same(made.picture(), pictures[5])
    made.seek(1)
    made.ring.forget_after(1)
    made.forward()
    assert same(made.state.figures, seen[2]), "nothing but the step itself was asked for"


@pytest.mark.parametrize(("lab", "setting"), RUNS[:2] + RUNS[-4:-2])
def test_the_same_setting_gives_the_same_numbers_and_another_seed_others(lab, setting):
    def after(steps, **more):
        made = tape(lab, {**setting, **more})
        for _ in range(steps):
            made.forward()
        return made.state.figures

    assert same(after(4), after(4))
    assert not same(after(4), after(4, seed=1))


def test_a_live_knob_acts_from_the_step_that_is_shown():
    made = tape("net", SMALL)
    for _ in range(5):
        made.forward()
    first = made.ring[3].figures
    made.seek(2)
    new = made.state.setting | {"lr": 0.5}
    made.turn(new)
    assert made.ring.kept == (0, 2)
    assert made.state.setting["lr"] == 0.5
    made.forward()
    assert not same(made.state.figures, first)
    assert [row["step"] for row in made.rows] == [0, 1, 2, 3]
    again = tape("net", {**SMALL})
    again.forward(), again.forward()
    again.turn(again.state.setting | {"lr": 0.5})
    again.forward()
    assert same(made.state.figures, again.state.figures)


def test_turning_a_scale_changes_what_is_shown_at_once():
    made = tape("net", SMALL)
    before = made.state.figures
    made.turn(made.state.setting | {"branch": 1.0})
    wide = tape("net", SMALL | {"branch": 1.0}).state.figures
    assert not same(made.state.figures["signal"], before["signal"])
    assert same(made.state.figures["signal"], wide["signal"])
    assert same(made.state.figures["gradient"], wide["gradient"])


def test_going_back_over_a_turned_knob_brings_its_old_value_back():
    made = tape("net", SMALL)
    made.forward()
    made.turn(made.state.setting | {"lr": 0.5})
    made.forward()
    made.seek(0)
    assert made.state.setting["lr"] == 0.01
    made.ring.forget_after(0)
    made.forward()
    assert made.run.optimizer.param_groups[0]["lr"] == 0.01


def test_the_ring_drops_its_oldest_states():
    made = tape("net", SMALL)
    made.ring.most = 4
    for _ in range(10):
        made.forward()
    assert made.ring.kept == (7, 10)
    assert [row["step"] for row in made.rows] == list(range(11))


@pytest.mark.parametrize(
    ("setting", "where"),
    [({**SMALL, "lr": 1e9, "architecture": "plain"}, "blocks"), ({**SMALL, "lr": 1e12, "optimizer": "sgd"}, "")],
)
def test_a_net_that_diverges_says_where_and_when(setting, where):
    made = tape("net", setting)
    for _ in range(30):
        made.forward()
    found = made.state.figures["diverged"]
    assert made.ended
    assert found["step"] == made.at < 30
    assert where in found["layer"]
    assert f"step {made.at}" in found["text"]
    assert made.ring[made.at - 1].figures["diverged"] is None
    made.forward()
    assert made.at == found["step"], "there is no next step"


def test_a_game_that_diverges_stays_where_it_was():
    made = tape("game", {"target": "gaussians", "optimizer": "sgd", "lr_d": 1e9, "lr_g": 1e9, "batch": 8})
    for _ in range(30):
        made.forward()
    assert made.ended
    assert "diverged" in made.state.figures["diverged"]["text"]
    assert np.isfinite(made.state.figures["fake"]).all()
