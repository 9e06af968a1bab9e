"""WGAN far from equilibrium: limit cycles with a gradient penalty or clipping; at the published penalty it gets stuck.

The critic of WGAN-GP is pulled to a slope of 1 or -1, whichever is nearer, regardless of the data. So the fake is drawn
towards θ = γ or -γ. If γ < 2 it overshoots, the slope changes sign, and it goes back: a limit cycle. If γ >= 2 it
creeps up to ±γ, where the critic has become flat. That point attracts only one sign of the slope: if the slope were
pushed past 0 there, by a sampled batch say, the fake would leave for the other side.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from tinyres.flow.theory import dirac
from tinyres.gan.penalties import gradient_penalty
from tinyres.lab.experiment import Law
from tinyres.lab.players import e05_games as games
from tinyres.lab.players.e05_methods import DERIVED, MESCHEDER

PUBLISHED = 20.0  # γ = 2 λ
CYCLE, CYCLE_H, PARKED_H = 0.5, 0.08, 0.04
CLIP, CLIP_STEPS, CLIP_TURN = 0.5, 400, 100
FAR, NEAR = (2.0, 0.1), (0.1, 0.1)
LONGEST = 25_000  # steps: close to γ + h = 2 a turn takes ever longer


def walk(gamma: float, h: float, steps: int, start: tuple[float, float] = FAR) -> Any:
    """WGAN-GP by alternating steps: (steps + 1, 2)."""
    game = games.penalised("wasserstein", gradient_penalty, gamma / 2)
    return games.trajectory(partial(games.alternating, game, h, create_graph=False), start, steps)


def penalised(gamma: float, h: float, start: tuple[float, float]) -> Any:
    """The same until it circles or has parked."""
    if dirac.penalty_has_limit_cycle(gamma, h):
        time, decay = dirac.half_turn(gamma, h)
        needed = time * (1 + math.ceil(math.log(300) / decay) + 2)
    else:
        needed = 6 * h / -math.log(dirac.alternating(1.0, h, gamma)) + 5
    return walk(gamma, h, min(LONGEST, round(needed / h)), start)


def penalised_laws(name: str, path: Any, gamma: float, h: float) -> list[Law]:
    """A cycle of the right extent that keeps away from (0, 0); or a fake beside the data and a flat critic."""
    extent = dirac.penalty_cycle(gamma, h)
    if dirac.penalty_has_limit_cycle(gamma, h):
        turn = min(len(path) // 2, round(2 * dirac.half_turn(gamma, h)[0] / h) + 1)
        return circling(name, path[-turn:], extent, 0.01)
    step = partial(games.alternating, games.penalised("wasserstein", gradient_penalty, gamma / 2), h)
    found = max(abs(x) for x in games.eigenvalues(games.jacobian_at(step, path[-1])))
    expected, (theta, psi) = dirac.alternating(1.0, h, gamma), np.abs(path[-1])
    return [
        Law(f"{name}: |θ| after {len(path) - 1:,} steps", float(theta), extent, 0.01 * extent, "asymptotic", DERIVED),
        Law(f"{name}: the critic's slope by then", float(psi), 0.0, 0.01, "asymptotic", DERIVED),
        Law(f"{name}, alternating, h={h:g}: |λ| there", found, expected, 1e-8, "exact", DERIVED),
    ]


def circling(name: str, turn: Any, extent: float, tolerance: float) -> list[Law]:
    """The extent of the last turn, and that it does not come near (0, 0)."""
    reach, nearest = float(np.abs(turn[:, 0]).max()), float(np.linalg.norm(turn, axis=1).min())
    return [
        Law(f"{name}: largest |θ| on the limit cycle", reach, extent, tolerance * extent, "asymptotic", DERIVED),
        Law(f"{name}: how near (0, 0) it comes in the last turn", nearest, extent / 2, 0.0, "ordering", MESCHEDER),
    ]


def far_out() -> tuple[dict[str, Any], list[Law]]:
    """Trajectories by name, and their laws."""
    clipped = partial(games.alternating, games.plain("wasserstein"), CYCLE_H, create_graph=False)
    paths = {
        "WGAN-GP": penalised(CYCLE, CYCLE_H, FAR),
        "WGAN-GP, from inside": penalised(CYCLE, CYCLE_H, NEAR),
        "WGAN, clipped": games.trajectory(clipped, FAR, CLIP_STEPS, CLIP),
        "WGAN-GP, λ=10": penalised(PUBLISHED, PARKED_H, FAR),
    }
    laws = []
    for name in ("WGAN-GP", "WGAN-GP, from inside"):
        laws += penalised_laws(name, paths[name], CYCLE, CYCLE_H)
    laws += circling("WGAN, clipped", paths["WGAN, clipped"][-CLIP_TURN:], dirac.clipped_cycle(CLIP), 0.03)
    return paths, [*laws, *penalised_laws("WGAN-GP, λ=10", paths["WGAN-GP, λ=10"], PUBLISHED, PARKED_H)]
