"""A convolution, and batch norm in evaluation before its result is written: one launch and one pass over memory."""

from tinyres_kernels.cuda import conv, winograd
from tinyres_kernels.cuda.conv_plan import choose
from tinyres_kernels.cuda.conv_tiled import Norm, Tile, spares
from tinyres_kernels.cuda.host import check_contiguous, flat
from tinyres_kernels.cuda.norm import batch_norm
from tinyres_kernels.cuda.table import addresses
from tinyres_kernels.geometry import Pair, alike, check_norm, conv_axes
from tinyres_kernels.namespace import Array


def conv2d_norm(
    x: Array,
    w: Array,
    out: Array,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    residual: Array | None = None,
    *,
    eps: float,
    relu: bool,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tile: Tile | None = None,
) -> Array:
    """out = batch_norm(conv2d(x, w), weight, bias, residual, mean, variance), without training; residual as out.

    In one launch where the convolution goes by tiles, but the largest, and in one part; else batch norm has its own.
    """
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    check_contiguous(out)
    alike(out=out.shape, **({} if residual is None else {"residual": residual.shape}))
    pixels = out.reshape(-1, out.shape[3])
    added = None if residual is None else flat(residual).reshape(-1, residual.shape[-1])
    check_norm(x=pixels, out=pixels, residual=added, weight=weight, bias=bias, mean=mean, variance=variance)
    if x.size and out.size and (tile is not None or not conv._naive(x, w, out, groups)):
        gather = conv._asked(x, w, out, rows, cols, groups, False)
        plan = choose(gather, tile)
        if not isinstance(plan, winograd.Plan) and plan.parts == 1 and spares(plan.tile):
            read = [flat(a.astype(out.dtype, copy=False)) for a in (mean, variance, weight, bias)]
            read += [] if added is None else [flat(added.astype(out.dtype, copy=False))]
            then = Norm(float(eps), added is not None, bool(relu))
            conv._gather(x, w, out, gather, plan, then, (*addresses(read), *([0] if added is None else [])))
            return out
    conv.conv2d(x, w, out, stride=stride, padding=padding, dilation=dilation, groups=groups, tile=tile)
    batch_norm(pixels, weight, bias, added, pixels, mean, variance, eps=eps, training=False, relu=relu)
    return out
