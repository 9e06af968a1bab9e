"""E24, the curse of depth and its cures: how the variance of the stream grows, and what the last block receives.

Sun et al. 2025 [sun2025curse]; Kim et al. 2025 [kim2025peri].
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory.stream import OPEN, variances, weight_gradients
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.stream.looks import COLOURS, LABELS
from tinyres.lab.stream.nets import NETS, WIDTH, Draw, last_matrices, net, states

CASES = ((40, 1.0), (20, 3.0))  # blocks, and the gain of a branch
SOURCE = "derived; Sun et al. 2025; Kim et al. 2025"
Curves = dict[tuple[str, int, float], Any]  # (norm, depth, s): (nets, depth + 1)


def grown(norm: str, drawn: Draw, s: float) -> tuple[list[float], float]:
    """The variance of the stream after 0 ... L blocks, and |dL/dW2|² / (n |g|²) of the last block."""
    model = net(norm, drawn.weights, s).requires_grad_(False)
    last = last_matrices(model)[-1].requires_grad_()
    *stream, y = states(model, drawn.x)
    (gradient,) = tr.grad(y, [last], drawn.g)
    start = float((drawn.x**2).mean())
    received = float((gradient.data**2).sum()) / (drawn.x.shape[1] * float((drawn.g**2).sum()))
    return [float((h.data**2).mean()) / start for h in stream], received


def run(options: Options, tick: Tick) -> Result:
    """Means over nets, of three nets with the same weights."""
    given = {"depth": 0, "s": 1.0, "width": WIDTH, "nets": NETS} | dict(options.settings)
    cases = ((given["depth"], given["s"]),) if options.settings else CASES
    curves: Curves = {(norm, *case): [] for case in cases for norm in OPEN}
    received: dict[tuple[str, int, float], Any] = {key: [] for key in curves}
    for depth, s in cases:
        seed = (options.seed, depth)
        for drawn in Draw.some(seed, given["nets"], depth, given["width"], device=options.device):
            for norm in OPEN:
                curve, last = grown(norm, drawn, s)
                curves[norm, depth, s].append(curve)
                received[norm, depth, s].append(last)
            tick()
    curves = {key: np.array(found) for key, found in curves.items()}
    laws = [law for key in curves for law in laws_of(key, curves[key], received[key])]
    claims = [] if options.settings else [claimed(curves, received)]
    said = [
        f"{LABELS[norm]} {found[:, -1].mean():.3g} (predicted {variances(norm, depth, s)[-1]:.3g})"
        for (norm, depth, s), found in curves.items()
        if (depth, s) == cases[0]
    ]
    return Result(
        laws,
        tables=claims,
        figures={"": lambda figure: draw(figure, curves)},
        data={f"{norm}, L={depth}, s={s:g}": found.mean(axis=0).tolist() for (norm, depth, s), found in curves.items()},
        note="The variance of the stream over the input's, and |dL/dW2|² / (n |g|²) in the last block.",
        found=f"Through {cases[0][0]} blocks with branches of gain {cases[0][1]:g} the variance of the stream grows "
        f"to: {', '.join(said)}. It is linear in the depth, or less.",
    )


def laws_of(key: tuple[str, int, float], curve: Any, received: Any) -> list[Law]:
    """How far the stream has grown, and how little of the gradient the last block receives."""
    norm, depth, s = key
    case = f"{LABELS[norm]}, L={depth}, branch {s:g}"
    variance, gradient = float(variances(norm, depth, s)[-1]), float(weight_gradients(norm, depth, s)[-1])
    return [
        Law.of_mean(f"{case}: variance of the stream", curve[:, -1], variance, SOURCE, room=0.05 * variance),
        Law.of_mean(f"{case}: gradient of the last W2", np.array(received), gradient, SOURCE, room=0.08 * gradient),
    ]


def claimed(curves: Curves, received: Any) -> Table:
    """Two claims, and what settles each."""
    depth, s = CASES[0]
    half, whole = (float(curves["pre", depth, s][:, k].mean()) for k in (depth // 2, depth))
    lns, pre = (float(np.mean(received[norm, depth, s])) for norm in ("lns", "pre"))
    rows = [
        [
            "pre-LN's variance grows exponentially with depth",
            f"{half:.1f} after {depth // 2} blocks, {whole:.1f} after {depth}: linearly (an exponential would give "
            f"{half**2:.0f})",
        ],
        [
            "LayerNorm scaling lets deep layers contribute more",
            f"the last of {depth} blocks receives {lns:.4f} of the squared gradient, with pre-LN {pre:.4f}: "
            f"{pre / lns:.1f} times as much",
        ],
    ]
    note = "At initialisation. Both claims are made of trained language models, where they may well hold."
    return Table("Two claims about the curse of depth", ["claim", "measured at initialisation"], rows, note)


def draw(figure: Any, curves: Curves) -> None:
    """The variance against depth."""
    cases = sorted({(depth, s) for _, depth, s in curves}, reverse=True)
    for axes, (depth, s) in zip(np.atleast_1d(figure.subplots(1, len(cases))), cases, strict=True):
        blocks = np.arange(depth + 1)
        for norm in OPEN:
            mean, theory = curves[norm, depth, s].mean(axis=0), variances(norm, depth, s)
            dots_and_line(axes, (blocks, mean), (blocks, theory), COLOURS[norm], LABELS[norm], log="y")
        axes.set(xlabel="blocks passed", ylabel="variance of the stream")
        axes.set_title(f"Branches of gain {s:g}: dots measured, lines theory")
        axes.legend(fontsize=8)


SETTINGS = {
    "depth": Setting(30, "blocks", low=1, high=100),
    "s": Setting(1.0, "gain of a branch", low=0.1, high=5),
    "width": Setting(WIDTH, "units of a layer", low=64, high=512),
    "nets": Setting(NETS, "random nets", low=4, high=200),
}


EXPERIMENT = Experiment(
    name="E24",
    question="Why do the deep blocks of a pre-LN Transformer do so little, and what do the cures change?",
    claim="the stream's variance grows linearly with pre-LN and peri-LN, and as a logarithm with LayerNorm scaling",
    prediction="variance 1 + L s² (pre), 1 + s² H (LayerNorm scaling, H = 1 + 1/2 + ... + 1/L), 1 + L (peri)",
    equation=r"q_L: \quad \text{pre } 1 + L s^2, \quad \text{LNS } 1 + s^2 \sum_{l=1}^{L} \frac{1}{l}, \quad "
    r"\text{peri } 1 + L",
    source=SOURCE,
    ticks=lambda options: int(options.settings["nets"] if options.settings else len(CASES) * NETS),
    run=run,
    seconds=5,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="At initialisation, for branches s W2 relu(W1 x) without attention, wide nets, layer norms without "
    "weight and bias, and weights that are not made smaller with depth. Variances within 5 %, gradients within 8 %, or "
    "three standard errors.",
    settings=SETTINGS,
)
