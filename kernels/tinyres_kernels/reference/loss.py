"""Softmax, losses that end a net, and their gradients, one sample at a time."""

from math import exp, log, log1p

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Softmax


def softmax(x: Array, out: Array, s: Softmax) -> None:
    """The softmax of each row, or its logarithm.

        out[m, c] = exp(x[m, c] - top) / sum_k exp(x[m, k] - top),   top = max_k x[m, k]
        out[m, c] = x[m, c] - top - log sum_k exp(x[m, k] - top)                                if s.log

    However large the numbers, nothing overflows. A row with no finite maximum (a NaN, an inf, nothing but -inf) is NaN
    throughout.

    x and out are (M, C). Cost: M C exponentials; x read, out written: 8 M C bytes in float32.
    """
    for m, row in enumerate(x.tolist()):
        top = max(row)
        total = sum(exp(value - top) for value in row)
        out[m] = [value - top - log(total) if s.log else exp(value - top) / total for value in row]


def softmax_dx(g: Array, y: Array, out: Array, s: Softmax) -> None:
    """The gradient of `softmax`, whose output is y.

        out[m, c] = y[m, c] (g[m, c] - sum_k g[m, k] y[m, k])
        out[m, c] = g[m, c] - exp(y[m, c]) sum_k g[m, k]                                        if s.log

    g, y and out are (M, C). Cost: 2 M C multiplications; g and y read, out written: 12 M C bytes in float32.
    """
    for m, (slopes, row) in enumerate(zip(g.tolist(), y.tolist(), strict=True)):
        if s.log:
            out[m] = [slope - exp(value) * sum(slopes) for slope, value in zip(slopes, row, strict=True)]
        else:
            inner = sum(slope * value for slope, value in zip(slopes, row, strict=True))
            out[m] = [value * (slope - inner) for slope, value in zip(slopes, row, strict=True)]


def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> None:
    """Minus the log-probability of each row's class, from logits; and all probabilities.

        out[m]              = log sum_c exp(x[m, c] - top) - (x[m, target[m]] - top),   top = max_c x[m, c]
        probabilities[m, c] = exp(x[m, c] - top) / sum_c exp(x[m, c] - top)

    However large the logits, nothing overflows. A logit of -inf is a probability of 0, and a loss of inf where it is
    the target's. A row with no finite maximum (a NaN, an inf, nothing but -inf) is NaN throughout.

    x, probabilities (M, C); out (M,); target (M,) int64 in [0, C), which the caller has checked.
    Cost: M C exponentials and divisions, M logarithms; x read, probabilities written: 8 M C bytes in float32.
    """
    for m, row in enumerate(x.tolist()):
        top = max(row)
        powers = [exp(value - top) for value in row]
        out[m] = log(sum(powers)) - (row[int(target[m])] - top)
        probabilities[m] = [power / sum(powers) for power in powers]


def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> None:
    """The gradient of `cross_entropy` with respect to the logits.

        out[m, c] = g[m] (probabilities[m, c] - [c = target[m]])

    g (M,), probabilities and out (M, C), target as there. Cost: M C multiplications, 8 M C bytes in float32.
    """
    for m, c in ndindex(out.shape):
        out[m, c] = float(g[m]) * (float(probabilities[m, c]) - (c == target[m]))


def _softplus(x: float) -> float:
    return (x if x > 0 else 0.0) + log1p(exp(-abs(x)))


def bce_with_logits(x: Array, target: Array, out: Array) -> None:
    """The cross-entropy of a yes or no, element by element, from a logit.

        out = t softplus(-x) + (1 - t) softplus(x),   softplus(x) = max(x, 0) + log(1 + exp(-|x|))

    Both terms are positive for t in [0, 1], so nothing cancels. All arrays have one shape.
    Cost: 2 multiplications, 2 exponentials and 2 logarithms each; 12 bytes an element in float32.
    """
    for at in ndindex(out.shape):
        value, t = float(x[at]), float(target[at])
        out[at] = t * _softplus(-value) + (1 - t) * _softplus(value)


def bce_with_logits_dx(g: Array, x: Array, target: Array, out: Array) -> None:
    """The gradient of `bce_with_logits` with respect to x.

        out = g ((1 - t) sigmoid(x) - t sigmoid(-x))

    which is g (sigmoid(x) - t), but exact in the tails too. All arrays have one shape.
    Cost: 3 multiplications, an exponential and 2 divisions each; 16 bytes an element in float32.
    """
    for at in ndindex(out.shape):
        value, t = float(x[at]), float(target[at])
        power = exp(-abs(value))
        more, less = 1 / (1 + power), power / (1 + power)
        yes, no = (more, less) if value > 0 else (less, more)
        out[at] = float(g[at]) * ((1 - t) * yes - t * no)
