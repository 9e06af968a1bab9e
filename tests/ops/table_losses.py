"""The table's rows for losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.oracles import away, each, normal, row
from tinyres.ops import losses

CLASSES = np.array([2, 0, 2, 1])
PIXEL_CLASSES = np.array([[[0, 1]], [[2, 2]]])


def picked(classes: np.ndarray, logits: bool) -> Callable[[np.ndarray], np.ndarray]:
    """-log probability of the right class, target by target; the class is axis 1."""

    def apply(x: np.ndarray) -> np.ndarray:
        out = np.empty(classes.shape)
        for at in np.ndindex(*classes.shape):
            scores = x[(at[0], slice(None), *at[1:])]
            out[at] = (math.log(sum(map(math.exp, scores))) if logits else 0.0) - scores[classes[at]]
        return out

    return apply


def loss_rows() -> None:
    finals: dict[str, Callable[[np.ndarray], Any]] = {
        "mean": lambda v: math.fsum(v.ravel()) / v.size,
        "sum": lambda v: math.fsum(v.ravel()),
        "none": lambda v: v,
    }
    for name, function, logits in (("cross_entropy", losses.cross_entropy, True), ("nll_loss", losses.nll_loss, False)):
        for reduction, final in finals.items():
            row(name if logits else "", lambda x, f=function, r=reduction: f(x, CLASSES, reduction=r),
                lambda x, final=final, logits=logits: final(picked(CLASSES, logits)(x)),
                normal(4, 3), case=reduction if logits else f"{name} {reduction}")  # fmt: skip
        row(name if logits else "", lambda x, f=function: f(x, PIXEL_CLASSES), lambda x,
            logits=logits: picked(PIXEL_CLASSES, logits)(x).mean(),
            normal(2, 3, 1, 2), case="of pixels" if logits else f"{name} of pixels")  # fmt: skip

    def inside(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: 0.1 + 0.8 * rng.random(shape)

    elementwise = {
        "mse_loss": (losses.mse_loss, lambda x, t: (x - t) ** 2, lambda *shape: away(*shape, from_=3.0), normal),
        "l1_loss": (losses.l1_loss, lambda x, t: math.fabs(x - t), lambda *shape: away(*shape, from_=9.0), inside),
        "binary_cross_entropy": (
            losses.binary_cross_entropy, lambda p, t: -t * math.log(p) - (1 - t) * math.log(1 - p), inside, inside,
        ),
        "binary_cross_entropy_with_logits": (
            losses.binary_cross_entropy_with_logits, lambda x, t: math.log(1 + math.exp(x)) - t * x, normal, inside,
        ),
    }  # fmt: skip
    for name, (function, formula, inputs, targets) in elementwise.items():
        for reduction, final in finals.items():
            fused = name.endswith("logits")
            row(name if fused else "", lambda x, t, f=function, r=reduction: f(x, t, reduction=r),
                lambda x, t, formula=formula, final=final: final(each(formula)(x, t)),
                inputs(2, 3), targets(2, 3), case=reduction if fused else f"{name} {reduction}",
                empty=((0, 3), (0, 3)) if (fused and reduction != "mean") else None)  # fmt: skip
