"""The compiled loops around the micro-kernels. Module-level functions, so that Numba keeps them on disk."""

import numpy as np

from tinyres_kernels.cpu.emit import clear, copy
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import compiled, inlined, kernel
from tinyres_kernels.cpu.simd import dot_tile, outer_row, outer_tile, row_tile

_P1, _P2 = TARGET.pixels[1], TARGET.pixels[2]
_A1, _B1, _C1, _D1 = (dot_tile(pixels, 1) for pixels in _P1)
_A2, _B2, _C2, _D2 = (dot_tile(pixels, 2) for pixels in _P2)
ROW = _P1[0]  # pixels of a row tile
_R = row_tile(ROW)
ROW_TAPS = TARGET.row_taps
_OR, _OR3 = outer_row(1, ROW_TAPS), outer_row(3, 3)  # the latter: all 27 taps of three channels
_O1, OUTER = outer_tile(TARGET.taps[1], 1), outer_tile(TARGET.taps[2], 2)


@compiled
def tile(vectors, pixels, x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add):
    """The micro-kernel of this size."""
    if vectors == 1:
        if pixels == _P1[0]:
            _A1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
        elif pixels == _P1[1]:
            _B1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
        elif pixels == _P1[2]:
            _C1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
        else:
            _D1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
    elif pixels == _P2[0]:
        _A2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
    elif pixels == _P2[1]:
        _B2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
    elif pixels == _P2[2]:
        _C2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)
    else:
        _D2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, oj, tail, add)


def places_inside(corner: int, step: int, count: int, size: int) -> tuple[int, int]:
    """The first of the places corner, corner + step, ... that lies in 0 ... size - 1, and the end of those that do."""
    return max(0, (step - 1 - corner) // step), min(count, (size - 1 - corner) // step + 1)


inside = compiled(places_inside)


@compiled
def _copy_padded(x, start, H, W, C, top, left, span, across, buffer, at):
    """The window of `span` rows and `across` columns whose corner lies (top, left) outside of the image, with zeros."""
    first, last = max(0, left), max(0, min(across, left + W))
    for r in range(span):
        line = at + r * across * C
        h = r - top
        if h < 0 or h >= H or last <= first:
            clear(buffer, line, across * C)
        else:
            clear(buffer, line, first * C)
            copy(buffer, line + first * C, x, start + (h * W + first - left) * C, (last - first) * C)
            clear(buffer, line + last * C, (across - last) * C)


@kernel
def pack(t, threads, weights, panels):
    """(G, KH, KW, in, out), any strides, into panels (G, blocks, KH KW in, wide).

    Weights that are not contiguous along `out` are taken in strips of 16, so that both sides stay in the cache.
    """
    G, KH, KW, inputs, outputs = weights.shape
    blocks, wide = panels.shape[1], panels.shape[3]
    along = weights.strides[4] == weights.itemsize
    lines = G * blocks * KH
    for line in range(lines * t // threads, lines * (t + 1) // threads):
        g, block, kh = line // (blocks * KH), line // KH % blocks, line % KH
        first = block * wide
        last = min(first + wide, outputs)
        for kw in range(KW):
            rows = panels[g, block, (kh * KW + kw) * inputs : (kh * KW + kw + 1) * inputs]
            taps = weights[g, kh, kw]
            if along:
                for c in range(inputs):
                    for j in range(last - first):
                        rows[c, j] = taps[c, first + j]
            else:
                for c0 in range(0, inputs, 16):
                    for o in range(first, last):
                        for c in range(c0, min(c0 + 16, inputs)):
                            rows[c, o - first] = taps[c, o]
            for c in range(inputs if last - first < wide else 0):
                for j in range(last - first, wide):
                    rows[c, j] = 0


@compiled
def row(vectors, sizes, overlap, width, x, x0, xs, rows, xr, cols, xc, run, w, w0, wt, out, o0, os, tail, add):
    """A row of `width` pixels in tiles of the first size; what is left over in smaller ones, or, where an `overlap`
    does no harm, in one that computes some of the pixels before it again."""
    done = 0
    for size in sizes:
        while done + size <= width or (overlap and done < width and size <= width):
            first = min(done, width - size)
            half = (size + 1) // 2
            tile(vectors, size, x, x0 + first * xs, xs, half * xs, rows, xr, cols, xc, run, w, w0, wt,
                 out, o0 + first * os, os, half * os, tail, add)  # fmt: skip
            done = first + size


@kernel
def dot(t, threads, x, panels, out, buffers, image, result, weight, moves, grid, work, tiles, sizes):
    """Forward and dx: items of a few images (or of a few rows of one), a contiguous share of them for each thread: what
    it writes is then still in its own cache when the next kernel, which shares out alike, reads it.

    Sums of many taps are cut into pieces whose part of a panel stays in the first-level cache; this is more exact, too.
    """
    N, H, W, C = image
    OH, OW, groups, OG = result
    KH, KW, CG = weight
    sh, sw, ph, pw, dh, dw = moves
    first_h, first_w, step_h, step_w, full_h, full_w, O = grid
    batch, row_blocks, span, across, piece_rows, piece_run = work
    vectors, wide, paired, direct, merged, in_row = tiles
    run, columns = (KW * CG, 1) if merged else (CG, KW)
    blocks = (OG + wide - 1) // wide
    panel = KH * KW * CG * wide
    items = (N + batch - 1) // batch * row_blocks
    per_block = (OH + row_blocks - 1) // row_blocks
    o_step, o_row = step_w * O, step_h * full_w * O
    whole = piece_rows >= KH and piece_run >= run
    own = t * batch * span * across * C
    for item in range(items * t // threads, items * (t + 1) // threads):
        n0 = item // row_blocks * batch
        n1 = min(N, n0 + batch)
        h0 = item % row_blocks * per_block
        h1 = min(OH, h0 + per_block)
        if h1 <= h0:
            continue
        if direct:
            source, x_line, x_image, corner = x, W * C, H * W * C, (n0 * H + h0 * sh) * W * C
        else:
            source, x_line, x_image, corner = buffers, across * C, span * across * C, own
            need = (h1 - h0 - 1) * sh + (KH - 1) * dh + 1
            for n in range(n0, n1):
                at = own + (n - n0) * x_image
                _copy_padded(x, n * H * W * C, H, W, C, ph - h0 * sh, pw, need, across, buffers, at)
        pieces = (KH + piece_rows - 1) // piece_rows * ((run + piece_run - 1) // piece_run)
        for part in range(groups * blocks * pieces):
            g, block, piece = part // (blocks * pieces), part // pieces % blocks, part % pieces
            kh = piece // ((run + piece_run - 1) // piece_run) * piece_rows
            k = piece % ((run + piece_run - 1) // piece_run) * piece_run
            taps_h, taps = min(piece_rows, KH - kh), min(piece_run, run - k)
            w0 = (g * blocks + block) * panel + (kh * columns * run + k) * wide
            tail = min(wide, OG - block * wide)
            add = piece > 0
            for n in range(n0, n1):
                x_n = corner + (n - n0) * x_image + kh * dh * x_line + g * CG + k
                o_n = ((n * full_h + first_h + h0 * step_h) * full_w + first_w) * O + g * OG + block * wide
                h = 0
                while h < h1 - h0:
                    at, o_at = x_n + h * sh * x_line, o_n + h * o_row
                    if in_row:
                        done = 0
                        while done + ROW <= OW or (whole and done < OW):
                            w = min(done, OW - ROW)  # the last tile may overlap the one before
                            _R(source, at + w * C, C, taps_h, dh * x_line, taps, panels, w0, run, out,
                               o_at + w * o_step, o_step, tail, add)  # fmt: skip
                            done = w + ROW
                        row(vectors, sizes, whole, OW - done, source, at + done * C, C, taps_h, dh * x_line,
                             columns, dw * C, taps, panels, w0, run, out, o_at + done * o_step, o_step, tail,
                             add)  # fmt: skip
                        h += 1
                    elif paired and h + 2 <= h1 - h0:
                        tile(vectors, sizes[0], source, at, sw * C, sh * x_line, taps_h, dh * x_line, columns,
                             dw * C, taps, panels, w0, run, out, o_at, o_step, o_row, tail, add)  # fmt: skip
                        h += 2
                    else:
                        row(vectors, sizes, whole, OW, source, at, sw * C, taps_h, dh * x_line, columns, dw * C,
                             taps, panels, w0, run, out, o_at, o_step, tail, add)  # fmt: skip
                        h += 1


@inlined
def _add_shares(threads, step, shares, at, out, first, count):
    """out[first + k] = the sum over threads t of shares[at + t step + k]. Unsigned: such indices are never negative."""
    at, first = np.uintp(at), np.uintp(first)
    for k in range(np.uintp(count)):
        out[first + k] = shares[at + k]
    for _ in range(1, threads):
        at += np.uintp(step)
        for k in range(np.uintp(count)):
            out[first + k] += shares[at + k]


@kernel
def outer(t, threads, x, g, buffers, places, image, result, weight, moves, work, tiles):
    """dw: each thread sums over its share of the images, `summed` pixels of each at a time: long sums lose digits.
    `add_shares` adds what they found."""
    N, H, W, C = image
    OH, OW, groups, OG = result
    KH, _, CG = weight
    sh, _, ph, pw, dh, dw = moves
    batch, span, across, private, share, summed = work
    vectors, wide, taps, columns, padded_run, direct, in_row = tiles
    O, rows = groups * OG, max(1, summed // OW)
    blocks, chunks = (OG + wide - 1) // wide, (OH + rows - 1) // rows
    above, left, tall = (ph, pw, H) if direct else (0, 0, span)  # padding that lies nowhere, and the rows of what does
    sums = t * (private + share)
    buffers[sums : sums + private] = 0
    own = sums + private
    buffers[own + share - (0 if direct else padded_run) : own + share] = 0
    last = N * (t + 1) // threads
    for n0 in range(N * t // threads, last, batch):
        n1 = min(last, n0 + batch)
        if direct:
            source, x_line, x_image, corner = x, W * C, H * W * C, n0 * H * W * C
        else:
            source, x_line, x_image, corner = buffers, across * C, span * across * C, own
            for n in range(n0, n1):
                _copy_padded(x, n * H * W * C, H, W, C, ph, pw, span, across, buffers, own + (n - n0) * x_image)
        for part in range(groups * blocks):
            group, block = part // blocks, part % blocks
            tail = min(wide, OG - block * wide)
            g0 = n0 * OH * OW * O + group * OG + block * wide
            for r in range(0, OH if in_row == 3 else 0, rows):
                some, x_r, g_r = min(rows, OH - r), corner + r * sh * x_line, g0 + r * OW * O
                _OR3(n1 - n0, some, OW, source, x_r, x_image, sh * x_line, dh * x_line, C, g, g_r, OH * OW * O,
                     OW * O, O, buffers, sums, padded_run * wide, CG * wide, wide, tail, True)  # fmt: skip
            for chunk in range((n1 - n0) * chunks if in_row == 1 else 0):
                n, r = chunk // chunks, chunk % chunks * rows
                for kh in range(KH):
                    h = r * sh + kh * dh - above
                    begin, end = inside(h, sh, min(rows, OH - r), tall)
                    x_r = corner + n * x_image + (h + begin * sh) * x_line - left * C
                    g_r = g0 + (n * OH + r + begin) * OW * O
                    for c in range(0, CG if end > begin else 0, ROW_TAPS):
                        _OR(1, end - begin, OW, source, x_r + c, 0, sh * x_line, 0, C, g, g_r, 0, OW * O, O, buffers,
                            sums + (kh * padded_run + c) * wide, 0, CG * wide, wide, tail, left == 0)  # fmt: skip
            for p in range(0, 0 if in_row else OH * OW, summed):
                some, at = places[p : p + summed], g0 + p * O
                for line in range(KH * columns):
                    x_kh = corner + line // columns * dh * x_line + line % columns * dw * C + group * CG
                    place = ((group * KH * columns + line) * blocks + block) * padded_run
                    for j in range(0, padded_run, taps):
                        s0 = sums + (place + j) * wide
                        if vectors == 1:
                            _O1(n1 - n0, some, source, x_kh + j, x_image, g, at, OH * OW * O, O, buffers, s0, wide,
                                tail)  # fmt: skip
                        else:
                            OUTER(n1 - n0, some, source, x_kh + j, x_image, g, at, OH * OW * O, O, buffers, s0, wide,
                                tail)  # fmt: skip


@kernel
def add_shares(t, threads, count, out, buffers, result, weight, work, tiles):
    """dw, then: what `count` threads have summed in `outer`, added in order."""
    _, _, groups, OG = result
    KH, KW, CG = weight
    _, _, _, private, share, _ = work
    _, wide, _, columns, padded_run, _, _ = tiles
    O, blocks = groups * OG, (OG + wide - 1) // wide
    lines = KH * KW * CG
    for line in range(lines * t // threads, lines * (t + 1) // threads):
        kh, rest = line // (KW * CG), line % (KW * CG)
        column, j = (0, rest) if columns == 1 else (rest // CG, rest % CG)
        for part in range(groups * blocks):
            group, block = part // blocks, part % blocks
            at = ((((group * KH + kh) * columns + column) * blocks + block) * padded_run + j) * wide
            first = line * O + group * OG + block * wide
            _add_shares(count, private + share, buffers, at, out, first, min(wide, OG - block * wide))
