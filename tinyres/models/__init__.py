"""Architectures, a file each. Classifiers have one signature: `name(depth=..., width=..., *, in_channels=3, classes=10,
rng=None)`, with options of their own before `rng`, and three attributes: `stem`, `blocks`, whose children are what
instruments watch, and `head`. `dcgan` holds the two players of a GAN, `dcgan.generator` and `dcgan.discriminator`."""

from tinyres.models import dcgan
from tinyres.models.activation import swap_activation
from tinyres.models.cnn import cnn
from tinyres.models.densenet import densenet, densenet_imagenet
from tinyres.models.dncnn import dncnn
from tinyres.models.fixup import fixup
from tinyres.models.highway import highway, highway_mlp
from tinyres.models.imagenet import resnet_imagenet
from tinyres.models.mlp import mlp
from tinyres.models.plain import plain
from tinyres.models.preact import preact
from tinyres.models.resnet import resnet
from tinyres.models.senet import senet
from tinyres.models.skipinit import skipinit
from tinyres.models.stochastic_depth import stochastic_depth
from tinyres.models.torchvision import from_torchvision

CLASSIFIERS = (  # what can be trained on labels, by name
    "plain", "resnet", "preact", "highway", "densenet", "senet", "skipinit", "fixup", "stochastic_depth", "cnn",
    "mlp", "highway_mlp", "resnet_imagenet", "densenet_imagenet",
)  # fmt: skip

__all__ = [
    "CLASSIFIERS", "cnn", "dcgan", "densenet", "densenet_imagenet", "dncnn", "fixup", "from_torchvision", "highway",
    "highway_mlp", "mlp", "plain", "preact", "resnet", "resnet_imagenet", "senet", "skipinit", "stochastic_depth",
    "swap_activation",
]  # fmt: skip
