"""Linear algebra under PyTorch's names, over the last two axes of tensors; the others are a batch."""

from __future__ import annotations

from typing import Any

from tinyres.ops.arranging import diagonal as diagonal_
from tinyres.ops.decompositions import QR, SVD, Eigh, cholesky, eigh, eigvalsh, qr, svd, svdvals
from tinyres.ops.inverse import SignLogDet, det, inv, slogdet, solve
from tinyres.ops.linalg import matmul
from tinyres.ops.norms import matrix_norm, vector_norm
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.reduction import typed
from tinyres.refusals.absent import told
from tinyres.refusals.blame import explain_operands


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`vector_norm` over one axis, or of all elements without `ord` and `dim`; `matrix_norm` over two."""
    A = typed(A, dtype)
    axes = None if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    if ord is None:
        return vector_norm(A, 2, axes, keepdim)
    count = A.ndim if axes is None else len(axes)
    if count == 1 and not isinstance(ord, str):
        return vector_norm(A, ord, axes, keepdim)
    if count != 2:
        raise ValueError(f"norm: ord={ord!r} is a norm of one axis or of two, got {count}; say which with dim")
    return matrix_norm(A, ord, (0, 1) if axes is None else axes, keepdim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of the last two axes; see `tr.diagonal`."""
    return diagonal_(A, offset, dim1, dim2)


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """The inner products along an axis."""
    return sum_over(x * y, dim)


__all__ = [
    "QR", "SVD", "Eigh", "SignLogDet", "cholesky", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul",
    "matrix_norm", "norm", "qr", "slogdet", "solve", "svd", "svdvals", "vecdot", "vector_norm",
]  # fmt: skip
globals().update({n: explain_operands(f) for n, f in globals().items() if n in __all__ and not isinstance(f, type)})
__getattr__ = told(__name__)
