"""Compiled passes over a matrix of pixels by channels, for batch norm.

Each thread takes a fixed share of the rows. Sums over a few rows are kept in the arrays' own dtype, where they are
quick, and then added to float64 totals, private to the thread; the shares are added in order: the same bits run after
run. Whole arrays and bounds are handed on, no slices: a slice counts references, and threads that count on one array
wait for each other.
"""

from tinyres_kernels.cpu.jit import compiled, inlined, kernel

ROWS = 16  # of which a sum is formed in the arrays' own dtype; taken four at a time, which spares the sums three ways


@compiled
def _add_up(t, width, near, totals):
    for k in range(2):
        for j in range(width):
            totals[t, k, j] += near[t, k, j]
            near[t, k, j] = 0


@inlined
def _moments(t, first, last, x, centre, near):
    width = x.shape[1]
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        for j in range(width):
            c = centre[j]
            p, q, r, s = x[i, j] - c, x[i + 1, j] - c, x[i + 2, j] - c, x[i + 3, j] - c
            near[t, 0, j] += (p + q) + (r + s)
            near[t, 1, j] += (p * p + q * q) + (r * r + s * s)
    for i in range(fours, last):
        for j in range(width):
            p = x[i, j] - centre[j]
            near[t, 0, j] += p
            near[t, 1, j] += p * p


@kernel
def moments(t, threads, x, centre, near, totals):
    """totals[t, 0] = sum of x - centre over thread t's rows, totals[t, 1] = sum of its square. near: scratch."""
    rows, width = x.shape
    first, last = rows * t // threads, rows * (t + 1) // threads
    totals[t] = 0
    near[t] = 0
    for begin in range(first, last, ROWS):
        _moments(t, begin, min(begin + ROWS, last), x, centre, near)
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


@inlined
def _products(t, first, last, g, x, y, centre, near):
    """Where the ReLU let pass if y > 0."""
    width = x.shape[1]
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        for j in range(width):
            c = centre[j]
            p = g[i, j] if y[i, j] > 0 else 0
            q = g[i + 1, j] if y[i + 1, j] > 0 else 0
            r = g[i + 2, j] if y[i + 2, j] > 0 else 0
            s = g[i + 3, j] if y[i + 3, j] > 0 else 0
            near[t, 0, j] += (p + q) + (r + s)
            near[t, 1, j] += (p * (x[i, j] - c) + q * (x[i + 1, j] - c)) + (
                r * (x[i + 2, j] - c) + s * (x[i + 3, j] - c)
            )
    for i in range(fours, last):
        for j in range(width):
            p = g[i, j] if y[i, j] > 0 else 0
            near[t, 0, j] += p
            near[t, 1, j] += p * (x[i, j] - centre[j])


@inlined
def _products_signs(t, first, last, g, x, centre, slope, shift, near):
    """Where the ReLU let pass if (x - centre) slope + shift > 0."""
    width = x.shape[1]
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        for j in range(width):
            c, m, n = centre[j], slope[j], shift[j]
            d, e, f, h = x[i, j] - c, x[i + 1, j] - c, x[i + 2, j] - c, x[i + 3, j] - c
            p = g[i, j] if d * m + n > 0 else 0
            q = g[i + 1, j] if e * m + n > 0 else 0
            r = g[i + 2, j] if f * m + n > 0 else 0
            s = g[i + 3, j] if h * m + n > 0 else 0
            near[t, 0, j] += (p + q) + (r + s)
            near[t, 1, j] += (p * d + q * e) + (r * f + s * h)
    for i in range(fours, last):
        for j in range(width):
            d = x[i, j] - centre[j]
            p = g[i, j] if d * slope[j] + shift[j] > 0 else 0
            near[t, 0, j] += p
            near[t, 1, j] += p * d


@inlined
def _products_plain(t, first, last, g, x, centre, near):
    width = x.shape[1]
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        for j in range(width):
            c = centre[j]
            p, q, r, s = g[i, j], g[i + 1, j], g[i + 2, j], g[i + 3, j]
            near[t, 0, j] += (p + q) + (r + s)
            near[t, 1, j] += (p * (x[i, j] - c) + q * (x[i + 1, j] - c)) + (
                r * (x[i + 2, j] - c) + s * (x[i + 3, j] - c)
            )
    for i in range(fours, last):
        for j in range(width):
            near[t, 0, j] += g[i, j]
            near[t, 1, j] += g[i, j] * (x[i, j] - centre[j])


@inlined
def _store(first, last, g, y, passed):
    width = g.shape[1]
    for i in range(first, last):
        for j in range(width):
            passed[i, j] = g[i, j] if y[i, j] > 0 else 0


@kernel
def products(t, threads, g, x, y, centre, slope, shift, passed, near, totals, store, mask):
    """totals[t, 0] = sum of g over thread t's rows, totals[t, 1] = sum of g (x - centre).

    g counts as 0 where the ReLU did not let pass; mask: 0 there is none, 1 it let pass where y > 0, 2 where
    (x - centre) slope + shift > 0. With `store`, for which y is needed, that g is written to `passed`.
    """
    rows, width = x.shape
    first, last = rows * t // threads, rows * (t + 1) // threads
    totals[t] = 0
    near[t] = 0
    for begin in range(first, last, ROWS):
        end = min(begin + ROWS, last)
        if mask == 1 and store:
            _store(begin, end, g, y, passed)
        if mask == 1 and not store:
            _products(t, begin, end, g, x, y, centre, near)
        elif mask == 2:
            _products_signs(t, begin, end, g, x, centre, slope, shift, near)
        else:
            _products_plain(t, begin, end, passed if store else g, x, centre, near)
        _add_up(t, width, near, totals)


@inlined
def _combine(first, last, g, x, y, centre, slope, shift, along, mean, scale, out, own, mask):
    width = x.shape[1]
    for i in range(first, last):
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


@kernel
def combine(t, threads, g, x, y, centre, slope, shift, along, mean, scale, out, own, mask):
    """out = (g - mean - (x - centre) along) scale, with g and mask as in `products`; without `own` just g scale."""
    rows = x.shape[0]
    first, last = rows * t // threads, rows * (t + 1) // threads
    _combine(first, last, g, x, y, centre, slope, shift, along, mean, scale, out, own, mask)
