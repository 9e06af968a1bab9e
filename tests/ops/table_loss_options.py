"""The table's rows for what losses may be told: weights, ignored targets, smoothing, soft targets, thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.oracles import Oracle, Sample, away, each, normal, row
from tests.ops.table_layers import Case, called
from tinyres.nn import functional as F

CLASSES = np.array([2, 0, 2, 1, 0])
IGNORING = np.array([2, -100, 2, 1, -100])
PIXELS = np.array([[[0, 1]], [[2, 7]]])
WEIGHT, ALIKE = np.array([0.5, 2.0, 1.5]), np.ones(3)
POSITIVE = np.array([3.0, 0.5, 1.0])
EACH = np.array([[0.3, 2.0, 1.0], [0.7, 0.1, 1.6]])
FINALS: dict[str, Callable[[np.ndarray], Any]] = {
    "sum": lambda v: math.fsum(v.ravel()), "mean": lambda v: math.fsum(v.ravel()) / v.size, "none": lambda v: v,
}  # fmt: skip


def likelihood(
    classes: np.ndarray,
    logits: bool = True,
    weight: np.ndarray = ALIKE,
    ignored: int = -100,
    smoothing: float = 0.0,
    reduction: str = "mean",
) -> Oracle:
    """Target by target, with plain numbers."""

    def apply(x: np.ndarray) -> Any:
        out, total = np.zeros(classes.shape), 0.0
        for at in np.ndindex(*classes.shape):
            target = classes[at]
            if target == ignored:
                continue
            scores = x[(at[0], slice(None), *at[1:])]
            top = math.log(sum(map(math.exp, scores))) if logits else 0.0
            losses = [(top - s) * w for s, w in zip(scores, weight, strict=True)]
            out[at] = (1 - smoothing) * losses[target] + smoothing * math.fsum(losses) / len(losses)
            total += weight[target]
        return math.fsum(out.ravel()) / total if reduction == "mean" else FINALS[reduction](out)

    return apply


def soft(weight: np.ndarray = ALIKE, smoothing: float = 0.0) -> Oracle:
    def apply(x: np.ndarray, t: np.ndarray) -> float:
        log_p = x - np.log(np.sum(np.exp(x), 1, keepdims=True))
        t = (1 - smoothing) * t + smoothing / x.shape[1]
        return float(np.einsum("nc,nc,c->", log_p, t, weight)) / -len(x)

    return apply


def entropy(weight: np.ndarray | float, positive: np.ndarray | float = 1.0, logits: bool = True) -> Oracle:
    """The mean binary cross-entropy with factors."""

    def apply(x: np.ndarray, t: np.ndarray) -> float:
        p = 1 / (1 + np.exp(-x)) if logits else x
        return float(np.mean(-weight * (positive * t * np.log(p) + (1 - t) * np.log(1 - p))))

    return apply


def means(formula: Callable[..., float], divided_by: float | None = None) -> Oracle:
    def apply(*xs: np.ndarray) -> float:
        values = each(formula)(*xs)
        return math.fsum(values.ravel()) / (divided_by or values.size)

    return apply


def cosine_loss(a: np.ndarray, b: np.ndarray) -> float:
    angles = [sum(x * y) / math.sqrt(sum(x * x) * sum(y * y)) for x, y in zip(a, b, strict=True)]
    targets = (1, -1, -1, 1)
    return math.fsum(1 - c if t == 1 else max(0.0, c - 0.2) for c, t in zip(angles, targets, strict=True)) / 4


def inside(*shape: int) -> Sample:
    return lambda rng: 0.1 + 0.8 * rng.random(shape)


def classed(name: str, target: Any, inputs: Sample, oracle: Oracle, **settings: Any) -> Case:
    return Case(name, oracle, (inputs,), (target,), settings)


LOGITS, PIXEL_LOGITS = normal(5, 3), normal(2, 3, 1, 2)
LOSS_CASES: dict[str, Case] = {
    **{f"cross_entropy, weights, {r}": classed("cross_entropy", CLASSES, LOGITS, likelihood(
        CLASSES, weight=WEIGHT, reduction=r), weight=WEIGHT, reduction=r) for r in FINALS},
    **{f"cross_entropy, ignored, {r}": classed("cross_entropy", IGNORING, LOGITS, likelihood(
        IGNORING, reduction=r), ignore_index=-100, reduction=r) for r in FINALS},
    **{f"cross_entropy, smoothed and weighted, {r}": classed("cross_entropy", CLASSES, LOGITS, likelihood(
        CLASSES, weight=WEIGHT, smoothing=0.3, reduction=r), weight=WEIGHT, label_smoothing=0.3, reduction=r)
        for r in FINALS},
    "cross_entropy, class 2 ignored": classed("cross_entropy", CLASSES, LOGITS, likelihood(CLASSES, ignored=2),
                                              ignore_index=2),
    "cross_entropy, smoothed": classed("cross_entropy", IGNORING, LOGITS, likelihood(IGNORING, smoothing=0.3),
                                       ignore_index=-100, label_smoothing=0.3),
    "cross_entropy, pixels": classed("cross_entropy", PIXELS, PIXEL_LOGITS, likelihood(
        PIXELS, weight=WEIGHT, ignored=7, smoothing=0.2), weight=WEIGHT, ignore_index=7, label_smoothing=0.2),
    "cross_entropy, one sample": classed("cross_entropy", np.array(1), normal(3),
                                         lambda x: math.log(sum(map(math.exp, x))) - x[1]),
    "cross_entropy, probabilities": Case("cross_entropy", soft(), (normal(4, 3), inside(4, 3))),
    "cross_entropy, probabilities, weighted and smoothed": Case(
        "cross_entropy", soft(WEIGHT, 0.2), (normal(4, 3), inside(4, 3)), (),
        {"weight": WEIGHT, "label_smoothing": 0.2},
    ),
    "nll_loss, weights": classed("nll_loss", IGNORING, LOGITS, likelihood(IGNORING, logits=False, weight=WEIGHT),
                                 ignore_index=-100, weight=WEIGHT),
    "nll_loss, class 0 ignored": classed("nll_loss", CLASSES, LOGITS, likelihood(CLASSES, logits=False, ignored=0),
                                         ignore_index=0),
    "binary_cross_entropy_with_logits, weights": Case(
        "binary_cross_entropy_with_logits", entropy(EACH, POSITIVE), (normal(2, 3), inside(2, 3)), (),
        {"weight": EACH, "pos_weight": POSITIVE},
    ),
    "huber_loss": Case("huber_loss", means(lambda x, t: (x - t) ** 2 / 2 if math.fabs(x - t) < 1.5 else
                                           1.5 * (math.fabs(x - t) - 0.75)), (away(2, 3, from_=1.5), lambda rng: 0.1 *
                                                                              rng.random((2, 3))), (), {"delta": 1.5}),
    "smooth_l1_loss": Case("smooth_l1_loss", means(lambda x, t: (x - t) ** 2 / 3 if math.fabs(x - t) < 1.5 else
                                                   math.fabs(x - t) - 0.75), (away(2, 3, from_=1.5), lambda rng: 0.1 *
                                                                              rng.random((2, 3))), (), {"beta": 1.5}),
    "smooth_l1_loss, beta 0": Case("smooth_l1_loss", means(lambda x, t: math.fabs(x - t)), (
        away(2, 3, from_=9.0), inside(2, 3)), (), {"beta": 0.0}),
    "kl_div": Case("kl_div", means(lambda x, t: t * (math.log(t) - x), 2), (normal(2, 3), inside(2, 3)), (),
                   {"reduction": "batchmean"}),
    "kl_div, logarithms": Case("kl_div", means(lambda x, t: math.exp(t) * (t - x), 1), (normal(2, 3), normal(2, 3)), (),
                               {"reduction": "sum", "log_target": True}),
    "cosine_embedding_loss": Case("cosine_embedding_loss", cosine_loss, (away(4, 3), away(4, 3)),
                                  (np.array([1, -1, -1, 1]),), {"margin": 0.2}),
    "mse_loss, weights": Case("mse_loss", lambda x, t: float(np.sum(EACH * (x - t) ** 2) / np.sum(EACH)),
                              (normal(2, 3), normal(2, 3)), (), {"weight": EACH}),
}  # fmt: skip


def loss_option_rows() -> None:
    for name, case in LOSS_CASES.items():
        row("", called(case, F), case.oracle, *case.inputs, case=name)
    row("", lambda p, t: F.binary_cross_entropy(p, t, EACH), entropy(EACH, logits=False), inside(2, 3), inside(2, 3),
        case="binary_cross_entropy, weights")  # fmt: skip
