"""Dynamical isometry: the laws hold, and notice weights that are not orthogonal."""

import numpy as np
import pytest

from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.laws import e12_isometry as e12
from tinyres.flow.theory import isometry

OPTIONS = Options()


def test_every_law_holds(tmp_path):
    result = holds("E12", tmp_path)
    for case, values in result.data["singular_values"].items():  # the spread does not see the scale
        assert np.mean(np.square(values)) == pytest.approx(1, abs=0.3), case


def test_the_closed_form():
    found = [isometry.spread(8, orthogonal=o, active=a) for a, o in e12.CASES]
    assert found == [8, 0, 16, 8]


def test_the_jacobian_is_the_product_of_its_layers():
    layers = e12.weights(False, np.random.default_rng(5))[:3]
    product = np.linalg.multi_dot([w.numpy() for w in layers])
    found = e12.jacobian(layers, 1.0, np.random.default_rng(6))
    np.testing.assert_allclose(found, product.T, atol=1e-12)
    np.testing.assert_allclose(e12.singular_values(found)[::-1], np.linalg.svd(product, compute_uv=False), atol=1e-7)


def test_weights_that_are_not_orthogonal_are_noticed(monkeypatch):
    """Gaussian weights wherever orthogonal ones are asked for: a spread of L where 0 is predicted, 2 L where L is."""
    monkeypatch.setattr(e12.init, "orthogonal_", lambda w, rng: e12.init.normal_(w, std=e12.WIDTH**-0.5, rng=rng))
    failed = [law.name for law in e12.run(OPTIONS, lambda: None).laws if not law.ok]
    assert sum("orthogonal" in name for name in failed) == 4
