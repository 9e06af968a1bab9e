"""Popular listings: L_G = -V and L_D = +V; or one optimiser on d_loss + g_loss.

V = E log D(data) + E log(1 - D(fakes)) is what D *maximises* and G *minimises*. With both signs flipped, D learns to be
ever more wrong. With one sum for both players they pull in the same direction, and D never calls a fake a fake.
Goodfellow et al. 2014 [goodfellow2014generative], "Generative adversarial nets"; the Dirac-GAN: Mescheder et al. 2018
[mescheder2018which], "Which training methods for GANs do actually converge?".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.figures import palette
from tinyres.flow.theory import saturation
from tinyres.lab.claims.adversarial import asymmetry
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.players import e05_games as e05
from tinyres.lab.players.e01_saturation import WEIGHTS, Z, logit

D0 = 2.0  # the distance at which the fakes start
STEPS, RATE = 400, 0.2
POINT = np.array([1.0, 0.5])  # of the Dirac-GAN, where the Jacobians are taken
SOURCE = "Goodfellow et al. 2014; the sum's best D is derived"


def value(player: Any, distance: Any) -> Any:
    """V of a logistic D between data z and fakes distance + z, by quadrature."""
    real, fake = logit(player, Z), logit(player, distance + Z)
    return tr.sum(WEIGHTS * (tr.logsigmoid(real) + tr.logsigmoid(-fake)))


def g_loss(kind: str, fake: Any) -> Any:
    """E log(1 - D) or -E log D on the logits of fakes."""
    return tr.sum(WEIGHTS * (tr.logsigmoid(-fake) if kind == "saturating" else -tr.logsigmoid(fake)))


def summed(kind: str, player: Any, distance: Any) -> Any:
    """d_loss + g_loss, which one optimiser is given for both players."""
    return -value(player, distance) + g_loss(kind, logit(player, distance + Z))


Losses = Callable[[Any, Any], tuple[Any, Any]]  # (player, distance) -> (D's, G's)
GAMES: dict[str, Losses] = {
    "L_D = -V, L_G = +V": lambda p, d: (-value(p, d), value(p, d)),
    "L_D = +V, L_G = -V": lambda p, d: (value(p, d), -value(p, d)),
    "one sum, log(1 - D)": lambda p, d: (summed("saturating", p, d),) * 2,
    "one sum, -log D": lambda p, d: (summed("nonsaturating", p, d),) * 2,
}


def train(losses: Losses) -> Any:
    """D's (bias, slope) after gradient descent from D = 1/2 on its own loss, with G frozen at D0."""
    player = np.zeros(2)
    for _ in range(STEPS):
        leaf = tr.tensor(player, requires_grad=True)
        player = player - RATE * tr.grad(losses(leaf, D0)[0], leaf)[0].numpy()
    return player


def g_step(losses: Losses, player: Any, distance: float = D0) -> float:
    """-dL_G/dd: negative if G is sent towards the data."""
    leaf = tr.tensor(distance, dtype="float64", requires_grad=True)
    return -float(tr.grad(losses(player, leaf)[1], leaf)[0].item())


def right_answers(player: Any) -> float:
    """Share of data called real and fakes called fake, by quadrature: halves at the boundary."""
    real, fake = (np.sign(logit(player, x)) for x in (Z, D0 + Z))
    return float(WEIGHTS @ (1 + real) / 4 + WEIGHTS @ (1 - fake) / 4)


def free_discriminator(steps: int = 60) -> tuple[Any, Any]:
    """(x, logits) of the D, free at every point, that minimises the sum with -log D; Newton's method point by point."""
    x = np.linspace(-4, 6, 201)
    real, fake = np.exp(-(x**2) / 2), np.exp(-((x - D0) ** 2) / 2)

    def loss(a: Any) -> Any:
        d_loss = real * tr.softplus(-a) + fake * tr.softplus(a)
        return tr.sum(d_loss + fake * tr.softplus(-a))

    a = np.zeros_like(x)
    for _ in range(steps):
        leaf = tr.tensor(a, requires_grad=True)
        (slope,) = tr.grad(loss(leaf), leaf, create_graph=True)
        (curvature,) = tr.grad(tr.sum(slope), leaf)  # points are independent: the Hessian is diagonal
        a = a - np.clip(slope.numpy() / curvature.numpy(), -1, 1)
    return x, a


def jacobian_asymmetry(field: e05.Field) -> float:
    """Asymmetry of the Dirac-GAN's update field at POINT: 0 if both players descend one loss."""
    return asymmetry(tr.jacobian(field, tr.tensor(POINT)).numpy())


def one_sum(point: Any) -> Any:
    """The Dirac-GAN's field of one optimiser on d_loss + g_loss, -log D."""
    game = e05.plain("nonsaturating")

    def total(at: Any) -> Any:
        return game.discriminator(at) + game.generator(at)

    return e05.Game(total, total)(point)


def run(options: Options, tick: Tick) -> Result:
    """For each game: what D learns with G frozen, where that sends G, and the joint update field."""
    right, swapped, cancelled, _ = GAMES.values()
    best = np.array(saturation.optimal_logit(D0))
    players = {name: train(losses) for name, losses in GAMES.items()}
    tick()
    learnt, inverted, blind, _ = players.values()
    share = saturation.accuracy(D0)
    on_fakes = float(WEIGHTS @ tr.sigmoid(logit(blind, D0 + Z)))
    laws = [
        Law("L_D = -V: D's right answers", right_answers(learnt), share, 0.02, "asymptotic", SOURCE),
        Law("L_D = -V, L_G = +V: G's step towards the data", -g_step(right, best), 0.0, 0.0, "ordering", SOURCE),
        Law(
            "L_D = +V: wrong answers beyond chance after training D",
            0.5 - right_answers(inverted),
            0.0,
            0.0,
            "ordering",
            SOURCE,
        ),
        Law(
            "L_D = +V: how far V falls below that of guessing, -log 4",
            -np.log(4) - value(inverted, D0).item(),
            10.0,
            0.0,
            "ordering",
            SOURCE,
        ),
        Law(
            "L_G = -V, a D that separates: G's step away from the data",
            g_step(swapped, best),
            0.0,
            0,
            "ordering",
            SOURCE,
        ),
        Law("one sum, log(1 - D): G's gradient", g_step(cancelled, best), 0.0, 1e-12, "check", "derived"),
        Law("one sum, log(1 - D): mean D on fakes after training", on_fakes, 0.9, 0.0, "ordering", "derived"),
    ]
    x, a = free_discriminator()
    found = tr.sigmoid(a)
    worst = float(np.abs(found - tr.sigmoid(saturation.summed_logit(D0, x))).max())
    laws.append(Law("one sum, -log D: best D is (p+q) / (p+2q), largest error", worst, 0.0, 1e-6, "check", "derived"))
    called = float((found < 0.5 - 1e-9).mean())
    laws.append(Law("one sum, -log D: share of points that the best D calls fake", called, 0.0, 0, "check", "derived"))
    leaf = tr.tensor(D0, dtype="float64", requires_grad=True)
    fakes = tr.softplus(logit(best, leaf + Z))  # the logit of that D, as a function of x
    away = -tr.grad(tr.sum(WEIGHTS * (tr.softplus(fakes) + tr.softplus(-fakes))), leaf)[0].item()
    laws.append(Law("one sum, -log D: G's step away from the data", away, 0.0, 0.0, "ordering", "derived"))
    fields: dict[str, e05.Field] = {"one sum": one_sum, "two losses": e05.plain("nonsaturating")}
    skew = {name: jacobian_asymmetry(field) for name, field in fields.items()}
    laws += [
        Law("one sum: asymmetry of the field's Jacobian", skew["one sum"], 0.0, 1e-12, "check", "one potential"),
        Law("two losses: asymmetry", skew["two losses"], 0.5, 0.0, "ordering", "Mescheder et al. 2018"),
    ]
    tick()
    note = (
        f"Data N(0, 1), fakes N({D0:g}, 1), which stand still while D is trained. V = E log D(data) + E log(1 - "
        "D(fakes))."
    )
    told = (
        f"With the signs of V flipped, D learns to be right in {right_answers(inverted):.0%} of cases; the paper's "
        f"signs give {right_answers(learnt):.0%}. With one sum and log(1 - D) the gradient of G is "
        f"{abs(g_step(cancelled, best)):.0e}, and with -log D the optimal D calls {called:.0%} of all points fake and "
        f"pushes G away from the data, by {away:.2f} per unit step: one optimiser leaves no game."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, players, x, found)}, note=note, found=told)


def draw(figure: Any, players: dict[str, Any], x: Any, free: Any) -> None:
    """What D says about x in each game, over the densities of data and fakes."""
    axes = figure.subplots()
    for mean, colour, word in ((0, "0.45", "data"), (D0, palette.G, "fakes")):
        axes.fill_between(x, 0.5 * np.exp(-((x - mean) ** 2) / 2), color=colour, alpha=0.18, lw=0)
        axes.text(mean, 0.04, word, color=colour, ha="center")
    for k, (name, player) in enumerate(players.items()):
        probability = free if name == "one sum, -log D" else tr.sigmoid(logit(player, x))
        axes.plot(x, probability, color=f"C{k}", lw=2, label=name)
    axes.axhline(0.5, color="k", lw=0.8, ls=":")
    axes.set(xlabel="x", ylabel="D(x): probability that x is real", xlim=(-3.5, 5.5), ylim=(0, 1.05))
    axes.set_title("What D learns from each listing: only one of the four separates data from fakes correctly")
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.92))


EXPERIMENT = Experiment(
    name="claim-signs",
    question="Does a GAN still learn if both signs of V are flipped, or if one optimiser minimises the sum of both "
    "losses?",
    claim="'L_G = -V and L_D = +V'; 'one optimiser on d_loss + g_loss'",
    prediction="signs flipped: D's loss has no minimum and G flees a D that is right; one sum: no fake is called fake, "
    "G's gradient is 0 or points away, the field is a gradient: no game is left",
    equation=r"D^*(x) = \frac{p(x) + q(x)}{p(x) + 2 q(x)} > \frac{1}{2} \quad (\mathrm{one\ sum,\ } -\log D)",
    source=SOURCE,
    ticks=lambda options: 2,
    run=run,
    seconds=1,
    varies="nothing: D is trained on exact expectations from D = 1/2, and G is frozen",
    conditions=f"Two Gaussians of variance 1, {D0:g} apart, and a logistic D trained for {STEPS} steps; the best D "
    "of the sum is free at every point. The fields are those of the Dirac-GAN.",
)
