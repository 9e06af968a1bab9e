"""Cross-entropies and their gradients on every rung of the CPU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference

RUNGS = pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
INF, NAN = np.inf, np.nan


def run(function, *args, like):
    for a in args:
        a.flags.writeable = False
    out = np.full_like(like, np.nan)
    assert function(*args, out) is out
    return out


def both(rung, x, target, g):
    """Losses, probabilities and gradient; what is written held NaN, what is read cannot be written."""
    for a in (x, target, g):
        a.flags.writeable = False
    out, probabilities = np.full(len(x), np.nan, x.dtype), np.full_like(x, np.nan)
    with np.errstate(invalid="ignore"):
        assert rung.cross_entropy(x, target, out, probabilities) is out
        dx = run(rung.cross_entropy_dx, g, probabilities, target, like=x)
    return out, probabilities, dx


def arrays(M, C, seed, dtype, scale):
    rng = np.random.default_rng(seed)
    x, g = scale * rng.standard_normal((M, C)), rng.standard_normal(M)
    return x.astype(dtype), rng.integers(0, C, M), g.astype(dtype)


@settings(max_examples=60, deadline=None)
@given(
    M=st.integers(0, 20),
    C=st.sampled_from([1, 2, 3, 7, 8, 10, 33, 127, 128, 150]),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from("fd"),
    scale=st.sampled_from([1.0, 30.0, 1e4]),
)
def test_it_is_softmax_cross_entropy(M, C, seed, dtype, scale):
    x, target, g = arrays(M, C, seed, dtype, scale)
    out, probabilities, dx = both(reference, x, target, g)
    wide = x.astype("d")
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    losses = np.log(np.exp(wide - wide.max(axis=1, keepdims=True)).sum(axis=1)) + wide.max(axis=1)
    losses -= wide[np.arange(M), target]
    eps = np.finfo(dtype).eps
    assert {a.dtype for a in (out, probabilities, dx)} == {np.dtype(dtype)}
    # x - top has one rounding of its own size, and an exponential turns an absolute error into a relative one.
    size = np.abs(wide).max(axis=1, initial=1)
    np.testing.assert_array_less(abs(out - losses), (4 * size + C) * eps + 1e-30)
    np.testing.assert_array_less(abs(probabilities - expected), (4 * size + C)[:, None] * eps * expected + 1e-30)
    hot = np.arange(C) == target[:, None]
    np.testing.assert_allclose(dx, g[:, None] * (probabilities - hot), rtol=4 * eps, atol=0)


@RUNGS
@pytest.mark.parametrize(
    ("row", "losses", "probabilities"),
    [
        ([0.0, -INF, 0.0], [np.log(2), INF, np.log(2)], [0.5, 0, 0.5]),
        ([1e30, 0.0, -1e30], [0, 1e30, 2e30], [1, 0, 0]),
        ([INF, 0.0, 1.0], [NAN] * 3, [NAN] * 3),
        ([0.0, 1.0, INF], [NAN] * 3, [NAN] * 3),
        ([0.0, 1.0, NAN], [NAN] * 3, [NAN] * 3),
        ([NAN, 1.0, -INF], [NAN] * 3, [NAN] * 3),
        ([-INF] * 3, [NAN] * 3, [NAN] * 3),
    ],
)
@pytest.mark.parametrize("filler", [0, 130])
def test_infinities_and_nan(rung, row, losses, probabilities, filler):
    x = np.array([row + [-INF] * filler] * 3, "f")  # on the wide path, too
    out, found, dx = both(rung, x, np.arange(3), np.ones(3, "f"))
    np.testing.assert_allclose(out, np.array(losses, "f"), rtol=1e-6)
    np.testing.assert_allclose(found[:, :3], [probabilities] * 3, rtol=1e-6)
    np.testing.assert_allclose(dx[:, :3], np.array([probabilities] * 3) - np.eye(3), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(), (0, 3), (1,), (5, 7), (2, 3, 4)]),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from("fd"),
    scale=st.sampled_from([1.0, 50.0]),
)
def test_yes_or_no(shape, seed, dtype, scale):
    rng = np.random.default_rng(seed)
    x, g = (np.asarray(s * rng.standard_normal(shape), dtype) for s in (scale, 1))
    t = np.asarray(rng.choice([0, 0.25, 1], shape), dtype)
    wide, target = x.astype("d"), t.astype("d")
    expected = target * np.logaddexp(0, -wide) + (1 - target) * np.logaddexp(0, wide)
    slope = (1 - target) / (1 + np.exp(-wide)) - target / (1 + np.exp(wide))
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    y, dx = run(reference.bce_with_logits, x, t, like=x), run(reference.bce_with_logits_dx, g, x, t, like=x)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=8 * eps, atol=tiny)
    size = (1 - target) / (1 + np.exp(-wide)) + target / (1 + np.exp(wide))
    assert (abs(dx - g * slope) <= 8 * eps * abs(g) * size + tiny).all()


@RUNGS
def test_yes_or_no_in_the_tails(rung):
    x, t = np.array([800.0, -800.0, 800.0, INF, -INF, NAN]), np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(run(rung.bce_with_logits, x, t, like=x), [0, 0, 800, INF, INF, NAN])
    dx = run(rung.bce_with_logits_dx, np.ones(6), x, t, like=x)
    np.testing.assert_array_equal(dx, [0, 0, 1, 1, -1, NAN])
    far = run(rung.bce_with_logits_dx, np.ones(1), np.array([60.0]), np.ones(1), like=np.ones(1))
    np.testing.assert_allclose(far, -np.exp(-60.0), rtol=1e-15)  # sigmoid(x) - 1 would be 0
