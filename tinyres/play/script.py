"""As Python: the script that does with tinyres what the page shows, and gives the same numbers."""

from __future__ import annotations

from inspect import signature
from typing import Any

from tinyres.play import made, nets
from tinyres.play.players import FOREVER, LATENT, POINTS

RATES = {"sgd": ("SGD", ""), "momentum": ("SGD", ", momentum=0.9"), "adam": ("Adam", ""), "rmsprop": ("RMSprop", "")}
TOYS = {"moons": "two_moons", "spirals": "spirals", "circles": "circles"}


def of(
    lab: str,
    setting: dict[str, Any],
    step: int,
    switched: int | None = None,
    turns: dict[int, dict[str, Any]] | None = None,
) -> str:
    """The script, up to a step.

    Args:
        setting: the one that the run began with.
        switched: the step from which on the compiled kernels computed; None if they never did.
        turns: by step, the setting from there on, where live knobs have been turned.
    """
    turns = {at: then for at, then in (turns or {}).items() if at <= step}
    setting = turns.pop(0, setting)  # turned before the first step: as if it had begun so
    return _net(setting, step, switched, turns) if lab == "net" else _game(setting, step, turns)


# -- one net ----------------------------------------------------------------------------------------------------------
def _net(setting: dict[str, Any], step: int, switched: int | None, turns: dict[int, dict[str, Any]]) -> str:
    conv, seed = setting["family"] == "conv", setting["seed"]
    if setting["data"] == "digits":
        samples = f"data.digits(seed={seed}).train"
    else:
        samples = f"data.{TOYS[setting['data']]}({made.POINTS}, noise={setting['noise']!r}, seed={seed})"
    kind, tail = RATES[setting["optimizer"]]
    kernels = '"im2col"' if switched is None else f'"im2col" if step < {switched} else "cpu"'
    imports = "data, flow, models, optim" if conv else "data, flow, optim\nfrom tinyres.play import nets"
    rates = {at: then["lr"] for at, then in turns.items()}
    scales = {} if conv else {at: (then["skip"], then["branch"]) for at, then in turns.items()}
    turned = turning = ""
    if rates:
        turned += f"rates = {rates!r}  # learning rates, from these steps on\n"
        turning += '    optimizer.param_groups[0]["lr"] = rates.get(step, optimizer.param_groups[0]["lr"])\n'
    if any(pair != (setting["skip"], setting["branch"]) for pair in scales.values()):
        turned += f"scales = {scales!r}  # of skip and branch, from these steps on\n"
        turning += "    if step in scales:\n        nets.set_scales(model, *scales[step])\n"
    return f"""from itertools import chain, islice, repeat

import tinyres as tr
from tinyres import {imports}

samples = {samples}
loader = data.DataLoader(samples, {min(setting["batch"], 1437)}, shuffle=True, seed={seed}, drop_last=True)
model = {_conv(setting) if conv else _mlp(setting)}
optimizer = optim.{kind}(model.parameters(), lr={setting["lr"]!r}{tail})
recording = flow.record(model)
{turned}for step, (x, y) in enumerate(islice(chain.from_iterable(repeat(loader)), {step + 1})):
{turning}    with tr.kernels({kernels}):
        with recording:
            loss = tr.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
        print(step, loss.item())
        optimizer.step()
print(recording.gradient_norms())  # from the input to the loss; the page calls the first of these block 1
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
def _game(setting: dict[str, Any], step: int, turns: dict[int, dict[str, Any]]) -> str:
    target, seed = setting["target"], setting["seed"]
    penalty = "None" if setting["penalty"] == "none" else f'gan.PENALTIES["{setting["penalty"]}"]'
    betas = ", (0.5, 0.999)" if setting["optimizer"] == "adam" else ""
    kind = "Adam" if betas else "SGD"
    imports, players = _PLAYERS.get(target, _nets)(setting)
    turned = turning = ""
    if turns:
        live = {
            at: tuple(then[name] for name in ("loss", "penalty", "weight", "lr_g", "lr_d"))
            for at, then in turns.items()
        }
        turned = f"turned = {live!r}  # after these steps: loss, penalty, its weight, rates of G and D\n"
        turning = _TURNING
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
{turned}with tr.kernels("im2col"):
    for step, record in enumerate(islice(trainer.steps(), {step}), 1):
        print(record)
{turning}"""


_TURNING = """\
        if step in turned:
            loss, penalty, trainer.penalty_weight, rate_g, rate_d = turned[step]
            trainer.loss, trainer.penalty = gan.LOSSES[loss], gan.PENALTIES.get(penalty)
            trainer.optimizer_g.param_groups[0]["lr"], trainer.optimizer_d.param_groups[0]["lr"] = rate_g, rate_d
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
