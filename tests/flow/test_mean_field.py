"""The closed forms against the values that laws.md's source papers imply, worked out independently."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.flow.theory import mean_field
from tinyres.flow.theory.activations import ACTIVATIONS
from tinyres.lab.laws.e02_depth import CASES

KNOWN = {  # s_w^2: (q*, chi, depth scale)
    0.5: (0.0876, 0.4320, 1.19),
    1.0: (0.1936, 0.7590, 3.63),
    1.5: (0.4180, 0.9386, 15.8),
    2.5: (1.064, 1.1335, 8.0),
}


@pytest.mark.parametrize("s_w2", KNOWN)
def test_tanh(s_w2):
    setting = next(s for s in CASES if s.activation == "tanh" and s.s_w2 == s_w2)
    q, chi, scale = KNOWN[s_w2]
    assert setting.q == pytest.approx(q, rel=1e-3)
    assert setting.chi == pytest.approx(chi, rel=1e-3)
    assert mean_field.depth_scale(setting.chi) == pytest.approx(scale, rel=1e-2)


def test_tanh_is_critical_at_1_76():
    setting = next(s for s in CASES if s.s_w2 == 1.76)
    assert setting.q == pytest.approx(0.5695, rel=1e-3)
    assert setting.chi == pytest.approx(0.9998, abs=1e-4)


def test_sigmoid_vanishes_even_at_16_times_the_variance():
    small, large = (s.chi for s in CASES if s.activation == "sigmoid")
    assert (small, large) == (pytest.approx(0.0557, rel=2e-3), pytest.approx(0.399, rel=2e-3))


def test_scale_free_activations():
    chis = [s.chi for s in CASES if s.scale_free]
    assert chis == [pytest.approx(0.5), pytest.approx(1.0), pytest.approx(0.5)]  # Glorot's ReLU, He's, a linear net


@pytest.mark.parametrize("s_w2", KNOWN)
def test_weights_for_a_fixed_point(s_w2):
    setting = next(s for s in CASES if s.activation == "tanh" and s.s_w2 == s_w2)
    assert mean_field.weights_for(setting.q, setting.theory.value, setting.s_b2) == pytest.approx(s_w2, rel=1e-9)


def test_gaussian_means():
    assert mean_field.gaussian_mean(np.ones_like) == pytest.approx(1, rel=1e-13)
    assert mean_field.gaussian_mean(lambda z: z**4) == pytest.approx(3, rel=1e-12)
    assert mean_field.gaussian_mean(lambda z: np.maximum(z, 0) ** 2) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_the_library_s_and_their_slopes_are_theirs(name):
    activation = ACTIVATIONS[name]
    x = np.linspace(-9, 9, 100)  # no kink among them
    if name != "linear":
        np.testing.assert_allclose(getattr(tr, name)(tr.tensor(x)).numpy(), activation.value(x), rtol=1e-12, atol=1e-15)
    h = 1e-5
    difference = (activation.value(x + h) - activation.value(x - h)) / (2 * h)
    np.testing.assert_allclose(activation.slope(x), difference, rtol=1e-6, atol=1e-9)
    if activation.scale_free:
        np.testing.assert_allclose(activation.value(3 * x), 3 * activation.value(x))


def test_no_fixed_point_is_nan():
    def fixed_point(name, s_w2, s_b2):
        return mean_field.fixed_point(ACTIVATIONS[name].value, s_w2, s_b2)

    assert fixed_point("relu", 1.0, 0.1) == pytest.approx(0.2)  # q = q/2 + 0.1
    assert np.isnan(fixed_point("relu", 3.0, 0.1))  # it grows without end
    assert np.isnan(fixed_point("gelu", 2.0, 0.0))  # it dies out
    assert np.isnan(fixed_point("tanh", 1.0, 0.0))  # it dies out, too slowly to settle
    np.testing.assert_allclose(
        mean_field.variances(1.0, 3, ACTIVATIONS["linear"].value, 0.5, 0.0), [1, 0.5, 0.25, 0.125]
    )
