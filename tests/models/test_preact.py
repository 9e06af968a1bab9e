"""Pre-activation nets: sizes of the paper, blocks that are sums, the route without a nonlinearity."""

from itertools import pairwise

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn


def images(size, n=2, seed=0):
    return tr.tensor(np.random.default_rng(seed).standard_normal((n, 1, size, size)).astype("f"))


def test_parameter_counts():
    # He et al. 2016 [he2016identity], table 4: 1.7 million for ResNet-110 and ResNet-164.
    assert models.preact(110, rng=0).parameter_count() == 1_727_962
    assert models.preact(164, bottleneck=True, rng=0).parameter_count() == 1_703_258
    # 10.2 million for ResNet-1001, by the same table; what is counted there is unchecked.
    deep = models.preact(1001, bottleneck=True, rng=0)
    norms = sum(p.size for m in deep.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert (len(deep.blocks), deep.parameter_count(), norms) == (333, 10_327_706, 149_216)
    assert deep.parameter_count() - norms == 10_178_490


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize(("depth", "bottleneck"), [(8, False), (11, True)])
def test_logits_and_layers(size, depth, bottleneck):
    model = models.preact(depth, width=4, in_channels=1, classes=7, bottleneck=bottleneck, rng=0)
    assert model(images(size)).shape == (2, 7)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    projections = 3 if bottleneck else 0
    assert len(layers) == depth + projections


def test_depths_that_do_not_exist():
    with pytest.raises(ValueError, match=r"6 n \+ 2 with n >= 1 \(8, 14, 20, ...\), got 0; 8 is nearest"):
        models.preact(0)
    with pytest.raises(ValueError, match=r"9 n \+ 2 with n >= 1 \(11, 20, 29, ...\), got 163; 164 is nearest"):
        models.preact(163, bottleneck=True)


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


@pytest.mark.parametrize(("depth", "bottleneck"), [(14, False), (20, True)])
def test_routes_and_gradients(depth, bottleneck):
    model = models.preact(depth, width=4, in_channels=1, bottleneck=bottleneck, rng=0)
    with flow.record(model) as recording:
        (model(images(8, n=4)) * np.random.default_rng(1).standard_normal((4, 10)).astype("f")).sum().backward()
    assert set(recording.skip_share()) == {n for n, m in model.named_modules() if isinstance(m, nn.Residual)}
    assert all(0 < share < 1 for share in recording.skip_share().values())
    assert (recording.gradient_norms() > 0).all()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in model.parameters())


def test_the_same_seed_gives_the_same_net():
    a, b, c = (models.preact(20, bottleneck=True, rng=seed) for seed in (3, 3, 4))
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), c.parameters(), strict=True))
