"""Depthwise convolutions, and others whose groups are smaller than a vector: lanes are channels; images and weights
are read in place.

A row of the result is taken in tiles of pixels all of whose taps lie in the image; at the ends of a row pixel by pixel,
with the taps that do. Nothing is copied, and no zero of the padding is multiplied.
"""

from typing import NamedTuple

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.depthwise_tiles import depth_sums, depth_tile
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.jit import compiled, kernel
from tinyres_kernels.cpu.loops import inside, places_inside
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan, Shape
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Conv

COST = 4  # multiplications that a product is worth here, where each waits for a number from memory
_T8, _T4, _T1 = depth_tile(8, TARGET.registers // 16), depth_tile(4, 2), depth_tile(1, 4)
_S3, _S1 = depth_sums(3, 2), depth_sums(1, 4)


class Depth(NamedTuple):
    """The numbers that the loops are handed."""

    moves: tuple[int, ...]  # stride, padding, dilation, of rows and of columns
    band: int = 0  # dw: rows of the result at a time


def taken(inputs: int, outputs: int, groups: int, lanes: int, choices: Choices) -> bool:
    """Whether to go this way, for so many channels of a group."""
    return choices.take("depthwise", groups > 1 and inputs == outputs and inputs < lanes and lanes % inputs == 0)


def plan(
    x: Shape, g: Shape, w: Shape, s: Conv, itemsize: int, machine: Machine, choices: Choices, summed: bool = False
) -> Plan:
    """For images (N, H, W, C) and results (N, OH, OW, C); summed: dw."""
    N, _, W, C = x
    _, OH, OW, _ = g
    KH, KW, size, _ = w
    bytes_a_row = (s.stride[0] * W + OW) * C * itemsize
    fits, exact = int(choices.limit("images_bytes")) // bytes_a_row, int(choices.limit("pixels")) // OW
    band = min(OH, max(1, min(fits, exact)))
    count = machine.threads_for(COST * N * OH * OW * C * KH * KW * size, choices)
    first, _ = places_inside(-s.padding[1], s.stride[1], OW, W)
    _, end = places_inside((KW - 1) * s.dilation[1] - s.padding[1], s.stride[1], OW, W)
    inner = end - first
    ends: tuple[str, ...] = (
        "a tail of channels" if C % machine.lanes(itemsize) else "",
        "several vectors" if machine.lanes(itemsize) < C else "",
        "no inner pixel" if inner <= 0 else "ends of rows" if inner < OW else "",
        "a tile that overlaps" if inner > 4 and inner % 8 else "",
    )
    moves = (*s.stride, *s.padding, *s.dilation)
    traits = () if size == 1 else (f"groups of {size}",)
    if not summed:
        return Plan("depthwise", traits, count, Depth(moves), ends=ends)
    ends += (
        "several bands" if band < OH else "",
        "a last band that is lower" if OH % band else "",
        "three taps at a time" if KW >= 3 else "",
        "single taps" if KW % 3 else "",
    )
    return Plan("depthwise", traits, min(count, N * -(-OH // band)), Depth(moves, band), ends=ends)


def convolve(plan: Plan, x: Array, w: Array, out: Array) -> bool:
    """out (N, OH, OW, C) = conv2d(x, w)."""
    KH, KW, size, _ = w.shape
    _convolve(
        plan.threads, flat(x), flat(w), out.reshape(-1), x.shape, out.shape, (KH, KW), plan.how.moves, (0,) * size
    )
    return True


def convolve_dx(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    """out (N, H, W, C) = conv2d_dx(g, w)."""
    KH, KW, size, _ = w.shape
    turned = w.reshape(KH, KW, size, -1, size).transpose(0, 1, 4, 3, 2)  # inputs of a group for its outputs
    _convolve_dx(
        plan.threads, flat(g), flat(turned), out.reshape(-1), out.shape, g.shape, (KH, KW), plan.how.moves, (0,) * size
    )
    return True


def weight_gradient(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    """out (KH, KW, size, C) = the sum over pixels of x times g, a share of the bands for each thread."""
    how: Depth = plan.how
    sums = scratch("images", x.dtype, plan.threads * out.size).reshape(plan.threads, -1)
    KH, KW, size, _ = out.shape
    _weight_gradient(plan.threads, flat(x), flat(g), sums, x.shape, g.shape, (KH, KW), how.moves, how.band, (0,) * size)
    np.add.reduce(sums, axis=0, out=out.reshape(-1))
    return True


@compiled
def _taps(place, hop, count, size):
    """Which of the taps place, place + hop, ... lie in 0 ... size - 1: the first, and the end."""
    if hop > 0:
        return inside(place, hop, count, size)
    return inside(size - 1 - place, -hop, count, size)


@compiled
def _row(pixels, place, along, width, x, x_line, rows, x_row, columns, hop, w, w_line, w_row, w_col,
         out, o_line, o_step, C, group):  # fmt: skip
    """A row of pixels. Taps of pixel p lie at place + p along + k hop, k < columns, in a line of `width` pixels."""
    low, high = 0, pixels  # where all taps lie in the line
    if columns > 0:
        first, first_end = inside(place, along, pixels, width)
        last, last_end = inside(place + (columns - 1) * hop, along, pixels, width)
        low, high = max(first, last), min(first_end, last_end)
    p = 0
    while p < pixels:
        if p >= low and high - p > 4 and high - low >= 8:
            p = min(p, high - 8)  # the last tile may overlap the one before
            _T8(x, x_line + (place + p * along) * C, along * C, rows, x_row, columns, hop * C,
                w, w_line, w_row, w_col, out, o_line + p * o_step, o_step, C, group)  # fmt: skip
            p += 8
        elif p >= low and high - p > 0 and high - low >= 4:
            p = min(p, high - 4)
            _T4(x, x_line + (place + p * along) * C, along * C, rows, x_row, columns, hop * C,
                w, w_line, w_row, w_col, out, o_line + p * o_step, o_step, C, group)  # fmt: skip
            p += 4
        else:
            first, end = _taps(place + p * along, hop, columns, width)
            _T1(x, x_line + (place + p * along + first * hop) * C, along * C, rows, x_row, end - first, hop * C,
                w, w_line + first * w_col, w_row, w_col, out, o_line + p * o_step, o_step, C, group)  # fmt: skip
            p += 1


@kernel
def _convolve(t, threads, x, w, out, image, result, weight, moves, group):
    N, H, W, C = image
    _, OH, OW, _ = result
    KH, KW = weight
    sh, sw, ph, pw, dh, dw = moves
    w_row, w_col = KW * len(group) * C, len(group) * C
    for line in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, oh = line // OH, line % OH
        top = oh * sh - ph
        kh, end = inside(top, dh, KH, H)
        x_line, w_line = (n * H + top + kh * dh) * W * C, kh * w_row
        if sw == 1:  # the same in a number that LLVM knows, which leaves it registers: a quarter faster
            _row(OW, -pw, 1, W, x, x_line, end - kh, dh * W * C, KW, dw, w, w_line, w_row, w_col,
                 out, line * OW * C, C, C, group)  # fmt: skip
        else:
            _row(OW, -pw, sw, W, x, x_line, end - kh, dh * W * C, KW, dw, w, w_line, w_row, w_col,
                 out, line * OW * C, C, C, group)  # fmt: skip


@kernel
def _convolve_dx(t, threads, g, w, out, image, result, weight, moves, group):
    """Pixel i is read through the taps k with (i + p - k d) divisible by s, which are `s` apart: stride or dilation
    is 1. The first of them is that of window (i + p - k d) / s; the windows of the others lie d before each other."""
    N, H, W, C = image
    _, OH, OW, _ = result
    KH, KW = weight
    sh, sw, ph, pw, dh, dw = moves
    w_row, w_col = KW * len(group) * C, len(group) * C
    for line in range(N * H * t // threads, N * H * (t + 1) // threads):
        n, h = line // H, line % H
        tap = (h + ph) % sh
        oh = (h + ph) // sh
        first, end = _taps(oh, -dh, (KH - tap + sh - 1) // sh, OH)
        g_line, w_line = (n * OH + oh - first * dh) * OW * C, (tap + first * sh) * w_row
        for b in range(min(sw, W)):
            kw = (b + pw) % sw
            _row((W - b + sw - 1) // sw, (b + pw) // sw, 1, OW, g, g_line, end - first, -dh * OW * C,
                 max(0, (KW - kw + sw - 1) // sw), -dw, w, w_line + kw * w_col, sh * w_row, sw * w_col,
                 out, (line * W + b) * C, sw * C, C, group)  # fmt: skip


@kernel
def _weight_gradient(t, threads, x, g, sums, image, result, weight, moves, band, group):
    N, H, W, C = image
    _, OH, OW, _ = result
    KH, KW = weight
    sh, sw, ph, pw, dh, dw = moves
    bands = (OH + band - 1) // band
    x_row, x_step, x_col, g_row, tap = sh * W * C, sw * C, dw * C, OW * C, len(group) * C
    for j in range(sums.shape[1]):
        sums[t, j] = 0
    line, own = sums.reshape(-1), t * sums.shape[1]
    for item in range(N * bands * t // threads, N * bands * (t + 1) // threads):
        n, begin = item // bands, item % bands * band
        for kh in range(KH):
            first_h, end_h = inside(kh * dh - ph, sh, OH, H)
            first_h, end_h = max(first_h, begin), min(end_h, begin + band)
            x_line = (n * H + first_h * sh - ph + kh * dh) * W * C
            g_line = (n * OH + first_h) * OW * C
            kw = 0
            while kw < KW and end_h > first_h:
                many = 3 if kw + 3 <= KW else 1
                low, _ = inside(kw * dw - pw, sw, OW, W)
                _, high = inside((kw + many - 1) * dw - pw, sw, OW, W)
                if many == 3 and high > low:
                    _S3(end_h - first_h, high - low, x, x_line + (low * sw - pw + kw * dw) * C, x_row, x_step, x_col,
                        g, g_line + low * C, g_row, C, line, own + (kh * KW + kw) * tap, tap, C, group)  # fmt: skip
                else:
                    high = low  # each tap by itself
                for k in range(kw, kw + many):
                    first, end = inside(k * dw - pw, sw, OW, W)
                    for a, e in ((first, min(end, low)), (max(first, high), end)):
                        if e > a:
                            x_at = x_line + (a * sw - pw + k * dw) * C
                            _S1(end_h - first_h, e - a, x, x_at, x_row, x_step, x_col, g, g_line + a * C, g_row, C,
                                line, own + (kh * KW + k) * tap, tap, C, group)  # fmt: skip
                kw += many
