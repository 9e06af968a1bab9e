"""Batch norm with the residual sum and the ReLU that follow it, and its adjoint.

A sum over all pixels of a channel crosses blocks. Each block sums a part of the pixels of some channels: its threads
each several pixels, and then together in halves. Of the blocks of the same channels, the last one to arrive adds up the
parts in the same way. Both are trees of a fixed shape, so the bits are the same every time, whichever block is last.
To be the last costs less than another launch would, however many parts there are: at most 64 for a thread.

A part's variance is taken around its own mean, and parts are brought together by Chan's formula: nothing cancels, even
where the mean is a thousand times the deviation, and x comes from memory only once (the second time from a cache).

Ioffe & Szegedy 2015 [ioffe2015batch]; Chan et al. 1979 [chan1979updating], "Updating formulae and a pairwise algorithm
for computing sample variances".
"""

from math import sqrt

import numpy as np

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.counters import counters
from tinyres_kernels.cuda.host import (
    THREADS,
    blocks,
    cuda,
    flat,
    jit,
    kernel,
    lanes,
    launch,
    real,
)
from tinyres_kernels.cuda.normalise import normalise_dx_kernel, normalise_kernel, spread
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Norm, Running

PART = 8 if host.SIMULATED else 256  # pixels of a part at least
MOST = 512  # blocks at most: enough for all multiprocessors, whatever the number of channels


@kernel("RRRurrrrlrrlsssnnnn")
def statistics_kernel(real):
    """Of each part and channel the mean, and the sum of squared deviations from it; and of all parts

        mean = sum_i n_i mean_i / M;    variance = sum_i (squares_i + n_i (mean_i - mean)^2) / M.

    The running statistics that there are move on, with them: new_mean = keep running_mean + share mean, and so on."""

    @jit
    def statistics_kernel(
        x, means, squares, counters, mean, variance, running_mean, running_var, batches, new_mean, new_var, new_batches,
        keep, share, share_var, has_mean, has_var, has_batches, size,
    ):  # fmt: skip
        shared = cuda.shared.array(THREADS, real)
        ticket = cuda.shared.array(1, np.uint32)
        tx, ty, across, down = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x, cuda.blockDim.y
        c, part, own = cuda.blockIdx.x * across + tx, cuda.blockIdx.y, ty * across + tx
        (M, C), parts = x.shape, means.shape[0]
        channel = min(c, C - 1)  # threads beyond the last channel work along: all must arrive at the barriers
        begin = part * size
        end = min(begin + size, M)
        centre = real(0)
        for turn in range(2):  # first the mean, and then around it
            total = real(0)
            for m in range(begin + ty, end, down):
                value = x[m, channel] - centre
                total += value * value if turn == 1 else value
            shared[own] = total
            cuda.syncthreads()
            half = down // 2
            while half > 0:
                if ty < half:
                    shared[own] += shared[own + half * across]
                cuda.syncthreads()
                half //= 2
            total = shared[tx]
            cuda.syncthreads()  # all have read it: the second turn may write
            if turn == 0:
                centre = total / real(end - begin)
            elif ty == 0 and c < C:
                means[part, c], squares[part, c] = centre, total

        cuda.syncthreads()  # all have written: the block arrives
        if own == 0:
            cuda.threadfence()
            ticket[0] = cuda.atomic.inc(counters, cuda.blockIdx.x, np.uint32(parts - 1))
            cuda.threadfence()
        cuda.syncthreads()
        if ticket[0] < parts - 1:
            return

        centre = real(0)
        for turn in range(2):
            total = real(0)
            for i in range(ty, parts, down):
                count = real(min(size, M - i * size))
                off = means[i, channel] - centre
                total += squares[i, channel] + off * off * count if turn == 1 else off * count
            shared[own] = total
            cuda.syncthreads()
            half = down // 2
            while half > 0:
                if ty < half:
                    shared[own] += shared[own + half * across]
                cuda.syncthreads()
                half //= 2
            total = shared[tx] / real(M)
            cuda.syncthreads()  # all have read it: the second turn may write
            if turn == 0:
                centre = total
            elif ty == 0 and c < C:
                mean[c], variance[c] = centre, total
                if has_mean:
                    new_mean[c] = keep * running_mean[c] + share * centre
                if has_var:
                    new_var[c] = keep * running_var[c] + share_var * total
                if has_batches and c == 0:
                    new_batches[0] = batches[0] + 1

    return statistics_kernel


@kernel("RRRrrrrRRurrsnnn")
def sums_dx_kernel(real):
    """Of each part and channel the sums of dresidual, and of dresidual h; and of all parts: dbias and dweight."""

    @jit
    def sums_dx_kernel(
        g, x, y, weight, bias, mean, variance, totals, alongs, counters, dbias, dweight, eps, relu, has_y, size
    ):
        shared = cuda.shared.array(THREADS, real)
        ticket = cuda.shared.array(1, np.uint32)
        shared_along = cuda.shared.array(THREADS, real)
        tx, ty, across, down = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x, cuda.blockDim.y
        c, part, own = cuda.blockIdx.x * across + tx, cuda.blockIdx.y, ty * across + tx
        (M, C), parts = x.shape, totals.shape[0]
        channel = min(c, C - 1)
        centre, scale = mean[channel], real(1) / real(sqrt(variance[channel] + eps))
        total, along = real(0), real(0)
        for m in range(part * size + ty, min(part * size + size, M), down):
            h = (x[m, channel] - centre) * scale
            sign = y[m, channel] if has_y else h * weight[channel] + bias[channel]
            if not relu or sign > real(0):
                total += g[m, channel]
                along += g[m, channel] * h
        for turn in range(2):  # first over the part's pixels, and then over all parts
            shared[own], shared_along[own] = total, along
            cuda.syncthreads()
            half = down // 2
            while half > 0:
                if ty < half:
                    shared[own] += shared[own + half * across]
                    shared_along[own] += shared_along[own + half * across]
                cuda.syncthreads()
                half //= 2
            if turn == 1:
                if ty == 0 and c < C:
                    dbias[c], dweight[c] = shared[tx], shared_along[tx]
                return
            if ty == 0 and c < C:
                totals[part, c], alongs[part, c] = shared[tx], shared_along[tx]

            cuda.syncthreads()  # all have written: the block arrives
            if own == 0:
                cuda.threadfence()
                ticket[0] = cuda.atomic.inc(counters, cuda.blockIdx.x, np.uint32(parts - 1))
                cuda.threadfence()
            cuda.syncthreads()
            if ticket[0] < parts - 1:
                return
            total, along = real(0), real(0)
            for i in range(ty, parts, down):
                total += totals[i, channel]
                along += alongs[i, channel]

    return sums_dx_kernel


def _parts(x: Array) -> tuple[Array, int, tuple[int, int], tuple[int, int]]:
    """Room for two sums of each part and channel, the pixels of a part, the grid and the block."""
    M, C = x.shape
    across, down = lanes(C)
    columns = blocks(C, across)
    size = max(PART, blocks(M, max(1, MOST // columns)))
    sums = namespace(x).empty((2, blocks(M, size), C), x.dtype)
    return sums, size, (columns, blocks(M, size)), (across, down)


def statistics(x: Array, mean: Array, variance: Array, running: Running, *, momentum: float) -> None:
    """Mean and variance of each channel; and the running ones, which they move."""
    (means, squares), size, grid, block = _parts(x)
    there = (mean if a is None else a for a in running)  # which nobody touches
    keep, share, more = map(real(x), (1 - momentum, momentum, momentum * len(x) / max(len(x) - 1, 1)))
    numbers = keep, share, more, *(int(a is not None) for a in running[3:]), size
    arrays = x, means, squares, counters(x, grid[0]), mean, variance, *there
    launch(statistics_kernel(real(x)), grid, block, *arrays, *numbers)


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    residual: Array | None,
    out: Array,
    mean: Array,
    variance: Array,
    running: Running | None,
    s: Norm,
) -> None:
    """`reference.batch_norm`. 16 M C bytes in float32 in training, of which 4 may come from a cache; 4 more with a
    residual."""
    if s.training:
        statistics(x, mean, variance, running or Running(), momentum=s.momentum)
    pixels, added, written = flat(x), flat(x if residual is None else residual), flat(out)
    made, grid, block = spread(normalise_kernel, (written, pixels, added), x.shape[1])
    arrays, flags = (pixels, weight, bias, added, written, mean, variance), (int(residual is not None), int(s.relu))
    launch(made, grid, block, *arrays, real(out)(s.eps), *flags)


def batch_norm_dx(
    g: Array,
    x: Array,
    y: Array | None,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    out: Array,
    dweight: Array,
    dbias: Array,
    dresidual: Array | None,
    s: Norm,
) -> None:
    """`reference.batch_norm_dx`. 28 M C bytes in float32, 4 more with a residual."""
    signs, passed, number = x if y is None else y, x if dresidual is None else dresidual, real(out)
    sums, size, grid, block = _parts(x)
    arrays = g, x, signs, weight, bias, mean, variance, *sums, counters(x, grid[0]), dbias, dweight
    launch(sums_dx_kernel(number), grid, block, *arrays, number(s.eps), int(s.relu), int(y is not None), size)
    read, written = tuple(map(flat, (g, x, signs))), tuple(map(flat, (out, passed)))
    made, grid, block = spread(normalise_dx_kernel, (*written, *read), x.shape[1])
    flags = map(int, (s.training, s.relu, y is not None, dresidual is not None))
    launch(made, grid, block, *read, weight, bias, mean, variance, dweight, dbias, *written, number(s.eps), *flags)
