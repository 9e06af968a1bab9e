"""E5, the Dirac-GAN: eigenvalues decide whether the two players, with one weight each, converge, circle or diverge.

Mescheder et al. 2018 [mescheder2018which], "Which training methods for GANs do actually converge?"; consensus
optimisation: Mescheder et al. 2017 [mescheder2017numerics], "The numerics of GANs". The gradient penalty and its weight
of 10: Gulrajani et al. 2017 [gulrajani2017improved].

D(x) = ψ x has one slope everywhere, so R1, a penalty at the data, and R2, the same at the fakes, are one method. With
D(x) = ψ x + χ x² they are two: where D curves up at the data, R1 may drive away what R2 draws in.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tinyres.flow.theory import dirac
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.players import e05_cycles as cycles
from tinyres.lab.players import e05_games as games
from tinyres.lab.players.e05_case import SETTINGS, one
from tinyres.lab.players.e05_figure import draw
from tinyres.lab.players.e05_methods import (
    MESCHEDER,
    alternating_law,
    complex_text,
    curved,
    eigenvalue_laws,
    linear,
    simultaneous_laws,
)

H = 0.1  # step size of the trajectories
METHODS = [
    linear("gan"),
    linear("nonsaturating"),
    linear("wgan"),
    *(linear("r1", gamma) for gamma in (0.3, 1.0, 2.0)),
    *(linear("noise", s=s) for s in (0.5, 2.0)),
    linear("consensus", 1.0),
]
CURVED = [curved("gan", 0.0, -0.5), *(curved(kind, 1.0, chi) for chi in (-0.5, 0.3) for kind in ("r1", "r2"))]
SHOWN = [METHODS[0], METHODS[3], METHODS[7], METHODS[8]]


def run(options: Options, tick: Tick) -> Result:
    """Jacobians where the fake is on the data, rates of trajectories near it, and what does not converge."""
    if options.settings:
        tick()
        return one(options.settings)
    laws, rows = near(), []
    for method in [*METHODS, *CURVED]:
        found = method.measured()
        largest = [max(dirac.simultaneous(x, h) for x in found) for h in (H, 0.5)]
        rows.append([method.name, "  ".join(complex_text(x) for x in found), *(f"{x:.5f}" for x in largest)])
        tick()
    far, far_laws = cycles.far_out()
    tick()
    paths = {
        method.name: games.trajectory(partial(games.simultaneous, method.field, H), (1.0, 1.0), 250) for method in SHOWN
    }
    step = partial(games.alternating, games.plain("saturating"), H)
    paths["GAN, alternating"] = games.trajectory(step, (1.0, 1.0), 250)
    tick()
    note = (
        "Data at 0, one fake at θ, D(x) = ψx or ψx + χx². A negative real part draws both players to the point where "
        "the fake is on the data and D is flat there. If it is 0 they circle, and every simultaneous step of size h "
        "multiplies their distance by sqrt(1 + h²/4)."
    )
    columns = ["method", "eigenvalues", f"factor per step, h={H}", "h=0.5"]
    return Result(
        [*laws, *far_laws],
        [Table("The update field near the equilibrium", columns, rows)],
        figures={"": lambda figure: draw(figure, paths, far)},
        data={"paths": {name: path.tolist() for name, path in paths.items()}},
        note=note,
        found=_found({law.name: law.measured for law in [*laws, *far_laws]}, far),
    )


TICKS = len(METHODS) + len(CURVED) + 2


def near() -> list[Law]:
    """Eigenvalues of fields; steps of size h, both players at once or one after the other; short trajectories."""
    gan, wgan, damped = METHODS[0], METHODS[2], METHODS[3]
    laws = [law for method in (*METHODS, *CURVED) for law in eigenvalue_laws(method)]
    for method in (gan, wgan, damped, *CURVED[-2:]):
        laws += simultaneous_laws(method, H)
    laws += [alternating_law(gan, h, dirac.SLOPE) for h in (H, 3.9, 5.0)]
    name = f"GAN, alternating, h={H}: trajectory's factor per step"
    factor = games.rate(partial(games.alternating, games.plain("saturating"), H))
    return [*laws, Law(name, factor, 1.0, 1e-6, "exact", MESCHEDER)]


def _found(measured: dict[str, float], far: dict[str, Any]) -> str:
    """In a sentence."""

    def factor(name: str) -> float:
        return measured[f"{name}, simultaneous, h={H:g}: trajectory's factor per step"]

    theta, psi = abs(far["WGAN-GP, λ=10"][-1])
    return (
        f"A step of h={H:g} moves the plain GAN's players {factor('GAN') - 1:.2%} further apart and R1's (γ=0.3) "
        f"{1 - factor('R1, γ=0.3'):.2%} closer; WGAN-GP circles between ±{measured[CIRCLE]:.2f} at γ={cycles.CYCLE:g}, "
        f"and at the published λ=10 (γ=20) the fake ends {theta:.2f} away from the data, where the critic has slope "
        f"{psi:.4f}. Where D curves up at the data (χ=0.3, γ=1), R1 drives the fake away by "
        f"{factor('R1, γ=1, χ=0.3') - 1:.2%} per step, and R2 draws it in by {1 - factor('R2, γ=1, χ=0.3'):.2%}."
    )


CIRCLE = "WGAN-GP: largest |θ| on the limit cycle"


EXPERIMENT = Experiment(
    name="E5",
    claim="Dirac-GAN: the plain game circles or diverges; only damping makes the two players converge",
    question="Do a generator and a discriminator with one weight each converge, circle forever, or diverge?",
    prediction="eigenvalues at (0, 0): GAN ± i/2, WGAN ± i, R1 -γ/2 ± sqrt(γ²/4 - 1/4), noise -s²/4 ± "
    "sqrt(s⁴/16 - 1/4), consensus -γ/4 ± i/2; D = ψx + χx²: (χ - γ)/2 ± sqrt((χ ± γ)²/4 - 1/4), + for R1 and - for "
    "R2; clipping ends on a limit cycle, WGAN-GP on one for γ = 2λ < 2 and else beside the data, at |θ| = γ",
    equation=r"\lambda_{GAN} = \pm \frac{i}{2} \quad \lambda_{WGAN} = \pm i \quad "
    r"\lambda_{R1} = -\frac{\gamma}{2} \pm \sqrt{\frac{\gamma^2}{4} - \frac{1}{4}} \quad "
    r"\lambda_{noise} = -\frac{s^2}{4} \pm \sqrt{\frac{s^4}{16} - \frac{1}{4}} \quad "
    r"\lambda_{R1, R2} = \frac{\chi - \gamma}{2} \pm \sqrt{\frac{(\chi \pm \gamma)^2}{4} - \frac{1}{4}}",
    source=f"{MESCHEDER}; D = ψx + χx², the limit cycles' size and the parked fake are derived",
    ticks=lambda options: 1 if options.settings else TICKS,
    run=run,
    seconds=5,
    starred=True,
    varies="nothing: no number is drawn",
    conditions="One weight per player, equal rates, one step each. The eigenvalues describe the neighbourhood of the "
    "equilibrium: trajectories are judged within 1e-3 of it. WGAN-GP circles only for γ = 2λ < 2 (with alternating "
    "steps of size h, for γ + h < 2); from 2 up, the published λ = 10 included, it stalls, which requires hγ < 1. The "
    "stalled fake stays put for exact gradients: a slope pushed past 0 sends it to the other side.",
    choices=(
        "WGAN-GP's condition γ < 2 was added after a run at the published λ = 10 had shown no cycle.",
        "D = ψx + χx² was added after penalties at the data and at the fakes had been swapped and nothing in this "
        "experiment had noticed.",
        "WGAN-GP's cycle is compared with the closed form for steps of size h, not for gradient flow, since 1 % of "
        "its extent at h = 0.08 had been seen to come from the step size; its tolerance went from 3 % to 1 %.",
    ),
    settings=SETTINGS,
)
