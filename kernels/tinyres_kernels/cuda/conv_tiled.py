"""The convolutions to use: matrix products whose matrices are never written down (implicit GEMM).

A convolution is the matrix (pixels, taps x channels) of everything that its windows read, times the weights
(taps x channels, outputs). A block of threads computes a tile of the product. It walks along the inner dimension in
slabs: all threads together bring a slab of both matrices into shared memory, finding the numbers of the first one in
the image as they go, and then multiply from there.

- Why a tile: each number that reaches shared memory is used by a whole row or column of it.
- Why registers: a thread holds `down x across` sums, so that `down + across` loads from shared memory feed
  `down x across` multiplications. Its rows and columns lie a block's width apart: neighbouring threads then read
  neighbouring words, which lie in different banks.
- Why two barriers a slab: none may multiply before all have loaded, none may load anew before all have multiplied.
- Why `& THREADS - 1`, which changes nothing: the compiler then knows that indices are not negative, need not count
  them from an array's end, and keeps one address where it would keep sixteen.
- The order of summation is that of the inner dimension, whoever runs first: the same bits every time.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cuda.host import cuda, jit

FAR = -(1 << 28)  # where the windows of pixels lie that do not exist: outside of every image, whatever the tap


class Tile(NamedTuple):
    """`rows` x `columns` results of a block, of which a thread holds `down` x `across`; slabs are `deep`.

    `share`: slabs that a block of `conv2d_dw` has at least, before another is given a part of the pixels.
    """

    rows: int
    columns: int
    deep: int
    down: int
    across: int
    share: int

    @property
    def threads(self) -> int:
        return self.rows // self.down * (self.columns // self.across)


@cache
def gather_kernel(real, tile):
    """out[p, col] = sum over taps and channels of x[where p's window has the tap, channel] * w[tap, channel, col].

    Along an axis: `count` results, `stride` and `shift` of their windows, `move` from tap to tap, number of `taps`, and
    where results go in `out`: the `first` and the `step`. This says a convolution, and a phase of its adjoint as well.
    """
    ROWS, COLS, DEEP, DOWN, ACROSS, _ = tile
    ACROSS_BLOCK, DOWN_BLOCK, THREADS = COLS // ACROSS, ROWS // DOWN, tile.threads
    A_STEP, B_STEP = THREADS // DEEP, THREADS // COLS  # rows of a slab that are loaded at once
    A_LOADS, B_LOADS = ROWS // A_STEP, DEEP // B_STEP
    SKEW = ROWS + 4  # threads that store one under another would otherwise meet in one bank

    @jit
    def gather_kernel(x, w, out, image, rows, cols):
        N, H, W, C, CG, OH, OW, O, OG = image
        count_h, stride_h, shift_h, move_h, taps_h, first_h, step_h = rows
        count_w, stride_w, shift_w, move_w, taps_w, first_w, step_w = cols
        a_slab = cuda.shared.array((DEEP, SKEW), real)
        b_slab = cuda.shared.array((DEEP, COLS), real)
        sums = cuda.local.array((DOWN, ACROSS), real)
        a, b = cuda.local.array(DOWN, real), cuda.local.array(ACROSS, real)
        corner = cuda.local.array(A_LOADS, np.int64)  # of the windows that this thread loads from: the address,
        top, left = cuda.local.array(A_LOADS, np.int32), cuda.local.array(A_LOADS, np.int32)  # and the place

        thread, group = cuda.threadIdx.x & THREADS - 1, cuda.blockIdx.z
        tx, ty = thread % ACROSS_BLOCK, thread // ACROSS_BLOCK
        first_row, first_col = cuda.blockIdx.x * ROWS, cuda.blockIdx.y * COLS
        pixels, depth = N * count_h * count_w, taps_h * taps_w * CG
        for i in range(DOWN):
            for j in range(ACROSS):
                sums[i, j] = real(0)

        # Neighbouring threads load neighbouring channels: a thread stays with one place in the slab, and takes
        # several rows of it.
        a_deep, a_row = thread % DEEP, thread // DEEP
        for i in range(A_LOADS):
            p = first_row + a_row + i * A_STEP
            qw, qh, n = p % count_w, p // count_w % count_h, p // (count_w * count_h)
            h, v = qh * stride_h + shift_h, qw * stride_w + shift_w
            corner[i] = ((n * H + h) * W + v) * C + group * CG
            top[i], left[i] = (h, v) if p < pixels else (FAR, FAR)
        b_col, b_deep = first_col + thread % COLS, thread // COLS

        c, kh, kw = a_deep, 0, 0
        for slab in range(0, depth, DEEP):
            while c >= CG:  # a carry, which costs less than two divisions
                c -= CG
                kw += 1
                if kw == taps_w:
                    kw, kh = 0, kh + 1
            down, along = kh * move_h, kw * move_w
            offset = (down * W + along) * C + c
            inside = slab + a_deep < depth
            for i in range(A_LOADS):
                h, v = top[i] + down, left[i] + along
                value = real(0)
                if inside and 0 <= h < H and 0 <= v < W:
                    value = x[corner[i] + offset]
                a_slab[a_deep, a_row + i * A_STEP] = value
            for i in range(B_LOADS):
                k = slab + b_deep + i * B_STEP
                value = real(0)
                if k < depth and b_col < OG:
                    value = w[k * O + group * OG + b_col]
                b_slab[b_deep + i * B_STEP, thread % COLS] = value
            c += DEEP
            cuda.syncthreads()
            for k in range(DEEP):
                for i in range(DOWN):
                    a[i] = a_slab[k, ty + i * DOWN_BLOCK]
                for j in range(ACROSS):
                    b[j] = b_slab[k, tx + j * ACROSS_BLOCK]
                for i in range(DOWN):
                    for j in range(ACROSS):
                        sums[i, j] += a[i] * b[j]
            cuda.syncthreads()

        for i in range(DOWN):
            p = first_row + ty + i * DOWN_BLOCK
            if p < pixels:
                qw, qh, n = p % count_w, p // count_w % count_h, p // (count_w * count_h)
                at = ((n * OH + first_h + qh * step_h) * OW + first_w + qw * step_w) * O + group * OG
                for j in range(ACROSS):
                    col = first_col + tx + j * ACROSS_BLOCK
                    if col < OG:
                        out[at + col] = sums[i, j]

    return gather_kernel


@cache
def weight_kernel(real, tile):
    """out[part, tap, c, o] = sum over a part of the pixels of x[where the pixel's window has the tap, c] * g[pixel, o].

    The result is small and the inner dimension, all pixels of the batch, is long: it is cut into parts, so that there
    are blocks enough for all multiprocessors. `sum_kernel` adds the parts up.
    """
    ROWS, COLS, DEEP, DOWN, ACROSS, _ = tile
    ACROSS_BLOCK, DOWN_BLOCK, THREADS = COLS // ACROSS, ROWS // DOWN, tile.threads
    A_STEP, B_STEP = THREADS // ROWS, THREADS // COLS
    A_LOADS, B_LOADS = DEEP // A_STEP, DEEP // B_STEP

    @jit
    def weight_kernel(x, g, out, image, rows, cols):
        N, H, W, C, CG, OH, OW, O, OG, part_size = image
        stride_h, padding_h, dilation_h, KH = rows
        stride_w, padding_w, dilation_w, KW = cols
        a_slab = cuda.shared.array((DEEP, ROWS), real)
        b_slab = cuda.shared.array((DEEP, COLS), real)
        corner = cuda.shared.array(DEEP, np.int64)  # of the windows of a slab's pixels: the address,
        top = cuda.shared.array(DEEP, np.int32)  # and the place
        left = cuda.shared.array(DEEP, np.int32)
        sums = cuda.local.array((DOWN, ACROSS), real)
        a, b = cuda.local.array(DOWN, real), cuda.local.array(ACROSS, real)

        thread, groups = cuda.threadIdx.x & THREADS - 1, O // OG
        group, part = cuda.blockIdx.z % groups, cuda.blockIdx.z // groups
        tx, ty = thread % ACROSS_BLOCK, thread // ACROSS_BLOCK
        first_row, first_col = cuda.blockIdx.x * ROWS, cuda.blockIdx.y * COLS
        weights = KH * KW * CG
        begin = part * part_size
        end = min(begin + part_size, N * OH * OW)
        for i in range(DOWN):
            for j in range(ACROSS):
                sums[i, j] = real(0)

        # Neighbouring threads load neighbouring channels of one tap: a thread stays with one row of the result.
        row, a_deep = first_row + thread % ROWS, thread // ROWS
        c, kw, kh = row % CG, row // CG % KW, row // (CG * KW)
        down, along = kh * dilation_h, kw * dilation_w
        offset = (down * W + along) * C + group * CG + c
        b_col, b_deep = first_col + thread % COLS, thread // COLS

        p = begin + thread
        ow, oh, n = p % OW, p // OW % OH, p // (OW * OH)
        for slab in range(begin, end, DEEP):
            if thread < DEEP:  # the others load, later, from where these have found the windows
                while ow >= OW:  # carries
                    ow -= OW
                    oh += 1
                    if oh == OH:
                        oh, n = 0, n + 1
                h, v = oh * stride_h - padding_h, ow * stride_w - padding_w
                corner[thread] = ((n * H + h) * W + v) * C
                top[thread], left[thread] = (h, v) if slab + thread < end else (FAR, FAR)
                ow += DEEP
            cuda.syncthreads()
            for i in range(A_LOADS):
                k = a_deep + i * A_STEP
                h, v = top[k] + down, left[k] + along
                value = real(0)
                if row < weights and 0 <= h < H and 0 <= v < W:
                    value = x[corner[k] + offset]
                a_slab[k, thread % ROWS] = value
            for i in range(B_LOADS):
                k = b_deep + i * B_STEP
                value = real(0)
                if slab + k < end and b_col < OG:
                    value = g[(slab + k) * O + group * OG + b_col]
                b_slab[k, thread % COLS] = value
            cuda.syncthreads()
            # No third barrier: who is ahead writes `corner`, `top` and `left`, which are read only between the other
            # two, and waits at the first one before it loads.
            for k in range(DEEP):
                for i in range(DOWN):
                    a[i] = a_slab[k, ty + i * DOWN_BLOCK]
                for j in range(ACROSS):
                    b[j] = b_slab[k, tx + j * ACROSS_BLOCK]
                for i in range(DOWN):
                    for j in range(ACROSS):
                        sums[i, j] += a[i] * b[j]

        for i in range(DOWN):
            row = first_row + ty + i * DOWN_BLOCK
            if row < weights:
                for j in range(ACROSS):
                    col = first_col + tx + j * ACROSS_BLOCK
                    if col < OG:
                        out[(part * weights + row) * O + group * OG + col] = sums[i, j]

    return weight_kernel
