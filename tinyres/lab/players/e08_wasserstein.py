"""E8, Wasserstein critics: the slope under a gradient penalty is 1 + δ/2λ, not 1; clipped weights end in a corner.

Arjovsky et al. 2017 [arjovsky2017wasserstein], "Wasserstein generative adversarial networks"; Gulrajani et al. 2017
[gulrajani2017improved], "Improved training of Wasserstein GANs".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.flow.theory import wasserstein
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import clip_weights_, gradient_penalty
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.players.e08_figure import draw, draw_ways

DELTA, DIRECTION = 4.0, np.array([0.6, -0.8])  # from the data to the fakes
PENALTIES = (0.1, 1.0, 10.0)  # weights λ of the gradient penalty: the official toy's and the paper's
CLIPS = (0.01, 0.1)
STEPS, SETTLED = 200, 1e-10  # of a penalised critic: at most, and the relative gradient at which it has arrived
CLIPPED_STEPS = 50
SAMPLES, LINES, HIDDEN = 64, 50, 16
THETAS = (-1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0)  # distances between the parallel lines
RATE = 100.0  # of the discriminator between the lines
LOSS = LOSSES["wasserstein"]
ARJOVSKY, DERIVED = "Arjovsky et al. 2017", "derived; for the setting Gulrajani et al. 2017"


def critic(w: Any, x: Any) -> Any:
    """f(x) = w·x = relu(x·w) - relu(-x·w): (N, 2) to (N, 1), linear by way of masks, as two units of a ReLU net."""
    hidden = tr.relu(x @ tr.stack([w, -w], 1))  # (N, 2)
    return hidden @ np.array([[1.0], [-1.0]])


def objective(w: Any, data: Any, shift: Any, weight: float, seed: int) -> Any:
    """E f(data) - E f(fakes) - weight * penalty, the fakes being the data moved by `shift`."""
    fakes = data + shift
    penalty = gradient_penalty(lambda x: critic(w, x), data, fakes, np.random.default_rng(seed))
    return -LOSS.discriminator(critic(w, data), critic(w, fakes)) - weight * penalty


def penalised(data: Any, delta: float, weight: float, seed: int) -> tuple[float, float, list[float]]:
    """(slope, value, slopes on the way) of the critic that gradient ascent finds.

    The objective's curvature is 2 λ along w and δ / |w| across it, at the best w. These differ by thousands where the
    penalty is large and the shift small, so the step is half of what either asks for in its own direction.
    """
    w, slopes = np.array([0.5, 0.5]), []
    for _ in range(STEPS):
        leaf = tr.tensor(w, requires_grad=True)
        gradient = tr.grad(objective(leaf, data, delta * DIRECTION, weight, seed), leaf)[0].numpy()
        norm = float(np.linalg.norm(w))
        slopes.append(norm)
        along = (gradient @ w) * w / norm**2
        w = w + 0.5 * (along / (2 * weight) + (gradient - along) * norm / delta)
        if np.linalg.norm(gradient) < SETTLED * delta:
            break
    return float(np.linalg.norm(w)), objective(tr.tensor(w), data, delta * DIRECTION, weight, seed).item(), slopes


def clipped(data: Any, delta: float, c: float) -> tuple[Any, float]:
    """(weights, value) of a linear critic after gradient ascent, its weights limited to [-c, c] at every step."""
    player, shift = nn.Linear(2, 1, rng=0).to("float64"), delta * DIRECTION
    rate = c / np.abs(shift).min()  # so that two steps cross the box
    for _ in range(CLIPPED_STEPS):
        loss = LOSS.discriminator(player(tr.tensor(data)), player(tr.tensor(data + shift)))
        parameters = list(player.parameters())
        for parameter, gradient in zip(parameters, tr.grad(loss, parameters), strict=True):
            parameter.data = parameter.data - rate * gradient.numpy()
        clip_weights_(player, c)
    weights = player.weight.numpy()[0]
    return weights, -LOSS.discriminator(player(tr.tensor(data)), player(tr.tensor(data + shift))).item()


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


def penalised_laws(data: Any, delta: float, weight: float, seed: int) -> tuple[list[Law], list[float]]:
    """Slope and value of the best penalised critic; its slopes on the way."""
    slope, value, way = penalised(data, delta, weight, seed)
    predicted = wasserstein.penalised_slope(delta, weight), wasserstein.penalised_value(delta, weight)
    laws = []
    for word, found, wanted, least in zip(
        ("slope", "value"), (slope, value), predicted, (predicted[0] - 1, predicted[1] - delta), strict=True
    ):
        name = f"WGAN-GP, λ={weight:g}, δ={delta:g}: {word} of the best linear critic"
        tolerance = 1e-4 * min(1, least)  # so that a slope of 1 is told from one a little above it
        laws.append(Law(name, found, wanted, tolerance, "exact", DERIVED))
    return laws, way


def clipped_laws(data: Any, delta: float, c: float) -> list[Law]:
    """The corner that clipping ends in, and the critic's value there."""
    weights, value = clipped(data, delta, c)
    corner = float(np.abs(np.abs(weights) - c).max() / c)
    wanted = wasserstein.clipped_value((delta * DIRECTION).tolist(), c)
    source = "derived; observed by Gulrajani et al. 2017"
    return [
        Law(f"clipping, c={c:g}: largest ||w_i| - c| / c", corner, 0.0, 1e-4, "exact", source),
        Law(f"clipping, c={c:g}: value of the critic, c |δ|₁", value, wanted, 1e-4 * wanted, "exact", "derived"),
    ]


def run(options: Options, tick: Tick) -> Result:
    """Penalised and clipped linear critics by training, second derivatives, and the two parallel lines."""
    rng = np.random.default_rng((options.seed, 0))
    data = rng.standard_normal((SAMPLES, 2))
    values = options.settings
    delta: float = values.get("delta", DELTA)
    weights: Sequence[float] = PENALTIES
    clips: Sequence[float] = CLIPS
    if values:
        weights, clips = [values["penalty_weight"]], [values["clip"]]
    laws, rows, ways = [], [], {}
    for weight in weights:
        both, ways[weight] = penalised_laws(data, delta, weight, options.seed)
        laws += both
        slope, value = (law.measured for law in both)
        rows.append([f"{weight:g}", f"{slope:.5g}", f"{value:.5g}", f"{value / delta:.5g}"])
        tick()
    for c in clips:
        laws += clipped_laws(data, delta, c)
        tick()
    slopes = listed(f"{law.measured:.5g}" for law in laws[: 2 * len(weights) : 2])
    reached = listed(f"{law.measured / delta:.5g}" for law in laws[1 : 2 * len(weights) : 2])
    corners = listed(f"{law.measured / delta:.3g}" for law in laws[2 * len(weights) + 1 :: 2])
    found = (
        f"Where W1 is {delta:g}, the best critic under a penalty of weight {listed(f'{x:g}' for x in weights)} has "
        f"slope {slopes}, not 1, and a value of {reached} times W1; one clipped at {listed(f'{c:g}' for c in clips)} "
        f"sits in a corner, with a value of {corners} times W1."
    )
    if values:
        picture = {"": lambda figure: draw_ways(figure.subplots(), ways, delta)}
        return Result(laws, [table(rows)], picture, {"slopes": ways[weights[0]]}, found=found)
    error = second_order_error(rng)
    laws.append(Law("penalty's second derivatives, relative error", error, 0.0, 1e-10, "check", "calculus"))
    tick()
    lines = [(transport(theta), learnt_divergence(theta)) for theta in THETAS]
    expected = [wasserstein.parallel_lines(theta) for theta in THETAS]
    for k, (word, kind) in enumerate((("W1 = |θ|", "check"), ("JS = log 2, at θ = 0 0", "exact"))):
        worst = max(abs(a[k] - b[k]) for a, b in zip(lines, expected, strict=True))
        laws.append(Law(f"parallel lines: {word}, largest error", worst, 0.0, 1e-4, kind, ARJOVSKY))
    tick()
    return Result(
        laws,
        [table(rows)],
        figures={"": lambda figure: draw(figure, ways, DELTA, THETAS, lines)},
        data={"lines": {"theta": THETAS, "w1_js": lines}},
        note=f"Fakes are the data shifted by δ of length {DELTA:g}; the critic is w·x through ReLU masks, trained "
        "through double backward.",
        found=found,
    )


def listed(words: Iterable[str]) -> str:
    """The words as prose: a, b and c."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def table(rows: list[list[str]]) -> Table:
    """Of the penalised critics."""
    return Table("The gradient penalty's weight", ["λ", "slope |w|", "value, penalty included", "value / W1"], rows)


EXPERIMENT = Experiment(
    name="E8",
    claim="WGAN-GP's critic does not have slope 1, a clipped one sits in a corner; W1 has a gradient where JS has none",
    question="What slope does a Wasserstein critic end with under a gradient penalty, and under clipped weights?",
    prediction="linear critic, shift δ, weight λ: slope 1 + δ/2λ, value δ + δ²/4λ; clipped: |w_i| = c; parallel lines: "
    "W1 = |θ|, JS = log 2",
    equation=r"|w| = 1 + \frac{\delta}{2 \lambda} \quad V = \delta + \frac{\delta^2}{4 \lambda} \quad "
    r"|w_i| = c \quad W_1 = |\theta| \quad JS = \log 2",
    source=f"{ARJOVSKY}; Gulrajani et al. 2017; slope and value are derived",
    ticks=lambda options: 2 if options.settings else len(PENALTIES) + len(CLIPS) + 2,
    run=run,
    seconds=1,
    starred=True,
    varies="the data, and the points at which the penalty measures slopes",
    conditions="A linear critic, and fakes that are the data shifted by δ: then neither data nor points matter. "
    "The slope is that of the optimal critic; while it is still learning it has another.",
    choices=(
        "The penalised critic takes half of Newton's step along its weights and across them, since at δ = 0.316, "
        "λ = 50 plain gradient ascent was still 6 % short after 2,000 steps.",
    ),
    settings={
        "delta": Setting(4.0, "distance from the data to the fakes", low=1e-3, high=1e3),
        "penalty_weight": Setting(10.0, "weight of the gradient penalty", low=1e-2, high=1e3),
        "clip": Setting(0.01, "what the other critic's weights are clipped to", low=1e-4, high=10),
    },
)
