"""A training step of each of R3GAN's players on 3x32x32 images in float32.

The discriminator compares a batch of images with a batch of fakes by the relativistic loss, and pays R1 + R2 for its
slopes at both, from the same pass forward; then the generator takes a step (Huang et al. 2024 [huang2024gan]), each
from noise of its own; Adam with the paper's settings. PyTorch has the same weights. See steps.py for the race.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

from tinyres import models
from tinyres.bench import library, peers
from tinyres.bench.device import TORCH
from tinyres.bench.gan import LATENT, WIDTH, Step, problem
from tinyres.bench.library import Library

GAMMA = 1.0
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.0, 0.9)}


def players() -> tuple[Any, Any]:
    """Generator and discriminator, the same for everyone."""
    return models.r3gan.generator(LATENT, WIDTH, rng=0), models.r3gan.discriminator(WIDTH, rng=1)


def ours(batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """One step of each player; gives the losses. The batches are `sets` different ones, in turn."""
    generator, discriminator = (player.to(device) for player in players())
    return _training(library.ours(device), generator, discriminator, batch, sets)


def _training(lib: Library, generator: Any, discriminator: Any, batch: int, sets: int) -> Step:
    batches = cycle([[lib.put(a) for a in problem(batch, seed)] for seed in range(sets)])
    g_parameters, d_parameters = (list(model.parameters()) for model in (generator, discriminator))
    g_adam, d_adam = (lib.optim.Adam(parameters, **ADAM) for parameters in (g_parameters, d_parameters))

    def descend(adam: Any, parameters: list[Any], loss: Any) -> Any:
        for p, g in zip(parameters, lib.grad(loss, parameters), strict=True):
            p.grad = g
        adam.step()
        return loss.detach()

    def pairing(surer: Any, other: Any) -> Any:
        return lib.ops.softplus(other - surer).mean()

    def step() -> tuple[Any, Any]:
        real, for_d, for_g = next(batches)
        with lib.no_grad():
            fake = generator(for_d)
        seen = [x.detach().requires_grad_() for x in (real, fake)]
        on_real, on_fake = (discriminator(x) for x in seen)
        slopes = lib.grad((on_real.sum(), on_fake.sum()), seen, create_graph=True)
        penalty = GAMMA / 2 * sum((slope**2).sum((1, 2, 3)).mean() for slope in slopes)
        d_loss = descend(d_adam, d_parameters, pairing(on_real, on_fake) + penalty)
        with lib.no_grad():
            beside = discriminator(real)
        return d_loss, descend(g_adam, g_parameters, pairing(discriminator(generator(for_g)), beside))

    return step


def pytorch(channels_last: bool, batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """The same with PyTorch's modules."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, branch: Any) -> None:
            super().__init__()
            self.branch = branch

        def forward(self, x: Any) -> Any:
            return x + self.branch(x)

    class Basis(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.basis = nn.Parameter(torch.empty(WIDTH, 4, 4))
            self.linear = nn.Linear(LATENT, WIDTH, bias=False)

        def forward(self, z: Any) -> Any:
            return self.basis * self.linear(z)[:, :, None, None]

    def blocks() -> list[Any]:
        w = WIDTH
        return [
            Residual(nn.Sequential(
                nn.Conv2d(w, 2 * w, 1), nn.LeakyReLU(0.2, True),
                nn.Conv2d(2 * w, 2 * w, 3, padding=1, groups=w // 8), nn.LeakyReLU(0.2, True),
                nn.Conv2d(2 * w, w, 1, bias=False),
            )) for _ in range(2)
        ]  # fmt: skip

    up: list[Any] = [Basis(), *blocks()]
    down: list[Any] = [nn.Conv2d(3, WIDTH, 1, bias=False), *blocks()]
    for _ in range(3):
        up += [nn.Upsample(scale_factor=2, mode="bilinear"), *blocks()]
        down += [nn.AvgPool2d(2), *blocks()]
    generator = nn.Sequential(*up, nn.Conv2d(WIDTH, 3, 1, bias=False))
    sums = nn.Conv2d(WIDTH, WIDTH, 4, groups=WIDTH, bias=False)
    discriminator = nn.Sequential(*down, sums, nn.Flatten(), nn.Linear(WIDTH, 1, bias=False))
    nets: list[Any] = [generator, discriminator]
    for model, source in zip(nets, players(), strict=True):
        weights = zip(model.state_dict(), source.state_dict().values(), strict=True)
        model.load_state_dict({name: torch.from_numpy(np.array(value.numpy())) for name, value in weights})
        model.to(TORCH[device], memory_format=peers.layout(torch, channels_last))
    return _training(library.pytorch(channels_last, device), generator, discriminator, batch, sets)
