"""The matrix product as the array library has it."""

from tinyres_kernels.namespace import Array, namespace


def matmul(a: Array, b: Array, out: Array) -> None:
    """`reference.matmul` by BLAS."""
    namespace(a, b).matmul(a, b, out=out)
