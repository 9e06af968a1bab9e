"""A training step of each of R3GAN's players on 3x32x32 images in float32.

The discriminator compares a batch of images with a batch of fakes by the relativistic loss, and pays R1 + R2 for its
slopes at both, from the same pass forward; then the generator takes a step (Huang et al. 2024 [huang2024gan]), each
from noise of its own; Adam with the paper's settings. PyTorch has the same weights. See steps.py for the race.
"""

from __future__ import annotations

from typing import Any

from tinyres import models
from tinyres.bench import library
from tinyres.bench.gan import LATENT, WIDTH, Step, training, with_weights
from tinyres.bench.library import Library

GAMMA = 1.0
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.0, 0.9)}


def players() -> tuple[Any, Any]:
    """Generator and discriminator, the same for everyone."""
    return models.r3gan.generator(LATENT, WIDTH, rng=0), models.r3gan.discriminator(WIDTH, rng=1)


def ours(batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """One step of each player; gives the losses. The batches are `sets` different ones, in turn."""
    return training(library.ours(device), [player.to(device) for player in players()], game, ADAM, batch, sets)


def game(lib: Library, discriminator: Any, batch: int) -> tuple[Any, Any]:
    """The loss of D, with both penalties, and that of G, each of a batch of images and one of fakes."""

    def pairing(surer: Any, other: Any) -> Any:
        return lib.ops.softplus(other - surer).mean()

    def of_d(real: Any, fake: Any) -> Any:
        seen = [x.detach().requires_grad_() for x in (real, fake)]
        on_real, on_fake = (discriminator(x) for x in seen)
        slopes = lib.grad((on_real.sum(), on_fake.sum()), seen, create_graph=True)
        return pairing(on_real, on_fake) + GAMMA / 2 * sum((slope**2).sum((1, 2, 3)).mean() for slope in slopes)

    def of_g(real: Any, fake: Any) -> Any:
        with lib.no_grad():
            beside = discriminator(real)
        return pairing(discriminator(fake), beside)

    return of_d, of_g


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
    pair = with_weights([generator, discriminator], players(), channels_last, device)
    return training(library.pytorch(channels_last, device), pair, game, ADAM, batch, sets)
