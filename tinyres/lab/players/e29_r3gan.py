"""E29, R3GAN's two ideas: penalties at both ends damp twice as much; pairs leave no barrier, if they stay together.

Huang et al. 2024 [huang2024gan]; the landscape: Sun et al. 2020 [sun2020towards], "Towards a better global loss
landscape of GANs"; relativistic pairing: Jolicoeur-Martineau 2019 [jolicoeurmartineau2019relativistic].
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import optim
from tinyres.figures import palette
from tinyres.flow.theory import dirac, landscape
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import r1, r1_r2
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.players import e05_games as games
from tinyres.lab.players.e05_methods import Method, complex_text, eigenvalue_laws

GAMMAS = (0.25, 0.5, 1.0)  # below, at and above the critical one
STEPS, RATE = 300, 0.2  # of Adam on D's values, down to 0: they can come 60 apart, where f(t) is 0 to any digit
PLACES = ("all fakes on\none real point", "one fake\noff every point", "that fake on\nanother real point")
COLOURS = dict(zip(landscape.KINDS, palette.CASES, strict=False))
NAMES = {
    "two terms": "the first GAN",
    "pairs": "relativistic, fixed pairs",
    "mixed": "relativistic, independent pairs",
}
SOURCE, DERIVED = "Sun et al. 2020", "derived; for the setting Sun et al. 2020"


def methods(gammas: Any) -> list[Method]:
    """Relativistic pairing alone, with R1, and with R1 + R2."""
    alone = [Method("relativistic", games.plain("relativistic"), dirac.gan())]
    for gamma in gammas:
        for name, penalty, expected in (("R1", r1, dirac.r1(gamma)), ("R1 + R2", r1_r2, dirac.r1_r2(gamma))):
            alone.append(Method(f"{name}, γ={gamma:g}", games.penalised("relativistic", penalty, gamma), expected))
    return alone


def worth(kind: str, m: int, place: int) -> float:
    """The largest value that D reaches, its numbers at the m real points and at one more place being free.

    place: 0, all fakes on real point 0; 1, fake 1 off every real point; 2, fake 1 on real point 1.
    """
    fakes = np.zeros(m, int)
    fakes[1] = (0, m, 1)[place]
    reals = np.arange(m)
    if kind == "mixed":
        reals, fakes = np.repeat(reals, m), np.tile(fakes, m)
    loss = LOSSES["saturating" if kind == "two terms" else "relativistic"].discriminator
    scale = 2 if kind == "two terms" else 1
    logits = tr.tensor(np.zeros((m + 1, 1)), requires_grad=True)
    optimizer = optim.Adam([logits], RATE, (0.9, 0.9), eps=1e-30)  # as long a step where next to nothing is left
    least = np.inf
    for step in range(STEPS):
        optimizer.lr = RATE * (1 - step / STEPS)
        value = loss(logits[reals], logits[fakes]) / scale
        least = min(least, value.item())
        (logits.grad,) = tr.grad(value, [logits])
        optimizer.step()
    return -least


def run(options: Options, tick: Tick) -> Result:
    """Eigenvalues near the equilibrium, and three games on the way out of collapse."""
    given = {"points": 2, "gamma": 0.0} | dict(options.settings)
    m, gammas = given["points"], (given["gamma"],) if given["gamma"] else GAMMAS
    laws, rows = [], []
    for method in methods(gammas):
        laws += eigenvalue_laws(method)
        rows.append([method.name, "  ".join(complex_text(x) for x in method.measured())])
        tick()
    found = {}
    for kind in landscape.KINDS:
        found[kind] = [worth(kind, m, place) for place in range(3)]
        source = DERIVED if kind == "mixed" or m > 2 else SOURCE
        for place, measured, expected in zip(PLACES, found[kind], landscape.values(kind, m), strict=True):
            name = f"{NAMES[kind]}: {place.replace(chr(10), ' ')}"
            laws.append(Law(name, measured, expected, 1e-4, "exact", source))
        height = found[kind][1] - found[kind][0]
        laws.append(Law(f"{NAMES[kind]}: barrier", height, landscape.barrier(kind, m), 1e-4, "exact", source))
        tick()
    heights = {kind: values[1] - values[0] for kind, values in found.items()}
    table = [[NAMES[kind], *(f"{v:.4f}" for v in values), f"{heights[kind]:.4f}"] for kind, values in found.items()]
    return Result(
        laws,
        [
            Table("Relativistic pairing near the equilibrium", ["penalty", "eigenvalues"], rows),
            Table(
                f"What D can reach with {m} real points",
                ["game", *(place.replace("\n", " ") for place in PLACES), "barrier"],
                table,
            ),
        ],
        figures={"": lambda figure: draw(figure, found, m)},
        data={"landscape": found},
        note="D is any function: its values at the places in question are free, and Adam raises the value until "
        "nothing is left. The generator wants the value to be small, so a step up is a barrier.",
        found=f"On the way out of collapse the first GAN has a barrier of {heights['two terms']:.4f}, and relativistic "
        f"pairing one of {abs(heights['pairs']):.4f} with fixed pairs but of {heights['mixed']:.4f} with independent "
        "ones, as minibatches draw them: the landscape without bad basins needs pairs that stay together.",
    )


def draw(figure: Any, found: dict[str, list[float]], m: int) -> None:
    """The walk of one fake, a line for each game."""
    axes = figure.subplots()
    for kind, values in found.items():
        theory = landscape.values(kind, m)
        dots_and_line(axes, (np.arange(3), values), (np.arange(3), theory), COLOURS[kind], NAMES[kind])
    axes.set_xticks(range(3), PLACES)
    axes.set(ylabel="value of the game at the best D", xlim=(-0.2, 2.2))
    axes.set_title(f"One fake of {m} leaves the others: down is better for G (dots measured, lines theory)")
    axes.legend(fontsize=9, loc="lower left")


SETTINGS = {
    "points": Setting(2, "real points, and as many fakes", low=2, high=12),
    "gamma": Setting(0.0, "weight of the penalties; 0: below, at and above the critical one", low=0, high=20),
}


EXPERIMENT = Experiment(
    name="E29",
    question="What do R3GAN's relativistic pairs and its penalties at both ends change in the game?",
    claim="R1 and R2 together are critical at γ = 1/2, R1 alone at 1; fixed pairs leave no barrier on the way out of "
    "collapse, independent pairs do",
    prediction="eigenvalues: alone ± i/2, R1 -γ/2 ± sqrt(γ²/4 - 1/4), R1 + R2 -γ ± sqrt(γ² - 1/4); barriers with two "
    "real points: first GAN .1308, fixed pairs 0, independent pairs (ln 2)/4",
    equation=r"\lambda_{R1 + R2} = -\gamma \pm \sqrt{\gamma^2 - \frac{1}{4}} \quad "
    r"\Delta_{fixed} = 0 \quad \Delta_{independent} = \frac{\ln 2}{m^2}",
    source="Huang et al. 2024; Sun et al. 2020; eigenvalues and independent pairs are derived",
    ticks=lambda options: len(methods((1.0,) if options.settings.get("gamma") else GAMMAS)) + len(landscape.KINDS),
    run=run,
    seconds=4,
    starred=True,
    varies="nothing: no number is drawn",
    conditions="The eigenvalues are the Dirac-GAN's, with one weight per player. The landscape is that of a "
    "discriminator without limits, which no net is; with independent pairs the value is the mean over all pairs.",
    settings=SETTINGS,
)
