"""Two players for each target: data, generator, discriminator, and the trainer of `tinyres.gan` that lets them play."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import gan, models, nn, optim
from tinyres.data import Dataset, gaussian_mixture
from tinyres.flow.theory import saturation
from tinyres.gan.probe import Shift

FOREVER = 10**9  # steps: the page decides when it is over
LATENT = {"gaussians": 1, "dirac": 1, "ring8": 2, "grid25": 2, "digits": 16}
POINTS = 50_000


class Dirac(nn.Module):
    """G(z) = theta, whatever the noise: the generator of the Dirac-GAN (Mescheder et al. 2018 [mescheder2018which])."""

    def __init__(self, theta: float) -> None:
        self.theta = nn.Parameter(np.full((1, 1), theta, np.float32))

    def forward(self, z: Any) -> Any:
        """Noise (N, 1) to samples (N, 1)."""
        return 0.0 * z + self.theta


def linear(slope: float, bias: float | None) -> nn.Linear:
    """D(x) = slope x + bias on the line; without a bias where it is None."""
    layer = nn.Linear(1, 1, bias=bias is not None, rng=0)
    layer.weight.data = np.full((1, 1), slope, np.float32)
    if layer.bias is not None:
        layer.bias.data = np.full(1, bias, np.float32)
    return layer


def line_players(setting: dict[str, Any]) -> tuple[nn.Module, nn.Module, Dataset]:
    """The targets on the line: N(distance, 1) that moves towards N(0, 1), or one point that moves towards 0."""
    if setting["target"] == "dirac":
        point = Dataset(np.zeros((1, 1), np.float32), np.zeros(1, np.int64), "dirac")
        return Dirac(setting["theta"]), linear(setting["psi"], None), point
    bias, slope = saturation.optimal_logit(setting["distance"]) if setting["best"] else (0.0, 0.0)
    real = gaussian_mixture(POINTS, [[0.0]], 1.0, setting["seed"], name="gaussians")
    return Shift([setting["distance"]]), linear(slope, bias), real


def net_players(setting: dict[str, Any]) -> tuple[nn.Module, nn.Module, Dataset]:
    """The targets that take nets: perceptrons of four layers for both."""
    real = gan.real_data(setting["target"], setting["seed"])
    shape, pair, rng = real.inputs.shape[1:], models.PLAYERS["mlp"], np.random.default_rng(setting["seed"])
    latent, width = LATENT[setting["target"]], setting["width"]
    generator = pair.generator(latent, width, shape, "none", rng)
    return generator, pair.discriminator(latent, width, shape, "none", rng), real


def trainer(setting: dict[str, Any]) -> gan.GANTrainer:
    """Everything that the knobs name."""
    make = line_players if setting["target"] in ("dirac", "gaussians") else net_players
    generator, discriminator, real = make(setting)
    return gan.GANTrainer(
        generator, discriminator, real,
        loss=gan.LOSSES[setting["loss"]],
        penalty=gan.PENALTIES.get(setting["penalty"]), penalty_weight=setting["weight"],
        d_steps=setting["d_steps"],
        optimizer_g=_optimizer(setting, generator, setting["lr_g"]),
        optimizer_d=_optimizer(setting, discriminator, setting["lr_d"]),
        batch_size=min(setting["batch"], len(real)), latent=LATENT[setting["target"]], seed=setting["seed"],
        total=FOREVER,
    )  # fmt: skip


def _optimizer(setting: dict[str, Any], player: nn.Module, lr: float) -> optim.Optimizer:
    if setting["optimizer"] == "sgd":
        return optim.SGD(player.parameters(), lr)
    return optim.Adam(player.parameters(), lr, (0.5, 0.999))


def closed_pull(loss: str, logit: Any) -> Any:
    """|dL_G/da| of a single fake by its logit a, as `gan.losses` states it in closed form, N times the batch's."""
    a = np.asarray(logit, np.float64)
    probability = tr.sigmoid(a)
    return {
        "saturating": probability, "nonsaturating": 1 - probability, "least_squares": np.abs(a - 1),
    }.get(loss, np.ones_like(a))  # fmt: skip
