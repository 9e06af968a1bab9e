"""Residual players: shapes, parameters, blocks that double and halve, sizes of signals at initialisation."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models import resgan

PYRAMIDS = {8: (2, 2), 28: (7, 2), 32: (4, 3), 64: (4, 4)}  # size: pixels on a side after so many halvings


def draws(*shape, seed=0):
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape).astype("f"))


@pytest.mark.parametrize("size", PYRAMIDS)
def test_parameter_counts(size):
    width, channels, latent = 4, 3, 6
    side, steps = PYRAMIDS[size]
    maps = [width * 2**k for k in range(steps)]
    down = list(zip(maps, [*maps[1:], maps[-1]], strict=True))

    def conv(a, b, k=3):
        return a * b * k * k + b

    def shortcut(a, b):
        return conv(a, b, 1) if a != b else 0

    pixels = maps[-1] * side * side
    up = [(b, a) for a, b in reversed(down)]
    generator = (latent + 1) * pixels + sum(
        2 * a + conv(a, b) + 2 * b + conv(b, b) + shortcut(a, b) for a, b in up
    ) + 2 * width + conv(width, channels)  # fmt: skip
    assert models.resgan.generator(latent, width, channels, size=size, rng=0).parameter_count() == generator
    critic = conv(channels, width) + sum(conv(a, a) + conv(a, b) + shortcut(a, b) for a, b in down) + pixels + 1
    norms = {
        "none": 0,
        "batch": sum(4 * a for a, _ in down) + 2 * maps[-1],
        "layer": sum(4 * a * (size // 2**k) ** 2 for k, (a, _) in enumerate(down)) + 2 * pixels,
    }
    for norm, count in norms.items():
        model = models.resgan.discriminator(width, channels, size=size, norm=norm, rng=0)
        assert model.parameter_count() == critic + count, norm


def test_a_block_is_its_branch_and_the_doubled_or_halved_image():
    rng = np.random.default_rng(0)
    x = draws(2, 4, 6, 6)
    for block, size, other in (
        (resgan.up_block(4, 4, rng), 12, nn.Upsample(scale_factor=2)),
        (resgan.down_block(4, 4, 6, "none", rng), 3, nn.AvgPool2d(2)),
    ):
        assert block(x).shape == (2, 4, size, size)
        np.testing.assert_allclose(block(x).numpy(), (block.branch(x) + other(x)).numpy(), rtol=1e-5, atol=1e-6)
        assert not list(block.shortcut.parameters())


def test_a_block_written_out():
    """Both routes, from the weights: a branch that halves by the mean, or doubles before its first convolution."""
    rng, x = np.random.default_rng(0), draws(2, 4, 6, 6)
    down = resgan.down_block(4, 4, 6, "none", rng)
    first, second = (m for m in down.modules() if isinstance(m, nn.Conv2d))
    halved = lambda y: y.numpy().reshape(2, 4, 3, 2, 3, 2).mean(axis=(3, 5))
    expected = halved(x) + halved(second(tr.relu(first(tr.relu(x)))))
    np.testing.assert_allclose(down(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    up = resgan.up_block(4, 4, rng).eval()
    first, second = (m for m in up.modules() if isinstance(m, nn.Conv2d))
    before, between = (m for m in up.modules() if isinstance(m, nn.BatchNorm2d))
    doubled = lambda y: tr.tensor(y.numpy().repeat(2, axis=2).repeat(2, axis=3))
    inner = first(doubled(tr.relu(before(x))))
    expected = doubled(x).numpy() + second(tr.relu(between(inner))).numpy()
    np.testing.assert_allclose(up(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_projection_commutes_with_the_repetition_of_pixels():
    block, x = resgan.up_block(4, 6, np.random.default_rng(0)), draws(2, 4, 3, 3)
    (conv, up) = block.shortcut
    np.testing.assert_allclose(up(conv(x)).numpy(), conv(up(x)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", ["layer", "none"])
@pytest.mark.parametrize("size", PYRAMIDS)
def test_signals_and_slopes_are_of_the_size_of_1_at_initialisation(size, norm):
    images = models.resgan.generator(16, 8, 1, size=size, rng=0)(draws(16, 16))
    assert 0.3 < images.numpy().std() < 0.8  # tanh neither asleep nor saturated
    x = tr.tensor(np.random.default_rng(0).uniform(-1, 1, (16, 1, size, size)).astype("f"), requires_grad=True)
    logits = models.resgan.discriminator(8, 1, size=size, norm=norm, rng=1)(x)
    assert np.abs(logits.numpy()).max() < 5
    (g,) = tr.grad(logits.sum(), x)
    assert 0.05 < np.sqrt((g.numpy() ** 2).sum((1, 2, 3))).mean() < 5
