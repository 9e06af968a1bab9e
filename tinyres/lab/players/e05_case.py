"""E5 at user-defined settings: one method at one γ, s, χ and h."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tinyres.flow.theory import dirac
from tinyres.lab.experiment import Result, Setting, shown
from tinyres.lab.players import e05_cycles as cycles
from tinyres.lab.players import e05_games as games
from tinyres.lab.players.e05_figure import draw_one
from tinyres.lab.players.e05_methods import (
    alternating_law,
    complex_text,
    curved,
    eigenvalue_laws,
    linear,
    simultaneous_laws,
)

SLOPES = {"gan": dirac.SLOPE, "nonsaturating": dirac.SLOPE, "wgan": 1.0, "r1": dirac.SLOPE, "r2": dirac.SLOPE}
SETTINGS = {
    "method": Setting("r1", "how both are trained", choices=(*SLOPES, "wgan_gp", "noise", "consensus")),
    "gamma": Setting(0.3, "weight of R1, R2 and consensus; 2λ of WGAN-GP", low=0.05, high=40),
    "s": Setting(0.5, "standard deviation of the instance noise", low=0, high=4),
    "chi": Setting(0.0, "curvature of D = ψx + χx², for gan, nonsaturating, wgan, r1 and r2", low=-4, high=4),
    "h": Setting(0.1, "size of a step", low=0.01, high=5),
}
PICTURED, STEPS = 0.1, 250  # the trajectory that is drawn
LONG = 0.25  # steps up to which the form of WGAN-GP's cycle has been derived: longer ones leap over much of a turn


def one(values: Mapping[str, Any]) -> Result:
    """The laws of one case, its trajectory, and what was found."""
    kind, gamma, chi, h = (values[name] for name in ("method", "gamma", "chi", "h"))
    if kind == "wgan_gp":
        return penalised(gamma, h)
    bent = chi != 0 and kind in SLOPES
    method = curved(kind, gamma, chi) if bent else linear(kind, gamma, values["s"])
    laws = [*eigenvalue_laws(method), *simultaneous_laws(method, h)]
    if kind in SLOPES and not bent:
        laws.append(alternating_law(method, h, SLOPES[kind], gamma if kind in ("r1", "r2") else 0.0))
    first, second = method.measured()
    pull = "lets the players circle"
    if abs(first.real) > 1e-9:
        pull = "draws the players together" if first.real < 0 else "drives the players apart"
    found = (
        f"{method.name}: with eigenvalues {complex_text(first)} and {complex_text(second)} the field {pull}; a "
        f"simultaneous step of {h:g} multiplies their distance by {laws[2].measured:.6f}."
    )
    if method.critical:
        found += " Both eigenvalues coincide, so a trajectory has no single rate and none is judged."
    if chi != 0 and not bent:
        found += f" D = ψx here: the theory of {kind} does not involve χ."
    pace = min(h, PICTURED)
    start = (0.3, 0.3, chi) if bent else (1.0, 1.0)
    path = games.trajectory(partial(games.simultaneous, method.field, pace), start, STEPS)
    return Result(
        laws, figures={"": lambda figure: draw_one(figure, path, f"{method.name}, steps of {pace:g}")}, found=found
    )


def penalised(gamma: float, h: float) -> Result:
    """WGAN-GP by alternating steps: a limit cycle, a parked fake, or steps too long for either."""
    name, circles = f"WGAN-GP, γ={gamma:g}", dirac.penalty_has_limit_cycle(gamma, h)
    inside = h <= LONG if circles else gamma * h < 1
    path = cycles.penalised(gamma, h, cycles.FAR) if inside else cycles.walk(gamma, h, STEPS)
    theta, psi = abs(path[-1])
    if not inside:
        reach = float(abs(path[STEPS // 2 :, 0]).max())
        laws = [shown(f"{name}, h={h:g}: largest |θ| in the last {STEPS - STEPS // 2} of {STEPS} steps", reach)]
        limit = f"h <= {LONG:g}" if circles else "hγ < 1"
        found = f"Steps of {h:g} leap over ψ = 0: the law needs {limit}, so |θ| up to {reach:.3g} has no verdict."
    else:
        laws = cycles.penalised_laws(name, path, gamma, h)
        found = (
            f"γ + h = {gamma + h:g} < 2: WGAN-GP circles forever, between θ = ±{laws[0].measured:.4f} "
            f"(predicted {laws[0].predicted:.4f}), and never meets the data."
            if circles
            else f"γ + h = {gamma + h:g} is 2 or more: no limit cycle, the other regime. The fake ends {theta:.4g} "
            f"away from the data (predicted γ = {gamma:g}), before a critic of slope {psi:.2g}."
        )
    title = f"{name}, alternating steps of {h:g}"
    return Result(laws, figures={"": lambda figure: draw_one(figure, path, title)}, found=found)
