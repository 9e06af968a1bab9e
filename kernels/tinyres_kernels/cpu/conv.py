"""Channels-last convolution on the SIMD micro-kernels: no im2col, no atomics, the same bits run after run.

Each of the three has a planner, which chooses the algorithm, and a table of algorithms:

    fast/        3x3 at stride 1 (winograd.py), 4x4 at stride 2 (strided.py), conv2d_dx onto few channels (subpixel.py)
    pointwise.py 1x1 onto many channels, as a product of matrices
    depthwise.py one channel per group, or a few
    dot.py       what is left, directly: conv2d, and conv2d_dx in phases. At stride 1 that is a convolution of g with
                 the flipped, transposed weights; stride s falls into s * s phases (the pixels with the same
                 remainders), each of stride 1 with a part of the taps
    outer.py     what is left of conv2d_dw

Those in fast/ cannot keep NaN and infinity where they belong. They report a result that is not finite, and then the
next algorithm runs.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

from tinyres_kernels.cpu import depthwise, dot, outer, pointwise, trial
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.fast import strided, subpixel, winograd
from tinyres_kernels.cpu.memory import native
from tinyres_kernels.cpu.plan import Machine, Plan, Shape, decide, planner
from tinyres_kernels.im2col.conv import conv2d_dx as im2col_conv2d_dx
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Conv

ZEROS, PHASES = "zeros", "phases"
Way = Callable[..., bool]  # (plan, ...) -> whether all that came out is finite, or in its place


class Phase(NamedTuple):
    """The pixels of an image whose rows and columns leave the same remainders; the taps that they read, in reverse."""

    places: tuple[slice, slice]
    taps: tuple[slice, slice]


@planner("conv2d")
def _conv2d(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Conv) -> Plan:
    x, w, out = shapes
    s.axes(x, w, out)
    stride, padding, dilation, groups = s
    KH, KW, CG, O = w
    if winograd.taken(x, (KH, KW), (CG, O), itemsize, stride, dilation, groups, choices):
        return winograd.plan(x[0], (out[1], out[2]), (CG, O), padding, machine, choices, summed=False)
    if strided.taken(out, (KH, KW), (CG, O), itemsize, stride, padding, dilation, groups, choices):
        return strided.plan(x, out, padding, machine, choices, turned=False)
    if pointwise.taken((KH, KW), (CG, O), itemsize, s, machine, choices, gathered=stride != (1, 1)):
        return pointwise.plan((prod(out[:3]), CG), (CG, O), stride, itemsize, machine, choices)
    if depthwise.taken(CG, O // groups, groups, machine.lanes(itemsize), choices):
        return depthwise.plan(x, out, w, s, itemsize, machine, choices)
    moves = dot.Moves(((0, 0), (1, 1), (out[1], out[2])), stride, padding, dilation)
    return dot.plan(x, (groups, KH, KW, CG, O // groups), moves, itemsize, machine, choices)


@planner("conv2d_dx")
def _conv2d_dx(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Conv) -> Plan:
    g, w, out = shapes
    axes = s.axes(out, w, g)
    stride, padding, dilation, groups = s
    KH, KW, CG, O = w
    if pointwise.taken((KH, KW), (O, CG), itemsize, s, machine, choices, gathered=False):
        return pointwise.plan((prod(g[:3]), O), (O, CG), stride, itemsize, machine, choices)
    if any(step > 1 and d > 1 for step, d in zip(stride, dilation, strict=True)):
        return Plan("im2col", ("stride and dilation",), how=s)
    turned = 2 - padding[0], 2 - padding[1]  # the padding of the convolution that this is
    if winograd.taken(g, (KH, KW), (O, CG), itemsize, stride, dilation, groups, choices, turned):
        return winograd.plan(g[0], (out[1], out[2]), (O, CG), turned, machine, choices, summed=False)
    if strided.taken(g, (KH, KW), (O, CG), itemsize, stride, padding, dilation, groups, choices):
        return strided.plan(g, out, padding, machine, choices, turned=True)
    if subpixel.taken(CG, itemsize, stride, dilation, groups, machine, choices):
        return subpixel.plan(g, CG, axes, itemsize, machine, choices)
    if depthwise.taken(CG, O // groups, groups, machine.lanes(itemsize), choices):
        return depthwise.plan(out, g, w, s, itemsize, machine, choices)
    phases, parts = [], []
    for a in range(min(stride[0], out[1])):
        for b in range(min(stride[1], out[2])):
            # Pixel i = s q + a is read through taps k with (a + p - k d) divisible by s: q + (a + p - k d) / s is the
            # output that reads it, which falls as k rises, so that the taps are taken in reverse.
            sides = [
                _phase(first, axis.size, axis.kernel, axis.stride, axis.padding, axis.dilation)
                for first, axis in zip((a, b), axes, strict=True)
            ]
            (taps_h, many_h, pad_h, count_h), (taps_w, many_w, pad_w, count_w) = sides
            phases.append(Phase((slice(a, None, stride[0]), slice(b, None, stride[1])), (taps_h, taps_w)))
            if not many_h or not many_w:
                parts.append(Plan(ZEROS))
                continue
            moves = dot.Moves(((a, b), stride, (count_h, count_w)), (1, 1), (pad_h, pad_w), dilation)
            weights = (groups, many_h, many_w, O // groups, CG)
            parts.append(dot.plan(g, weights, moves, itemsize, machine, choices))
    return Plan(PHASES, ("one",) if len(parts) == 1 else ("several",), how=tuple(phases), parts=tuple(parts))


def _phase(first: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[slice, int, int, int]:
    """Along one axis: the taps of a phase in reverse and their number, the padding that they need, and the number of
    pixels."""
    taps = [k for k in range(kernel) if (first + padding - k * dilation) % stride == 0]
    count = len(range(first, size, stride))
    if not taps:
        return slice(0, 0), 0, 0, count
    step = taps[1] - taps[0] if len(taps) > 1 else 1
    stop = taps[0] - step
    return (
        slice(taps[-1], stop if stop >= 0 else None, -step),
        len(taps),
        -((first + padding - taps[-1] * dilation) // stride),
        count,
    )


@planner("conv2d_dw")
def _conv2d_dw(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Conv) -> Plan:
    x, g, out = shapes
    s.axes(x, out, g)
    stride, padding, dilation, groups = s
    KH, KW, CG, O = out
    if winograd.taken(x, (KH, KW), (CG, O), itemsize, stride, dilation, groups, choices, summed=True):
        return winograd.plan(x[0], (g[1], g[2]), (CG, O), padding, machine, choices, summed=True)
    if strided.taken(g, (KH, KW), (CG, O), itemsize, stride, padding, dilation, groups, choices):
        return strided.plan_sums(x, g, padding, machine, choices)
    if pointwise.taken_for_sums((KH, KW), (CG, O), g, s, machine, choices):
        pixels = prod(g[:3])
        return pointwise.plan((CG, pixels), (pixels, O), stride, itemsize, machine, choices)
    if depthwise.taken(CG, O // groups, groups, machine.lanes(itemsize), choices):
        return depthwise.plan(x, g, out, s, itemsize, machine, choices, summed=True)
    return outer.plan(x, g, out, (stride, padding, dilation), groups, itemsize, machine, choices)


def _by_dot(plan: Plan, x: Array, w: Array, out: Array) -> bool:
    KH, KW, CG, O = w.shape
    groups = x.shape[3] // CG
    dot.run(plan, x, w.reshape(KH, KW, CG, groups, O // groups).transpose(3, 0, 1, 2, 4), out)
    return True


def _by_phases(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    KH, KW, CG, O = w.shape
    groups = out.shape[3] // CG
    by_group = w.reshape(KH, KW, CG, groups, O // groups).transpose(3, 0, 1, 4, 2)  # (G, KH, KW, in, out)
    for phase, part in zip(plan.how, plan.parts, strict=True):
        if part.way == ZEROS:
            out[:, *phase.places] = 0
        else:
            dot.run(part, g, by_group[:, *phase.taps], out)
    return True


def _by_im2col(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    im2col_conv2d_dx(g, w, out, plan.how)
    return True


def _by_outer(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    outer.run(plan, x, g, out)
    return True


def _flipped(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    return winograd.convolve(plan, g, w[::-1, ::-1].transpose(0, 1, 3, 2), out)


_CONV2D: Mapping[str, Way] = {
    "dot": _by_dot,
    "product": pointwise.convolve,
    "depthwise": depthwise.convolve,
    "winograd": winograd.convolve,
    "strided": strided.convolve,
}
_CONV2D_DX: Mapping[str, Way] = {
    PHASES: _by_phases,
    "product": pointwise.convolve_dx,
    "depthwise": depthwise.convolve_dx,
    "winograd": _flipped,
    "strided": strided.convolve,
    "subpixel": subpixel.convolve,
    "im2col": _by_im2col,
}
_CONV2D_DW: Mapping[str, Way] = {
    "outer": _by_outer,
    "product": pointwise.weight_gradient,
    "depthwise": depthwise.weight_gradient,
    "winograd": winograd.weight_gradient,
    "strided": strided.weight_gradient,
}


def _go(op: str, ways: Mapping[str, Way], a: Array, b: Array, out: Array, s: Conv) -> None:
    """The way that is planned, or that a trial finds; and while what comes out is not finite, the next."""
    a, b = native(a), native(b)
    shapes = a.shape, b.shape, out.shape
    trial.settle(op, shapes, a.itemsize, s, lambda plan: ways[plan.way](plan, a, b, out))
    plan = decide(op, shapes, a.itemsize, s)
    tried: tuple[str, ...] = ()
    while not ways[plan.way](plan, a, b, out):
        tried += (plan.way,)
        plan = decide(op, shapes, a.itemsize, s, *tried)


def conv2d(x: Array, w: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d` as register tiles of pixels by channels. N OH OW KH KW C O / groups multiplications."""
    _go("conv2d", _CONV2D, x, w, out, s)


def conv2d_dx(g: Array, w: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d_dx`, phase by phase; a stride together with a dilation goes to `im2col`."""
    _go("conv2d_dx", _CONV2D_DX, g, w, out, s)


def conv2d_dw(x: Array, g: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d_dw` as register tiles of taps by channels, summed over pixels."""
    _go("conv2d_dw", _CONV2D_DW, x, g, out, s)
