"""Kernels with a fault that ordinary memory hides, and some that are right; compiled where that matters."""

import numpy as np
from numba import njit
from tinyres_kernels import cpu, im2col


@njit
def _read(a, at):
    return a.ravel()[at]  # Numba does not hold an index against the bounds


@njit
def _write(a, at):
    a.ravel()[at] = 0


def right(x, w, out, **settings):
    return cpu.conv2d(x, w, out, **settings)


def reads_past_the_end(x, w, out, **settings):
    _read(w, w.size)
    return im2col.conv2d(x, w, out, **settings)


def reads_before_the_beginning(x, w, out, **settings):
    _read(x, np.intp(-1 - x.size))  # Python counts -1 from the end, and this from beyond
    return im2col.conv2d(x, w, out, **settings)


def writes_past_the_end(x, w, out, **settings):
    im2col.conv2d(x, w, out, **settings)
    if out.shape[2] == 33:
        _write(out, out.size)
    return out


def wrong_at_width_33(x, w, out, **settings):
    im2col.conv2d(x, w, out, **settings)
    if out.shape[2] == 33:
        out[0, 0, 0, 0] += 1
    return out


def exits(x, w, out, **settings):
    raise SystemExit(3)
