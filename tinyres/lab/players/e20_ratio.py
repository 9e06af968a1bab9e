"""E20: the heavy-tailed gradients of -log D occur if D may touch zero; a D that ends in a sigmoid has none.

Arjovsky & Bottou 2017 [arjovsky2017towards], "Towards principled methods for training generative adversarial networks",
theorem 2.6: where D and its gradient err like two independent Gaussian fields, their ratio is Cauchy, without mean or
variance. But with D = sigmoid(a) the gradient of log D is (1 - D) ∇a, which is never longer than ∇a.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory import saturation
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick, shown

CHUNKS, FIELDS = 20, 20_000
CENTRES = np.arange(-7.0, 9.0)  # of the bumps, around the x in (0, 1) at which the field is looked at
FAR = 10.0  # medians
SOURCE = "Arjovsky & Bottou 2017, theorem 2.6"
IDENTITY = "the chain rule: d log σ(a) = (1 - σ(a)) da"


def field(x: Any, noise: Any) -> Any:
    """White noise (N, bumps) smoothed by Gaussian bumps of width 1 at x (N,): a stationary Gaussian field, (N,).

    At each point it is independent of its slope, whose standard deviation is sqrt(1/2) of the field's own.
    """
    away = tr.reshape(x, (-1, 1)) - CENTRES  # (N, bumps)
    return tr.sum(noise * tr.exp(-(away * away) / 2), axis=1)


def slope(values: Any, x: Any) -> Any:
    """d values_i / d x_i of every sample, (N,)."""
    return tr.grad(tr.sum(values), x, retain_graph=True)[0].numpy()


def measure(rng: np.random.Generator) -> tuple[Any, Any, Any, Any]:
    """|∇ log |D|| for a Gaussian D; for a sigmoid D with the same field as its logit a: |∇ log D|, |∇a| and D."""
    x = tr.tensor(rng.random(FIELDS), requires_grad=True)
    a = field(x, rng.standard_normal((FIELDS, len(CENTRES))))
    gaussian = slope(tr.log(tr.abs(a)), x)
    sigmoid = slope(tr.logsigmoid(a), x)
    return np.abs(gaussian), np.abs(sigmoid), np.abs(slope(a, x)), tr.sigmoid(a).numpy()


def tail(sizes: Any) -> float:
    """Share of the sizes that are beyond ten medians."""
    return float((sizes > FAR * np.median(sizes)).mean())


def run(options: Options, tick: Tick) -> Result:
    """400,000 fields, each at one point; the same numbers once as D and once as its logit."""
    parts = []
    for seed in range(CHUNKS):
        parts.append(measure(np.random.default_rng((options.seed, seed))))
        tick()
    gaussian, sigmoid, logit, d = (np.concatenate(part) for part in zip(*parts, strict=True))
    count = len(gaussian)
    predicted = saturation.ratio_tail(FAR)
    error = np.sqrt(predicted * (1 - predicted) / count)
    scale = float(np.sqrt(0.5))
    spread = np.pi / 2 * scale / np.sqrt(count)  # standard error of a Cauchy's median
    error_of_rule = float(np.abs(sigmoid - (1 - d) * logit).max())
    excess = max(0.0, float((sigmoid - logit).max()))
    tails = tail(gaussian), tail(sigmoid)
    largest = float(gaussian.max() / np.median(gaussian)), float(sigmoid.max() / np.median(sigmoid))
    laws = [
        Law("Gaussian D: P(|∇ log D| > 10 medians)", tails[0], predicted, 3 * error, "asymptotic", SOURCE),
        Law("Gaussian D: median of |∇ log D|", float(np.median(gaussian)), scale, 3 * spread, "asymptotic", "derived"),
        Law("sigmoid D: largest error of |∇ log D| = (1 - D) |∇a|", error_of_rule, 0.0, 1e-12, "check", IDENTITY),
        Law("sigmoid D: largest excess of |∇ log D| over |∇a|", excess, 0.0, 0.0, "check", IDENTITY),
        Law(
            "tails beyond 10 medians: Gaussian D - sigmoid D",
            tails[0] - tails[1],
            0.05,
            0.0,
            "ordering",
            SOURCE,
        ),
        shown("Gaussian D: largest |∇ log D|, in medians", largest[0], SOURCE),
        shown("sigmoid D: largest |∇ log D|, in medians", largest[1], SOURCE),
    ]
    note = (
        f"{count:,} Gaussian fields, once as D itself (the theorem's model of an imperfect D near 0), once as the "
        "logit of D = σ(a), as every discriminator is built: the singularity of log D is then out of reach."
    )
    found = (
        f"Of the gradients of log D {tails[0]:.2%} exceed ten medians where D is a Gaussian field (predicted "
        f"{predicted:.2%}), and {tails[1]:.3%} where the same field is the logit of a sigmoid; the largest are "
        f"{largest[0]:,.0f} and {largest[1]:.1f} medians."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, gaussian, sigmoid)}, note=note, found=found)


def draw(figure: Any, gaussian: Any, sigmoid: Any) -> None:
    """The share of gradients beyond a size, for both discriminators."""
    axes = figure.subplots()
    grid = np.logspace(-1, 4, 300)
    axes.loglog(grid, [saturation.ratio_tail(x) for x in grid], "k-", lw=1, label="Cauchy: (2/π) arctan(1/x)")
    dots = np.logspace(-1, 4, 41)
    for sizes, colour, label in ((gaussian, "C3", "D a Gaussian field"), (sigmoid, "C0", "D = σ(the same field)")):
        ordered = np.sort(sizes / np.median(sizes))
        beyond = 1 - np.searchsorted(ordered, dots, side="right") / len(ordered)
        kept = beyond * len(ordered) >= 10  # rarer ones are noise
        axes.loglog(dots[kept], beyond[kept], "o", color=colour, ms=5, label=label)
    share = saturation.ratio_tail(FAR)
    axes.plot([FAR, FAR], [1e-5, share], "k:", lw=1)
    axes.annotate(f"beyond {FAR:g} medians: {share:.2%}", (FAR, share), (14, 0.12), fontsize=10)
    axes.set(xlabel="|∇ log D|, in medians", ylabel="share of points with more", ylim=(1e-5, 1.5))
    axes.set_title("A discriminator that may touch zero has wild gradients; a sigmoid has none")
    axes.legend(fontsize=10, loc="lower left")


EXPERIMENT = Experiment(
    name="E20",
    claim="the wild gradients of -log D are those of a Gaussian D, not of a sigmoid",
    prediction="Gaussian D: P(|∇ log D| > 10 medians) = (2/π) arctan(1/10) = 6.35 %; "
    "sigmoid D: |∇ log D| = (1 - D) |∇a| <= |∇a|",
    source=SOURCE,
    ticks=lambda options: CHUNKS,
    run=run,
    seconds=1,
    question="Are the gradients of the -log D loss as heavy-tailed as a theorem says?",
    equation=r"P(|\nabla \log D| > x) = \frac{2}{\pi} \arctan \frac{1}{x} \quad "
    r"D = \sigma(a): \quad |\nabla \log D| = (1 - D) |\nabla a| \le |\nabla a|",
    varies="all fields, and the points at which they are evaluated",
    conditions="The tail is that of a D that errs like a stationary Gaussian field about 0, which the theorem assumes; "
    "x is in medians. What is said of a sigmoid holds for every logit.",
)
