"""Factorisations of matrices, over the last two axes; the others are a batch.

A primitive has one output, so the factors come joined in one array and are cut apart. Where a rule divides by a
difference of eigenvalues or singular values, equal ones contribute 0: a function that does not depend on how the
vectors of equal values are chosen has no more to contribute there. How such rules are found: Giles 2008
[giles2008extended], "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation".
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import raw
from tinyres.ops.arranging import tril, triu
from tinyres.ops.elementwise import where, zeros_of
from tinyres.ops.inverse import matrices, solve_
from tinyres.ops.linalg import matmul
from tinyres.ops.shape import concatenate, matrix_transpose, unsqueeze


class QR(NamedTuple):
    Q: Any
    R: Any


class Eigh(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class SVD(NamedTuple):
    U: Any
    S: Any
    Vh: Any


def _inverse_differences(w):
    """1 / (w_j - w_i) as a matrix (i, j); 0 where the two are equal."""
    difference = unsqueeze(w, -2) - unsqueeze(w, -1)
    equal = difference == 0
    return where(equal, 0.0, 1.0 / where(equal, 1.0, difference))


def _half_lower(x):
    """The lower triangle, with half of the diagonal: what of a symmetric matrix x + x^T belongs to x."""
    return 0.5 * (tril(x) + tril(x, -1))


@primitive
def cholesky_(x):
    return namespace(x).linalg.cholesky(x)


def _cholesky_dx(g, y):
    inner = _half_lower(matmul(matrix_transpose(y), tril(g)))
    left = solve_(matrix_transpose(y), inner)
    s = matrix_transpose(solve_(matrix_transpose(y), matrix_transpose(left)))
    return 0.5 * (s + matrix_transpose(s))


cholesky_.vjp(x=_cholesky_dx)


@public
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with x = L L^T of a symmetric, positive definite x (with `upper`, L^T)."""
    y = cholesky_(matrices("cholesky", x, square=True))
    return matrix_transpose(y) if upper else y


@primitive
def eigh_(x, *, lower):
    """(N + 1, N): the eigenvalues in the first row, then the eigenvectors in columns."""
    xp = namespace(x)
    w, v = xp.linalg.eigh(x, "L" if lower else "U")
    return xp.concatenate([w[..., None, :], v], -2)


def _eigh_dx(g, y):
    w, v = y[..., 0, :], y[..., 1:, :]
    vt = matrix_transpose(v)
    inner = matmul(vt, g[..., 1:, :]) * _inverse_differences(w)
    dx = matmul(v, matmul(inner, vt) + unsqueeze(g[..., 0, :], -1) * vt)
    return 0.5 * (dx + matrix_transpose(dx))  # of all that move a symmetric x alike, the one that leaves it symmetric


eigh_.vjp(x=_eigh_dx)


@public
def eigh(x: Any, UPLO: str = "L") -> Eigh:
    """Eigenvalues, smallest first, and eigenvectors, in columns, of a symmetric x: x = V diag(w) V^T.

    Only one triangle of x is read, the lower one or the upper; the gradient is that of a symmetric x.
    """
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigh: UPLO is 'L' or 'U', the triangle to read, got {UPLO!r}")
    y = eigh_(matrices("eigh", x, square=True), lower=UPLO == "L")
    return Eigh(y[..., 0, :], y[..., 1:, :])


@public
def eigvalsh(x: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of a symmetric x, smallest first; see `eigh`."""
    return eigh(x, UPLO).eigenvalues


@primitive
def qr_(x):
    """(N + N, N) of an (M, N) with M >= N: Q on top of R."""
    xp = namespace(x)
    q, r = xp.linalg.qr(x)
    return xp.concatenate([q, r], -2)


def _qr_dx(g, y, x_shape):
    m = x_shape[-2]
    q, r, dq, dr = y[..., :m, :], y[..., m:, :], g[..., :m, :], triu(g[..., m:, :])
    inner = matmul(r, matrix_transpose(dr)) - matmul(matrix_transpose(dq), q)
    lower = tril(inner, -1)  # the part that the triangle of R leaves free
    symmetric = tril(inner) + matrix_transpose(lower)
    return matrix_transpose(solve_(r, matrix_transpose(dq + matmul(q, symmetric))))


qr_.vjp(x=_qr_dx)


@public
def qr(A: Any, mode: str = "reduced") -> QR:
    """x = Q R with orthonormal columns in Q (M, K), R (K, N) upper triangular and K = min(M, N).

    A wide x is its left square, which gives Q, and columns that Q^T turns into those of R. With mode="complete", Q is
    square, and R has rows of 0 below; with mode="r", Q is empty.
    """
    x = matrices("qr", A)
    m, n = x.shape[-2:]
    if mode not in ("reduced", "r", "complete"):
        raise ValueError(f"qr: mode is 'reduced', 'r' or 'complete', got {mode!r}")
    y = qr_(x[..., :m])
    q, r = y[..., :m, :], y[..., m:, :]
    if m < n:
        r = concatenate([r, matmul(matrix_transpose(q), x[..., m:])], -1)
    if mode == "complete" and m > n:
        q, r = _completed(q), concatenate([r, zeros_of(x[..., n:, :])], -2)
    return QR(q[..., :0, :0] if mode == "r" else q, r)


def _completed(q):
    """More columns, orthonormal to those of q and to each other, until q is square. They have no gradient."""
    more = namespace(raw(q)).linalg.qr(raw(q), "complete")[0][..., q.shape[-1] :]
    return concatenate([q, more], -1)


@primitive
def svd_(x):
    """(M + N + 1, K): the left vectors in columns, the right ones in columns, and the singular values."""
    xp = namespace(x)
    u, s, vt = xp.linalg.svd(x, full_matrices=False)
    return xp.concatenate([u, vt.swapaxes(-1, -2), s[..., None, :]], -2)


def _svd_dx(g, y, x_shape):
    m, n = x_shape[-2:]
    u, v, s = y[..., :m, :], y[..., m : m + n, :], y[..., -1, :]
    du, dv, ds = g[..., :m, :], g[..., m : m + n, :], g[..., -1, :]
    ut, vt, zero = matrix_transpose(u), matrix_transpose(v), unsqueeze(s, -2) == 0
    inverse = where(zero, 0.0, 1.0 / where(zero, 1.0, unsqueeze(s, -2)))  # (1, K)
    gaps = _inverse_differences(s * s)
    left, right = matmul(ut, du), matmul(vt, dv)
    inner = (left - matrix_transpose(left)) * gaps * unsqueeze(s, -2)
    inner = inner + unsqueeze(s, -1) * ((right - matrix_transpose(right)) * gaps)
    dx = matmul(u, matmul(inner, vt) + unsqueeze(ds, -1) * vt)
    if m > n:  # what of the vectors' change leaves the spaces that they span
        dx = dx + matmul((du - matmul(u, left)) * inverse, vt)
    if n > m:
        dx = dx + matmul(u, matrix_transpose((dv - matmul(v, right)) * inverse))
    return dx


svd_.vjp(x=_svd_dx)


@public
def svd(A: Any, full_matrices: bool = True) -> SVD:
    """x = U diag(S) V^T, the singular values S from the largest to the smallest; (M, K), (K,), (K, N), K = min(M, N).

    With full_matrices, PyTorch's default, U and V are made square by vectors that no singular value belongs to. These
    have no gradient, since they may be chosen in many ways.
    """
    x = matrices("svd", A)
    m, n = x.shape[-2:]
    y = svd_(x)
    u, v = y[..., :m, :], y[..., m : m + n, :]
    if full_matrices:
        u, v = (_completed(w) if w.shape[-2] > w.shape[-1] else w for w in (u, v))
    return SVD(u, y[..., -1, :], matrix_transpose(v))


@primitive
def svdvals_(x):
    return namespace(x).linalg.svd(x, compute_uv=False)


def _svdvals_dx(g, x):
    u, _, vt = svd(x, False)
    return matmul(u, unsqueeze(g, -1) * vt)


svdvals_.vjp(x=_svdvals_dx)


@public
def svdvals(A: Any) -> Any:
    """The singular values, from the largest to the smallest."""
    return svdvals_(matrices("svdvals", A))
