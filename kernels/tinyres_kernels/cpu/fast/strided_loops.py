"""The compiled loops of Winograd's strided convolution: transform some rows of tiles, multiply, transform back."""

from tinyres_kernels.cpu.emit import clear
from tinyres_kernels.cpu.fast.strided_tiles import gather_tiles, input_tiles, spread_tiles, transpose
from tinyres_kernels.cpu.jit import inlined, kernel
from tinyres_kernels.cpu.loops import tile
from tinyres_kernels.cpu.simd import outer_tile

TAPS = 8  # divides what channels are padded to
SUM = 64  # products of which a sum is formed at a time: an output adds up the rounding errors of four such places
_O1, _O2 = outer_tile(TAPS, 1), outer_tile(TAPS, 2)


@kernel
def transform_weights(thread, threads, w, turned, panels, buffers, shape, moves, work):
    """A w_ab A^T for the phases (a, b) of the kernel w (4, 4, C, O), each 2x2, as panels of `wide` channels: for each
    phase, place, block, and channel that is summed over.

    turned: for dx. Then what is summed over are the channels O, a phase is one of the image, and its taps are taken in
    reverse.
    """
    C, O = shape
    ph, pw = moves
    wide, phase_step, place_step, panel, share = work
    inputs, outputs = (O, C) if turned else (C, O)
    blocks = (outputs + wide - 1) // wide
    for part in range(4 * blocks * thread // threads, 4 * blocks * (thread + 1) // threads):
        phase, block = part // blocks, part % blocks
        a, b = phase // 2, phase % 2
        count = min(wide, outputs - block * wide)
        p0 = phase * phase_step + block * panel
        if turned:
            own, tap = thread * share, O * wide
            for k in range(4):
                i, j = (a + ph) % 2 + k // 2 * 2, (b + pw) % 2 + k % 2 * 2
                transpose(w, ((i * 4 + j) * C + block * wide) * O, O, count, O, buffers, own + (3 - k) * tap, wide)
            spread_tiles(buffers, own, 2 * tap, tap, wide, 2, 2 * inputs, count, wide, inputs,
                         panels, p0, place_step, wide)  # fmt: skip
        else:
            spread_tiles(w, (a * 4 + b) * C * O + block * wide, 8 * C * O, 2 * C * O, O, 2, 2 * inputs, count,
                         wide, inputs, panels, p0, place_step, wide)  # fmt: skip


@inlined
def _multiply(vectors, steps, parts, part, run, v, v0, v_tile, panels, w0, m, m0, m_tile, wide):
    """One place of all tiles times one panel; steps: which tiles go together, as pairs of the first and their count.

    What is summed over are `parts` runs of numbers, `part` apart in v. Tiles that are taken a second time begin anew:
    so the pieces of a sum are the inner loop.
    """
    together = max(1, SUM // run)
    pieces = (run + SUM - 1) // SUM
    for s in range(steps.shape[0]):
        first, size = steps[s, 0], steps[s, 1]
        half = (size + 1) // 2
        for begin in range(0, parts, together):
            for piece in range(pieces):
                k = run * piece // pieces
                tile(vectors, size, v, v0 + first * v_tile + begin * part + k, v_tile, half * v_tile, 1, 0,
                     min(together, parts - begin), part, run * (piece + 1) // pieces - k,
                     panels, w0 + (begin * run + k) * wide, run,
                     m, m0 + first * m_tile, m_tile, half * m_tile, wide, begin + piece > 0)  # fmt: skip


@kernel
def convolve(thread, threads, x, panels, out, zeros, buffers, image, result, sources, targets, work, tiles, steps,
             last_steps, lost):  # fmt: skip
    """Forward and dx. Items of `band` rows of tiles, counted through all images, all phases of the image in each.

    sources (phases of out, phases of x, 2): the first pixel of x that the first tile reads, rows and columns
    targets (phases of out, 3): where the phase begins in an image of out, its rows and its columns
    lost[t]: whether thread t wrote NaN or infinity
    """
    N, H, W, C = image
    size, O, row, pixel = result
    step, high, across, band, v_part, v_tile, v_place, m_tile, m_place, panel, panel_place = work
    vectors, wide, blocks = tiles
    lines = N * high
    items = (lines + band - 1) // band
    parts = sources.shape[1]
    share = 9 * (v_place + m_place)
    v0 = thread * share
    m0 = v0 + 9 * v_place
    lost[thread] = False
    for item in range(items * thread // threads, items * (thread + 1) // threads):
        first, last = item * band, min(item * band + band, lines)
        plan = steps if last - first == band else last_steps
        for phase in range(sources.shape[0]):
            for line in range(first, last):
                n, h = line // high, line % high * 2
                for part in range(parts):
                    input_tiles(x, n * H * W * C, sources[phase, part, 0] + h * step, sources[phase, part, 1], step,
                                H, W, C, zeros, across, buffers,
                                v0 + (line - first) * across * v_tile + part * v_part, v_place,
                                v_tile)  # fmt: skip
            for place in range(9):
                for block in range(blocks):
                    _multiply(vectors, plan, parts, v_part, C, buffers, v0 + place * v_place, v_tile, panels,
                              (phase * 9 + place) * panel_place + block * panel, buffers,
                              m0 + place * m_place + block * wide, m_tile, wide)  # fmt: skip
            for line in range(first, last):
                n, h = line // high, line % high * 2
                if gather_tiles(buffers, m0 + (line - first) * across * m_tile, m_place, m_tile, across,
                                out, n * size + targets[phase, 0] + h * row, row, pixel, 2 * pixel,
                                targets[phase, 1] - h, targets[phase, 2], O):  # fmt: skip
                    lost[thread] = True


@kernel
def weight_gradient(thread, threads, x, g, out, zeros, buffers, table, image, result, moves, work, tiles, lost):
    """dw: A^T S A where S = the sum of V^T M over all tiles, the four phases one by one.

    What the threads share out are not the images but S: phases, and, where there are more threads, columns of channels
    of g. So nothing is added up between them, and S stays in a core's own cache.
    """
    N, H, W, C = image
    OH, OW, O = result
    ph, pw = moves
    high, across, band, v_tile, v_place, m_tile, m_place, s_step, s_place = work
    vectors, wide, blocks, splits, most, taps = tiles
    lines = N * high
    share = 9 * (most * s_place + v_place + m_place)
    sums = thread * share
    v0 = sums + 9 * most * s_place
    m0 = v0 + 9 * v_place
    lost[thread] = False
    begin, end = 4 * splits * thread // threads, 4 * splits * (thread + 1) // threads
    for split in range(begin // 4, (end + 3) // 4):
        first_phase, last_phase = max(begin - 4 * split, 0), min(end - 4 * split, 4)
        first_block, last_block = blocks * split // splits, blocks * (split + 1) // splits
        o = first_block * wide
        count = min(last_block * wide, O) - o
        clear(buffers, sums, (last_phase - first_phase) * 9 * s_place)
        for first in range(0, lines, band):
            last = min(first + band, lines)
            places = table[: (last - first) * across]
            for line in range(first, last):
                n, h = line // high, line % high * 2
                spread_tiles(g, (n * OH + h) * OW * O + o, OW * O, O, 2 * O, OH - h, OW, count,
                             (last_block - first_block) * wide, across,
                             buffers, m0 + (line - first) * across * m_tile, m_place, m_tile)  # fmt: skip
            for phase in range(first_phase, last_phase):
                for line in range(first, last):
                    n, h = line // high, line % high * 2
                    input_tiles(x, n * H * W * C, 2 * h + phase // 2 - ph, phase % 2 - pw, 2, H, W, C, zeros,
                                across, buffers, v0 + (line - first) * across * v_tile, v_place,
                                v_tile)  # fmt: skip
                for place in range(9):
                    s0 = sums + ((phase - first_phase) * 9 + place) * s_place
                    for block in range(last_block - first_block):
                        m_at = m0 + place * m_place + block * wide
                        for c in range(0, C, taps):
                            v_at, s_at = v0 + place * v_place + c, s0 + c * s_step + block * wide
                            if vectors == 1:
                                _O1(1, places, buffers, v_at, 0, buffers, m_at, 0, m_tile, buffers, s_at, s_step,
                                    wide)  # fmt: skip
                            else:
                                _O2(1, places, buffers, v_at, 0, buffers, m_at, 0, m_tile, buffers, s_at, s_step,
                                    wide)  # fmt: skip
        for phase in range(first_phase, last_phase):
            if gather_tiles(buffers, sums + (phase - first_phase) * 9 * s_place, s_place, s_step, C,
                            out, (phase // 2 * 4 + phase % 2) * C * O + o, 8 * C * O, 2 * C * O, O,
                            2, 2 * C, count):  # fmt: skip
                lost[thread] = True
