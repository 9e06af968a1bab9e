"""Closed forms of the Dirac-GAN: data at 0, one fake at θ, D(x) = ψ x; the point (0, 0) is where all should end.

Mescheder et al. 2018 [mescheder2018which], "Which training methods for GANs do actually converge?". With
f(t) = -log(1 + e^-t), f'(0) = 1/2 and f''(0) = -1/4. The two limit cycles are derived.
"""

from __future__ import annotations

import cmath
import math

SLOPE, CURVATURE = 0.5, -0.25  # f'(0) and f''(0)

Pair = tuple[complex, complex]


def roots(trace: float, determinant: float) -> Pair:
    """The eigenvalues of a 2 x 2 matrix; the first has the larger real part, or else the positive imaginary part."""
    root = cmath.sqrt(trace * trace / 4 - determinant)
    return trace / 2 + root, trace / 2 - root


def gan() -> Pair:
    """± i/2, saturating or not."""
    return roots(0, SLOPE**2)


def wgan() -> Pair:
    """± i: f is the identity."""
    return roots(0, 1)


def r1(gamma: float) -> Pair:
    """-γ/2 ± sqrt(γ²/4 - 1/4), for the penalty (γ/2) |∇D|² at the data; γ = 1 is critical."""
    return roots(-gamma, SLOPE**2)


def instance_noise(s: float) -> Pair:
    """f'' s² ± sqrt(f''² s⁴ - f'²), for noise N(0, s²) on reals and fakes."""
    return roots(2 * CURVATURE * s * s, SLOPE**2)


def consensus(gamma: float) -> Pair:
    """-γ/4 ± i/2, for the field v - (γ/2) ∇|v|²."""
    damping = gamma * SLOPE**2
    return complex(-damping, SLOPE), complex(-damping, -SLOPE)


def simultaneous(eigenvalue: complex, h: float) -> float:
    """|1 + h λ|: what a step of size h multiplies the distance by if both players move at once."""
    return abs(1 + h * eigenvalue)


def alternating(slope: float, h: float) -> float:
    """Larger |λ| if D answers G's step: 1 for h slope <= 2 (determinant 1, trace 2 - (h slope)²), beyond it more."""
    return max(abs(root) for root in roots(2 - (h * slope) ** 2, 1))


def penalty_cycle(gamma: float) -> float:
    """Largest |θ| on the limit cycle of WGAN with the penalty (γ/2) (|ψ| - 1)², gradient flow, 0 < γ < 2.

    Each half of the plane is a damped spiral about (∓γ, 0), which half a turn shrinks by q = exp(-π γ / 2ω),
    ω = sqrt(1 - γ²/4); the cycle closes where a = γ (1 + q) / (1 - q).
    """
    omega = math.sqrt(1 - gamma * gamma / 4)
    return gamma / math.tanh(math.pi * gamma / (4 * omega))


def clipped_cycle(c: float) -> float:
    """Largest |θ| on the limit cycle of WGAN with |ψ| clipped at c: a circle of radius c."""
    return c
