"""E21, pre-LN against post-LN: what a random net's last and first weights receive.

Xiong et al. 2020 [xiong2020layer] prove that the gradient of post-LN's parameters near the output is large, and that
pre-LN's falls as 1/sqrt(L). Here are both as numbers, for branches of two matrices and a ReLU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory.stream import weight_gradients
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import three_errors
from tinyres.lab.stream.looks import COLOURS, LABELS
from tinyres.lab.stream.nets import NETS, WIDTH, Draw, last_matrices, net

DEPTHS = (16, 32)
SIDES = ("pre", "post")
SOURCE = "derived; Xiong et al. 2020 have the order in L"
Found = dict[tuple[str, int], Any]  # (norm, depth): (nets, depth)


def squared_gradients(norm: str, drawn: Draw, s: float = 1.0) -> list[float]:
    """|dL/dW2_l|² / (n |g|²) of each block l; g is the cotangent after the last layer norm."""
    model = net(norm, drawn.weights, s)
    gradients = tr.grad(model(tr.tensor(drawn.x)), last_matrices(model), drawn.g)
    whole = drawn.x.shape[1] * float((drawn.g**2).sum())
    return [float((gradient.data**2).sum()) / whole for gradient in gradients]


def run(options: Options, tick: Tick) -> Result:
    """Means over nets, at two depths or at the one that is asked for."""
    given = {"depth": 0, "s": 1.0, "width": WIDTH, "nets": NETS} | dict(options.settings)
    depths = (given["depth"],) if options.settings else DEPTHS
    found: Found = {(norm, depth): [] for depth in depths for norm in SIDES}
    for depth in depths:
        seed = (options.seed, depth)
        for drawn in Draw.some(seed, given["nets"], depth, given["width"], device=options.device):
            for norm in SIDES:
                found[norm, depth].append(squared_gradients(norm, drawn, given["s"]))
            tick()
    found = {case: np.array(squares) for case, squares in found.items()}
    laws = [law for depth in depths for law in laws_of(found, depth, given["s"])]
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, found, given["s"])},
        data={f"{norm}, L={depth}": squares.mean(axis=0).tolist() for (norm, depth), squares in found.items()},
        note="Squared gradient of the branch's second matrix, over n times that of the cotangent; means over nets. The "
        "first block of post-LN lies above 1/2 in deep nets, which are not wide enough for the law of wide nets there.",
        found=" ".join(said_of(found, depth, given["s"]) for depth in depths),
    )


def laws_of(found: Found, depth: int, s: float) -> list[Law]:
    """The last block of both, their ratio, and the first block of post-LN, which shows no sign of vanishing."""
    ends = {norm: found[norm, depth][:, -1] for norm in SIDES}
    predicted = {norm: float(weight_gradients(norm, depth, s)[-1]) for norm in SIDES}
    laws = [
        Law.of_mean(f"{LABELS[norm]}, L={depth}: last block", ends[norm], value, SOURCE, room=0.08 * value)
        for norm, value in predicted.items()
    ]
    pre, post = (float(ends[norm].mean()) for norm in SIDES)
    ratio, wanted = post / pre, predicted["post"] / predicted["pre"]
    noise = float(np.hypot(*(three_errors(ends[norm]) / ends[norm].mean() for norm in SIDES)))
    name = f"post-LN over pre-LN, L={depth}: last block"
    laws.append(Law(name, ratio, wanted, max(0.08, noise) * wanted, "asymptotic", SOURCE))
    laws.append(shown(f"post-LN, L={depth}: first block", float(found["post", depth][:, 0].mean())))
    return laws


def said_of(found: Found, depth: int, s: float) -> str:
    """The last block in a sentence."""
    pre, post = (float(found[norm, depth][:, -1].mean()) for norm in SIDES)
    wanted = [float(weight_gradients(norm, depth, s)[-1]) for norm in SIDES]
    return (
        f"In the last of {depth} blocks a weight matrix receives {pre:.4f} of the squared gradient with pre-LN "
        f"(predicted {wanted[0]:.4f}) and {post:.3f} with post-LN ({wanted[1]:.3f}), and in post-LN's first block "
        f"{float(found['post', depth][:, 0].mean()):.2f}: it does not vanish."
    )


def draw(figure: Any, found: Found, s: float) -> None:
    """What each block's second matrix receives."""
    depths = sorted({depth for _, depth in found})
    for axes, depth in zip(np.atleast_1d(figure.subplots(1, len(depths), sharey=True)), depths, strict=True):
        l = np.arange(1, depth + 1)
        for norm in SIDES:
            mean, theory = found[norm, depth].mean(axis=0), weight_gradients(norm, depth, s)
            dots_and_line(axes, (l, mean), (l, theory), COLOURS[norm], LABELS[norm], log="y")
        axes.set(xlabel="block, from the input", title=f"{depth} blocks: dots measured, lines theory")
        axes.legend(fontsize=8, loc="lower left")
    figure.axes[0].set_ylabel("|dL/dW₂|² / n |g|²")


SETTINGS = {
    "depth": Setting(10, "blocks", low=1, high=100),
    "s": Setting(1.0, "gain of a branch", low=0.1, high=3),
    "width": Setting(WIDTH, "units of a layer", low=64, high=512),
    "nets": Setting(NETS, "random nets", low=8, high=200),
}


EXPERIMENT = Experiment(
    name="E21",
    question="Pre-LN or post-LN: how much gradient do the weights of the last block receive?",
    claim="at initialisation the last block's weights receive 1/2 with post-LN, and 1/(L + 1) with pre-LN",
    prediction="|dL/dW2|² / (n |g|²) in block l: pre-LN 1/(1 + l), post-LN 1/2; in the last one a ratio of (L + 1)/2",
    equation=r"\frac{|\partial \mathcal{L} / \partial W_2^{(l)}|^2}{n |g|^2}: \quad \text{pre } \frac{1}{1 + l}, "
    r"\quad \text{post } \frac{1}{2}",
    source=SOURCE,
    ticks=lambda options: int(options.settings["nets"] if options.settings else len(DEPTHS) * NETS),
    run=run,
    seconds=3,
    starred=True,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="At initialisation, for branches W2 relu(W1 x) of unit gain without attention, wide nets, layer norms "
    "without weight and bias, and a cotangent of its own for each sample. The means are arithmetic. The law is judged "
    "in the last block, within 8 % or three standard errors: further down a post-LN net of 32 blocks and 256 units "
    "exceeds it. That post-LN needs a warm-up is a statement about training, which no random net can confirm.",
    settings=SETTINGS,
)
