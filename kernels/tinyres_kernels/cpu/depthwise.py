"""Depthwise convolutions: a group a channel, so that lanes are channels, and images and weights are read as they lie.

A row of the result is taken in tiles of pixels all of whose taps lie in the image; at the ends of a row pixel by pixel,
with the taps that do. Nothing is copied, and no zero of the padding is multiplied.
"""

from typing import NamedTuple

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.depthwise_tiles import depth_sums, depth_tile
from tinyres_kernels.cpu.dot import Moves
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.loops import inside, places_inside
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array

COST = 4  # multiplications that a product is worth here, where each waits for a number from memory
_T8, _T4, _T1 = depth_tile(8, 1), depth_tile(4, 2), depth_tile(1, 4)
_S3, _S1 = depth_sums(3, 2), depth_sums(1, 4)


class Depth(NamedTuple):
    """The numbers that `_weight_gradient` is handed."""

    moves: tuple[Pair, Pair, Pair]  # stride, padding, dilation
    band: int  # rows of the result at a time


def taken(inputs: int, outputs: int, groups: int, choices: Choices) -> bool:
    """Whether to go this way, for so many channels of a group."""
    return choices.take("depthwise", groups > 1 and inputs == outputs == 1)


def _ends(channels: int, lanes: int, width: int, inner: int) -> tuple[str, ...]:
    return (
        "a tail of channels" if channels % lanes else "",
        "several vectors" if channels > lanes else "",
        "no inner pixel" if inner <= 0 else "ends of rows" if inner < width else "",
        "a tile that overlaps" if inner > 4 and inner % 8 else "",
    )


def _inner(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many windows along an axis lie in the image."""
    first, _ = places_inside(-padding, stride, out, size)
    _, end = places_inside((kernel - 1) * dilation - padding, stride, out, size)
    return end - first


def plan(
    x: tuple[int, ...], weights: tuple[int, ...], moves: Moves, itemsize: int, machine: Machine, choices: Choices
) -> Plan:
    """For images (N, H, W, C) and (C, KH, KW, 1, 1) weights."""
    N, _, W, C = x
    _, KH, KW, _, _ = weights
    OH, OW = moves.grid[2]
    inner = _inner(W, OW, KW, moves.stride[1], moves.padding[1], moves.dilation[1])
    ends = _ends(C, machine.lanes(itemsize), OW, inner)
    count = machine.threads_for(COST * N * OH * OW * C * KH * KW, choices)
    return Plan("depthwise", threads=count, how=moves, ends=ends)


def run(plan: Plan, x: Array, weights: Array, out: Array) -> None:
    """out[grid] = the convolution of x with (C, KH, KW, 1, 1) weights."""
    (first, step, count), stride, padding, dilation = plan.how
    taps = np.ascontiguousarray(weights[..., 0, 0].transpose(1, 2, 0))
    _convolve(
        plan.threads, flat(x), taps.reshape(-1), out.reshape(-1), x.shape, count, taps.shape[:2],
        (*stride, *padding, *dilation), (*first, *step, *out.shape[1:3]),
    )  # fmt: skip


def plan_sums(
    x: tuple[int, ...],
    g: tuple[int, ...],
    kernel: Pair,
    moves: tuple[Pair, Pair, Pair],
    itemsize: int,
    machine: Machine,
    choices: Choices,
) -> Plan:
    """dw, for images (N, H, W, C) and cotangents (N, OH, OW, C)."""
    N, _, W, C = x
    _, OH, OW, _ = g
    stride, padding, dilation = moves
    line = (stride[0] * W + OW) * C * itemsize
    band = min(OH, max(1, int(choices.limit("images_bytes")) // line))
    count = min(machine.threads_for(COST * N * OH * OW * C * kernel[0] * kernel[1], choices), N * -(-OH // band))
    inner = _inner(W, OW, kernel[1], stride[1], padding[1], dilation[1])
    ends = (
        *_ends(C, machine.lanes(itemsize), OW, inner),
        "several bands" if band < OH else "",
        "a last band that is lower" if OH % band else "",
        "three taps at a time" if kernel[1] >= 3 else "",
        "single taps" if kernel[1] % 3 else "",
    )
    return Plan("depthwise", threads=count, how=Depth(moves, band), ends=ends)


def weight_gradient(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    """out (KH, KW, 1, C) = the sum over pixels of x times g, a share of the bands for each thread."""
    how: Depth = plan.how
    sums = scratch("images", x.dtype, plan.threads * out.size).reshape(plan.threads, -1)
    moves = tuple(number for pair in how.moves for number in pair)
    _weight_gradient(plan.threads, flat(x), flat(g), sums, x.shape, g.shape, out.shape[:2], moves, how.band)
    np.add.reduce(sums, axis=0, out=out.reshape(-1))
    return True


@kernel
def _convolve(t, threads, x, w, out, image, result, weight, moves, grid):
    N, H, W, C = image
    OH, OW = result
    KH, KW = weight
    sh, sw, ph, pw, dh, dw = moves
    first_h, first_w, step_h, step_w, full_h, full_w = grid
    low, _ = inside(-pw, sw, OW, W)  # the windows of a row all of whose taps lie in the image
    _, high = inside((KW - 1) * dw - pw, sw, OW, W)
    x_step, o_step = sw * C, step_w * C
    for line in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, oh = line // OH, line % OH
        top = oh * sh - ph
        kh, end_h = inside(top, dh, KH, H)
        x_line = (n * H + top + kh * dh) * W * C
        o_line = ((n * full_h + first_h + oh * step_h) * full_w + first_w) * C
        ow = 0
        while ow < OW:
            left = high - ow
            if ow >= low and left > 4 and high - low >= 8:
                ow = min(ow, high - 8)  # the last tile may overlap the one before
                _T8(x, x_line + (ow * sw - pw) * C, x_step, end_h - kh, dh * W * C, KW, dw * C,
                    w, kh * KW * C, KW * C, C, out, o_line + ow * o_step, o_step, C)  # fmt: skip
                ow += 8
            elif ow >= low and left > 0 and high - low >= 4:
                ow = min(ow, high - 4)
                _T4(x, x_line + (ow * sw - pw) * C, x_step, end_h - kh, dh * W * C, KW, dw * C,
                    w, kh * KW * C, KW * C, C, out, o_line + ow * o_step, o_step, C)  # fmt: skip
                ow += 4
            else:
                corner = ow * sw - pw
                kw, end_w = inside(corner, dw, KW, W)
                _T1(x, x_line + (corner + kw * dw) * C, x_step, end_h - kh, dh * W * C, end_w - kw, dw * C,
                    w, (kh * KW + kw) * C, KW * C, C, out, o_line + ow * o_step, o_step, C)  # fmt: skip
                ow += 1


@kernel
def _weight_gradient(t, threads, x, g, sums, image, result, weight, moves, band):
    N, H, W, C = image
    _, OH, OW, _ = result
    KH, KW = weight
    sh, sw, ph, pw, dh, dw = moves
    bands = (OH + band - 1) // band
    x_row, x_step, x_col, g_row = sh * W * C, sw * C, dw * C, OW * C
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
                        g, g_line + low * C, g_row, C, line, own + (kh * KW + kw) * C, C, C)  # fmt: skip
                else:
                    high = low  # each tap by itself
                for k in range(kw, kw + many):
                    first, end = inside(k * dw - pw, sw, OW, W)
                    for a, e in ((first, min(end, low)), (max(first, high), end)):
                        if e > a:
                            _S1(end_h - first_h, e - a, x, x_line + (a * sw - pw + k * dw) * C, x_row, x_step, x_col,
                                g, g_line + a * C, g_row, C, line, own + (kh * KW + k) * C, C, C)  # fmt: skip
                kw += many
