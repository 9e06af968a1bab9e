"""Direct channels-last convolution on the SIMD micro-kernels: no im2col, no atomics, the same bits run after run.

All three kernels share one plan. A few images at a time are copied, with their padding, into a buffer that stays in the
core's own cache; weights are packed into panels as wide as a tile; the micro-kernel then runs over the padded images.

    conv2d      dot_tile over taps
    conv2d_dx   dot_tile as well: at stride 1 a convolution of g with the flipped, transposed weights; stride s falls
                into s * s phases (the pixels with the same remainders), each of stride 1 with a part of the taps
    conv2d_dw   outer_tile over pixels, a private sum for each thread, added up in a fixed order
"""

import numpy as np

from tinyres_kernels import im2col
from tinyres_kernels.cpu import loops, strided, subpixel, winograd
from tinyres_kernels.cpu.host import TARGET, threads
from tinyres_kernels.cpu.memory import check_contiguous, flat, native, scratch
from tinyres_kernels.geometry import Pair, conv_axes
from tinyres_kernels.namespace import Array

IMAGES_BYTES = 1024 * 1024  # of images in and out that a thread works on at once: they and a panel stay in its cache


def _vectors(channels: int, lanes: int) -> int:
    """Vectors in a row of a tile: two, unless one holds all channels of a group."""
    return 1 if channels <= lanes else 2


def _pixels(width: int, height: int, vectors: int) -> tuple[tuple[int, ...], bool]:
    """Pixels in a tile and the smaller sizes for what is left; whether a tile covers two rows: whatever computes the
    fewest pixels twice."""
    sizes = loops.PIXELS[vectors]
    best, paired, cost = 1, False, 1e9
    for size in sizes:
        if size <= width:
            spent = -(-width // size) * size / width
            penalty = 1.0 + 1.5 / size  # larger tiles load less
            if spent * penalty < cost:
                best, paired, cost = size, False, spent * penalty
        elif size == 2 * width and height >= 2 and 1.0 + 1.5 / size < cost:
            best, paired, cost = size, True, 1.0 + 1.5 / size
    return (*(s for s in sizes if s <= best), *(1,) * len(sizes))[: len(sizes)], paired


def _batch(images: int, threads: int, bytes_each: int) -> int:
    """How many images a thread takes at a time: what fits its cache, and the same number of turns for all threads."""
    turns = -(-images // (threads * max(1, IMAGES_BYTES // bytes_each)))
    return -(-images // (threads * turns))


def _pieces(rows: int, columns: int, run: int) -> Pair:
    """How many rows of taps are summed at a time, and of a row how much of each of its `columns` runs."""
    if columns * run <= loops.SUM:
        return min(rows, loops.SUM // (columns * run)), run
    return 1, -(-run // -(-columns * run // loops.SUM))


def _panels(weights: Array, lanes: int) -> tuple[Array, int]:
    """(G, KH, KW, in, out) as panels (G, blocks, KH KW in, vectors * lanes), zeros beyond the last channel."""
    groups, kh, kw, inputs, outputs = weights.shape
    vectors = _vectors(outputs, lanes)
    wide = vectors * lanes
    panels = np.empty((groups, -(-outputs // wide), kh * kw * inputs, wide), weights.dtype)
    loops.pack(threads(32 * weights.size), weights, panels)  # memory work: a number costs as much as many products
    return panels, vectors


def _dot(
    x: Array,
    weights: Array,
    out: Array,
    grid: tuple[Pair, Pair, Pair],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    """out[grid] = the convolution of x with (G, KH, KW, in, out) weights; grid: first place, step, and count in out."""
    N, H, W, C = x.shape
    groups, KH, KW, CG, OG = weights.shape
    (first_h, first_w), (step_h, step_w), (OH, OW) = grid
    lanes = TARGET.lanes * 4 // x.itemsize
    panels, vectors = _panels(weights, lanes)
    sizes, paired = _pixels(OW, OH, vectors)
    count = threads(N * OH * OW * OG * groups * KH * KW * CG)
    blocks = max(1, min(OH // 2, -(-2 * count // N))) if 2 * count > N else 1  # few images: split their rows
    span = (-(-OH // blocks) - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    across = (OW - 1) * stride[1] + (KW - 1) * dilation[1] + 1
    image = span * across * C
    reach = (OH - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    direct = padding == (0, 0) and reach <= H and across <= W  # no window leaves the image, so no copy is needed
    batch = 1 if blocks > 1 else _batch(N, count, (image + OH * OW * OG * groups) * x.itemsize)
    buffers = scratch("images", x.dtype, 1 if direct else count * batch * image)
    in_row = vectors == 1 and KW == 3 and stride[1] == dilation[1] == 1 and OW >= loops.ROW
    merged = groups == 1 and dilation[1] == 1 and not in_row
    pieces = _pieces(KH, 1 if merged else KW, KW * CG if merged else CG)
    loops.dot(
        count, flat(x), panels.reshape(-1), out.reshape(-1), buffers,
        (N, H, W, C), (OH, OW, groups, OG), (KH, KW, CG), (*stride, *padding, *dilation),
        (first_h, first_w, step_h, step_w, out.shape[1], out.shape[2], out.shape[3]),
        (batch, blocks, span, across, *pieces), (vectors, vectors * lanes, paired, direct, merged, in_row), sizes,
    )  # fmt: skip


def conv2d(x: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d` as register tiles of pixels by channels. N OH OW KH KW C O / groups multiplications."""
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    check_contiguous(out)
    x, w = native(x), native(w)
    KH, KW, CG, O = w.shape
    if not x.size or not out.size:
        out.fill(0)
        return out
    if winograd.worthwhile(x, (KH, KW), (CG, O), stride, dilation, groups) and winograd.convolve(x, w, out, padding):
        return out
    wins = strided.worthwhile(out, (KH, KW), (CG, O), stride, padding, dilation, groups)
    if wins and strided.convolve(x, w, out, padding):
        return out
    weights = w.reshape(KH, KW, CG, groups, O // groups).transpose(3, 0, 1, 2, 4)
    _dot(x, weights, out, ((0, 0), (1, 1), (rows.out, cols.out)), stride, padding, dilation)
    return out


def conv2d_dx(g: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d_dx`, phase by phase; a stride together with a dilation goes to `im2col`."""
    rows, cols = conv_axes(out.shape, w.shape, g.shape, stride, padding, dilation, groups)
    if any(s > 1 and d > 1 for s, d in zip(stride, dilation, strict=True)):
        return im2col.conv2d_dx(g, w, out, stride=stride, padding=padding, dilation=dilation, groups=groups)
    check_contiguous(out)
    g, w = native(g), native(w)
    if not g.size or not out.size:
        out.fill(0)
        return out
    KH, KW, CG, O = w.shape
    if max(padding) <= 2 and winograd.worthwhile(g, (KH, KW), (O, CG), stride, dilation, groups):
        flipped = w[::-1, ::-1].transpose(0, 1, 3, 2)
        if winograd.convolve(g, flipped, out, (2 - padding[0], 2 - padding[1])):
            return out
    wins = strided.worthwhile(g, (KH, KW), (O, CG), stride, padding, dilation, groups)
    if wins and strided.image_gradient(g, w, out, padding):
        return out
    if subpixel.worthwhile(CG, g.itemsize, stride, dilation, groups) and subpixel.convolve(g, w, out, rows, cols, _dot):
        return out
    by_group = w.reshape(KH, KW, CG, groups, O // groups).transpose(3, 0, 1, 4, 2)  # (G, KH, KW, in, out)
    for a in range(stride[0]):
        for b in range(stride[1]):
            # Pixel i = s q + a is read through taps k with (a + p - k d) divisible by s: q + (a + p - k d) / s is the
            # output that reads it, which falls as k rises, so that the taps are taken in reverse.
            vertical = _phase(a, rows.size, KH, stride[0], padding[0], dilation[0])
            horizontal = _phase(b, cols.size, KW, stride[1], padding[1], dilation[1])
            (taps_h, pad_h, count_h), (taps_w, pad_w, count_w) = vertical, horizontal
            if not count_h or not count_w:
                continue
            if slice(0, 0) in (taps_h, taps_w):
                out[:, a :: stride[0], b :: stride[1]] = 0
                continue
            part = by_group[:, taps_h, taps_w]
            grid = ((a, b), stride, (count_h, count_w))
            _dot(g, part, out, grid, (1, 1), (pad_h, pad_w), dilation)
    return out


def _phase(first: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[slice, int, int]:
    """Along one axis: the taps of a phase in reverse, the padding that they need, and the number of pixels."""
    taps = [k for k in range(kernel) if (first + padding - k * dilation) % stride == 0]
    count = len(range(first, size, stride))
    if not taps:
        return slice(0, 0), 0, count
    step = taps[1] - taps[0] if len(taps) > 1 else 1
    stop = taps[0] - step
    return (
        slice(taps[-1], stop if stop >= 0 else None, -step),
        -((first + padding - taps[-1] * dilation) // stride),
        count,
    )


def conv2d_dw(x: Array, g: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d_dw` as register tiles of taps by channels, summed over pixels."""
    conv_axes(x.shape, out.shape, g.shape, stride, padding, dilation, groups)
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    KH, KW, CG, _ = out.shape
    OG = O // groups
    check_contiguous(out)
    x, g = native(x), native(g)
    if not x.size or not g.size:
        out.fill(0)
        return out
    wins = winograd.worthwhile(x, (KH, KW), (CG, O), stride, dilation, groups)
    if wins and winograd.weight_gradient(x, g, out, padding):
        return out
    wins = strided.worthwhile(g, (KH, KW), (CG, O), stride, padding, dilation, groups)
    if wins and strided.weight_gradient(x, g, out, padding):
        return out
    lanes = TARGET.lanes * 4 // x.itemsize
    vectors = _vectors(OG, lanes)
    taps = loops.TAPS[vectors]
    merged = groups == 1 and dilation[1] == 1
    run, columns = (KW * CG, 1) if merged else (CG, KW)
    in_row = 0  # how many rows of three taps next to each other are taken at a time
    if vectors == 1 and merged and KW == 3 and stride[1] == 1 and OW >= 2:
        in_row = 3 if TARGET.registers == 32 and (KH, CG) == (3, 3) else int(CG % loops.ROW_TAPS == 0)
    padded_run = run if in_row else -(-run // taps) * taps
    wide = vectors * lanes
    count = min(threads(N * OH * OW * O * KH * KW * CG), N)
    span = (OH - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    across = (OW - 1) * stride[1] + (KW - 1) * dilation[1] + 1
    image = span * across * C
    direct = padding == (0, 0) and padded_run == run  # else a tile may read past the last pixel
    batch = _batch(N, count, (image + g[0].size) * x.itemsize)
    private = groups * KH * columns * -(-OG // wide) * padded_run * wide
    share = 0 if direct else batch * image + padded_run
    buffers = scratch("images", x.dtype, count * (private + share))
    line = (W if direct else across) * C
    places = np.add.outer(np.arange(OH) * (stride[0] * line), np.arange(OW) * (stride[1] * C)).reshape(-1)
    loops.outer(
        count, flat(x), flat(g), out.reshape(-1), buffers, places,
        (N, H, W, C), (OH, OW, groups, OG), (KH, KW, CG), (*stride, *padding, *dilation),
        (batch, span, across, private, share), (vectors, wide, taps, columns, padded_run, direct, in_row),
    )  # fmt: skip
    return out
