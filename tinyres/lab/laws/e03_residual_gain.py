"""E3: without normalisation a residual block multiplies the squared signal and gradient by m² + a².

He et al. 2016 [he2016identity]; Hanin & Rolnick 2018 [hanin2018how].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.context import Observer
from tinyres.flow.instruments.paths import paths
from tinyres.flow.theory import finite_width
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.law import three_errors
from tinyres.lab.laws.e03_figure import draw
from tinyres.lab.laws.e03_nets import GROUP, ROWS, Draw, Net, Shape

SOURCE, EXACT = "He et al. 2016; Hanin & Rolnick 2018", "He et al. 2016"
NARROW = -0.3  # the finite-width term of the logarithm from which on it belongs into the prediction
Case = tuple[float, float]  # scale m of the shortcut, scale a of the branch


OWN = Shape()
DEPTH = OWN.depth
CASES: list[Case] = [(1.0, 1.0), (1.0, 0.5), (1.0, DEPTH**-0.5), (0.5, 0.5), (0.0, 0.5)]  # the last one: a plain net
TOLD = [(1.0, 1.0), (1.0, 0.5), (0.0, 0.5)]  # those that the sentence names; the table has all


def gains(net: Net, cases: Sequence[Case], draw: Draw) -> Any:
    """Log squared signal over the input's and log squared gradient over the top's, after 0 ... L blocks.

    All cases in one pass, since the weights are the same: each has ROWS rows of the batch, and scales of its own.

    Returns:
        (2, L + 1, cases), means over ROWS.
    """
    m, a = (np.repeat(scales, ROWS)[:, None] for scales in zip(*cases, strict=True))  # (cases * ROWS, 1)
    net.fill(draw.weights, m, a)
    states = net.states(np.tile(draw.x, (len(cases), 1)))
    gradients = tr.grad(states[-1], states, np.tile(draw.g, (len(cases), 1)))
    forward, backward = (
        np.log([(h.numpy() ** 2).sum(axis=1).reshape(len(cases), ROWS) for h in found]).mean(axis=2)
        for found in (states, gradients[::-1])
    )
    return np.stack([forward - forward[0], backward - backward[0]])


def ending_in_relu(net: Net, draw: Draw) -> float:
    """The log squared signal over the input's of the case (1, 1/2), in a net whose branches end in ReLU."""
    net.fill(draw.weights, 1.0, 0.5)
    with tr.no_grad():
        top = net.blocks(tr.tensor(draw.x)).numpy()
    return float(np.log((top**2).sum(axis=1) / (draw.x**2).sum(axis=1)).mean())


def by_shortcuts(net: Net, m: float, a: float, draw: Draw) -> float:
    """The squared gradient that comes through all shortcuts and no branch, over the top's: a term of the exact sum."""
    net.fill(draw.weights, m, a)
    states = net.states(draw.x)
    return float(paths(states[-1], states[0], draw.g)["norm"][0] ** 2 / (draw.g**2).sum())


def split_error(seed: int) -> float:
    """How far the two contributions at a block's input are from g and from the branch's vjp, written out by hand."""
    rng = np.random.default_rng(seed)
    net, w = Net(64, 1), rng.standard_normal((1, 2, 64, 64)) / 8
    net.fill(w, 1.0, 1.0)
    net.blocks[0].shortcut = None  # y = F(x) + x
    x = tr.tensor(rng.standard_normal((4, 64)), requires_grad=True)
    found: dict[bool, Any] = {}

    class AtInput(Observer):
        def on_edge(self, consumer: Any, arg_index: int, producer: Any, contribution: Any) -> None:
            if producer is x.node:
                found[consumer.roles is not None and consumer.roles[arg_index] == "skip"] = contribution

    y = net.blocks(x)
    g = rng.standard_normal(y.shape)
    with AtInput():
        tr.grad(y, x, g)
    w1, w2 = w[0]
    by_hand = ((g @ w2) * (x.data @ w1.T > 0)) @ w1
    return float(max(np.abs(found.get(True, np.inf) - g).max(), np.abs(found.get(False, np.inf) - by_hand).max()))


def run(options: Options, tick: Tick) -> Result:
    """Geometric means over nets, forward and backward; exactly: the shortcuts alone, and the split at one block."""
    given = options.settings
    shape = Shape(given["width"], given["depth"], given["nets"]) if given else OWN
    cases = [(given["m"], given["a"])] if given else CASES
    net, with_relu = Net(shape.width, shape.depth), Net(shape.width, shape.depth, ends_in_relu=True)
    logs, relu_logs, alone = [], [], {}
    for k in range(shape.nets):
        if k % GROUP == 0:
            group = Draw.some((options.seed, k // GROUP), shape)
        drawn = next(group)
        logs.append(gains(net, cases, drawn))
        if not given:
            relu_logs.append(ending_in_relu(with_relu, drawn))
        if k == 0:
            ways = cases if given else [(1.0, 0.5), (0.5, 0.5)]
            alone = {m: by_shortcuts(net, m, a, drawn) for m, a in ways if m > 0}
        tick()
    found = np.array(logs)  # (nets, 2, L + 1, cases)
    laws = [law for j, case in enumerate(cases) for law in gain_laws(case, shape, found[:, :, -1, j])]
    said = said_of(cases, shape, laws)
    if not given:
        laws.append(relu_law(np.array(relu_logs), shape))
        said += ". The law needs branches with a mean of 0: if they end in ReLU, x + 0.5 F(x) gives "
        said += f"{laws[-1].measured:.3g}"
    for m, measured in alone.items():
        name, predicted = f"gradient through the skip connections alone, skip {m:g}", m ** (2 * shape.depth)
        laws.append(Law(name, measured, predicted, 1e-12 * predicted, "check", EXACT))
    laws.append(
        Law("split at the input, by hand: largest error", split_error(options.seed), 0.0, 1e-12, "check", EXACT)
    )
    note = f"What {shape.depth} blocks y = skip x + branch F(x) multiply the squared signal (forward) or gradient "
    note += "(backward) by."
    curves = dict(zip(cases, np.moveaxis(found.mean(axis=0), -1, 0), strict=True))
    tables = [] if given else [published()]
    return Result(laws, tables, {"": lambda figure: draw(figure, curves)}, note=note, found=said + ".")


def gain_laws(case: Case, shape: Shape, logs: Any) -> list[Law]:
    """Forward and backward, from logs (nets, 2)."""
    m, a = case
    predicted, finite = (m * m + a * a) ** shape.depth, finite_width.residual_shift(m, a, shape.width, shape.depth)
    if finite < NARROW:  # beyond the law of wide nets: the typical net's, whose next order is about 5/n of that
        predicted *= np.exp(finite)
        finite *= 5 / shape.width
    laws = []
    for way, log in zip(("forward", "backward"), logs.T, strict=True):
        share = max(0.08 if a <= 0.5 else 0.25, 1 - np.exp(finite) + three_errors(log))
        name = f"{way} gain, skip {m:g}, branch {a:.3g}"
        laws.append(Law.of_geometric_mean(name, log, predicted, SOURCE, share=share))
    return laws


def relu_law(logs: Any, shape: Shape) -> Law:
    """F(x) of positive mean adds up with x: more than the law."""
    broken, law = float(np.exp(logs.mean())), 1.25**shape.depth
    tolerance = max(0.08 * law, broken * three_errors(logs))
    name = "forward gain, skip 1, branch 0.5 ending in ReLU"
    return Law(name, broken, law, tolerance, "ordering", "derived: cross term of x and F(x)")


def _block(m: float, a: float) -> str:
    """The block as a formula: x + 0.5 F(x)."""
    parts = [f"{'' if scale == 1 else f'{scale:.3g} '}{what}" for scale, what in ((m, "x"), (a, "F(x)")) if scale]
    return " + ".join(parts) or "0"


def said_of(cases: Sequence[Case], shape: Shape, laws: Sequence[Law]) -> str:
    """The backward gains in words."""
    told = [case for case in cases if case in TOLD] or cases
    parts = [
        f"{law.measured:.4g} for {_block(m, a)} (predicted {law.predicted:.4g})"
        for (m, a), law in zip(cases, laws[1::2], strict=True)
        if (m, a) in told
    ]
    text = f"{shape.depth} blocks multiply the squared gradient by {', '.join(parts)}"
    finite = min(finite_width.residual_shift(m, a, shape.width, shape.depth) for m, a in cases)
    if finite < NARROW:
        text += f"; {shape.width} units are few for this depth: the law of wide nets does not apply, and the "
        text += f"prediction is that of a typical net, {np.exp(finite):.2g} times the law"
    return text


def published() -> Table:
    """What a scaled skip connection does to a trained net."""
    columns = ["ResNet-110 on CIFAR-10", "test error, %", "squared gradient through its 54 skip connections alone"]
    alone = f"{0.5 ** (2 * 54):.1e}"
    rows = [
        ["x + F(x)", "6.61", "1"],
        ["0.5 x + F(x)", "above 20", alone],
        ["0.5 x + 0.5 F(x)", "12.35", alone],
    ]
    note = "Errors: He et al. 2016, Table 1, medians of five runs; tinyres does not train these nets. The "
    note += "last column: m^(2L), as above; it leaves out the ReLU that these blocks have after the sum."
    return Table("A scaled skip connection in a trained net", columns, rows, note)


SETTINGS = {
    "m": Setting(1.0, "scale of the shortcut", low=0, high=3),
    "a": Setting(0.5, "scale of the branch", low=0.01, high=3),
    "width": Setting(OWN.width, "units of a layer", low=32, high=512),
    "depth": Setting(DEPTH, "residual blocks", low=1, high=50),
    "nets": Setting(OWN.nets, "random nets", low=5, high=500),
}


EXPERIMENT = Experiment(
    name="E3",
    question="What do residual blocks do to the gradient without normalisation?",
    claim="residual nets without normalisation: a block x + a F(x) multiplies squared signal and gradient by 1 + a²",
    prediction="(m² + a²)ᴸ both ways for y = m x + a F(x), m the skip and a the branch; exactly, dL/dx = g (F'(x) + I)",
    equation=r"y = m\,x + a\,F(x): \quad \frac{|g_0|^2}{|g_L|^2} = \frac{|x_L|^2}{|x_0|^2} = (m^2 + a^2)^L",
    source=SOURCE,
    ticks=lambda options: int(options.settings.get("nets", OWN.nets)),
    run=run,
    seconds=3,
    starred=True,
    varies="weights, inputs and cotangents of all nets",
    conditions="F has unit gain and its last map is linear; wide nets. The measured value is the geometric mean over "
    "nets, that of a typical net, which falls below the law by exp(-L (4 m²a² + 7 a⁴) / 2n(m² + a²)²) at width n "
    "(leading order, derived). Tolerance: 8 % for a up to 0.5, else 25 %; or the sum of that term and three standard "
    "errors, if it is larger.",
    choices=(
        "The tolerance contains the finite-width term, since the plain net (skip 0) of 256 units lies 13 % below the "
        "law of infinite width. An earlier version measured 20 nets: three standard errors were 37 %, more than that "
        "difference.",
    ),
    settings=SETTINGS,
)
