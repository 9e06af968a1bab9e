"""Results at the edges of a domain, which are a choice: they are fixed here, by value."""

import numpy as np
import pytest

import tinyres as tr

INF = np.inf


def value_and_gradient(function, x, g=None):
    x = tr.tensor(np.asarray(x, np.float64), requires_grad=True)
    y = function(x)
    return y.detach().numpy(), tr.grad(y, [x], np.ones(y.shape) if g is None else np.asarray(g))[0].numpy()


def check(function, x, value, gradient, g=None):
    """Within a few roundoffs; and the recorded pass gives the same."""
    y, d = value_and_gradient(function, x, g)
    np.testing.assert_allclose(y, value, rtol=1e-14)
    np.testing.assert_allclose(d, gradient, rtol=1e-14)
    leaf = tr.tensor(np.asarray(x, np.float64), requires_grad=True)
    out = function(leaf)
    recorded = tr.grad(out, [leaf], np.ones(out.shape) if g is None else np.asarray(g), create_graph=True)[0]
    np.testing.assert_allclose(recorded.detach().numpy(), gradient, rtol=1e-14)


# -- ties -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sign", [1, -1])
def test_elements_that_tie_in_max_and_min_share_equally(sign):
    extreme = tr.max if sign > 0 else tr.min
    x = sign * np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    third = 1 / 3
    check(lambda x: extreme(x, axis=1), x, sign * np.array([3.0, 2.0]), [[0, 0.5, 0.5], [third, third, third]])
    check(extreme, x, sign * 3.0, [[0, 0.5, 0.5], [0, 0, 0]])


@pytest.mark.parametrize(("extreme", "order"), [(tr.maximum, 1), (tr.minimum, -1)])
def test_a_tie_in_maximum_and_minimum_is_halved(extreme, order):
    a, b = (tr.tensor(order * np.array(v), requires_grad=True) for v in ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]))
    da, db = tr.grad(extreme(a, b), [a, b], np.array([10.0, 10.0, 10.0]))
    assert da.tolist() == [0, 5, 10]
    assert db.tolist() == [10, 5, 0]


def test_max_pool_gives_a_tie_to_the_first():
    x = np.zeros((1, 1, 2, 2))
    check(lambda x: tr.max_pool2d(x, 2), x, [[[[0]]]], [[[[1, 0], [0, 0]]]])


# -- kinks ----------------------------------------------------------------------------------------------------------
def test_at_its_kink_an_activation_has_the_left_slope():
    check(tr.relu, [-1.0, 0.0, 1.0], [0, 0, 1], [0, 0, 1])
    check(lambda x: tr.leaky_relu(x, 0.25), [-4.0, 0.0, 1.0], [-1, 0, 1], [0.25, 0.25, 1])
    check(lambda x: tr.elu(x, 0.5), [0.0, 1.0], [0, 1], [0.5, 1])


def test_the_slopes_of_abs_and_sign_at_0_are_0():
    check(tr.abs, [-2.0, 0.0, 2.0], [2, 0, 2], [-1, 0, 1])
    check(tr.sign, [-2.0, 0.0, 2.0], [-1, 0, 1], [0, 0, 0])


def test_clip_passes_on_its_bounds():
    check(lambda x: tr.clip(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0], [-1, -1, 0, 1, 1], [0, 1, 1, 1, 0])


# -- infinities and NaN ---------------------------------------------------------------------------------------------
def test_an_infinite_cotangent_is_stopped_by_a_dead_unit():
    check(tr.relu, [-1.0, 0.0, 1.0], [0, 0, 1], [0, 0, INF], g=[INF, INF, INF])
    check(lambda x: tr.clip(x, 0, 1), [-1.0, 0.5], [0, 0.5], [0, INF], g=[INF, INF])
    check(lambda x: tr.max(x, axis=0), [1.0, 2.0], 2, [0, INF], g=INF)
    x = tr.tensor(np.ones(2), requires_grad=True)
    y = tr.tensor(np.ones(2), requires_grad=True)
    dx, dy = tr.grad(tr.where(np.array([True, False]), x, y), [x, y], np.array([INF, INF]))
    assert dx.tolist() == [INF, 0]
    assert dy.tolist() == [0, INF]


def test_nan_stays_nan():
    x = np.array([np.nan, 1.0])
    for function in (tr.relu, tr.abs, tr.tanh, tr.sigmoid, tr.softplus, tr.elu, tr.leaky_relu, tr.gelu, tr.silu):
        assert np.isnan(function(tr.tensor(x)).numpy()).tolist() == [True, False], function
    assert np.isnan(tr.max(tr.tensor(x)).item())
    assert np.isnan(tr.clip(tr.tensor(x), 0, 1).numpy()[0])


def test_far_down_a_tail_nothing_overflows_and_nothing_is_lost():
    small = np.exp(-700.0)
    check(tr.sigmoid, [-700.0, -800.0, 800.0], [small, 0, 1], [small, 0, 0])
    check(tr.softplus, [-700.0, -800.0, 800.0], [small, 0, 800], [small, 0, 1])
    check(tr.logsigmoid, [-800.0, 800.0], [-800, 0], [1, 0])
    check(tr.silu, [-800.0, 800.0], [0, 800], [0, 1])
    check(tr.tanh, [-800.0, 800.0], [-1, 1], [0, 0])
    check(tr.elu, [-800.0], [-1], [0])
    check(tr.gelu, [-800.0, 800.0], [0, 800], [0, 1])


def test_softmax_of_huge_numbers():
    check(tr.softmax, [1e4, 1e4, -1e4], [0.5, 0.5, 0], [0.25, -0.25, 0], g=[1.0, 0.0, 5.0])
    check(tr.log_softmax, [0.0, -1e4], [0, -1e4], [0, 0], g=[3.0, 0.0])
    check(tr.logsumexp, [1e4, -1e4], 1e4, [1, 0])


def test_minus_infinity_is_a_probability_of_0():
    check(tr.softmax, [0.0, -INF, 0.0], [0.5, 0, 0.5], [0.25, 0, -0.25], g=[1.0, 7.0, 0.0])
    check(tr.logsumexp, [0.0, -INF, 0.0], np.log(2), [0.5, 0, 0.5])


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity():
    with np.errstate(divide="ignore"):  # a logarithm of 0 says so, here as in NumPy
        y = tr.logsumexp(tr.tensor(np.full((2, 3), -INF)), axis=1)
    assert y.tolist() == [-INF, -INF]


# -- edges of a domain ----------------------------------------------------------------------------------------------
def test_sqrt_and_log_at_0():
    with np.errstate(divide="ignore"):
        check(tr.sqrt, [0.0, 4.0], [0, 2], [INF, 0.25])
        check(tr.log, [0.0, 2.0], [-INF, np.log(2)], [INF, 0.5])


def test_powers_at_0():
    check(lambda x: x**0, [0.0, 2.0], [1, 1], [0, 0])
    check(lambda x: x**1, [0.0, 2.0], [0, 2], [1, 1])
    check(lambda x: x**2, [0.0, 3.0], [0, 9], [0, 6])
    check(lambda x: tr.pow(x, np.array([0.0, 1.0, 2.0])), [0.0, 0.0, 0.0], [1, 0, 0], [0, 1, 0])


def test_the_gradient_of_an_exponent_at_base_0_is_0():
    check(lambda p: tr.pow(np.array([0.0, 0.0, 2.0]), p), [0.0, 2.0, 3.0], [1, 0, 8], [0, 0, 8 * np.log(2)])
    check(lambda p: 0.0**p, [1.0], [0], [0])


def test_the_mixed_derivative_of_a_power_at_exponent_0_is_that_of_exp_p_log_x():
    x, p = (tr.tensor(np.array(v), requires_grad=True) for v in (2.0, 0.0))
    for first, second in ((x, p), (p, x)):
        (d,) = tr.grad(x**p, [first], create_graph=True)
        assert tr.grad(d, [second])[0].item() == pytest.approx(0.5)


# -- second derivatives where the first has a choice ----------------------------------------------------------------
def test_second_derivatives_at_a_kink_are_0_or_the_chosen_sides():
    for function, expected in ((tr.relu, 0.0), (tr.abs, 0.0), (lambda x: tr.elu(x, 0.5), 0.5)):
        x = tr.tensor(np.zeros(1), requires_grad=True)
        (d,) = tr.grad(function(x) * 1.0 + 0.0 * x * x, [x], np.ones(1), create_graph=True)
        assert tr.grad(d, [x], np.ones(1))[0].item() == expected


# -- dtypes ---------------------------------------------------------------------------------------------------------
def test_a_python_number_never_promotes_and_an_astype_converts_its_gradient_back():
    x = tr.tensor(np.ones(2, np.float32), requires_grad=True)
    for y in (x + 1.0, 2 * x, x / 3, 2.0**x, x**2.5, tr.where(x > 0, x, 0.0), tr.maximum(x, 0.5), tr.clip(x, 0.0, 2.0)):
        assert y.dtype == np.float32
    wide = tr.astype(x, "float64")
    assert wide.dtype == np.float64
    assert tr.grad((wide * wide).sum(), [x])[0].dtype == np.float32


def test_dtypes_that_differ_in_a_matrix_product_are_an_error_that_says_so():
    with pytest.raises(TypeError, match=r"matmul\(.*float32 and float64 differ.*astype"):
        tr.tensor(np.ones((2, 2), np.float32)) @ tr.tensor(np.ones((2, 2)))
