"""What watching costs: in turns with what it is compared to, the best of each."""

import time

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, viewer


def seconds(function):
    start = time.process_time()  # of this process: what else the machine does counts for nobody
    function()
    return time.process_time() - start


def in_turns(plain, watched, turns):
    pairs = [(seconds(plain), seconds(watched)) for _ in range(turns)]
    return tuple(min(column) for column in zip(*pairs, strict=True))


@pytest.mark.parametrize(("depth", "turns"), [(20, 3), pytest.param(56, 2, marks=pytest.mark.slow)])
def test_a_deep_net_takes_at_most_three_steps(depth, turns):
    rng = np.random.default_rng(0)
    model, labels = models.resnet(depth, rng=0), tr.tensor(rng.integers(0, 10, 32))
    images = tr.tensor(rng.standard_normal((32, 3, 32, 32)).astype("f4"))

    def loss():
        return tr.cross_entropy(model(images), labels)

    plain, watched = in_turns(lambda: loss().backward(), lambda: viewer.trace(loss), turns)
    assert watched <= 3 * plain


def test_tiny_tensors_take_at_most_half_a_second_more():
    w = tr.tensor(np.ones((2, 2)), requires_grad=True)

    def loss():
        h = w
        for _ in range(1000):
            h = tr.tanh(h) * 1.01
        return h.sum()

    plain, watched = in_turns(lambda: loss().backward(), lambda: viewer.trace(loss), 3)
    assert watched <= plain + 0.5
