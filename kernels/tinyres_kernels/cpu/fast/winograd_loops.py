"""The compiled loops of Winograd's convolution: transform some rows of tiles, multiply, transform back."""

import numpy as np

from tinyres_kernels.cpu.fast.tiles import cotangent_tiles, input_tiles, output_tiles
from tinyres_kernels.cpu.jit import compiled, inlined, kernel
from tinyres_kernels.cpu.loops import tile
from tinyres_kernels.cpu.simd import outer_tile

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_SHARES = np.einsum("ai,bk->abik", G, G).reshape(16, 3, 3)
TERMS = np.argwhere(_SHARES)  # (place, row, column) of what is not 0
FACTORS = _SHARES[_SHARES != 0]
TAPS = 8  # divides what channels are padded to
_O1, _O2 = outer_tile(TAPS, 1), outer_tile(TAPS, 2)


@kernel
def transform_weights(t, threads, weights, panels, taps, terms, factors):
    """G w G^T of (3, 3, in, out) weights, any strides, as panels (16, blocks, in, wide), zeros at the end.

    taps (threads, 3, 3, wide): where those of one channel lie side by side
    terms, factors: of which tap how much goes to which place, row by row: `TERMS`, `FACTORS`
    """
    rows, columns, inputs, outputs = weights.shape
    blocks, wide = panels.shape[1], panels.shape[3]
    for line in range(blocks * inputs * t // threads, blocks * inputs * (t + 1) // threads):
        block, c = line // inputs, line % inputs
        first = block * wide
        count = min(wide, outputs - first)
        for i in range(rows):  # not 3: loops of a known length would be written out, nine and 64 times
            for k in range(columns):
                for j in range(count):
                    taps[t, i, k, j] = weights[i, k, c, first + j]
                for j in range(count, wide):
                    taps[t, i, k, j] = 0
        for place in range(panels.shape[0]):
            for j in range(wide):
                panels[place, block, c, j] = 0
        for n in range(len(factors)):
            place, i, k, factor = terms[n, 0], terms[n, 1], terms[n, 2], factors[n]
            for j in range(wide):
                panels[place, block, c, j] += factor * taps[t, i, k, j]


@inlined
def _multiply(vectors, steps, C, v, v0, v_tile, panels, w0, m, m0, m_tile, wide):
    """One place of all tiles times one panel; steps: which tiles go together, as pairs of the first and their count."""
    for s in range(steps.shape[0]):
        first, size = steps[s, 0], steps[s, 1]
        half = (size + 1) // 2
        tile(vectors, size, v, v0 + first * v_tile, v_tile, half * v_tile, 1, 0, 1, 0, C, panels, w0, C,
             m, m0 + first * m_tile, m_tile, half * m_tile, wide, False)  # fmt: skip


@compiled
def _back(a, at, step, i):
    """Row i of G^T times four numbers."""
    if i == 0:
        return a[at] + (a[at + step] + a[at + 2 * step]) / 2
    if i == 1:
        return (a[at + step] - a[at + 2 * step]) / 2
    return (a[at + step] + a[at + 2 * step]) / 2 + a[at + 3 * step]


@kernel
def forward(
    thread, threads, x, panels, out, zeros, buffers, image, result, moves, work, tiles, steps, last_steps, lost
):
    """Items of `band` rows of tiles, counted through all images; lost[t]: whether thread t wrote NaN or infinity."""
    N, H, W, C = image
    OH, OW, O = result
    ph, pw = moves
    high, across, band, v_tile, v_place, m_tile, m_place = work
    vectors, wide, blocks = tiles
    lines = N * high
    items = (lines + band - 1) // band
    share = 16 * (v_place + m_place)
    v0 = thread * share
    m0 = v0 + 16 * v_place
    lost[thread] = False
    for item in range(items * thread // threads, items * (thread + 1) // threads):
        first, last = item * band, min(item * band + band, lines)
        plan = steps if last - first == band else last_steps
        for line in range(first, last):
            n, h = line // high, line % high * 2
            input_tiles(x, n * H * W * C, h - ph, -pw, H, W, C, zeros, across,
                        buffers, v0 + (line - first) * across * v_tile, v_place, v_tile)  # fmt: skip
        for place in range(16):
            for block in range(blocks):
                _multiply(vectors, plan, C, buffers, v0 + place * v_place, v_tile, panels,
                          (place * blocks + block) * C * wide, buffers, m0 + place * m_place + block * wide,
                          m_tile, wide)  # fmt: skip
        for line in range(first, last):
            n, h = line // high, line % high * 2
            if output_tiles(buffers, m0 + (line - first) * across * m_tile, m_place, m_tile, across,
                            out, n * OH * OW * O, h, OH, OW, O):  # fmt: skip
                lost[thread] = True


@kernel
def weight_gradient(thread, threads, x, g, zeros, buffers, table, image, result, moves, work, tiles):
    """dw: each thread sums V^T M over its share of the rows of tiles. `add_shares` makes dw of what they found."""
    N, H, W, C = image
    OH, OW, O = result
    ph, pw = moves
    high, across, band, v_tile, v_place, m_tile, m_place = work
    vectors, wide, blocks, taps = tiles
    lines = N * high
    place_size = v_tile * m_tile
    share = 16 * (place_size + v_place + m_place)
    sums = thread * share
    v0 = sums + 16 * place_size
    m0 = v0 + 16 * v_place
    buffers[sums:v0] = 0
    end = lines * (thread + 1) // threads
    for first in range(lines * thread // threads, end, band):
        last = min(first + band, end)
        for line in range(first, last):
            n, h = line // high, line % high * 2
            input_tiles(x, n * H * W * C, h - ph, -pw, H, W, C, zeros, across,
                        buffers, v0 + (line - first) * across * v_tile, v_place, v_tile)  # fmt: skip
            cotangent_tiles(g, n * OH * OW * O, h, OH, OW, O, zeros, across,
                            buffers, m0 + (line - first) * across * m_tile, m_place, m_tile)  # fmt: skip
        places = table[: (last - first) * across]
        for place in range(16):
            for block in range(blocks):
                for c in range(0, C, taps):
                    v_at, m_at = v0 + place * v_place + c, m0 + place * m_place + block * wide
                    s_at = sums + place * place_size + c * m_tile + block * wide
                    if vectors == 1:
                        _O1(1, places, buffers, v_at, 0, buffers, m_at, 0, m_tile, buffers, s_at, m_tile, wide)
                    else:
                        _O2(1, places, buffers, v_at, 0, buffers, m_at, 0, m_tile, buffers, s_at, m_tile, wide)


@kernel
def add_shares(t, threads, count, out, buffers, size, work):
    """dw, then: what `count` threads have summed in `weight_gradient`, added in order, and G^T S G of it."""
    C, O = size
    v_tile, v_place, m_tile, m_place = work
    place_size = v_tile * m_tile
    share = 16 * (place_size + v_place + m_place)
    for c in range(C * t // threads, C * (t + 1) // threads):
        for o in range(O):
            at = c * m_tile + o
            for place in range(16):
                for thread in range(1, count):
                    buffers[at + place * place_size] += buffers[at + place * place_size + thread * share]
            for i in range(3):
                p = _back(buffers, at, 4 * place_size, i)
                q = _back(buffers, at + place_size, 4 * place_size, i)
                r = _back(buffers, at + 2 * place_size, 4 * place_size, i)
                s = _back(buffers, at + 3 * place_size, 4 * place_size, i)
                plus, minus = (q + r) / 2, (q - r) / 2
                out[i, 0, c, o], out[i, 1, c, o], out[i, 2, c, o] = p + plus, minus, plus + s
