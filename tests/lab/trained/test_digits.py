"""Which nets of the digits experiment have a verdict, and what it takes."""

import math

import pytest

from tinyres.lab.law import Spread
from tinyres.lab.registry import EXPERIMENTS, Options
from tinyres.lab.trained import digits


def runs(plain=2.3, resnet=0.1, depth=56, steps=200):
    losses = {("plain", 8): 0.1, ("resnet", 8): 0.1, ("plain", depth): plain, ("resnet", depth): resnet}
    return [
        {"arch": arch, "depth": layers, "steps": steps, "final_train_loss": loss, "test_accuracy": 0.9}
        for (arch, layers), loss in losses.items()
    ]


@pytest.mark.parametrize(("losses", "ok"), [
    ((2.3, 0.1), [True, True]), ((0.5, 0.1), [False, True]), ((2.3, 0.6), [True, False]), ((0.1, 2.3), [False, False]),
    ((math.nan, math.nan), [False, False]),
])  # fmt: skip
def test_each_verdict_can_fail(losses, ok):
    laws = [law for law in digits.laws(runs(*losses)) if law.kind == "ordering"]
    assert ["plain, 56" in laws[0].name, "resnet, 56" in laws[1].name] == [True, True]
    assert [law.ok for law in laws] == ok


@pytest.mark.parametrize("asked", [{"depth": 20}, {"steps": 100}])
def test_other_depths_and_shorter_trainings_are_shown(asked):
    assert {law.kind for law in digits.laws(runs(**asked))} == {"figure"}


def test_one_training_has_no_verdict():
    least = EXPERIMENTS["digits"].seeds
    at_one, at_five = ([digits.laws(runs()) for _ in range(count)] for count in (1, least))
    for laws, words in ((at_one, {"shown"}), (at_five, {"shown", "holds"})):
        assert {Spread(found, least).verdict() for found in zip(*laws, strict=True)} == words


def test_what_was_found_is_said_of_the_deepest_nets():
    result = EXPERIMENTS["digits"].run(Options(depths=(8, 14), archs=("resnet",), steps=3), lambda: None)
    (norms,) = ([run["gradient_norm"][0] for run in result.data["training"] if run["depth"] == 14],)
    assert result.found.startswith("14 layers: the residual net's gradient ")
    assert f" {norms[0][0] / norms[0][-1]:,.0f}-fold towards the input; " in result.found
    assert result.found.endswith(" % test accuracy after 3 steps.")
    assert " comes through the skip connections before training and " in result.note
    assert [law.kind for law in result.laws] == ["figure", "figure"]
