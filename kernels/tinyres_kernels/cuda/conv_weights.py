"""The gradient of the weights, in the manner of `conv_tiled`: a matrix product whose inner dimension is all pixels.

Here neighbours in memory are neighbours in a slab, so that slabs are copied and no thread holds them on their way.
There are three buffers: while one slab is multiplied, the next two are on their way.

The result is small and the inner dimension, all pixels of the batch, is long: it is cut into parts, so that there are
blocks enough for all multiprocessors. The parts of a tile are merged by `FAN`s: of so many blocks the last one to
arrive adds up what all of them have left, in their order, and goes on to meet the last ones of other fans. That leaves
no launch of its own to `sums.py`, where `conv_plan.merging` does not foresee it to be faster all the same.
"""

from functools import cache

import numpy as np

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.conv_tile import spares
from tinyres_kernels.cuda.conv_tiled import FAR
from tinyres_kernels.cuda.host import blocks, cuda, helper, jit_for
from tinyres_kernels.cuda.products import products
from tinyres_kernels.cuda.words import (
    ALIGNED,
    commit_copies,
    copy1,
    copy4,
    load4,
    store1,
    store4,
    wait_for_copies,
    wait_for_older_copies,
)

AHEAD = 2  # slabs that are on their way while one is multiplied
FAN = 2 if host.SIMULATED else 16  # parts that a block adds up at a time


def fans(parts):
    """How many fans there are of so many parts, and then of the fans themselves, down to one."""
    while parts > 1:
        parts = blocks(parts, FAN)
        yield parts


@cache
def weight_kernel(real, tile, words):
    """out[part, tap, c, o] = sum over a part of the pixels of x[where the pixel's window has the tap, c] * g[pixel, o].

    image: at its end the size of a part; how many parts are merged here, 1 where none are, and `out` has all of them;
    and how many fans they make. `room`: of each tile the parts that are merged, as its threads hold them.
    """
    ROWS, COLS, DEEP, DOWN, ACROSS = tile
    THREADS, (LANES_X, LANES_Y) = tile.threads, tile.lanes
    LANES, WARPS_X = LANES_X * LANES_Y, COLS // ACROSS // LANES_X
    A_WIDE, B_WIDE, OUT_WIDE = words
    A_SPOTS, B_SPOTS = ROWS // A_WIDE, COLS // B_WIDE  # threads that share a pixel
    A_STEP, B_STEP = THREADS // A_SPOTS, THREADS // B_SPOTS  # pixels at once
    A_LOADS, B_LOADS, A_SLAB, B_SLAB = DEEP // A_STEP, -(-DEEP // B_STEP), DEEP * ROWS, DEEP * COLS
    B_SPARE = B_STEP > DEEP  # threads without a part in it
    A_FAR, B_FAR = ROWS * 4 // DOWN, COLS * 4 // ACROSS  # from a thread's four to its next four
    A_ROOM, B_ROOM = (AHEAD + 1) * A_SLAB, (AHEAD + 1) * B_SLAB
    copy_a, copy_b = copy4 if A_WIDE == 4 else copy1, copy4 if B_WIDE == 4 else copy1
    add_products = products(DEEP, DOWN, ACROSS, ROWS, COLS, A_FAR, B_FAR)
    MERGES, zero = spares(tile), real(0)

    @helper
    def left4(room, at, there):
        """Of a part that may not be there; what is loaded then does not count."""
        a, b, c, d = load4(room, at)
        return a if there else zero, b if there else zero, c if there else zero, d if there else zero

    @jit_for(THREADS, tile.resident)
    def weight_kernel(x, g, room, counters, out, image, rows, cols):
        N, H, W, C, CG, OH, OW, O, OG, groups, size, merged, fans = image
        _, stride_h, padding_h, dilation_h, KH, _ = rows
        _, stride_w, padding_w, dilation_w, KW, _ = cols
        a_slab = cuda.shared.array(A_ROOM, real, ALIGNED)
        b_slab = cuda.shared.array(B_ROOM, real, ALIGNED)
        sums = cuda.local.array((DOWN, ACROSS), real)
        image_at = cuda.local.array(A_LOADS, np.int32)  # of the pixels that this thread loads from: the image's address
        top, left = cuda.local.array(A_LOADS, np.int32), cuda.local.array(A_LOADS, np.int32)  # and the window's place

        group, part = cuda.blockIdx.z % groups, cuda.blockIdx.z // groups
        thread = cuda.threadIdx.x & THREADS - 1
        lane, warp = thread % LANES, thread // LANES
        tx = lane // 2 % LANES_X + warp % WARPS_X * LANES_X
        ty = lane % 2 + lane // (2 * LANES_X) * 2 + warp // WARPS_X * LANES_Y
        first_row, first_col = cuda.blockIdx.x * ROWS, cuda.blockIdx.y * COLS
        weights, begin = KH * KW * CG, part * size
        count = np.int32(min(size, N * OH * OW - begin))
        for i in range(DOWN):
            for j in range(ACROSS):
                sums[i, j] = real(0)

        # Neighbouring threads load neighbouring channels of one tap: a thread stays with one row of the result.
        a_row, a_deep = thread % A_SPOTS * A_WIDE, thread // A_SPOTS
        row = np.int32(first_row + a_row)
        tap = np.int32(np.uint32(row) // np.uint32(CG))
        kh = np.int32(np.uint32(tap) // np.uint32(KW))
        down, along = np.int32(kh * dilation_h - padding_h), np.int32((tap - kh * KW) * dilation_w - padding_w)
        if row >= weights:
            down = np.int32(FAR)
        channel = group * CG + (row - tap * CG)
        height, width = np.uint32(H), np.uint32(W)
        last_h, last_w = np.int32(OH * stride_h + down), np.int32(OW * stride_w + along)
        tall, broad = np.int32(OH * stride_h), np.int32(OW * stride_w)
        for i in range(A_LOADS):
            p = np.int32(begin + a_deep + i * A_STEP)
            line = np.int32(np.uint32(p) // np.uint32(OW))
            n = np.int32(np.uint32(line) // np.uint32(OH))
            top[i] = np.int32((line - n * OH) * stride_h + down)
            left[i] = np.int32((p - line * OW) * stride_w + along)
            image_at[i] = np.int32(n * (H * W * C) + channel)
        b_col, b_deep = thread % B_SPOTS * B_WIDE, thread // B_SPOTS
        b_at = np.int32((begin + b_deep) * O + group * OG + first_col + b_col)
        b_left = np.int32(count - b_deep if (not B_SPARE or b_deep < DEEP) and first_col + b_col < OG else 0)  # pixels
        a_left = np.int32(count - a_deep)

        slabs, written, read = (count + DEEP - 1) // DEEP, np.int32(0), np.int32(1)
        for turn in range(slabs + AHEAD):
            if turn >= AHEAD:  # the slab that comes next is there, and nobody reads the one before any more
                wait_for_older_copies()
                cuda.syncthreads()
            for i in range(A_LOADS):
                inside = i * A_STEP < a_left and np.uint32(top[i]) < height and np.uint32(left[i]) < width
                to = written * A_SLAB + (a_deep + i * A_STEP) * ROWS + a_row
                copy_a(a_slab, to, x, np.int32(image_at[i] + (np.int64(top[i]) * W + left[i]) * C), inside)
                left[i] = np.int32(left[i] + DEEP * stride_w)
                while left[i] >= last_w:  # carries
                    left[i] = np.int32(left[i] - broad)
                    top[i] = np.int32(top[i] + stride_h)
                    if top[i] == last_h:
                        top[i] = np.int32(top[i] - tall)
                        image_at[i] = np.int32(image_at[i] + H * W * C)
            if not B_SPARE or b_deep < DEEP:
                for i in range(B_LOADS):
                    to = written * B_SLAB + (b_deep + i * B_STEP) * COLS + b_col
                    copy_b(b_slab, to, g, np.int32(b_at + i * B_STEP * O), i * B_STEP < b_left)
            commit_copies()
            b_at = np.int32(b_at + DEEP * O)
            a_left, b_left = np.int32(a_left - DEEP), np.int32(b_left - DEEP)
            if turn >= AHEAD:
                add_products(sums, a_slab, read * A_SLAB + ty * 4, b_slab, read * B_SLAB + tx * 4)
            written, read = read, np.int32(read + 1 if read < AHEAD else 0)
        wait_for_copies()

        slot, left, apart = np.int64(part), merged, np.int64(1)  # which of so many; so many parts from one to the next
        tile = np.int64((group * cuda.gridDim.y + cuda.blockIdx.y) * cuda.gridDim.x + cuda.blockIdx.x)
        place = tile * fans
        while MERGES and left > 1:
            at = (tile * merged + slot * apart) * (ROWS * COLS) + thread * 4
            for i in range(DOWN):
                for j in range(0, ACROSS, 4):
                    a, b, c, d = sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3]
                    store4(room, at + (i * ACROSS + j) * THREADS, a, b, c, d)
            first, far = slot // FAN * FAN, apart * (ROWS * COLS)  # of this fan the first; from one part to the next
            members = min(FAN, left - first)
            cuda.syncthreads()  # all have written: the block arrives
            if thread == 0:
                cuda.threadfence()
                a_slab[0] = real(cuda.atomic.inc(counters, place + slot // FAN, np.uint32(members - 1)))
                cuda.threadfence()
            cuda.syncthreads()
            if a_slab[0] < real(members - 1):
                return
            for i in range(DOWN):
                for j in range(ACROSS):
                    sums[i, j] = real(0)
            for k in range(0, members, 4):
                at = (tile * merged + (first + k) * apart) * (ROWS * COLS) + thread * 4
                there1, there2, there3 = k + 1 < members, k + 2 < members, k + 3 < members
                at1, at2 = at + (far if there1 else 0), at + (2 * far if there2 else 0)
                at3 = at + (3 * far if there3 else 0)
                for i in range(DOWN):
                    for j in range(0, ACROSS, 4):
                        step = (i * ACROSS + j) * THREADS
                        p0, p1, p2, p3 = load4(room, at + step)
                        q0, q1, q2, q3 = left4(room, at1 + step, there1)
                        r0, r1, r2, r3 = left4(room, at2 + step, there2)
                        s0, s1, s2, s3 = left4(room, at3 + step, there3)
                        sums[i, j] += p0 + q0 + (r0 + s0)
                        sums[i, j + 1] += p1 + q1 + (r1 + s1)
                        sums[i, j + 2] += p2 + q2 + (r2 + s2)
                        sums[i, j + 3] += p3 + q3 + (r3 + s3)
            left, slot, apart = (left + FAN - 1) // FAN, first // FAN, apart * FAN
            place += left

        for i in range(DOWN):
            row = first_row + ty * 4 + i // 4 * A_FAR + i % 4
            if row < weights:
                at = (slot * weights + row) * O + group * OG
                for j in range(0, ACROSS, 4):
                    col = first_col + tx * 4 + j // 4 * B_FAR
                    if OUT_WIDE == 4:
                        if col < OG:
                            store4(out, at + col, sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3])
                    else:
                        for more in range(4):
                            if col + more < OG:
                                store1(out, at + col + more, sums[i, j + more])

    return weight_kernel
