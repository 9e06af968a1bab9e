"""E8: what a Wasserstein critic's constraint does: WGAN-GP's slope is 1 + δ/2λ, not 1; clipping ends in a corner.

Arjovsky, Chintala & Bottou 2017, "Wasserstein GAN"; Gulrajani et al. 2017, "Improved training of Wasserstein GANs".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.theory import wasserstein
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import clip_weights_, gradient_penalty

SHIFT = np.array([2.4, -3.2])  # from the data to the fakes: length 4
DELTA = float(np.linalg.norm(SHIFT))
PENALTIES = (0.1, 1.0, 10.0)  # weights λ of the gradient penalty: the official toy's and the paper's
CLIPS = (0.01, 0.1)
SAMPLES, LINES, HIDDEN = 64, 50, 16
THETAS = (-1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0)  # distances between the parallel lines
RATE = 100.0  # of the discriminator between the lines
LOSS = LOSSES["wasserstein"]
ARJOVSKY, DERIVED = "Arjovsky et al. 2017", "derived; for the setting Gulrajani et al. 2017"


def critic(w: Any, x: Any) -> Any:
    """f(x) = w·x = relu(x·w) - relu(-x·w): (N, 2) to (N, 1), linear by way of masks, as two units of a ReLU net."""
    hidden = tr.relu(x @ tr.stack([w, -w], 1))  # (N, 2)
    return hidden @ np.array([[1.0], [-1.0]])


def objective(w: Any, data: Any, weight: float, seed: int) -> Any:
    """E f(data) - E f(fakes) - weight * penalty, the fakes being the data shifted by SHIFT."""
    fakes = data + SHIFT
    penalty = gradient_penalty(lambda x: critic(w, x), data, fakes, np.random.default_rng(seed))
    return -LOSS.discriminator(critic(w, data), critic(w, fakes)) - weight * penalty


def penalised(data: Any, weight: float, seed: int) -> tuple[float, float, list[float]]:
    """(slope, value, slopes on the way) of the critic that gradient ascent finds.

    The objective's curvature is 2 λ along w and δ / |w| across it; the step keeps well below the inverse of the larger.
    """
    w, slopes = np.array([0.5, 0.5]), []
    for _ in range(2000):
        leaf = tr.tensor(w, requires_grad=True)
        (gradient,) = tr.grad(objective(leaf, data, weight, seed), leaf)
        norm = float(np.linalg.norm(w))
        slopes.append(norm)
        w = w + 0.5 * gradient.numpy() / (2 * weight + DELTA / norm)
        if np.linalg.norm(gradient.numpy()) < 1e-8:
            break
    return float(np.linalg.norm(w)), objective(tr.tensor(w), data, weight, seed).item(), slopes


def clipped(data: Any, c: float) -> tuple[Any, float]:
    """(weights, value) of a linear critic after gradient ascent, its weights limited to [-c, c] at every step."""
    player = nn.Linear(2, 1, rng=0).to("float64")
    for _ in range(50):
        loss = LOSS.discriminator(player(tr.tensor(data)), player(tr.tensor(data + SHIFT)))
        parameters = list(player.parameters())
        for parameter, gradient in zip(parameters, tr.grad(loss, parameters), strict=True):
            parameter.data = parameter.data - 0.01 * gradient.numpy()
        clip_weights_(player, c)
    weights = player.weight.numpy()[0]
    return weights, -LOSS.discriminator(player(tr.tensor(data)), player(tr.tensor(data + SHIFT))).item()


def second_order_error(rng: np.random.Generator) -> float:
    """The penalty's gradient by both weights of relu(x W1) W2 at points x, autograd of autograd against calculus.

    With the mask m the slope is s = W1 (m W2), n = |s|, and (n - 1)² has the gradients 2 (n - 1) (s / n) (m W2)ᵀ by W1
    and 2 (n - 1) m (W1ᵀ s / n) by W2. Relative to the larger of both gradients.
    """
    x = rng.standard_normal((SAMPLES, 2))
    first, second = rng.standard_normal((2, HIDDEN)), rng.standard_normal((HIDDEN, 1))
    leaves = [tr.tensor(first, requires_grad=True), tr.tensor(second, requires_grad=True)]
    penalty = gradient_penalty(lambda at: tr.relu(at @ leaves[0]) @ leaves[1], x, x, rng)
    found = [gradient.numpy() for gradient in tr.grad(penalty, leaves)]
    active = (x @ first > 0) * second[:, 0]  # (N, HIDDEN), m W2
    slope = active @ first.T  # (N, 2)
    norm = np.linalg.norm(slope, axis=1, keepdims=True)
    outer = 2 * (norm - 1) * slope / norm / SAMPLES
    wanted = [outer.T @ active, ((outer @ first) * (x @ first > 0)).sum(axis=0)[:, None]]
    scale = max(np.abs(part).max() for part in wanted)
    return float(max(np.abs(a - b).max() for a, b in zip(found, wanted, strict=True)) / scale)


def transport(theta: float) -> float:
    """W1 between (0, y) and (theta, y), y on a grid of (0, 1): the cheapest assignment of points to points."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    y = (np.arange(LINES) + 0.5) / LINES
    cost = cdist(np.stack([0 * y, y], 1), np.stack([0 * y + theta, y], 1))
    return float(cost[linear_sum_assignment(cost)].mean())


def learnt_divergence(theta: float) -> float:
    """JS >= (V(D) + log 4) / 2, V of a logistic D trained by gradient ascent on the lines' x from D = 1/2.

    Between lines apart the likelihood has no maximum: the steps are long, and V comes as near to 0 as one likes. D sees
    x in units of theta: any distance but none is as good as any other.
    """
    player = np.zeros(2)
    x = np.array([0.0, float(theta != 0)])
    for _ in range(50):
        leaf = tr.tensor(player, requires_grad=True)
        logits = leaf[0] + leaf[1] * x
        value = -LOSSES["saturating"].discriminator(logits[:1], logits[1:])
        player = player + RATE * tr.grad(value, leaf)[0].numpy()
    return float((value.item() + np.log(4)) / 2)


def run(options: Options, tick: Tick) -> Result:
    """Penalised and clipped linear critics by training, second derivatives, and the two parallel lines."""
    rng = np.random.default_rng((options.seed, 0))
    data = rng.standard_normal((SAMPLES, 2))
    laws, rows, ways = [], [], {}
    for weight in PENALTIES:
        slope, value, ways[weight] = penalised(data, weight, options.seed)
        predicted = wasserstein.penalised_slope(DELTA, weight), wasserstein.penalised_value(DELTA, weight)
        for word, found, wanted in zip(("slope", "value"), (slope, value), predicted, strict=True):
            name = f"WGAN-GP, λ={weight:g}, δ={DELTA:g}: {word} of the best linear critic"
            laws.append(Law(name, found, wanted, 1e-4, "exact", DERIVED))
        rows.append([f"{weight:g}", f"{slope:.4f}", f"{value:.4f}", f"{value / DELTA:.4f}"])
        tick()
    for c in CLIPS:
        weights, value = clipped(data, c)
        corner = float(np.abs(np.abs(weights) - c).max() / c)
        name = f"clipping, c={c:g}: largest ||w_i| - c| / c"
        laws.append(Law(name, corner, 0.0, 1e-4, "exact", "derived; observed by Gulrajani et al. 2017"))
        wanted = wasserstein.clipped_value(SHIFT.tolist(), c)
        name = f"clipping, c={c:g}: value of the critic, c |δ|₁"
        laws.append(Law(name, value, wanted, 1e-4 * wanted, "exact", "derived"))
        tick()
    error = second_order_error(rng)
    laws.append(Law("penalty's second derivatives, relative error", error, 0.0, 1e-10, "exact", "calculus"))
    tick()
    lines = [(transport(theta), learnt_divergence(theta)) for theta in THETAS]
    expected = [wasserstein.parallel_lines(theta) for theta in THETAS]
    for k, word in enumerate(("W1 = |θ|", "JS = log 2, at θ = 0 0")):
        worst = max(abs(a[k] - b[k]) for a, b in zip(lines, expected, strict=True))
        laws.append(Law(f"parallel lines: {word}, largest error", worst, 0.0, 1e-4, "exact", ARJOVSKY))
    tick()
    note = (
        f"Fakes are the data shifted by δ of length {DELTA:g}, so W1 = {DELTA:g}; the critic is w·x by way of ReLU "
        "masks, trained through double backward. A finite penalty is a price, not a constraint: the slope passes 1."
    )
    columns = ["λ", "slope |w|", "value, penalty included", "value / W1"]
    return Result(
        laws,
        [Table("The gradient penalty's weight", columns, rows)],
        figures={"": lambda figure: draw(figure, ways, lines)},
        data={"lines": {"theta": THETAS, "w1_js": lines}},
        note=note,
    )


def draw(figure: Any, ways: dict[float, list[float]], lines: list[tuple[float, float]]) -> None:
    """The critic's slope on its way, for each penalty; distance and divergence of the parallel lines."""
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    for k, (weight, slopes) in enumerate(ways.items()):
        steps = 1 + np.arange(len(slopes))
        left.loglog(steps, slopes, "-", color=f"C{k}", lw=2, label=f"λ = {weight:g}")
        end = wasserstein.penalised_slope(DELTA, weight)
        left.axhline(end, color=f"C{k}", ls="--", lw=1)
        left.text(1.05, end * 1.04, f"1 + δ/2λ = {end:g}", color=f"C{k}", fontsize=9)
    left.axhline(1, color="k", lw=0.8, ls=":")
    left.set(xlabel="step of the critic", ylabel="norm of the critic's gradient", yticks=[1, 3, 10, 20])
    left.set(yticklabels=["1", "3", "10", "20"], ylim=(0.6, 30))
    left.set_title(f"WGAN-GP, δ = {DELTA:g}: the slope does not end at 1", fontsize=11)
    left.legend(loc="center right", fontsize=9)
    fine = np.linspace(-1, 1, 401)
    right.plot(fine, np.abs(fine), "-", color="C2", lw=1, label="Wasserstein distance |θ|")
    away = [fine[fine < 0], fine[fine > 0]]
    for k, part in enumerate(away):
        right.plot(
            part, np.full(len(part), np.log(2)), "-", color="C3", lw=1, label="" if k else "JS divergence: log 2"
        )
    right.plot(0, np.log(2), "o", mec="C3", mfc="w", ms=7)
    right.plot(THETAS, [w1 for w1, _ in lines], "o", color="C2")
    right.plot(THETAS, [js for _, js in lines], "o", color="C3")
    right.set(
        xlabel="distance θ between two parallel lines", ylabel="distance of the distributions", ylim=(-0.05, 1.25)
    )
    right.set_title("Only one of both tells the generator where to go", fontsize=11)
    right.legend(loc="upper center", fontsize=9)


EXPERIMENT = Experiment(
    name="E8",
    claim="WGAN-GP's critic does not have slope 1, a clipped one sits in a corner; W1 has a gradient where JS has none",
    prediction="linear critic, shift δ, weight λ: slope 1 + δ/2λ, value δ + δ²/4λ; clipped: |w_i| = c; parallel lines: "
    "W1 = |θ|, JS = log 2",
    source=f"{ARJOVSKY}; Gulrajani et al. 2017; slope and value are derived",
    ticks=lambda options: len(PENALTIES) + len(CLIPS) + 2,
    run=run,
    seconds=2,
    starred=True,
)
