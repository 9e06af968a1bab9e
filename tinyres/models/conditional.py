"""Players that are told a class: a generator that makes what is asked for, a discriminator that judges it as such."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.critic import Critic
from tinyres.nn import init
from tinyres.nn.init import Rng
from tinyres.ops import concatenate, sum


class ConditionalGenerator(nn.Module):
    """G(z, y) = net([z, embed(y)]): noise beside a learned vector of the class.

    Mirza & Osindero 2014 [mirza2014conditional], "Conditional generative adversarial nets". The vectors start from
    N(0, 1), as the noise does, so the first layer cannot tell at first which is which.

    Args:
        net: a generator whose noise has `latent` numbers more than this one's.
        classes: how many there are; latent: numbers in a class's vector.

    Shapes: z (N, L), y (N,) integers in [0, classes).

    Raises:
        ValueError: there are fewer than two classes.
    """

    def __init__(self, net: nn.Module, classes: int, latent: int, *, rng: Rng = None) -> None:
        _at_least_two("ConditionalGenerator", classes)
        self.embed = nn.Embedding(classes, latent, rng=rng)
        self.net = net

    def forward(self, z: Any, y: Any) -> Any:
        return self.net(concatenate([z, self.embed(y)], axis=1))


class ProjectionCritic(nn.Module):
    """D(x, y) = head(φ(x)) + <embed(y), φ(x)>: the projection discriminator.

    φ is a discriminator without its last layer, which is the head. The second summand is the class's own direction: if
    log p(y|x) of data and of fakes are both linear in φ, the best D has this form. Miyato & Koyama 2018
    [miyato2018cgans], "cGANs with projection discriminator". There φ ends in sums over the image; here it is whatever
    the head reads. The vectors start from N(0, 1 / features), so that both summands have one size.

    Args:
        critic: ends in a linear layer with one output.
        classes: how many there are.

    Shapes: x (N, ...), y (N,) integers in [0, classes); logits (N, 1).

    Raises:
        ValueError: the critic ends in something else, or there are fewer than two classes.
    """

    def __init__(self, critic: Critic, classes: int, *, rng: Rng = None) -> None:
        _at_least_two("ProjectionCritic", classes)
        *phi, head = critic
        if not isinstance(head, nn.Linear) or head.out_features != 1:
            raise ValueError(
                "ProjectionCritic: the class's vector is multiplied with what the last layer reads, so that must be a "
                f"Linear layer with one output, got {head!r}"
            )
        self.phi, self.head = Critic(critic.sample, *phi), head
        self.embed = nn.Embedding(classes, head.in_features, rng=rng)
        init.normal_(self.embed.weight, std=head.in_features**-0.5, rng=rng)

    def forward(self, x: Any, y: Any) -> Any:
        phi = self.phi(x)  # (N, F)
        return self.head(phi) + sum(self.embed(y) * phi, axis=1, keepdims=True)


def conditional(
    generator: nn.Module, discriminator: Critic, classes: int, latent: int, rng: np.random.Generator | int | None = None
) -> tuple[ConditionalGenerator, ProjectionCritic]:
    """Both players of a class; for the arguments see the two classes."""
    rng = rng_of(rng)
    return (
        ConditionalGenerator(generator, classes, latent, rng=rng),
        ProjectionCritic(discriminator, classes, rng=rng),
    )


def _at_least_two(what: str, classes: int) -> None:
    if classes < 2:
        raise ValueError(f"{what}: a player can be told a class only if there are at least two, got {classes}")


__all__ = ["ConditionalGenerator", "ProjectionCritic", "conditional"]
