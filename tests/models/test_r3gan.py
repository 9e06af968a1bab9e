"""R3GAN's players: a block from its weights, what they start as, and both resamplings."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models import r3gan


def draws(*shape, seed=0):
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape).astype("f"))


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def test_a_block_written_out():
    """At one pixel, whose eight neighbours are padding: matrices, one for each of the two groups."""
    block = r3gan.block(16, 4, np.random.default_rng(0))
    expand, _, grouped, _, project = block.branch
    project.weight.data = draws(*project.weight.shape, seed=1).numpy()
    x = draws(2, 16, 1, 1)
    inside = leaky(x.numpy()[..., 0, 0] @ expand.weight.numpy()[..., 0, 0].T + expand.bias.numpy())
    centre = grouped.weight.numpy()[:, :, 1, 1]  # (32, 16): 16 outputs of 16 channels in each group
    inside = np.concatenate([inside[:, :16] @ centre[:16].T, inside[:, 16:] @ centre[16:].T], 1) + grouped.bias.numpy()
    y = x.numpy()[..., 0, 0] + leaky(inside) @ project.weight.numpy()[..., 0, 0].T
    np.testing.assert_allclose(block(x).numpy()[..., 0, 0], y, rtol=1e-4, atol=1e-5)
    assert [(c.kernel_size, c.groups, c.bias is None) for c in (expand, grouped, project)] == [
        ((1, 1), 1, False), ((3, 3), 2, False), ((1, 1), 1, True),
    ]  # fmt: skip


@pytest.mark.parametrize("size", r3gan.SIDES)
def test_at_the_start_every_block_is_the_identity(size):
    """So G is a doubled image times noise, in all channels alike, and D a weighted sum of means."""
    g = models.r3gan.generator(3, 8, 2, size=size, rng=0)
    side, steps = r3gan.SIDES[size]
    basis, last = g[0], g[len(g) - 1]
    x = draws(4, 3)
    image = basis.basis.numpy() * (x.numpy() @ basis.linear.weight.numpy().T)[..., None, None]
    for _ in range(steps):
        image = nn.functional.interpolate(tr.tensor(image), scale_factor=2, mode="bilinear").numpy()
    expected = np.einsum("oc,nchw->nohw", last.weight.numpy()[..., 0, 0], image)
    np.testing.assert_allclose(g(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    d = models.r3gan.discriminator(8, 2, size=size, rng=0)
    pixels = draws(2, 2, size, size)
    maps = np.einsum("oc,nchw->nohw", d[0].weight.numpy()[..., 0, 0], pixels.numpy())
    k = size // side
    maps = maps.reshape(2, 8, side, k, side, k).mean(axis=(3, 5))
    sums = (maps * d[len(d) - 3].weight.numpy()[:, 0]).sum(axis=(2, 3))
    np.testing.assert_allclose(d(pixels).numpy(), sums @ d[len(d) - 1].weight.numpy().T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("width", "dimensions"), [(8, 8), (32, 32), (64, 48)])
def test_at_the_start_fakes_have_no_more_dimensions_than_g_has_channels(width, dimensions):
    """One number for each channel's 4x4 image; a wide G has all of 3 channels' 4x4 pixels."""
    g = models.r3gan.generator(64, width, 3, size=8, rng=0)
    fakes = g(draws(200, 64)).numpy().reshape(200, -1)
    assert np.linalg.matrix_rank(fakes, tol=1e-3) == dimensions


def test_weights_start_as_hes_times_a_power_of_the_depth():
    for blocks, factor in ((1, 4 ** (-1 / 4)), (4, 16 ** (-1 / 4))):
        d = models.r3gan.discriminator(128, 3, size=32, blocks=blocks, rng=0)
        convolutions = [m for block in d if isinstance(block, nn.Residual) for m in block.branch]
        for conv, fan in ((convolutions[0], 128), (convolutions[2], 16 * 9)):
            assert conv.weight.numpy().std() == pytest.approx(factor * np.sqrt(2 / 1.04 / fan), rel=0.03)
        assert not convolutions[4].weight.numpy().any()
        assert d[0].weight.numpy().std() == pytest.approx(1 / np.sqrt(3), rel=0.1)
    assert models.r3gan.generator(64, 128, rng=0)[0].basis.numpy().std() == pytest.approx(1, rel=0.05)
