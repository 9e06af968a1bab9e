"""Architectures, a file each. Classifiers have one signature: `name(depth=..., width=..., *, in_channels=3, classes=10,
rng=None)`, with options of their own before `rng`, and three attributes: `stem`, `blocks`, whose children are what
instruments watch, and `head`. The two players of a GAN are `generator` and `discriminator` of `dcgan`, `gan64`,
`resgan` and `r3gan`, or `mlp_generator` and `mlp_discriminator`; `PLAYERS` makes any of them for samples of a shape,
and `ConditionalGenerator` and `ProjectionCritic` tell them a class. `gpt` reads text."""

from tinyres.models import dcgan, gan64, r3gan, resgan
from tinyres.models.activation import swap_activation
from tinyres.models.cnn import cnn
from tinyres.models.conditional import ConditionalGenerator, ProjectionCritic
from tinyres.models.densenet import densenet, densenet_imagenet
from tinyres.models.dncnn import dncnn
from tinyres.models.fixup import fixup
from tinyres.models.gpt import GPT, gpt
from tinyres.models.highway import highway, highway_mlp
from tinyres.models.imagenet import resnet_imagenet
from tinyres.models.mlp import mlp
from tinyres.models.mlp_players import mlp_discriminator, mlp_generator
from tinyres.models.plain import plain
from tinyres.models.players import PLAYERS, Players
from tinyres.models.preact import preact
from tinyres.models.pytorch import from_pytorch, from_torchvision
from tinyres.models.resnet import resnet
from tinyres.models.senet import senet
from tinyres.models.skipinit import skipinit
from tinyres.models.stochastic_depth import stochastic_depth
from tinyres.models.vit import vit

CLASSIFIERS = (  # what can be trained on labels, by name
    "plain", "resnet", "preact", "highway", "densenet", "senet", "skipinit", "fixup", "stochastic_depth", "cnn",
    "mlp", "highway_mlp", "resnet_imagenet", "densenet_imagenet", "vit",
)  # fmt: skip

READERS = ("gpt",)  # what can be trained on text, by name

__all__ = [
    "CLASSIFIERS", "GPT", "PLAYERS", "READERS", "ConditionalGenerator", "Players", "ProjectionCritic", "cnn", "dcgan",
    "densenet", "densenet_imagenet", "dncnn", "fixup", "from_pytorch", "from_torchvision", "gan64", "gpt", "highway",
    "highway_mlp", "mlp", "mlp_discriminator", "mlp_generator", "plain", "preact", "r3gan", "resgan", "resnet",
    "resnet_imagenet", "senet", "skipinit", "stochastic_depth", "swap_activation", "vit",
]  # fmt: skip
