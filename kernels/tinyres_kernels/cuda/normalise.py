"""The second half of batch norm and of its adjoint: every pixel by itself, once its channel's sums are known.

Memory sets the pace: a thread takes four channels at once, 16 bytes, where they come in fours, and several pixels of
them. What belongs to a channel is then read and computed once, and no division finds out which channel a number is of.
"""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

from tinyres_kernels.cuda.host import blocks, cuda, jit, kernel, lanes, real, wide
from tinyres_kernels.cuda.words import load4, store4
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array

TURNS = 4  # pixels of a thread
HIGHEST = 65535  # blocks of a grid one below another


@kernel("rrrrrrrsnn")
def normalise_kernel(real, width=1):
    """out = (x - mean) weight / deviation + bias, then the sum and the ReLU."""

    @jit
    def normalise_kernel(x, weight, bias, residual, out, mean, variance, eps, adds, relu):
        c = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) * width
        C, first = weight.size, cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
        centre, scale = cuda.local.array(width, real), cuda.local.array(width, real)
        shift, held, added = cuda.local.array(width, real), cuda.local.array(width, real), cuda.local.array(width, real)
        if c < C:
            for j in range(width):
                centre[j], shift[j] = mean[c + j], bias[c + j]
                scale[j] = weight[c + j] / real(sqrt(variance[c + j] + eps))
            for m in range(first, out.size // C, cuda.gridDim.y * cuda.blockDim.y):
                at = m * C + c
                if width == 4:
                    held[0], held[1], held[2], held[3] = load4(x, at)
                    if adds:
                        added[0], added[1], added[2], added[3] = load4(residual, at)
                else:
                    held[0] = x[at]
                    if adds:
                        added[0] = residual[at]
                for j in range(width):
                    value = (held[j] - centre[j]) * scale[j] + shift[j]
                    if adds:
                        value += added[j]
                    if relu and value <= real(0):  # a NaN is not, and stays
                        value = real(0)
                    held[j] = value
                if width == 4:
                    store4(out, at, held[0], held[1], held[2], held[3])
                else:
                    out[at] = held[0]

    return normalise_kernel


@kernel("rrrrrrrrrrrsnnnn")
def normalise_dx_kernel(real, width=1):
    """dx = weight / deviation (dresidual - mean of dresidual - h mean of dresidual h), the means in training only."""

    @jit
    def normalise_dx_kernel(
        g, x, y, weight, bias, mean, variance, dweight, dbias, out, dresidual, eps, training, relu, has_y, wanted
    ):
        c = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) * width
        C, first = weight.size, cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
        M = out.size // C
        centre, scale = cuda.local.array(width, real), cuda.local.array(width, real)
        factor, shift = cuda.local.array(width, real), cuda.local.array(width, real)
        total, along = cuda.local.array(width, real), cuda.local.array(width, real)
        passed, held, sign = cuda.local.array(width, real), cuda.local.array(width, real), cuda.local.array(width, real)
        if c < C:
            for j in range(width):
                centre[j], scale[j] = mean[c + j], real(1) / real(sqrt(variance[c + j] + eps))
                factor[j], shift[j] = weight[c + j], bias[c + j]
                total[j], along[j] = dbias[c + j] / real(M), dweight[c + j] / real(M)
            for m in range(first, M, cuda.gridDim.y * cuda.blockDim.y):
                at = m * C + c
                if width == 4:
                    passed[0], passed[1], passed[2], passed[3] = load4(g, at)
                    held[0], held[1], held[2], held[3] = load4(x, at)
                    if has_y:
                        sign[0], sign[1], sign[2], sign[3] = load4(y, at)
                else:
                    passed[0], held[0] = g[at], x[at]
                    if has_y:
                        sign[0] = y[at]
                for j in range(width):
                    h = (held[j] - centre[j]) * scale[j]
                    shown = sign[j] if has_y else h * factor[j] + shift[j]
                    if relu and not shown > real(0):
                        passed[j] = real(0)
                    own = total[j] + h * along[j] if training else real(0)
                    held[j] = factor[j] * scale[j] * (passed[j] - own)
                if width == 4:
                    store4(out, at, held[0], held[1], held[2], held[3])
                    if wanted:
                        store4(dresidual, at, passed[0], passed[1], passed[2], passed[3])
                else:
                    out[at] = held[0]
                    if wanted:
                        dresidual[at] = passed[0]

    return normalise_dx_kernel


def spread(make: Callable[..., Any], lines: Sequence[Array], channels: int) -> tuple[Any, Pair, Pair]:
    """One of the two kernels above for these lines, and its grid and block."""
    width = wide(*lines) if channels % 4 == 0 else 1
    across, down = lanes(channels // width)
    pixels = lines[0].size // channels
    grid = blocks(channels // width, across), min(blocks(pixels, down * TURNS), HIGHEST)
    return make(real(lines[0]), width), grid, (across, down)
