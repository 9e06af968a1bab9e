"""E5: the smallest GAN, one weight a player: eigenvalues decide whether the two meet, circle, or run away.

Mescheder, Geiger & Nowozin 2018, "Which training methods for GANs do actually converge?"; consensus optimisation:
Mescheder, Nowozin & Geiger 2017, "The numerics of GANs".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.theory import dirac
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import gradient_penalty, r1

MESCHEDER, DERIVED = "Mescheder et al. 2018", "derived; for the setting Mescheder et al. 2018"
H = 0.1  # step size of the trajectories
SMALL, STEPS = 0.001, 100  # trajectories are linear only near (0, 0)
CYCLE_H, CYCLE_STEPS, TURN = 0.08, 400, 100  # steps in all, and those of the last turn or more
GAMMA_CYCLE, CLIP = 0.5, 0.5
NOISE, NOISE_WEIGHTS = np.polynomial.hermite_e.hermegauss(12)

G, D = np.array([1.0, 0.0]), np.array([0.0, 1.0])  # whose entry of (theta, psi) is whose

Field = Callable[[Any], Any]


def discriminator(psi: Any, x: Any) -> Any:
    """D(x) = psi x."""
    return psi * x


def game(loss: str, point: Any) -> Any:
    """(theta, psi) -> (-dL_G/dtheta, -dL_D/dpsi): data at 0, a fake at theta, each player descends its own loss."""
    theta, psi = point[0], point[1]
    real, fake = discriminator(psi, 0.0), discriminator(psi, theta)
    return own(LOSSES[loss].generator(fake), LOSSES[loss].discriminator(real, fake), point)


def own(generator: Any, discriminator: Any, point: Any) -> Any:
    """(-dL_G/dtheta, -dL_D/dpsi) from both losses."""
    g = tr.grad(generator, point, create_graph=True)[0]
    d = tr.grad(discriminator, point, create_graph=True)[0]
    return -(G * g + D * d)


def penalised(loss: str, penalty: Callable[..., Any], weight: float, point: Any) -> Any:
    """The game with weight * penalty added to D's loss; where a linear D's slope is taken does not matter."""
    samples = np.zeros((2, 1))
    added = penalty(partial(discriminator, point[1]), samples, samples, np.random.default_rng(0))
    return game(loss, point) - D * tr.grad(weight * added, point, create_graph=True)[0]


def noisy(s: float, point: Any) -> Any:
    """The game with N(0, s^2) added to the data and to the fake, by Gauss-Hermite quadrature."""
    theta, psi = point[0], point[1]
    weights = NOISE_WEIGHTS / NOISE_WEIGHTS.sum()
    real, fake = discriminator(psi, s * NOISE), discriminator(psi, theta + s * NOISE)
    value = tr.sum(weights * (tr.softplus(-real) + tr.softplus(fake)))
    return own(-tr.sum(weights * tr.softplus(fake)), value, point)


def consensus(gamma: float, point: Any) -> Any:
    """v - (gamma / 2) grad |v|^2: both players also descend the length of the update."""
    v = game("saturating", point)
    return v - tr.grad(gamma / 2 * tr.sum(v * v), point, create_graph=True)[0]


@dataclass(frozen=True)
class Method:
    """A field and the eigenvalues that its Jacobian should have at (0, 0)."""

    name: str
    field: Field
    eigenvalues: dirac.Pair


METHODS = [
    Method("GAN", partial(game, "saturating"), dirac.gan()),
    Method("non-saturating", partial(game, "nonsaturating"), dirac.gan()),
    Method("WGAN", partial(game, "wasserstein"), dirac.wgan()),
    *(
        Method(f"R1, γ={gamma:g}", partial(penalised, "saturating", r1, gamma), dirac.r1(gamma))
        for gamma in (0.3, 1.0, 2.0)
    ),
    *(Method(f"instance noise, s={s:g}", partial(noisy, s), dirac.instance_noise(s)) for s in (0.5, 2.0)),
    Method("consensus, γ=1", partial(consensus, 1.0), dirac.consensus(1.0)),
]


def simultaneous(field: Field, h: float, point: Any) -> Any:
    """point + h v(point): both players move at once."""
    return point + h * field(point)


def alternating(field: Field, h: float, point: Any) -> Any:
    """G moves, then D answers to where G is now."""
    moved = point + h * field(point) * G
    return moved + h * field(moved) * D


def at_origin(function: Field) -> Any:
    """The Jacobian at (0, 0)."""
    return tr.jacobian(function, tr.tensor(np.zeros(2))).numpy()


def eigenvalues(function: Field) -> dirac.Pair:
    """Of the Jacobian at (0, 0), from trace and determinant: a solver loses half the digits where they coincide."""
    a = at_origin(function)
    return dirac.roots(float(np.trace(a)), float(a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]))


def trajectory(step: Field, start: tuple[float, float], steps: int, limit: float | None = None) -> Any:
    """The trajectory (steps + 1, 2); with a limit, psi is clipped to it after every step."""
    points = [np.array(start)]
    for _ in range(steps):
        reached = step(tr.tensor(points[-1], requires_grad=True)).numpy()
        points.append(reached if limit is None else np.array([reached[0], np.clip(reached[1], -limit, limit)]))
    return np.array(points)


def rate(step: Field) -> float:
    """Factor a step of a trajectory from near (0, 0), in the coordinates of the eigenvectors, where it is |λ|."""
    values, vectors = np.linalg.eig(at_origin(step))
    points = np.linalg.solve(vectors, trajectory(step, (SMALL, SMALL), STEPS).T.astype(complex))
    leading = np.abs(points[int(np.argmax(np.abs(values)))])
    return float((leading[-1] / leading[0]) ** (1 / STEPS))


def run(options: Options, tick: Tick) -> Result:
    """Jacobians at (0, 0), rates of trajectories near it, limit cycles of what does not converge."""
    laws, rows = [], []
    for method in METHODS:
        found = eigenvalues(method.field)
        for part in ("real", "imaginary"):
            measured, expected = (x.real if part == "real" else x.imag for x in (found[0], method.eigenvalues[0]))
            name = f"{method.name}: {part} part of the field's first eigenvalue"
            laws.append(Law(name, measured, expected, 1e-8, "exact", MESCHEDER))
        largest = [max(dirac.simultaneous(x, h) for x in found) for h in (H, 0.5)]
        rows.append([method.name, "  ".join(_complex(x) for x in found), *(f"{x:.5f}" for x in largest)])
        tick()
    laws += step_laws()
    tick()
    cycles, cycle_laws = limit_cycles()
    tick()
    paths = {method.name: trajectory(partial(simultaneous, method.field, H), (1.0, 1.0), 250) for method in SHOWN}
    paths["GAN, alternating"] = trajectory(partial(alternating, SHOWN[0].field, H), (1.0, 1.0), 250)
    tick()
    columns = ["method", "eigenvalues at (0, 0)", f"factor a step, h={H}", "h=0.5"]
    note = (
        "Data at 0, one fake at θ, D(x) = ψx. A real part below 0 draws both players to (0, 0); without one they "
        "circle, and every simultaneous step of size h takes them further out by sqrt(1 + h²/4)."
    )
    return Result(
        [*laws, *cycle_laws],
        [Table("The update field near the equilibrium", columns, rows)],
        figures={"": lambda figure: draw(figure, paths, cycles)},
        data={"paths": {name: path.tolist() for name, path in paths.items()}},
        note=note,
    )


SHOWN = [METHODS[0], METHODS[3], METHODS[7], METHODS[8]]


def _complex(x: complex) -> str:
    return f"{x.real:+.3f}{x.imag:+.3f}i" if abs(x.imag) > 1e-7 else f"{x.real:+.3f}"


def step_laws() -> list[Law]:
    """Steps of size h, both players at once or one after the other: the step's own Jacobian, and trajectories."""
    gan, wgan, damped = METHODS[0], METHODS[2], METHODS[3]
    laws = []
    for method in (gan, wgan, damped):
        step = partial(simultaneous, method.field, H)
        expected = max(dirac.simultaneous(x, H) for x in method.eigenvalues)
        found = max(abs(x) for x in eigenvalues(step))
        laws.append(Law(f"{method.name}, simultaneous, h={H}: |λ|", found, expected, 1e-8, "exact", MESCHEDER))
        name = f"{method.name}, simultaneous, h={H}: trajectory's factor a step"
        laws.append(Law(name, rate(step), expected, 1e-6, "exact", MESCHEDER))
    for h in (H, 3.9, 5.0):
        step = partial(alternating, gan.field, h)
        found = max(abs(x) for x in eigenvalues(step))
        expected = dirac.alternating(dirac.SLOPE, h)
        laws.append(Law(f"GAN, alternating, h={h}: |λ|", found, expected, 1e-8, "exact", MESCHEDER))
    name = f"GAN, alternating, h={H}: trajectory's factor a step"
    laws.append(Law(name, rate(partial(alternating, gan.field, H)), 1.0, 1e-6, "exact", MESCHEDER))
    return laws


def limit_cycles() -> tuple[dict[str, Any], list[Law]]:
    """WGAN with gradient penalty and with clipping, from far out, by alternating steps."""
    penalty = partial(penalised, "wasserstein", gradient_penalty, GAMMA_CYCLE / 2)
    plain = partial(game, "wasserstein")
    far, near = (2.0, 0.1), (0.1, 0.1)
    cycles = {
        "WGAN-GP": trajectory(partial(alternating, penalty, CYCLE_H), far, CYCLE_STEPS),
        "WGAN-GP, from inside": trajectory(partial(alternating, penalty, CYCLE_H), near, CYCLE_STEPS),
        "WGAN, clipped": trajectory(partial(alternating, plain, CYCLE_H), far, CYCLE_STEPS, CLIP),
    }
    extents = [dirac.penalty_cycle(GAMMA_CYCLE)] * 2 + [dirac.clipped_cycle(CLIP)]
    laws = []
    for (name, path), extent in zip(cycles.items(), extents, strict=True):
        last = path[-TURN:]
        reach, nearest = float(np.abs(last[:, 0]).max()), float(np.linalg.norm(last, axis=1).min())
        laws.append(Law(f"{name}: largest |θ| on the limit cycle", reach, extent, 0.03 * extent, "asymptotic", DERIVED))
        name = f"{name}: how near (0, 0) it comes in the last turn"
        laws.append(Law(name, nearest, extent / 2, 0.0, "ordering", MESCHEDER))
    return cycles, laws


def draw(figure: Any, paths: dict[str, Any], cycles: dict[str, Any]) -> None:
    """Trajectories in the plane of both weights."""
    left, right = figure.subplots(1, 2)
    for k, (name, path) in enumerate(paths.items()):
        left.plot(*path.T, "-", color=f"C{k}", lw=1, marker="o", ms=2, markevery=10, label=name)
    left.plot(1, 1, "ks", ms=5)
    left.annotate("start", (1, 1), (1.08, 1.08))
    left.set_title(f"Only damped methods reach the centre (h = {H})", fontsize=11)
    colours = dict(zip(cycles, ("C0", "C1", "C2"), strict=True))
    for name, path in cycles.items():
        right.plot(*path.T, "-", color=colours[name], lw=1, label=name)
        right.plot(*path[0], "s", color=colours[name], ms=5)
    for radius in (dirac.penalty_cycle(GAMMA_CYCLE), dirac.clipped_cycle(CLIP)):
        right.plot([-radius, radius], [0, 0], "kD", ms=5, label="predicted extent" if radius == CLIP else None)
    right.set_title("WGAN with penalty or clipping ends on a limit cycle", fontsize=11)
    for axes in (left, right):
        axes.plot(0, 0, "k+", ms=12)
        axes.set(xlim=(-2.1, 3.3), ylim=(-2, 2))  # room for the legend
        axes.set(xlabel="θ: where the generator puts its fake", ylabel="ψ: slope of the discriminator", aspect="equal")
        axes.legend(fontsize=8, loc="upper right")


EXPERIMENT = Experiment(
    name="E5",
    claim="Dirac-GAN: the plain game circles or runs away; only damping makes the two players meet",
    prediction="eigenvalues at (0, 0): GAN ± i/2, WGAN ± i, R1 -γ/2 ± sqrt(γ²/4 - 1/4), noise -s²/4 ± "
    "sqrt(s⁴/16 - 1/4), consensus -γ/4 ± i/2; WGAN-GP and clipping end on limit cycles",
    source=f"{MESCHEDER}; the limit cycles' size is derived",
    ticks=lambda options: len(METHODS) + 3,
    run=run,
    seconds=3,
    starred=True,
)
