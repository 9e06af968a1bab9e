"""Sinkhorn's iteration: a matrix of any logits becomes doubly stochastic."""

from __future__ import annotations

from typing import Any

from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.elementwise import exp
from tinyres.ops.reduction import logsumexp, sum
from tinyres.refusals.wording import describe


@public
def sinkhorn(input: Any, iterations: int = 20) -> Any:
    """Divide the rows, then the columns, of e^x by their sums, `iterations` times (Sinkhorn & Knopp 1967
    [sinkhorn1967concerning]).

    The columns are last, so their sums are exactly 1, and those of the rows nearly. The logarithm of the first row
    sums is taken off before e^x, so no logit overflows; entries that are far below the largest in their row underflow
    to 0, and from there they get no gradient.

    Shapes: x and y (..., n, n). Differentiated through all iterations.

    Raises:
        ValueError: x is not square, or iterations < 1.
    """
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ValueError(f"sinkhorn: needs square matrices (..., n, n), got {describe(raw(input))}")
    if iterations < 1:
        raise ValueError(f"sinkhorn: iterations must be at least 1, got {iterations}")
    y = exp(input - logsumexp(input, -1, keepdim=True))
    for _ in range(iterations - 1):
        y = y / sum(y, -2, keepdim=True)
        y = y / sum(y, -1, keepdim=True)
    return y / sum(y, -2, keepdim=True)


__all__ = ["sinkhorn"]
