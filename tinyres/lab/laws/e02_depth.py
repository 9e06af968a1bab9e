"""E2: in a plain net each layer multiplies the squared gradient by chi, and L layers by chi^L.

Glorot & Bengio 2010 [glorot2010understanding]; He et al. 2015 [he2015delving]; Poole et al. 2016
[poole2016exponential]; Schoenholz et al. 2017 [schoenholz2017deep].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import device_of, to_device
from tinyres.autograd.tensor import raw
from tinyres.flow.theory import mean_field
from tinyres.flow.theory.activations import ACTIVATIONS, Activation
from tinyres.lab.depth import slope
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.laws import e02_figure

WIDTH, DEPTH, BATCH, NETS = 512, 40, 8, 5
SOURCE = "Poole et al. 2016; Schoenholz et al. 2017"


@dataclass(frozen=True)
class Case:
    """An activation with the variances of weights (s_w2 / n) and biases (s_b2)."""

    activation: str
    s_w2: float
    s_b2: float = 0.0
    label: str = ""
    asked: bool = False  # for at these settings: then its name has both of them

    @property
    def name(self) -> str:
        biases = f", s_b²={self.s_b2:g}" if self.asked else ""
        return f"{self.label or self.theory.label}, s_w²={self.s_w2:g}{biases}"

    @property
    def theory(self) -> Activation:
        """What the library's activation should be."""
        return ACTIVATIONS[self.activation]

    def apply(self, x: Any) -> Any:
        """The library's activation."""
        return x if self.activation == "linear" else getattr(tr, self.activation)(x)

    @property
    def scale_free(self) -> bool:
        """Whether chi is the same at every variance of the signal, which then needs no fixed point."""
        return self.theory.scale_free and self.s_b2 == 0

    @cached_property
    def fixed_point(self) -> float:
        """q*, or NaN where there is none."""
        return math.nan if self.scale_free else mean_field.fixed_point(self.theory.value, self.s_w2, self.s_b2)

    @property
    def q(self) -> float:
        """The variance at which the net is started: the fixed point, or 1."""
        return 1.0 if math.isnan(self.fixed_point) else self.fixed_point

    @cached_property
    def chi(self) -> float:
        """What a layer at that variance multiplies the squared gradient by."""
        return mean_field.chi(self.q, self.theory.slope, self.s_w2)

    def signal(self, depth: int) -> Any:
        """The variance of the pre-activations of layers 0, ..., depth."""
        if not math.isnan(self.fixed_point):
            return np.full(depth + 1, self.fixed_point)
        return mean_field.variances(self.q, depth, self.theory.value, self.s_w2, self.s_b2)

    def gradient(self, depth: int) -> Any:
        """log(|g_l|^2 / |g_L|^2) at the layers l = L, L-1, ..., 0, as `backward` measures it."""
        chis = [mean_field.chi(q, self.theory.slope, self.s_w2) for q in self.signal(depth)[:-1]]
        return np.concatenate([[0.0], np.cumsum(np.log(chis[::-1]))])


CASES = [
    *(Case("tanh", s_w2, 0.05) for s_w2 in (0.5, 1.0, 1.5, 1.76, 2.5)),
    Case("sigmoid", 1.0),
    Case("sigmoid", 16.0),
    Case("relu", 1.0, label="ReLU (Glorot)"),
    Case("relu", 2.0, label="ReLU (He)"),
    Case("linear", 0.5),
]


def forward(case: Case, weights: list[Any], rng: np.random.Generator) -> list[Any]:
    """The pre-activations (BATCH, n) of layers 0, 1, ..., L of one random net."""
    width = weights[0].shape[0]
    x = rng.standard_normal((BATCH, width))
    device = device_of(raw(weights[0]))
    x = to_device(x * np.sqrt(case.q / (x * x).mean(axis=1, keepdims=True)), device)
    h = tr.tensor(x, requires_grad=True)
    layers = [h]
    for w in weights:
        bias = to_device(np.sqrt(case.s_b2) * rng.standard_normal(width), device)
        h = (case.apply(h) @ w) * np.sqrt(case.s_w2 / width) + bias
        layers.append(h)
    return layers


def backward(layers: list[Any], rng: np.random.Generator) -> Any:
    """log(|g_l|^2 / |g_L|^2) at the layers l = L, L-1, ..., 0, for a random cotangent on top."""
    top = to_device(rng.standard_normal(layers[-1].shape), layers[-1].device)
    gradients = tr.grad(layers[-1], layers, top)
    squared = np.array([float((g.numpy() ** 2).sum()) for g in gradients[::-1]])
    return np.log(squared / squared[0])


def measure(case: Case, weights: list[Any], rng: np.random.Generator) -> Any:
    """`backward` of `forward`."""
    return backward(forward(case, weights, rng), rng)


def run(options: Options, tick: Tick) -> Result:
    """The slope of log squared gradient per layer, mean of five nets per case, against log chi; the signal's q."""
    given = options.settings
    cases = [Case(given["activation"], given["s_w2"], given["s_b2"], asked=True)] if given else CASES
    width, depth = (given["width"], given["depth"]) if given else (WIDTH, DEPTH)
    logs: dict[Case, list[Any]] = {case: [] for case in cases}
    variances: dict[Case, list[Any]] = {case: [] for case in cases}
    for net in range(NETS):
        draws = np.random.default_rng((options.seed, net))
        drawn = (to_device(draws.standard_normal((width, width)), options.device) for _ in range(depth))
        weights = [tr.tensor(w) for w in drawn]  # of an array, each product would keep a copy
        for k, case in enumerate(cases):  # the same matrices, scaled
            rng = np.random.default_rng((options.seed, net, k))
            states = forward(case, weights, rng)
            logs[case].append(backward(states, rng))
            variances[case].append([(h.numpy() ** 2).mean() for h in states])
            tick()
    laws = []
    for case in cases:
        laws.append(gradient_law(case, np.array(logs[case]), width))
        laws += signal_laws(case, np.array(variances[case]), width)
    curves = {case: np.mean(found, axis=0) for case, found in logs.items()}
    note = "ln of the factor per layer on the squared gradient; s_w²: variance of the weights times width; "
    note += "" if given else "tanh: s_b² = 0.05; "
    note += "q*: variance of the pre-activations, mean over the layers"
    picture = partial(e02_figure.draw_one if given else e02_figure.draw, curves=curves)
    said = said_of_one(cases[0], laws, depth) if given else said_of(curves)
    return Result(laws, [depth_scales(curves)], {"": picture}, note=note, found=said)


def _law(name: str, values: Any, expected: float, width: int) -> Law:
    """Slopes of a logarithm, one per net. Finite width shifts them by the order of 1/n per layer, ReLU's by 5/2n."""
    room = 0.01 * max(1.0, WIDTH / width) + 0.03 * abs(expected)
    return Law.of_mean(name, values, expected, SOURCE, room=room)


def gradient_law(case: Case, curves: Any, width: int) -> Law:
    """Measured slope against predicted slope; curves: (nets, depth + 1)."""
    expected = slope(case.gradient(curves.shape[1] - 1))
    return _law(f"{case.name}: ln χ", [slope(curve) for curve in curves], expected, width)


def signal_laws(case: Case, variances: Any, width: int) -> list[Law]:
    """The signal's variance where it settles, its factor per layer where it does not; variances: (nets, depth + 1)."""
    if case.scale_free:
        return []
    if not math.isnan(case.fixed_point):
        q = variances[:, 1:].mean(axis=1)
        room = 0.03 * case.q * max(1.0, WIDTH / width)
        return [Law.of_mean(f"{case.name}: q*", q, case.q, SOURCE, room=room)]
    expected = slope(np.log(case.signal(variances.shape[1] - 1)))
    return [_law(f"{case.name}: ln of the signal's factor", [slope(c) for c in np.log(variances)], expected, width)]


# Those without tanh that the sentence names.
OTHERS = {("sigmoid", 1.0): "a sigmoid at s_w² = 1", ("relu", 2.0): "He's ReLU, both with s_b² = 0"}


def said_of(curves: dict[Case, Any]) -> str:
    """All cases in a sentence."""
    factor = {case.name: np.exp(slope(curve)) for case, curve in curves.items()}
    tanh = [case for case in curves if case.activation == "tanh"]
    off = max(abs(slope(curve) - np.log(case.chi)) for case, curve in curves.items())
    text = f"In all {len(curves)} kinds of nets a layer multiplies the squared gradient by χ, and {DEPTH} layers by "
    text += f"its power: each layer's factor is within {100 * np.expm1(off):.2g} % of the predicted χ. "
    text += f"With tanh and s_b² = {tanh[0].s_b2:g}, χ goes from {factor[tanh[0].name]:.3g} at s_w² = {tanh[0].s_w2:g} "
    text += f"to {factor[tanh[-1].name]:.3g} at {tanh[-1].s_w2:g}"
    others = [
        f"{factor[case.name]:.3g} for {OTHERS[place]}"
        for case in curves
        if (place := (case.activation, case.s_w2)) in OTHERS
    ]
    return f"{text}{'; it is ' if others else ''}{' and '.join(others)}."


def said_of_one(case: Case, laws: Sequence[Law], depth: int) -> str:
    """The gradient's factor, and what becomes of the signal."""
    text = f"With {case.name}, a layer multiplies the squared gradient by {np.exp(laws[0].measured):.4g} "
    text += f"(predicted {np.exp(laws[0].predicted):.4g})"
    if case.scale_free:
        return f"{text}, at any variance of the signal."
    if not math.isnan(case.fixed_point):
        return f"{text}; the signal's variance stays at {laws[1].measured:.4g} (q* = {case.q:.4g})."
    end = case.signal(depth)[-1]
    limit, where = ("0", "dies out") if end < 1 else ("infinity", "grows without end")
    text += f". There is no fixed point but {limit}: started at a variance of 1, the signal {where}"
    return f"{text} and should be at {end:.3g} after {depth} layers; the prediction is the mean over its way there."


def depth_scales(curves: dict[Case, Any]) -> Table:
    """xi of every case."""
    rows = []
    for case, curve in curves.items():
        expected, found = slope(case.gradient(len(curve) - 1)), slope(curve)
        scale = f"{1 / abs(expected):,.2f}" if abs(expected) > 1e-6 else "∞"
        measured = f"{1 / abs(found):.2f}" if abs(found) > 0.01 else "100 or more"
        rows.append([case.name, f"{np.exp(expected):.4g}", scale, measured])
    note = (
        "Over ξ = 1 / |ln χ| layers the squared gradient changes by a factor e. A ξ of more than 100 cannot be "
        "told from ∞ over so few layers."
    )
    return Table("Depth scales", ["setting", "χ", "ξ by theory", "ξ measured"], rows, note)


SETTINGS = {
    "activation": Setting("tanh", "what stands between the layers", choices=tuple(ACTIVATIONS)),
    "s_w2": Setting(1.5, "variance of the weights, times the width", low=0.1, high=200),
    "s_b2": Setting(0.0, "variance of the biases", low=0, high=10),
    "width": Setting(WIDTH, "units of a layer", low=64, high=1024),
    "depth": Setting(DEPTH, "layers", low=5, high=100),
}


EXPERIMENT = Experiment(
    name="E2",
    question="By what factor does each layer of a plain net change the gradient, and can it be predicted?",
    claim="plain nets: a layer multiplies the squared gradient by χ",
    prediction="|g_bottom|² / |g_top|² = χᴸ, χ = s_w² E[φ'(√q* z)²], q* the fixed point of the variance map",
    equation=r"\frac{|g_0|^2}{|g_L|^2} = \chi^L, \quad \chi = s_w^2\, \mathrm{E}\left[\varphi'(\sqrt{q^*} z)^2\right], "
    r"\quad q^* = s_w^2\, \mathrm{E}\left[\varphi(\sqrt{q^*} z)^2\right] + s_b^2",
    source=SOURCE,
    ticks=lambda options: NETS * (1 if options.settings else len(CASES)),
    run=run,
    seconds=3,
    starred=True,
    devices=BOTH,
    varies="weights, biases, inputs and cotangents of all nets",
    conditions="wide nets: the slope of the logarithm is met within 0.01 + 3 %, or three standard errors of five nets. "
    f"Finite width n shifts it by the order of 1/n per layer (5/2n for ReLU): below n = {WIDTH} the 0.01 grows as 1/n. "
    "ln is the natural logarithm; an axis in log₁₀ shows ln / 2.303. "
    "If the signal has no fixed point, the prediction uses each layer's own variance, starting at 1.",
    settings=SETTINGS,
)
