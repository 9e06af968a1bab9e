"""Batch norm with the sum and the ReLU behind it in one operation: nothing but the number of operations may change."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.stages import Block

CHANNELS = 3
BRANCH = ["0.weight", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias"]
BUFFERS = ["1.running_mean", "1.running_var", "4.running_mean", "4.running_var"]


class Forward(tr.Observer):
    """Every operation that is recorded, by its path, name and roles."""

    def __init__(self):
        self.seen = []

    def on_forward(self, node, value):
        self.seen.append(node)


class Loud(nn.ReLU):
    """A ReLU only by descent."""

    def forward(self, x):
        return 3 * super().forward(x)


def branch(relu=None, channels=CHANNELS):
    """conv - BN - ReLU - conv - BN with weights that are not at their symmetric start, in float64."""
    rng = np.random.default_rng(5)
    row = nn.Sequential(
        nn.Conv2d(CHANNELS, channels, 3, padding=1, rng=rng),
        nn.BatchNorm2d(channels),
        relu or nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, rng=rng),
        nn.BatchNorm2d(channels),
    ).to("float64")
    for _, value in row.named_parameters():
        value.data = value.data + 0.3 * rng.standard_normal(value.shape)
    for _, value in row.named_buffers():
        if value.ndim:
            value.data = rng.uniform(0.5, 2, value.shape)
    return row


def images(channels=CHANNELS):
    return tr.tensor(np.random.default_rng(6).standard_normal((4, channels, 5, 6)), requires_grad=True)


def weighted(y):
    return (y * np.random.default_rng(7).standard_normal(y.shape)).sum()


def nodes(y):
    found, ahead = set(), [y.node]
    while ahead:
        node = ahead.pop()
        if node is not None and node.primitive is not None and node not in found:
            found.add(node)
            ahead += node.parents
    return found


def one_by_one(make, x):
    """What `make()` gives of x while somebody watches, and who was seen."""
    module = make()
    with Forward() as watching:
        y = module(x)
    return module, y, watching.seen


def check_alike(make, train):
    """Values, all gradients, statistics and the gradient of a gradient are the same, fused or not."""
    results = []
    for watched in (False, True):
        x = images()
        module, y, _ = one_by_one(lambda: make().train(train), x) if watched else (fused := make().train(train), fused(x), [])
        wanted = [x, *module.parameters()]
        first = tr.grad(weighted(y), wanted, create_graph=True)
        second = tr.grad(sum(weighted(g) for g in first), wanted, allow_unused=True)
        plain = tr.grad(weighted(y), wanted)
        buffers = [b for _, b in module.named_buffers()]
        results.append([y, *plain, *first, *second, *buffers])
        counts = [b.numpy() for name, b in module.named_buffers() if name.endswith("num_batches_tracked")]
        assert [int(count) for count in counts] == [int(train)] * len(counts)
    for fused, single in zip(*results, strict=True):
        assert (fused is None) == (single is None)
        if fused is not None:
            np.testing.assert_allclose(fused.numpy(), single.numpy(), rtol=1e-12, atol=1e-12)


