"""Fused operations: their kernels in a first-order pass, their reference beyond."""

import numpy as np

import tinyres as tr
from tests.autograd.leaves import leaf


def test_a_replay_updates_nothing_and_nobody_watches_it():
    x, mean, var = leaf(6, 3), tr.tensor(np.zeros(3)), tr.tensor(np.ones(3))
    seen = []

    class Watch(tr.Observer):
        def on_forward(self, node, value):
            seen.append(node.name)

    y = tr.batch_norm(x, mean, var)
    once = mean.numpy().copy()
    with Watch():
        tr.grad(y, x, np.ones((6, 3)), create_graph=True)
    np.testing.assert_array_equal(mean.numpy(), once)
    assert "sqrt" not in seen


def test_a_fused_operation_saves_arrays_and_numbers_only():
    x, mean, var = leaf(6, 3), tr.tensor(np.zeros(3)), tr.tensor(np.ones(3))
    saved = tr.batch_norm(x, mean, var).node.saved
    assert not any(callable(value) or isinstance(value, tr.Tensor) for value in saved)


def test_a_fused_operation_with_one_tensor_in_two_places():
    x, w = leaf(5, 3), leaf(3, seed=1)
    g = np.random.default_rng(2).standard_normal((5, 3))
    (fused,) = tr.grad(tr.batch_norm(x, weight=w, bias=w), w, g, create_graph=True)
    (plain,) = tr.grad(tr.batch_norm(x, weight=w, bias=w), w, g)
    np.testing.assert_allclose(fused.detach().numpy(), plain.numpy(), rtol=1e-12)
    xhat = tr.batch_norm(x).detach().numpy()
    np.testing.assert_allclose(plain.numpy(), (g * (xhat + 1)).sum(0), rtol=1e-10)
