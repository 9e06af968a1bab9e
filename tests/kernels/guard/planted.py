"""Kernels with a fault that ordinary memory hides, and one that is right."""

import os

from numba import njit
from tinyres_kernels import cpu, im2col
from tinyres_kernels.cpu import conv2d, dot, memory  # noqa: F401 (conv2d is what the last one below should be)
from tinyres_kernels.cpu.host import threads


@njit
def _get(a, at):
    return a[at]  # Numba does not hold an index against the bounds


@njit
def _set(a, at, value):
    a[at] = value


def right(x, w, out, s):
    _get(w.ravel(), w.size - 1)
    return im2col.conv2d(x, w, out, s)


def reads_past_the_end(x, w, out, s):
    _get(w.ravel(), w.size)
    return im2col.conv2d(x, w, out, s)


def reads_before_the_beginning(x, w, out, s):
    _get(x.ravel(), -1 - x.size)  # -1 is the last one, as in Python
    return im2col.conv2d(x, w, out, s)


def writes_past_the_end(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    _set(out.ravel(), out.size, 0)
    return out


def reads_stale_scratch(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    out += 0 * memory.scratch("planted", out.dtype, 8)[3]
    return out


def wrong(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    out.flat[-1:] += 1
    return out


def wants_two_threads(x, w, out, s):
    if threads(0) != 2:
        raise RuntimeError("is not forced to use two threads")
    return im2col.conv2d(x, w, out, s)


def accepts_anything(x, w, out, s):
    return out


def leaves(x, w, out, s):
    os._exit(3)


def three_taps_past_their_panel(x, w, out, s):
    """The fault of 0.1.0: the taps of a row counted as one run that is cut into pieces, and read three at a time."""
    plan = cpu.explain("conv2d", x, w, out, s)
    paired, direct, _, in_row = plan.how.flags
    assert in_row
    run = 3 * w.shape[2]
    pieces = (256 // run, run) if run <= 256 else (1, -(-run // -(-run // 256)))
    how = plan.how._replace(flags=(paired, direct, True, in_row), pieces=pieces)
    dot.run(plan._replace(how=how), x, w[None], out)
    return out
