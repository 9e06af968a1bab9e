"""The two players of a DCGAN: sizes, initialisation, and gradients that reach everything."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.ops import binary_cross_entropy_with_logits


def noise(batch, latent):
    return tr.tensor(np.random.default_rng(0).standard_normal((batch, latent)).astype("f"))


@pytest.mark.parametrize(("latent", "width", "channels"), [(100, 8, 3), (5, 4, 1)])
def test_shapes(latent, width, channels):
    images = models.dcgan.generator(latent, width, channels, rng=0)(noise(2, latent))
    assert images.shape == (2, channels, 32, 32)
    assert np.abs(images.numpy()).max() < 1
    assert models.dcgan.discriminator(width, channels, rng=0)(images).shape == (2, 1)


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


@pytest.mark.parametrize("make", [models.dcgan.generator, models.dcgan.discriminator])
def test_the_same_seed_gives_the_same_net(make):
    first, again, other = ([p.numpy() for p in make(width=4, rng=seed).parameters()] for seed in (3, 3, 4))
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


def test_no_norm_at_the_image_and_no_bias_before_a_norm():
    generator, discriminator = models.dcgan.generator(width=4, rng=0), models.dcgan.discriminator(width=4, rng=0)
    assert isinstance(list(generator)[-1], nn.Tanh)
    assert isinstance(discriminator[1], nn.LeakyReLU)
    layers = [m for model in (generator, discriminator) for m in model.modules()]
    assert all(m.bias is None for m in layers if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in layers) == 5


def test_gradients_reach_every_parameter_of_both_players():
    generator, discriminator = models.dcgan.generator(8, 4, rng=0), models.dcgan.discriminator(4, rng=1)
    loss = binary_cross_entropy_with_logits(discriminator(generator(noise(4, 8))), np.ones((4, 1), "f"))
    assert abs(float(loss) - np.log(2)) < 0.3  # weights this small leave the discriminator undecided
    loss.backward()
    for model in (generator, discriminator):
        for name, p in model.named_parameters():
            assert np.abs(p.grad.numpy()).max() > 0, name
