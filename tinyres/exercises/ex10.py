"""Without batch norm, gradients shatter more slowly: depth makes signals similar, and similar signals share masks.

prod_{l=0}^{L-1} (1 - arccos(rho_l) / pi), rho_{l+1} = (sqrt(1 - rho_l²) + rho_l (pi - arccos(rho_l))) / pi.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from tinyres.exercises.expect import expect, explain, function, number
from tinyres.flow.theory.shattering import he_init, kappa0, kappa1

CASES = [(0.6, 3), (0.5, 1), (0.0, 2), (1.0, 1), (-1.0, 1), (0.9, 0), (0.9, 16), (-0.3, 5), (1.0, 50)]


def check(answer: Callable[[float, int], float]) -> None:
    """Compare answer(rho, layers) with the product over the layers, to one part in a million."""
    alike = function(answer, "alike(rho, layers)")
    for rho, layers in CASES:
        where = f"rho = {rho:g}, {layers} {'layer' if layers == 1 else 'layers'}"
        came = number(alike(rho, layers), where)
        expect(came, he_init(rho, layers), where, partial(_hint, came, rho, layers))


def _product(rho: float, layers: int, factor: Callable[[float], float], *, moves_first: bool = False) -> float:
    product = 1.0
    for _ in range(layers):
        after = min(1.0, kappa1(rho))
        product *= factor(after if moves_first else rho)
        rho = after
    return product


def _hint(came: float, rho: float, layers: int) -> str:
    usual = [
        (0.5**layers, "That is for signals that have nothing in common; these do, and more at each layer."),
        (kappa0(rho) ** layers, "The signals' rho moves from layer to layer, and the factor with it."),
        (_product(rho, layers, lambda r: kappa0(r) / 2),
         "That is the share of all units that are open for both; half are open for one. He's factor 2 counts, too."),
        (_product(rho, layers, lambda r: math.acos(r) / math.pi),
         "That is the share for which one is open and the other is not."),
        (_product(rho, layers, kappa0, moves_first=True), "The first ReLU sees rho as it is: factor first, then rho."),
        (_product(rho, layers + 1, kappa0), "That is one layer too many."),
        (_product(rho, layers, kappa1), "Those are the signals' correlations, multiplied; the task asks for masks."),
        (_signal(rho, layers), "That is the correlation of the signals; the task asks for what the masks let through."),
    ]  # fmt: skip
    if math.isnan(came):
        return "Is a rho above 1 by a rounding error? min(1.0, rho) helps."
    otherwise = "Both arrows point upwards for a share (pi - theta) / 2 pi of all turns, one of them for 1/2."
    return explain(came, usual, otherwise)


def _signal(rho: float, layers: int) -> float:
    for _ in range(layers):
        rho = min(1.0, kappa1(rho))
    return rho


__all__ = ["check"]
