"""Every model of `tinyres.models` at the sizes it is made for: a row each, or a few where options take other ways."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tinyres import models


class Row(NamedTuple):
    """A model as a user makes it, and what it is given."""

    of: Any  # the constructor that the row belongs to
    make: Callable[[], Any]
    shape: tuple[int, ...]  # of the input, batch included


def _row(of, *sizes, shape, **options):
    return Row(of, lambda: of(*sizes, rng=0, **options), shape)


def _small(of, *sizes, size=32, channels=3, batch=2, **options):
    return _row(of, *sizes, shape=(batch, channels, size, size), **options)


def _large(of, depth, **options):
    return _row(of, depth, shape=(1, 3, 224, 224), **options)


def _classifiers():
    resnet, densenet = models.resnet, models.densenet
    yield "plain 20", _small(models.plain)
    yield "resnet 20", _small(resnet)
    yield "resnet 56", _small(resnet, 56, batch=1)
    for shortcut in ("B", "C", "conv"):
        yield f"resnet 20, shortcut {shortcut}", _small(resnet, shortcut=shortcut)
    yield "preact 20", _small(models.preact)
    yield "preact 164, bottleneck", _small(models.preact, 164, bottleneck=True, batch=1)
    yield "highway 19", _small(models.highway)
    yield "densenet 40, 16 pixels", _small(densenet, size=16)
    yield "densenet 40", _small(densenet)
    yield "densenet 40, BC", _small(densenet, bottleneck=True)
    yield "densenet 100, BC", _small(densenet, 100, bottleneck=True, batch=1)
    yield "senet 20", _small(models.senet)
    yield "skipinit 20", _small(models.skipinit)
    yield "fixup 20", _small(models.fixup)
    yield "stochastic_depth 20", _small(models.stochastic_depth)
    yield "cnn, 8 pixels", _small(models.cnn, size=8, batch=8)
    yield "cnn, 28 pixels", _row(models.cnn, in_channels=1, size=28, shape=(4, 1, 28, 28))
    yield "vit 4", _small(models.vit, size=8, batch=8)
    yield "mlp 8", _small(models.mlp, size=8, batch=16)
    yield "mlp 8, residual", _row(models.mlp, residual=True, shape=(16, 3, 8, 8))
    yield "highway_mlp 11", _small(models.highway_mlp, size=8, batch=16)
    yield "dncnn 17", _row(models.dncnn, shape=(1, 1, 24, 24))
    yield "dncnn 20, colour", _row(models.dncnn, 20, in_channels=3, shape=(1, 3, 50, 50))
    # 34 has the layers of 18, more often; 50, 101 and 152 have those of 50 with SE, without it
    yield "resnet_imagenet 18", _large(models.resnet_imagenet, 18)
    yield "resnet_imagenet 50, reduction 16", _large(models.resnet_imagenet, 50, reduction=16)
    yield "densenet_imagenet 121", _large(models.densenet_imagenet, 121)


def _players():
    for name, family, latent in (("dcgan", models.dcgan, 100), ("resgan", models.resgan, 128)):
        for size, width in ((8, 64), (28, 64), (32, 64), (32, 128), (64, 64), (64, 128)):
            if (name, size, width) == ("resgan", 64, 128):  # dcgan's channels, at twice its cost
                continue
            batch = {8: 16, 64: 2}.get(size, 4) // (2 if name == "resgan" and size * width > 2048 else 1)
            noise, image, end = (batch, latent), (batch, 3, size, size), f", {size} pixels, width {width}"
            yield f"{name}.generator{end}", _row(family.generator, latent, width, size=size, shape=noise)
            yield f"{name}.discriminator{end}", _row(family.discriminator, width, size=size, shape=image)
        for norm in ("layer", "none" if name == "dcgan" else "batch"):  # the rows above have the third
            yield f"{name}.discriminator, norm {norm}", _row(family.discriminator, norm=norm, shape=(4, 3, 32, 32))
    for size in (8, 16, 28, 32):
        for width in (32, 64):
            end = f", {size} pixels, width {width}"
            yield f"r3gan.generator{end}", _row(models.r3gan.generator, 64, width, size=size, shape=(4, 64))
            yield (
                f"r3gan.discriminator{end}",
                _row(models.r3gan.discriminator, width, size=size, shape=(4, 3, size, size)),
            )
    yield "gan64.generator", _row(models.gan64.generator, shape=(8, 100))
    for norm in ("batch", "layer", "none"):
        yield f"gan64.discriminator, norm {norm}", _row(models.gan64.discriminator, norm=norm, shape=(2, 3, 64, 64))
        yield f"mlp_discriminator, norm {norm}", _row(models.mlp_discriminator, norm=norm, shape=(64, 2))
    yield "mlp_generator", _row(models.mlp_generator, shape=(64, 2))


QUICK = {  # of each constructor, and of each way that its options take, the smallest; the others are slow tests
    "plain 20", "resnet 20", "resnet 20, shortcut B", "preact 20", "highway 19", "densenet 40, 16 pixels", "senet 20",
    "skipinit 20", "fixup 20", "stochastic_depth 20", "cnn, 8 pixels", "mlp 8", "mlp 8, residual", "highway_mlp 11",
    "dncnn 17", "dcgan.generator, 8 pixels, width 64", "dcgan.discriminator, 8 pixels, width 64",
    "dcgan.generator, 32 pixels, width 64", "dcgan.discriminator, norm layer", "resgan.generator, 8 pixels, width 64",
    "resgan.discriminator, 8 pixels, width 64", "gan64.discriminator, norm batch", "mlp_generator",
    "r3gan.generator, 8 pixels, width 32", "r3gan.discriminator, 8 pixels, width 32", "vit 4",
    *(f"mlp_discriminator, norm {norm}" for norm in ("batch", "layer", "none")),
}  # fmt: skip

ROWS: dict[str, Row] = dict([*_classifiers(), *_players()])
