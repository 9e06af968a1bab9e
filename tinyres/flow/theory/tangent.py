"""The tangent kernel of residual nets in closed form: what a step of the weights can change, against depth.

Jacot et al. 2018 [jacot2018neural] define the kernel; Bordelon et al. 2024 [bordelon2024depthwise] and Yang et al. 2024
[yang2024tensor] find how branches must scale with depth. The closed form is our own derivation, for f = v x_L and
blocks x + a W2 relu(W1 x), W1 ~ N(0, 2/n), W2 ~ N(0, 1/n).
"""

from __future__ import annotations


def residual_trace(depth: int, a: float) -> float:
    """E sum |df/dW|² / (|x|² |v|²) = 1.5 a² L (1 + a²)^(L - 1): 1.5 e for a = 1/sqrt(L), 1.5/L for a = 1/L.

    W2 has two thirds of it, W1 the rest (a ReLU passes half of the squares), and each block the same share.
    """
    return float(1.5 * a * a * depth * (1 + a * a) ** (depth - 1))


FIRST_OVER_SECOND = 0.5  # W1's part over W2's
