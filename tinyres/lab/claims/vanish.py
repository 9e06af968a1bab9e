"""Popular claim: very deep residual nets may still suffer from vanishing gradients.

At initialisation the opposite happens: gradients grow as 2^L without normalisation, as a power of L with it. They
vanish if and only if the identity path is scaled down or broken. He et al. 2016 [he2016identity], "Identity mappings in
deep residual networks"; Hanin & Rolnick 2018 [hanin2018how], "How to start training"; with batch norm De & Smith 2020
[de2020batch].
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinyres.flow.theory import normalised
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.laws import e04_batch_norm as e04
from tinyres.lab.laws.e03_nets import Net
from tinyres.lab.laws.e11_gates import WIDTH, backward, branches

DEPTHS = (10, 27, 54)
DEEPEST, SEEDS, NORMED_SEEDS, BATCH = max(DEPTHS), 20, 2, 8
UNNORMED = [(1.0, 1.0), (0.5, 0.5), (0.0, 0.5)]  # scales of shortcut and branch
HE, DERIVED = "He et al. 2016; Hanin & Rolnick 2018", "derived; for the setting De & Smith 2020"


def label(m: float, a: float) -> str:
    return {
        1.0: "no norm, x + F(x)",
        0.5: "shortcut and branch scaled by ½",
        0.0: "shortcut cut, branch scaled by ½",
    }[m]


def run(options: Options, tick: Tick) -> Result:
    """Squared gradients at 10, 27 and 54 blocks."""
    logs: dict[str, list[Any]] = {}
    net = Net(WIDTH, DEEPEST)
    for seed in range(SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        weights = np.array(branches(rng, DEEPEST)).swapaxes(2, 3)  # a layer computes x Wᵀ
        x = rng.standard_normal((BATCH, WIDTH))
        for m, a in UNNORMED:
            net.fill(weights, m, a)
            logs.setdefault(label(m, a), []).append(np.log(backward(net.states(x), rng)).mean(axis=1))
        tick()
    for seed in range(NORMED_SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        draws = rng.standard_normal((DEEPEST, 2, e04.WIDTH, e04.WIDTH))
        for layers in (1, 2):
            found = e04.log_ratios(partial(e04.residual, layers=layers), draws, rng)
            logs.setdefault(f"batch norm, {layers}-layer branch", []).append(found)
            tick()
    laws = []
    for m, a in UNNORMED:
        slopes = np.array(logs[label(m, a)])[:, -1] / DEEPEST
        gain = m * m + a * a
        name = f"{label(m, a)}: squared gain per block"
        laws.append(Law.of_geometric_mean(name, slopes, gain, HE, share=0.05))
    curves = {case: np.mean(found, axis=0) for case, found in logs.items()}
    for layers in (1, 2):
        curve = curves[f"batch norm, {layers}-layer branch"]
        for depth in DEPTHS:
            gain = float(normalised.residual_gains(depth, layers)[-1])
            name = f"batch norm, {layers}-layer branch: squared gradient, {depth} blocks"
            laws.append(Law(name, float(np.exp(curve[depth])), gain, 0.1 * gain, "asymptotic", DERIVED))
    intact = [curve for case, curve in curves.items() if "shortcut" not in case]
    least = float(min(curve[1:].min() for curve in intact))
    laws.append(Law("identity path intact: least ln of the gain, any net and depth", least, 0.0, 0.0, "ordering", HE))
    note = (
        "Squared gradient below a number of blocks, divided by that at the top, at initialisation: geometric means "
        "over nets and, without norm, over samples."
    )
    plain, _, cut, normed, _ = (float(np.exp(curve[-1])) for curve in curves.values())
    told = (
        f"{DEEPEST} residual blocks multiply the squared gradient by {plain:.1e}, with batch norm by {normed:.0f}, and "
        f"by {cut:.1e} if the skip connection is cut and the branch halved: as long as x itself is passed on, nothing "
        "vanishes, and the danger for a deep residual net without normalisation is explosion."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, curves)}, note=note, found=told)


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """log10 of the gain against the number of blocks."""
    axes = figure.subplots()
    depth = np.arange(DEEPEST + 1)
    theory = [np.log(m * m + a * a) * depth for m, a in UNNORMED]
    theory += [np.log(normalised.residual_gains(DEEPEST, layers)) for layers in (1, 2)]
    for k, ((case, curve), line) in enumerate(zip(curves.items(), theory, strict=True)):
        dots_and_line(axes, (depth[::3], curve[::3] / np.log(10)), (depth, line / np.log(10)), k, case)
    axes.axhline(0, color="k", lw=0.5)
    axes.set(xlabel="residual blocks", ylabel="log₁₀ of squared gradient, bottom divided by top", xticks=[0, *DEPTHS])
    axes.set_title("Residual nets vanish only if the identity path is scaled or cut (dots measured, lines theory)")
    axes.legend(fontsize=9)


EXPERIMENT = Experiment(
    name="claim-vanish",
    question="Do the gradients of very deep residual nets still vanish?",
    claim="'gradients of residual nets may still vanish when deep'",
    prediction="no norm 2ᴸ, batch norm about L^1.5 to L^2.2; they vanish only if the identity path is scaled or cut",
    equation=r"\frac{|g_0|^2}{|g_L|^2} = (m^2 + a^2)^L \; (\mathrm{no\ norm}), \quad \prod_{l=1}^{L} (1 + r_l) \;"
    r" (\mathrm{batch\ norm})",
    source=HE,
    ticks=lambda options: SEEDS + 2 * NORMED_SEEDS,
    run=run,
    seconds=3,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"At initialisation. The nets without norm have width {WIDTH}, those with batch norm, in training "
    f"mode, width and batch {e04.WIDTH}.",
)
