"""Pre-activation nets: sizes of the paper, blocks that are sums, the route without a nonlinearity."""

from itertools import pairwise

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn


def images(size, n=2, seed=0):
    return tr.tensor(np.random.default_rng(seed).standard_normal((n, 1, size, size)).astype("f"))


@pytest.mark.slow
def test_the_deepest_net_has_the_published_size_but_for_its_norms():
    # 10.2 million for ResNet-1001, by the same table; what is counted there is unchecked.
    deep = models.preact(1001, bottleneck=True, rng=0)
    norms = sum(p.size for m in deep.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert (len(deep.blocks), deep.parameter_count(), norms) == (333, 10_327_706, 149_216)
    assert deep.parameter_count() - norms == 10_178_490


@pytest.mark.parametrize("bottleneck", [False, True])
def test_with_its_last_convolution_at_zero_a_block_is_the_identity(bottleneck):
    model = models.preact(20, width=4, bottleneck=bottleneck, rng=0)
    block = model.blocks[1]
    last = list(block.branch.children())[-1]
    last.weight.data = np.zeros_like(last.weight.numpy())
    x = np.random.default_rng(0).standard_normal((2, last.out_channels, 5, 5)).astype("f")
    np.testing.assert_array_equal(block(tr.tensor(x)).numpy(), x)  # of any sign: no ReLU comes after the sum


def test_activations_come_before_convolutions():
    model = models.preact(11, width=4, bottleneck=True, rng=0)
    for row in (model.blocks[0], *(m.branch for m in model.modules() if isinstance(m, nn.Residual))):
        modules = list(row.children())
        for before, conv in pairwise(modules):
            if isinstance(conv, nn.Conv2d):
                assert isinstance(before, nn.ReLU)
    assert [type(m).__name__ for m in model.head.children()][:2] == ["BatchNorm2d", "ReLU"]
