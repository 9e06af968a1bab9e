"""The Dirac-GAN in closed form: data at 0, one fake at θ, D(x) = ψ x; training should converge to (0, 0).

Mescheder et al. 2018 [mescheder2018which]; consensus optimisation: Mescheder et al. 2017 [mescheder2017numerics]. With
f(t) = -log(1 + e^-t), f'(0) = 1/2 and f''(0) = -1/4. *Derived*: both limit cycles, the points where WGAN-GP stalls, and
everything about D(x) = ψ x + χ x².
"""

from __future__ import annotations

import cmath
import math

SLOPE, CURVATURE = 0.5, -0.25  # f'(0) and f''(0)

Pair = tuple[complex, complex]


def roots(trace: float, determinant: float) -> Pair:
    """The eigenvalues of a 2 x 2 matrix; the first has the larger real part, or the positive imaginary part."""
    root = cmath.sqrt(trace * trace / 4 - determinant)
    return trace / 2 + root, trace / 2 - root


def gan() -> Pair:
    """Eigenvalues of the standard GAN, ± i/2, saturating or not."""
    return roots(0, SLOPE**2)


def wgan() -> Pair:
    """Eigenvalues of WGAN, ± i: f is the identity."""
    return roots(0, 1)


def r1(gamma: float) -> Pair:
    """Eigenvalues with R1, the penalty (γ/2) |∇D|² at the data: -γ/2 ± sqrt(γ²/4 - 1/4); γ = 1 is critical."""
    return roots(-gamma, SLOPE**2)


def r1_r2(gamma: float) -> Pair:
    """Eigenvalues with the same penalty at the data and at the fake: -γ ± sqrt(γ² - 1/4); γ = 1/2 is critical.

    D(x) = ψ x has one slope, so R2 is R1 once more. *Derived*; R3GAN: Huang et al. 2024 [huang2024gan].
    """
    return r1(2 * gamma)


def curved(gamma: float, chi: float, *, at_fakes: bool = False, slope: float = SLOPE) -> Pair:
    """Eigenvalues of (θ, ψ) at (0, 0, χ) for D(x) = ψ x + χ x² and the penalty (γ/2) |∇D|² at the data or the fake.

    With s = f'(0) the field near that point is θ' = s (ψ + 2χθ), ψ' = -s θ - γ p, χ' = 0, where the penalised slope p
    is ψ at the data and ψ + 2χθ at the fake. So the eigenvalues sum to 2sχ - γ in both cases, and their product is
    s² - 2sχγ at the data and s² at the fake: s = 1/2 gives (χ - γ)/2 ± sqrt((χ ± γ)²/4 - 1/4), with + at the data.
    *Derived.*
    """
    return roots(2 * slope * chi - gamma, slope**2 - (0 if at_fakes else 2 * slope * chi * gamma))


def instance_noise(s: float) -> Pair:
    """Eigenvalues with instance noise N(0, s²) on reals and fakes: f'' s² ± sqrt(f''² s⁴ - f'²)."""
    return roots(2 * CURVATURE * s * s, SLOPE**2)


def consensus(gamma: float) -> Pair:
    """Eigenvalues of consensus optimisation, the field v - (γ/2) ∇|v|²: -γ/4 ± i/2."""
    damping = gamma * SLOPE**2
    return complex(-damping, SLOPE), complex(-damping, -SLOPE)


def simultaneous(eigenvalue: complex, h: float) -> float:
    """|1 + h λ|, the factor on the distance per step of size h when both players move at once."""
    return abs(1 + h * eigenvalue)


def alternating_roots(slope: float, h: float, gamma: float = 0.0) -> Pair:
    """Eigenvalues of an alternating step, damped by γ: determinant 1 - hγ, trace 2 - hγ - (h slope)²."""
    return roots(2 - h * gamma - (h * slope) ** 2, 1 - h * gamma)


def alternating(slope: float, h: float, gamma: float = 0.0) -> float:
    """The larger |λ| of an alternating step; without damping it is 1 for h slope <= 2 and exceeds 1 beyond."""
    return max(abs(root) for root in alternating_roots(slope, h, gamma))


def penalty_has_limit_cycle(gamma: float, h: float = 0.0) -> bool:
    """Whether WGAN with the penalty (γ/2) (|ψ| - 1)² ends on a limit cycle: with alternating steps, if γ + h < 2.

    While ψ > 0 it is a damped oscillator about (γ, 0): θ'' + γ θ' + θ = γ. Below critical damping it crosses ψ = 0,
    the centre moves to (-γ, 0), and so on. For γ >= 2 it creeps towards θ = ±γ with a flat discriminator, ψ -> 0.
    The paper's λ is γ/2, so its 10 is γ = 20. *Derived*; for steps, the discriminant of `alternating_roots` is
    h² ((γ + h)² - 4).
    """
    return gamma < 2 if h == 0 else alternating_roots(1.0, h, gamma)[0].imag > 0


def penalty_cycle(gamma: float, h: float = 0.0) -> float:
    """Largest |θ| on the limit cycle of WGAN with the penalty (γ/2) (|ψ| - 1)²; γ if it creeps to ±γ instead.

    In each half of the plane it is a damped spiral about (∓γ, 0), which shrinks by q per half turn; the cycle closes at
    a = γ (1 + q) / (1 - q). Gradient flow: q = exp(-π γ / 2ω), ω = sqrt(1 - γ²/4). Alternating steps of size h turn by
    φ, cos φ = (2 - hγ - h²) / 2 sqrt(1 - hγ), and shrink by sqrt(1 - hγ): q = (1 - hγ)^(π / 2φ). *Derived.*
    """
    if not penalty_has_limit_cycle(gamma, h):
        return gamma
    q = math.exp(-half_turn(gamma, h)[1])
    return gamma * (1 + q) / (1 - q)


def half_turn(gamma: float, h: float = 0.0) -> tuple[float, float]:
    """(duration of half a turn of that spiral, -log of the factor by which it shrinks)."""
    if h == 0:
        omega = math.sqrt(1 - gamma * gamma / 4)
        return math.pi / omega, math.pi * gamma / (2 * omega)
    eigenvalue = alternating_roots(1.0, h, gamma)[0]
    steps = math.pi / cmath.phase(eigenvalue)
    return steps * h, -steps * math.log(abs(eigenvalue))


def clipped_cycle(c: float) -> float:
    """Largest |θ| on the limit cycle of WGAN with |ψ| clipped at c: a circle of radius c."""
    return c
