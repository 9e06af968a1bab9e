"""The convolutions to use: matrix products whose matrices are never written down (implicit GEMM).

A convolution is the matrix (pixels, taps x channels) of everything that its windows read, times the weights
(taps x channels, outputs). A block of threads computes a tile of the product. It walks along the inner dimension in
slabs: all threads together bring a slab of both matrices into shared memory, finding the numbers of the first one in
the image as they go, and then multiply from there.

- Why a tile: each number that reaches shared memory is used by a whole row or column of it.
- Why registers: a thread holds `down x across` sums, so that `(down + across) / 4` loads of four numbers each from
  shared memory feed `down x across` multiplications. Its rows lie in fours, and so do its columns.
- Why three buffers: while a slab is multiplied the next two are on their way, so the memory's latency is hidden by
  work, and one barrier a slab is enough: it keeps apart who writes into a buffer and who read it one slab earlier. A
  large tile has room for two.
- Why copies: from global to shared memory they take no registers, and zeros come where the image ends. An image's
  channels are neighbours in memory, and pixels are neighbours in a slab, so these are copied one by one.
- Why lanes lie as they do: where all pairs of neighbouring lanes read the same fours, a warp's load takes two passes
  through the banks and not four.
- Why 32 bits and unsigned: 64 bits are two instructions each time, and `0 <= h < H` is one comparison where a
  negative h is a large number.
- The order of summation is that of the inner dimension, whoever runs first: the same bits every time.
"""

from functools import cache
from math import sqrt

import numpy as np

from tinyres_kernels.cuda.conv_measure import FAN, NOTHING, Measure, bring_together, tell
from tinyres_kernels.cuda.conv_tile import SPARE, Norm, ahead
from tinyres_kernels.cuda.host import cuda, helper, jit_for
from tinyres_kernels.cuda.products import products
from tinyres_kernels.cuda.table import line_at
from tinyres_kernels.cuda.words import (
    ALIGNED,
    commit_copies,
    copy1,
    copy4,
    load1,
    store1,
    store4,
    wait_for_copies,
    wait_for_older_copies,
)

FAR = -(1 << 28)  # where the windows of pixels lie that do not exist: outside of every image, whatever the tap


@helper
def phase_of(axis, phase):
    """Count, shift, move, taps, first tap, hop from tap to tap: the windows of one phase of the adjoint."""
    size, stride, padding, dilation, taps, hop = axis
    first = 0
    while first < taps and (phase + padding - first * dilation) % stride != 0:
        first += 1
    found = (taps - first + hop - 1) // hop if first < taps else 0
    shift = (phase + padding - first * dilation) // stride
    return (size - phase + stride - 1) // stride, shift, -(hop * dilation // stride), found, first, hop


@cache
def gather_kernel(real, tile, words, adjoint, then=None):
    """out[p, col] = sum over taps and channels of x[where p's window has the tap, channel] * w[tap, channel, col].

    Along an axis: the size of the result, stride, padding, dilation, taps, and by how many taps the adjoint hops. For
    the adjoint, x is the cotangent, its channels are the outputs, and weights are read across: w[tap, col, channel].

    then: batch norm in evaluation, before anything is written. `image` goes on with the addresses of mean, variance,
    weight, bias and, or 0, a residual. Or the statistics of batch norm in training, afterwards: `image` goes on with
    the number of fans, the address of `room`, the momentum, and the addresses of counters and of all that `tell` is
    given.
    """
    ROWS, COLS, DEEP, DOWN, ACROSS = tile
    THREADS, (LANES_X, LANES_Y) = tile.threads, tile.lanes
    LANES, WARPS_X = LANES_X * LANES_Y, COLS // ACROSS // LANES_X
    A_WIDE, B_WIDE, OUT_WIDE = words
    A_SPOTS = DEEP // A_WIDE  # threads that share a pixel
    A_STEP, A_PITCH = THREADS // A_SPOTS, ROWS + SPARE  # pixels at once; neighbours store into other banks
    A_LOADS, A_SLAB = ROWS // A_STEP, DEEP * A_PITCH
    B_SPOTS = DEEP // B_WIDE if adjoint else COLS // B_WIDE
    B_STEP, B_PITCH = THREADS // B_SPOTS, COLS + SPARE if adjoint else COLS
    B_LINES = COLS if adjoint else DEEP
    B_LOADS, B_SLAB, B_SPARE = -(-B_LINES // B_STEP), DEEP * B_PITCH, B_STEP > B_LINES  # spare: threads without a part
    A_FAR, B_FAR = ROWS * 4 // DOWN, COLS * 4 // ACROSS  # from a thread's four to its next four
    AHEAD = ahead(real, tile)
    A_ROOM, B_ROOM = (AHEAD + 1) * A_SLAB, (AHEAD + 1) * B_SLAB
    wait = wait_for_older_copies if AHEAD == 2 else wait_for_copies
    copy_b = copy4 if B_WIDE == 4 else copy1
    add_products = products(DEEP, DOWN, ACROSS, A_PITCH, B_PITCH, A_FAR, B_FAR)

    NORMS, MEASURES = isinstance(then, Norm), isinstance(then, Measure)
    EPS, ADDS, RELU = then if NORMS else Norm(0.0, False, False)
    DEPTH = ROWS // DOWN  # threads one below another
    together, tells = bring_together(real, THREADS), tell(real, THREADS, then if MEASURES else NOTHING)

    @jit_for(THREADS, tile.resident)
    def gather_kernel(x, w, out, image, rows, cols):
        N, H, W, C, CG, OH, OW, O, OG, groups, size = image[:11]
        a_slab = cuda.shared.array(A_ROOM, real, ALIGNED)
        b_slab = cuda.shared.array(B_ROOM, real, ALIGNED)
        sums = cuda.local.array((DOWN, ACROSS), real)
        corner = cuda.local.array(A_LOADS, np.int32)  # of the windows that this thread loads from: the address,
        top, left = cuda.local.array(A_LOADS, np.int32), cuda.local.array(A_LOADS, np.int32)  # and the place

        group, phase, part = cuda.blockIdx.z % groups, cuda.blockIdx.z // groups, 0
        if adjoint:  # the last phase first: where they differ, it is the one with the most taps as a rule
            _, stride_h, _, _, _, _ = rows
            _, stride_w, _, _, KW, _ = cols
            along_w = min(stride_w, OW)
            phase = min(stride_h, OH) * along_w - 1 - phase
            start_h, start_w, step_h, step_w = phase // along_w, phase % along_w, stride_h, stride_w
            count_h, shift_h, move_h, taps_h, tap_h, hop_h = phase_of(rows, start_h)
            count_w, shift_w, move_w, taps_w, tap_w, hop_w = phase_of(cols, start_w)
            stride_h, stride_w = 1, 1
        else:
            part = phase
            count_h, stride_h, padding_h, move_h, taps_h, _ = rows
            count_w, stride_w, padding_w, move_w, taps_w, _ = cols
            shift_h, shift_w, start_h, start_w, step_h, step_w = -padding_h, -padding_w, 0, 0, 1, 1
            tap_h, tap_w, hop_h, hop_w, KW = 0, 0, 1, 1, taps_w
        pixels, depth, begin = N * count_h * count_w, taps_h * taps_w * CG, part * size
        end = depth if adjoint else min(depth, begin + size)
        first_row, first_col = cuda.blockIdx.x * ROWS, cuda.blockIdx.y * COLS
        if first_row >= pixels:  # a phase with fewer pixels than the first one; all threads leave together
            return
        thread = cuda.threadIdx.x & THREADS - 1
        lane, warp = thread % LANES, thread // LANES
        tx = lane // 2 % LANES_X + warp % WARPS_X * LANES_X
        ty = lane % 2 + lane // (2 * LANES_X) * 2 + warp // WARPS_X * LANES_Y
        for i in range(DOWN):
            for j in range(ACROSS):
                sums[i, j] = real(0)

        # Neighbouring threads load neighbouring channels: a thread stays with one place in the slab, and takes
        # several pixels of it.
        a_deep, a_row = thread % A_SPOTS * A_WIDE, thread // A_SPOTS
        for i in range(A_LOADS):
            p = np.int32(first_row + a_row + i * A_STEP)
            line = np.int32(np.uint32(p) // np.uint32(count_w))
            n = np.int32(np.uint32(line) // np.uint32(count_h))
            h = np.int32((line - n * count_h) * stride_h + shift_h)
            v = np.int32((p - line * count_w) * stride_w + shift_w)
            corner[i] = np.int32(((n * H + h) * W + v) * C + group * CG)
            top[i], left[i] = (h, v) if p < pixels else (np.int32(FAR), np.int32(FAR))
        height, width = np.uint32(H), np.uint32(W)
        if adjoint:
            b_deep, b_col = a_deep, thread // B_SPOTS
        else:
            b_deep, b_col = thread // B_SPOTS, thread % B_SPOTS * B_WIDE
        b_here = not B_SPARE or (b_col if adjoint else b_deep) < B_LINES
        if adjoint:
            b_at = np.int32((first_col + b_col) * C + group * CG)
        else:
            b_at = np.int32((begin + b_deep) * O + group * OG + first_col + b_col)
        b_left = np.int32(end - begin - b_deep if b_here and first_col + b_col < OG else 0)  # lines of weights

        # One place before the first: the loop's first turn carries, which brings all of these to where they belong.
        skipped = begin // (taps_w * CG) if depth > 0 else 0
        c, kw, kh = np.int32(begin - skipped * taps_w * CG + a_deep + CG), np.int32(-1), np.int32(skipped)
        down, along, spot, tap = np.int32(FAR), np.int32(0), np.int32(0), np.int32(0)
        slabs, written, read = (end - begin + DEEP - 1) // DEEP, np.int32(0), np.int32(1)
        for turn in range(slabs + AHEAD):
            if turn >= AHEAD:  # the slab that comes next is there, and nobody reads the one before any more
                wait()
                cuda.syncthreads()
            while c >= CG:  # a carry, which costs less than two divisions
                c = np.int32(c - CG)
                kw = np.int32(kw + 1)
                if kw == taps_w:
                    kw, kh = np.int32(0), np.int32(kh + 1)
                down, along = np.int32(kh * move_h if kh < taps_h and depth > 0 else FAR), np.int32(kw * move_w)
                spot = np.int32((np.int64(down) * W + along) * C)  # beyond the last tap more than 32 bits; unread
                tap = np.int32(((tap_h + kh * hop_h) * KW + tap_w + kw * hop_w) * OG * C)
            for i in range(A_LOADS):
                inside = np.uint32(top[i] + down) < height and np.uint32(left[i] + along) < width
                at = np.int32(np.int64(corner[i]) + spot + c)  # outside more than 32 bits; unread
                to = written * A_SLAB + a_deep * A_PITCH + a_row + i * A_STEP
                for j in range(A_WIDE):
                    copy1(a_slab, to + j * A_PITCH, x, at + j, inside)
            if b_here:
                for i in range(B_LOADS):
                    if adjoint:
                        at = np.int32(b_at + i * B_STEP * C + tap + c)
                        to = written * B_SLAB + b_deep * B_PITCH + b_col + i * B_STEP
                        inside = down != FAR and first_col + b_col + i * B_STEP < OG
                        for j in range(B_WIDE):
                            copy1(b_slab, to + j * B_PITCH, w, at + j, inside)
                    else:
                        to = written * B_SLAB + (b_deep + i * B_STEP) * B_PITCH + b_col
                        copy_b(b_slab, to, w, np.int32(b_at + i * B_STEP * O), i * B_STEP < b_left)
            commit_copies()
            c = np.int32(c + DEEP)
            if not adjoint:
                b_at = np.int32(b_at + DEEP * O)
                b_left = np.int32(b_left - DEEP)
            if turn >= AHEAD:
                add_products(sums, a_slab, read * A_SLAB + ty * 4, b_slab, read * B_SLAB + tx * 4)
            written, read = np.int32(written + 1 if written < AHEAD else 0), np.int32(read + 1 if read < AHEAD else 0)
        wait_for_copies()

        if NORMS:
            centre, scale = cuda.local.array(ACROSS, real), cuda.local.array(ACROSS, real)
            shift = cuda.local.array(ACROSS, real)
            mean, variance = line_at(out, image[11], O), line_at(out, image[12], O)
            weight, bias = line_at(out, image[13], O), line_at(out, image[14], O)
            residual = line_at(out, image[15], out.size)
            for j in range(ACROSS):
                channel = group * OG + min(first_col + tx * 4 + j // 4 * B_FAR + j % 4, OG - 1)
                centre[j], shift[j] = mean[channel], bias[channel]
                scale[j] = weight[channel] / real(sqrt(variance[channel] + real(EPS)))
        for i in range(DOWN):
            p = np.int32(first_row + ty * 4 + i // 4 * A_FAR + i % 4)
            if p < pixels:
                line = np.int32(np.uint32(p) // np.uint32(count_w))
                n = np.int32(np.uint32(line) // np.uint32(count_h))
                h, v = start_h + (line - n * count_h) * step_h, start_w + (p - line * count_w) * step_w
                at = ((np.int64(part * N + n) * OH + h) * OW + v) * O + group * OG
                for j in range(0, ACROSS, 4):
                    col = first_col + tx * 4 + j // 4 * B_FAR
                    if NORMS:
                        for more in range(4):
                            value = (sums[i, j + more] - centre[j + more]) * scale[j + more] + shift[j + more]
                            if ADDS:  # beyond the last column that of the last one, which is not stored
                                value += load1(residual, at + min(col + more, OG - 1))
                            if RELU:
                                value = real(0) if value <= real(0) else value  # a NaN is not, and stays
                            sums[i, j + more] = value
                    if OUT_WIDE == 4:
                        if col < OG:
                            store4(out, at + col, sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3])
                    else:
                        for more in range(4):
                            if col + more < OG:
                                store1(out, at + col + more, sums[i, j + more])
        if MEASURES:
            room = line_at(out, image[12], 2 * cuda.gridDim.x * O)
            held, first, wide = min(ROWS, pixels - first_row), group * OG + first_col, min(COLS, OG - first_col)
            cuda.syncthreads()  # nobody reads slabs any more
            for j in range(ACROSS):
                if ty == 0:  # the tile's first pixel, which there is: sums are of deviations from it
                    a_slab[tx * 4 + j // 4 * B_FAR + j % 4] = sums[0, j]
            cuda.syncthreads()
            for j in range(ACROSS):
                col = tx * 4 + j // 4 * B_FAR + j % 4
                origin, total, along = a_slab[col], real(0), real(0)
                for i in range(DOWN):
                    if first_row + ty * 4 + i // 4 * A_FAR + i % 4 < pixels:
                        off = sums[i, j] - origin
                        total += off
                        along += off * off
                a_slab[(1 + ty) * COLS + col], a_slab[(1 + DEPTH + ty) * COLS + col] = total, along
            cuda.syncthreads()
            for k in range(thread, wide, THREADS):
                total, along = real(0), real(0)
                for i in range(DEPTH):
                    total += a_slab[(1 + i) * COLS + k]
                    along += a_slab[(1 + DEPTH + i) * COLS + k]
                at = np.int64(cuda.blockIdx.x) * O + first + k
                room[at] = a_slab[k] + total / real(held)
                room[cuda.gridDim.x * O + at] = along - total * total / real(held)
            each, line = image[11], group * cuda.gridDim.y + cuda.blockIdx.y
            counters = line_at(cuda.local.array(1, np.uint32), image[14], (line + 1) * each)
            whole = cuda.local.array(1, np.int64)
            slot, lots, apart, place = (
                np.int64(cuda.blockIdx.x),
                np.int64(cuda.gridDim.x),
                np.int64(1),
                np.int64(line) * each,
            )
            squares = lots * O
            while lots > 1:
                fan = slot // FAN * FAN  # the first one of this block's
                members = min(np.int64(FAN), lots - fan)
                cuda.syncthreads()  # all have written: the block arrives
                if thread == 0:
                    cuda.threadfence()
                    a_slab[0] = real(cuda.atomic.inc(counters, place + slot // FAN, np.uint32(members - 1)))
                    cuda.threadfence()
                cuda.syncthreads()
                if a_slab[0] < real(members - 1):
                    return
                together(room, squares, thread, fan, members, apart, ROWS, pixels, first, wide, O)
                lots, slot, apart = (lots + FAN - 1) // FAN, fan // FAN, apart * FAN
                place += lots
            tells(room, squares, image[13], image[15:], whole, thread, pixels, first, wide, O)

    return gather_kernel
