"""The compiled loops around the micro-kernels. Module-level functions, so that Numba keeps them on disk."""

from numba import prange

from tinyres_kernels.cpu.emit import clear, copy
from tinyres_kernels.cpu.host import TARGET, compiled, kernel
from tinyres_kernels.cpu.simd import dot_tile, outer_row, outer_tile, row_tile

# Sizes of tiles: as many accumulators as the registers hold beside the operands.
if TARGET.registers == 32:
    PIXELS, TAPS = {1: (16, 8, 4, 1), 2: (14, 8, 4, 1)}, {1: 16, 2: 12}
else:
    PIXELS, TAPS = {1: (8, 4, 2, 1), 2: (6, 4, 2, 1)}, {1: 8, 2: 6}

_A1, _B1, _C1, _D1 = (dot_tile(pixels, 1) for pixels in PIXELS[1])
_A2, _B2, _C2, _D2 = (dot_tile(pixels, 2) for pixels in PIXELS[2])
_P1, _P2 = PIXELS[1], PIXELS[2]
ROW = PIXELS[1][0]  # pixels of a row tile
_R = row_tile(ROW)
ROW_TAPS = 8  # channels of a row of taps
_OR = outer_row(ROW_TAPS)
_O1, _O2 = outer_tile(TAPS[1], 1), outer_tile(TAPS[2], 2)


@compiled
def tile(vectors, pixels, x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail):
    """The micro-kernel of this size."""
    if vectors == 1:
        if pixels == _P1[0]:
            _A1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
        elif pixels == _P1[1]:
            _B1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
        elif pixels == _P1[2]:
            _C1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
        else:
            _D1(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
    elif pixels == _P2[0]:
        _A2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
    elif pixels == _P2[1]:
        _B2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
    elif pixels == _P2[2]:
        _C2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)
    else:
        _D2(x, x0, xs, xj, rows, xr, cols, xc, run, w, w0, out, o0, os, oj, tail)


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
def pack(threads, weights, panels):
    """(G, KH, KW, in, out), any strides, into panels (G, blocks, KH KW in, wide)."""
    G, KH, KW, inputs, outputs = weights.shape
    blocks, wide = panels.shape[1], panels.shape[3]
    for t in prange(G * blocks):
        g, block = t // blocks, t % blocks
        for kh in range(KH):
            for kw in range(KW):
                for c in range(inputs):
                    row = panels[g, block, (kh * KW + kw) * inputs + c]
                    for j in range(wide):
                        o = block * wide + j
                        row[j] = weights[g, kh, kw, c, o] if o < outputs else 0


@kernel
def dot(threads, x, panels, out, buffers, image, result, weight, moves, grid, work, tiles):
    """Forward and dx: items of a few images (or of a few rows of one), each thread a fixed set of them."""
    N, H, W, C = image
    OH, OW, groups, OG = result
    KH, KW, CG = weight
    sh, sw, ph, pw, dh, dw = moves
    first_h, first_w, step_h, step_w, full_h, full_w, O = grid
    batch, row_blocks, span, across = work
    vectors, wide, pixels, paired, direct, merged, in_row = tiles
    run, columns = (KW * CG, 1) if merged else (CG, KW)
    blocks = (OG + wide - 1) // wide
    panel = KH * KW * CG * wide
    items = (N + batch - 1) // batch * row_blocks
    per_block = (OH + row_blocks - 1) // row_blocks
    o_step, o_row = step_w * O, step_h * full_w * O
    half = (pixels + 1) // 2
    for t in prange(threads):
        own = t * batch * span * across * C
        for item in range(t, items, threads):
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
            for g in range(groups):
                for block in range(blocks):
                    w0 = (g * blocks + block) * panel
                    tail = min(wide, OG - block * wide)
                    for n in range(n0, n1):
                        x_n = corner + (n - n0) * x_image + g * CG
                        o_n = ((n * full_h + first_h + h0 * step_h) * full_w + first_w) * O + g * OG + block * wide
                        rows = h1 - h0
                        if in_row:
                            for h in range(rows):
                                for part in range((OW + ROW - 1) // ROW):
                                    w = min(part * ROW, OW - ROW)  # the last tile overlaps the one before
                                    _R(source, x_n + h * sh * x_line + w * C, C, KH, dh * x_line, CG, panels, w0,
                                       out, o_n + h * o_row + w * o_step, o_step, tail)  # fmt: skip
                        elif paired and rows >= 2:
                            for pair in range((rows + 1) // 2):
                                h = min(2 * pair, rows - 2)  # an odd last row is computed along with its neighbour
                                tile(vectors, pixels, source, x_n + h * sh * x_line, sw * C, sh * x_line, KH,
                                      dh * x_line, columns, dw * C, run, panels, w0, out, o_n + h * o_row, o_step,
                                      o_row, tail)  # fmt: skip
                        else:
                            size = 1 if paired else pixels
                            gap = 0 if paired else half
                            for h in range(rows):
                                for part in range((OW + size - 1) // size):
                                    w = min(part * size, OW - size)  # the last tile overlaps the one before
                                    tile(vectors, size, source, x_n + h * sh * x_line + w * sw * C, sw * C,
                                          gap * sw * C, KH, dh * x_line, columns, dw * C, run, panels, w0, out,
                                          o_n + h * o_row + w * o_step, o_step, gap * o_step, tail)  # fmt: skip


@kernel
def outer(threads, x, g, out, buffers, image, result, weight, moves, work, tiles):
    """dw: each thread sums over its share of the images; the shares are then added in order."""
    N, H, W, C = image
    OH, OW, groups, OG = result
    KH, KW, CG = weight
    sh, sw, ph, pw, dh, dw = moves
    batch, span, across, private, share = work
    vectors, wide, taps, columns, padded_run, direct, in_row = tiles
    O = groups * OG
    blocks = (OG + wide - 1) // wide
    for t in prange(threads):
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
            for group in range(groups):
                for kh in range(KH):
                    for column in range(columns):
                        for block in range(blocks):
                            place = ((group * KH + kh) * columns + column) * blocks + block
                            tail = min(wide, OG - block * wide)
                            if in_row:
                                for c in range(0, CG, ROW_TAPS):
                                    _OR(n1 - n0, OH, OW, source, corner + kh * dh * x_line + group * CG + c, x_image,
                                        sh * x_line, C, g, n0 * OH * OW * O + group * OG, OH * OW * O, OW * O, O,
                                        buffers, sums + (place * padded_run + c) * wide, CG * wide, wide,
                                        tail)  # fmt: skip
                                continue
                            for j in range(0, padded_run, taps):
                                x0 = corner + kh * dh * x_line + column * dw * C + group * CG + j
                                g0 = n0 * OH * OW * O + group * OG + block * wide
                                s0 = sums + (place * padded_run + j) * wide
                                if vectors == 1:
                                    _O1(n1 - n0, OH, OW, source, x0, x_image, sh * x_line, sw * C, g, g0,
                                        OH * OW * O, OW * O, O, buffers, s0, wide, tail)  # fmt: skip
                                else:
                                    _O2(n1 - n0, OH, OW, source, x0, x_image, sh * x_line, sw * C, g, g0,
                                        OH * OW * O, OW * O, O, buffers, s0, wide, tail)  # fmt: skip
    for line in prange(KH * KW * CG):
        kh, rest = line // (KW * CG), line % (KW * CG)
        column, j = (0, rest) if columns == 1 else (rest // CG, rest % CG)
        for group in range(groups):
            for o in range(OG):
                place = ((group * KH + kh) * columns + column) * blocks + o // wide
                at = (place * padded_run + j) * wide + o % wide
                total = buffers[at]
                for t in range(1, threads):
                    total += buffers[at + t * (private + share)]
                out[line * O + group * OG + o] = total
