"""The closed forms against the values that laws.md's source papers imply, worked out independently."""

import numpy as np
import pytest

from tinyres.flow.experiments.laws.e02_depth import SETTINGS
from tinyres.flow.theory import mean_field

KNOWN = {  # s_w^2: (q*, chi, depth scale)
    0.5: (0.0876, 0.4320, 1.19),
    1.0: (0.1936, 0.7590, 3.63),
    1.5: (0.4180, 0.9386, 15.8),
    2.5: (1.064, 1.1335, 8.0),
}


@pytest.mark.parametrize("s_w2", KNOWN)
def test_tanh(s_w2):
    setting = next(s for s in SETTINGS if s.label == "tanh" and s.s_w2 == s_w2)
    q, chi, scale = KNOWN[s_w2]
    assert setting.q == pytest.approx(q, rel=1e-3)
    assert setting.chi == pytest.approx(chi, rel=1e-3)
    assert mean_field.depth_scale(setting.chi) == pytest.approx(scale, rel=1e-2)


def test_tanh_is_critical_at_1_76():
    setting = next(s for s in SETTINGS if s.s_w2 == 1.76)
    assert setting.q == pytest.approx(0.5695, rel=1e-3)
    assert setting.chi == pytest.approx(0.9998, abs=1e-4)


def test_sigmoid_vanishes_even_at_16_times_the_variance():
    small, large = (s.chi for s in SETTINGS if s.label == "sigmoid")
    assert (small, large) == (pytest.approx(0.0557, rel=2e-3), pytest.approx(0.399, rel=2e-3))


def test_scale_free_activations():
    chis = {s.label: s.chi for s in SETTINGS if s.scale_free}
    assert chis == {"ReLU (Glorot)": pytest.approx(0.5), "ReLU (He)": pytest.approx(1.0), "linear": pytest.approx(0.5)}


@pytest.mark.parametrize("s_w2", KNOWN)
def test_weights_for_a_fixed_point(s_w2):
    setting = next(s for s in SETTINGS if s.label == "tanh" and s.s_w2 == s_w2)
    assert mean_field.weights_for(setting.q, setting.activation, setting.s_b2) == pytest.approx(s_w2, rel=1e-9)


def test_gaussian_means():
    assert mean_field.gaussian_mean(np.ones_like) == pytest.approx(1, rel=1e-13)
    assert mean_field.gaussian_mean(lambda z: z**4) == pytest.approx(3, rel=1e-12)
    assert mean_field.gaussian_mean(lambda z: np.maximum(z, 0) ** 2) == pytest.approx(0.5, rel=1e-6)
