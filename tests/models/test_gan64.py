"""Two players for 64x64 pixels: shapes, parameters, gradients that reach everything."""

import numpy as np

import tinyres as tr
from tinyres import models, nn


def noise(batch, latent):
    return tr.tensor(np.random.default_rng(0).standard_normal((batch, latent)).astype("f"))


def test_the_layers_are_those_of_the_description():
    generator, discriminator = models.gan64.generator(rng=0), models.gan64.discriminator(rng=0)
    sizes = [(m.in_features, m.out_features) for m in generator if isinstance(m, nn.Linear)]
    assert sizes == [(100, 1024), (1024, 1024), (1024, 128 * 8 * 8)]
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in generator) == 3
    assert sum(isinstance(m, nn.Conv2d) for m in discriminator) == 4
    assert [m.out_features for m in discriminator if isinstance(m, nn.Linear)] == [1]


def test_parameter_counts():
    width, maps = 32, 16 * (128 * 64 + 64 * 32)
    norms = 2 * (1024 + 1024 + 128 + 64 + 32)
    linear = 100 * 1024 + 1024 * 1024 + 1024 * 128 * 64
    assert models.gan64.generator(rng=0).parameter_count() == linear + maps + 16 * width * 3 + norms
    convs = 16 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    count = {
        norm: models.gan64.discriminator(norm=norm, rng=0).parameter_count() for norm in ("batch", "layer", "none")
    }
    assert count["batch"] == convs + 256 * 16 + 2 * (64 + 128 + 256)
    assert count["layer"] == convs + 256 * 16 + 2 * (64 * 256 + 128 * 64 + 256 * 16)
    assert count["none"] == convs + 256 * 16 + 1 + 32 + 64 + 128 + 256
