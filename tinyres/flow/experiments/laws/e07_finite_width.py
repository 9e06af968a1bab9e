"""E7: He's initialisation keeps the mean of the squared gradient, not the squared gradient of a typical net.

Hanin 2018; Hanin & Nica 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.backend import to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Tick
from tinyres.flow.theory import finite_width

NETS = 8192
SOURCE = "Hanin 2018; Hanin & Nica 2018"
EXACT = "derived: a layer gives chi² with Binomial(n, 1/2) degrees of freedom; coins for masks: Hanin & Nica 2018"


@dataclass(frozen=True)
class Setting:
    """Nets of `depth` square layers of `width` units: "ReLU" with weights N(0, 2/n), or "linear" with N(0, 1/n)."""

    kind: str
    width: int
    depth: int

    @property
    def name(self) -> str:
        return f"{self.kind} nets, n={self.width}, L={self.depth}"


SETTINGS = [Setting("ReLU", 64, 16), Setting("ReLU", 128, 16), Setting("linear", 64, 16)]


def layer(h: Any, signs: Any, w: Any, kind: str) -> Any:
    """phi(h) S W, where phi comes first: so any fixed u on top sees as many masks as matrices."""
    return ((tr.relu(h) if kind == "ReLU" else h) * signs) @ w


def squared_gradients(setting: Setting, rng: np.random.Generator, device: str = "cpu") -> Any:
    """|J^T u|² of a group of n nets: (n,). In net i, u is the unit vector along coordinate i.

    To draw every matrix of every net, half a billion numbers and more, would take too long. A group shares the Gaussian
    matrices W, and each net has S W in their place, S its own diagonal matrix of random signs. That is Gaussian again:
    each net is exactly a net as it should be, and two of a group are as little alike as two random directions.
    """
    n = setting.width
    scale = np.sqrt(finite_width.GAIN[setting.kind] / n)
    signs = to_device(rng.choice([-scale, scale], (n, n)), device)  # (net, unit)
    x = tr.tensor(to_device(rng.standard_normal((n, n)), device), requires_grad=True)  # (net, unit)
    h = x
    for w in to_device(rng.standard_normal((setting.depth, n, n)), device):
        h = layer(h, signs, w, setting.kind)
    (g,) = tr.grad(h, x, to_device(np.eye(n), device))
    return (g.numpy() ** 2).sum(axis=1)


def run(options: Options, tick: Tick) -> Result:
    """Mean of |J^T u|², mean and variance of its logarithm, against leading order and the law at this width."""
    laws, found = [], {}
    for k, setting in enumerate(SETTINGS):
        groups = []
        for group in range(NETS // setting.width):
            groups.append(squared_gradients(setting, np.random.default_rng((options.seed, group, k)), options.device))
            tick()
        found[setting] = np.array(groups)  # (groups, nets)
        laws += laws_of(setting, found[setting])
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, found)},
        data={setting.name: np.log(squared).ravel().tolist() for setting, squared in found.items()},
        note="J^T u is a unit vector u taken back through a whole net: the mean of its square is 1, but the typical "
        "net's is e^(-5 L / 2n), and nets differ by a variance of 5 L / n in its logarithm (linear nets: 2 for 5).",
    )


def _error(per_net: Any) -> float:
    """The standard error of the mean of (groups, nets): only groups are independent of one another."""
    return float(per_net.mean(axis=1).std(ddof=1) / np.sqrt(len(per_net)))


def laws_of(setting: Setting, squared: Any) -> list[Law]:
    """Five laws from |J^T u|²: (groups, nets)."""
    logs = np.log(squared)
    deviations = (logs - logs.mean()) ** 2
    name = setting.name
    laws = [Law(f"{name}: mean of |Jᵀu|²", squared.mean(), 1.0, 3 * _error(squared), "asymptotic", SOURCE)]
    leading, exact = (f(setting.width, setting.depth, setting.kind) for f in (finite_width.leading, finite_width.exact))
    for which, values, rough, true in zip(("mean", "variance"), (logs, deviations), leading, exact, strict=True):
        measured, noise = float(values.mean()), 3 * _error(values)
        text = f"{name}: {which} of ln |Jᵀu|²"
        laws.append(Law(f"{text}, order 1/n", measured, rough, max(0.1 * abs(rough), noise), "asymptotic", SOURCE))
        laws.append(Law(f"{text}, at this n", measured, true, noise, "asymptotic", EXACT))
    return laws


def draw(figure: Any, found: dict[Setting, Any]) -> None:
    """The distribution of log |J^T u|² over nets, with the normal law of leading order."""
    for axes, (setting, squared) in zip(figure.subplots(1, len(found), sharex=True), found.items(), strict=True):
        mean, variance = finite_width.leading(setting.width, setting.depth, setting.kind)
        z = np.linspace(-5, 4, 400)
        axes.hist(np.log(squared).ravel(), bins=60, density=True, color="C0", alpha=0.45, label=f"{NETS:,} nets")
        normal = np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        axes.plot(z, normal, "k-", lw=1, label=f"N({mean:.3g}, {variance:.3g})")
        axes.axvline(0, color="C3", lw=1, ls="--", label="ln of the mean: 0")
        axes.set(xlabel="ln |Jᵀu|²", title=setting.name, xlim=(-5, 4))
        axes.set_ylim(top=1.3 * axes.get_ylim()[1])
        axes.legend(fontsize=8, loc="upper left")
    figure.axes[0].set_ylabel("density over nets")
    figure.suptitle("The mean gradient is kept, the typical one is not (dark line: Hanin & Nica's law of order 1/n)")


EXPERIMENT = Experiment(
    name="E7",
    claim="finite width: the initialisation fixes the mean gradient, not the typical net's",
    prediction="E|Jᵀu|² = 1; ln|Jᵀu|² about N(-5β/2, 5β), β = L/n (linear nets: 2 for 5)",
    source=SOURCE,
    ticks=lambda options: sum(NETS // setting.width for setting in SETTINGS),
    run=run,
    seconds=1.5,
    starred=True,
    devices=BOTH,
)
