"""Squeeze-and-excitation: the gate, and the net that has one in every branch."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def test_the_gate():
    gate = nn.SqueezeExcite(8, 4, rng=0).to("float64")
    x = normal(3, 8, 4, 5).astype("d")
    hidden = np.maximum(x.mean((2, 3)) @ gate.fc1.weight.numpy().T + gate.fc1.bias.numpy(), 0)
    s = 1 / (1 + np.exp(-(hidden @ gate.fc2.weight.numpy().T + gate.fc2.bias.numpy())))
    np.testing.assert_allclose(gate(tr.tensor(x)).numpy(), x * s[:, :, None, None], rtol=1e-12)
    assert gate.fc1.weight.shape == (2, 8)


def test_with_its_last_layer_at_zero_a_gate_is_half_open():
    gate = nn.SqueezeExcite(8, 4, rng=0)
    for parameter in gate.fc2.parameters():
        nn.init.zeros_(parameter)
    x = normal(2, 8, 3, 3)
    np.testing.assert_array_equal(gate(tr.tensor(x)).numpy(), x / 2)


def test_what_a_gate_refuses():
    assert nn.SqueezeExcite(4, 16, rng=0).fc1.weight.shape == (1, 4)  # one hidden unit remains
    with pytest.raises(ValueError, match="reduction must be a whole number of at least 1, got 0"):
        nn.SqueezeExcite(4, 0)
    with pytest.raises(ValueError, match=r"x must have shape \(N, 4, H, W\), got \(2, 3, 5, 5\)"):
        nn.SqueezeExcite(4)(tr.tensor(normal(2, 3, 5, 5)))


def test_parameter_count():
    # Hu et al. 2018 [hu2018squeeze], equation 5: 2 / r * sum of C² over the blocks is added; here the two layers'
    # biases as well.
    plus = sum(3 * (2 * c * c // 16 + c // 16 + c) for c in (16, 32, 64))
    assert models.senet(20, rng=0).parameter_count() == models.resnet(20, rng=0).parameter_count() + plus


def test_with_its_branch_at_zero_a_block_is_the_identity():
    block = models.senet(8, width=4, rng=0).blocks[0]
    block.body.branch[4].weight.data = np.zeros(4, "f")
    x = np.abs(normal(2, 4, 5, 5))
    np.testing.assert_array_equal(block(tr.tensor(x)).numpy(), x)
