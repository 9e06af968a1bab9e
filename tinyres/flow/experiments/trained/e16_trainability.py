"""E16: a plain net trains as deep as a gradient reaches: to a few times the depth scale ξ of mean-field theory.

Schoenholz et al. 2017, "Deep information propagation", figure 5 (there on MNIST and CIFAR-10, 300 units, 6 ξ).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data
from tinyres.backend import to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.flow.theory import mean_field
from tinyres.ops.losses import cross_entropy

WIDTH, BATCH, STEPS, RATE, S_B2 = 100, 32, 200, 0.015, 0.05
S_W2 = (0.8, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.76, 2.2, 3.0)
CRITICAL = 1.76  # where χ = 1 at s_b² = 0.05
DEPTHS = (4, 6, 8, 11, 16, 23, 32, 45, 64)  # hidden layers, each about √2 times the one before
TRAINED = np.log(10) / 2  # half of guessing's loss
LOW, HIGH = 4.0, 9.0  # k of the contour k ξ
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
    depth: int, s_w2: Sequence[float], train_set: data.Dataset, seed: tuple[int, int], steps: int, device: str = "cpu"
) -> Any:
    """The mean loss over the last tenth of the steps, of one net per s_w²: (S,)."""
    rng = np.random.default_rng(seed)
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
            new = [w.data - RATE * g.data for w, g in zip(leaves, tr.grad(each.sum(), leaves), strict=True)]
            weights, biases = new[: len(weights)], new[len(weights) :]
            losses.append(each.numpy())
            if len(losses) == steps:
                break
    return np.mean(losses[-max(1, steps // 10) :], axis=0)


def run(options: Options, tick: Tick) -> Result:
    """One net for each depth and s_w², 200 steps of plain gradient descent each."""
    pixels = flat(data.digits(seed=options.seed).train)
    losses = []
    for k, depth in enumerate(DEPTHS):
        losses.append(train(depth, S_W2, pixels, (options.seed, k), STEPS, options.device))
        tick()
    found = np.array(losses)  # (depths, s_w²)
    reached, scales = boundaries(found), np.array([xi(s) for s in S_W2])
    return Result(
        laws=laws(reached, scales),
        tables=[table(reached, scales)],
        figures={"": lambda figure: draw(figure, found, reached)},
        data={"s_w2": S_W2, "xi": scales, "depths": DEPTHS, "loss": found, "boundary": reached},
        note=f"tanh, {WIDTH} units, s_b² = {S_B2}, digits, {STEPS} steps of {BATCH} images, rate {RATE} for all, no "
        "momentum. A net is trained when its loss, mean of the last tenth of the steps, is below half of guessing's; "
        "boundary: the geometric mean of the first depth that is not trained and the one before it. k = boundary / ξ. "
        "Near criticality it is the number of steps that ends training, not ξ.",
    )


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


def laws(reached: Any, scales: Any) -> list[Law]:
    """On the ordered side the boundary is k ξ with k in 4..9, and grows in proportion to ξ."""
    used = (np.array(S_W2) < CRITICAL) & np.isfinite(reached)
    k = reached[used] / scales[used]
    middle, half = (LOW + HIGH) / 2, (HIGH - LOW) / 2
    power = np.polyfit(np.log(scales[used]), np.log(reached[used]), 1)[0] if used.sum() > 1 else np.nan
    median = float(np.median(k)) if len(k) else np.nan
    return [
        Law("median k where the boundary lies inside the grid, s_w² < 1.76", median, middle, half, "check", SOURCE),
        shown("how many s_w² that are", float(used.sum())),
        shown("power p of boundary ~ ξᵖ (theory: 1)", float(power), SOURCE),
    ]


def table(reached: Any, scales: Any) -> Table:
    """Boundary and depth scale for each s_w²."""
    rows = []
    for s, depth, scale in zip(S_W2, reached, scales, strict=True):
        side = "ordered" if s < CRITICAL else "critical" if s == CRITICAL else "chaotic"
        where = [f"{depth:.1f}", f"{depth / scale:.2f}"] if np.isfinite(depth) else ["-", "-"]
        rows.append([f"{s:g}", side, f"{scale:.1f}", *where])
    columns = ("s_w²", "phase", "ξ", "boundary", "k")
    return Table("How deep a plain tanh net trains", columns, rows, "in hidden layers; -: outside the grid of depths.")


def draw(figure: Any, losses: Any, reached: Any) -> None:
    """The loss over s_w² and depth as a heat map with contours k ξ, and the boundary against ξ."""
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    places, rows = np.arange(len(S_W2)), np.log2(DEPTHS)
    shade = np.minimum(np.nan_to_num(losses, nan=np.inf), np.log(10)) / np.log(10)
    image = left.pcolormesh(places, rows, shade, cmap="magma_r", vmin=0, vmax=1, shading="nearest")
    figure.colorbar(image, ax=left, label="loss after 200 steps / guessing's")
    fine = np.interp(np.linspace(0, len(S_W2) - 1, 181), places, S_W2)
    contour = np.array([xi(s) for s in fine])
    for k, style in ((LOW, ":"), (6.0, "--"), (HIGH, "-")):
        left.plot(np.linspace(0, len(S_W2) - 1, 181), np.log2(k * contour), style, color="tab:cyan", label=f"{k:g} ξ")
    left.plot(places, np.log2(reached), "wo", mec="k", ms=5, label="boundary: half of guessing's loss")
    left.set(xticks=places, yticks=rows, ylim=(rows[0] - 0.25, rows[-1] + 0.25), xlim=(-0.5, len(S_W2) - 0.5))
    left.set_xticklabels([f"{s:g}" for s in S_W2])
    left.set_yticklabels([str(d) for d in DEPTHS])
    left.set(xlabel="weight variance s_w² (critical: 1.76)", ylabel="hidden layers")
    left.set_title("Plain tanh nets: bright is trained, dark is not")
    left.legend(fontsize=7, loc="lower right")
    scales = np.array([xi(s) for s in S_W2])
    line = np.array([1.5, 40.0])
    right.fill_between(line, LOW * line, HIGH * line, color="tab:cyan", alpha=0.25, lw=0, label="4 ξ to 9 ξ")
    for ordered, marker, name in ((True, "o", "ordered"), (False, "s", "critical or chaotic")):
        chosen = (np.array(S_W2) < CRITICAL) == ordered
        right.plot(scales[chosen], reached[chosen], marker, color="k", mfc="k" if ordered else "none", label=name)
    right.set(xscale="log", yscale="log", xlim=line, ylim=(DEPTHS[0], 2 * DEPTHS[-1]))
    for axis, ticks in ((right.xaxis, (2, 5, 10, 20, 40)), (right.yaxis, (5, 10, 20, 50, 100))):
        axis.set_ticks(ticks, labels=[str(t) for t in ticks])
        axis.set_ticks([], minor=True)
    right.set(xlabel="depth scale ξ in layers, from theory", ylabel="depth at which training ceases")
    right.set_title("The boundary against theory's depth scale")
    right.legend(fontsize=8, loc="lower right")


EXPERIMENT = Experiment(
    name="E16",
    claim="a plain net trains as deep as a gradient reaches: to a few times the depth scale ξ",
    prediction="training ceases at depth k ξ with k in 4..9 on the ordered side; ξ = 1 / |ln χ|",
    source=SOURCE,
    ticks=lambda options: len(DEPTHS),
    run=run,
    seconds=45,
    devices=BOTH,
)
