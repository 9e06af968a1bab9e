"""E6: DenseNet's concatenation makes the gradient grow linearly with depth; a sum of all layers would make it 2^L.

Huang et al. 2017 [huang2017densely].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.flow.theory import dense
from tinyres.lab.depth import states
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import three_errors

K0, K, DEPTH = 32, 12, 20
NETS, CHUNK = 1000, 100  # all nets, and how many at a time: axis 0 of every array
SOURCE = "derived: a He layer keeps the squared gradient; the architecture is that of Huang et al. 2017"
Step = Callable[..., Any]  # of the features and a generator


@dataclass(frozen=True)
class Case:
    """How many features come in, how many a layer adds, and how many layers there are."""

    k0: int = K0
    k: int = K
    depth: int = DEPTH

    @property
    def ways(self) -> dict[str, tuple[Step, Any]]:
        """A layer of either kind, and what theory says of 0, ..., depth of them."""
        return {
            "concatenated": (partial(concatenated, k=self.k), dense.concatenating(self.k0, self.k, self.depth)),
            "summed": (summed, dense.summing(self.depth)),
        }


def he_layer(x: Any, features: int, rng: np.random.Generator) -> Any:
    """relu(x) W, W ~ N(0, 2/m) and another one for every net: (nets, 1, m) -> (nets, 1, features)."""
    nets, _, m = x.shape
    return tr.relu(x) @ to_device(rng.standard_normal((nets, m, features)), x.device) * np.sqrt(2 / m)


def concatenated(x: Any, rng: np.random.Generator, k: int = K) -> Any:
    """k new features beside all there are."""
    return tr.concatenate([x, he_layer(x, k, rng)], axis=2)


def summed(x: Any, rng: np.random.Generator) -> Any:
    """A new output added to x, the sum of all there are."""
    return x + he_layer(x, x.shape[2], rng)


OWN = Case()
WAYS = OWN.ways


def ratios(step: Step, rng: np.random.Generator, device: str = "cpu", case: Case = OWN) -> Any:
    """Squared gradient per feature at the input over that at layer l = 0 ... depth: (CHUNK, depth + 1)."""
    x = to_device(rng.standard_normal((CHUNK, 1, case.k0)), device)
    found = states([partial(step, rng=rng)] * case.depth, x)
    gradients = tr.grad(found[-1], found, to_device(rng.standard_normal(found[-1].shape), device))
    per_feature = np.stack([(g.numpy() ** 2).mean(axis=(1, 2)) for g in gradients], axis=1)  # (CHUNK, depth + 1)
    return per_feature[:, :1] / per_feature


def run(options: Options, tick: Tick) -> Result:
    """Means over 1,000 nets, each with an input and a random cotangent of its own."""
    case = Case(**options.settings)
    found = {}
    for k, (way, (step, _)) in enumerate(case.ways.items()):
        chunks = []
        for chunk in range(NETS // CHUNK):
            chunks.append(ratios(step, np.random.default_rng((options.seed, chunk, k)), options.device, case))
            tick()
        found[way] = np.concatenate(chunks)  # (NETS, depth + 1)
    side_by_side, one_sum = (ratio[:, -1] for ratio in found.values())
    geometric = float(np.exp(np.log(side_by_side).mean()))
    laws = [
        concatenated_law(case, side_by_side),
        shown("concatenated: its geometric mean over nets", geometric),
        summed_law(case, one_sum),
        shown(f"summed: ratio after {case.depth} layers", float(one_sum.mean())),
    ]
    said = (
        f"Through {case.depth} layers the squared gradient of a feature grows by {laws[0].measured:.3g} if they are "
        f"concatenated (predicted {laws[0].predicted:.3g}; a typical net: {geometric:.3g}). If they are summed, it "
        f"grows by {laws[3].measured:.2g} = e^{laws[2].measured:.2f} (2^{case.depth} = e^{laws[2].predicted:.2f})."
    )
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, found, case)},
        data={"ratio": {way: ratio.mean(axis=0).tolist() for way, ratio in found.items()}},
        note="squared gradient per feature at the input, divided by that at the top, mean over nets. Summed: L ln 2, "
        f"up to a term of the order of L/k₀ for {case.k0} features, since a layer's weights change the masks above.",
        found=said,
    )


def concatenated_law(case: Case, ratio: Any) -> Law:
    """The ratio itself."""
    predicted = float(case.ways["concatenated"][1][-1])
    name = f"concatenated: ratio after {case.depth} layers"
    return Law.of_mean(name, ratio, predicted, SOURCE, room=0.05 * predicted)


def summed_law(case: Case, ratio: Any) -> Law:
    """The logarithm of the whole: each layer's factor is 2 up to a relative error of the order of 1/k0."""
    mean = float(ratio.mean())
    tolerance = max(case.depth / case.k0, three_errors(ratio) / mean)
    name = f"summed: ln of the ratio after {case.depth} layers"
    return Law(name, float(np.log(mean)), case.depth * float(np.log(2)), tolerance, "asymptotic", SOURCE)


def draw(figure: Any, found: dict[str, Any], case: Case) -> None:
    """The ratio against depth for both, and its spread over nets."""
    left, right = figure.subplots(1, 2)
    depth = np.arange(case.depth + 1)
    for k, (way, (_, theory)) in enumerate(case.ways.items()):
        label = f"{way}: mean of {NETS:,} nets; line {('1 + kL/k₀', '2ᴸ')[k]}"
        dots_and_line(left, (depth, found[way].mean(axis=0)), (depth, theory), k, label, log="y")
    ticks = depth[:: max(1, case.depth // 5)]
    left.set(xlabel="layers passed, L", ylabel="gradient² per feature, input divided by layer L", xticks=ticks)
    left.set_title("All earlier layers, concatenated or summed")
    left.legend(fontsize=8)
    last, predicted = found["concatenated"][:, -1], case.ways["concatenated"][1][-1]
    right.hist(last, bins=np.linspace(0, 3.5 * predicted, 61), color="C0", alpha=0.45)
    right.axvline(last.mean(), color="C0", label=f"mean {last.mean():.2f}")
    right.axvline(predicted, color="k", ls=":", label=f"theory {predicted:.3g}")
    geometric = np.exp(np.log(last).mean())
    right.axvline(geometric, color="C3", ls="--", label=f"geometric mean {geometric:.2f}")
    right.set(xlabel=f"ratio after {case.depth} layers, concatenated", ylabel="nets")
    right.set_title("A typical net lies below the mean")
    right.legend(fontsize=8)


SETTINGS = {
    "k0": Setting(K0, "features at the input", low=4, high=96),
    "k": Setting(K, "new features a layer", low=1, high=32),
    "depth": Setting(DEPTH, "layers", low=1, high=40),
}


EXPERIMENT = Experiment(
    name="E6",
    question="DenseNet concatenates where others add: what does that do to the gradient?",
    claim="DenseNet concatenates: the gradient grows linearly in depth; summing would give 2^L",
    prediction="per feature ∏ 1 + k/m = (k₀ + kL)/k₀ = 8.5; summed 2^L",
    equation=r"\prod_{l=0}^{L-1} \left(1 + \frac{k}{k_0 + k l}\right) = \frac{k_0 + k L}{k_0}, "
    r"\qquad \text{summed: } 2^L",
    source=SOURCE,
    ticks=lambda options: len(WAYS) * NETS // CHUNK,
    run=run,
    seconds=1.5,
    starred=True,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="He's initialisation, ReLU before each layer's matrix; means over nets, not the typical net. "
    "Concatenated: 5 %, or three standard errors. Summed: the logarithm of the total, with L/k₀ for the finite width.",
    choices=(
        "The law for sums was once judged as a factor per layer, within 5 %, which is 2.65 on the total; it is now "
        "judged by the logarithm of the total.",
        "Its finite-width term is known in order only. At 32, 64 and 128 features 20 layers gave 0.65, 0.52 and 0.60 "
        "times L/k₀ (errors 0.04, 0.05 and 0.08), seen before the tolerance of L/k₀ was set.",
    ),
    settings=SETTINGS,
)
