"""Winograd's convolution F(2x2, 3x3), in one piece: 16 products for four results of a channel, where there were 36.

A tile of 2x2 results y reads 4x4 pixels d and the 3x3 weights w:

    y = A^T [ (G w G^T) * (B^T d B) ] A        (* place by place, summed over channels: 16 matrix products)

    B^T = 1  0 -1  0     G =  1    0    0      A^T = 1  1  1  0
          0  1  1  0         1/2  1/2  1/2           0  1 -1 -1
          0 -1  1  0         1/2 -1/2  1/2
          0  1  0 -1          0    0    1

A block of threads has some tiles and some columns of the result, and does all three steps for them, slab by slab of
channels. What is transformed is never in global memory: it is four times as large as the image, and writing and
reading it again would take as long as the direct way does.

- Half of the warps bring pixels, one tile and channel a thread, and transform them on the way into shared memory. The
  other half bring weights, which `winograd_weights_kernel` has transformed and laid out slab by slab.
- A warp multiplies at two of the 16 places, with the inner loop of the tiled convolutions.
- In the end the 16 places of a tile come together through shared memory, a part of the tiles at a time.
- A tile shares its pixels among its results: NaN or infinity in one of them would spread to results that never read
  it, since inf - inf is NaN. A thread that finds one of its four results not finite computes the four once more, tap by
  tap. So nobody has to wait for an answer from the device, and nothing else is launched.

Lavin & Gray 2016 [lavin2016fast], "Fast algorithms for convolutional neural networks".
"""

from functools import cache

import numpy as np

from tinyres_kernels.cuda.conv_measure import FAN, NOTHING, bring_together, tell
from tinyres_kernels.cuda.host import cuda, helper, jit, jit_for
from tinyres_kernels.cuda.products import products
from tinyres_kernels.cuda.table import line_at
from tinyres_kernels.cuda.winograd_block import EACH, PLACES
from tinyres_kernels.cuda.words import ALIGNED, copy4, load1, store1, store4, wait_for_copies


@cache
def winograd_weights_kernel(real, block):
    """u[columns, slab, place, channel, column] = (G w G^T)[place], zero beyond the matrix; a thread has all 16 places.

    `strides`: where w[kh, kw, channel, column] is, for the adjoint with the taps reversed; the last two tell how many
    channels and columns there are. Threads lie so that neighbours read neighbouring weights.
    """
    COLS, DEEP = block.columns, block.deep

    @jit
    def winograd_weights_kernel(w, u, strides, run):
        first, step_h, step_w, step_c, step_col, depth, columns = strides
        i = np.int32(cuda.grid(1))
        if i >= u.size // PLACES:
            return
        wide = (columns + COLS - 1) // COLS * COLS
        col, c = i // run % wide, i // (run * wide) * run + i % run
        slab, k = c // DEEP, c % DEEP
        slabs = (depth + DEEP - 1) // DEEP
        at = np.int32((((col // COLS * slabs + slab) * PLACES) * DEEP + k) * COLS + col % COLS)
        half = real(0.5)
        lines = cuda.local.array((4, 3), real)  # G w
        for kw in range(3):
            a, b, d = real(0), real(0), real(0)
            if c < depth and col < columns:
                here = np.int32(first + kw * step_w + c * step_c + col * step_col)
                a, b, d = load1(w, here), load1(w, here + step_h), load1(w, here + 2 * step_h)
            lines[0, kw], lines[3, kw] = a, d
            lines[1, kw], lines[2, kw] = half * (a + d) + half * b, half * (a + d) - half * b
        for row in range(4):
            a, b, d = lines[row, 0], lines[row, 1], lines[row, 2]
            place = np.int32(at + row * (4 * DEEP * COLS))
            store1(u, place, a)
            store1(u, place + DEEP * COLS, half * (a + d) + half * b)
            store1(u, place + 2 * DEEP * COLS, half * (a + d) - half * b)
            store1(u, place + 3 * DEEP * COLS, d)

    return winograd_weights_kernel


@helper
def store_four(slab, at, sums, i, j):
    store4(slab, at, sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3])


@helper
def tap_by_tap(x, w, out, n, h, v, col, image, strides, zero):
    """The four results of a tile the direct way: sums over the taps inside of the image, and over channels."""
    _, H, W, C, OH, OW, O, padding_h, padding_w = image
    first, step_h, step_w, step_c, step_col, _, _ = strides
    for i in range(h, min(h + 2, OH)):
        for j in range(v, min(v + 2, OW)):
            total = zero
            for kh in range(max(0, padding_h - i), min(3, H + padding_h - i)):
                for kw in range(max(0, padding_w - j), min(3, W + padding_w - j)):
                    pixel = np.int32(((n * H + i + kh - padding_h) * W + j + kw - padding_w) * C)
                    weight = np.int32(first + kh * step_h + kw * step_w + col * step_col)
                    for c in range(C):
                        total += load1(x, np.int32(pixel + c)) * load1(w, np.int32(weight + c * step_c))
            store1(out, ((np.int64(n) * OH + i) * OW + j) * O + col, total)


@cache
def winograd_kernel(real, block, then=None):
    """out[n, h, v, col] = sum over taps and channels of x[n, h + kh - padding, v + kw - padding, c] w[kh, kw, c, col].

    u: the weights, transformed for this block; w and its `strides` are for what must be computed tap by tap.

    then: the statistics of batch norm in training, where all tiles have four pixels. `strides` goes on with the number
    of fans, the address of `room`, the momentum, and the addresses of counters and of all that `tell` is given.
    """
    TILES, COLS, DEEP, DOWN, ACROSS = block
    THREADS, (LANES_X, LANES_Y) = block.threads, block.lanes
    LANES, GRIP = LANES_X * LANES_Y, TILES * DEEP  # grip: tiles and channels of a slab, one for each thread that brings
    A_SLAB, B_SLAB, B_LOADS = PLACES * GRIP, PLACES * DEEP * COLS, PLACES * DEEP * COLS // (4 * THREADS)
    A_FAR, B_FAR = TILES * 4 // DOWN, COLS * 4 // ACROSS  # from a thread's four to its next four
    FOLD = max(4, TILES // DEEP)  # threads that store side by side, several channels of several tiles, meet in no bank
    ROOM = 2 * (A_SLAB + B_SLAB)
    # Tiles of a thread whose places come together at once, as many as there is room for.
    TOGETHER = min(DOWN, 1 << (ROOM // (PLACES * COLS * LANES_Y)).bit_length() - 1)
    GATHERED = TOGETHER * LANES_Y
    add_products = products(DEEP, DOWN, ACROSS, TILES, COLS, A_FAR, B_FAR, FOLD)
    MEASURES = then is not None
    together, tells = bring_together(real, THREADS), tell(real, THREADS, then or NOTHING)

    @jit_for(THREADS, block.resident)
    def winograd_kernel(x, u, w, out, image, strides):
        N, H, W, C, OH, OW, O, padding_h, padding_w = image
        slab = cuda.shared.array(ROOM, real, ALIGNED)
        sums, more_sums = cuda.local.array((DOWN, ACROSS), real), cuda.local.array((DOWN, ACROSS), real)
        d = cuda.local.array(PLACES, real)
        for i in range(DOWN):
            for j in range(ACROSS):
                sums[i, j], more_sums[i, j] = real(0), real(0)
        high, wide = (OH + 1) // 2, (OW + 1) // 2
        tiles, first_tile, first_col = N * high * wide, cuda.blockIdx.x * TILES, cuda.blockIdx.y * COLS
        thread = cuda.threadIdx.x & THREADS - 1
        lane, warp = thread % LANES, thread // LANES
        tx, ty = lane // 2 % LANES_X, lane % 2 + lane // (2 * LANES_X) * 2

        # Neighbouring threads bring neighbouring channels of a tile: a thread stays with its tile.
        brings = thread < GRIP
        k, tile = np.int32(thread % DEEP), np.int32(thread // DEEP)
        t = np.int32(first_tile + tile)
        line = np.int32(np.uint32(t) // np.uint32(wide))
        n = np.int32(np.uint32(line) // np.uint32(high))
        top, left = np.int32((line - n * high) * 2 - padding_h), np.int32((t - line * wide) * 2 - padding_w)
        here = np.int32(0)  # a bit for each pixel of the tile that there is
        for i in range(4):
            for j in range(4):
                if brings and t < tiles and 0 <= top + i < H and 0 <= left + j < W:
                    here |= np.int32(1 << 4 * i + j)
        c, corner = k, np.int32(((n * H + top) * W + left) * C + k)
        slabs, next_row = (C + DEEP - 1) // DEEP, np.int32((W - 3) * C)
        a_to = k * TILES + (tile ^ k * FOLD % TILES)
        b_at = np.int32(cuda.blockIdx.y * slabs * B_SLAB + thread * 4)

        for turn in range(slabs + 1):
            # The slab after the one that is multiplied now; behind the last one there is none, and zeros come.
            if brings:
                there, at = here if c < C else np.int32(0), corner
                for i in range(4):
                    for j in range(4):
                        d[4 * i + j] = real(0)
                        if there & np.int32(1 << 4 * i + j):
                            d[4 * i + j] = load1(x, at)
                        at = np.int32(at + (C if j < 3 else next_row))
            for i in range(B_LOADS):
                to = 2 * A_SLAB + (turn & 1) * B_SLAB + (thread + i * THREADS) * 4
                copy4(slab, to, u, np.int32(b_at + i * 4 * THREADS), turn < slabs)
            c, corner, b_at = np.int32(c + DEEP), np.int32(corner + DEEP), np.int32(b_at + B_SLAB)

            if turn > 0:
                from_a = (turn - 1 & 1) * A_SLAB + warp * (EACH * GRIP) + ty * 4
                from_b = 2 * A_SLAB + (turn - 1 & 1) * B_SLAB + warp * (EACH * DEEP * COLS) + tx * 4
                add_products(sums, slab, from_a, slab, from_b)
                add_products(more_sums, slab, from_a + GRIP, slab, from_b + DEEP * COLS)

            if brings:
                for j in range(4):  # B^T d
                    p, q, r, s = d[j], d[4 + j], d[8 + j], d[12 + j]
                    d[j], d[4 + j], d[8 + j], d[12 + j] = p - r, q + r, r - q, q - s
                for i in range(0, PLACES, 4):  # B^T d B
                    at = (turn & 1) * A_SLAB + i * GRIP + a_to
                    store1(slab, at, d[i] - d[i + 2])
                    store1(slab, at + GRIP, d[i + 1] + d[i + 2])
                    store1(slab, at + 2 * GRIP, d[i + 2] - d[i + 1])
                    store1(slab, at + 3 * GRIP, d[i + 1] - d[i + 3])
            wait_for_copies()
            cuda.syncthreads()

        origin, total, along, seen = real(0), real(0), real(0), 0  # of this thread's column, which is always the same
        for done in range(0, DOWN, TOGETHER):
            for first in range(0, DOWN, TOGETHER):  # which the compiler writes out: registers have no addresses
                if first == done:
                    for i in range(TOGETHER):
                        at = (warp * EACH * GATHERED + ty * TOGETHER + i) * COLS + tx * 4
                        for j in range(0, ACROSS, 4):
                            store_four(slab, at + j // 4 * B_FAR, sums, first + i, j)
                            store_four(slab, at + GATHERED * COLS + j // 4 * B_FAR, more_sums, first + i, j)
            cuda.syncthreads()
            for pair in range(thread, GATHERED * COLS, THREADS):
                row, col = pair // COLS, first_col + pair % COLS
                i = done + row % TOGETHER
                t = np.int32(first_tile + row // TOGETHER * 4 + i // 4 * A_FAR + i % 4)
                if t < tiles and col < O:
                    for j in range(4):  # A^T m
                        p, q = load1(slab, j * GATHERED * COLS + pair), load1(slab, (4 + j) * GATHERED * COLS + pair)
                        r = load1(slab, (8 + j) * GATHERED * COLS + pair)
                        s = load1(slab, (12 + j) * GATHERED * COLS + pair)
                        d[j], d[4 + j] = p + q + r, q - r - s
                    line = np.int32(np.uint32(t) // np.uint32(wide))
                    n = np.int32(np.uint32(line) // np.uint32(high))
                    h, v = (line - n * high) * 2, (t - line * wide) * 2
                    for i in range(2):  # A^T m A
                        a, b, e, f = d[4 * i], d[4 * i + 1], d[4 * i + 2], d[4 * i + 3]
                        d[4 * i], d[4 * i + 1] = a + b + e, b - e - f
                    lost = d[0] - d[0] + (d[1] - d[1]) + (d[4] - d[4]) + (d[5] - d[5]) != real(0)
                    for i in range(2):
                        for j in range(2):
                            if h + i < OH and v + j < OW:
                                store1(out, ((np.int64(n) * OH + h + i) * OW + v + j) * O + col, d[4 * i + j])
                    if lost:
                        tap_by_tap(x, w, out, n, h, v, col, image, strides[:7], real(0))
                    if MEASURES:
                        for i in range(2):
                            for j in range(2):
                                value = d[4 * i + j]
                                if lost:
                                    value = load1(out, ((np.int64(n) * OH + h + i) * OW + v + j) * O + col)
                                if seen == 0:
                                    origin = value
                                seen += 1
                                total += value - origin
                                along += (value - origin) * (value - origin)
            cuda.syncthreads()
        if MEASURES:
            room = line_at(out, strides[8], 2 * cuda.gridDim.x * O)
            slab[thread], slab[THREADS + thread], slab[2 * THREADS + thread] = origin, real(seen), total
            slab[3 * THREADS + thread] = along
            cuda.syncthreads()
            width = min(COLS, O - first_col)
            if thread < width:
                first, total, along = slab[thread], real(0), real(0)
                for i in range(thread, THREADS, COLS):
                    off = slab[i] - first
                    total += slab[2 * THREADS + i] + slab[THREADS + i] * off
                    along += slab[3 * THREADS + i] + off * (slab[THREADS + i] * off + real(2) * slab[2 * THREADS + i])
                held, at = real(min(TILES, tiles - first_tile) * 4), np.int64(cuda.blockIdx.x) * O + first_col + thread
                room[at] = first + total / held
                room[cuda.gridDim.x * O + at] = along - total * total / held
            each, line = strides[7], cuda.blockIdx.y
            counters = line_at(cuda.local.array(1, np.uint32), strides[10], (line + 1) * each)
            whole = cuda.local.array(1, np.int64)
            slot, lots, apart = np.int64(cuda.blockIdx.x), np.int64(cuda.gridDim.x), np.int64(1)
            place = np.int64(line) * each
            squares = lots * O
            while lots > 1:
                fan = slot // FAN * FAN  # the first one of this block's
                members = min(np.int64(FAN), lots - fan)
                cuda.syncthreads()  # all have written: the block arrives
                if thread == 0:
                    cuda.threadfence()
                    slab[0] = real(cuda.atomic.inc(counters, place + slot // FAN, np.uint32(members - 1)))
                    cuda.threadfence()
                cuda.syncthreads()
                if slab[0] < real(members - 1):
                    return
                together(room, squares, thread, fan, members, apart, 4 * TILES, 4 * tiles, first_col, width, O)
                lots, slot, apart = (lots + FAN - 1) // FAN, fan // FAN, apart * FAN
                place += lots
            tells(room, squares, strides[9], strides[11:], whole, thread, 4 * tiles, first_col, width, O)

    return winograd_kernel
