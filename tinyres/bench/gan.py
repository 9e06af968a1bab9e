"""A training step of each player of a DCGAN on 3x32x32 images in float32.

The discriminator tells a batch of images from a batch of fakes, then the generator takes a step with the
non-saturating loss (Goodfellow et al. 2014 [goodfellow2014generative]), each from noise of its own; Adam with the
paper's settings. PyTorch has the same weights. Either player's gradient is taken with respect to that player's
parameters only. See steps.py for the race.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import cycle
from typing import Any

import numpy as np

from tinyres import models
from tinyres.bench import library, peers
from tinyres.bench.device import TORCH
from tinyres.bench.library import Library

LATENT, WIDTH = 100, 64
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}

Step = Callable[[], tuple[Any, Any]]  # the losses of discriminator and generator; nothing waits for them


@lru_cache(maxsize=256)  # every peer's are the same, and drawing a card's worth takes seconds
def problem(batch: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Images (N, 3, 32, 32) in (-1, 1), channels last in memory, and the noise (N, 100) for either player's step."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, 1, (batch, 32, 32, 3)).astype(np.float32)
    first, second = rng.standard_normal((2, batch, LATENT)).astype(np.float32)
    return images.transpose(0, 3, 1, 2), first, second


def players() -> tuple[Any, Any]:
    """Generator and discriminator, the same for everyone."""
    return models.dcgan.generator(LATENT, WIDTH, rng=0), models.dcgan.discriminator(WIDTH, rng=1)


def ours(batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """One step of each player; gives the losses. The batches are `sets` different ones, in turn."""
    return training(library.ours(device), [player.to(device) for player in players()], game, ADAM, batch, sets)


def training(
    lib: Library, pair: Sequence[Any], game: Callable[..., tuple[Any, Any]], adam: dict[str, Any], batch: int, sets: int
) -> Step:
    """One step of D, then one of G, in either library. game: from it and D to the losses of the two."""
    generator, discriminator = pair
    batches = cycle([[lib.put(a) for a in problem(batch, seed)] for seed in range(sets)])
    g_parameters, d_parameters = (list(model.parameters()) for model in pair)
    g_adam, d_adam = (lib.optim.Adam(parameters, **adam) for parameters in (g_parameters, d_parameters))
    of_d, of_g = game(lib, discriminator, batch)

    def descend(adam: Any, parameters: list[Any], loss: Any) -> Any:
        for p, g in zip(parameters, lib.grad(loss, parameters), strict=True):
            p.grad = g
        adam.step()
        return loss.detach()

    def step() -> tuple[Any, Any]:
        real, for_d, for_g = next(batches)
        with lib.no_grad():
            fake = generator(for_d)
        d_loss = descend(d_adam, d_parameters, of_d(real, fake))
        return d_loss, descend(g_adam, g_parameters, of_g(real, generator(for_g)))

    return step


def game(lib: Library, discriminator: Any, batch: int) -> tuple[Any, Any]:
    """The loss of D and that of G, each of a batch of images and one of fakes."""
    ones, zeros = (lib.put(np.full((batch, 1), value, np.float32)) for value in (1, 0))
    entropy = lib.ops.binary_cross_entropy_with_logits

    def of_d(real: Any, fake: Any) -> Any:
        return entropy(discriminator(real), ones) + entropy(discriminator(fake), zeros)

    return of_d, lambda real, fake: entropy(discriminator(fake), ones)


def with_weights(pair: Sequence[Any], source: Sequence[Any], channels_last: bool, device: str) -> list[Any]:
    """PyTorch's players with the weights of ours, which stand in the same order."""
    import torch

    for model, ours in zip(pair, source, strict=True):
        weights = zip(model.state_dict(), ours.state_dict().values(), strict=True)
        model.load_state_dict({name: torch.from_numpy(np.array(value.numpy())) for name, value in weights})
    layout = peers.layout(torch, channels_last)
    return [model.to(TORCH[device], memory_format=layout) for model in pair]


def pytorch(channels_last: bool, batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """The same with PyTorch's modules, written as in its own DCGAN example."""
    from torch import nn

    def up(inputs: int, outputs: int) -> Any:
        return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)

    def down(inputs: int, outputs: int) -> Any:
        return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)

    w = WIDTH
    generator = nn.Sequential(
        nn.Linear(LATENT, 64 * w, bias=False), nn.Unflatten(1, (4 * w, 4, 4)), nn.BatchNorm2d(4 * w), nn.ReLU(True),
        up(4 * w, 2 * w), nn.BatchNorm2d(2 * w), nn.ReLU(True), up(2 * w, w), nn.BatchNorm2d(w), nn.ReLU(True),
        up(w, 3), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        down(3, w), nn.LeakyReLU(0.2, True), down(w, 2 * w), nn.BatchNorm2d(2 * w), nn.LeakyReLU(0.2, True),
        down(2 * w, 4 * w), nn.BatchNorm2d(4 * w), nn.LeakyReLU(0.2, True), nn.Flatten(), nn.Linear(64 * w, 1, False),
    )  # fmt: skip
    pair = with_weights([generator, discriminator], players(), channels_last, device)
    return training(library.pytorch(channels_last, device), pair, game, ADAM, batch, sets)
