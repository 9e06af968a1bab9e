"""Convolution and its two adjoints, one output element at a time."""

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Conv


def conv2d(x: Array, w: Array, out: Array, s: Conv) -> None:
    """Cross-correlation of images with kernels; the kernel is not flipped.

        out[n, oh, ow, o] = sum over kh, kw, c of  x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, k*C/groups + c]
                                                 * w[kh, kw, c, o]

    with zeros outside the image, and k = o // (O / groups): group k's outputs read group k's inputs only.

    x (N, H, W, C), w (KH, KW, C/groups, O), out (N, OH, OW, O).
    Cost: N OH OW O * KH KW C/groups multiplications; x and w read once, out written once.
    """
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    CG, OG = w.shape[2], w.shape[3] // s.groups
    xs, ws = x.tolist(), w.tolist()
    for n, oh, ow in ndindex(out.shape[:3]):
        taps = [(xs[n][h][i], ws[kh][kw]) for kh, h in rows.window(oh) for kw, i in cols.window(ow)]
        for o in range(w.shape[3]):
            c0 = o // OG * CG  # the first input channel of o's group
            out[n, oh, ow, o] = sum(pixel[c0 + c] * tap[c][o] for pixel, tap in taps for c in range(CG))


def conv2d_dx(g: Array, w: Array, out: Array, s: Conv) -> None:
    """The adjoint of `conv2d` with respect to x: <g, conv2d(x, w)> = <conv2d_dx(g, w), x>; transposed convolution.

        out[n, h, w', k*C/groups + c] = sum over kh, kw and the outputs o of group k of  g[n, oh, ow, o]
                                                                                     * w[kh, kw, c, o]

    where oh*sh - ph + kh*dh = h and ow*sw - pw + kw*dw = w': all windows that read this pixel, through the tap that
    read it. Pixels that no window reads get zero.

    g (N, OH, OW, O), w (KH, KW, C/groups, O), out (N, H, W, C); H and W are taken from out.
    Cost: as `conv2d` (less at the rim); g and w read once, out written once.
    """
    rows, cols = s.axes(out.shape, w.shape, g.shape)
    CG, OG = w.shape[2], w.shape[3] // s.groups
    gs, ws = g.tolist(), w.tolist()
    for n, h, i in ndindex(out.shape[:3]):
        taps = [(gs[n][oh][ow], ws[kh][kw]) for kh, oh in rows.readers(h) for kw, ow in cols.readers(i)]
        for channel in range(out.shape[3]):
            k, c = divmod(channel, CG)
            of_group = range(k * OG, (k + 1) * OG)
            out[n, h, i, channel] = sum(cotangent[o] * tap[c][o] for cotangent, tap in taps for o in of_group)


def conv2d_dw(x: Array, g: Array, out: Array, s: Conv) -> None:
    """The adjoint of `conv2d` with respect to w: <g, conv2d(x, w)> = <conv2d_dw(x, g), w>.

        out[kh, kw, c, o] = sum over n, oh, ow of  x[n, oh*sh - ph + kh*dh, ow*sw - pw + kw*dw, k*C/groups + c]
                                                 * g[n, oh, ow, o]

    with zeros outside the image, and k = o // (O / groups).

    x (N, H, W, C), g (N, OH, OW, O), out (KH, KW, C/groups, O).
    Cost: as `conv2d`; x and g read once, out written once: the longest sums of the three, into the smallest result.
    """
    rows, cols = s.axes(x.shape, out.shape, g.shape)
    CG, OG = out.shape[2], out.shape[3] // s.groups
    xs, gs = x.tolist(), g.tolist()
    for kh, kw in ndindex(out.shape[:2]):
        places = [(h, i, oh, ow) for oh, h in rows.places(kh) for ow, i in cols.places(kw)]
        pairs = [(xs[n][h][i], gs[n][oh][ow]) for n in range(len(xs)) for h, i, oh, ow in places]
        for c, o in ndindex(out.shape[2:]):
            channel = o // OG * CG + c
            out[kh, kw, c, o] = sum(pixel[channel] * cotangent[o] for pixel, cotangent in pairs)
