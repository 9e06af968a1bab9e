"""E17, SkipInit: without batch norm a residual net trains if its branches start small, as deep as the step size allows.

De & Smith 2020 [de2020batch], "Batch normalization biases residual blocks towards the identity function in deep
networks"; Zhang et al. 2019 [zhang2019fixup], "Fixup initialization: Residual learning without normalization".

What limits a net that starts small? Gradient descent with step η and momentum β diverges along a direction of
curvature λ if η λ > 2 (1 + β). Each block's learned α is one more parameter, and ∂y/∂α = F(x) is not scaled down by α:
the L of them have a curvature that grows with L, e L at α = 1/√L, while that of the weights, which is multiplied by
α² = 1/L, does not grow. At a fixed step size the learned α's therefore limit the depth at which a net can train. If a
is learned in α = a/√L, ∂y/∂a = F(x)/√L, and the curvature no longer grows.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, nn, optim
from tinyres.arrays import to_device
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.lab.trained.e17_figure import draw
from tinyres.models.classifier import Classifier
from tinyres.nn import init
from tinyres.ops.losses import cross_entropy

DEPTHS = (16, 100, 1000)  # layers with weights: 2 L + 2 for L blocks
WIDTH, BATCH, STEPS, RATE, MOMENTUM = 32, 64, 100, 0.01, 0.9
LIMIT = 2 * (1 + MOMENTUM) / RATE  # a direction that is curved more than this is left, not descended
GUESSING = math.log(10)
TRAINED = GUESSING / 4
STARTS = {
    "0": "α = 0 (SkipInit)", "1/sqrt(L)": "α = 1/√L", "a/sqrt(L)": "α = a/√L", "1": "α = 1",
    "fixup": "Fixup",
}  # fmt: skip
ON_THE_EDGE = 1000, "1/sqrt(L)"  # where the step is near the limit, and some nets train and some do not
CURVED = ("1/sqrt(L)", "a/sqrt(L)")
SKIPINIT, FIXUP, DERIVED = "De & Smith 2020, table 1", "Zhang et al. 2019", "derived: curvature of the learned α"

Net = tuple[int, str]  # layers, start


class Times(nn.Module):
    """y = factor * x, the factor not learned."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return x * self.factor


def net(depth: int, start: str, rng: np.random.Generator) -> Classifier:
    """A residual MLP without normalisation: blocks x + α W2 relu(W1 x), of unit gain at α = 1.

    start: what α, one learned number a block, begins with; "a/sqrt(L)": α = a / sqrt(L), of which a is learned and
    begins with 1; "fixup": 1, but the last layer of each branch and of the net begin at 0, the first of each branch is
    smaller by 1/sqrt(L), and learned shifts stand before layers and ReLU.
    """
    model = models.mlp(depth, WIDTH, in_channels=1, residual=True, rng=rng)
    count = len(model.blocks)
    for block in model.blocks:
        if start == "fixup":
            first, relu, last = block.branch
            first.weight.data = first.weight.data * np.float32(count**-0.5)  # L^(-1 / (2 m - 2)), m = 2 layers
            init.zeros_(last.weight)
            shifts = nn.Shift(), nn.Shift(), nn.Shift(), nn.Shift()
            block.branch = nn.Sequential(shifts[0], first, shifts[1], relu, shifts[2], last, nn.Scale(1.0), shifts[3])
        else:
            small = start in ("1/sqrt(L)", "a/sqrt(L)")
            value = 1.0 if start == "a/sqrt(L)" else count**-0.5 if small else float(start)
            block.branch.append(nn.Scale(value))
            if start == "a/sqrt(L)":
                block.branch.append(Times(count**-0.5))
    if start == "fixup":
        for parameter in model.head.parameters():
            init.zeros_(parameter)
    return model


def train(model: nn.Module, train_set: data.Dataset, seed: int, steps: int, tick: Tick) -> list[float]:
    """The loss of each step; it ends early where the loss is no longer finite."""
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    loader = data.DataLoader(train_set, BATCH, shuffle=True, seed=seed, drop_last=True)
    device = next(model.parameters()).device
    losses: list[float] = []
    ended = False
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows shows in the loss
        while len(losses) < steps:
            for x, target in loader:
                tick()
                if not ended:
                    model.zero_grad()
                    loss = cross_entropy(model(x.to(device)), target.to(device))
                    ended = not math.isfinite(loss.item())
                if ended:
                    losses.append(math.inf)
                else:
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())
                if len(losses) == steps:
                    break
    return losses


def gains(model: Classifier, images: Any, seed: tuple[int, ...]) -> tuple[float, float]:
    """log2 of what all blocks together multiply the squared signal by, and the squared gradient, in float64."""
    device = next(model.to("float64").parameters()).device
    with tr.no_grad():
        entering = model.stem(tr.tensor(images.astype(np.float64)).to(device))
    x = tr.tensor(entering, requires_grad=True)
    y = model.blocks(x)
    g = np.random.default_rng(seed).standard_normal(y.shape)
    (down,) = tr.grad(y, [x], to_device(g, device))
    forward, backward = (
        float(np.log2((after**2).sum()) - np.log2((before**2).sum()))
        for after, before in ((y.numpy(), x.numpy()), (down.numpy(), g))
    )
    return forward, backward


def sharpest(model: Classifier, images: data.Dataset, seed: tuple[int, ...]) -> tuple[float, float]:
    """The largest curvature of the loss, and the learned scales' share of the squared length of its direction.

    Eight power iterations with exact products H v, in float64.
    """
    device = next(model.to("float64").parameters()).device
    scales = {id(module.weight) for module in model.modules() if isinstance(module, nn.Scale)}
    parameters, rng, curvature = list(model.parameters()), np.random.default_rng(seed), 0.0
    x, target = tr.tensor(images.inputs.astype(np.float64)).to(device), to_device(images.targets, device)
    slopes = tr.grad(cross_entropy(model(x), target), parameters, create_graph=True)
    v = [to_device(rng.standard_normal(p.shape), device) for p in parameters]
    for _ in range(8):
        length = math.sqrt(sum(float((part**2).sum()) for part in v))
        v = [part / length for part in v]
        product = [hv.data for hv in tr.grad(slopes, parameters, v, retain_graph=True)]
        curvature = sum(float((a * b).sum()) for a, b in zip(product, v, strict=True))
        v = product
    squares = {id(p): float((part**2).sum()) for p, part in zip(parameters, v, strict=True)}
    return curvature, sum(squares[key] for key in scales) / sum(squares.values())


def run(options: Options, tick: Tick) -> Result:
    """At each depth one net a start: what its blocks do to signal and gradient at first, and its training."""
    images = data.digits(seed=options.seed).train
    scale = data.Normalize(*data.channel_statistics(images))
    images = data.Dataset(scale(images.inputs, np.random.default_rng(0)), images.targets)
    some = data.Dataset(images.inputs[: 2 * BATCH], images.targets[: 2 * BATCH])
    curves: dict[Net, list[float]] = {}
    first: dict[Net, tuple[float, float]] = {}
    curved: dict[Net, tuple[float, float]] = {}
    for depth in DEPTHS:
        for start in STARTS:  # the same draws for all
            seed = (options.seed, depth)
            model = net(depth, start, np.random.default_rng(seed)).to(options.device)
            first[depth, start] = gains(copy.deepcopy(model), images.inputs[:BATCH], seed)
            if start in CURVED:
                curved[depth, start] = sharpest(copy.deepcopy(model), some, seed)
            curves[depth, start] = train(model, images, options.seed, STEPS, tick)
    finals = {key: final(losses) for key, losses in curves.items()}
    return Result(
        laws=laws(finals, curved),
        tables=[table(finals, first, curved)],
        figures={"": lambda figure: draw(figure, curves, STARTS)},
        data={
            "train_loss": {f"{depth} {start}": losses for (depth, start), losses in curves.items()},
            "log2_gain": {f"{depth} {start}": found for (depth, start), found in first.items()},
            "curvature": {f"{depth} {start}": found for (depth, start), found in curved.items()},
        },
        note="Trains: the loss, mean of the last tenth of the steps, is below a quarter of guessing's.",
        found=found(finals, curved),
    )


def final(losses: list[float]) -> float:
    """The mean of the last tenth of the steps."""
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def laws(finals: dict[Net, float], curved: dict[Net, tuple[float, float]]) -> list[Law]:
    """What begins small trains at every depth; α = 1 trains at 16 layers and not at 100 and 1000.

    α = 1/√L at 1000 layers is on the edge of what the step allows: the share of nets that train is shown.
    """
    made = []
    for (depth, start), loss in finals.items():
        source = {"fixup": FIXUP, "a/sqrt(L)": DERIVED}.get(start, SKIPINIT)
        if start == "1" and depth > min(DEPTHS):
            # 1 where the loss is infinite, 0 at guessing's
            name = f"{STARTS[start]}, {depth} layers, does not: 1 - (guessing's loss divided by its own)"
            made.append(Law(name, 1 - GUESSING / loss, 0.0, 0.0, "ordering", source))
        elif (depth, start) == ON_THE_EDGE:
            made.append(shown(f"{STARTS[start]}, {depth} layers: share that trains", float(loss < TRAINED), source))
        else:
            name = f"{STARTS[start]}, {depth} layers, trains: guessing's loss, divided by its own"
            made.append(Law(name, GUESSING / loss, GUESSING / TRAINED, 0.0, "ordering", source))
    for (depth, start), (curvature, _) in curved.items():
        made.append(shown(f"{STARTS[start]}, {depth} layers: η λ / 2(1 + β) at first", curvature / LIMIT, DERIVED))
    return made


def found(finals: dict[Net, float], curved: dict[Net, tuple[float, float]]) -> str:
    """Which nets train at the greatest depth, and how near to its limit the step is."""
    deep = max(DEPTHS)
    there = {start: loss for (depth, start), loss in finals.items() if depth == deep}
    good = [f"{STARTS[start]} (loss {loss:.2f})" for start, loss in there.items() if loss < TRAINED]
    bad = [STARTS[start] for start, loss in there.items() if not loss < TRAINED]
    curvature, share = curved[deep, "1/sqrt(L)"]
    return (
        f"With {deep} layers these train: {', '.join(good) or 'none'}; these do not: {', '.join(bad) or 'none'}. "
        f"At α = 1/√L the curvature of the loss begins at {curvature / LIMIT:.0%} of what the step allows, and "
        f"{share:.0%} of its direction lies in the learned α. If a is learned in α = a/√L, it begins at "
        f"{curved[deep, 'a/sqrt(L)'][0] / LIMIT:.0%}."
    )


def table(
    finals: dict[Net, float], first: dict[Net, tuple[float, float]], curved: dict[Net, tuple[float, float]]
) -> Table:
    """What the blocks do at first, and where the loss ends."""
    rows = []
    for (depth, start), loss in finals.items():
        forward, backward = first[depth, start]
        verdict = "trains" if loss < TRAINED else "does not"
        ends = f"{loss:.3f}" if math.isfinite(loss) else "∞"
        edge = f"{curved[depth, start][0] / LIMIT:.2f}" if (depth, start) in curved else "-"
        rows.append([depth, STARTS[start], f"{forward:.1f}", f"{backward:.1f}", edge, ends, verdict])
    note = (
        "signal, gradient: log₂ of what all L = layers / 2 - 1 blocks multiply the square by, before training, in "
        "float64. Wide nets: L at α = 1 (2ᴸ), L log₂(1 + 1/L) at α = 1/√L, 0 at α = 0 and with Fixup; a narrow net's "
        "typical gain is lower (E7). edge: η λ / 2(1 + β) before training, λ the largest curvature on the first "
        f"{2 * BATCH} images; above 1 the step is too large."
    )
    columns = ("layers", "start", "signal", "gradient", "edge", "loss", "verdict")
    return Table("Residual nets without normalisation", columns, rows, note)


EXPERIMENT = Experiment(
    name="E17",
    question="Can a residual net without batch norm be a thousand layers deep and still train?",
    claim="without batch norm a residual net trains if its branches start small, up to a depth that the step size sets",
    prediction="α = 0, α = a/√L and Fixup train at 16, 100 and 1000 layers; α = 1, with its gain of 2ᴸ, fails deep; a "
    "learned α = 1/√L trains while the step times a curvature that grows as L is below 2 (1 + β)",
    equation=r"\frac{|y|^2}{|x|^2} = (1 + \alpha^2)^L, \qquad \sum_{l=1}^{L} \left| \frac{\partial y}"
    r"{\partial \alpha_l} \right|^2 = L (1 + \alpha^2)^{L-1} |x|^2, \qquad \eta \lambda < 2 (1 + \beta)",
    source="De & Smith 2020; Zhang et al. 2019; derived: curvature of the learned α",
    ticks=lambda options: len(DEPTHS) * len(STARTS) * STEPS,
    run=run,
    seconds=200,
    devices=BOTH,
    varies="weights, the split of the digits and the order of the batches",
    seeds=5,
    conditions=f"Residual MLPs of {WIDTH} units, blocks x + α W₂ relu(W₁ x); {STEPS} steps of {BATCH} digits at rate "
    f"η = {RATE} and momentum β = {MOMENTUM} for all. A start of bounded gain is not enough: η times the largest "
    "curvature must stay below 2 (1 + β). The curvature of the learned α grows with the number of blocks. At "
    "α = 1/√L and 1000 layers it comes near the limit, where chance decides whether a net trains: there is no verdict. "
    "If a is learned in α = a/√L, it does not grow.",
    choices=(
        "The rate is, of 0.003, 0.01, 0.03 and 0.1, the highest at which every start trains at 16 layers, α = 1 too.",
        "α = 1/√L at 1000 layers had a verdict until one net of six (seed 1 of 0 to 5) became infinite at step 17, "
        "while the others ended at losses of 0.20 to 0.40. Its curvature before training was the largest of the six, "
        "377 of the 380 that the step allows, 316 of it in the learned α alone.",
        "The start α = a/√L was added then, to test that explanation: that net, with the same weights and batches, "
        "trains when a is learned in place of α.",
    ),
)
