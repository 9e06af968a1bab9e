"""E9, shattered gradients: in deep plain nets, gradients at two inputs are as uncorrelated as white noise.

Balduzzi et al. 2017 [balduzzi2017shattered]; the arc-cosine kernels: Cho & Saul 2009 [cho2009kernel].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory import shattering
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import standard_error, three_errors
from tinyres.lab.laws import e09_figure

WIDTH = BATCH = POINTS = 256
SEEDS = 10
PLAIN, RESIDUAL, HE, RHO = (1, 2, 3, 4, 5), 40, 16, 0.9
PAIRS, PAIR_SEEDS, PAIR_WIDTH = 32, 10, 1024  # at n = 256 the law of infinite width is exceeded by 15 %
CURVES = 8  # nets for the figure's autocorrelation
SOURCE = "Balduzzi et al. 2017"
DERIVED = "derived: branch halves, shortcut keeps; statement of the problem Balduzzi et al. 2017"
ARC_COSINE = "derived: product of arc-cosine kernels (Cho & Saul 2009)"

Norm = Callable[[Any], Any]


def frozen(x: Any) -> Any:
    """relu(BN(x)) with the batch's statistics as constants, so that no gradient passes from sample to sample."""
    rows = x.numpy()
    return tr.batch_norm(x, rows.mean(axis=0), rows.var(axis=0), training=False, relu=True)


exact = partial(tr.batch_norm, relu=True)  # ... passes from sample to sample, as in training


def gradients(x: Any, norm: Norm, depth: int, g: Any, rng: np.random.Generator, *, residual: bool = False) -> Any:
    """The gradients at the inputs x, (N, n), of a net of layers norm(x) W (or x + norm(x) W), W ~ N(0, 2/n)."""
    x = tr.tensor(x, requires_grad=True)
    h = x
    n = x.shape[1]
    for _ in range(depth):
        layer = norm(h) @ rng.standard_normal((n, n)) * np.sqrt(2 / n)
        h = h + layer if residual else layer
    return tr.grad(h, x, np.broadcast_to(g, h.shape))[0].numpy()


def correlation(g: Any) -> float:
    """Mean of <g_i, g_j> over all pairs i != j, over the mean of |g_i|^2; g: (N, n)."""
    squares = (g * g).sum()
    total = g.sum(axis=0)
    return float(((total * total).sum() - squares) / squares / (len(g) - 1))


def of_batch(norm: Norm, depth: int, seed: tuple[int, ...], *, residual: bool = False, width: int = WIDTH) -> float:
    """The correlation at independent inputs, one function of the outputs followed: all cotangents are equal."""
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((BATCH, width)), rng.standard_normal(width)
    return correlation(gradients(x, norm, depth, g, rng, residual=residual))


def of_pairs(seed: tuple[int, ...], rho: float = RHO, depth: int = HE, width: int = PAIR_WIDTH) -> float:
    """The same without batch norm, at pairs of inputs of correlation rho with a cotangent a pair."""
    rng = np.random.default_rng(seed)
    pairs, other, g = rng.standard_normal((3, PAIRS, width))
    x = np.concatenate([pairs, rho * pairs + np.sqrt(1 - rho * rho) * other])  # (2 PAIRS, width)
    one, two = np.split(gradients(x, tr.relu, depth, np.concatenate([g, g]), rng), 2)
    return float((one * two).sum() / np.sqrt((one * one).sum() * (two * two).sum()))


def over_line(depth: int, seed: tuple[int, ...], *, residual: bool = False) -> Any:
    """df/dx at POINTS inputs x in [-2, 2], (POINTS,): f starts with x w + b and ends in a random direction."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(np.linspace(-2, 2, POINTS)[:, None], requires_grad=True)  # (POINTS, 1)
    w, b, g = rng.standard_normal((3, 1, WIDTH))
    first = x @ w + b  # (POINTS, WIDTH)
    g = gradients(first.numpy(), frozen, depth, g, rng, residual=residual)
    return tr.grad(first, x, g)[0].numpy()[:, 0]


def law_of(name: str, values: Any, predicted: float, source: str) -> Law:
    """The mean over nets, within 15 % or three standard errors."""
    return Law.of_mean(name, values, predicted, source, room=0.15 * predicted)


def run(options: Options, tick: Tick) -> Result:
    """Ten nets a law, eight for the curves."""

    def sample(measure: Callable[[tuple[int, ...]], Any], count: int = SEEDS) -> Any:
        found = []
        for seed in range(count):
            found.append(measure((options.seed, seed)))
            tick()
        return np.array(found)

    if options.settings:
        return run_one(options.settings, sample)
    laws = []
    for depth in PLAIN:
        values = sample(partial(of_batch, frozen, depth))
        laws.append(law_of(f"plain, frozen BN, L={depth}", values, shattering.plain_frozen(depth), SOURCE))
    train = of_batch(exact, PLAIN[-1], (options.seed, 0))
    name = f"plain, exact BN, L={PLAIN[-1]}, equal cotangents"
    laws.append(Law(name, train, shattering.exact_batch_norm(BATCH), 1e-10, "check", "derived: they sum to zero"))
    residual = sample(partial(of_batch, frozen, RESIDUAL, residual=True))
    laws.append(law_of(f"residual, frozen BN, L={RESIDUAL}", residual, shattering.residual_frozen(RESIDUAL), DERIVED))
    he = sample(of_pairs, PAIR_SEEDS)
    laws.append(law_of(f"He, no BN, from ρ={RHO}, L={HE}", he, shattering.he_init(RHO, HE), ARC_COSINE))
    refuted = shattering.plain_frozen(HE)
    laws.append(Law.of_mean(f"He, no BN: not 2^-{HE}", he, refuted, ARC_COSINE, kind="ordering"))

    curves = {name: sample(curve, CURVES) for name, curve in LINES.items()}
    return Result(
        laws,
        figures={"": lambda figure: e09_figure.draw(figure, curves)},
        data={"over_line": {name: found[0].tolist() for name, found in curves.items()}},
        found=said_of(laws),
        note="correlation of the gradients at two inputs. Frozen BN: statistics are constants; exact BN: the gradient "
        "passes through them, and the batch's gradients then sum to zero whatever the net.",
    )


def said_of(laws: list[Law]) -> str:
    """The correlations in a sentence."""
    *plain, _, residual, he, _ = laws
    halved = ", ".join(f"{law.measured:.3f}" for law in plain)
    return (
        f"Plain layers with frozen batch norm halve the correlation of the gradients at two inputs: {halved} are left "
        f"after {PLAIN[0]} to {PLAIN[-1]} layers. After {RESIDUAL} residual blocks it is {residual.measured:.3f} "
        f"(predicted {residual.predicted:.3f}; plain layers would leave {0.5**RESIDUAL:.0e}). Without batch norm {HE} "
        f"layers leave {he.measured:.3f} to inputs of correlation {RHO} (predicted {he.predicted:.4f}, not "
        f"{0.5**HE:.1e})."
    )


def run_one(given: Mapping[str, Any], sample: Callable[[Callable[[tuple[int, ...]], Any]], Any]) -> Result:
    """The correlation that one kind of net leaves."""
    net, depth, rho, width = (given[name] for name in ("net", "depth", "rho", "width"))
    if net == "he":
        values = sample(partial(of_pairs, rho=rho, depth=depth, width=width))
        name, predicted, source = f"He, no BN, from ρ={rho:g}, L={depth}", shattering.he_init(rho, depth), ARC_COSINE
    else:
        residual = net == "residual"
        values = sample(partial(of_batch, frozen, depth, residual=residual, width=width))
        predicted = (shattering.residual_frozen if residual else shattering.plain_frozen)(depth)
        name, source = f"{net}, frozen BN, L={depth}", DERIVED if residual else SOURCE
    law = law_of(name, values, predicted, source)
    said = f"The gradients at two inputs keep a correlation of {law.measured:.4g} ± {standard_error(values):.1g} "
    said += f"(predicted {predicted:.4g})."
    if three_errors(values) > predicted:
        law = shown(name, law.measured, source)
        said += " With so few nets this cannot be distinguished from zero: no verdict."
    picture = partial(e09_figure.draw_one, values=values, predicted=predicted, name=name)
    return Result([law], figures={"": picture}, note=f"mean over {len(values)} nets of {width} units.", found=said)


def white(seed: tuple[int, ...]) -> Any:
    """Noise without memory."""
    return np.random.default_rng(seed).standard_normal(POINTS)


def brownian(seed: tuple[int, ...]) -> Any:
    """Its running sum."""
    return np.cumsum(white(seed))


LINES: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "plain, 2 layers": partial(over_line, 2),
    "plain, 24 layers": partial(over_line, 24),
    "residual, 50 blocks": partial(over_line, 50, residual=True),
    "white noise": white,
    "Brownian noise": brownian,
}


SETTINGS = {
    "net": Setting("he", "he: no batch norm; plain, residual: batch norm", choices=("he", "plain", "residual")),
    "depth": Setting(HE, "layers or residual blocks", low=1, high=60),
    "rho": Setting(RHO, "correlation of the inputs, for he only", low=-0.95, high=0.999),
    "width": Setting(PAIR_WIDTH, "units of a layer", low=64, high=1024),
}


EXPERIMENT = Experiment(
    name="E9",
    question="Does a gradient still point the right way at a nearby input?",
    claim="gradients at two inputs: uncorrelated in deep plain nets with batch norm, not so with skip connections",
    prediction="plain 1/2^L; residual ∏ (1 + r/2)/(1 + r), r = 1/(1 + (l-1)v); He without BN ∏ κ₀(ρ)",
    source="Balduzzi et al. 2017; products derived",
    equation=r"\text{plain: } 2^{-L} \quad \text{residual: } \prod_{l=1}^{L} \frac{1 + r_l / 2}{1 + r_l}, "
    r"\quad r_l = \frac{1}{1 + (l - 1) v} \quad \text{He, no BN: } \prod_{l=0}^{L-1} \kappa_0(\rho_l)",
    ticks=lambda options: SEEDS if options.settings else SEEDS * (len(PLAIN) + 1) + PAIR_SEEDS + CURVES * len(LINES),
    run=run,
    seconds=6,
    varies="weights, inputs and cotangents of all nets",
    conditions="random ReLU nets with He weights. Frozen BN: the batch's statistics are constants, inputs are "
    "independent. He without BN: nets much wider than deep, since width n adds a share of the order of L/n. Tolerance: "
    "15 %, or three standard errors of ten nets; if these exceed the prediction there is no verdict.",
    choices=(
        f"Width {PAIR_WIDTH:,} for the nets without batch norm: at 256 units the law of infinite width was exceeded by "
        "15 %.",
    ),
    settings=SETTINGS,
)
