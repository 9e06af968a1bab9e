"""Pools and their adjoints, one output element at a time."""

from math import isnan

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import AvgPool, MaxPool


def max_pool2d(x: Array, out: Array, index: Array, s: MaxPool) -> None:
    """The largest pixel of each window, and its place in the window.

        out[n, oh, ow, c]   = max over kh, kw of x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, c]
        index[n, oh, ow, c] = kh*KW + kw of the winner

    The first of equal maxima wins. A NaN wins over everything, and the first NaN over later ones. Padding never wins,
    not even where all pixels are -inf.

    x (N, H, W, C), out (N, OH, OW, C), index the same, int32.
    Cost: N OH OW C * KH KW comparisons, no multiplication; x read once, out and index written once.
    """
    rows, cols = s.axes(x.shape, out.shape)
    xs = x.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        window = [(kh * s.kernel[1] + kw, xs[n][h][i][c]) for kh, h in rows.window(oh) for kw, i in cols.window(ow)]
        place, best = window[0]
        for candidate, value in window[1:]:
            if not isnan(best) and (value > best or isnan(value)):
                place, best = candidate, value
        out[n, oh, ow, c], index[n, oh, ow, c] = best, place


def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> None:
    """The adjoint of `max_pool2d`, its winners being fixed: each cotangent goes to the pixel that won.

        out[n, h, w, c] = sum of g[n, oh, ow, c] over the windows (oh, ow) whose index points at the pixel (h, w)

    g and index (N, OH, OW, C), out (N, H, W, C). What an index sends into the padding is lost.
    Cost: no multiplication; N H W C * KH KW / (sh sw) comparisons; g and index read once, out written once.
    """
    rows, cols = s.axes(out.shape, g.shape)
    gs, places = g.tolist(), index.tolist()
    for n, h, i, c in ndindex(out.shape):
        out[n, h, i, c] = sum(
            gs[n][oh][ow][c]
            for kh, oh in rows.readers(h)
            for kw, ow in cols.readers(i)
            if places[n][oh][ow][c] == kh * s.kernel[1] + kw
        )


def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> None:
    """The pixel of each window that `index` points at: the adjoint of `max_pool2d_dx`.

        out[n, oh, ow, c] = u[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, c],  kh, kw = divmod(index[n, oh, ow, c], KW)

    and 0 where that lies in the padding. For the index of `max_pool2d(x)`, taking from x gives the maxima again.

    u (N, H, W, C), index and out (N, OH, OW, C).
    Cost: no multiplication; the winners and index read once, out written once.
    """
    rows, cols = s.axes(u.shape, out.shape)
    us, places = u.tolist(), index.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        kh, kw = divmod(places[n][oh][ow][c], s.kernel[1])
        h, i = dict(rows.window(oh)).get(kh), dict(cols.window(ow)).get(kw)
        out[n, oh, ow, c] = 0.0 if h is None or i is None else us[n][h][i][c]


def avg_pool2d(x: Array, out: Array, s: AvgPool) -> None:
    """The mean of each window.

        out[n, oh, ow, c] = 1/count * sum over kh, kw of x[n, oh*sh - ph + kh, ow*sw - pw + kw, c]

    with zeros outside the image. count is KH*KW, or, without `count_include_pad`, the number of the window's pixels
    that lie in the image.

    x (N, H, W, C), out (N, OH, OW, C).
    Cost: N OH OW C * KH KW additions, one division each; x read once, out written once.
    """
    rows, cols = s.axes(x.shape, out.shape)
    xs = x.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        pixels = [xs[n][h][i][c] for _, h in rows.window(oh) for _, i in cols.window(ow)]
        out[n, oh, ow, c] = sum(pixels) / (s.kernel[0] * s.kernel[1] if s.count_include_pad else len(pixels))


def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> None:
    """The adjoint of `avg_pool2d`: each window's cotangent is shared equally among its pixels.

        out[n, h, w, c] = sum over the windows (oh, ow) that hold the pixel (h, w) of g[n, oh, ow, c] / count(oh, ow)

    g (N, OH, OW, C), out (N, H, W, C); count as in `avg_pool2d`.
    Cost: N OH OW C divisions and KH KW times as many additions; g read once, out written once.
    """
    rows, cols = s.axes(out.shape, g.shape)
    gs, taps = g.tolist(), s.kernel[0] * s.kernel[1]
    for n, h, i, c in ndindex(out.shape):
        out[n, h, i, c] = sum(
            gs[n][oh][ow][c] / (taps if s.count_include_pad else len(rows.window(oh)) * len(cols.window(ow)))
            for _, oh in rows.readers(h)
            for _, ow in cols.readers(i)
        )
