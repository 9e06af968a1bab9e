"""E1: the better the discriminator, the less a generator of the minimax game learns: its gradient falls as exp(-d²/8).

Goodfellow et al. 2014, "Generative adversarial nets"; Arjovsky & Bottou 2017, "Towards principled methods for training
generative adversarial networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.theory import saturation
from tinyres.gan.losses import LOSSES

DISTANCES = (1, 2, 4, 6, 8)  # between the means of data and fakes, in standard deviations
GRID = np.arange(0.25, 10.01, 0.25)
NEWTON_STEPS = 40
GOODFELLOW, ARJOVSKY = "Goodfellow et al. 2014", "Arjovsky & Bottou 2017"
NAMES = {"saturating": "saturating", "nonsaturating": "non-saturating", "wasserstein": "Wasserstein"}
CRITIC = (0.0, -1.0)  # the best 1-Lipschitz critic between data at 0 and fakes at d > 0: slope -1 everywhere
Z, WEIGHTS = saturation.trapezoid()  # of N(0, 1): data are z, fakes are d + z


def logit(player: Any, x: Any) -> Any:
    """The discriminator b + w x with player = (b, w): of this form is the best one between two Gaussians."""
    return player[0] + player[1] * x


def felt(loss: str, player: Any, x: Any) -> Any:
    """dl/dx at every fake x (N,): what the generator's loss l of a single fake pushes it with, the other way round."""
    fakes = tr.tensor(x, requires_grad=True)
    (gradient,) = tr.grad(LOSSES[loss].generator(logit(player, fakes)), fakes)
    return gradient.numpy() * len(x)  # a loss is a mean over fakes


def pull(loss: str, player: Any, distance: float) -> float:
    """dL/dd = E dl/dx at x = d + z, the player fixed: positive if it draws the fakes towards the data."""
    return float(WEIGHTS @ felt(loss, player, distance + Z))


def cross_entropy(player: Any, distance: float) -> Any:
    """-V = -E log D(z) - E log(1 - D(d + z)), what the discriminator minimises."""
    real, fake = logit(player, Z), logit(player, distance + Z)
    return tr.sum(WEIGHTS * (tr.softplus(-real) + tr.softplus(fake)))


def trained(distance: float) -> Any:
    """The discriminator that Newton's method finds from D = 1/2, on the quadrature's nodes.

    The likelihood of a sample would diverge once a line separates it; that of the densities is convex with a minimum.
    """

    def loss(player: Any) -> Any:
        return cross_entropy(player, distance)

    player = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        leaf = tr.tensor(player, requires_grad=True)
        here = loss(leaf)
        gradient = tr.grad(here, leaf)[0].numpy()
        step = np.linalg.solve(tr.hessian(loss, leaf).numpy(), gradient)
        if gradient @ step < 1e-14:
            break
        while loss(tr.tensor(player - step)).item() > here.item():
            step = step / 2
        player = player - step
    return player


def run(options: Options, tick: Tick) -> Result:
    """Three losses at the best discriminator and at a trained one; nothing is drawn, all means are quadratures."""
    laws, rows, learners = [], [], []
    for d in DISTANCES:
        best, found = saturation.optimal_logit(d), trained(d)
        closed = {"saturating": saturation.saturating(d), "nonsaturating": saturation.non_saturating(d)}
        measured = {loss: pull(loss, best, d) for loss in closed}
        for loss, expected in closed.items():
            name = f"d={d}, best D: {NAMES[loss]} gradient"
            laws.append(Law(name, measured[loss], expected, 1e-6 * expected, "exact", GOODFELLOW))
        learnt, expected = pull("saturating", found, d), closed["saturating"]
        learners.append(learnt)
        name = f"d={d}, trained D: saturating gradient"
        laws.append(Law(name, learnt, expected, 0.02 * expected, "asymptotic", GOODFELLOW))
        value, expected = -cross_entropy(best, d).item(), saturation.value(d)
        name = f"d={d}: V(D*) = -log 4 + 2 JSD"
        laws.append(Law(name, value, expected, 1e-6 * abs(expected), "exact", GOODFELLOW))
        mean_d = f"{float(WEIGHTS @ tr.sigmoid(logit(best, d + Z))):.3g}"
        rows.append([d, mean_d, f"{value:.4f}", *(f"{x:.3g}" for x in measured.values()), f"{learnt:.3g}"])
        tick()
    curves = {}
    for loss in NAMES:
        players = [CRITIC if loss == "wasserstein" else saturation.optimal_logit(d) for d in GRID]
        curves[loss] = np.array([pull(loss, player, d) for player, d in zip(players, GRID, strict=True)])
    unit = float(np.abs(curves["wasserstein"] - 1).max())
    laws.append(Law("Wasserstein gradient: largest |gradient - 1|", unit, 0.0, 1e-6, "exact", "Arjovsky et al. 2017"))
    below = float(min(1 - curves["saturating"] / np.array([saturation.bound(d) for d in GRID])))
    name = "saturating gradient below (d/2) exp(-d²/8): smallest relative margin"
    laws.append(Law(name, below, 0.0, 0.0, "ordering", f"derived; for the setting {ARJOVSKY}"))
    tick()
    columns = ["d", "mean D on fakes", "V(D*)", "saturating", "non-saturating", "saturating, trained D"]
    note = (
        "Data N(0, 1), fakes N(d, 1), D fixed, a discriminator whose logit is linear in x. Gradient: of the "
        "generator's loss by d. It is a matter of the loss, not of the competition: at d = 8 the same discriminator "
        "hands one generator 4e-4 and the other 8."
    )
    return Result(
        laws,
        [Table("What a better discriminator leaves of the generator's gradient", columns, rows)],
        figures={"": lambda figure: draw(figure, curves, learners)},
        data={"d": GRID.tolist(), "gradient": {loss: curve.tolist() for loss, curve in curves.items()}},
        note=note,
    )


COLOURS = {"saturating": "C3", "nonsaturating": "C0", "wasserstein": "C2"}


def draw(figure: Any, curves: dict[str, Any], learners: list[float]) -> None:
    """The gradient of each loss against the distance; and what each fake feels at d = 4."""
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    fine = np.linspace(0.1, 10, 200)
    closed = {
        "saturating": [saturation.saturating(d) for d in fine],
        "nonsaturating": [saturation.non_saturating(d) for d in fine],
        "wasserstein": np.ones_like(fine),
    }
    for loss, colour in COLOURS.items():
        left.semilogy(fine, closed[loss], "-", color=colour, lw=1)
        left.semilogy(GRID[1::2], curves[loss][1::2], "o", color=colour, ms=4)
    left.semilogy(DISTANCES, learners, "o", mec="k", mfc="none", ms=9, label="with a trained discriminator")
    left.semilogy(fine, [saturation.bound(d) for d in fine], "k--", lw=1, label="bound (d/2) exp(−d²/8)")
    left.legend(fontsize=9, loc="lower left")
    for loss, text, x, y in (
        ("nonsaturating", "non-saturating: d (1 − A)", 5.6, 14),
        ("wasserstein", "Wasserstein: 1", 7.3, 0.35),
        ("saturating", "saturating: d A", 7.6, 0.012),
    ):
        left.text(x, y, text, color=COLOURS[loss], fontsize=10)
    left.set(xlabel="distance d of the fakes from the data, in standard deviations", xlim=(0, 10.1), ylim=(2e-6, 40))
    left.set(ylabel="gradient of the generator's loss by d")
    left.set_title("The generator's gradient at the best discriminator\n(dots measured, lines theory)", fontsize=11)
    felt_by_fakes(right, 4.0)


def felt_by_fakes(axes: Any, d: float) -> None:
    """|dl/dx| of each loss against x, over the densities of data and fakes."""
    x = np.linspace(-3, 7.5, 300)
    density = axes.twinx()
    for mean, colour, word in ((0, "0.45", "data"), (d, "C1", "fakes")):
        shape = np.exp(-((x - mean) ** 2) / 2)
        density.fill_between(x, shape, color=colour, alpha=0.18, lw=0)
        density.text(mean, 0.12, word, ha="center", color=colour, fontsize=10)
    density.set(ylim=(0, 2.6), yticks=[])
    axes.set_zorder(density.get_zorder() + 1)
    axes.patch.set_visible(False)
    for loss, colour in COLOURS.items():
        player = CRITIC if loss == "wasserstein" else saturation.optimal_logit(d)
        axes.plot(x, np.abs(felt(loss, player, x)), color=colour, lw=2, label=NAMES[loss])
    axes.axvline(d / 2, color="k", lw=0.8, ls=":")
    axes.text(d / 2, 5.0, "D = 1/2 ", ha="right", va="top", fontsize=9)
    axes.set(xlabel="x", ylabel="gradient that a fake at x feels", xlim=(-3, 7.5), ylim=(0, 5.2))
    axes.set_title(f"d = {d:g}: the saturating loss is flat where the fakes are", fontsize=11)
    axes.legend(fontsize=9, loc="upper right")


EXPERIMENT = Experiment(
    name="E1",
    claim="a better discriminator takes the saturating generator's gradient away: exp(-d²/8)",
    prediction="data N(0, 1), fakes N(d, 1): saturating d A(d) <= (d/2) exp(-d²/8), non-saturating d (1 - A(d)), "
    "Wasserstein 1, where A = E D* on fakes; V(D*) = -log 4 + 2 JSD",
    source=f"{GOODFELLOW}; {ARJOVSKY}; the forms for Gaussians are derived",
    ticks=lambda options: len(DISTANCES) + 1,
    run=run,
    seconds=1,
    starred=True,
)
