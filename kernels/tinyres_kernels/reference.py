"""Every kernel as loops over single elements: the specification that the other rungs are held against.

Each output element is computed, on its own, from what it reads (a gather), so nothing depends on the order in which
elements are visited. Sums are Python floats, whatever the arrays hold. `h` and `w` count rows and columns in the
formulas; an axis's `window`, `readers` and `places` (see `geometry`) say which of them meet. The costs in the
docstrings are those of a good implementation; this one is slower by a factor of thousands.
"""

from math import isnan

from numpy import ndindex

from tinyres_kernels.geometry import Pair, conv_axes, pool_axes
from tinyres_kernels.namespace import Array


def conv2d(x: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """Cross-correlation of images with kernels; the kernel is not flipped.

        out[n, oh, ow, o] = sum over kh, kw, c of  x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, k*C/groups + c]
                                                 * w[kh, kw, c, o]

    with zeros outside the image, and k = o // (O / groups): group k's outputs read group k's inputs only.

    x (N, H, W, C), w (KH, KW, C/groups, O), out (N, OH, OW, O).
    Cost: N OH OW O * KH KW C/groups multiplications; x and w read once, out written once.
    """
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    CG, OG = w.shape[2], w.shape[3] // groups
    xs, ws = x.tolist(), w.tolist()
    for n, oh, ow, o in ndindex(out.shape):
        c0 = o // OG * CG  # the first input channel of o's group
        out[n, oh, ow, o] = sum(
            xs[n][h][i][c0 + c] * ws[kh][kw][c][o]
            for kh, h in rows.window(oh)
            for kw, i in cols.window(ow)
            for c in range(CG)
        )
    return out


def conv2d_dx(g: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """The adjoint of `conv2d` in x, which is also transposed convolution: <g, conv2d(x, w)> = <conv2d_dx(g, w), x>.

        out[n, h, w', k*C/groups + c] = sum over kh, kw and the outputs o of group k of  g[n, oh, ow, o]
                                                                                     * w[kh, kw, c, o]

    where oh*sh - ph + kh*dh = h and ow*sw - pw + kw*dw = w': all windows that read this pixel, through the tap that
    read it. Pixels that no window reads get zero.

    g (N, OH, OW, O), w (KH, KW, C/groups, O), out (N, H, W, C); H and W are taken from out.
    Cost: as `conv2d` (less at the rim); g and w read once, out written once.
    """
    rows, cols = conv_axes(out.shape, w.shape, g.shape, stride, padding, dilation, groups)
    CG, OG = w.shape[2], w.shape[3] // groups
    gs, ws = g.tolist(), w.tolist()
    for n, h, i, channel in ndindex(out.shape):
        k, c = divmod(channel, CG)
        out[n, h, i, channel] = sum(
            gs[n][oh][ow][o] * ws[kh][kw][c][o]
            for kh, oh in rows.readers(h)
            for kw, ow in cols.readers(i)
            for o in range(k * OG, (k + 1) * OG)
        )
    return out


def conv2d_dw(x: Array, g: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """The adjoint of `conv2d` in w: <g, conv2d(x, w)> = <conv2d_dw(x, g), w>.

        out[kh, kw, c, o] = sum over n, oh, ow of  x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, k*C/groups + c]
                                                 * g[n, oh, ow, o]

    with zeros outside the image, and k = o // (O / groups).

    x (N, H, W, C), g (N, OH, OW, O), out (KH, KW, C/groups, O).
    Cost: as `conv2d`; x and g read once, out written once: the longest sums of the three, into the smallest result.
    """
    rows, cols = conv_axes(x.shape, out.shape, g.shape, stride, padding, dilation, groups)
    CG, OG = out.shape[2], out.shape[3] // groups
    xs, gs = x.tolist(), g.tolist()
    for kh, kw, c, o in ndindex(out.shape):
        channel = o // OG * CG + c
        out[kh, kw, c, o] = sum(
            image[h][i][channel] * cotangent[oh][ow][o]
            for image, cotangent in zip(xs, gs, strict=True)
            for oh, h in rows.places(kh)
            for ow, i in cols.places(kw)
        )
    return out


def max_pool2d(
    x: Array, out: Array, index: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The largest pixel of each window, and its place in the window.

        out[n, oh, ow, c]   = max over kh, kw of x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, c]
        index[n, oh, ow, c] = kh*KW + kw of the winner

    The first of equal maxima wins. A NaN wins over everything, and the first NaN over later ones. Padding never wins,
    not even where all pixels are -inf.

    x (N, H, W, C), out (N, OH, OW, C), index the same, int32. Returns out.
    Cost: N OH OW C * KH KW comparisons, no multiplication; x read once, out and index written once.
    """
    rows, cols = pool_axes(x.shape, out.shape, kernel, stride, padding, dilation)
    xs = x.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        window = [(kh * kernel[1] + kw, xs[n][h][i][c]) for kh, h in rows.window(oh) for kw, i in cols.window(ow)]
        place, best = window[0]
        for candidate, value in window[1:]:
            if not isnan(best) and (value > best or isnan(value)):
                place, best = candidate, value
        out[n, oh, ow, c], index[n, oh, ow, c] = best, place
    return out


def max_pool2d_dx(
    g: Array, index: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The adjoint of `max_pool2d`, its winners being fixed: each cotangent goes to the pixel that won.

        out[n, h, w, c] = sum of g[n, oh, ow, c] over the windows (oh, ow) whose index points at the pixel (h, w)

    g and index (N, OH, OW, C), out (N, H, W, C). What an index sends into the padding is lost.
    Cost: no multiplication; N H W C * KH KW / (sh sw) comparisons; g and index read once, out written once.
    """
    rows, cols = pool_axes(out.shape, g.shape, kernel, stride, padding, dilation)
    gs, places = g.tolist(), index.tolist()
    for n, h, i, c in ndindex(out.shape):
        out[n, h, i, c] = sum(
            gs[n][oh][ow][c]
            for kh, oh in rows.readers(h)
            for kw, ow in cols.readers(i)
            if places[n][oh][ow][c] == kh * kernel[1] + kw
        )
    return out


def max_pool2d_take(
    u: Array, index: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """The pixel of each window that `index` points at: the adjoint of `max_pool2d_dx`.

        out[n, oh, ow, c] = u[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, c],  kh, kw = divmod(index[n, oh, ow, c], KW)

    and 0 where that lies in the padding. For the index of `max_pool2d(x)`, taking from x gives the maxima again.

    u (N, H, W, C), index and out (N, OH, OW, C).
    Cost: no multiplication; the winners and index read once, out written once.
    """
    rows, cols = pool_axes(u.shape, out.shape, kernel, stride, padding, dilation)
    us, places = u.tolist(), index.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        kh, kw = divmod(places[n][oh][ow][c], kernel[1])
        h, i = dict(rows.window(oh)).get(kh), dict(cols.window(ow)).get(kw)
        out[n, oh, ow, c] = 0.0 if h is None or i is None else us[n][h][i][c]
    return out


def avg_pool2d(x: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Array:
    """The mean of each window.

        out[n, oh, ow, c] = 1/count * sum over kh, kw of x[n, oh*sh - ph + kh, ow*sw - pw + kw, c]

    with zeros outside the image. count is KH*KW, or, without `count_include_pad`, the number of the window's pixels
    that lie in the image.

    x (N, H, W, C), out (N, OH, OW, C).
    Cost: N OH OW C * KH KW additions, one division each; x read once, out written once.
    """
    rows, cols = pool_axes(x.shape, out.shape, kernel, stride, padding)
    xs = x.tolist()
    for n, oh, ow, c in ndindex(out.shape):
        pixels = [xs[n][h][i][c] for _, h in rows.window(oh) for _, i in cols.window(ow)]
        out[n, oh, ow, c] = sum(pixels) / (kernel[0] * kernel[1] if count_include_pad else len(pixels))
    return out


def avg_pool2d_dx(g: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Array:
    """The adjoint of `avg_pool2d`: each window's cotangent is shared equally among its pixels.

        out[n, h, w, c] = sum over the windows (oh, ow) that hold the pixel (h, w) of g[n, oh, ow, c] / count(oh, ow)

    g (N, OH, OW, C), out (N, H, W, C); count as in `avg_pool2d`.
    Cost: N OH OW C divisions and KH KW times as many additions; g read once, out written once.
    """
    rows, cols = pool_axes(out.shape, g.shape, kernel, stride, padding)
    gs, taps = g.tolist(), kernel[0] * kernel[1]
    for n, h, i, c in ndindex(out.shape):
        out[n, h, i, c] = sum(
            gs[n][oh][ow][c] / (taps if count_include_pad else len(rows.window(oh)) * len(cols.window(ow)))
            for _, oh in rows.readers(h)
            for _, ow in cols.readers(i)
        )
    return out


def batch_norm(x: Array, weight: Array, bias: Array, out: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    """out[m, c] = (x[m, c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c], statistics over m.

    x and out are (M, C), pixels by channels; mean[c] = sum_m x / M and variance[c] = sum_m (x - mean)^2 / M are written
    as well. About 4 M C multiplications. Ioffe & Szegedy 2015.
    """
    M, C = x.shape
    for c in range(C):
        column = [float(x[m, c]) for m in range(M)]
        centre = sum(column) / M
        spread = sum((value - centre) ** 2 for value in column) / M
        mean[c], variance[c] = centre, spread
        for m in range(M):
            out[m, c] = (column[m] - centre) / (spread + eps) ** 0.5 * float(weight[c]) + float(bias[c])
    return out


def batch_norm_dx(
    g: Array,
    x: Array,
    weight: Array,
    mean: Array,
    variance: Array,
    out: Array,
    dweight: Array,
    dbias: Array,
    *,
    eps: float,
) -> Array:
    """The adjoint of `batch_norm` at x, the statistics depending on x too. With h = (x - mean) / sqrt(variance + eps),

        dbias = sum g,  dweight = sum g h,  out = weight / sqrt(variance + eps) (g - dbias / M - h dweight / M).

    About 6 M C multiplications.
    """
    M, C = x.shape
    for c in range(C):
        scale = (float(variance[c]) + eps) ** -0.5
        h = [(float(x[m, c]) - float(mean[c])) * scale for m in range(M)]
        total = sum(float(g[m, c]) for m in range(M))
        along = sum(float(g[m, c]) * h[m] for m in range(M))
        dbias[c], dweight[c] = total, along
        for m in range(M):
            out[m, c] = float(weight[c]) * scale * (float(g[m, c]) - total / M - h[m] * along / M)
    return out
