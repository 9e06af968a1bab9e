"""Worked solutions of exercises 05 and 16 pass; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest
from tinyres_kernels import reference

from tinyres.exercises import ex05, exercise

try:
    from tinyres_kernels.cuda.host import cuda
except ImportError:
    cuda = None
needs_cuda = pytest.mark.skipif(cuda is None, reason="NO NUMBA.CUDA: exercise 15 needs it, though no GPU")


@pytest.mark.parametrize("number", ["05", "14", "15", "16"])
def test_what_is_no_function_is_told(number):
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise(number, 0.5)


# -- 05: a convolution, tap by tap ------------------------------------------------------------------------------------
def conv2d(x, w, stride=1, padding=0, *, flipped=False, turned=False, last_only=False, unstrided=False, unpadded=False):
    if unpadded:
        padding = 0
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = ((x.shape[k] - w.shape[k - 1]) // stride + 1 for k in (1, 2))
    y = np.zeros((x.shape[0], height, width, w.shape[3]))
    step = 1 if unstrided else stride
    for a in range(w.shape[0]):
        for b in range(w.shape[1]):
            tap = w[-1 - a, -1 - b] if flipped else w[b, a] if turned and w.shape[0] == w.shape[1] else w[a, b]
            product = x[:, a::step, b::step][:, :height, :width] @ tap
            y = product if last_only else y + product
    return y


def by_windows(x, w, stride=1, padding=0):
    """Another right way: im2col."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijcab,abco->nijo", windows, w)


def in_place(x, w, stride=1, padding=0):
    y = conv2d(x, w, stride, padding)
    x *= 2
    return y


@pytest.mark.parametrize("answer", [conv2d, by_windows])
def test_05_worked(answer, capsys):
    exercise("05", answer)
    assert "sum of matrix products" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"flipped": True}, "turned by 180 degrees"),
        ({"turned": True}, "Rows and columns of the kernel are swapped"),
        ({"last_only": True}, "Only one tap is in the result"),
        ({"unstrided": True}, r"Window i begins at row i \* stride"),
        ({"unpadded": True}, r"\(H \+ 2 padding - KH\) // stride \+ 1 windows"),
    ],
)
def test_05_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("05", lambda x, w, stride, padding: conv2d(x, w, stride, padding, **mistake))


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(ex05._loops, "right, but slow"), (in_place, "x was changed"), (lambda x, w, stride, padding: None, "a return")],
)
def test_05_slow_destructive_or_empty(answer, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("05", answer)


# -- 16: a kernel of one's own ----------------------------------------------------------------------------------------
def avg_pool2d(x, out, s, all_count=False):
    (KH, KW), (sh, sw), (ph, pw), count_include_pad = s
    H, W = out.shape[1:3]
    pad = ((0, 0), (ph, ph), (pw, pw), (0, 0))
    padded = np.pad(x, pad)
    inside = np.pad(np.ones((1, *x.shape[1:3], 1)), pad, constant_values=float(count_include_pad or all_count))
    share = np.zeros((1, H, W, 1))
    out[...] = 0
    for a in range(KH):
        for b in range(KW):
            out += padded[:, a::sh, b::sw][:, :H, :W]
            share += inside[:, a::sh, b::sw][:, :H, :W]
    out /= share


def by_running_sums(x, out, s):
    """Sums of windows as differences of sums from the left: a NaN never leaves them again."""
    (rows, cols), (kernel, stride, padding, count_include_pad) = s.axes(x.shape, out.shape), s
    running = np.pad(np.pad(x, ((0, 0), *((p, p) for p in padding), (0, 0))).cumsum(1).cumsum(2),
                     ((0, 0), (1, 0), (1, 0), (0, 0)))  # fmt: skip
    for i in range(rows.out):
        for j in range(cols.out):
            top, left = i * stride[0], j * stride[1]
            low, right = top + kernel[0], left + kernel[1]
            total = running[:, low, right] - running[:, top, right] - running[:, low, left] + running[:, top, left]
            count = kernel[0] * kernel[1] if count_include_pad else len(rows.window(i)) * len(cols.window(j))
            out[:, i, j] = total / count


def test_16_worked():
    exercise("16", avg_pool2d)


def swapped(x, out, s):
    avg_pool2d(x, out, s._replace(stride=s.stride[::-1]))


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda x, out, s: avg_pool2d(x, out, s, all_count=True), "count_include_pad=False divide by the number"),
        (swapped, "rows first, then columns"),
        (by_running_sums, "running sums carry it along"),
        (reference.avg_pool2d, "right, but it takes"),
        (lambda x, out, s: out.fill(0), "Begin with the plain case"),
        (lambda x, out, s: None, "does nothing yet: write into its arrays"),
    ],
)
def test_16_others(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("16", mistake)
