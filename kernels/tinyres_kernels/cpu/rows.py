"""Compiled passes over a matrix of pixels by channels, for batch norm.

Each thread takes a fixed share of the rows. Sums over a few rows are kept in the arrays' own dtype, where they are
quick, and then added to float64 totals, private to the thread; the shares are added in order: the same bits run after
run.
"""

from tinyres_kernels.cpu.jit import compiled, inlined, kernel
from tinyres_kernels.cpu.row_tiles import ITSELF, combine_rows, products_rows

ROWS = 16  # of which a sum is formed in the arrays' own dtype


@compiled
def _add_up(t, width, near, totals):
    for k in range(2):
        for j in range(width):
            totals[t, k, j] += near[t, k, j]


@kernel
def moments(t, threads, x, centre, near, totals):
    """totals[t, 0] = sum of x - centre over thread t's rows, totals[t, 1] = sum of its square. near: scratch."""
    rows, width = x.shape
    first, last = rows * t // threads, rows * (t + 1) // threads
    own = 2 * t * near.shape[2]
    totals[t] = 0
    for begin in range(first, last, ROWS):
        count = min(ROWS, last - begin)
        products_rows(ITSELF, False, count, width, x, x, x, begin * width, centre, centre, centre, near, own,
                      own + near.shape[2], near, own)  # fmt: skip
        _add_up(t, width, near, totals)


@inlined
def _normalise(first, last, x, residual, centre, scale, shift, out, add, relu):
    width = x.shape[1]
    for i in range(first, last):
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
def normalise(t, threads, x, residual, centre, scale, shift, out, add, relu):
    """out = f((x - centre) scale + shift + residual)."""
    rows = x.shape[0]
    first, last = rows * t // threads, rows * (t + 1) // threads
    _normalise(first, last, x, residual, centre, scale, shift, out, add, relu)


@kernel
def products(t, threads, g, x, y, centre, slope, shift, passed, near, totals, store, mask):
    """totals[t, 0] = sum of g over thread t's rows, totals[t, 1] = sum of g (x - centre).

    g and mask are those of `row_tiles`. With `store`, for which y is needed, that g is written to `passed`.
    """
    rows, width = x.shape
    first, last = rows * t // threads, rows * (t + 1) // threads
    own = 2 * t * near.shape[2]
    totals[t] = 0
    for begin in range(first, last, ROWS):
        count, at = min(ROWS, last - begin), begin * width
        products_rows(mask, store, count, width, g, x, y, at, centre, slope, shift, near, own,
                      own + near.shape[2], passed, at)  # fmt: skip
        _add_up(t, width, near, totals)


@kernel
def combine(t, threads, g, x, y, centre, slope, shift, along, mean, scale, out, own, mask):
    """out = (g - mean - (x - centre) along) scale, with g and mask as in `products`; without `own` just g scale."""
    rows, width = x.shape
    first, last = rows * t // threads, rows * (t + 1) // threads
    for begin in range(first, last, ROWS):
        count, at = min(ROWS, last - begin), begin * width
        combine_rows(mask, own, count, width, g, x, y, at, centre, slope, shift, along, mean, scale, out, at)
