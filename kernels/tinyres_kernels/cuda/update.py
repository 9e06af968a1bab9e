"""The steps of optimisers: everything read once and written once, by SGD and Adam four numbers a thread.

A net has many parameters, and most of them are small: what a launch costs is what the step costs. So each kernel takes
a table of them (`table.py`), and the step of one parameter is that of a table with one row. How a launch is made of
steps is in `steps.py`.

A launch that is captured into a graph is launched again with the numbers that it was given once. So the settings, which
a schedule changes from step to step, may lie in memory as well: `kept` is a line of them, or an empty one.
"""

from math import sqrt

from tinyres_kernels.cuda.host import THREADS, cuda, helper, jit, kernel
from tinyres_kernels.cuda.table import line_at, reader, rows
from tinyres_kernels.cuda.words import load4, store4

SGD_ROWS, ADAM_ROWS, RMSPROP_ROWS = rows(7, 14), rows(9, 17), rows(11, 16)

# 0 times an infinity is NaN: what a setting of 0 leaves out is asked, and not multiplied.


@kernel(["r", 7 * SGD_ROWS, *"ssssnnn"])
def sgd_kernel(real, width=1):
    zero, row_of = real(0), reader(7)

    @helper
    def stepped(p, g, average, lr, momentum, share, decay, has_buffer, first, nesterov):
        """The parameter and its average after the step."""
        step = g + decay * p if decay != zero else g
        if has_buffer:
            average = step if first else momentum * average + share * step
            step = step + momentum * average if nesterov else average
        return p - lr * step, average

    @jit
    def sgd_kernel(kept, table, lr, momentum, share, decay, has_buffer, first, nesterov):
        start, size, to_out, to_new, to_p, to_g, to_buffer = row_of(table, cuda.blockIdx.x)
        out, new_buffer = line_at(kept, to_out, size), line_at(kept, to_new, size)
        p, g, buffer = line_at(kept, to_p, size), line_at(kept, to_g, size), line_at(kept, to_buffer, size)
        i = ((cuda.blockIdx.x - start) * THREADS + cuda.threadIdx.x) * width
        if kept.size:
            lr, momentum, share, decay = kept[0], kept[1], kept[2], kept[3]
        how = lr, momentum, share, decay, has_buffer, first, nesterov
        if width == 4 and i + 4 <= out.size:
            p0, p1, p2, p3 = load4(p, i)
            g0, g1, g2, g3 = load4(g, i)
            b0, b1, b2, b3 = zero, zero, zero, zero
            if has_buffer and not first:
                b0, b1, b2, b3 = load4(buffer, i)
            (p0, b0), (p1, b1) = stepped(p0, g0, b0, *how), stepped(p1, g1, b1, *how)
            (p2, b2), (p3, b3) = stepped(p2, g2, b2, *how), stepped(p3, g3, b3, *how)
            if has_buffer:
                store4(new_buffer, i, b0, b1, b2, b3)
            store4(out, i, p0, p1, p2, p3)
        else:
            for j in range(i, min(i + width, out.size)):
                p0, b0 = stepped(p[j], g[j], buffer[j] if has_buffer and not first else zero, *how)
                if has_buffer:
                    new_buffer[j] = b0
                out[j] = p0

    return sgd_kernel


@kernel(["r", 9 * ADAM_ROWS, *"sssssssssn"])
def adam_kernel(real, width=1):
    zero, row_of = real(0), reader(9)

    @helper
    def stepped(p, g, m, v, rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first):
        """The parameter and both averages after the step."""
        slope = g + decay * p if decay != zero else g
        mean, square = share1 * slope, share2 * (slope * slope)
        if not first:
            mean, square = keep1 * m + mean, keep2 * v + square
        return shrink * p - rate * (mean / (real(sqrt(square)) / scale + eps)), mean, square

    @jit
    def adam_kernel(kept, table, rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first):
        start, size, to_out, to_new_m, to_new_v, to_p, to_g, to_m, to_v = row_of(table, cuda.blockIdx.x)
        out, new_m, new_v = line_at(kept, to_out, size), line_at(kept, to_new_m, size), line_at(kept, to_new_v, size)
        p, g = line_at(kept, to_p, size), line_at(kept, to_g, size)
        m, v = line_at(kept, to_m, size), line_at(kept, to_v, size)
        i = ((cuda.blockIdx.x - start) * THREADS + cuda.threadIdx.x) * width
        if kept.size:
            rate, keep1, share1, keep2, share2 = kept[0], kept[1], kept[2], kept[3], kept[4]
            eps, decay, shrink, scale = kept[5], kept[6], kept[7], kept[8]
        how = rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first
        if width == 4 and i + 4 <= out.size:
            p0, p1, p2, p3 = load4(p, i)
            g0, g1, g2, g3 = load4(g, i)
            m0, m1, m2, m3 = zero, zero, zero, zero
            v0, v1, v2, v3 = zero, zero, zero, zero
            if not first:
                m0, m1, m2, m3 = load4(m, i)
                v0, v1, v2, v3 = load4(v, i)
            (p0, m0, v0), (p1, m1, v1) = stepped(p0, g0, m0, v0, *how), stepped(p1, g1, m1, v1, *how)
            (p2, m2, v2), (p3, m3, v3) = stepped(p2, g2, m2, v2, *how), stepped(p3, g3, m3, v3, *how)
            store4(new_m, i, m0, m1, m2, m3)
            store4(new_v, i, v0, v1, v2, v3)
            store4(out, i, p0, p1, p2, p3)
        else:
            for j in range(i, min(i + width, out.size)):
                m0, v0 = (zero, zero) if first else (m[j], v[j])
                p0, m0, v0 = stepped(p[j], g[j], m0, v0, *how)
                new_m[j], new_v[j], out[j] = m0, v0, p0

    return adam_kernel


@kernel(["r", 11 * RMSPROP_ROWS, *"ssssssnnn"])
def rmsprop_kernel(real):
    row_of = reader(11)

    @jit
    def rmsprop_kernel(kept, table, lr, keep, share, eps, decay, momentum, first, centred, moving):
        found = row_of(table, cuda.blockIdx.x)
        size, i = found[1], (cuda.blockIdx.x - found[0]) * THREADS + cuda.threadIdx.x
        out, new_v = line_at(kept, found[2], size), line_at(kept, found[3], size)
        new_a, new_b = line_at(kept, found[4], size), line_at(kept, found[5], size)
        p, g, v = line_at(kept, found[6], size), line_at(kept, found[7], size), line_at(kept, found[8], size)
        a, b = line_at(kept, found[9], size), line_at(kept, found[10], size)
        if kept.size:
            lr, keep, share, eps, decay, momentum = kept[0], kept[1], kept[2], kept[3], kept[4], kept[5]
        if i < out.size:
            slope = g[i] + decay * p[i] if decay != real(0) else g[i]
            spread = share * (slope * slope)
            if not first:
                spread = keep * v[i] + spread
            new_v[i] = spread
            if centred:
                centre = share * slope
                if not first:
                    centre = keep * a[i] + centre
                new_a[i] = centre
                spread -= centre * centre
                if spread < real(0):  # a constant gradient leaves rounding errors of either sign
                    spread = real(0)
            step = slope / (real(sqrt(spread)) + eps)
            if moving:
                if not first:
                    step = momentum * b[i] + step
                new_b[i] = step
            out[i] = p[i] - lr * step

    return rmsprop_kernel
