"""A fully connected layer, and the gradient of its bias, in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace


def linear(x: Array, w: Array, b: Array | None, out: Array) -> None:
    """`reference.linear`."""
    namespace(x, w).matmul(x, w.T, out=out)
    if b is not None:
        out += b


def column_sums(x: Array, out: Array) -> None:
    """`reference.column_sums`, in float64: a sum of float32 over very many rows would lose its last terms."""
    out[...] = x.sum(axis=0, dtype="float64")
