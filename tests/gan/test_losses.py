"""The players' losses: closed forms of the gradient that a generator gets, soundness on large logits, fixed points."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres.gan import LOSSES, saturating_naive
from tinyres.gan.losses import OF_FAKES

A = np.linspace(-6, 6, 13).reshape(-1, 1)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def pull(loss, a):
    """N dL_G/da for fake logits (N, 1)."""
    leaf = tr.tensor(a, requires_grad=True)
    (g,) = tr.grad(loss.generator(leaf), leaf)
    return len(a) * g.numpy()


def judged(loss, real, fake):
    """(N dL_D/da_real, M dL_D/da_fake)."""
    leaves = [tr.tensor(a, requires_grad=True) for a in (real, fake)]
    return [len(g) * g.numpy()
            for leaf, g in zip(leaves, tr.grad(loss.discriminator(*leaves), leaves), strict=True)]  # fmt: skip


GENERATOR = {  # loss, pull
    "saturating": (lambda a: np.log(1 - sigmoid(a)), lambda a: -sigmoid(a)),
    "nonsaturating": (lambda a: -np.log(sigmoid(a)), lambda a: -sigmoid(-a)),
    "least_squares": (lambda a: 0.5 * (a - 1) ** 2, lambda a: a - 1),
    "hinge": (lambda a: -a, lambda a: -np.ones_like(a)),
    "wasserstein": (lambda a: -a, lambda a: -np.ones_like(a)),
}
DISCRIMINATOR = {  # loss of a real and of a fake logit, their derivatives
    "saturating": (lambda r: -np.log(sigmoid(r)), lambda f: -np.log(1 - sigmoid(f)), lambda r: -sigmoid(-r), sigmoid),
    "least_squares": (lambda r: 0.5 * (r - 1) ** 2, lambda f: 0.5 * f**2, lambda r: r - 1, lambda f: f),
    "hinge": (lambda r: np.maximum(0, 1 - r), lambda f: np.maximum(0, 1 + f), lambda r: -1.0 * (r < 1),
              lambda f: 1.0 * (f > -1)),
    "wasserstein": (lambda r: -r, lambda f: f, lambda r: -np.ones_like(r), np.ones_like),
}  # fmt: skip
DISCRIMINATOR["nonsaturating"] = DISCRIMINATOR["saturating"]


def test_every_loss_is_held_against_its_formula():
    assert set(OF_FAKES) == set(GENERATOR) == set(DISCRIMINATOR)  # the others: test_relativistic.py
    for name, loss in LOSSES.items():
        assert loss.name == name
        assert "arXiv" in loss.paper


@pytest.mark.parametrize("name", GENERATOR)
def test_the_generators_loss_and_its_pull(name):
    value, slope = GENERATOR[name]
    got = LOSSES[name].generator(tr.tensor(A))
    assert got.shape == ()
    assert float(got) == pytest.approx(value(A).mean(), rel=1e-12)
    np.testing.assert_allclose(pull(LOSSES[name], A), slope(A), rtol=1e-12)


@pytest.mark.parametrize("name", DISCRIMINATOR)
def test_the_discriminators_loss_and_its_slopes(name):
    on_real, on_fake, slope_real, slope_fake = DISCRIMINATOR[name]
    real, fake = A + 0.3, A[4:9] * 1.1  # on both sides of hinge's kinks; each batch has a size and a mean of its own
    got = LOSSES[name].discriminator(tr.tensor(real), tr.tensor(fake))
    assert got.shape == ()
    assert float(got) == pytest.approx(on_real(real).mean() + on_fake(fake).mean(), rel=1e-12)
    of_real, of_fake = judged(LOSSES[name], real, fake)
    np.testing.assert_allclose(of_real, slope_real(real), rtol=1e-12)
    np.testing.assert_allclose(of_fake, slope_fake(fake), rtol=1e-12)


@pytest.mark.parametrize("name", OF_FAKES)
def test_the_discriminator_prefers_the_truth_and_the_generator_to_deceive(name):
    high, low = tr.tensor(np.full((4, 1), 0.5)), tr.tensor(np.full((4, 1), -0.5))
    assert float(LOSSES[name].discriminator(high, low)) < float(LOSSES[name].discriminator(low, high))
    assert float(LOSSES[name].generator(high)) < float(LOSSES[name].generator(low))


def test_an_undecided_discriminator_is_at_log_4():
    zero = tr.tensor(np.zeros((4, 1)))
    assert float(LOSSES["saturating"].discriminator(zero, zero)) == pytest.approx(math.log(4), rel=1e-15)


def test_the_two_pulls_of_cross_entropy_are_d_and_1_minus_d():
    np.testing.assert_allclose(pull(LOSSES["nonsaturating"], A) - 1, -2 - pull(LOSSES["saturating"], A), rtol=1e-12)


@pytest.mark.parametrize("name", OF_FAKES)
@pytest.mark.parametrize("a", [-1e4, -200, -50, 50, 200, 1e4])
def test_float32_logits_of_any_size_are_sound(name, a):
    logits = np.full((3, 1), a, np.float32)
    loss = LOSSES[name]
    assert np.isfinite(float(loss.generator(tr.tensor(logits))))
    for real, fake in ((a, -a), (-a, a)):
        got = loss.discriminator(*(tr.tensor(np.full((3, 1), v, np.float32)) for v in (real, fake)))
        assert np.isfinite(float(got))
    _, slope = GENERATOR[name]
    with np.errstate(over="ignore"):  # of the formula
        np.testing.assert_allclose(pull(loss, logits), slope(np.full((3, 1), a)), rtol=1e-6, atol=1e-38)


def test_the_saturating_loss_keeps_its_last_digits_where_the_naive_form_says_0():
    for a in (-17.4, -30.0, -80.0):
        logit = tr.tensor(np.full((1, 1), a, np.float32))
        assert float(saturating_naive.generator(logit)) == 0
        assert float(LOSSES["saturating"].generator(logit)) == pytest.approx(-math.exp(a), rel=1e-5)


def test_the_naive_form_agrees_where_nothing_is_rounded():
    a = np.linspace(-3, 3, 7).reshape(-1, 1)
    np.testing.assert_allclose(pull(saturating_naive, a), pull(LOSSES["saturating"], a), rtol=1e-12)
    for ours, theirs in zip(judged(saturating_naive, a, -a), judged(LOSSES["saturating"], a, -a), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert "saturating_naive" not in LOSSES


def test_the_naive_form_is_infinite_and_its_gradient_nan_for_a_fake_that_passes_as_real():
    for a, sound in ((16.6, True), (16.7, False), (50.0, False)):
        logit = np.full((1, 1), a, np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            assert np.isfinite(float(saturating_naive.generator(tr.tensor(logit)))) == sound
            assert np.isnan(pull(saturating_naive, logit)).all() != sound
        assert pull(LOSSES["saturating"], logit) == pytest.approx(-1, rel=1e-6)


def test_the_naive_discriminator_breaks_at_a_real_sample_that_it_is_sure_is_fake():
    fake = np.full((1, 1), -1.0, np.float32)
    for a, value, slope in ((-88.5, 88.5, -1), (-89.0, 89.0, -np.inf), (-104.0, np.inf, np.nan)):
        real = np.full((1, 1), a, np.float32)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            got = saturating_naive.discriminator(tr.tensor(real), tr.tensor(fake))
            naive, _ = judged(saturating_naive, real, fake)
        assert float(got) == pytest.approx(value + np.log1p(np.exp(-1)), rel=1e-5)
        assert naive.item() == pytest.approx(slope, rel=1e-5, nan_ok=True)
        sound, _ = judged(LOSSES["saturating"], real, fake)
        assert sound == pytest.approx(-1, rel=1e-6)
