"""One point."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, training
from tinyres.lab import processes
from tinyres.lab.sweep import measure
from tinyres.lab.sweep.point import attempt
from tinyres.ops.losses import cross_entropy
from tinyres.training import Recipe


def test_a_point_is_the_training_it_names():
    recipe = Recipe(arch="mlp", depth=5, width=6, steps=12, batch_size=64, lr=0.05)
    found = measure(recipe)
    run = training.prepare(recipe)
    losses = list(run.steps())
    score = run.score()
    assert (found.status, found.steps_taken, found.parameters) == ("ok", 12, run.model.parameter_count())
    assert found.train_loss == pytest.approx(losses[-1], rel=1e-5)  # a tenth of 12 steps is one
    assert (found.test_loss, found.accuracy) == pytest.approx((score.loss, score.accuracy), rel=1e-5)


def test_gradients_at_initialisation_are_those_of_the_first_batch():
    recipe = Recipe(arch="mlp", depth=5, width=6, steps=2, batch_size=64)
    found = measure(recipe)
    run = training.prepare(recipe)
    x, target = next(run.loader.batches(0))
    outputs = [run.model.stem(x)]
    for block in run.model.blocks:
        outputs.append(block(outputs[-1]))
    loss = cross_entropy(run.model.head(outputs[-1]), target)
    first, *_, last = (float(np.linalg.norm(g.numpy())) for g in tr.grad(loss, outputs[1:]))
    assert found.gradient_first == pytest.approx(first, rel=1e-5)
    assert found.gradient_last == pytest.approx(last, rel=1e-5)
    assert found.gradient == pytest.approx(math.log10(first / last), rel=1e-4)


def test_a_diverged_point_is_a_result():
    found = measure(Recipe(arch="mlp", depth=3, width=4, steps=30, lr=1e30))
    assert found.status == "diverged"
    assert all(map(math.isnan, (found.train_loss, found.test_loss, found.accuracy)))
    assert math.isfinite(found.gradient)
    assert 1 <= found.steps_taken < 30


def test_the_last_step_may_be_the_one_that_goes_astray():
    found = measure(Recipe(arch="mlp", depth=3, width=4, steps=1, lr=1e38, weight_decay=1.0, schedule="constant"))
    assert (found.status, found.steps_taken) == ("diverged", 1)
    assert math.isnan(found.accuracy)


def test_a_gradient_that_is_gone_is_minus_infinity():
    found = measure(Recipe(arch="mlp", depth=9, width=8, steps=1, init="1e-20"))
    assert found.gradient == -math.inf
    assert found.gradient_last > found.gradient_first == 0


def test_one_thread_meanwhile_and_afterwards_as_many_as_before(monkeypatch):
    asked = []
    monkeypatch.setattr(processes, "get_num_threads", lambda: 7)
    monkeypatch.setattr(processes, "set_num_threads", asked.append)
    measure(Recipe(arch="mlp", depth=3, width=4, steps=1))
    assert asked == [1, 7]


def test_an_exception_becomes_a_sentence(monkeypatch):
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: 1 / 0)
    assert attempt(Recipe(arch="mlp", depth=3, width=4, steps=1)) == "ZeroDivisionError: division by zero"
