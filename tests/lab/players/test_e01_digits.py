"""Frozen generators of digits, in small: the law holds, and notices a loss that does not saturate."""

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres.gan.data import real_data
from tinyres.gan.losses import LOSSES
from tinyres.lab.players import e01_digits as e01
from tinyres.lab.registry import Options


@pytest.fixture
def small(monkeypatch):
    """One generator of one epoch; the discriminator's first 200 steps."""
    monkeypatch.setattr(e01, "EPOCHS", (1,))
    monkeypatch.setattr(e01, "SEEDS", 3)
    monkeypatch.setattr(e01, "CHECKPOINTS", (10, 100, 150, 200))
    monkeypatch.setattr(e01, "LAST", 2)


@pytest.mark.slow
def test_the_law_holds_in_small(small, tmp_path):
    found = holds("E1-digits", tmp_path)
    falls = [law for law in found.laws if law.kind == "ordering"]
    assert len(falls) == 1
    assert falls[0].tolerance > 0, "three seeds are to differ"


@pytest.mark.slow
def test_a_saturating_loss_that_does_not_saturate_is_noticed(small, monkeypatch):
    monkeypatch.setitem(LOSSES, "saturating", LOSSES["least_squares"])
    laws = e01.run(Options(), lambda: None).laws
    assert [law.ok for law in laws if law.kind == "ordering"] == [False]


def test_the_generator_stands_still_and_the_discriminator_is_fresh(small, monkeypatch):
    seen, digits = [], real_data("digits", 0)
    measure = e01.measure
    monkeypatch.setattr(e01, "measure", lambda g, d, noise: seen.append((g, d)) or measure(g, d, noise))
    (generator,) = e01.frozen(digits, 0, (1,), lambda: None)
    before = {name: p.numpy().copy() for name, p in generator.named_parameters()}
    e01.retrain(generator, digits, 1000, lambda: None)
    for name, p in seen[-1][0].named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name])


class Scale(e01.nn.Module):
    """G(z) = a z."""

    def __init__(self):
        self.weight = e01.nn.Parameter(np.ones(1, np.float32))

    def forward(self, z):
        return self.weight * z


class Sure(e01.nn.Module):
    """D(x) = x / 10 + shift: at shift -20 it gives a fake a probability of 2e-9."""

    def __init__(self, shift):
        self.shift = shift

    def forward(self, x):
        return 0.1 * x[:, :1] + self.shift


def test_float32_rounds_what_a_sure_discriminator_says():
    """Where 1 - sigmoid(a) is 1 the naive loss is 0; the stable one has the gradient e^a, the others their own."""
    noise = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    found = e01.measure(Scale(), Sure(-20), noise)
    slope = abs(0.1 * np.mean(np.exp(0.1 * noise[:, 0] - 20) * noise[:, 0]))
    assert found[e01.ROUNDED] == 1
    assert found["saturating"] == pytest.approx(slope, rel=1e-5)
    assert found["wasserstein"] == pytest.approx(abs(0.1 * noise[:, 0].mean()), rel=1e-5)
    assert e01.measure(Scale(), Sure(-10), noise)[e01.ROUNDED] == 0
