"""A net taken layer by layer."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.lab.depth import slope, states


def test_every_state_follows_from_the_one_before_and_wants_a_gradient():
    x = np.array([1.0, 2.0])
    found = states([lambda h: 2 * h, lambda h: h * h], x)
    np.testing.assert_array_equal([h.numpy() for h in found], [[1, 2], [2, 4], [4, 16]])
    gradients = tr.grad(found[-1], found, np.ones(2))
    np.testing.assert_array_equal([g.numpy() for g in gradients], [[8, 16], [4, 8], [1, 1]])


def test_the_slope_of_a_straight_line():
    assert slope(3 - 0.5 * np.arange(7)) == pytest.approx(-0.5)
