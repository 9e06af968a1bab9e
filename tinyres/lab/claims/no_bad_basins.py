"""Popular claim: relativistic pairing leaves a generator no bad basin to get stuck in.

Proved by Sun et al. 2020 [sun2020towards] for fakes that keep their real partner, and repeated for R3GAN (Huang et al.
2024 [huang2024gan]), whose batches of real samples and fakes are drawn independently. E29 has the closed forms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.flow.theory import landscape
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.players import e29_r3gan as e29

POINTS = (2, 3, 5, 8)
SOURCE = "fixed pairs: Sun et al. 2020; independent ones: derived"


def barriers(m: int) -> dict[str, float]:
    """What D can gain when one of m fakes leaves the real point on which all of them lie."""
    return {kind: e29.worth(kind, m, 1) - e29.worth(kind, m, 0) for kind in landscape.KINDS}


def run(options: Options, tick: Tick) -> Result:
    """Both ways to draw pairs, for several numbers of real points."""
    found = {}
    for m in POINTS:
        found[m] = barriers(m)
        tick()
    laws = []
    for m, heights in found.items():
        laws.append(Law(f"fixed pairs, {m} points: barrier", heights["pairs"], 0.0, 1e-4, "exact", SOURCE))
        expected = landscape.barrier("mixed", m)
        laws.append(Law(f"independent pairs, {m} points: barrier", heights["mixed"], expected, 1e-4, "exact", SOURCE))
    ratio = found[2]["mixed"] / found[2]["two terms"]
    laws.append(Law("independent pairs over the first GAN, 2 points", ratio, 1.0, 0.0, "ordering", SOURCE))
    names = [e29.NAMES[kind] for kind in landscape.KINDS]
    rows = [[m, *(f"{heights[kind]:.4f}" for kind in landscape.KINDS)] for m, heights in found.items()]
    return Result(
        laws,
        [Table("The barrier on the way out of collapse", ["real points", *names], rows)],
        figures={"": lambda figure: draw(figure, found)},
        note="All fakes lie on one real point, and one of them moves off. D is the best of all functions before and "
        "after; a barrier is what the generator loses on the way.",
        found=f"With pairs that stay together there is no barrier. With independent pairs there is one of "
        f"{found[2]['mixed']:.4f} at two real points, higher than the first GAN's {found[2]['two terms']:.4f}; it "
        "falls as one over the square of their number.",
    )


def draw(figure: Any, found: dict[int, dict[str, float]]) -> None:
    """Barriers by the number of real points."""
    axes = figure.subplots()
    m, line = np.array(list(found)), np.arange(min(POINTS), max(POINTS) + 1)
    for kind in landscape.KINDS:
        heights = [each[kind] for each in found.values()]
        theory = [landscape.barrier(kind, int(k)) for k in line]
        dots_and_line(axes, (m, heights), (line, theory), e29.COLOURS[kind], e29.NAMES[kind])
    axes.set(xlabel="real points", ylabel="barrier", title="What one fake must climb to leave the others")
    axes.set_xticks(line)
    axes.legend(fontsize=9)


EXPERIMENT = Experiment(
    name="claim-no-bad-basins",
    question="Does relativistic pairing leave no basin in which a generator gets stuck?",
    claim="'relativistic pairing has no bad basins'",
    prediction="fixed pairs: no barrier; independent pairs, as minibatches draw them: (ln 2)/m² for m real points",
    equation=r"\Delta = \frac{\ln 2}{m^2}",
    source=SOURCE,
    ticks=lambda options: len(POINTS),
    run=run,
    seconds=4,
    varies="nothing: no number is drawn",
    conditions="A discriminator without limits, and one fake that moves while the others stay. With independent pairs "
    "the value is the mean over all pairs, which is what minibatches estimate.",
)
