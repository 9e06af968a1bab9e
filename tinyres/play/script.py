"""As Python: the script that does with tinyres what the page shows, and gives the same numbers."""

from __future__ import annotations

from inspect import signature
from typing import Any

from tinyres.play import made, nets
from tinyres.play.players import FOREVER, LATENT, POINTS

RATES = {"sgd": ("SGD", ""), "momentum": ("SGD", ", momentum=0.9"), "adam": ("Adam", ""), "rmsprop": ("RMSprop", "")}
TOYS = {"moons": "two_moons", "spirals": "spirals", "circles": "circles"}


def of(lab: str, setting: dict[str, Any], step: int, switched: int | None = None) -> str:
    """The script, up to a step.

    Args:
        switched: the step from which on the compiled kernels computed; None if they never did.
    """
    return _net(setting, step, switched) if lab == "net" else _game(setting, step)


# -- one net ----------------------------------------------------------------------------------------------------------
def _net(setting: dict[str, Any], step: int, switched: int | None) -> str:
    conv, seed = setting["family"] == "conv", setting["seed"]
    if setting["data"] == "digits":
        samples = f"data.digits(seed={seed}).train"
    else:
        samples = f"data.{TOYS[setting['data']]}({made.POINTS}, noise={setting['noise']!r}, seed={seed})"
    kind, tail = RATES[setting["optimizer"]]
    kernels = '"im2col"' if switched is None else f'"im2col" if step < {switched} else "cpu"'
    imports = "data, flow, models, optim" if conv else "data, flow, optim\nfrom tinyres.play import nets"
    return f"""from itertools import chain, islice, repeat

import tinyres as tr
from tinyres import {imports}

samples = {samples}
loader = data.DataLoader(samples, {min(setting["batch"], 1437)}, shuffle=True, seed={seed}, drop_last=True)
model = {_conv(setting) if conv else _mlp(setting)}
optimizer = optim.{kind}(model.parameters(), lr={setting["lr"]!r}{tail})
recording = flow.record(model)
for step, (x, y) in enumerate(islice(chain.from_iterable(repeat(loader)), {step + 1})):
    with tr.kernels({kernels}):
        with recording:
            loss = tr.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
        print(step, loss.item())
        optimizer.step()
print(recording.gradient_norms())
"""


def _mlp(setting: dict[str, Any]) -> str:
    shape = "inputs=64, classes=10" if setting["data"] == "digits" else "inputs=2, classes=2"
    own = signature(nets.mlp).parameters
    options = "".join(f", {name}={setting[name]!r}" for name in made.MLP if setting[name] != own[name].default)
    first = f'"{setting["architecture"]}", {setting["depth"]}, {setting["width"]}'
    return f"nets.mlp({first}, {shape}{options}, rng={setting['seed']})"


def _conv(setting: dict[str, Any]) -> str:
    name = {"residual": "resnet"}.get(setting["architecture"], setting["architecture"])
    own = {"highway": "gate_bias", "skipinit": "alpha"}.get(setting["architecture"])
    option = f", {own}={setting[own]!r}" if own else ""
    return f"models.{name}({setting['depth']}, {setting['width']}, in_channels=1{option}, rng={setting['seed']})"


# -- two players ------------------------------------------------------------------------------------------------------
def _game(setting: dict[str, Any], step: int) -> str:
    target, seed = setting["target"], setting["seed"]
    penalty = "None" if setting["penalty"] == "none" else f'gan.PENALTIES["{setting["penalty"]}"]'
    betas = ", (0.5, 0.999)" if setting["optimizer"] == "adam" else ""
    kind = "Adam" if betas else "SGD"
    imports, players = _PLAYERS.get(target, _nets)(setting)
    batch = 1 if target == "dirac" else f"min({setting['batch']}, len(real))"
    return f"""from itertools import islice

import numpy as np

import tinyres as tr
from tinyres import {imports}

{players}
trainer = gan.GANTrainer(
    generator, discriminator, real, loss=gan.LOSSES["{setting["loss"]}"],
    penalty={penalty}, penalty_weight={setting["weight"]!r}, d_steps={setting["d_steps"]},
    optimizer_g=optim.{kind}(generator.parameters(), {setting["lr_g"]!r}{betas}),
    optimizer_d=optim.{kind}(discriminator.parameters(), {setting["lr_d"]!r}{betas}),
    batch_size={batch}, latent={LATENT[target]}, seed={seed}, total={FOREVER},
)
with tr.kernels("im2col"):
    for record in islice(trainer.steps(), {step}):
        print(record)
"""


def _gaussians(setting: dict[str, Any]) -> tuple[str, str]:
    best = f"*saturation.optimal_logit({setting['distance']!r})[::-1]" if setting["best"] else "0.0, 0.0"
    theory = "\nfrom tinyres.flow.theory import saturation" if setting["best"] else ""
    return (
        f"data, gan, optim{theory}\nfrom tinyres.gan.probe import Shift\nfrom tinyres.play.players import linear",
        f'real = data.gaussian_mixture({POINTS}, [[0.0]], 1.0, {setting["seed"]}, name="gaussians")\n'
        f"generator, discriminator = Shift([{setting['distance']!r}]), linear({best})  # slope and bias of D",
    )


def _dirac(setting: dict[str, Any]) -> tuple[str, str]:
    return (
        "data, gan, optim\nfrom tinyres.play.players import Dirac, linear",
        "real = data.Dataset(np.zeros((1, 1), np.float32), np.zeros(1, np.int64))\n"
        f"generator, discriminator = Dirac({setting['theta']!r}), linear({setting['psi']!r}, None)",
    )


def _nets(setting: dict[str, Any]) -> tuple[str, str]:
    common = f'{LATENT[setting["target"]]}, {setting["width"]}, real.inputs.shape[1:], "none", rng'
    return (
        "gan, models, optim",
        f'real = gan.real_data("{setting["target"]}", {setting["seed"]})\n'
        f"rng = np.random.default_rng({setting['seed']})\n"
        f'generator = models.PLAYERS["mlp"].generator({common})\n'
        f'discriminator = models.PLAYERS["mlp"].discriminator({common})',
    )


_PLAYERS = {"gaussians": _gaussians, "dirac": _dirac}
