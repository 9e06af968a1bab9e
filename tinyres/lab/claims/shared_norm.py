"""Popular listing: a 'ResNet' without any skip, whose layers all share one batch norm.

It does not run as printed (the channels do not match). Fixed, it is a plain net: with zeroed branches its output is 0,
and the shared running statistics mix those of all layers and fit none. True blocks: He et al. 2016 [he2016deep];
batch norm: Ioffe & Szegedy 2015 [ioffe2015batch].
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.nn import init

CHANNELS, DEPTH, BATCH, SIZE, PASSES, MOMENTUM = 16, 8, 32, 8, 200, 0.1
SOURCE = "He et al. 2016; the mixture: derived from the running average's definition"


class Listing(nn.Module):
    """conv, the one batch norm, ReLU; again and again. No skip."""

    def __init__(self, channels: list[int], features: int, rng: np.random.Generator) -> None:
        pairs = pairwise(channels)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1, bias=False, rng=rng) for a, b in pairs])
        self.norm = nn.BatchNorm2d(features, momentum=MOMENTUM)

    def forward(self, x: Any) -> Any:
        for conv in self.convs:
            x = self.norm(conv(x), relu=True)
        return x


class Residuals(nn.Module):
    """The same convolutions, each with a batch norm of its own, in residual blocks x + relu(BN(conv(x)))."""

    def __init__(self, channels: list[int], rng: np.random.Generator) -> None:
        pairs = pairwise(channels)
        self.blocks = nn.Sequential(*(nn.Residual(self._branch(a, b, rng)) for a, b in pairs))

    @staticmethod
    def _branch(a: int, b: int, rng: np.random.Generator) -> nn.Sequential:
        norm = nn.BatchNorm2d(b, momentum=MOMENTUM)
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False, rng=rng), norm, nn.ReLU())

    def forward(self, x: Any) -> Any:
        return self.blocks(x)


def first_failure(rng: np.random.Generator) -> str:
    """The error that the listing as printed raises: 3 -> 64 -> 128 channels, one batch norm for 64."""
    try:
        Listing([3, 64, 128], 64, rng)(tr.tensor(np.zeros((2, 3, SIZE, SIZE), np.float32)))
    except ValueError as error:
        return str(error)
    return ""


def without_branches(model: nn.Module, x: Any) -> Any:
    """The output for x with every convolution's weights at zero, in evaluation."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            init.zeros_(module.weight)
    model.eval()
    with tr.no_grad():
        return model(tr.tensor(x)).numpy()


def mixture_error(model: Listing, x: Any) -> float:
    """After one training pass: running mean - sum_j m (1 - m)^(L - j) mean_j, mean_j those of layer j's input to BN."""
    means = []
    h = tr.tensor(x)
    with tr.no_grad():
        for conv in model.convs:
            z = conv(h)
            means.append(z.numpy().mean(axis=(0, 2, 3)))
            h = tr.batch_norm(z, relu=True)
        model(tr.tensor(x))
    weights = MOMENTUM * (1 - MOMENTUM) ** np.arange(len(means) - 1, -1, -1)
    assert model.norm.running_mean is not None
    return float(np.abs(model.norm.running_mean.numpy() - weights @ np.array(means)).max())


def variance_ratios(model: Listing, x: Any) -> Any:
    """Var z_j / running variance, mean over channels, z_j the training input of layer j's batch norm: (L,)."""
    assert model.norm.running_var is not None
    shared, h, found = model.norm.running_var.numpy(), tr.tensor(x), []
    with tr.no_grad():
        for conv in model.convs:
            z = conv(h)
            found.append(float((z.numpy().var(axis=(0, 2, 3)) / shared).mean()))
            h = tr.batch_norm(z, relu=True)
    return np.array(found)


def train_against_eval(model: nn.Module, x: Any) -> float:
    """|y_eval - y_train| / |y_train| on one batch, after enough passes for the running statistics to converge."""
    with tr.no_grad():
        for _ in range(PASSES):
            taught = model(tr.tensor(x)).numpy()
        model.eval()
        judged = model(tr.tensor(x)).numpy()
    return float(np.linalg.norm(judged - taught) / np.linalg.norm(taught))


def run(options: Options, tick: Tick) -> Result:
    """The first error, then the fixed listing beside a true residual net."""
    channels = [CHANNELS] * (DEPTH + 1)

    def listing() -> Listing:
        return Listing(channels, CHANNELS, np.random.default_rng((options.seed, 0))).to("float64")

    def residual() -> Residuals:
        return Residuals(channels, np.random.default_rng((options.seed, 0))).to("float64")

    rng = np.random.default_rng((options.seed, 1))
    x = rng.standard_normal((BATCH, CHANNELS, SIZE, SIZE))
    error = first_failure(rng)
    tick()
    left = [without_branches(residual(), x), without_branches(listing(), x)]
    tick()
    mixture = mixture_error(listing(), x)
    tick()
    settled = listing()
    gaps = [train_against_eval(residual(), x), train_against_eval(settled, x)]
    ratios = variance_ratios(settled, x)
    tick()
    counts = [residual().parameter_count(), listing().parameter_count()]
    fewer = 2 * CHANNELS * (DEPTH - 1)
    laws = [
        Law(
            "as printed: 1 if it stops at the channels",
            float("128" in error and "64" in error),
            1.0,
            0.0,
            "check",
            "by running it",
        ),
        Law("branches zeroed: |true net(x) - x|", float(np.abs(left[0] - x).max()), 0.0, 1e-12, "check", SOURCE),
        Law("branches zeroed: |listing(x)|", float(np.abs(left[1]).max()), 0.0, 1e-12, "check", SOURCE),
        Law("parameters that sharing takes away", counts[0] - counts[1], fewer, 0.0, "check", "2 C a batch norm"),
        Law("shared running mean against Σ m(1-m)^(L-j) mean_j", mixture, 0.0, 1e-12, "check", SOURCE),
        Law("evaluation against training, listing over true net", gaps[1] / gaps[0], 10.0, 0.0, "ordering", SOURCE),
    ]
    table = Table(
        "A net with one batch norm for all layers and no skip connections, beside a residual net",
        ["", "residual net", "the listing, mended"],
        [
            ["as printed", "runs", error],
            ["all branches zeroed, it computes", "x", "0"],
            ["parameters", counts[0], counts[1]],
            ["|evaluation - training| / |training|", f"{gaps[0]:.1e}", f"{gaps[1]:.2g}"],
        ],
    )
    note = (
        f"{DEPTH} convolutions of {CHANNELS} channels. The last row: outputs for one batch after {PASSES} passes. "
        "Shared running statistics hold layer j with weight m(1-m)^(L-j), so none is normalised by its own."
    )
    told = (
        f"As printed it stops at the channels. Fixed, and with its branches zeroed, it outputs "
        f"{np.abs(left[1]).max():.0f}, where a residual net returns x to {np.abs(left[0] - x).max():.0e}; in "
        f"evaluation its output differs from training by {gaps[1]:.2g} relatively, the residual net's by "
        f"{gaps[0]:.1e}: it is a plain net, and its one batch norm fits no layer."
    )
    data = {"variance_ratio": ratios.tolist()}
    return Result(laws, [table], {"": lambda figure: draw(figure, ratios)}, data, note, told)


def draw(figure: Any, ratios: Any) -> None:
    """How much of each layer's statistics the shared running average holds, and how far it is from them."""
    axes, right = figure.subplots(1, 2)
    layers = np.arange(1, DEPTH + 1)
    weights = MOMENTUM * (1 - MOMENTUM) ** (DEPTH - layers)
    axes.bar(layers, weights / (1 - (1 - MOMENTUM) ** DEPTH), color="C0", label="shared by all layers")
    axes.axhline(1, color="C1", label="a batch norm of the layer's own")
    axes.set(xlabel="layer j", ylabel="weight of layer j's statistics", ylim=(0, 1.1), xticks=layers)
    axes.set_title("How much of the running statistics is layer j's own (theory)")
    axes.legend(loc="center right")
    right.axhline(1, color="C1", label="a batch norm of the layer's own")
    right.plot(layers, ratios, "oC0", label=f"shared by all layers, after {PASSES} passes")
    right.set(xlabel="layer j", ylabel="variance of layer j / running variance", ylim=(0, None), xticks=layers)
    right.set_title("Should be 1 in evaluation, and is not (measured)")
    right.legend()


EXPERIMENT = Experiment(
    name="claim-shared-norm",
    question="Is a net without skip connections, with one batch norm for all layers, a ResNet?",
    claim="'a net without skip connections, one batch norm shared by all layers, is a ResNet'",
    prediction="it stops at 64 against 128 channels; fixed, with zero branches: a true block gives x, the listing 0",
    equation=r"\mathrm{running\ mean} = \sum_{j=1}^{L} m (1-m)^{L-j} \mu_j",
    source=SOURCE,
    ticks=lambda options: 4,
    run=run,
    seconds=2,
    varies="weights and the batch",
    conditions=f"No net is trained: {PASSES} passes let the running statistics converge at the initial weights. "
    "The mixture is that of one pass from zero.",
)
