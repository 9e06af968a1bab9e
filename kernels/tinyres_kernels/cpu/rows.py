"""Compiled passes over a matrix of pixels by channels, for batch norm.

Each thread takes a fixed share of the rows. Sums over a few rows are kept in the arrays' own dtype, where they are
quick, and then added to float64 totals, private to the thread; the shares are added in order: the same bits run after
run.
"""

from numba import prange

from tinyres_kernels.cpu.host import kernel

ROWS = 16  # of which a sum is formed in the arrays' own dtype


@kernel
def moments(threads, x, centre, near, totals):
    """totals[t, 0] = sum of x - centre over thread t's rows, totals[t, 1] = sum of its square. near: scratch."""
    rows, width = x.shape
    for t in prange(threads):
        first, last = rows * t // threads, rows * (t + 1) // threads
        totals[t] = 0
        for begin in range(first, last, ROWS):
            near[t] = 0
            for i in range(begin, min(begin + ROWS, last)):
                for j in range(width):
                    d = x[i, j] - centre[j]
                    near[t, 0, j] += d
                    near[t, 1, j] += d * d
            for j in range(width):
                totals[t, 0, j] += near[t, 0, j]
                totals[t, 1, j] += near[t, 1, j]


@kernel
def normalise(threads, x, residual, centre, scale, shift, out, add, relu):
    """out = f((x - centre) scale + shift + residual)."""
    rows, width = x.shape
    for t in prange(threads):
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            if add and relu:
                for j in range(width):
                    value = (x[i, j] - centre[j]) * scale[j] + shift[j] + residual[i, j]
                    out[i, j] = 0 if value <= 0 else value
            elif add:
                for j in range(width):
                    out[i, j] = (x[i, j] - centre[j]) * scale[j] + shift[j] + residual[i, j]
            elif relu:
                for j in range(width):
                    value = (x[i, j] - centre[j]) * scale[j] + shift[j]
                    out[i, j] = 0 if value <= 0 else value
            else:
                for j in range(width):
                    out[i, j] = (x[i, j] - centre[j]) * scale[j] + shift[j]


@kernel
def products(threads, g, x, y, centre, slope, shift, passed, near, totals, store, mask):
    """totals[t, 0] = sum of g over thread t's rows, totals[t, 1] = sum of g (x - centre).

    g counts as 0 where the ReLU did not let pass; mask: 0 there is none, 1 it let pass where y > 0, 2 where
    (x - centre) slope + shift > 0. With `store` that g is written to `passed`.
    """
    rows, width = x.shape
    for t in prange(threads):
        first, last = rows * t // threads, rows * (t + 1) // threads
        totals[t] = 0
        for begin in range(first, last, ROWS):
            near[t] = 0
            for i in range(begin, min(begin + ROWS, last)):
                if mask and store:
                    for j in range(width):
                        d = x[i, j] - centre[j]
                        value = g[i, j] if (y[i, j] if mask == 1 else d * slope[j] + shift[j]) > 0 else 0
                        passed[i, j] = value
                        near[t, 0, j] += value
                        near[t, 1, j] += value * d
                elif mask == 1:
                    for j in range(width):
                        value = g[i, j] if y[i, j] > 0 else 0
                        near[t, 0, j] += value
                        near[t, 1, j] += value * (x[i, j] - centre[j])
                elif mask == 2:
                    for j in range(width):
                        d = x[i, j] - centre[j]
                        value = g[i, j] if d * slope[j] + shift[j] > 0 else 0
                        near[t, 0, j] += value
                        near[t, 1, j] += value * d
                else:
                    for j in range(width):
                        near[t, 0, j] += g[i, j]
                        near[t, 1, j] += g[i, j] * (x[i, j] - centre[j])
            for j in range(width):
                totals[t, 0, j] += near[t, 0, j]
                totals[t, 1, j] += near[t, 1, j]


@kernel
def combine(threads, g, x, y, centre, slope, shift, along, mean, scale, out, own, mask):
    """out = (g - mean - (x - centre) along) scale, with g and mask as in `products`; without `own` just g scale."""
    rows, width = x.shape
    for t in prange(threads):
        for i in range(rows * t // threads, rows * (t + 1) // threads):
            if own and mask == 1:
                for j in range(width):
                    value = g[i, j] if y[i, j] > 0 else 0
                    out[i, j] = (value - mean[j] - (x[i, j] - centre[j]) * along[j]) * scale[j]
            elif own and mask == 2:
                for j in range(width):
                    d = x[i, j] - centre[j]
                    value = g[i, j] if d * slope[j] + shift[j] > 0 else 0
                    out[i, j] = (value - mean[j] - d * along[j]) * scale[j]
            elif own:
                for j in range(width):
                    out[i, j] = (g[i, j] - mean[j] - (x[i, j] - centre[j]) * along[j]) * scale[j]
            elif mask:
                for j in range(width):
                    passes = y[i, j] if mask == 1 else (x[i, j] - centre[j]) * slope[j] + shift[j]
                    out[i, j] = g[i, j] * scale[j] if passes > 0 else 0
            else:
                for j in range(width):
                    out[i, j] = g[i, j] * scale[j]
