"""E6: layers that read the concatenation of all earlier ones change the gradient linearly in depth; reading their sum,
as 2^L.

Huang et al. 2017, "Densely connected convolutional networks".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.backend import to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Tick, shown
from tinyres.flow.theory import dense

K0, K, DEPTH = 32, 12, 20
NETS, CHUNK = 1000, 100  # all nets, and how many at a time: axis 0 of every array
SOURCE = "derived: a He layer keeps the squared gradient; the architecture is that of Huang et al. 2017"


def he_layer(x: Any, features: int, rng: np.random.Generator) -> Any:
    """relu(x) W, W ~ N(0, 2/m) and another one for every net: (nets, 1, m) -> (nets, 1, features)."""
    nets, _, m = x.shape
    return tr.relu(x) @ to_device(rng.standard_normal((nets, m, features)), x.device) * np.sqrt(2 / m)


def concatenated(x: Any, rng: np.random.Generator) -> Any:
    """K new features beside all there are."""
    return tr.concatenate([x, he_layer(x, K, rng)], axis=2)


def summed(x: Any, rng: np.random.Generator) -> Any:
    """A new output added to x, the sum of all there are."""
    return x + he_layer(x, K0, rng)


WAYS: dict[str, tuple[Callable[[Any, np.random.Generator], Any], Any]] = {
    "concatenated": (concatenated, dense.concatenating(K0, K, DEPTH)),
    "summed": (summed, dense.summing(DEPTH)),
}


def ratios(step: Callable[[Any, np.random.Generator], Any], rng: np.random.Generator, device: str = "cpu") -> Any:
    """Squared gradient per feature at the input over that at layer l = 0 ... DEPTH: (CHUNK, DEPTH + 1)."""
    states = [tr.tensor(to_device(rng.standard_normal((CHUNK, 1, K0)), device), requires_grad=True)]
    for _ in range(DEPTH):
        states.append(step(states[-1], rng))
    gradients = tr.grad(states[-1], states, to_device(rng.standard_normal(states[-1].shape), device))
    per_feature = np.stack([(g.numpy() ** 2).mean(axis=(1, 2)) for g in gradients], axis=1)  # (CHUNK, DEPTH + 1)
    return per_feature[:, :1] / per_feature


def run(options: Options, tick: Tick) -> Result:
    """Means over 1,000 nets, each with an input and a random cotangent of its own."""
    found = {}
    for k, (way, (step, _)) in enumerate(WAYS.items()):
        chunks = []
        for chunk in range(NETS // CHUNK):
            chunks.append(ratios(step, np.random.default_rng((options.seed, chunk, k)), options.device))
            tick()
        found[way] = np.concatenate(chunks)  # (NETS, DEPTH + 1)
    last = {way: ratio[:, -1] for way, ratio in found.items()}
    error = {way: float(ratio.std(ddof=1) / np.sqrt(NETS)) for way, ratio in last.items()}

    dense_, sum_ = (float(ratio.mean()) for ratio in last.values())
    predicted = float(WAYS["concatenated"][1][-1])
    tolerance = max(0.05 * predicted, 3 * error["concatenated"])
    rate = sum_ ** (1 / DEPTH)
    rate_tolerance = max(0.05 * 2, 3 * rate * error["summed"] / sum_ / DEPTH)
    laws = [
        Law(f"concatenated: ratio after {DEPTH} layers", dense_, predicted, tolerance, "asymptotic", SOURCE),
        shown("concatenated: its geometric mean over nets", float(np.exp(np.log(last["concatenated"]).mean()))),
        Law("summed: factor a layer", rate, 2.0, rate_tolerance, "asymptotic", SOURCE),
        shown(f"summed: ratio after {DEPTH} layers", sum_),
    ]
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, found)},
        data={"ratio": {way: ratio.mean(axis=0).tolist() for way, ratio in found.items()}},
        note="squared gradient per feature at the input over that at the top, mean over nets. Summed, it exceeds "
        f"2^{DEPTH} = 1.05e6 at a width of {K0}: a layer's own weights also move the masks above it.",
    )


def draw(figure: Any, found: dict[str, Any]) -> None:
    """The ratio against depth for both, and its spread over nets."""
    left, right = figure.subplots(1, 2)
    depth = np.arange(DEPTH + 1)
    for k, (way, (_, theory)) in enumerate(WAYS.items()):
        left.semilogy(depth, theory, "-", color=f"C{k}", lw=1, label=("1 + kL/k₀", "2ᴸ")[k])
        left.semilogy(depth, found[way].mean(axis=0), "o", color=f"C{k}", ms=4, label=f"{way}: mean of {NETS:,} nets")
    left.set(xlabel="layers passed, L", ylabel="gradient² per feature, input over layer L", xticks=depth[::4])
    left.set_title("All earlier layers, concatenated or summed")
    left.legend(fontsize=8)
    last = found["concatenated"][:, -1]
    right.hist(last, bins=np.linspace(0, 30, 61), color="C0", alpha=0.45)
    right.axvline(last.mean(), color="C0", label=f"mean {last.mean():.2f}")
    right.axvline(WAYS["concatenated"][1][-1], color="k", ls=":", label="theory 8.5")
    geometric = np.exp(np.log(last).mean())
    right.axvline(geometric, color="C3", ls="--", label=f"geometric mean {geometric:.2f}")
    right.set(xlabel=f"ratio after {DEPTH} layers, concatenated", ylabel="nets")
    right.set_title("A typical net lies below the mean")
    right.legend(fontsize=8)


EXPERIMENT = Experiment(
    name="E6",
    claim="DenseNet concatenates: the gradient grows linearly in depth; summing would give 2^L",
    prediction="per feature ∏ 1 + k/m = (k₀ + kL)/k₀ = 8.5; summed 2^L",
    source=SOURCE,
    ticks=lambda options: len(WAYS) * NETS // CHUNK,
    run=run,
    seconds=1.5,
    starred=True,
    devices=BOTH,
)
