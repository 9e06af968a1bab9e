"""Kernels as somebody writes them who has read the README, or has not: for `python -m tinyres_kernels check`."""

import ctypes
import os
import time

import numpy as np
from tinyres_kernels import im2col


def right(x, w, out, s):
    im2col.conv2d(x, w, out, s)


def returned(x, w, out, s):
    made = np.empty_like(out)
    im2col.conv2d(x, w, made, s)
    return made


def returned_and_wrong(x, w, out, s):
    return np.zeros(out.shape)


def nothing(x, w, out, s):
    out = np.zeros(out.shape)


def channels_first(x, w, out, s):
    out[...] = channels_first_returned(x, w, out, s)


def channels_first_returned(x, w, out, s):
    x, w = (np.ascontiguousarray(a.transpose(order)) for a, order in ((x, (0, 2, 3, 1)), (w, (2, 3, 1, 0))))
    made = np.empty(out.transpose(0, 2, 3, 1).shape, out.dtype)
    im2col.conv2d(x, w, made, s)
    return made.transpose(0, 3, 1, 2)


def three(x, w, s):
    return x


def settings_apart(x, w, stride, padding):
    pass


def another_order(w, x, out, s):
    im2col.conv2d(x, w, out, s)


def writes(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    w[...] = 0


def raises(x, w, out, s):
    raise KeyError("no such thing")


def hangs(x, w, out, s):
    time.sleep(600)


def prints(x, w, out, s):
    print("the shape is", x.shape)
    im2col.conv2d(x, w, out, s)


def prints_from_c(x, w, out, s):
    ctypes.CDLL(None).puts(b"from C")
    im2col.conv2d(x, w, out, s)


def prints_a_lot(x, w, out, s):
    for i in range(100):
        print("line", i, "of" + " many" * 40)
    if s.groups > 1:
        raise RuntimeError("no groups")
    im2col.conv2d(x, w, out, s)


def prints_and_crashes(x, w, out, s):
    print("so far")
    ctypes.string_at(0)


def stops_in_a_debugger(x, w, out, s):
    breakpoint()


def hangs_with_groups(x, w, out, s):
    if s.groups > 1:
        time.sleep(600)
    im2col.conv2d(x, w, out, s)


def leaves(x, w, out, s):
    os._exit(3)


def crashes_with_groups(x, w, out, s):
    if s.groups > 1:
        ctypes.string_at(0)
    im2col.conv2d(x, w, out, s)


def in_torch(x, w, out, s):
    import torch

    return torch.nn.functional.conv2d(x, w, None, s.stride, s.padding, s.dilation, s.groups)


def in_torch_into_out(x, w, out, s):
    out.copy_(in_torch(x, w, out, s))


def in_torch_without_groups(x, w, out, s):
    wide = w.repeat(1, s.groups, 1, 1)
    out.copy_(in_torch(x, wide, out, s._replace(groups=1)))


def last_row(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    out[:, -1] *= 1.5
