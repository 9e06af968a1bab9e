"""conv2d_dx onto few channels: all phases of the stride at once.

A 4x4 kernel at stride 2 makes 2x2 pixels of 3 channels from each pixel of g: phase by phase, 3 of a vector's 16 lanes
would be in use. Here the phases are channels of one convolution at stride 1, whose kernel covers what any phase reads,
with zeros where a phase does not; its result is then dealt out to the pixels (Shi et al. 2016 [shi2016real], "Real-time
single image and video super-resolution using an efficient sub-pixel convolutional neural network"). A zero times NaN is
NaN: so whoever calls is told if something is not finite, and then takes the phases one by one.
"""

import numpy as np

from tinyres_kernels.cpu import dot
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.memory import scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Axis, Pair
from tinyres_kernels.namespace import Array


def taken(
    channels: int, itemsize: int, stride: Pair, dilation: Pair, groups: int, machine: Machine, choices: Choices
) -> bool:
    """Whether to go this way: where all phases fit into one vector."""
    many = stride[0] * stride[1]
    can = many > 1 and groups == 1 and dilation == (1, 1)
    return choices.take("subpixel", can, channels * many <= machine.lanes(itemsize))


def reach(axis: Axis) -> Pair:
    """The outputs that read the `stride` pixels from s q on are q + first, ..., q + last."""
    shifts = [phase + axis.padding - k for phase in range(axis.stride) for k in range(axis.kernel)]
    shifts = [shift // axis.stride for shift in shifts if shift % axis.stride == 0]
    return min(shifts), max(shifts)


def plan(
    g: tuple[int, ...], channels: int, axes: tuple[Axis, Axis], itemsize: int, machine: Machine, choices: Choices
) -> Plan:
    """For cotangents (N, OH, OW, O) of images with so many channels."""
    (top, bottom), (left, right) = map(reach, axes)
    many = axes[0].stride * axes[1].stride * channels
    count = (-(-axes[0].size // axes[0].stride), -(-axes[1].size // axes[1].stride))
    moves = dot.Moves(((0, 0), (1, 1), count), (1, 1), (-top, -left), (1, 1))
    weights = (1, bottom - top + 1, right - left + 1, g[3], many)
    return Plan("subpixel", parts=(dot.plan(g, weights, moves, itemsize, machine, choices),), how=axes)


def convolve(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    """out (N, H, W, C) = conv2d_dx(g, w); False where it is not finite."""
    N, _, _, C = out.shape
    rows, cols = plan.how
    (top, bottom), (left, right) = reach(rows), reach(cols)
    many = rows.stride, cols.stride
    weights = np.zeros((bottom - top + 1, right - left + 1, w.shape[3], *many, C), w.dtype)
    for a, b in np.ndindex(many):
        for kh in range((a + rows.padding) % many[0], rows.kernel, many[0]):
            for kw in range((b + cols.padding) % many[1], cols.kernel, many[1]):
                place = (a + rows.padding - kh) // many[0] - top, (b + cols.padding - kw) // many[1] - left
                weights[(*place, slice(None), a, b)] = w[kh, kw].T
    high, across = plan.parts[0].how.moves.grid[2]
    channels = many[0] * many[1] * C
    made = scratch("phases", g.dtype, N * high * across * channels).reshape(N, high, across, channels)
    dot.run(plan.parts[0], g, weights.reshape(1, *weights.shape[:3], channels), made)
    count = threads(8 * out.size)
    lost = np.zeros(count, np.bool_)
    parts, line = made.reshape(N, high, across, many[0], many[1] * C), out.reshape(N, out.shape[1], out.shape[2] * C)
    _deal(count, parts, line, lost)
    return not lost.any()


@kernel
def _deal(t, threads, made, out, lost):
    """out[n, q sh + a, p run + j] = made[n, q, p, a, j], where j runs through the sw pixels that lie in a row; at the
    end of a row of out there may be fewer. lost[t]: whether thread t saw something that is not finite."""
    N, H, _ = out.shape
    sh, run = made.shape[3:]
    odd = False
    for row in range(N * H * t // threads, N * H * (t + 1) // threads):
        n, h = row // H, row % H
        for p in range(made.shape[2]):
            source, target = made[n, h // sh, p, h % sh], out[n, h, p * run : p * run + run]
            for j in range(np.uintp(target.size)):
                value = source[j]
                target[j] = value
                odd |= value - value != 0
    lost[t] = odd
