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
    for n, oh, ow in ndindex(out.shape[:3]):
        window = [(kh * s.kernel[1] + kw, xs[n][h][i]) for kh, h in rows.window(oh) for kw, i in cols.window(ow)]
        for c in range(out.shape[3]):
            place, best = window[0][0], window[0][1][c]
            for candidate, pixel in window[1:]:
                if not isnan(best) and (pixel[c] > best or isnan(pixel[c])):
                    place, best = candidate, pixel[c]
            out[n, oh, ow, c], index[n, oh, ow, c] = best, place


def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> None:
    """The adjoint of `max_pool2d`, its winners being fixed: each cotangent goes to the pixel that won.

        out[n, h, w, c] = sum of g[n, oh, ow, c] over the windows (oh, ow) whose index points at the pixel (h, w)

    g and index (N, OH, OW, C), out (N, H, W, C). What an index sends into the padding is lost.
    Cost: no multiplication; N H W C * KH KW / (sh sw) comparisons; g and index read once, out written once.
    """
    rows, cols = s.axes(out.shape, g.shape)
    gs, places = g.tolist(), index.tolist()
    for n, h, i in ndindex(out.shape[:3]):
        taps = [
            (kh * s.kernel[1] + kw, places[n][oh][ow], gs[n][oh][ow])
            for kh, oh in rows.readers(h)
            for kw, ow in cols.readers(i)
        ]
        for c in range(out.shape[3]):
            out[n, h, i, c] = sum(cotangent[c] for tap, place, cotangent in taps if place[c] == tap)


def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> None:
    """The pixel of each window that `index` points at: the adjoint of `max_pool2d_dx`.

        out[n, oh, ow, c] = u[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, c],  kh, kw = divmod(index[n, oh, ow, c], KW)

    and 0 where that lies in the padding. For the index of `max_pool2d(x)`, taking from x gives the maxima again.

    u (N, H, W, C), index and out (N, OH, OW, C).
    Cost: no multiplication; the winners and index read once, out written once.
    """
    rows, cols = s.axes(u.shape, out.shape)
    us, places = u.tolist(), index.tolist()
    for n, oh, ow in ndindex(out.shape[:3]):
        row, column = dict(rows.window(oh)), dict(cols.window(ow))  # by tap
        for c in range(out.shape[3]):
            kh, kw = divmod(places[n][oh][ow][c], s.kernel[1])
            out[n, oh, ow, c] = us[n][row[kh]][column[kw]][c] if kh in row and kw in column else 0.0


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
    for n, oh, ow in ndindex(out.shape[:3]):
        pixels = [xs[n][h][i] for _, h in rows.window(oh) for _, i in cols.window(ow)]
        count = s.kernel[0] * s.kernel[1] if s.count_include_pad else len(pixels)
        for c in range(out.shape[3]):
            out[n, oh, ow, c] = sum(pixel[c] for pixel in pixels) / count


def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> None:
    """The adjoint of `avg_pool2d`: each window's cotangent is shared equally among its pixels.

        out[n, h, w, c] = sum over the windows (oh, ow) that hold the pixel (h, w) of g[n, oh, ow, c] / count(oh, ow)

    g (N, OH, OW, C), out (N, H, W, C); count as in `avg_pool2d`.
    Cost: N OH OW C divisions and KH KW times as many additions; g read once, out written once.
    """
    rows, cols = s.axes(out.shape, g.shape)
    gs, taps = g.tolist(), s.kernel[0] * s.kernel[1]
    for n, h, i in ndindex(out.shape[:3]):
        windows = [
            (gs[n][oh][ow], taps if s.count_include_pad else len(rows.window(oh)) * len(cols.window(ow)))
            for _, oh in rows.readers(h)
            for _, ow in cols.readers(i)
        ]
        for c in range(out.shape[3]):
            out[n, h, i, c] = sum(cotangent[c] / count for cotangent, count in windows)
