"""Initial values: their distribution, their seed, and that what a graph holds is left alone."""

from functools import partial

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.nn import init


def weight(*shape):
    return nn.Parameter(np.zeros(shape, np.float32))


# (function, standard deviation of its values for a (100, 40, 3, 3) weight: fan_in 360, fan_out 900)
SPREADS = [
    (init.kaiming_normal_, (2 / 360) ** 0.5),
    (init.kaiming_uniform_, (2 / 360) ** 0.5),
    (partial(init.kaiming_normal_, mode="fan_out", a=0.2), (2 / 1.04 / 900) ** 0.5),
    (partial(init.kaiming_uniform_, nonlinearity="tanh"), 5 / 3 / 360**0.5),
    (init.xavier_normal_, (2 / 1260) ** 0.5),
    (partial(init.xavier_uniform_, gain=2.0), 2 * (2 / 1260) ** 0.5),
    (partial(init.normal_, mean=3.0, std=0.5), 0.5),
    (partial(init.uniform_, a=-1.0, b=3.0), 4 / 12**0.5),
]


@pytest.mark.parametrize(("function", "std"), SPREADS, ids=[getattr(f, "func", f).__name__ for f, _ in SPREADS])
def test_spread_seed_and_dtype(function, std):
    p = weight(100, 40, 3, 3)
    assert function(p, rng=0) is p
    values = p.detach().numpy()
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(std, rel=0.02)  # 36,000 values: about 5 standard deviations
    np.testing.assert_array_equal(function(weight(100, 40, 3, 3), rng=0).detach().numpy(), values)
    assert not np.array_equal(function(weight(100, 40, 3, 3), rng=1).detach().numpy(), values)


def test_uniform_values_stay_within_their_bound():
    values = init.kaiming_uniform_(weight(200, 50), rng=0).detach().numpy()
    assert 0.99 * (6 / 50) ** 0.5 < abs(values).max() <= (6 / 50) ** 0.5


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (4, 3, 2, 2)])
def test_orthogonal(shape):
    p = init.orthogonal_(weight(*shape), gain=1.5, rng=0)
    w = p.detach().numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 2.25 * np.eye(min(w.shape)), atol=1e-5)


def test_orthogonal_is_uniform_over_signs():
    rng = np.random.default_rng(0)
    corners = np.array([init.orthogonal_(weight(2, 2), rng=rng).detach().numpy()[0, 0] for _ in range(400)])
    assert abs((corners > 0).mean() - 0.5) < 0.1  # 4 standard deviations; uncorrected, all have one sign


def test_values_do_not_depend_on_the_memory_layout():
    conv = nn.Conv2d(3, 4, 2)
    flat = weight(4, 3, 2, 2)
    for function in (init.normal_, init.orthogonal_):
        a, b = function(conv.weight, rng=0), function(flat, rng=0)
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_constants():
    p = weight(2, 3)
    assert (init.ones_(p).detach().numpy() == 1).all()
    assert (init.constant_(p, 2.5).detach().numpy() == 2.5).all()
    assert (init.zeros_(p).detach().numpy() == 0).all()


def test_a_graph_keeps_the_old_values():
    p, x = weight(2, 3), tr.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    init.ones_(p)
    y = x @ p.T
    init.constant_(p, 7.0)
    np.testing.assert_array_equal(tr.grad(y.sum(), x)[0].numpy(), [[2, 2, 2]])


def test_errors():
    with pytest.raises(ValueError, match=r"xavier_normal_: needs a weight of at least two axes.*\(3,\)"):
        init.xavier_normal_(weight(3))
    with pytest.raises(ValueError, match=r"orthogonal_: needs a weight"):
        init.orthogonal_(weight(3))
    with pytest.raises(ValueError, match="kaiming_normal_: mode must be 'fan_in' or 'fan_out', got 'fan'"):
        init.kaiming_normal_(weight(3, 3), mode="fan")
    with pytest.raises(ValueError, match=r"no gain is known for 'swish'; there are linear.*leaky_relu"):
        init.calculate_gain("swish")
