"""E11, gates: squared gain (1 - T)^2 + T^2 in a Highway net, 1 + a^2/4 with squeeze-and-excitation.

Srivastava et al. 2015 [srivastava2015training], "Training very deep networks"; Hu et al. 2018 [hu2018squeeze],
"Squeeze-and-excitation networks".

The nets are made of `nn.Highway`, `nn.SqueezeExcite` and `nn.Residual`. The gains are those of gates that do not depend
on their input yet, as at initialisation; layers whose gates do depend on it are checked against gradients by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.flow.theory import gates
from tinyres.lab.depth import states
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import standard_error
from tinyres.lab.laws.e11_figure import draw

WIDTH, DEPTH, BATCH, SEEDS = 128, 50, 8, 50
BIASES = (0.0, -1.0, -2.0, -3.0, -4.0)
BLOCKS, SIZE, REDUCTION = 10, 2, 4  # of the nets with squeeze-and-excitation, on images of 2 x 2 pixels
EXCITED = [(1.0, True), (0.5, True), (1.0, False)]  # branch scale a, skip: without a skip it is a plain net
SPREAD = 1.1  # of the norm's log variance between nets, at which the mean of 50 nets is known to 20 % (see `judged`)
HIGHWAY, SE = "Srivastava et al. 2015; the gain: derived", "Hu et al. 2018; the gain: derived"
BY_HAND = "derived: the chain rule by hand"


def branches(rng: np.random.Generator, depth: int) -> list[tuple[Any, Any]]:
    """W1 ~ N(0, 2/n), W2 ~ N(0, 1/n): branches relu(x W1) W2 of unit gain that end in a linear map."""
    first, second = (
        rng.standard_normal((2, depth, WIDTH, WIDTH)) * np.sqrt(np.array([2, 1]) / WIDTH)[:, None, None, None]
    )
    return list(zip(first, second, strict=True))


def highway_net(depth: int) -> nn.Sequential:
    """Layers of `nn.Highway` whose gates see nothing: their weights are zero. `fill` gives the branches weights."""

    def layer() -> nn.Highway:
        matrices = [nn.Linear(WIDTH, WIDTH, bias=False, rng=0) for _ in range(2)]
        gate = nn.Linear(WIDTH, WIDTH, rng=0)
        nn.init.zeros_(gate.weight)
        return nn.Highway(nn.Sequential(matrices[0], nn.ReLU(), matrices[1]), gate)

    return _frozen(layer() for _ in range(depth))


def excited_net(skip: bool) -> nn.Sequential:
    """Blocks x + s F(x) or s F(x) of 1x1 convolutions, s of an `nn.SqueezeExcite` that ends in zeros."""

    def block() -> nn.Module:
        matrices = [nn.Conv2d(WIDTH, WIDTH, 1, bias=False, rng=0) for _ in range(2)]
        squeeze = nn.SqueezeExcite(WIDTH, REDUCTION, rng=0)
        for parameter in squeeze.fc2.parameters():
            nn.init.zeros_(parameter)
        branch = nn.Sequential(matrices[0], nn.ReLU(), matrices[1], squeeze)
        return nn.Residual(branch) if skip else branch

    return _frozen(block() for _ in range(BLOCKS))


def _frozen(layers: Any) -> nn.Sequential:
    net: nn.Sequential = nn.Sequential(*layers).to("float64").requires_grad_(False)
    return net


def fill(net: nn.Sequential, weights: list[tuple[Any, Any]], a: float = 1.0) -> None:
    """Give the branches these matrices, the second of each times a."""
    for layer, (w1, w2) in zip(net, weights, strict=True):
        first, _, second, *_ = layer if isinstance(layer, nn.Sequential) else layer.branch
        for module, w in ((first, w1), (second, a * w2)):
            module.weight.data = w.T.reshape(module.weight.shape)


def set_gates(net: nn.Sequential, bias: float) -> None:
    """T = sigmoid(bias) in every layer."""
    for layer in net:
        nn.init.constant_(layer.gate.bias, bias)


def backward(states: list[Any], rng: np.random.Generator) -> Any:
    """|g_l|^2 / |g_top|^2 of each sample, l layers below the top: (layers + 1, N), for a random cotangent on top."""
    gradients = tr.grad(states[-1], states, rng.standard_normal(states[-1].shape))
    squared = np.array([(g.numpy() ** 2).reshape(len(g.numpy()), -1).sum(axis=1) for g in gradients[::-1]])
    return squared / squared[0]


def highway_nets(biases: tuple[float, ...], depth: int, seed: int, tick: Tick) -> Any:
    """Squared gradients (net, bias, layer, sample) of random Highway nets."""
    net, found = highway_net(depth), []
    for k in range(SEEDS):
        rng = np.random.default_rng((seed, k))
        fill(net, branches(rng, depth))
        x, curves = rng.standard_normal((BATCH, WIDTH)), []
        for bias in biases:
            set_gates(net, bias)
            curves.append(backward(states(net, x), rng))
        found.append(curves)
        tick()
    return np.array(found)


def excited_nets(seed: int, tick: Tick) -> Any:
    """Squared gradients (net, case, block, sample) of nets whose excitation ends in zeros."""
    nets, found = {skip: excited_net(skip) for skip in (True, False)}, []
    for k in range(SEEDS):
        rng = np.random.default_rng((seed, k))
        weights = branches(rng, BLOCKS)
        x, curves = rng.standard_normal((BATCH, WIDTH, SIZE, SIZE)), []
        for a, skip in EXCITED:
            fill(nets[skip], weights, a)
            curves.append(backward(states(nets[skip], x), rng))
        found.append(curves)
        tick()
    return np.array(found)


def average(per_net: Any) -> tuple[float, float]:
    """Mean and its relative standard error, between nets: samples of one net share its weights."""
    return float(per_net.mean()), standard_error(per_net) / float(per_net.mean())


def gain_law(name: str, curve: Any, gain: float, source: str) -> Law:
    """The arithmetic mean over layers, samples and nets of what one layer does, which is exact at any width."""
    with np.errstate(invalid="ignore"):  # NaN, which is not within any tolerance, where no gradient is left
        mean, error = average((curve[:, 1:] / curve[:, :-1]).mean(axis=(1, 2)))
    return Law(name, mean, gain, gain * max(0.03, 3 * error), "asymptotic", source)


def judged(bias: float, depth: int) -> bool:
    """Whether 50 nets tell the mean of |g|^2, whose error is sqrt((e^V - 1) / 50), V the variance of its logarithm."""
    return depth * gates.highway_log_variance(bias, WIDTH) <= SPREAD


def highway_laws(bias: float, curve: Any) -> list[Law]:
    """curve: (net, layer, sample) squared gradients."""
    gain, depth = gates.highway_gain(bias), curve.shape[1] - 1
    name = f"Highway, b={bias:g}: gradient norm after {depth} layers"
    mean, error = average(curve[:, -1].mean(axis=1))
    if judged(bias, depth):
        norm = gain ** (depth / 2)
        tolerance = norm * max(0.03, 1.5 * error)  # 3 standard errors of the square are 1.5 of the norm
        total = Law(name, mean**0.5, norm, tolerance, "asymptotic", HIGHWAY)
    else:
        total = shown(name, mean**0.5, HIGHWAY)
    return [gain_law(f"Highway, b={bias:g}: squared gain per layer", curve, gain, HIGHWAY), total]


def by_hand(seed: int) -> list[Law]:
    """One layer of each kind whose gate does look at its input, against its gradient by hand; relative errors."""
    rng = np.random.default_rng((seed, SEEDS))
    ((w1, w2),) = branches(rng, 1)
    gate, bias = rng.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH), -0.5
    (layer,) = net = highway_net(1)
    fill(net, [(w1, w2)])
    set_gates(net, bias)
    layer.gate.weight.data = gate.T
    x, g = rng.standard_normal((2, BATCH, WIDTH))
    highway = _error(layer, x, g, gates.highway_gradient(x, g, w1, w2, gate, bias))
    squeeze = nn.SqueezeExcite(WIDTH, REDUCTION, rng=rng).to("float64")
    x, g = rng.standard_normal((2, BATCH, WIDTH, SIZE, SIZE))
    parts = [parameter.numpy() for parameter in squeeze.parameters()]  # weight and bias of either layer
    excited = _error(squeeze, x, g, gates.excitation_gradient(x, g, *parts))
    errors = {"Highway layer": highway, "SE": excited}
    return [
        Law(f"{name}, random gate weights: gradient less the one by hand", error, 0.0, 1e-12, "check", BY_HAND)
        for name, error in errors.items()
    ]


def _error(layer: nn.Module, x: Any, g: Any, expected: Any) -> float:
    leaf = tr.tensor(x, requires_grad=True)
    found = tr.grad(layer(leaf), leaf, g)[0].numpy()
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def run(options: Options, tick: Tick) -> Result:
    """Highway nets at five biases and nets with squeeze-and-excitation, or Highway nets at one bias and depth."""
    asked = options.settings
    biases, depth = ((asked["bias"],), asked["depth"]) if asked else (BIASES, DEPTH)
    gradients = highway_nets(biases, depth, options.seed, tick).swapaxes(0, 1)  # (bias, net, layer, sample)
    laws = [law for bias, curve in zip(biases, gradients, strict=True) for law in highway_laws(bias, curve)]
    left = {bias: law.measured for bias, law in zip(biases, laws[1::2], strict=True)}
    norms = np.sqrt(gradients.mean(axis=(1, 3)))
    if asked:
        found = told(biases[0], depth, laws)
    else:
        excited = [
            gain_law(
                f"SE, {f'residual, a={a:g}' if skip else 'plain'}: squared gain per block",
                curve,
                gates.excitation_gain(a, skip),
                SE,
            )
            for (a, skip), curve in zip(EXCITED, excited_nets(options.seed, tick).swapaxes(0, 1), strict=True)
        ]
        laws += [*excited, *by_hand(options.seed)]
        found = (
            f"With its gates half open (b = {biases[0]:g}) a Highway net of {depth} layers keeps "
            f"{left[biases[0]]:.1e} of the gradient's norm, and with nearly closed ones (b = {biases[-1]:g}) "
            f"{left[biases[-1]]:.2f} of it; a squeeze-and-excitation block multiplies the squared gradient by "
            f"{excited[0].measured:.3f} beside a skip connection, and without one by {excited[2].measured:.3f}."
        )
    note = "Highway: T = σ(b), for the gates' weights are zero. SE: the excitation's last layer is zero, so s = 1/2."
    figures = {"": lambda figure: draw(figure, dict(zip(biases, norms, strict=True)))}
    return Result(laws, figures=figures, data={"norms": norms.tolist()}, note=note, found=found)


def told(bias: float, depth: int, laws: list[Law]) -> str:
    """One case in a sentence."""
    gain, norm = laws
    text = (
        f"At b = {bias:g} a layer multiplies the squared gradient by {gain.measured:.4g} "
        f"(theory {gain.predicted:.4g}), and {norm.measured:.3g} of the norm is left after {depth} layers"
    )
    if norm.kind != "figure":
        return f"{text} (theory {norm.predicted:.3g})."
    return (
        f"{text}, which has no verdict: nets vary too much for the mean of {SEEDS} of them (the variance of "
        f"ln |g|² is about {depth * gates.highway_log_variance(bias, WIDTH):.2g})."
    )


EXPERIMENT = Experiment(
    name="E11",
    question="How far should gates be open at initialisation for a gradient to get through a deep net?",
    claim="gates: their opening at initialisation decides whether a gradient gets through",
    prediction="squared gain (1 − T)² + T² per Highway layer, T = σ(b); 1 + a²/4 per residual SE block, 1/4 per plain",
    equation=r"\frac{|g_l|^2}{|g_{l+1}|^2} = (1-T)^2 + T^2, \quad T = \frac{1}{1+e^{-b}}; \qquad "
    r"x + a\,s\,F(x), \quad s = \frac{1}{2}: \quad 1 + \frac{a^2}{4}",
    source="Srivastava et al. 2015; Hu et al. 2018; the gains are derived",
    ticks=lambda options: SEEDS if options.settings else 2 * SEEDS,
    run=run,
    seconds=5,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"At initialisation: gates do not depend on their input yet, and branches have unit gain and end in a "
    f"linear map. A layer's gain is the mean over {SEEDS} nets of width {WIDTH}, which is exact at any width. The norm "
    f"after many layers has a verdict if its logarithm's variance between nets is at most {SPREAD:g}, so that the mean "
    f"of {SEEDS} is known to 20 %; for b = 0 that is up to about "
    f"{int(SPREAD / gates.highway_log_variance(0.0, WIDTH))} layers, fewer for open gates.",
    choices=(
        f"The limit of {SPREAD:g} was set by theory, but so that b = 0 with {DEPTH} layers, where the variance is "
        f"{DEPTH * gates.highway_log_variance(0.0, WIDTH):.2f}, keeps its verdict.",
    ),
    settings={
        "bias": Setting(-2.0, "bias b of the gates", low=-20, high=20),
        "depth": Setting(DEPTH, "Highway layers", low=1, high=100),
    },
)
