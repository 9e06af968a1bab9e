"""Rows of the factorisations of matrices. What a factor leaves open, its signs, is squared away."""

from __future__ import annotations

import itertools
import math

import numpy as np

import tinyres as tr
from tests.ops.oracles import Sample, normal, row
from tinyres import linalg
from tinyres.ops.inverse import cofactors, signdet


def regular(*shape: int) -> Sample:
    """Square matrices far from singular ones, the singular values of each far from each other."""
    return lambda rng: rng.standard_normal(shape) * 0.3 + np.diag(np.arange(1.0, shape[-1] + 1) * 1.5)


def tall(m: int, n: int) -> Sample:
    return lambda rng: rng.standard_normal((m, n)) * 0.3 + np.eye(m, n) * np.arange(1.0, n + 1) * 1.5


def leibniz(x: np.ndarray) -> np.ndarray:
    """The determinant as a sum over permutations."""
    n = x.shape[-1]
    signs = [(p, round(np.linalg.det(np.eye(n)[list(p)]))) for p in itertools.permutations(range(n))]
    return np.asarray(sum(s * math.prod(x[..., i, p[i]] for i in range(n)) for p, s in signs))


def minors(x: np.ndarray) -> np.ndarray:
    """The cofactors, each from the matrix without a row and a column."""
    n, out = x.shape[-1], np.empty_like(x)
    for i, j in np.ndindex(n, n):
        out[..., i, j] = (-1) ** (i + j) * leibniz(np.delete(np.delete(x, i, -2), j, -1))
    return out


def inverse(x: np.ndarray) -> np.ndarray:
    return minors(x).swapaxes(-1, -2) / leibniz(x)[..., None, None]


def gram_schmidt(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squares of Q and R, column by column."""
    q = np.zeros((x.shape[0], min(x.shape)))
    for k in range(q.shape[1]):
        v = x[:, k] - q[:, :k] @ (q[:, :k].T @ x[:, k])
        q[:, k] = v / np.sqrt(v @ v)
    return q**2, (q.T @ x) ** 2


def by_eigenvalues(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The squares of U and V, and S, by the eigenvectors of x x^T and x^T x."""
    k, sides = min(x.shape), []
    for square in (x @ x.T, x.T @ x):
        w, v = np.linalg.eig(square)
        order = np.argsort(-w)[:k]
        sides.append((np.sqrt(w[order]), v[:, order] ** 2))
    return sides[0][1], sides[0][0], sides[1][1].T


def lower(x: np.ndarray) -> np.ndarray:
    """Cholesky's factor of x x^T + 1, number by number."""
    a = x @ x.T + np.eye(len(x))
    y = np.zeros_like(a)
    for i in range(len(a)):
        for j in range(i + 1):
            rest = a[i, j] - sum(y[i, k] * y[j, k] for k in range(j))
            y[i, j] = math.sqrt(rest) if i == j else rest / y[j, j]
    return y


def symmetric_values(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    w, v = np.linalg.eig(x + x.T)
    order = np.argsort(w)
    return w[order], v[:, order] ** 2


def squares(*factors):
    return tuple(f * f for f in factors)


def linalg_rows() -> None:
    row("solve", linalg.solve, lambda a, b: inverse(a) @ b, regular(2, 3, 3), normal(3, 2), empty=((0, 3, 3), (3, 2)))
    row("solve", linalg.solve, lambda a, b: inverse(a) @ b, regular(3, 3), normal(3), case="a vector")
    row("solve", lambda a, b: linalg.solve(a, b, left=False), lambda a, b: b @ inverse(a), regular(3, 3), normal(2, 3),
        case="from the right")  # fmt: skip
    row("inv", linalg.inv, inverse, regular(2, 3, 3), empty=((0, 3, 3),))
    row("det", linalg.det, leibniz, regular(2, 3, 3), empty=((0, 3, 3),))
    row("cofactors", cofactors, minors, regular(2, 3, 3))
    row("logabsdet", lambda x: linalg.slogdet(x).logabsdet, lambda x: np.log(abs(leibniz(x))), regular(2, 3, 3))
    row("signdet", signdet, lambda x: np.sign(leibniz(x)), normal(4, 3, 3), differentiable=False)
    row("cholesky", lambda x: linalg.cholesky(x @ x.T + tr.diag(x[0] * 0 + 1)), lower, normal(3, 3))
    row("eigh", lambda x: (linalg.eigh(x + x.T)[0], linalg.eigh(x + x.T)[1] ** 2), symmetric_values, regular(3, 3))
    row("eigh", lambda x: linalg.eigvalsh(x + x.T, "U"), lambda x: symmetric_values(x)[0], regular(3, 3), case="values")
    row("qr", lambda x: squares(*linalg.qr(x)), gram_schmidt, tall(4, 3))
    row("qr", lambda x: squares(*linalg.qr(x)), gram_schmidt, tall(2, 4), case="wide")
    for case, sample in {"tall": tall(4, 3), "square": regular(3, 3), "wide": lambda rng: tall(4, 3)(rng).T}.items():
        row(
            "svd",
            lambda x: (lambda u, s, v: (u * u, s, v * v))(*linalg.svd(x, False)),
            by_eigenvalues,
            sample,
            case=case,
        )
        row("svdvals", linalg.svdvals, lambda x: by_eigenvalues(x)[1], sample, case=case)
    row("", lambda x: linalg.norm(x, "nuc"), lambda x: by_eigenvalues(x)[1].sum(), tall(4, 3), case="norm nuc")
    row("", lambda x: linalg.matrix_norm(x, 1), lambda x: abs(x).sum(0).max(), tall(4, 3), case="matrix_norm 1")
