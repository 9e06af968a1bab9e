"""Kernels with faults that the usual cases do not show, and the kind that `check` has to name."""

import numpy as np
from tinyres_kernels import im2col
from tinyres_kernels.contract import OPERATIONS


def where(op, holds, change=None):
    """`op` done right, and then changed where `holds(arrays, s)`."""
    names = OPERATIONS[op].arrays

    def kernel(*given):
        getattr(im2col, op)(*given)
        arrays = dict(zip(names, given, strict=False))
        if holds(arrays, given[-1]):
            (change or _one_more)(arrays["out"])

    return kernel


def _one_more(out):
    out += 1


def _last_column_zero(out):
    out[:, :, -1] = 0


def trusting_the_last_stride(a, b, out):
    """It looks at the stride of the columns alone."""
    packed = [
        np.lib.stride_tricks.as_strided(m, m.shape, (m.shape[1] * m.itemsize, m.itemsize))
        if m.strides[1] == m.itemsize
        else m
        for m in (a, b)
    ]
    im2col.matmul(*packed, out)


def remembering_results():
    known = {}

    def kernel(a, b, out):
        key = a.shape, b.shape, a.dtype
        if key not in known:
            im2col.matmul(a, b, out)
            known[key] = out.copy()
        out[...] = known[key]

    return kernel


def one_block(op):
    """As of a GPU's kernel that is launched with a single block of 1024 threads."""
    place = OPERATIONS[op].arrays.index("out")

    def kernel(*given):
        out = given[place]
        before = out.copy()
        getattr(im2col, op)(*given)
        out.reshape(-1)[1024:] = before.reshape(-1)[1024:]

    return kernel


def turned_where_square(a, b, out):
    im2col.matmul(a, np.ascontiguousarray(b.T) if b.shape[0] == b.shape[1] else b, out)


def last_of_equal(x, out, index, s):
    (H, W), (KH, KW) = x.shape[1:3], s.kernel
    out[...] = np.nan
    index[...] = -1
    for a, b in np.ndindex(KH, KW):
        rows = np.arange(out.shape[1]) * s.stride[0] - s.padding[0] + a * s.dilation[0]
        columns = np.arange(out.shape[2]) * s.stride[1] - s.padding[1] + b * s.dilation[1]
        there = ((rows >= 0) & (rows < H))[:, None] & ((columns >= 0) & (columns < W))
        seen = x[:, rows.clip(0, H - 1)[:, None], columns.clip(0, W - 1)]
        wins = (
            there[None, :, :, None] & ((index < 0) | (seen >= out) | np.isnan(seen)) & ~((index >= 0) & np.isnan(out))
        )
        out[wins], index[wins] = seen[wins], a * KW + b


def no_variance_of_one_pixel(x, weight, bias, residual, out, mean, variance, running, s):
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
    if s.training and len(x) == 1:
        variance[...] = 1


# The operation, the kernel, the kind's name, and what is said of it.
RARER = {
    "stride 3": ("conv2d", where("conv2d", lambda a, s: 3 in s.stride), "stride > 2", ""),
    "dilation 3": ("conv2d", where("conv2d", lambda a, s: 3 in s.dilation), "dilation > 2", ""),
    "seven rows": ("conv2d", where("conv2d", lambda a, s: a["w"].shape[0] > 6), "a kernel of 7 rows or columns", ""),
    "both blocked": (
        "conv2d",
        where("conv2d", lambda a, s: a["w"].shape[2] > 16 and a["w"].shape[3] > 16),
        "17 channels or more and 17 outputs or more",
        "",
    ),
    "even widths": (
        "conv2d_dx",
        where("conv2d_dx", lambda a, s: a["out"].shape[2] % 2 == 0, _last_column_zero),
        "w of out is even",
        "",
    ),
    "the last stride trusted": ("matmul", trusting_the_last_stride, "inputs that are views", "C-contiguous"),
    "results kept": ("matmul", remembering_results(), "a call before, with other numbers", "keep something"),
    "one block of an optimiser": ("adam", one_block("adam"), "more than 1024 elements of out", ""),
    "one block of a pool": ("avg_pool2d", one_block("avg_pool2d"), "more than 1024 elements of out", ""),
    "1024 columns": (
        "softmax",
        where("softmax", lambda a, s: a["x"].shape[1] > 1024, lambda out: out[:, 1024:].fill(7)),
        "more than 1024 classes of out",
        "",
    ),
    "square": ("matmul", turned_where_square, "as many terms as columns", ""),
    "ties": ("max_pool2d", last_of_equal, "equal maxima in a window", "Of equal numbers in a window it takes the last"),
    "one pixel": ("batch_norm", no_variance_of_one_pixel, "training=True and pixels = 1", ""),
    "a vector's weight decay": (
        "sgd",
        where("sgd", lambda a, s: s.weight_decay and a["p"].ndim == 1),
        "weight decay",
        "",
    ),
}


def by_sums_of_taps(x, w, out, s):
    """Taps from the last to the first, in float64, into a buffer that is kept for its size."""
    (sh, sw), (ph, pw), (dh, dw), groups = s
    padded = np.pad(x.astype("d"), ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    total = SCRATCH.setdefault(out.shape, np.empty(out.shape))
    total[...] = 0
    CG, OG = w.shape[2], w.shape[3] // groups
    for a, b in reversed(list(np.ndindex(*w.shape[:2]))):
        pixels = padded[:, a * dh :: sh, b * dw :: sw][:, : out.shape[1], : out.shape[2]]
        for k in range(groups):
            to = slice(k * OG, (k + 1) * OG)
            total[..., to] += pixels[..., k * CG : (k + 1) * CG] @ w[a, b, :, to]
    out[...] = total


SCRATCH = {}


def by_outer_products(a, b, out):
    out[...] = 0
    for k in reversed(range(a.shape[1])):
        out += np.multiply.outer(a[:, k], b[k])
    return out  # which nobody asked for


def in_two_halves(x, out):
    out[...] = x[: len(x) // 2].sum(axis=0) + x[len(x) // 2 :][::-1].sum(axis=0)


def out_as_scratch(x, out, s):
    """It overwrites out several times, with a logarithm from the softmax's own sums."""
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    sums = np.exp(out).sum(axis=1, keepdims=True)
    if s.log:
        out -= np.log(sums)
    else:
        np.exp(out, out=out)
        out /= sums


def through_the_logarithm(x, out, s):
    """exp(x - logsumexp(x)): as far off as its logits are rounded."""
    with np.errstate(all="ignore"):
        top = x.max(axis=1, keepdims=True)
        out[...] = x - (top + np.log(np.exp(x - top).sum(axis=1, keepdims=True)))
        if not s.log:
            np.exp(out, out=out)


def from_the_second_operand(a, b, out):
    np.add(b, a, out=out)


def two_passes(x, weight, bias, out, mean, scale, s):
    mean[...] = x.mean(axis=1, dtype="d")
    apart = x.astype("d") - x.mean(axis=1, dtype="d", keepdims=True)
    scale[...] = 1 / np.sqrt((apart**2).mean(axis=1) + s.eps)
    out[...] = apart / np.sqrt((apart**2).mean(axis=1, keepdims=True) + s.eps) * (1 if weight is None else weight)
    out += 0 if bias is None else bias


def by_bits(x, out, s):
    """The sign of each number from its first bit; a NaN stays one."""
    negative = np.signbit(x) & ~np.isnan(x)
    out[...] = x
    out[negative] = out[negative] * s.slope if s.slope else 0


def a_pixel_at_a_time(g, out, s):
    (KH, KW), (sh, sw), (ph, pw) = s.kernel, s.stride, s.padding
    out[...] = 0
    for i, j in np.ndindex(g.shape[1:3]):
        top, left = i * sh - ph, j * sw - pw
        window = out[:, max(top, 0) : top + KH, max(left, 0) : left + KW]
        counted = KH * KW if s.count_include_pad else window.shape[1] * window.shape[2]
        window += g[:, i, j][:, None, None] / counted


UNUSUAL = {
    "taps from the last, in float64, buffer kept": ("conv2d", by_sums_of_taps),
    "outer products, and a result returned": ("matmul", by_outer_products),
    "columns in halves, one turned round": ("column_sums", in_two_halves),
    "out as scratch": ("softmax", out_as_scratch),
    "through the logarithm": ("softmax", through_the_logarithm),
    "the operands exchanged": ("add", from_the_second_operand),
    "two passes in float64": ("layer_norm", two_passes),
    "by sign bits": ("relu", by_bits),
    "scattered, a window at a time": ("avg_pool2d_dx", a_pixel_at_a_time),
}
