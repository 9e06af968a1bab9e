"""The two players of a DCGAN: sizes, initialisation, and gradients that reach everything."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models.dcgan import dcgan_
from tinyres.ops import binary_cross_entropy_with_logits


def noise(batch, latent):
    return tr.tensor(np.random.default_rng(0).standard_normal((batch, latent)).astype("f"))


def test_parameter_counts():
    generator, discriminator = models.dcgan.generator(rng=0), models.dcgan.discriminator(rng=0)
    norms = 2 * (256 + 128 + 64)
    assert generator.parameter_count() == 100 * 256 * 16 + 16 * (256 * 128 + 128 * 64 + 64 * 3) + norms
    norms = 2 * (128 + 256)
    assert discriminator.parameter_count() == 16 * (3 * 64 + 64 * 128 + 128 * 256) + 256 * 16 + norms


@pytest.mark.parametrize("make", [models.dcgan.generator, models.dcgan.discriminator])
def test_drawn_from_the_normal_distributions_of_the_paper(make):
    model = make(rng=0)
    for name, p in model.named_parameters():
        values = p.numpy()
        if name.endswith("bias"):
            assert not values.any()
            continue
        mean = 1.0 if values.ndim == 1 else 0.0
        error = 0.02 / values.size**0.5
        assert abs(values.mean() - mean) < 5 * error, name
        assert abs(values.std() - 0.02) < 5 * error, name


def test_no_norm_at_the_image_and_no_bias_before_a_norm():
    generator, discriminator = models.dcgan.generator(width=4, rng=0), models.dcgan.discriminator(width=4, rng=0)
    assert isinstance(list(generator)[-1], nn.Tanh)
    assert isinstance(discriminator[1], nn.LeakyReLU)
    layers = [m for model in (generator, discriminator) for m in model.modules()]
    assert all(m.bias is None for m in layers if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 5


def test_the_discriminator_leaks_a_fifth():
    for norm in ("batch", "layer", "none"):
        model = models.dcgan.discriminator(4, 3, norm=norm, rng=0)
        leaks = [m for m in model.modules() if isinstance(m, nn.LeakyReLU)]
        assert len(leaks) == 3
        for leak in leaks:
            np.testing.assert_allclose(leak(tr.tensor([-1.0, 2.0])).numpy(), [-0.2, 2.0], rtol=1e-6)


def test_gradients_reach_every_parameter_of_both_players():
    generator, discriminator = models.dcgan.generator(8, 4, rng=0), models.dcgan.discriminator(4, rng=1)
    loss = binary_cross_entropy_with_logits(discriminator(generator(noise(4, 8))), np.ones((4, 1), "f"))
    assert abs(float(loss) - np.log(2)) < 0.3  # weights this small leave the discriminator undecided
    loss.backward()
    for model in (generator, discriminator):
        for name, p in model.named_parameters():
            assert np.abs(p.grad.numpy()).max() > 0, name


COUNTS = {8: (2, 2), 28: (7, 2), 32: (4, 3), 64: (4, 4)}  # size: pixels on a side after so many halvings


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("size", COUNTS)
def test_parameter_counts_at_every_size_and_with_every_norm(size, norm):
    width, channels, latent = 4, 2, 6
    side, steps = COUNTS[size]
    generator = models.dcgan.generator(latent, width, channels, size=size, rng=0)
    discriminator = models.dcgan.discriminator(width, channels, size=size, norm=norm, rng=1)
    maps = [width * 2**k for k in range(steps)]
    pixels = maps[-1] * side * side
    inner = 16 * sum(a * b for a, b in pairwise(maps))
    assert generator.parameter_count() == latent * pixels + inner + 16 * width * channels + 2 * sum(maps)
    norms = {
        "batch": 2 * sum(maps[1:]),
        "layer": 2 * sum(c * (size // 2 ** (k + 2)) ** 2 for k, c in enumerate(maps[1:])),
        "none": sum(maps) + 1,  # biases
    }
    assert discriminator.parameter_count() == 16 * channels * width + inner + pixels + norms[norm]


def test_the_players_of_32_pixels_written_out():
    """Keys, order of draws and values, as `tinyres bench gan` and saved weights know them."""
    up = [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False) for a, b in ((16, 8), (8, 4), (4, 3))]
    down = [nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False) for a, b in ((3, 4), (4, 8), (8, 16))]
    generator = nn.Sequential(
        nn.Linear(10, 256, bias=False), nn.Reshape(16, 4, 4), nn.BatchNorm2d(16), nn.ReLU(),
        up[0], nn.BatchNorm2d(8), nn.ReLU(), up[1], nn.BatchNorm2d(4), nn.ReLU(), up[2], nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        down[0], nn.LeakyReLU(0.2), down[1], nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
        down[2], nn.BatchNorm2d(16), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(256, 1, bias=False),
    )  # fmt: skip
    for model, want in (
        (models.dcgan.generator(10, 4, rng=0), generator), (models.dcgan.discriminator(4, rng=0), discriminator)
    ):  # fmt: skip
        rng = np.random.default_rng(0)
        want.apply(lambda module, rng=rng: dcgan_(module, rng=rng))
        assert list(model.state_dict()) == list(want.state_dict())
        for key, value in want.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[key].numpy(), value.numpy(), err_msg=key)
        assert [type(m) for m in model] == [type(m) for m in want]


def test_without_a_norm_the_discriminator_is_drawn_so_that_it_has_a_slope():
    images = tr.tensor(np.random.default_rng(0).uniform(-1, 1, (16, 1, 8, 8)).astype("f"), requires_grad=True)
    discriminator = models.dcgan.discriminator(16, 1, size=8, norm="none", rng=0)
    (g,) = tr.grad(discriminator(images).sum(), images)
    slopes = np.sqrt((g.numpy() ** 2).sum((1, 2, 3)))
    assert 0.2 < slopes.mean() < 2
    init = np.random.default_rng(0)
    discriminator.apply(lambda module: dcgan_(module, rng=init))
    (g,) = tr.grad(discriminator(images).sum(), images)
    assert np.sqrt((g.numpy() ** 2).sum((1, 2, 3))).mean() < 0.01  # what the paper's 0.02 would have given


def test_dcgan_applies_to_convolutions_and_norms():
    net = nn.Sequential(nn.ConvTranspose2d(30, 40, 4), nn.BatchNorm2d(400), nn.Conv2d(4, 5, 1, bias=False), nn.ReLU())
    net.apply(partial(dcgan_, rng=np.random.default_rng(0)))
    w, b = net[0].weight.detach().numpy(), net[0].bias.detach().numpy()
    assert w.std() == pytest.approx(0.02, rel=0.03)
    assert abs(w.mean()) < 1e-3
    assert not b.any()
    scale = net[1].weight.detach().numpy()
    assert scale.mean() == pytest.approx(1, abs=0.005)
    assert scale.std() == pytest.approx(0.02, rel=0.2)
    assert not net[1].bias.detach().numpy().any()
