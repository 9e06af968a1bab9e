"""E16, trainability: the longer the depth scale ξ of mean-field theory, the deeper a plain net can be trained.

Schoenholz et al. 2017 [schoenholz2017deep], "Deep information propagation", figure 5 (there on MNIST and CIFAR-10, 300
units, 6 ξ).

Theory says that the boundary is proportional to ξ. On its way through L layers a squared gradient shrinks as
exp(-L / ξ); T steps of size η reach the first layers if η T c exp(-L / ξ) > 1, hence up to L = k ξ with k = ln(η T c).
So the power p of boundary ~ ξᵖ is 1 where ln(η T) is large, while k is no prediction: it depends on rate and steps.
After few steps c, which depends on s_w², matters as much: theory then only says that p is above 0. Besides, even the
critical net, whose ξ is infinite, has a limit, where deep nets need smaller steps or more of them; that limit is not
set by ξ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data
from tinyres.arrays import to_device
from tinyres.flow.theory import mean_field
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.lab.trained import e16_figure
from tinyres.ops.losses import cross_entropy

WIDTH, BATCH, STEPS, RATE, S_B2 = 100, 32, 200, 0.015, 0.05
RATES = (0.005, RATE, 0.05)
JUDGED = RATES[1:]  # at the first, most nets of short ξ are too slow to be trained at any depth
S_W2 = (0.8, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.76, 3.0)
CRITICAL = 1.76  # where χ = 1 at s_b² = 0.05
DEPTHS = (4, 6, 8, 11, 16, 23, 32, 45, 64)  # hidden layers, each about √2 times the one before
TRAINED = np.log(10) / 2  # half of guessing's loss
SOURCE = "Schoenholz et al. 2017, figure 5"


def xi(s_w2: float) -> float:
    """The depth scale of a tanh net with s_b² = 0.05, in layers."""
    q = mean_field.fixed_point(np.tanh, s_w2, S_B2)
    return mean_field.depth_scale(mean_field.chi(q, lambda z: 1 - np.tanh(z) ** 2, s_w2))


def nets(depth: int, s_w2: Sequence[float], rng: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Weights N(0, s_w²/fan_in), (S, fan_in, fan_out), biases N(0, s_b²), (S, 1, fan_out): the same draws, scaled."""
    scale = np.sqrt(np.array(s_w2))[:, None, None]  # (S, 1, 1)
    sizes = [64, *[WIDTH] * depth, 10]
    weights, biases = [], []
    for inputs, outputs in pairwise(sizes):
        w = scale * rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)
        b = np.sqrt(S_B2) * np.broadcast_to(rng.standard_normal(outputs), (len(s_w2), 1, outputs))
        weights.append(w.astype(np.float32))
        biases.append(b.astype(np.float32))
    return weights, biases


def logits(x: Any, weights: list[Any], biases: list[Any]) -> Any:
    """(B, 64) -> (S, B, 10), the S nets side by side."""
    h = x
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = tr.tanh(h @ w + b)  # (S, B, WIDTH)
    return h @ weights[-1] + biases[-1]


def train(
    depth: int,
    s_w2: Sequence[float],
    train_set: data.Dataset,
    seed: tuple[int, int],
    steps: int,
    device: str = "cpu",
    rates: Sequence[float] = (RATE,),
) -> Any:
    """The mean loss over the last tenth of the steps, of one net per s_w²: (S,). rates: one for all, or one per net."""
    rng = np.random.default_rng(seed)
    rate = to_device(np.broadcast_to(np.array(rates, np.float32), len(s_w2))[:, None, None].copy(), device)  # (S, 1, 1)
    weights, biases = ([to_device(array, device) for array in found] for found in nets(depth, s_w2, rng))
    losses: list[Any] = []
    while len(losses) < steps:
        for x, target in data.DataLoader(train_set, BATCH, shuffle=True, seed=int(rng.integers(2**31)), drop_last=True):
            leaves = [tr.tensor(array, requires_grad=True) for array in weights + biases]
            ws, bs = leaves[: len(weights)], leaves[len(weights) :]
            y = logits(x.to(device), ws, bs)
            targets = to_device(np.tile(target.numpy(), len(s_w2)), device)
            loss = cross_entropy(y.reshape(-1, 10), targets, reduction="none")
            each = loss.reshape(len(s_w2), -1).mean(axis=1)  # (S,): no net's loss reaches another net's weights
            new = [w.data - rate * g.data for w, g in zip(leaves, tr.grad(each.sum(), leaves), strict=True)]
            weights, biases = new[: len(weights)], new[len(weights) :]
            losses.append(each.numpy())
            if len(losses) == steps:
                break
    return np.mean(losses[-max(1, steps // 10) :], axis=0)


def run(options: Options, tick: Tick) -> Result:
    """One net for each depth, s_w² and rate, 200 steps of plain gradient descent each."""
    losses = measure(data.digits(seed=options.seed).train, options, tick)
    reached, scales = np.array([boundaries(found) for found in losses]), np.array([xi(s) for s in S_W2])
    made, grid = laws(reached, scales), e16_figure.Grid(RATES, DEPTHS, S_W2, CRITICAL, RATES.index(RATE), xi)
    return Result(
        laws=made,
        tables=[table(reached, scales)],
        figures={"": lambda figure: e16_figure.draw(figure, grid, losses, reached)},
        data={"rates": RATES, "s_w2": S_W2, "xi": scales, "depths": DEPTHS, "loss": losses, "boundary": reached},
        note="Boundary: the geometric mean of the first depth that is not trained and the one before it; "
        "k = boundary / ξ. Tolerance: three standard errors of the power if a boundary is known to a step of the grid.",
        found=found(made),
    )


def measure(images: data.Dataset, options: Options, tick: Tick) -> Any:
    """The loss of each net: (rates, depths, s_w²). What has failed at two depths in a row is not trained deeper."""
    pixels, losses = flat(images), np.full((len(RATES), len(DEPTHS), len(S_W2)), np.nan)
    for k, depth in enumerate(DEPTHS):
        failed = ~(losses[:, max(0, k - 2) : k] < TRAINED)  # (rates, at most 2, s_w²)
        which, where = np.nonzero(~failed.all(axis=1) if k >= 2 else np.full((len(RATES), len(S_W2)), True))
        variances, rates = [S_W2[j] for j in where], [RATES[i] for i in which]
        if variances:
            seed = options.seed, k
            losses[which, k, where] = train(depth, variances, pixels, seed, STEPS, options.device, rates)
        tick()
    return losses


def flat(images: data.Dataset) -> data.Dataset:
    """(N, 1, 8, 8) to (N, 64), with mean 0 and variance 1 over all pixels."""
    scaled = data.Normalize(*data.channel_statistics(images))(images.inputs, np.random.default_rng(0))
    return data.Dataset(np.ascontiguousarray(scaled.reshape(len(images), 64)), images.targets)


def boundaries(losses: Any) -> Any:
    """(depths, s_w²) -> (s_w²,): the depth at which training ceases; NaN where that lies outside the grid."""
    reached = np.full(losses.shape[1], np.nan)
    for j, column in enumerate(losses.T):
        fails = np.flatnonzero(~(column < TRAINED))  # a loss that is NaN is not trained
        if len(fails) and fails[0] > 0:
            reached[j] = np.sqrt(DEPTHS[fails[0]] * DEPTHS[fails[0] - 1])
    return reached


def power(depths: Any, scales: Any) -> tuple[float, float]:
    """p of depth ~ ξᵖ, and its standard error where each boundary may be anywhere within a step of the grid."""
    if len(depths) < 3:
        return np.nan, np.nan
    x = np.log(scales)
    grid = np.log(DEPTHS[-1] / DEPTHS[0]) / (len(DEPTHS) - 1)
    return float(np.polyfit(x, np.log(depths), 1)[0]), float(grid / np.sqrt(12 * ((x - x.mean()) ** 2).sum()))


def laws(reached: Any, scales: Any) -> list[Law]:
    """On the ordered side the boundary grows with ξ; at the lowest rate too few nets train for a verdict."""
    made = []
    for rate, depths in zip(RATES, reached, strict=True):
        used = (np.array(S_W2) < CRITICAL) & np.isfinite(depths)
        slope, error = power(depths[used], scales[used])
        end = np.nan_to_num(depths[S_W2.index(CRITICAL)], nan=np.inf)
        by_xi = used & (depths < end)
        k = float(np.median(depths[used] / scales[used])) if used.any() else np.nan
        name = f"power p of boundary ~ ξᵖ, rate {rate}"
        if rate in JUDGED:
            made.append(Law(f"{name}: above 0", slope, 0.0, 3 * error, "ordering", SOURCE))
        else:
            made.append(shown(name, slope, SOURCE))
        name = f"the same of nets that end before the critical one, rate {rate}"
        made += [shown(name, power(depths[by_xi], scales[by_xi])[0], SOURCE), shown(f"median k, rate {rate}", k)]
    return made


def found(made: Sequence[Law]) -> str:
    """The powers and k at each rate."""
    values = [law.measured for law in made]
    powers, before, ks = (", ".join(f"{value:.2f}" for value in values[part::3]) for part in range(3))
    return (
        f"At rates {', '.join(map(str, RATES))} training ceases at a depth that grows as ξ to the power {powers} "
        f"(theory, for many steps: 1), at a median of {ks} ξ. For the nets that stop training at a smaller depth than "
        f"the critical one, whose ξ is infinite, the powers are {before} (nan: fewer than three such nets)."
    )


def table(reached: Any, scales: Any) -> Table:
    """Boundary and k for each s_w² and rate."""
    rows = []
    for j, (s, scale) in enumerate(zip(S_W2, scales, strict=True)):
        side = "ordered" if s < CRITICAL else "critical" if s == CRITICAL else "chaotic"
        where = [f"{depth:.1f} ({depth / scale:.1f})" if np.isfinite(depth) else "-" for depth in reached[:, j]]
        rows.append([f"{s:g}", side, f"{scale:.1f}", *where])
    columns = ("s_w²", "phase", "ξ", *(f"rate {rate}" for rate in RATES))
    note = "Boundary in hidden layers, and k in brackets; -: outside the grid of depths, "
    note += f"{DEPTHS[0]} to {DEPTHS[-1]}."
    return Table("How deep a plain tanh net trains", columns, rows, note)


EXPERIMENT = Experiment(
    name="E16",
    question="How deep can a plain net be and still train?",
    claim="the longer the depth scale ξ of a plain net, the deeper it trains: to a few ξ",
    prediction="training ceases at depth k ξ, ξ = 1 / |ln χ|: boundary ~ ξᵖ, p above 0 (many steps: 1), where χ < 1",
    equation=r"L_{\max} = k \xi, \qquad \xi = \frac{1}{|\ln \chi|}, \qquad"
    r" \chi = \sigma_w^2 \, E\left[ \phi'(\sqrt{q^*} z)^2 \right]",
    source=SOURCE,
    ticks=lambda options: len(DEPTHS),
    run=run,
    seconds=90,
    devices=BOTH,
    varies="weights, biases, the split of the digits and the order of the batches",
    seeds=5,
    conditions=f"tanh, {WIDTH} units, s_b² = {S_B2}, digits, {STEPS} steps of {BATCH} images, plain gradient descent. "
    "A net is trained when its loss, mean of the last tenth of the steps, is below half of guessing's. Ordered phase, "
    f"s_w² < {CRITICAL}. p = 1 is the limit of many steps, and {STEPS} are not many: the verdict is on p above 0. "
    "Where ξ is short the boundary rises more steeply than ξ, since such nets learn slowly even if shallow; "
    "where ξ is long it is flat, since the critical net also stops training there. The figure shows both bends.",
    choices=(
        f"At rate {RATE}, the only one that the experiment used to have, the power through all points is close to 1, "
        "but as the mean of two bends: without the flat one it is 1.8 and 1.4 at seeds 0 and 1. p = 1 has no verdict.",
        f"{RATES[0]} and {RATES[2]} were added when the power had been found to depend on the rate.",
        "The verdict used to be on the median of k, between 4 and 9. Theory does not predict k: it is shown.",
        "The power of the nets that end before the critical one was added after the bends had been seen.",
    ),
)
