"""Wrong formulas of softmax and of cross-entropies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.formula import USUAL, Given, Known
from tinyres_kernels.namespace import Array

EXPONENTS = (
    "It seems to take the exponentials of the logits as they are, which overflows: subtract the row's largest from "
    "each row first."
)
LOGARITHMS = (
    "It seems to take the logarithm of a probability, which is 0 where logits lie far apart: x - max - log(sum) "
    "needs no probability."
)
COLUMNS = "It seems to go over the columns (axis=0) where a row is meant (axis=1)."
EVERYTHING = "It seems to go over the whole array where each row is meant by itself."


def _power(x: Array, axis: int | None = 1, top: bool = True) -> tuple[Array, Array, Array]:
    """x less its largest if `top`, its exponentials, and their sum."""
    d = x - x.max(axis=axis, keepdims=True) if top else x
    power = np.exp(d)
    return d, power, power.sum(axis=axis, keepdims=True)


def _softmax(a: Given, axis: int | None = 1, top: bool = True, late: bool = False) -> Arrays:
    """`late`: the logarithm is taken of the probability."""
    d, power, total = _power(a.own["x"], axis, top)
    return {"out": (np.log(power / total) if late else d - np.log(total)) if a.s["log"] else power / total}


def _of_softmax() -> Iterator[Known]:
    for late in (False, True):
        yield Known(EXPONENTS, lambda a, late=late: _softmax(a, top=False, late=late), "large logits")  # type: ignore[misc]
    yield Known(LOGARITHMS, lambda a: _softmax(a, late=True))
    yield Known(COLUMNS, lambda a: _softmax(a, axis=0))
    yield Known(EVERYTHING, lambda a: _softmax(a, axis=None))


def _losses(a: Given, top: bool = True, late: bool = False, more: float = 0.0, least: float = 0.0) -> Arrays:
    """`late`: of the probability, with `more` added or cut at `least`."""
    d, power, total = _power(a.own["x"], top=top)
    own = np.arange(len(d)), a.own["target"]
    p = power / total
    loss = -np.log(np.maximum(p[own] + more, least)) if late else np.log(total[:, 0]) - d[own]
    return {"out": loss, "probabilities": p}


def _of_cross_entropy() -> Iterator[Known]:
    for late in (False, True):
        yield Known(EXPONENTS, lambda a, late=late: _losses(a, top=False, late=late), "large logits")  # type: ignore[misc]
    yield Known(LOGARITHMS, lambda a: _losses(a, late=True))
    for eps in USUAL:
        yield Known(
            f"Something like {eps:.0e} seems to be added inside the logarithm: log(p + {eps:.0e}).",
            lambda a, eps=eps: _losses(a, late=True, more=eps),  # type: ignore[misc]
        )
        yield Known(
            f"It seems to cut probabilities at {eps:.0e} before it takes their logarithm.",
            lambda a, eps=eps: _losses(a, late=True, least=eps),  # type: ignore[misc]
        )


def _answers(a: Given, more: float) -> Arrays:
    x, t = a.own["x"], a.own["target"]
    p = 1 / (1 + np.exp(-x))
    return {"out": -t * np.log(p + more) - (1 - t) * np.log(1 - p + more)}


def _of_bce() -> Iterator[Known]:
    yield Known(
        "It seems to take the exponential of large logits, which overflows: max(x, 0) - t x + log1p(exp(-|x|)) does "
        "not.",
        lambda a: {"out": np.log1p(np.exp(a.own["x"])) - a.own["target"] * a.own["x"]},
        "large logits",
    )
    yield Known(
        "It seems to take the logarithm of sigmoid(x), which becomes 0 or 1: max(x, 0) - t x + log1p(exp(-|x|)) needs "
        "no sigmoid.",
        lambda a: _answers(a, 0.0),
    )
    for eps in USUAL:
        yield Known(
            f"Something like {eps:.0e} seems to be added inside the logarithm: log(p + {eps:.0e}).",
            lambda a, eps=eps: _answers(a, eps),  # type: ignore[misc]
        )


OF_LOSSES = {"softmax": _of_softmax, "cross_entropy": _of_cross_entropy, "bce_with_logits": _of_bce}

__all__ = ["OF_LOSSES"]
