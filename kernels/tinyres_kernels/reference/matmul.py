"""The matrix product."""

from tinyres_kernels.namespace import Array


def matmul(a: Array, b: Array, out: Array) -> None:
    """out[m, n] = sum over k of a[m, k] b[k, n].

    a (M, K), b (K, N), out (M, N); a and b may be transposed views. Cost: M N K multiplications; each read or written
    once.
    """
    rows, columns = a.tolist(), b.T.tolist()
    for m, row in enumerate(rows):
        for n, column in enumerate(columns):
            out[m, n] = sum(p * q for p, q in zip(row, column, strict=True))
