"""Compiled passes over a matrix of pixels by channels, for batch norm. Each thread takes a fixed share of the rows, its
sums are float64 and private, and the shares are added in order: the same bits run after run."""

from numba import prange

from tinyres_kernels.cpu.host import kernel


@kernel
def sums(threads, x, partial):
    """partial[t, j] = sum of x[:, j] over thread t's rows."""
    rows, width = x.shape
    for t in prange(threads):
        partial[t] = 0
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            for j in range(width):
                partial[t, j] += x[i, j]


@kernel
def squares(threads, x, centre, partial):
    """partial[t, j] = sum of (x[:, j] - centre[j])^2."""
    rows, width = x.shape
    for t in prange(threads):
        partial[t] = 0
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            for j in range(width):
                d = x[i, j] - centre[j]
                partial[t, j] += d * d


@kernel
def normalise(threads, x, centre, scale, shift, out):
    """out = (x - centre) scale + shift."""
    rows, width = x.shape
    for t in prange(threads):
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            for j in range(width):
                out[i, j] = (x[i, j] - centre[j]) * scale[j] + shift[j]


@kernel
def products(threads, g, x, centre, partial):
    """partial[0, t] = sum of g, partial[1, t] = sum of g (x - centre)."""
    rows, width = x.shape
    for t in prange(threads):
        partial[:, t] = 0
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            for j in range(width):
                partial[0, t, j] += g[i, j]
                partial[1, t, j] += g[i, j] * (x[i, j] - centre[j])


@kernel
def combine(threads, g, x, centre, along, mean, scale, out):
    """out = (g - mean - (x - centre) along) scale."""
    rows, width = x.shape
    for t in prange(threads):
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            for j in range(width):
                out[i, j] = (g[i, j] - mean[j] - (x[i, j] - centre[j]) * along[j]) * scale[j]
