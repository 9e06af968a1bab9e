"""What a game is worth to a discriminator that may be any function, as one fake walks from one real point to another.

m real points and m fakes, all on the first point; then one fake moves off every real point, and then onto the second.
With f(t) = -log(1 + e^-t) the discriminator maximises the mean of

    two terms   (f(D(real)) + f(-D(fake))) / 2, over reals and over fakes: the first GAN, -JSD up to constants
    pairs       f(D(real_i) - D(fake_i)), each fake with a real sample of its own
    mixed       f(D(real_i) - D(fake_j)), all of both: pairs that are drawn anew each time

and the generator wants that to be small, so where it is larger on the way than at the start, a barrier stands. Sun et
al. 2020 [sun2020towards], "Towards a better global loss landscape of GANs", have the first two for m = 2; the third,
and any m, are *derived*.
"""

from __future__ import annotations

from math import log

KINDS = ("two terms", "pairs", "mixed")


def values(kind: str, m: int) -> tuple[float, float, float]:
    """At the start, off every point, and on the second point; m >= 2."""
    one, most = 1 / m, (m - 1) / m
    if kind == "two terms":
        start = one * log(1 / (m + 1)) + log(m / (m + 1))
        off = one * log(one) + most * log(most)
        return start / 2, off / 2, (off + 2 * one * log(0.5)) / 2
    tie = -one * log(2)  # of one real point in m with what lies on it: f(0)
    if kind == "pairs":
        return tie, tie, 2 * tie
    # On the second point D(first) - D(second) = -log(m - 1): of the m fakes all but one lie on the first.
    return tie, most * tie, tie - (log(m) + (m - 1) * log(m / (m - 1))) / m**2


def barrier(kind: str, m: int) -> float:
    """How much worse it gets for the generator on the way out: of mixed pairs (log 2) / m²."""
    start, off, _ = values(kind, m)
    return off - start
