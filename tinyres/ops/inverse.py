"""Systems of linear equations, inverses and determinants, over the last two axes; the others are a batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.ops.linalg import matmul
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.shape import matrix_transpose, squeeze, unsqueeze
from tinyres.refusals.wording import describe


class SignLogDet(NamedTuple):
    sign: Any
    logabsdet: Any


@primitive(broadcasts=True)
def solve_(a, b):
    xp = namespace(a, b)
    if a.shape[:-2] != b.shape[:-2]:  # CuPy has no broadcasting here
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = xp.broadcast_to(a, batch + a.shape[-2:]), xp.broadcast_to(b, batch + b.shape[-2:])
    return xp.linalg.solve(a, b)


# With y = a^-1 b: dy = a^-1 (db - da y).
solve_.vjp(
    a=lambda g, a, y: -matmul(solve_(matrix_transpose(a), g), matrix_transpose(y)),
    b=lambda g, a: solve_(matrix_transpose(a), g),
)


@public
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """The X with A X = B (with left=False, X A = B). B holds matrices, or vectors if it has one axis less than A."""
    A = matrices("solve", A, square=True)
    if B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1])):
        if not left:
            raise ValueError("solve: left=False needs matrices B, and got vectors")
        return squeeze(solve_(A, unsqueeze(B, -1)), -1)
    if left:
        return solve_(A, B)
    return matrix_transpose(solve_(matrix_transpose(A), matrix_transpose(B)))


@primitive
def inv_(x):
    return namespace(x).linalg.inv(x)


inv_.vjp(x=lambda g, y: -matmul(matrix_transpose(y), matmul(g, matrix_transpose(y))))


@public
def inv(A: Any) -> Any:
    """The inverse of square matrices. `solve(A, B)` is faster and more accurate than inv(A) @ B."""
    return inv_(matrices("inv", A, square=True))


@primitive
def cofactors(x):
    """The derivatives of det(x): det(x) x^-T, which exists for singular x, too."""
    xp = namespace(x)
    u, s, vt = xp.linalg.svd(x)
    n = s.shape[-1]
    others = xp.where(xp.eye(n, dtype=bool), xp.ones((), x.dtype), s[..., None, :]).prod(-1)  # (..., N): without s_i
    sign = xp.linalg.det(u) * xp.linalg.det(vt)
    return xp.matmul(u * (sign[..., None] * others)[..., None, :], vt)


def _cofactors_dx(g, x, y):
    inverse = inv_(x)
    along = sum_over(g * matrix_transpose(inverse), axis=(-2, -1), keepdims=True)
    return along * y - matmul(y, matmul(matrix_transpose(g), matrix_transpose(inverse)))


cofactors.vjp(x=_cofactors_dx)


@primitive
def det_(x):
    return namespace(x).linalg.det(x)


det_.vjp(x=lambda g, x: unsqueeze(unsqueeze(g, -1), -1) * cofactors(x))


@public
def det(A: Any) -> Any:
    """The determinant. Its gradient exists for singular matrices, too; its second derivative needs an inverse."""
    return det_(matrices("det", A, square=True))


@primitive
def logabsdet(x):
    """log |det x|."""
    return namespace(x).linalg.slogdet(x)[1]


logabsdet.vjp(x=lambda g, x: unsqueeze(unsqueeze(g, -1), -1) * matrix_transpose(inv_(x)))


@primitive
def signdet(x):
    """The sign of det x. It has no gradient."""
    return namespace(x).linalg.slogdet(x)[0]


@public
def slogdet(A: Any) -> SignLogDet:
    """(sign, log |det|), which neither overflows nor underflows; det = sign e^logabsdet."""
    x = matrices("slogdet", A, square=True)
    return SignLogDet(signdet(x), logabsdet(x))


def matrices(name: str, x: Any, square: bool = False) -> Any:
    """x, if it holds matrices (square ones, if so asked)."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"{name}: needs {'square ' if square else ''}matrices (..., M, N), got {describe(x)}")
    return x
