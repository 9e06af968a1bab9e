"""The games of E5: data at 0, one fake at theta, and what either player minimises; how both move, and how that ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.theory import dirac
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import r1

NOISE, NOISE_WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
SMALL, STEPS, GROWTH = 1e-5, 100, 100.0  # trajectories are linear only near the equilibrium: how they start, how far
DIFFERENCE, DIFFERENCE_ERROR = 1e-3, 2e-13  # of the stencil of fourth order; rounding, over the distance of its points

Field = Callable[[Any], Any]  # the point, a tensor, to the direction in which both players go


def discriminator(point: Any, x: Any) -> Any:
    """D(x) = psi x at a point (theta, psi); psi x + chi x² at a point (theta, psi, chi)."""
    value = point[1] * x
    return value if point.shape[0] == 2 else value + point[2] * x * x


@dataclass(frozen=True)
class Game:
    """What each player minimises, as functions of the point: its first entry is the generator's, the others are D's."""

    generator: Callable[[Any], Any]
    discriminator: Callable[[Any], Any]

    def __call__(self, point: Any) -> Any:
        """The update field (-dL_G/dtheta, -dL_D/dpsi, ...), differentiable."""
        return self.move(point, generator=True) + self.move(point, generator=False)

    def move(self, point: Any, *, generator: bool, create_graph: bool = True) -> Any:
        """The field of one player alone: the other's entries are 0."""
        whose = np.arange(point.shape[0]) == 0
        loss = self.generator if generator else self.discriminator
        (gradient,) = tr.grad(loss(point), point, create_graph=create_graph)
        return -(gradient * (whose if generator else ~whose).astype(float))


def plain(loss: str) -> Game:
    """One of the library's pairs of losses."""

    def generator(point: Any) -> Any:
        beside = [discriminator(point, 0.0)] if LOSSES[loss].paired else []
        return LOSSES[loss].generator(discriminator(point, point[0]), *beside)

    def both(point: Any) -> Any:
        return LOSSES[loss].discriminator(discriminator(point, 0.0), discriminator(point, point[0]))

    return Game(generator, both)


def at_fakes(player: Any, real: Any, fake: Any, rng: np.random.Generator) -> Any:
    """R2: mean |grad D|² / 2 at the fakes, which is R1 with fakes for data."""
    return r1(player, fake, real, rng)


def penalised(loss: str, penalty: Callable[..., Any], weight: float) -> Game:
    """weight * penalty(D, data, fakes, rng) is added to D's loss."""
    game = plain(loss)

    def both(point: Any) -> Any:
        real, fake = np.zeros((1, 1)), point.numpy()[:1, None]  # samples are constants
        return game.discriminator(point) + weight * penalty(
            partial(discriminator, point), real, fake, np.random.default_rng(0)
        )

    return Game(game.generator, both)


def noisy(s: float) -> Game:
    """The GAN with N(0, s²) added to the data and to the fake, by Gauss-Hermite quadrature."""
    weights = NOISE_WEIGHTS / NOISE_WEIGHTS.sum()

    def fake(point: Any) -> Any:
        return tr.sum(weights * tr.softplus(discriminator(point, point[0] + s * NOISE)))

    def real(point: Any) -> Any:
        return tr.sum(weights * tr.softplus(-discriminator(point, s * NOISE)))

    return Game(lambda point: -fake(point), lambda point: real(point) + fake(point))


def consensus(gamma: float, point: Any) -> Any:
    """v - (gamma / 2) grad |v|² of the GAN's field v: both players also descend the length of the update."""
    v = plain("saturating")(point)
    return v - tr.grad(gamma / 2 * tr.sum(v * v), point, create_graph=True)[0]


# -- how they move ----------------------------------------------------------------------------------------------------
def simultaneous(field: Field, h: float, point: Any) -> Any:
    """point + h v(point): both players move at once."""
    return point + h * field(point)


def alternating(game: Game, h: float, point: Any, create_graph: bool = True) -> Any:
    """G moves, then D answers to where G is now."""
    moved = point + h * game.move(point, generator=True, create_graph=create_graph)
    moved = moved if create_graph else tr.tensor(moved.numpy(), requires_grad=True)
    return moved + h * game.move(moved, generator=False, create_graph=create_graph)


def trajectory(step: Field, start: tuple[float, ...], steps: int, limit: float | None = None) -> Any:
    """The trajectory (steps + 1, 2 or 3); with a limit, D's weights are clipped to it after every step."""
    points = [np.array(start)]
    for _ in range(steps):
        reached = step(tr.tensor(points[-1], requires_grad=True)).numpy()
        if limit is not None:
            reached = np.concatenate([reached[:1], np.clip(reached[1:], -limit, limit)])
        points.append(reached)
    return np.array(points)


# -- how that ends ----------------------------------------------------------------------------------------------------
def jacobian(function: Field, chi: float | None = None) -> Any:
    """By theta and psi, (2, 2), where the fake is on the data and D flat there: (0, 0), or (0, 0, chi).

    The first by autograd. The second by differences, exact to about 1e-12: the library's penalties take the samples for
    constants, as they should, so autograd does not see how a penalty at the fake changes as the fake moves.
    """
    if chi is None:
        return jacobian_at(function, np.zeros(2))
    columns = []
    for direction in np.eye(3)[:2] * DIFFERENCE:
        far, near = (
            [function(tr.tensor(np.array([0, 0, chi]) + k * direction, requires_grad=True)).numpy() for k in (m, -m)]
            for m in (2, 1)
        )
        columns.append((8 * (near[0] - near[1]) - (far[0] - far[1])) / (12 * DIFFERENCE))
    return np.array(columns).T[:2]


def jacobian_at(function: Field, point: Any) -> Any:
    """By autograd."""
    return tr.jacobian(function, tr.tensor(point)).numpy()


def eigenvalues(a: Any) -> dirac.Pair:
    """Of a (2, 2) matrix, from trace and determinant: a solver loses half the digits where they coincide."""
    return dirac.roots(float(np.trace(a)), float(a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]))


def rate(step: Field, chi: float | None = None) -> float:
    """Factor a step of a trajectory from near the equilibrium: |λ|, in the coordinates of the eigenvectors.

    At most STEPS steps, and fewer if the distance would grow or shrink by more than GROWTH.
    """
    values, vectors = np.linalg.eig(jacobian(step, chi))
    first = int(np.argmax(np.abs(values)))
    pace = abs(np.log(abs(values[first])))
    steps = max(1, min(STEPS, int(np.log(GROWTH) / pace) if pace else STEPS))
    start = (SMALL, SMALL) if chi is None else (SMALL, SMALL, chi)
    points = np.linalg.solve(vectors, trajectory(step, start, steps)[:, :2].T.astype(complex))
    leading = np.abs(points[first])
    return float((leading[-1] / leading[0]) ** (1 / steps))
