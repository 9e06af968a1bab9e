"""The composite gain against products written out, and of nets with hyper-connections."""

import numpy as np
import pytest

from tinyres import flow, nn


def test_against_products_by_hand():
    a, b = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([[0.5, 0.5], [0.25, 0.75]])
    found = flow.composite_gain([a, b])
    np.testing.assert_allclose(found["composite"], [np.eye(2), a, b @ a])
    np.testing.assert_allclose(found["forward"], [1, 3, max(1.0, 0.5)], rtol=0.5)
    product = b @ a
    assert found["forward"][-1] == np.abs(product).sum(axis=1).max()
    assert found["backward"][-1] == np.abs(product).sum(axis=0).max()
    assert found["norm"][-1] == pytest.approx(np.linalg.svd(product)[1][0])
    apart = np.array([1, -1]) / np.sqrt(2)
    assert found["differences"][-1] == pytest.approx(abs(apart @ product @ apart))


def test_doubly_stochastic_mixing_keeps_the_mean_and_loses_the_differences():
    eps, n, depth = 0.2, 4, 30
    found = flow.composite_gain([(1 - eps) * np.eye(n) + eps / n] * depth)
    np.testing.assert_allclose(found["norm"], 1)
    np.testing.assert_allclose(found["forward"], 1)
    np.testing.assert_allclose(found["differences"], (1 - eps) ** np.arange(depth + 1), rtol=1e-9)


@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_a_model_with_hyper_connections(mixing, tmp_path):
    model = nn.Sequential(*(nn.HyperConnections(nn.Linear(3, 3, rng=k), 4, mixing, k) for k in range(3)))
    rng = np.random.default_rng(0)
    for block in model:
        block.shortcut.weight.data = rng.standard_normal((4, 4)).astype("float32")
    matrices = [block.shortcut.matrix().numpy().astype("float64") for block in model]
    found = flow.composite_gain(model)
    np.testing.assert_allclose(found["composite"][-1], matrices[2] @ matrices[1] @ matrices[0])
    assert bool(found["norm"].max() < 1.001) is (mixing != "free")
    found.plot().savefig(tmp_path / "m.png")


def test_what_cannot_be_measured_is_said():
    with pytest.raises(ValueError, match=r"no nn\.HyperConnections"):
        flow.composite_gain(nn.Linear(2, 2, rng=0))
    for wrong in ([], [np.eye(2), np.eye(3)], [np.ones((2, 3))]):
        with pytest.raises(ValueError, match="at least one matrix, all of one shape"):
            flow.composite_gain(wrong)
