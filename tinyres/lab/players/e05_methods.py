"""Methods of training the Dirac-GAN with the eigenvalues that they should have, and the laws about one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tinyres.flow.theory import dirac
from tinyres.gan.penalties import r1
from tinyres.lab.experiment import Law
from tinyres.lab.players import e05_games as games

MESCHEDER, DERIVED = "Mescheder et al. 2018", "derived; for the setting Mescheder et al. 2018"
CRITICAL = 1e-3  # eigenvalues nearer to each other than this have no eigenvectors to speak of


@dataclass(frozen=True)
class Method:
    """A field and the eigenvalues that its Jacobian should have where the fake is on the data.

    chi: D(x) = ψ x + χ x², looked at where χ has this value; None: D(x) = ψ x.
    """

    name: str
    field: games.Field
    eigenvalues: dirac.Pair
    chi: float | None = None

    def measured(self) -> dirac.Pair:
        """The eigenvalues of the field's own Jacobian."""
        return games.eigenvalues(games.jacobian(self.field, self.chi))

    @property
    def critical(self) -> bool:
        """Whether both eigenvalues coincide."""
        return abs(self.eigenvalues[0] - self.eigenvalues[1]) < CRITICAL

    @property
    def tolerance(self) -> float:
        """1e-8; by differences also what an error of the discriminant does to its root, most where both coincide."""
        if self.chi is None:
            return 1e-8
        root, error = abs(self.eigenvalues[0] - self.eigenvalues[1]) / 2, games.DIFFERENCE_ERROR
        return 1e-8 + min(math.sqrt(error), error / (2 * root) if root else math.inf)

    @property
    def source(self) -> str:
        return MESCHEDER if self.chi is None else DERIVED


def linear(kind: str, gamma: float = 0.0, s: float = 0.0) -> Method:
    """A method with D(x) = ψ x."""
    made: dict[str, Callable[[], Method]] = {
        "gan": lambda: Method("GAN", games.plain("saturating"), dirac.gan()),
        "nonsaturating": lambda: Method("non-saturating", games.plain("nonsaturating"), dirac.gan()),
        "wgan": lambda: Method("WGAN", games.plain("wasserstein"), dirac.wgan()),
        "r1": lambda: Method(f"R1, γ={gamma:g}", games.penalised("saturating", r1, gamma), dirac.r1(gamma)),
        "r2": lambda: Method(f"R2, γ={gamma:g}", games.penalised("saturating", games.at_fakes, gamma), dirac.r1(gamma)),
        "noise": lambda: Method(f"instance noise, s={s:g}", games.noisy(s), dirac.instance_noise(s)),
        "consensus": lambda: Method(f"consensus, γ={gamma:g}", partial(games.consensus, gamma), dirac.consensus(gamma)),
    }
    return made[kind]()


def curved(kind: str, gamma: float, chi: float) -> Method:
    """The same with D(x) = ψ x + χ x², for methods of which `dirac.curved` speaks; γ counts for r1 and r2 only."""
    gamma = gamma if kind in ("r1", "r2") else 0.0
    slope = 1.0 if kind == "wgan" else dirac.SLOPE
    flat = linear(kind, gamma)
    expected = dirac.curved(gamma, chi, at_fakes=kind == "r2", slope=slope)
    return Method(f"{flat.name}, χ={chi:g}", flat.field, expected, chi)


def eigenvalue_laws(method: Method) -> list[Law]:
    """Both parts of the first eigenvalue of the Jacobian."""
    found, laws = method.measured()[0], []
    for part, measured, expected in (
        ("real", found.real, method.eigenvalues[0].real),
        ("imaginary", found.imag, method.eigenvalues[0].imag),
    ):
        name = f"{method.name}: {part} part of the field's first eigenvalue"
        laws.append(Law(name, measured, expected, method.tolerance, "exact", method.source))
    return laws


def simultaneous_laws(method: Method, h: float) -> list[Law]:
    """|λ| of the step in which both players move at once, and the factor of a trajectory."""
    step = partial(games.simultaneous, method.field, h)
    expected = max(dirac.simultaneous(x, h) for x in method.eigenvalues)
    found = max(abs(x) for x in games.eigenvalues(games.jacobian(step, method.chi)))
    name = f"{method.name}, simultaneous, h={h:g}:"
    laws = [Law(f"{name} |λ|", found, expected, method.tolerance * max(1.0, h), "exact", method.source)]
    if not method.critical:
        measured = games.rate(step, method.chi)
        laws.append(Law(f"{name} trajectory's factor per step", measured, expected, 1e-6, "exact", method.source))
    return laws


def alternating_law(method: Method, h: float, slope: float, gamma: float = 0.0) -> Law:
    """|λ| of the step in which D answers G's."""
    assert isinstance(method.field, games.Game)
    step = partial(games.alternating, method.field, h)
    found = max(abs(x) for x in games.eigenvalues(games.jacobian(step)))
    expected = dirac.alternating(slope, h, gamma)
    return Law(f"{method.name}, alternating, h={h:g}: |λ|", found, expected, 1e-8, "exact", method.source)


def complex_text(x: complex) -> str:
    """Three digits, and no imaginary part where there is none."""
    return f"{x.real:+.3f}{x.imag:+.3f}i" if abs(x.imag) > 1e-7 else f"{x.real:+.3f}"
