"""A fully connected layer, by the matrix product of this set, and the gradient of its bias."""

from tinyres_kernels.cuda.matmul import matmul
from tinyres_kernels.im2col.dense import column_sums as column_sums
from tinyres_kernels.namespace import Array


def linear(x: Array, w: Array, b: Array | None, out: Array) -> None:
    """`reference.linear`."""
    matmul(x, w.T, out)
    if b is not None:
        out += b
