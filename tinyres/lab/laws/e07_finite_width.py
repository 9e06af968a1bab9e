"""E7: He initialisation preserves the mean squared gradient, but not that of a typical net of finite width.

Hanin 2018 [hanin2018which]; Hanin & Nica 2020 [hanin2020products].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.flow.theory import finite_width
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import three_errors

NETS = 8192
TAIL = 3.0  # beyond this variance of ln |J^T u|² the mean depends on nets too rare to be among NETS
REST = 0.07  # if order 1/n leaves out more than this share, a tolerance of 10 % has no room for noise
SOURCE = "Hanin 2018; Hanin & Nica 2020"
EXACT = "derived: a layer gives chi² with Binomial(n, 1/2) degrees of freedom; coins for masks: Hanin & Nica 2020"


@dataclass(frozen=True)
class Case:
    """Nets of `depth` square layers of `width` units: "ReLU" with weights N(0, 2/n), or "linear" with N(0, 1/n)."""

    kind: str
    width: int
    depth: int

    @property
    def groups(self) -> int:
        """How many groups of as many nets as there are units come to about NETS."""
        return NETS // self.width

    @property
    def spread(self) -> float:
        """The variance of ln |J^T u|² to leading order."""
        return finite_width.leading(self.width, self.depth, self.kind)[1]

    @property
    def name(self) -> str:
        return f"{self.kind} nets, n={self.width}, L={self.depth}"


KINDS = {"relu": "ReLU", "linear": "linear"}
CASES = [Case("ReLU", 64, 16), Case("ReLU", 128, 16), Case("linear", 64, 16)]


def layer(h: Any, signs: Any, w: Any, kind: str) -> Any:
    """phi(h) S W, where phi comes first: so any fixed u on top sees as many masks as matrices."""
    return ((tr.relu(h) if kind == "ReLU" else h) * signs) @ w


def squared_gradients(case: Case, rng: np.random.Generator, device: str = "cpu") -> Any:
    """|J^T u|² of a group of n nets: (n,). In net i, u is the unit vector along coordinate i.

    To draw every matrix of every net, half a billion numbers and more, would take too long. A group shares the Gaussian
    matrices W, and each net has S W in their place, S its own diagonal matrix of random signs. That is Gaussian again:
    each net is exactly a net as it should be, and two of a group are as little alike as two random directions.
    """
    n = case.width
    scale = np.sqrt(finite_width.GAIN[case.kind] / n)
    signs = to_device(rng.choice([-scale, scale], (n, n)), device)  # (net, unit)
    x = tr.tensor(to_device(rng.standard_normal((n, n)), device), requires_grad=True)  # (net, unit)
    h = x
    for w in to_device(rng.standard_normal((case.depth, n, n)), device):
        h = layer(h, signs, w, case.kind)
    (g,) = tr.grad(h, x, to_device(np.eye(n), device))
    return (g.numpy() ** 2).sum(axis=1)


def run(options: Options, tick: Tick) -> Result:
    """Mean of |J^T u|², mean and variance of its logarithm, against leading order and the law at this width."""
    given = options.settings
    cases = [Case(KINDS[given["activation"]], given["width"], given["depth"])] if given else CASES
    laws, found = [], {}
    for k, case in enumerate(cases):
        groups = []
        for group in range(case.groups):
            groups.append(squared_gradients(case, np.random.default_rng((options.seed, group, k)), options.device))
            tick()
        found[case] = np.array(groups)  # (groups, nets)
        laws += laws_of(case, found[case])
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, found)},
        data={case.name: np.log(squared).ravel().tolist() for case, squared in found.items()},
        found=" ".join(said_of(case, laws[5 * k : 5 * k + 5], found[case].size) for k, case in enumerate(cases)),
        note="J^T u is a unit vector u taken back through a whole net: the mean of its square is 1, but the typical "
        "net's is e^(-5 L / 2n), and nets differ by a variance of 5 L / n in its logarithm (linear nets: 2 for 5).",
    )


def _noise(per_net: Any) -> float:
    """What chance may do to the mean of (groups, nets): only groups are independent of one another."""
    return three_errors(per_net.mean(axis=1))


def laws_of(case: Case, squared: Any) -> list[Law]:
    """Five laws from |J^T u|²: (groups, nets). Where one has no say, its figure is shown."""
    logs = np.log(squared)
    deviations = (logs - logs.mean()) ** 2
    name = f"{case.name}: mean of |Jᵀu|²"
    mean = Law(name, squared.mean(), 1.0, _noise(squared), "asymptotic", SOURCE)
    laws = [mean if case.spread <= TAIL else shown(name, mean.measured, SOURCE)]
    leading, exact = (f(case.width, case.depth, case.kind) for f in (finite_width.leading, finite_width.exact))
    for which, values, rough, true in zip(("mean", "variance"), (logs, deviations), leading, exact, strict=True):
        measured, noise = float(values.mean()), _noise(values)
        text = f"{case.name}: {which} of ln |Jᵀu|²"
        first = Law(f"{text}, order 1/n", measured, rough, max(0.1 * abs(rough), noise), "asymptotic", SOURCE)
        laws.append(first if abs(true / rough - 1) <= REST else shown(first.name, measured, SOURCE))
        laws.append(Law(f"{text}, at this n", measured, true, noise, "asymptotic", EXACT))
    return laws


def said_of(case: Case, laws: list[Law], nets: int) -> str:
    """One case in a sentence."""
    mean, _, log, _, variance = laws
    text = (
        f"Of {nets:,} {case.name}, the mean squared gradient is {mean.measured:.3g}, but the typical net's is "
        f"{np.exp(log.measured):.3g} (predicted {np.exp(log.predicted):.3g}), and its logarithm varies by "
        f"{variance.measured:.3g} ({variance.predicted:.3g})."
    )
    if mean.kind == "figure":
        text += " At this depth and width, the nets that would lift the mean to 1 are too rare to be among them."
    if any(law.kind == "figure" for law in laws[1:]):
        text += " Such narrow nets are beyond order 1/n: only the law at this width is judged."
    return text


def draw(figure: Any, found: dict[Case, Any]) -> None:
    """The distribution of log |J^T u|² over nets, with the normal law of leading order."""
    for axes, (case, squared) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        mean, variance = finite_width.leading(case.width, case.depth, case.kind)
        low, high = min(-5.0, mean - 3.5 * variance**0.5), max(4.0, mean + 3.5 * variance**0.5)
        z = np.linspace(low, high, 400)
        axes.hist(
            np.log(squared).ravel(), bins=60, density=True, color="C0", alpha=0.45, label=f"{squared.size:,} nets"
        )
        normal = np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        axes.plot(z, normal, "k-", lw=1, label=f"N({mean:.3g}, {variance:.3g})")
        axes.axvline(0, color="C3", lw=1, ls="--", label="ln of the mean: 0")
        axes.set(xlabel="ln |Jᵀu|²", title=case.name, xlim=(low, high))
        axes.set_ylim(top=1.3 * axes.get_ylim()[1])
        axes.legend(fontsize=8, loc="upper left")
    figure.axes[0].set_ylabel("density over nets")
    figure.suptitle("The mean gradient is kept, the typical one is not (dark line: Hanin & Nica's law of order 1/n)")


SETTINGS = {
    "activation": Setting("relu", "of every layer", choices=tuple(KINDS)),
    "width": Setting(64, "units of a layer", low=24, high=512),
    "depth": Setting(16, "layers", low=1, high=64),
}


EXPERIMENT = Experiment(
    name="E7",
    question="He initialisation preserves the gradient on average: does it preserve that of the net you actually get?",
    claim="finite width: the initialisation fixes the mean gradient, not the typical net's",
    prediction="E|Jᵀu|² = 1; ln|Jᵀu|² about N(-5β/2, 5β), β = L/n (linear nets: 2 for 5)",
    equation=r"\mathrm{E} |J^T u|^2 = 1, \quad \ln |J^T u|^2 \approx N\left(-\frac{5}{2} \beta, 5 \beta\right), "
    r"\quad \beta = \frac{L}{n}",
    source=SOURCE,
    ticks=lambda options: NETS // options.settings["width"] if options.settings else sum(c.groups for c in CASES),
    run=run,
    seconds=1.5,
    starred=True,
    devices=BOTH,
    varies="matrices, signs and inputs of all nets",
    conditions="critical weights, N(0, 2/n) with ReLU and N(0, 1/n) without. Order 1/n within 10 %, for ReLU from 57 "
    "units up; the exact law within three standard errors, at any width. The mean of |Jᵀu|² is judged up to a variance "
    f"of {TAIL:g} of the logarithm: beyond, it depends on nets that are too rare to be drawn.",
    settings=SETTINGS,
)
