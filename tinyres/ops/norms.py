"""Norms of vectors and matrices. Where a norm has a kink, at 0, its gradient is taken as 0, as in PyTorch."""

from __future__ import annotations

import math
from typing import Any

from tinyres.autograd.calling import public
from tinyres.ops.arithmetic import square
from tinyres.ops.elementwise import abs, power, sign, where
from tinyres.ops.ordering import amax, amin
from tinyres.ops.reduction import named, root, typed
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.shape import axes_of, permute, reshape


def vector_norm(
    x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None
) -> Any:
    """(sum |x|^p)^(1/p) over `dim`, p = ord.

    It is the largest |x| for p = inf, the smallest for p = -inf, and for p = 0 how many elements are not 0.
    """
    axis, _ = named(dim, False, axis, False)
    x, axes = typed(x, dtype), axes_of(axis, x.ndim)
    how = {"axis": axes, "keepdims": keepdim}
    if ord == 2:
        return root(sum_over(x * x, **how))
    if ord == 0:
        return sum_over(square(sign(x)), **how)
    if ord == 1:
        return sum_over(abs(x), **how)
    if math.isinf(ord):
        return amax(abs(x), **how) if ord > 0 else amin(abs(x), **how)
    return _raised(sum_over(_raised(abs(x), ord), **how), 1 / ord)


def _raised(x: Any, p: float) -> Any:
    """x^p for x >= 0, with the gradient 0 at 0."""
    zero = x == 0
    return where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1.0, x), p=p))


def matrix_norm(x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Any:
    """A norm of the matrices over two axes.

    "fro": the root of the sum of squares; "nuc": the sum of the singular values; 2 and -2: the largest and the smallest
    of them; 1 and -1: the largest and the smallest sum of |x| over a column; inf and -inf: over a row.
    """
    x, axes = typed(x, dtype), axes_of(dim, x.ndim)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"matrix_norm: dim must name two axes, got {dim!r}")
    if ord == "fro":
        return vector_norm(x, 2, axes, keepdim)
    if ord not in ("nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    rest = [a for a in range(x.ndim) if a not in axes]
    x = permute(x, (*rest, *axes))
    pick = amin if ord in (-1, -2, -math.inf) else amax
    if ord in ("nuc", 2, -2):
        from tinyres.ops.decompositions import svdvals  # needed by few

        values = svdvals(x)
        y = sum_over(values, axis=-1) if ord == "nuc" else pick(values, axis=-1)
    else:
        y = pick(sum_over(abs(x), axis=-2 if ord in (1, -1) else -1), axis=-1)
    shape = [y.shape[rest.index(a)] if a in rest else 1 for a in range(x.ndim)]
    return reshape(y, tuple(shape)) if keepdim else y


@public
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The p-norm of x as a vector, over `dim` or of all; p="fro" is the 2-norm, p="nuc" the nuclear norm of matrices.

    `linalg.vector_norm` and `linalg.matrix_norm` say more plainly which norm is meant.
    """
    if p == "nuc":
        if dim is None and input.ndim != 2:
            raise ValueError(f"norm: the nuclear norm of shape {tuple(input.shape)} needs dim=(a, b), its two axes")
        return matrix_norm(input, "nuc", (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p is a number, 'fro' or 'nuc', got {p!r}")
    return vector_norm(input, 2 if p in ("fro", None) else float(p), dim, keepdim, dtype=dtype)


__all__ = [
    "norm",
]  # fmt: skip
