"""E26, the tangent kernel against depth: how far one step can move the function.

Jacot et al. 2018 [jacot2018neural]; Bordelon et al. 2024 [bordelon2024depthwise]; Yang et al. 2024 [yang2024tensor].
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.figures import palette
from tinyres.flow.theory.tangent import FIRST_OVER_SECOND, residual_trace
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick
from tinyres.lab.law import three_errors
from tinyres.lab.stream.nets import Draw

WIDTH, NETS = 128, 16
DEPTHS = (4, 16, 64)
SCALES = {"1/√L": -0.5, "1/L": -1.0}  # powers of the depth
SOURCE = "derived; orders in Yang et al. 2024, Bordelon et al. 2024"


def squares(drawn: Draw, a: float) -> Any:
    """|df/dW|² / (|x|² |v|²) for f = v x_L and blocks x + a W2 relu(W1 x): (L, 2), the mean over the inputs.

    Each input has a v of its own, and its gradient with respect to a matrix is one product of a column and a row: its
    square is that of the column times that of the row, so no gradient of a matrix need be stored.
    """
    x = tr.tensor(drawn.x, requires_grad=True)
    rows, columns = [], []
    for w1, w2 in drawn.weights:
        first = x @ w1
        hidden = tr.relu(first)
        second = hidden @ w2
        rows += [x, hidden]
        columns += [first, second]
        x = x + a * second
    gradients = tr.grad(x, columns, drawn.g)
    of = [
        (row.data**2).sum(axis=1) * (gradient.data**2).sum(axis=1)
        for row, gradient in zip(rows, gradients, strict=True)
    ]
    whole = (drawn.x**2).sum(axis=1) * (drawn.g**2).sum(axis=1)
    return np.array([float((part / whole).mean()) for part in of]).reshape(-1, 2)


def run(options: Options, tick: Tick) -> Result:
    """Means over nets at each depth and scale of the branch."""
    given = options.settings
    width, nets = given.get("width", WIDTH), given.get("nets", NETS)
    cases = [(scale, depth, float(depth**power)) for scale, power in SCALES.items() for depth in DEPTHS] + [
        ("1", 16, 1.0)
    ]
    if given:
        cases = [("", given["depth"], given["a"])]
    found = {}
    for name, depth, a in cases:
        drawn = Draw.some((options.seed, depth), nets, depth, width, batch=4, device=options.device)
        found[name, depth] = np.array([squares(draw, a) for draw in drawn])  # (nets, L, 2)
        tick()
    laws = [law for name, depth, a in cases for law in laws_of(name, depth, a, found[name, depth])]
    said = "; ".join(
        f"a = {name or f'{a:g}'}, {depth} blocks: {found[name, depth].sum(axis=(1, 2)).mean():.3g} "
        f"(predicted {residual_trace(depth, a):.3g})"
        for name, depth, a in cases
    )
    return Result(
        laws,
        figures={"": lambda figure: draw_figure(figure, found, cases)},
        data={f"{name}, L={depth}": all_.mean(axis=0).tolist() for (name, depth), all_ in found.items()},
        note="Sum over all matrices of |df/dW|² / (|x|² |v|²): the trace of the tangent kernel for one input.",
        found=f"With branches scaled by a, the squared gradient of all weights is: {said}.",
    )


def laws_of(name: str, depth: int, a: float, found: Any) -> list[Law]:
    """The trace; and, where the noise allows, how it is spread over matrices and blocks."""
    case = f"a={name or f'{a:g}'}, L={depth}"
    predicted, totals = residual_trace(depth, a), found.sum(axis=(1, 2))
    laws = [Law.of_mean(f"{case}: trace", totals, predicted, SOURCE, room=0.1 * predicted)]
    if a <= 0.5:
        parts = found.sum(axis=1)  # (nets, 2)
        ratio = parts[:, 0].mean() / parts[:, 1].mean()
        noise = three_errors(parts[:, 0] / parts[:, 1])
        room = max(0.1 * FIRST_OVER_SECOND, noise)
        laws.append(Law(f"{case}: W1's part over W2's", ratio, FIRST_OVER_SECOND, room, "asymptotic", SOURCE))
    if a <= 0.5 and depth > 1:
        blocks = found.sum(axis=2)  # (nets, L)
        low, high = blocks[:, : depth // 2].mean(axis=1), blocks[:, -(depth // 2) :].mean(axis=1)
        noise = three_errors(low / high)
        laws.append(
            Law(
                f"{case}: lower half over upper half",
                low.mean() / high.mean(),
                1.0,
                max(0.1, noise),
                "asymptotic",
                SOURCE,
            )
        )
    return laws


def draw_figure(figure: Any, found: dict[tuple[str, int], Any], cases: list[tuple[str, int, float]]) -> None:
    """The trace against depth, and how it is spread over the blocks of the deepest net."""
    left, right = figure.subplots(1, 2)
    for k, name in enumerate(dict.fromkeys(name for name, _, _ in cases)):
        own = [(depth, a) for scale, depth, a in cases if scale == name]
        at = [depth for depth, _ in own]
        mean = [found[name, depth].sum(axis=(1, 2)).mean() for depth in at]
        lengths = np.unique(np.geomspace(1, max(at), 40).astype(int))
        scale = SCALES.get(name)
        line = [residual_trace(int(L), float(L**scale) if scale else own[0][1]) for L in lengths]
        label = f"branch scaled by {name or f'{own[0][1]:g}'}"
        dots_and_line(left, (at, mean), (lengths, line), palette.CASES[k], label, log="xy")
        deepest = found[name, at[-1]].mean(axis=0)
        for j, marker in enumerate("so"):
            share = deepest[:, j] / deepest.sum()
            blocks = np.linspace(0, 1, len(share)) if len(share) > 1 else [0.5]
            right.plot(blocks, share * len(share), marker, color=palette.CASES[k], ms=3)
    left.set(xlabel="blocks, L", ylabel="trace of the tangent kernel / |x|² |v|²")
    left.set_title("How far a step can move the function\n(dots measured, lines theory)")
    left.legend(fontsize=8)
    for share, text in ((2 / 3, "W2: 2/3"), (1 / 3, "W1: 1/3")):
        right.axhline(share, color=palette.FAINT, lw=1)
        right.annotate(text, (1.02, share), (0, 3), textcoords="offset points", color=palette.FAINT, fontsize=8)
    right.set(
        xlabel="block, from the lowest (0) to the highest (1)",
        ylabel="share of the trace, times L",
        ylim=(0, 1.3),
        xlim=(-0.03, 1.2),
    )
    right.set_title("Every block has the same share")


SETTINGS = {
    "depth": Setting(8, "blocks", low=1, high=128),
    "a": Setting(0.25, "scale of the branch", low=0.005, high=1.5),
    "width": Setting(WIDTH, "units of a layer", low=64, high=512),
    "nets": Setting(NETS, "random nets", low=4, high=200),
}


EXPERIMENT = Experiment(
    name="E26",
    question="A residual net gets deeper: how must its branches shrink so that it can still learn features?",
    claim="with branches scaled by 1/sqrt(L) the tangent kernel is the same at any depth; with 1/L it dies out",
    prediction="Σ |df/dW|² = 1.5 a² L (1 + a²)^(L-1) |x|² |v|²: 1.5 e for a = 1/√L, 1.5/L for a = 1/L; W1 : W2 = 1 : 2",
    equation=r"\sum_W \left|\frac{\partial f}{\partial W}\right|^2 = \frac{3}{2} a^2 L (1 + a^2)^{L-1} |x|^2 |v|^2",
    source=SOURCE,
    ticks=lambda options: 1 if options.settings else 2 * len(DEPTHS) + 1,
    run=run,
    seconds=2,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="At initialisation, f = v x_L with blocks x + a W2 relu(W1 x), no normalisation. Arithmetic means, "
    "for a = 1 of rare nets. Within 10 %, or three standard errors. The spread over matrices and blocks is "
    "judged for a up to 1/2.",
    settings=SETTINGS,
)
