"""Popular listing: D ends in a sigmoid and G minimises log(1 - D(G(z))), as in the formula.

If fakes are far from the data, G needs hundreds of times more steps than with -log D, whose gradient has the same sign
everywhere; and in float32 the probabilities round to 0 and 1 before the logits are even large. Goodfellow et al.
2014 [goodfellow2014generative], "Generative adversarial nets"; Arjovsky & Bottou 2017 [arjovsky2017towards], "Towards
principled methods for training generative adversarial networks".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory import saturation
from tinyres.gan.losses import LOSSES, saturating_naive
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.players import e01_saturation as e01

FAR, NEAR, RATE = 8.0, 1.0, 0.1
SEEDS, BATCH, AT_MOST = 8, 64, 40_000
SOURCE = "Goodfellow et al. 2014; Arjovsky & Bottou 2017; the number of steps is derived"


def descend(loss: str, seed: int) -> tuple[Any, Any]:
    """Distances (steps, SEEDS) while G descends its loss on batches, and the step at which each run is below NEAR.

    D is optimal at every step, logit d²/2 - d x. A run that has arrived continues, since its row is computed anyway.
    """
    draws = [np.random.default_rng((seed, k)) for k in range(SEEDS)]  # the same for both losses
    d, way = np.full((SEEDS, 1), FAR), []
    arrived = np.full(SEEDS, AT_MOST)
    for step in range(AT_MOST):
        way.append(d[:, 0])
        arrived = np.where((d[:, 0] < NEAR) & (arrived == AT_MOST), step, arrived)
        if (arrived < AT_MOST).all():
            break
        z = np.stack([rng.standard_normal(BATCH) for rng in draws])
        fakes = tr.tensor(d + z, requires_grad=True)  # (SEEDS, BATCH)
        (gradient,) = tr.grad(LOSSES[loss].generator(d * d / 2 - d * fakes), fakes)
        d = d - RATE * SEEDS * gradient.numpy().sum(axis=1, keepdims=True)  # the loss is a mean over all runs
    return np.array(way), arrived


def gradient32(generator: Callable[[Any], Any], logit: float) -> float:
    """dL/da of G's loss at one float32 logit a."""
    leaf = tr.tensor(np.array([logit], np.float32), requires_grad=True)
    with np.errstate(all="ignore"):  # log 0 and 0 / 0 are what is to be seen
        return float(tr.grad(generator(leaf), leaf)[0].numpy()[0])


def naive_non_saturating(fake: Any) -> Any:
    """-log sigmoid(a), by way of the probability."""
    return -tr.mean(tr.log(tr.sigmoid(fake)))


FORMS = [
    ("log(1 - D)", "from D", saturating_naive.generator),
    ("log(1 - D)", "from the logit", LOSSES["saturating"].generator),
    ("-log D", "from D", naive_non_saturating),
    ("-log D", "from the logit", LOSSES["nonsaturating"].generator),
]
EXTREMES = (-104.0, -32.0, 17.0)  # logits: D rounds to 0; nothing wrong yet; 1 - D rounds to 0


def rounding() -> tuple[list[Law], Table]:
    """G's gradient with respect to a float32 logit, written in two ways, beside -D and -(1 - D) in float64."""
    laws, rows = [], []
    for logit in EXTREMES:
        for loss, form, generator in FORMS:
            exact = -float(tr.sigmoid(np.float64(logit if loss == "log(1 - D)" else -logit)))
            found = gradient32(generator, logit)
            rows.append([f"{logit:g}", f"{loss}, {form}", f"{found:.4g}", f"{exact:.4g}"])
            if form == "from the logit":
                name = f"float32, logit {logit:g}: gradient of {loss} from the logit"
                laws.append(Law(name, found, exact, 1e-6 * max(abs(exact), 1e-37), "check", "arithmetic"))
    broken = sum(row[2] == "nan" for row in rows if row[1].endswith("from D"))
    name = f"float32: NaN gradients among {len(rows) // 2} from D"
    laws.append(Law(name, broken, 0.0, 0.0, "ordering", "arithmetic"))
    columns = ["logit of D", "G's loss", "gradient w.r.t. the logit", "exact"]
    return laws, Table("The same losses in float32", columns, rows, "NaN: 0 / 0, after which every weight is NaN.")


def run(options: Options, tick: Tick) -> Result:
    """G alone against the best D from d = 8, and both losses written in two ways in float32."""
    best = saturation.optimal_logit(FAR)
    ratio = e01.pull("saturating", best, FAR) / e01.pull("nonsaturating", best, FAR)
    a = saturation.mean_score_of_fakes(FAR)
    laws = [Law("gradient at d=8: saturating / non-saturating", ratio, a / (1 - a), 1e-6 * a, "check", SOURCE)]
    ways = {}
    for loss in ("nonsaturating", "saturating"):
        ways[loss], arrived = descend(loss, options.seed)
        predicted = saturation.steps_to(FAR, NEAR, RATE, saturates=loss == "saturating")
        name = f"{e01.NAMES[loss]}: steps until d < {NEAR:g}"
        laws.append(Law.of_mean(name, arrived, predicted, SOURCE, room=0.1 * predicted))
        tick()
    rounded, table = rounding()
    tick()
    note = (
        f"G is one number, d; {SEEDS} runs on batches of {BATCH}, step size {RATE}, D the best one at every step; the "
        "same draws for both losses."
    )
    quick, slow = laws[1].measured, laws[2].measured
    told = (
        f"From distance {FAR:g} G takes {slow:,.0f} steps with log(1 - D) and {quick:.0f} with -log D, because its "
        f"first gradient is {ratio:.1e} of the other's. Of the float32 gradients computed from D itself, "
        f"{rounded[-1].measured:.0f} of {len(table.rows) // 2} are NaN. Computing from the logit avoids rounding, but "
        "the saturating gradient is as small as ever."
    )
    return Result([*laws, *rounded], [table], figures={"": lambda figure: draw(figure, ways)}, note=note, found=told)


def draw(figure: Any, ways: dict[str, Any]) -> None:
    """The distance from the data against the steps of G, every run."""
    axes = figure.subplots()
    for loss, way in ways.items():
        steps = np.unique(np.geomspace(1, len(way), 300).astype(int))
        for k, run in enumerate(way.T):
            axes.semilogx(steps, run[steps - 1], color=e01.COLOURS[loss], lw=1, label="" if k else e01.NAMES[loss])
        predicted = saturation.steps_to(FAR, NEAR, RATE, saturates=loss == "saturating")
        axes.plot(
            predicted, NEAR, "kD", ms=7, label="" if loss == "saturating" else "predicted: 1/rate ∫ dd / gradient"
        )
        axes.annotate(f"{predicted:,.0f} steps", (predicted, NEAR), (predicted * 1.15, NEAR + 0.25))
    axes.axhline(NEAR, color="k", lw=0.8, ls=":")
    axes.set(xlabel="steps of G", ylabel="distance d of the fakes from the data", xlim=(1, 4e4), ylim=(0, 8.5))
    axes.set_title("Two losses for G: same start, same discriminators, same random draws")
    axes.legend(loc="center")


EXPERIMENT = Experiment(
    name="claim-sigmoid",
    question="Is it fine to end D in a sigmoid and let G minimise log(1 - D)?",
    claim="'D ends in a sigmoid, G minimises log(1 - D): fine'",
    prediction="from d = 8: first gradient 4.9e-5 of -log D's; steps 1/rate ∫ dd / gradient: 13,937 against 25; "
    "float32 probabilities round to 0 and 1",
    equation=r"\mathrm{steps} = \frac{1}{\eta} \int_1^8 \frac{\mathrm{d}d}{|\partial L_G / \partial d|}",
    source=SOURCE,
    ticks=lambda options: 3,
    run=run,
    seconds=2,
    varies="the batches of all runs",
    conditions="Two Gaussians of variance 1 and the optimal D at every step. The integral assumes small steps and "
    f"exact expectations; {SEEDS} runs are within 10 % of it, or three standard errors.",
)
