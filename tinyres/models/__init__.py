"""Architectures, a file each, with one signature: `name(depth, width=16, *, in_channels=3, classes=10, rng=None)`."""

from tinyres.models.plain import plain
from tinyres.models.resnet import resnet

__all__ = ["plain", "resnet"]
