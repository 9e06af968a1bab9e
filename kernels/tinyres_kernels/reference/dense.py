"""A fully connected layer, and the gradient of its bias; those of x and w are products."""

from tinyres_kernels.namespace import Array


def linear(x: Array, w: Array, b: Array | None, out: Array) -> None:
    """out[m, n] = sum over k of x[m, k] w[n, k], plus b[n].

    x (M, K), w (N, K), b (N,) or None, out (M, N). Cost: M N K multiplications; each read or written once.
    """
    rows, columns, shifts = x.tolist(), w.tolist(), [0.0] * len(w) if b is None else b.tolist()
    for m, row in enumerate(rows):
        for n, column in enumerate(columns):
            out[m, n] = sum(p * q for p, q in zip(row, column, strict=True)) + shifts[n]


def column_sums(x: Array, out: Array) -> None:
    """out[c] = sum over m of x[m, c]. x (M, C), out (C,). 4 M C bytes in float32."""
    for c, column in enumerate(x.T.tolist()):
        out[c] = sum(column)
