"""E17: a residual net without batch norm trains at any depth if its branches begin small.

De & Smith 2020, "Batch normalization biases residual blocks towards the identity function in deep networks"; Zhang,
Dauphin & Ma 2019, "Fixup initialization: residual learning without normalization".
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, nn, optim
from tinyres.backend import to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick
from tinyres.models.classifier import Classifier
from tinyres.nn import init
from tinyres.ops.losses import cross_entropy

DEPTHS = (16, 100, 1000)  # layers with weights: 2 L + 2 for L blocks
WIDTH, BATCH, STEPS, RATE, MOMENTUM = 32, 64, 100, 0.01, 0.9
GUESSING = math.log(10)
TRAINED = GUESSING / 4
STARTS = {"0": "α = 0 (SkipInit)", "1/sqrt(L)": "α = 1/√L", "1": "α = 1", "fixup": "Fixup"}
COLOURS = {"0": "tab:blue", "1/sqrt(L)": "tab:green", "1": "tab:red", "fixup": "tab:purple"}
SKIPINIT, FIXUP = "De & Smith 2020, table 1", "Zhang et al. 2019"


def net(depth: int, start: str, rng: np.random.Generator) -> Classifier:
    """A residual MLP without normalisation: blocks x + α W2 relu(W1 x), of unit gain at α = 1.

    start: what α, one learned number a block, begins with; "fixup": 1, but the last layer of each branch and of the net
    begin at 0, the first of each branch is smaller by 1/sqrt(L), and learned shifts stand before layers and ReLU.
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
            block.branch.append(nn.Scale(count**-0.5 if start == "1/sqrt(L)" else float(start)))
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


def run(options: Options, tick: Tick) -> Result:
    """At each depth one net a start: what its blocks do to signal and gradient at first, and its training."""
    images = data.digits(seed=options.seed).train
    scale = data.Normalize(*data.channel_statistics(images))
    images = data.Dataset(scale(images.inputs, np.random.default_rng(0)), images.targets)
    curves: dict[tuple[int, str], list[float]] = {}
    first: dict[tuple[int, str], tuple[float, float]] = {}
    for depth in DEPTHS:
        for start in STARTS:  # the same draws for all four
            seed = (options.seed, depth)
            model = net(depth, start, np.random.default_rng(seed)).to(options.device)
            first[depth, start] = gains(copy.deepcopy(model), images.inputs[:BATCH], seed)
            curves[depth, start] = train(model, images, options.seed, STEPS, tick)
    finals = {key: final(losses) for key, losses in curves.items()}
    return Result(
        laws=laws(finals),
        tables=[table(finals, first)],
        figures={"": lambda figure: draw(figure, curves, finals)},
        data={
            "train_loss": {f"{depth} {start}": losses for (depth, start), losses in curves.items()},
            "log2_gain": {f"{depth} {start}": found for (depth, start), found in first.items()},
        },
        note=f"Digits; residual MLP of {WIDTH} units, blocks x + α W₂ relu(W₁ x), no normalisation; {STEPS} steps of "
        f"{BATCH} images, rate {RATE} and momentum {MOMENTUM} for all: of 0.003, 0.01, 0.03 and 0.1 the highest at "
        "which every start trains at 16 layers, α = 1 too. A net trains when its loss, mean of the last tenth of the "
        "steps, is below a quarter of guessing's.",
    )


def final(losses: list[float]) -> float:
    """The mean of the last tenth of the steps."""
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def laws(finals: dict[tuple[int, str], float]) -> list[Law]:
    """What begins small trains at every depth; α = 1 trains at 16 layers and not at 100 and 1000."""
    found = []
    for (depth, start), loss in finals.items():
        source = FIXUP if start == "fixup" else SKIPINIT
        if start == "1" and depth > min(DEPTHS):
            # 1 where the loss is infinite, 0 at guessing's
            name = f"{STARTS[start]}, {depth} layers, does not: 1 - guessing's loss / its"
            found.append(Law(name, 1 - GUESSING / loss, 0.0, 0.0, "ordering", source))
        else:
            name = f"{STARTS[start]}, {depth} layers, trains: guessing's loss / its"
            found.append(Law(name, GUESSING / loss, GUESSING / TRAINED, 0.0, "ordering", source))
    return found


def table(finals: dict[tuple[int, str], float], first: dict[tuple[int, str], tuple[float, float]]) -> Table:
    """What the blocks do at first, and where the loss ends."""
    rows = []
    for (depth, start), loss in finals.items():
        forward, backward = first[depth, start]
        verdict = "trains" if loss < TRAINED else "does not"
        ends = f"{loss:.3f}" if math.isfinite(loss) else "infinite"
        rows.append([depth, (depth - 2) // 2, STARTS[start], f"{forward:.1f}", f"{backward:.1f}", ends, verdict])
    note = (
        "signal, gradient: log₂ of what all L blocks multiply the square by, before training, in float64. Wide nets: L "
        "at α = 1 (2ᴸ), L log₂(1 + 1/L) at α = 1/√L, 0 at α = 0 and with Fixup; a narrow net's typical gain is lower "
        "(E7)."
    )
    columns = ("layers", "L", "start", "signal", "gradient", "training loss", "verdict")
    return Table("Residual nets without normalisation", columns, rows, note)


def draw(figure: Any, curves: dict[tuple[int, str], list[float]], finals: dict[tuple[int, str], float]) -> None:
    """Training loss over the steps, a panel a depth."""
    panels = figure.subplots(1, len(DEPTHS), sharey=True)
    for axes, depth in zip(panels, DEPTHS, strict=True):
        for start, name in STARTS.items():
            losses = np.array(curves[depth, start])
            alive = np.isfinite(losses)
            axes.semilogy(np.flatnonzero(alive) + 1, losses[alive], color=COLOURS[start], lw=1.2, label=name)
            if not alive.all():
                steps = int(np.flatnonzero(~alive)[0])
                axes.plot(max(steps, 1), 60, "x", color=COLOURS[start], ms=9, mew=2)
                axes.annotate(f"{name}: infinite at step {steps + 1}", (max(steps, 1), 60), (8, -3),
                              textcoords="offset points", fontsize=8, color=COLOURS[start])  # fmt: skip
        axes.axhline(GUESSING, color="0.6", lw=1)
        axes.text(0.99, GUESSING * 1.08, "guessing", fontsize=8, color="0.4", ha="right",
                  transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set(xlabel="training step", ylim=(0.02, 100), xlim=(0, len(losses)))
        axes.set_title(f"{depth} layers, {(depth - 2) // 2} blocks")
    panels[0].set_ylabel("training loss (rate and batches the same for all)")
    panels[0].legend(fontsize=8, loc="lower left")


EXPERIMENT = Experiment(
    name="E17",
    claim="without batch norm a residual net trains at any depth if its branches begin small",
    prediction="α = 0, α = 1/√L and Fixup train at 16, 100 and 1000 layers; α = 1, with its gain of 2ᴸ, fails deep",
    source="De & Smith 2020; Zhang et al. 2019",
    ticks=lambda options: len(DEPTHS) * len(STARTS) * STEPS,
    run=run,
    seconds=60,
    devices=BOTH,
)
