"""A convolution, and batch norm in evaluation before its result is written: one launch and one pass over memory. And a
convolution that leaves the statistics that batch norm needs in training."""

from tinyres_kernels.cuda import conv, winograd
from tinyres_kernels.cuda.conv_measure import ONE, Measure, fans
from tinyres_kernels.cuda.conv_plan import choose
from tinyres_kernels.cuda.conv_tile import Norm, Tile, spares
from tinyres_kernels.cuda.counters import counters
from tinyres_kernels.cuda.host import blocks, check_contiguous, flat
from tinyres_kernels.cuda.norm import batch_norm, statistics
from tinyres_kernels.cuda.table import addresses
from tinyres_kernels.geometry import Pair, alike, check_norm, check_running, conv_axes
from tinyres_kernels.namespace import Array, namespace


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


def conv2d_statistics(
    x: Array,
    w: Array,
    out: Array,
    mean: Array,
    variance: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    batches: Array | None = None,
    new_mean: Array | None = None,
    new_var: Array | None = None,
    new_batches: Array | None = None,
    *,
    momentum: float = 0.0,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tile: Tile | None = None,
) -> Array:
    """out = conv2d(x, w), and its statistics as `batch_norm` finds them in training: mean, variance, running ones.

    In one launch where the convolution goes Winograd's way over even rows and columns, or by tiles, but the largest,
    and in one part; else the statistics have their own.
    """
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    check_contiguous(*(a for a in (out, mean, variance, new_mean, new_var, new_batches) if a is not None))
    pixels = out.reshape(-1, out.shape[3])
    check_norm(x=pixels, out=pixels, mean=mean, variance=variance)
    running = running_mean, running_var, batches, new_mean, new_var, new_batches
    check_running(pixels, True, *zip(running[:3], running[3:], strict=True))
    alike_in_memory = all(
        a is None or (a.dtype == ("int64" if a is batches or a is new_batches else out.dtype) and a.flags.c_contiguous)
        for a in (mean, variance, *running)
    )
    if x.size and out.size and alike_in_memory and (tile is not None or not conv._naive(x, w, out, groups)):
        gather = conv._asked(x, w, out, rows, cols, groups, False)
        plan = choose(gather, tile)
        then = Measure(*(a is not None for a in running[3:]))
        if isinstance(plan, winograd.Plan):
            within = all(size % 2 == 0 for size in out.shape[1:3])
            size, columns, lines = 4 * plan.block.tiles, plan.block.columns, 1
        else:
            within = plan.parts == 1 and spares(plan.tile)
            size, columns, lines = plan.tile.rows, plan.tile.columns, groups
        if within:
            of = blocks(len(pixels), size)
            each, lines = fans(of), lines * blocks(out.shape[3] // lines, columns)
            room = namespace(x, w, out).empty(2 * of * out.shape[3], out.dtype)
            there = (mean if a is None else a for a in running)  # which nobody touches
            room_at, *others = addresses([room, counters(x, lines * each), mean, variance, *there])
            given = each, room_at, round(momentum * ONE), *others
            if isinstance(plan, winograd.Plan):
                winograd.run(plan.block, x, w, out, (rows.padding, cols.padding), False, then, given)
            else:
                conv._gather(x, w, out, gather, plan, then, given)
            return out
    conv.conv2d(x, w, out, stride=stride, padding=padding, dilation=dilation, groups=groups, tile=tile)
    statistics(pixels, mean, variance, running, momentum=momentum)
    return out
