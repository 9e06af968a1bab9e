"""Kernels with the faults that everybody's first kernel has: eight of a convolution, others of pools and norms."""

import numpy as np
from tinyres_kernels import im2col
from tinyres_kernels.geometry import extent

from tests.kernels.conformance.faulty import (
    added_to_what_was_there,
    bent,
    dilation_ignored,
    groups_mixed,
    rewritten,
)


def stride_of_the_columns_ignored(op):
    columns = iter(())

    def bend(axis):  # rows and columns are bent in turn
        nonlocal columns
        turn = next(columns, None)
        if turn is None:
            columns = iter([True])
            return axis
        return axis._replace(stride=1)

    return bent(op, bend)


def padding_one_too_small(op):
    return bent(op, lambda axis: axis._replace(padding=max(axis.padding - 1, 0)))


def turned_round(x, w, out, s):
    im2col.conv2d(x, np.ascontiguousarray(w[::-1, ::-1]), out, s)


def tail_of_the_channels_dropped(op):
    def write(out, right):
        whole = out.shape[-1] // 8 * 8 if out.shape[-1] >= 8 else out.shape[-1]
        out[..., :whole] = right[..., :whole]

    return rewritten(op, write)


def last_row_wrong_where_the_stride_leaves_some_over(op):
    def kernel(*arguments):
        getattr(im2col, op)(*arguments)
        x, out, s = arguments[0], arguments[2 if op == "conv2d" else 1], arguments[-1]
        taps = arguments[1].shape[0] if op == "conv2d" else s.kernel[0]
        if (x.shape[1] + 2 * s.padding[0] - extent(taps, s.dilation[0])) % s.stride[0]:
            out[:, -1] = 0

    return kernel


def padding_of_zeros(x, out, index, s):
    (rows, columns) = s.padding
    wider = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    im2col.max_pool2d(wider, out, index, s._replace(padding=(0, 0)))


def training_always(x, weight, bias, residual, out, mean, variance, running, s):
    if not s.training:
        mean, variance = np.empty_like(mean), np.empty_like(variance)
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s._replace(training=True))


# The operation, the kernel; the kind, as it must be named, and what else the first screen must say.
FAULTS = {
    "conv2d: stride ignored on one axis": (
        "conv2d",
        stride_of_the_columns_ignored("conv2d"),
        "stride > 1 of the columns: gives wrong numbers",
        "It ignores the stride of the columns",
    ),
    "conv2d: padding off by one": (
        "conv2d",
        padding_one_too_small("conv2d"),
        "padding > 0: gives wrong numbers",
        "one pixel too late: the padding is one too small",
    ),
    "conv2d: dilation ignored": (
        "conv2d",
        bent("conv2d", dilation_ignored),
        "dilation > 1: gives wrong numbers",
        "It ignores the dilation",
    ),
    "conv2d: groups mixed": (
        "conv2d",
        groups_mixed("conv2d"),
        "groups > 1: gives wrong numbers",
        "the channels of the first group for every group",
    ),
    "conv2d: weights turned round": (
        "conv2d",
        turned_round,
        "a kernel of several taps: gives wrong numbers",
        "It turns the weights round",
    ),
    "conv2d: tail dropped": (
        "conv2d",
        tail_of_the_channels_dropped("conv2d"),
        "a tail: o of out is no multiple of 8: leaves elements unwritten",
        "1 of 9 elements still hold",
    ),
    "conv2d: out not cleared": (
        "conv2d",
        rewritten("conv2d", added_to_what_was_there),
        "every case: adds to what a result held before",
        "added to, not set?",
    ),
    "conv2d: last row": (
        "conv2d",
        last_row_wrong_where_the_stride_leaves_some_over("conv2d"),
        "a stride that leaves rows over (it does not divide size + 2 padding - extent)",
        "1 of 2 elements are wrong",
    ),
    "max_pool2d: stride ignored on one axis": (
        "max_pool2d",
        stride_of_the_columns_ignored("max_pool2d"),
        "stride > 1 of the columns: gives wrong numbers",
        "It ignores the stride of the columns",
    ),
    "avg_pool2d: padding off by one": (
        "avg_pool2d",
        padding_one_too_small("avg_pool2d"),
        "padding > 0: gives wrong numbers",
        "one pixel too late: the padding is one too small",
    ),
    "max_pool2d: dilation ignored": (
        "max_pool2d",
        bent("max_pool2d", dilation_ignored),
        "dilation > 1: gives wrong numbers",
        "It ignores the dilation",
    ),
    "max_pool2d: padding of zeros": (
        "max_pool2d",
        padding_of_zeros,
        "padding > 0: gives wrong numbers",
        "It takes the padding to be zeros",
    ),
    "avg_pool2d: tail dropped": (
        "avg_pool2d",
        tail_of_the_channels_dropped("avg_pool2d"),
        "a tail: c of out is no multiple of 8: leaves elements unwritten",
        "1 of 9 elements still hold",
    ),
    "avg_pool2d: last row": (
        "avg_pool2d",
        last_row_wrong_where_the_stride_leaves_some_over("avg_pool2d"),
        "a stride that leaves rows over (it does not divide size + 2 padding - extent)",
        "1 of 2 elements are wrong",
    ),
    "batch_norm: tail dropped": (
        "batch_norm",
        tail_of_the_channels_dropped("batch_norm"),
        "a tail: c of out is no multiple of 8: leaves elements unwritten",
        "elements still hold",
    ),
    "batch_norm: out not cleared": (
        "batch_norm",
        rewritten("batch_norm", added_to_what_was_there),
        "every case: adds to what a result held before",
        "added to, not set?",
    ),
    "batch_norm: training in evaluation": (
        "batch_norm",
        training_always,
        "training=False: gives wrong numbers",
        "elements are wrong",
    ),
    "batch_norm: no residual": (
        "batch_norm",
        lambda *given: im2col.batch_norm(*given[:3], None, *given[4:]),
        "a residual",
        "elements are wrong",
    ),
}
