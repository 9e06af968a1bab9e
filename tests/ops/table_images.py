"""The table's rows for images: convolution, pooling, batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from tinyres_kernels.settings import AvgPool, Conv, MaxPool

import tinyres as tr
from tests.ops.oracles import away, distinct, gathered, largest, normal, placed, row
from tinyres.ops.convolution import conv2d_dw, conv2d_dx
from tinyres.ops.pooling import avg_pool2d_dx, max_pool2d_dx, max_pool2d_take

# What slides over what: the geometry, the image's shape, the weight's.
GEOMETRIES = {
    "stride 1": (Conv((1, 1), (0, 0), (1, 1), 1), (2, 2, 4, 3), (3, 2, 3, 2)),
    "stride 2, nothing left over": (Conv((2, 2), (1, 1), (1, 1), 1), (1, 2, 5, 5), (2, 2, 3, 3)),
    "stride 2, a row left over": (Conv((2, 2), (0, 1), (1, 1), 1), (1, 2, 6, 4), (2, 2, 3, 3)),
    "dilation": (Conv((1, 2), (2, 1), (2, 1), 1), (1, 1, 4, 5), (2, 1, 3, 2)),
    "groups": (Conv((1, 1), (1, 1), (1, 1), 2), (1, 4, 3, 3), (2, 2, 2, 2)),
    "depthwise, stride 3": (Conv((3, 3), (1, 1), (1, 1), 2), (1, 2, 6, 6), (2, 1, 3, 3)),
    "1 by 1": (Conv((1, 1), (0, 0), (1, 1), 1), (2, 3, 2, 2), (2, 3, 1, 1)),
}
WON = [(0, 0), (1, 2), (0, 3), (3, 0), (3, 1), (2, 2)]  # pixels that won a 2 by 2 pool at stride (2, 1), in order


def conv_sum(x_shape, w_shape, geometry):
    """The output's shape, and (output index, image index, weight index) of every product that is added up."""
    (N, _, H, W), (O, CG, KH, KW) = x_shape, w_shape
    (sh, sw), (ph, pw), (dh, dw), groups = geometry
    OH = (H + 2 * ph - dh * (KH - 1) - 1) // sh + 1
    OW = (W + 2 * pw - dw * (KW - 1) - 1) // sw + 1
    terms = []
    for n, o, i, j, c, p, q in product(*map(range, (N, O, OH, OW, CG, KH, KW))):
        u, v = i * sh - ph + p * dh, j * sw - pw + q * dw
        if 0 <= u < H and 0 <= v < W:
            terms.append(((n, o, i, j), (n, c + o // (O // groups) * CG, u, v), (o, c, p, q)))
    return (N, O, OH, OW), terms


def conv_oracle(geometry):
    def apply(x, w):
        shape, terms = conv_sum(x.shape, w.shape, geometry)
        y = np.zeros(shape)
        for at_y, at_x, at_w in terms:
            y[at_y] += x[at_x] * w[at_w]
        return y

    return apply


def conv_dx_oracle(geometry, x_hw):
    def apply(dy, w):
        x_shape = (dy.shape[0], w.shape[1] * geometry.groups, *x_hw)
        dx = np.zeros(x_shape)
        for at_y, at_x, at_w in conv_sum(x_shape, w.shape, geometry)[1]:
            dx[at_x] += dy[at_y] * w[at_w]
        return dx

    return apply


def conv_dw_oracle(geometry, k_hw):
    def apply(x, dy):
        w_shape = (dy.shape[1], x.shape[1] // geometry.groups, *k_hw)
        dw = np.zeros(w_shape)
        for at_y, at_x, at_w in conv_sum(x.shape, w_shape, geometry)[1]:
            dw[at_w] += dy[at_y] * x[at_x]
        return dw

    return apply


def pool_oracle(reduce, kernel, stride, padding=(0, 0), dilation=(1, 1)):
    """`reduce` sees the elements of a window that lie in the image, and the window's size."""

    def apply(x):
        N, C, H, W = x.shape
        OH, OW = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip((H, W), kernel, stride, padding, dilation, strict=True)
        )
        y = np.empty((N, C, OH, OW))
        for n, c, i, j in np.ndindex(*y.shape):
            rows = [i * stride[0] - padding[0] + p * dilation[0] for p in range(kernel[0])]
            cols = [j * stride[1] - padding[1] + q * dilation[1] for q in range(kernel[1])]
            inside = [float(x[n, c, r, s]) for r in rows for s in cols if 0 <= r < H and 0 <= s < W]
            y[n, c, i, j] = reduce(inside, kernel[0] * kernel[1])
        return y

    return apply


def norm_oracle(x, weight=None, bias=None, eps=1e-5):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        v = x[:, c]
        y[:, c] = (v - np.mean(v)) / math.sqrt(np.var(v) + eps)
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def image_rows() -> None:
    for case, (geometry, x, w) in GEOMETRIES.items():
        y = conv_sum(x, w, geometry)[0]
        how = geometry._asdict()
        row("conv2d", lambda x, w, how=how: tr.conv2d(x, w, **how), conv_oracle(geometry), normal(*x), normal(*w),
            case=case,
            empty=((0, *x[1:]), w))  # fmt: skip
        row("conv2d_dx", lambda dy, w, geometry=geometry, x_hw=x[2:]: conv2d_dx(dy, w, x_hw=x_hw, geometry=geometry),
            conv_dx_oracle(geometry, x[2:]), normal(*y), normal(*w), case=case, empty=((0, *y[1:]), w))  # fmt: skip
        row("conv2d_dw", lambda x, dy, geometry=geometry, k_hw=w[2:]: conv2d_dw(x, dy, k_hw=k_hw, geometry=geometry),
            conv_dw_oracle(geometry, w[2:]), normal(*x), normal(*y), case=case,
            empty=((0, *x[1:]), (0, *y[1:])))  # fmt: skip
    plain = Conv((1, 1), (0, 0), (1, 1), 1)
    row("conv2d", tr.conv2d, lambda x, w, b: conv_oracle(plain)(x, w) + b[:, None, None], normal(1, 2, 3, 3),
        normal(2, 2, 2, 2), normal(2), case="with bias")  # fmt: skip
    wide = Conv((2, 2), (1, 1), (1, 1), 1)
    row("conv2d_dx", lambda x, w, b: tr.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1),
        lambda x, w, b: conv_dx_oracle(wide, (6, 4))(x, w) + b[:, None, None], normal(1, 2, 3, 2), normal(2, 2, 3, 3),
        normal(2), case="conv_transpose2d")  # fmt: skip

    def mean_of(inside: list[float], size: int) -> float:
        return math.fsum(inside) / size

    def mean_inside(inside: list[float], size: int) -> float:
        return math.fsum(inside) / len(inside)

    def first(inside: list[float], size: int) -> float:
        return largest(inside)

    image = (2, 2, 5, 4)
    row("max_pool2d", lambda x: tr.max_pool2d(x, 2), pool_oracle(first, (2, 2), (2, 2)), distinct(*image),
        empty=((0, 2, 5, 4),))  # fmt: skip
    row("max_pool2d", lambda x: tr.max_pool2d(x, (3, 2), 2, (1, 0)), pool_oracle(first, (3, 2), (2, 2), (1, 0)),
        distinct(*image), case="overlapping, padded")  # fmt: skip
    row("max_pool2d", lambda x: tr.max_pool2d(x, 2, 1, 0, 2), pool_oracle(first, (2, 2), (1, 1), (0, 0), (2, 2)),
        distinct(*image), case="dilated")  # fmt: skip
    # With the winners fixed, each of a max pool's two adjoints moves numbers about: a window's winner is kh KW + kw.
    window = MaxPool((2, 2), (2, 1), (0, 0), (1, 1))
    winners = np.array([[[[0, 3, 1], [2, 2, 0]]]], np.int32)
    row("max_pool2d_take", lambda x: max_pool2d_take(x, winners=winners, window=window),
        gathered((1, 1, 2, 3), lambda n, c, i, j: (n, c, *WON[3 * i + j])), normal(1, 1, 5, 4))  # fmt: skip
    row("max_pool2d_dx", lambda dy: max_pool2d_dx(dy, winners=winners, x_hw=(5, 4), window=window),
        placed((1, 1, 5, 4), lambda n, c, i, j: (n, c, *WON[3 * i + j])), normal(1, 1, 2, 3))  # fmt: skip

    def spread(inside_only: bool) -> Callable[[np.ndarray], np.ndarray]:
        """Each cotangent of a 3 by 3 mean at stride 2, padding 1, to the pixels of its window in a 5 by 4 image."""

        def apply(dy: np.ndarray) -> np.ndarray:
            dx = np.zeros((*dy.shape[:2], 5, 4))
            for n, c, i, j in np.ndindex(*dy.shape):
                inside = [(u, v) for u in range(2 * i - 1, 2 * i + 2) for v in range(2 * j - 1, 2 * j + 2)
                          if 0 <= u < 5 and 0 <= v < 4]  # fmt: skip
                for u, v in inside:
                    dx[n, c, u, v] += dy[n, c, i, j] / (len(inside) if inside_only else 9)
            return dx

        return apply

    for counts in (True, False):
        row("avg_pool2d_dx", lambda dy, counts=counts: avg_pool2d_dx(
            dy, x_hw=(5, 4), window=AvgPool((3, 3), (2, 2), (1, 1), counts)),
            spread(not counts), normal(1, 2, 3, 2), case=f"padding counts: {counts}")  # fmt: skip
    row("avg_pool2d", lambda x: tr.avg_pool2d(x, 2), pool_oracle(mean_of, (2, 2), (2, 2)), normal(*image),
        empty=((0, 2, 5, 4),))  # fmt: skip
    row("avg_pool2d", lambda x: tr.avg_pool2d(x, 3, 2, 1), pool_oracle(mean_of, (3, 3), (2, 2), (1, 1)), normal(*image),
        case="overlapping, padding counts")  # fmt: skip
    row("avg_pool2d", lambda x: tr.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        pool_oracle(mean_inside, (3, 3), (2, 2), (1, 1)), normal(*image), case="padding does not count")  # fmt: skip
    row("", lambda x: tr.upsample_nearest2d(x, (2, 3)),
        gathered((1, 2, 4, 9), lambda n, c, i, j: (n, c, i // 2, j // 3)),
        normal(1, 2, 2, 3), case="upsample_nearest2d")  # fmt: skip

    def regions(OH: int, OW: int) -> Callable[[np.ndarray], np.ndarray]:
        def apply(x: np.ndarray) -> np.ndarray:
            H, W = x.shape[2:]
            y = np.empty((*x.shape[:2], OH, OW))
            for i, j in np.ndindex(OH, OW):
                rows = slice(math.floor(i * H / OH), math.ceil((i + 1) * H / OH))
                cols = slice(math.floor(j * W / OW), math.ceil((j + 1) * W / OW))
                y[:, :, i, j] = np.mean(x[:, :, rows, cols], axis=(2, 3))
            return y

        return apply

    for size in ((1, 1), (3, 2), (4, 4)):
        row("", lambda x, size=size: tr.adaptive_avg_pool2d(x, size), regions(*size), normal(*image),
            case=f"adaptive_avg_pool2d {size}")  # fmt: skip


def normalization_rows() -> None:
    row("batch_norm", lambda x, w, b: tr.batch_norm(x, weight=w, bias=b), norm_oracle, normal(3, 2, 2, 2), away(2),
        normal(2))  # fmt: skip
    row("batch_norm", lambda x, w, b: tr.batch_norm(x, weight=w, bias=b, eps=0.1),
        lambda x, w, b: norm_oracle(x, w, b, 0.1), normal(4, 3), away(3), normal(3),
        case="of vectors, eps 0.1")  # fmt: skip
    row("batch_norm", lambda x: tr.batch_norm(x), norm_oracle, normal(4, 2), case="neither weight nor bias")

    mean, var = np.array([0.1, -0.2]), np.array([2.0, 0.5])

    def in_evaluation(x: Any, w: Any, b: Any) -> Any:
        return tr.batch_norm(x, mean.astype(x.dtype), var.astype(x.dtype), w, b, training=False)

    def affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        channels = [(x[:, c] - mean[c]) / math.sqrt(var[c] + 1e-5) * w[c] + b[c] for c in range(2)]
        return np.stack(channels, axis=1)

    row("batch_norm", in_evaluation, affine, normal(2, 2, 2, 2), normal(2), normal(2), case="in evaluation")

    def with_sum(x: Any, w: Any, b: Any, residual: Any) -> Any:
        return tr.batch_norm(x, weight=w, bias=b, residual=residual)

    def with_all(x: Any, w: Any, b: Any, residual: Any) -> Any:
        return tr.batch_norm(x, weight=w, bias=b, residual=residual, relu=True)

    def with_all_in_evaluation(x: Any, w: Any, b: Any, residual: Any) -> Any:
        statistics = mean.astype(x.dtype), var.astype(x.dtype)
        return tr.batch_norm(x, *statistics, w, b, training=False, residual=residual, relu=True)

    inputs = normal(3, 2, 2, 2), away(2), normal(2), normal(3, 2, 2, 2)
    row("batch_norm", with_sum, lambda x, w, b, r: norm_oracle(x, w, b) + r, *inputs, case="and sum")
    row("batch_norm", with_all, lambda x, w, b, r: np.maximum(norm_oracle(x, w, b) + r, 0), *inputs,
        case="and sum and relu")  # fmt: skip
    row("batch_norm", with_all_in_evaluation, lambda x, w, b, r: np.maximum(affine(x, w, b) + r, 0), *inputs,
        case="in evaluation, and sum and relu")  # fmt: skip
    row("batch_norm", lambda x: tr.batch_norm(x, relu=True), lambda x: np.maximum(norm_oracle(x), 0), normal(5, 3),
        case="and relu")  # fmt: skip
