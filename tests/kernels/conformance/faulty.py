"""Kernels with a fault, made from the right ones; and cases to examine them with."""

import numpy as np
from tinyres_kernels import conformance, im2col, reference
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import examine

CONVOLUTIONS = ["conv2d", "conv2d_dx", "conv2d_dw"]
WINDOWS = [*CONVOLUTIONS, "max_pool2d", "max_pool2d_dx", "max_pool2d_take", "avg_pool2d", "avg_pool2d_dx"]
DILATED = [op for op in WINDOWS if not op.startswith("avg")]


def bent(op, bend):
    """The specification of `op` with both of its axes bent. They know which pixels exist, so it never crashes."""

    body = getattr(reference.conv if op.startswith("conv") else reference.pool, op)

    def kernel(*arguments):
        *arrays, s = arguments
        bent_axes = {"axes": lambda self, *shapes: [bend(axis) for axis in s.axes(*shapes)]}
        body(*arrays, type("Bent", (type(s),), bent_axes)(*s))

    return kernel


def rewritten(op, write):
    """`op` done right, and then brought into `out` by `write(out, right)`."""

    def kernel(*arguments):
        place = OUT[op]
        right = np.empty_like(arguments[place])
        getattr(im2col, op)(*arguments[:place], right, *arguments[place + 1 :])
        write(arguments[place], right)

    return kernel


OUT = {op: declared.order.index("out") for op, declared in conformance.OPS.items()}


def padding_on_one_side(axis):
    return axis._replace(padding=2 * axis.padding)


def stride_off_by_one(axis):
    return axis._replace(stride=axis.stride + (axis.stride > 1))


def dilation_ignored(axis):
    return axis._replace(dilation=1)


def last_tile_dropped(out, right):
    out[...] = 0
    whole = out.shape[2] // 4 * 4
    out[:, :, :whole] = right[:, :, :whole]


def last_tile_forgotten(out, right):
    whole = out.shape[-1] // 4 * 4
    out[..., :whole] = right[..., :whole]


def tiles_added_where_they_overlap(out, right):
    out[...] = 0
    width = out.shape[2]
    for start in range(0, width, 4):
        tile = slice(max(0, min(start, width - 4)), start + 4)
        out[:, :, tile] += right[:, :, tile]  # of columns; of a weight gradient's channels


def added_to_what_was_there(out, right):
    out += right


def groups_mixed(op):
    def kernel(first, second, out, s):
        own = first[..., : first.shape[-1] // s.groups]
        getattr(im2col, op)(np.concatenate([own] * s.groups, -1), second, out, s)

    return kernel


def plain(op="conv2d", **more):
    declared = conformance.OPS[op]
    return Case(declared, "plain", {**declared.family.plain, **more})


def faults(kernel, case):
    return " | ".join(examine(kernel, case).faults)


def around(before=None, after=None):
    """`conv2d` with something done to its arrays before or after."""

    def kernel(x, w, out, s):
        if before:
            before(x, out)
        im2col.conv2d(x, w, out, s)
        if after:
            after(x, out)

    return kernel


def whole_buffer(out):
    return out.base if out.base.ndim == 1 else out.base.base
