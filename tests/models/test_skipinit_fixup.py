"""Residual nets without any norm: what they start as, and how large a signal gets."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn

MAKERS = [models.skipinit, models.fixup]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def test_parameter_counts():
    # The convolutions and the linear layer are those of He et al. 2016 [he2016deep]; the norms' parameters go.
    model = models.resnet(20, rng=0)
    weights = sum(p.size for p in model.parameters() if p.ndim > 1) + model.head[2].bias.size
    blocks, channels = 9, 3 * (16 + 32 + 64)
    # De & Smith 2020 [de2020batch], section 3: biases in each convolution, one multiplier a block.
    assert models.skipinit(20, rng=0).parameter_count() == weights + 16 + 2 * channels + blocks
    # Zhang et al. 2019 [zhang2019fixup], figure 1: four numbers to add and one to multiply a block; one behind the
    # stem, one at the end.
    assert models.fixup(20, rng=0).parameter_count() == weights + 5 * blocks + 2


@pytest.mark.parametrize("make", MAKERS)
def test_every_block_starts_as_the_identity_up_to_its_shape(make):
    model = make(14, width=4, rng=0)
    x = np.abs(normal(2, 4, 8, 8))
    for stage in range(3):
        for block in list(model.blocks.children())[2 * stage : 2 * stage + 2]:
            y = block(tr.tensor(x)).numpy()
            if y.shape != x.shape:
                np.testing.assert_array_equal(y[:, : x.shape[1]], x[:, :, ::2, ::2])
                assert not y[:, x.shape[1] :].any()
            else:
                np.testing.assert_array_equal(y, x)
            x = y


def test_at_alpha_0_a_block_passes_negative_values_too():
    x = normal(2, 4, 8, 8)
    np.testing.assert_array_equal(models.skipinit(8, width=4, rng=0).blocks[0](tr.tensor(x)).numpy(), x)


@pytest.mark.parametrize(("alpha", "start"), [(0.0, 0), (1.0, 1), ("1/sqrt(L)", 1 / math.sqrt(6))])
def test_what_alpha_starts_from(alpha, start):
    model = models.skipinit(14, width=4, alpha=alpha, rng=0)
    scales = [m.weight.numpy() for m in model.modules() if isinstance(m, nn.Scale)]
    assert len(scales) == 6
    np.testing.assert_allclose(scales, start, rtol=1e-7)


def test_with_alpha_1_the_signal_grows_with_depth_and_with_one_over_the_root_of_the_number_of_blocks_it_does_not():
    x = tr.tensor(normal(4, 3, 16, 16))
    grown = {}
    for alpha in (1.0, "1/sqrt(L)"):
        for depth in (20, 56):
            model = models.skipinit(depth, alpha=alpha, rng=0)
            before = model.stem(x)
            grown[alpha, depth] = float((model.blocks(before).numpy() ** 2).mean() / (before.numpy() ** 2).mean())
    assert grown[1.0, 56] > 2**12 * grown[1.0, 20]  # unit-gain branches would double it in each of 18 blocks more
    assert grown["1/sqrt(L)", 56] < 2 * grown["1/sqrt(L)", 20]


@pytest.mark.parametrize("depth", [8, 56])
def test_the_rules_of_fixup(depth):
    model = models.fixup(depth, rng=0)
    blocks = list(model.blocks.children())
    for block in blocks:
        first, last = (m for m in block.body.branch.children() if isinstance(m, nn.Conv2d))
        he = math.sqrt(2 / (first.out_channels * 9))
        expected = he * len(blocks) ** -0.5  # L^(-1 / (2 m - 2)) with m = 2
        assert first.weight.numpy().std() == pytest.approx(expected, rel=5 / math.sqrt(2 * first.weight.size))
        assert not last.weight.numpy().any()
        assert [type(m).__name__ for m in block.body.branch.children()] == [
            "Shift", "Conv2d", "Shift", "ReLU", "Shift", "Conv2d", "Scale", "Shift",
        ]  # fmt: skip
        assert block.body.branch[6].weight.item() == 1
    assert not any(m.bias.item() for m in model.modules() if isinstance(m, nn.Shift))
    assert not model(tr.tensor(normal(2, 3, 8, 8))).numpy().any()


@pytest.mark.parametrize("make", MAKERS)
def test_at_the_start_the_gradient_goes_around_the_branches(make):
    model = make(14, width=4, in_channels=1, rng=0)
    if make is models.fixup:  # whose last layer starts at 0 and would pass nothing at all
        model.head[3].weight.data = normal(*model.head[3].weight.shape)
    with flow.record(model) as recording:
        (model(tr.tensor(normal(4, 1, 8, 8))) * normal(4, 10, seed=1)).sum().backward()
    assert set(recording.skip_share().values()) == {1.0}
    assert all(p.grad is not None for p in model.parameters())


def test_skipinits_head_begins_with_a_relu():
    """The last sum has none of its own, so without it the head would be linear in the last block's output."""
    assert type(models.skipinit(8, 4, rng=0).head[0]) is nn.ReLU
