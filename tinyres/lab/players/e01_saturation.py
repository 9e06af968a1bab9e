"""E1, generator saturation: the better the discriminator, the smaller the minimax generator's gradient: exp(-d²/8).

Goodfellow et al. 2014 [goodfellow2014generative], "Generative adversarial nets"; Arjovsky & Bottou 2017
[arjovsky2017towards], "Towards principled methods for training generative adversarial networks". The critic of slope 1:
Arjovsky et al. 2017 [arjovsky2017wasserstein].
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.figures import palette
from tinyres.flow.theory import saturation
from tinyres.gan.losses import LOSSES
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Table, Tick

DISTANCES = (1, 2, 4, 6, 8)  # between the means of data and fakes, in standard deviations
GRID = np.arange(0.25, 10.01, 0.25)
NEWTON_STEPS, SETTLED = 40, 1e-20
GOODFELLOW, ARJOVSKY = "Goodfellow et al. 2014", "Arjovsky & Bottou 2017"
NAMES = {"saturating": "saturating", "nonsaturating": "non-saturating", "wasserstein": "Wasserstein"}
CRITIC = (0.0, -1.0)  # the best 1-Lipschitz critic between data at 0 and fakes at d > 0: slope -1 everywhere
Z, WEIGHTS = saturation.trapezoid()  # of N(0, 1): data are z, fakes are d + z


def logit(player: Any, x: Any) -> Any:
    """The discriminator b + w x with player = (b, w): of this form is the best one between two Gaussians."""
    return player[0] + player[1] * x


def layer(player: Any) -> nn.Linear:
    """The same as the library's own layer: x (N, 1) to logits (N, 1)."""
    linear = nn.Linear(1, 1, rng=0).to("float64")
    linear.bias, linear.weight = (
        nn.Parameter(np.array([player[0]], float)),
        nn.Parameter(np.array([[player[1]]], float)),
    )
    return linear


def felt(loss: str, player: Any, x: Any) -> Any:
    """dl/dx at every fake x (N,): what the generator's loss l of a single fake pushes it with, the other way round."""
    fakes = tr.tensor(np.reshape(x, (-1, 1)), requires_grad=True)
    (gradient,) = tr.grad(LOSSES[loss].generator(layer(player)(fakes)), fakes)
    return gradient.numpy()[:, 0] * len(x)  # a loss is a mean over fakes


def pull(loss: str, player: Any, distance: float) -> float:
    """dL/dd = E dl/dx at x = d + z, the player fixed: positive if it draws the fakes towards the data."""
    return float(WEIGHTS @ felt(loss, player, distance + Z))


def value(player: Any, distance: float) -> float:
    """V = E log D(z) + E log(1 - D(d + z)), minus the library's loss of D, which is asked about each node alone."""
    discriminator = layer(player)
    real, fake = (discriminator(x[:, None]) for x in (Z, distance + Z))
    losses = [LOSSES["saturating"].discriminator(real[i : i + 1], fake[i : i + 1]).item() for i in range(len(Z))]
    return -float(WEIGHTS @ losses)


def descent(discriminator: nn.Linear, distance: float) -> tuple[Any, Any]:
    """Gradient (2,) and Hessian (2, 2) of the library's loss of D by its bias and weight, the mean over both densities.

    The loss is a mean over a batch. So its gradient by the logits, which is each node's own, is weighted before it goes
    on through the layer.
    """
    parameters: list[Any] = [discriminator.bias, discriminator.weight]
    logits = [discriminator(x[:, None]) for x in (Z, distance + Z)]
    pulls = tr.grad(LOSSES["saturating"].discriminator(*logits), logits, create_graph=True)
    weighted = [len(Z) * WEIGHTS[:, None] * one for one in pulls]
    gradient = tr.grad(logits, parameters, weighted, create_graph=True)
    rows = [tr.grad(tr.sum(part), parameters, retain_graph=True) for part in gradient]
    return _flat(gradient), np.stack([_flat(row) for row in rows])


def _flat(parts: Any) -> Any:
    return np.concatenate([part.numpy().ravel() for part in parts])


def trained(distance: float) -> Any:
    """(bias, weight) of the layer that Newton's method finds from D = 1/2, on the quadrature's nodes.

    The likelihood of a sample would diverge once a line separates it; that of the densities is convex with a minimum.
    """
    player = np.zeros(2)
    gradient, hessian = descent(layer(player), distance)
    for _ in range(NEWTON_STEPS):
        step = np.linalg.solve(hessian, gradient)
        slope = gradient @ step
        if slope < SETTLED:
            break
        gradient, hessian = descent(layer(player - step), distance)
        while abs(gradient @ step) > slope:  # too far: steeper there than here
            step = step / 2
            gradient, hessian = descent(layer(player - step), distance)
        player = player - step
    return player


def gradient_laws(d: float, loss: str) -> list[Law]:
    """The gradient that a loss hands on at the best discriminator, and at a trained one where one can be trained."""
    if loss == "wasserstein":
        unit = "the definition of the critic"
        return [Law(f"d={d:g}, best critic: Wasserstein gradient", pull(loss, CRITIC, d), 1.0, 1e-6, "check", unit)]
    expected = {"saturating": saturation.saturating, "nonsaturating": saturation.non_saturating}[loss](d)
    best, learnt = pull(loss, saturation.optimal_logit(d), d), pull(loss, trained(d), d)
    name = f"{NAMES[loss]} gradient"
    return [
        Law(f"d={d:g}, best D: {name}", best, expected, 1e-6 * expected, "exact", GOODFELLOW),
        Law(f"d={d:g}, trained D: {name}", learnt, expected, 0.02 * expected, "asymptotic", GOODFELLOW),
    ]


def value_law(d: float) -> Law:
    """An identity: the value of the game at the best discriminator, by the library's loss and by the densities."""
    measured, expected = value(saturation.optimal_logit(d), d), saturation.value(d)
    return Law(f"d={d:g}: V(D*) = -log 4 + 2 JSD", measured, expected, 1e-6 * abs(expected), "check", GOODFELLOW)


def run(options: Options, tick: Tick) -> Result:
    """Three losses at the best discriminator and at a trained one; nothing is drawn, all means are quadratures."""
    if options.settings:
        tick()
        return case(options.settings["d"], options.settings["loss"])
    laws, rows, learners = [], [], {}
    for d in DISTANCES:
        saturating, non_saturating = gradient_laws(d, "saturating"), gradient_laws(d, "nonsaturating")
        laws += [*saturating, *non_saturating, value_law(d)]
        measured = [saturating[0].measured, non_saturating[0].measured, saturating[1].measured]
        learners[float(d)] = measured[2]
        mean_d = f"{float(WEIGHTS @ tr.sigmoid(logit(saturation.optimal_logit(d), d + Z))):.3g}"
        rows.append([d, mean_d, f"{laws[-1].measured:.4f}", *(f"{x:.3g}" for x in measured)])
        tick()
    curves = along_the_grid()
    unit = float(np.abs(curves["wasserstein"] - 1).max())
    laws.append(Law("Wasserstein gradient: largest |gradient - 1|", unit, 0.0, 1e-6, "check", "Arjovsky et al. 2017"))
    above = max(0.0, float(max(curves["saturating"] / np.array([saturation.bound(d) for d in GRID]))) - 1)
    name = "saturating gradient, divided by its bound (d/2) exp(-d²/8): largest relative excess"
    laws.append(Law(name, above, 0.0, 0.0, "check", f"derived; for the setting {ARJOVSKY}"))
    tick()
    columns = ["d", "mean D on fakes", "V(D*)", "saturating", "non-saturating", "saturating, trained D"]
    return Result(
        laws,
        [Table("What a better discriminator leaves of the generator's gradient", columns, rows)],
        figures={"": lambda figure: draw(figure, curves, learners)},
        data={"d": GRID.tolist(), "gradient": {loss: curve.tolist() for loss, curve in curves.items()}},
        note="Data N(0, 1), fakes N(d, 1), D fixed, one linear layer. The gradient is that of the generator's loss "
        "with respect to d.",
        found=f"From d = {rows[0][0]} to {rows[-1][0]} standard deviations the best discriminator cuts the saturating "
        f"gradient from {rows[0][3]} to {rows[-1][3]}, while the non-saturating one grows from {rows[0][4]} to "
        f"{rows[-1][4]} and a critic's stays 1: the loss decides, not the competition.",
    )


def along_the_grid() -> dict[str, Any]:
    """Each loss's gradient at the best discriminator, against the distance."""
    curves = {}
    for loss in NAMES:
        players = [CRITIC if loss == "wasserstein" else saturation.optimal_logit(d) for d in GRID]
        curves[loss] = np.array([pull(loss, player, d) for player, d in zip(players, GRID, strict=True)])
    return curves


def case(d: float, loss: str) -> Result:
    """One loss at one distance."""
    laws = gradient_laws(d, loss)
    found = f"At d = {d:g} a generator with the {NAMES[loss]} loss receives {laws[0].measured:.4g} from the best "
    found += f"discriminator (predicted {laws[0].predicted:.4g})"
    found += f" and {laws[1].measured:.4g} from a trained one." if len(laws) > 1 else "."
    learnt = {d: laws[1].measured} if len(laws) > 1 else {}
    return Result(
        [*laws, value_law(d)],
        figures={"": lambda figure: draw(figure, along_the_grid(), learnt, d)},
        found=found,
    )


COLOURS = {loss: palette.LOSSES[loss] for loss in NAMES}


def draw(figure: Any, curves: dict[str, Any], learners: dict[float, float], d: float = 4.0) -> None:
    """The gradient of each loss against the distance, dots where D was trained; and what each fake feels at d."""
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    fine = np.linspace(0.1, 10, 200)
    closed = {
        "saturating": [saturation.saturating(d) for d in fine],
        "nonsaturating": [saturation.non_saturating(d) for d in fine],
        "wasserstein": np.ones_like(fine),
    }
    for loss, colour in COLOURS.items():
        dots_and_line(left, (GRID[1::2], curves[loss][1::2]), (fine, closed[loss]), colour, f"_{NAMES[loss]}", log="y")
    left.semilogy(
        [*learners], [*learners.values()], "o", mec="k", mfc="none", ms=9, label="with a trained discriminator"
    )
    left.semilogy(fine, [saturation.bound(d) for d in fine], "k--", lw=1, label="bound (d/2) exp(−d²/8)")
    left.legend(fontsize=9, loc="lower left")
    for loss, text, x, y in (
        ("nonsaturating", "non-saturating: d (1 − A)", 5.6, 14),
        ("wasserstein", "Wasserstein: 1", 7.3, 0.35),
        ("saturating", "saturating: d A", 7.6, 0.012),
    ):
        left.text(x, y, text, color=COLOURS[loss], fontsize=10)
    left.set(xlabel="distance d of the fakes from the data, in standard deviations", xlim=(0, 10.1), ylim=(2e-6, 40))
    left.set(ylabel="gradient of the generator's loss with respect to d")
    title = "The generator's gradient at the best discriminator\n(dots measured, lines theory; A: mean of D on fakes)"
    left.set_title(title, fontsize=11)
    felt_by_fakes(right, d)


def felt_by_fakes(axes: Any, d: float) -> None:
    """|dl/dx| of each loss against x, over the densities of data and fakes."""
    x = np.linspace(-3, d + 3.5, 300)
    density = axes.twinx()
    for mean, colour, word in ((0, "0.45", "data"), (d, palette.G, "fakes")):
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
    axes.text(d / 2, 1.25 * max(d, 1), "D = 1/2 ", ha="right", va="top", fontsize=9)
    axes.set(xlabel="x", ylabel="gradient that a fake at x feels", xlim=(x[0], x[-1]), ylim=(0, 1.3 * max(d, 1)))
    axes.set_title(f"d = {d:g}: the saturating loss is flat where the fakes are", fontsize=11)
    axes.legend(fontsize=9, loc="upper right")


EXPERIMENT = Experiment(
    name="E1",
    claim="a better discriminator removes the saturating generator's gradient: exp(-d²/8)",
    question="What gradient does the best discriminator leave for the generator, and how does that depend on the loss?",
    prediction="data N(0, 1), fakes N(d, 1): saturating d A(d) <= (d/2) exp(-d²/8), non-saturating d (1 - A(d)), "
    "Wasserstein 1, where A is the mean of the best discriminator D* on fakes; the value of the game is "
    "V(D*) = -log 4 + 2 JSD, JSD the Jensen-Shannon divergence",
    equation=r"\frac{\partial L_{sat}}{\partial d} = d A \le \frac{d}{2} e^{-d^2 / 8} \quad "
    r"\frac{\partial L_{non}}{\partial d} = d (1 - A) \quad \frac{\partial L_{W}}{\partial d} = 1",
    source=f"{GOODFELLOW}; {ARJOVSKY}; the forms for Gaussians are derived",
    ticks=lambda options: 1 if options.settings else len(DISTANCES) + 1,
    run=run,
    seconds=2,
    starred=True,
    varies="nothing: all means are quadratures",
    conditions="Two Gaussians of equal width, d standard deviations apart, and D optimal or trained to within "
    "2 % of it, while G is frozen. In a real game D is neither.",
    settings={
        "d": Setting(4.0, "distance of the fakes from the data, in standard deviations", low=0.05, high=10),
        "loss": Setting("saturating", "what the generator minimises", choices=tuple(NAMES)),
    },
)
