"""Popular claim: batch norm is in the residual block to prevent overfitting.

Its first effect there is to make the branch small relative to the skip, 1/l in block l, which is what allows deep nets
and large learning rates to train: De & Smith 2020 [de2020batch], "Batch normalization biases residual blocks towards
the identity function in deep networks". The test loss at equal training loss is measured too.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, nn, optim
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.lab.law import standard_error
from tinyres.lab.laws import e04_batch_norm as e04
from tinyres.nn import init

DEPTH, NETS = 40, 3  # of the random nets whose variances are measured
BLOCKS, WIDTH, BATCH, STEPS, MOMENTUM = (2, 8, 32), 32, 64, 80, 0.9
RATE_SEEDS = 5
RATES: list[float] = [10.0 ** (k / 2) for k in range(1, -7, -1)]  # from 3.2 down to 0.001
TRAINS = np.log(10) / 4  # a loss that is a quarter of guessing's
FEW, MATCHED, GAP_SEEDS, AT_MOST = 200, 0.05, 5, 400  # samples, training loss at which to compare, nets, steps
SOURCE = "De & Smith 2020"


def shares(rng: np.random.Generator, *, norm: bool) -> Any:
    """E F(x)^2 / E x^2 in blocks l = 1 ... DEPTH of x + F(x), F(x) = relu(x) W or relu(BN(x)) W, W ~ N(0, 2/n)."""
    x = tr.tensor(rng.standard_normal((e04.BATCH, e04.WIDTH)))
    found = []
    for _ in range(DEPTH):
        w = rng.standard_normal((e04.WIDTH, e04.WIDTH))
        branch = e04.layer(x, w) if norm else (tr.relu(x) * e04.HE) @ w
        found.append(float((branch.numpy() ** 2).mean() / (x.numpy() ** 2).mean()))
        x = x + branch
    return np.array(found)


def net(blocks: int, rng: np.random.Generator, *, norm: bool) -> nn.Sequential:
    """A residual net on the pixels of a digit: blocks x + Linear(relu(BN(x))), with He's weights."""

    def branch() -> nn.Sequential:
        linear = nn.Linear(WIDTH, WIDTH, rng=rng)
        init.kaiming_normal_(linear.weight, rng=rng)
        return nn.Sequential(*([nn.BatchNorm1d(WIDTH)] if norm else []), nn.ReLU(), linear)

    last = [nn.BatchNorm1d(WIDTH)] if norm else []
    stem = nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH, rng=rng))
    return nn.Sequential(stem, *(nn.Residual(branch()) for _ in range(blocks)), *last, nn.Linear(WIDTH, 10, rng=rng))


def losses(
    model: nn.Module, train: data.Dataset, rate: float, steps: int, rng: np.random.Generator, until: float = 0.0
) -> list[float]:
    """Training losses by step; training stops at a loss below `until`, or when the loss has exploded."""
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
    criterion, found, device = nn.CrossEntropyLoss(), [], next(model.parameters()).device
    for _ in range(steps):
        chosen = rng.integers(len(train), size=BATCH) if len(train) > FEW else np.arange(len(train))
        x, target = (tr.tensor(part[chosen]).to(device) for part in (train.inputs, train.targets))
        loss = criterion(model(x), target)
        found.append(loss.item())
        if not found[-1] < 10 * (1 + found[0]) or found[-1] < until:  # NaN is not below anything
            break
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return found


def largest_rate(blocks: int, train: data.Dataset, seed: tuple[int, int], *, norm: bool, device: str = "cpu") -> float:
    """The largest of RATES with which the net trains; 0 if none does."""
    with np.errstate(all="ignore"):  # exploding is one of the outcomes
        for rate in RATES:
            rng = np.random.default_rng(seed)
            found = losses(net(blocks, rng, norm=norm).to(device), train, rate, STEPS, rng)
            if len(found) == STEPS and np.mean(found[-10:]) < TRAINS:
                return rate
    return 0.0


def held_out(
    few: data.Dataset, test: data.Dataset, seed: tuple[int, int], *, norm: bool, device: str = "cpu"
) -> tuple[float, float]:
    """Loss and accuracy on test digits of a net of 4 blocks, stopped when its training loss reaches MATCHED.

    NaN if it does not in AT_MOST steps.
    """
    rng = np.random.default_rng(seed)
    model = net(4, rng, norm=norm).to(device)
    if not losses(model, few, 0.01, AT_MOST, rng, MATCHED)[-1] < MATCHED:
        return math.nan, math.nan
    model.eval()
    with tr.no_grad():
        logits = model(tr.tensor(test.inputs).to(device))
        loss = nn.CrossEntropyLoss()(logits, tr.tensor(test.targets).to(device)).item()
    return loss, float((logits.numpy().argmax(axis=1) == test.targets).mean())


def run(options: Options, tick: Tick) -> Result:
    """Variances at the start, the largest rate at three depths, the gap at one training loss."""
    share = {}
    for norm in (True, False):
        nets = [shares(np.random.default_rng((options.seed, k)), norm=norm) for k in range(NETS)]
        share[norm] = np.mean(nets, axis=0)
        tick()
    split = data.digits(seed=options.seed)
    rates: dict[bool, Any] = {norm: np.zeros((RATE_SEEDS, len(BLOCKS))) for norm in (True, False)}
    for k, blocks in enumerate(BLOCKS):
        for norm, found in rates.items():
            trains = partial(largest_rate, blocks, split.train, norm=norm, device=options.device)
            found[:, k] = [trains((options.seed, s)) for s in range(RATE_SEEDS)]
            tick()
    gaps: dict[bool, Any] = {}
    for norm in (True, False):
        seeds = [(options.seed, k) for k in range(GAP_SEEDS)]
        gap = partial(held_out, split.train[:FEW], split.test, norm=norm, device=options.device)
        gaps[norm] = np.array([gap(seed) for seed in seeds])
        tick()
    block = np.arange(1, DEPTH + 1)
    deeper = deepest(rates[True]) - deepest(rates[False])
    least = np.maximum(rates[False][:, 1], RATES[-1])  # where nothing trains the smallest rate is a bound
    gain = np.log10(np.maximum(rates[True][:, 1], RATES[-1]) / least)
    better = gaps[False][:, 0] - gaps[True][:, 0]
    error = standard_error(better)
    laws = [
        Law(
            "BN: l times the branch's share in block l, mean",
            float((share[True] * block).mean()),
            1.0,
            0.05,
            "asymptotic",
            SOURCE,
        ),
        Law("no BN: the branch's share, mean over blocks", float(share[False].mean()), 1.0, 0.05, "asymptotic", SOURCE),
        _positive("deepest net that trains, blocks: BN - none", deeper),
        _positive(f"log₁₀ of largest rate, {BLOCKS[1]} blocks: BN - none", gain),
        shown("test loss at equal training loss: none - BN", float(better.mean()), "by experiment"),
        shown("its standard error", error, "by experiment"),
    ]
    medians = {norm: np.median(found, axis=0) for norm, found in rates.items()}
    rows = [
        [
            "batch norm" if norm else "none",
            *(f"{rate:.2g}" if rate else "none trains" for rate in medians[norm]),
            *(f"{gaps[norm][:, 0].mean():.3f}", f"{gaps[norm][:, 1].mean():.1%}"),
        ]
        for norm in (True, False)
    ]
    table = Table(
        "Largest learning rate that trains, and the test set at equal training loss",
        ["norm", *(f"{blocks} blocks" for blocks in BLOCKS), "test loss", "test accuracy"],
        rows,
        f"Digits, SGD with momentum {MOMENTUM}, {STEPS} steps; rates 10^(1/2) ... 10^-3, median of {RATE_SEEDS} "
        f"nets. Test: 4 blocks, {FEW} training digits, stopped at training loss {MATCHED}; mean of {GAP_SEEDS} nets.",
    )
    deep, shallow = (_words(float(np.median(deepest(rates[norm])))) for norm in (True, False))
    found_words = (
        f"With batch norm the branch of block {DEPTH} has {share[True][-1]:.3f} of the skip connection's variance, and "
        f"{share[False][-1]:.2f} without it. Of nets of {', '.join(map(str, BLOCKS))} blocks, the deepest that trains "
        f"has {deep} with it and {shallow} without it. At equal training loss the test loss is "
        f"{'lower' if better.mean() > 0 else 'higher'} with it by {abs(better.mean()):.3f} ± {error:.3f}: first of "
        "all, batch norm lets deep nets train."
    )
    note = "Share: E F(x)² / E x² of block l. The error of the test losses is one standard error."
    return Result(laws, [table], {"": lambda figure: draw(figure, share, medians)}, note=note, found=found_words)


def _words(blocks: float) -> str:
    return f"{blocks:g}" if blocks else "none"


def deepest(rates: Any) -> Any:
    """Blocks of the deepest net for which a rate was found, per seed: (seeds, depths) -> (seeds,)."""
    return np.max(np.where(rates > 0, BLOCKS, 0), axis=1)


def _positive(name: str, values: Any) -> Law:
    """The mean over seeds is above 0 by more than three standard errors."""
    return Law.of_mean(name, values, 0.0, SOURCE, kind="ordering")


def draw(figure: Any, share: dict[bool, Any], rates: dict[bool, Any]) -> None:
    """The branch's share against the block; the largest rate against the depth."""
    left, right = figure.subplots(1, 2)
    block = np.arange(1, DEPTH + 1)
    for k, (norm, line, label) in enumerate(
        [(True, 1 / block, "batch norm: 1/l"), (False, 1 + 0 * block, "no norm: 1")]
    ):
        dots_and_line(left, (block, share[norm]), (block, line), k, label, log="xy")
        trains = [(blocks, rate) for blocks, rate in zip(BLOCKS, rates[norm], strict=True) if rate]
        right.loglog(*zip(*trains, strict=True), "o-", color=f"C{k}", label=label.split(":")[0])
        for blocks in set(BLOCKS) - {blocks for blocks, _ in trains}:
            right.loglog(blocks, RATES[-1], "x", color=f"C{k}", ms=10)
            right.annotate(
                "no rate trains", (blocks, RATES[-1]), (8, 10), textcoords="offset points", ha="right", fontsize=8
            )
    left.set(
        xlabel="block l", ylabel="E F(x)² / E x²", title="Branch and skip connection (dots measured, lines theory)"
    )
    right.set(
        xlabel="blocks",
        ylabel="largest rate that trains",
        title="What trains on digits",
        xticks=BLOCKS,
        ylim=(5e-4, 10),
    )
    right.set_xticks(BLOCKS, [str(blocks) for blocks in BLOCKS])
    right.minorticks_off()
    left.legend()
    right.legend()


EXPERIMENT = Experiment(
    name="claim-batch-norm",
    question="What does batch norm do in a residual block: does it prevent overfitting?",
    claim="'batch norm is in the block to prevent overfitting'",
    prediction="the branch's share is 1/l with batch norm, 1 without it; deeper nets and larger rates train",
    equation=r"\frac{E F_l(x)^2}{E x^2} = \frac{1}{l} \; (\mathrm{batch\ norm}), \quad 1 \; (\mathrm{none})",
    source=SOURCE,
    ticks=lambda options: 2 + 2 * len(BLOCKS) + 2,
    run=run,
    seconds=14,
    devices=BOTH,
    varies="weights of all nets, batches, and which digits are held out",
    conditions=f"The shares are measured at initialisation, at width {e04.WIDTH}. What trains is measured on digits, "
    f"for nets of width {WIDTH}, {STEPS} steps of SGD and {len(RATES)} rates, by the mean over {RATE_SEEDS} nets minus "
    "three standard errors. The test loss has no verdict.",
)
