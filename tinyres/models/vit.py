"""ViT: an image as a sequence of patches, read by a Transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn, ops
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier
from tinyres.nn import init


class Patches(nn.Module):
    """Cut an image into patches, map each to a vector, and add a learned vector for its place: (N, C, H, W) -> (N, T,
    width)."""

    def __init__(self, in_channels: int, width: int, patch: int, size: int, rng: np.random.Generator) -> None:
        self.patches = nn.Conv2d(in_channels, width, patch, stride=patch, rng=rng)
        self.positions = nn.Parameter(np.empty(((size // patch) ** 2, width), np.float32))
        init.normal_(self.positions, std=0.02, rng=rng)

    def forward(self, x: Any) -> Any:
        y = ops.flatten(self.patches(x), 2)  # (N, width, T)
        return ops.matrix_transpose(y) + self.positions


class Mean(nn.Module):
    """The mean over the patches: (N, T, width) -> (N, width)."""

    def forward(self, x: Any) -> Any:
        return ops.mean(x, 1)


def vit(
    depth: int = 4,
    width: int = 64,
    *,
    in_channels: int = 3,
    classes: int = 10,
    size: int = 8,
    patch: int = 2,
    heads: int | None = None,
    norm: str = "pre",
    activation: str = "gelu",
    rng: nn.init.Rng = None,
) -> Classifier:
    """A vision Transformer: `depth` blocks of `nn.TransformerEncoderLayer` over the patches, their mean, a linear head.

    Dosovitskiy et al. 2021 [dosovitskiy2021image], "An image is worth 16x16 words", with the mean of the patches in
    place of a token for the class.

    Args:
        depth: blocks, each with attention and a feed-forward net of 4 width hidden units.
        width: of the residual stream.
        size: of the images: height and width.
        patch: height and width of a patch; must divide size.
        heads: None: one for each 32 units of width.
        norm: "pre", "post", "peri", "lns" or "deep", see `nn.TransformerEncoderLayer`.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: patch does not divide size, heads do not divide width, or depth < 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be n with n >= 1 (1, 2, 3, ...), got {depth}; 1 is nearest")
    if patch < 1 or size % patch:
        raise ValueError(f"vit: patches cut the image evenly, got size={size} and patch={patch}")
    heads = max(1, width // 32) if heads is None else heads
    if heads < 1 or width % heads:
        raise ValueError(f"vit: the heads share the width evenly, got width={width} and heads={heads}")
    rng = rng_of(rng)
    blocks = nn.Sequential(
        *(
            nn.TransformerEncoderLayer(
                width,
                heads,
                4 * width,
                0.0,
                activation,
                batch_first=True,
                norm=norm,
                index=i + 1,
                layers=depth,
                rng=rng,
            )
            for i in range(depth)
        )
    )
    last = [] if norm in ("post", "deep") else [nn.LayerNorm(width)]
    head = nn.Sequential(*last, Mean(), nn.Linear(width, classes, rng=rng))
    return Classifier(Patches(in_channels, width, patch, size, rng), blocks, head, (in_channels, size, size))
