"""Architectures, a file each. Classifiers have one signature: `name(depth, width=16, *, in_channels=3, classes=10,
rng=None)`; `dcgan` holds the two players of a GAN, `dcgan.generator` and `dcgan.discriminator`."""

from tinyres.models import dcgan
from tinyres.models.plain import plain
from tinyres.models.resnet import resnet

CLASSIFIERS = ("plain", "resnet")  # what can be trained on labels, by name

__all__ = ["CLASSIFIERS", "dcgan", "plain", "resnet"]
