"""A convolution, and batch norm in evaluation before its result is written: one launch and one pass over memory. And a
convolution that leaves the statistics that batch norm needs in training."""

from tinyres_kernels import contract, fitting
from tinyres_kernels.cuda import conv, winograd
from tinyres_kernels.cuda.conv_measure import ONE, Measure, fans
from tinyres_kernels.cuda.conv_plan import choose
from tinyres_kernels.cuda.conv_tile import Norm as Then
from tinyres_kernels.cuda.conv_tile import Tile, spares
from tinyres_kernels.cuda.counters import counters
from tinyres_kernels.cuda.host import blocks, flat
from tinyres_kernels.cuda.norm import batch_norm, statistics
from tinyres_kernels.cuda.table import addresses
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Conv, Norm, Running


def conv2d_norm(
    x: Array, w: Array, out: Array, weight: Array, bias: Array, mean: Array, variance: Array, residual: Array | None,
    s: Conv, norm: Norm, tile: Tile | None = None,
) -> Array:  # fmt: skip
    """out = batch_norm(conv2d(x, w), weight, bias, residual, mean, variance), without training; residual as out.

    In one launch where the convolution goes by tiles, but the largest, and in one part; else batch norm has its own.
    """
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    fitting.alike("out", out.shape, residual=residual)
    pixels = out.reshape(-1, out.shape[3])
    added = None if residual is None else flat(residual).reshape(-1, residual.shape[-1])
    normalises = contract.batch_norm(pixels, weight, bias, added, pixels, mean, variance, None, norm)
    if contract.conv2d(x, w, out, s):
        if tile is not None or not conv._naive(x, w, out, s.groups):
            gather = conv._asked(x, w, out, rows, cols, s.groups, False)
            plan = choose(gather, tile)
            if not isinstance(plan, winograd.Plan) and plan.parts == 1 and spares(plan.tile):
                read = [flat(a.astype(out.dtype, copy=False)) for a in (mean, variance, weight, bias)]
                read += [] if added is None else [flat(added.astype(out.dtype, copy=False))]
                then = Then(float(norm.eps), added is not None, bool(norm.relu))
                conv._gather(x, w, out, gather, plan, then, (*addresses(read), *([0] if added is None else [])))
                return out
        conv.conv2d(x, w, out, s, tile)
    if normalises:
        batch_norm(pixels, weight, bias, added, pixels, mean, variance, None, norm)
    return out


def conv2d_statistics(
    x: Array, w: Array, out: Array, mean: Array, variance: Array, running: Running | None, s: Conv, momentum: float,
    tile: Tile | None = None,
) -> Array:  # fmt: skip
    """out = conv2d(x, w), and its statistics as `batch_norm` finds them in training: mean, variance, running ones.

    In one launch where the convolution goes Winograd's way over even rows and columns, or by tiles, but the largest,
    and in one part; else the statistics have their own.
    """
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    pixels, kept = out.reshape(-1, out.shape[3]), running or Running()
    fitting.alike("channels", pixels.shape[1:], mean=mean, variance=variance)
    fitting.contiguous(mean, variance)
    contract.movable(pixels, running, True)
    convolves = contract.conv2d(x, w, out, s)
    alike_in_memory = all(
        a is None
        or (a.dtype == ("int64" if a is kept.batches or a is kept.new_batches else out.dtype) and a.flags.c_contiguous)
        for a in (mean, variance, *kept)
    )
    if convolves and alike_in_memory and (tile is not None or not conv._naive(x, w, out, s.groups)):
        gather = conv._asked(x, w, out, rows, cols, s.groups, False)
        plan = choose(gather, tile)
        then = Measure(*(a is not None for a in kept[3:]))
        if isinstance(plan, winograd.Plan):
            within = all(size % 2 == 0 for size in out.shape[1:3])
            size, columns, lines = 4 * plan.block.tiles, plan.block.columns, 1
        else:
            within = plan.parts == 1 and spares(plan.tile)
            size, columns, lines = plan.tile.rows, plan.tile.columns, s.groups
        if within:
            of = blocks(len(pixels), size)
            each, lines = fans(of), lines * blocks(out.shape[3] // lines, columns)
            room = namespace(x, w, out).empty(2 * of * out.shape[3], out.dtype)
            there = (mean if a is None else a for a in kept)  # which nobody touches
            room_at, *others = addresses([room, counters(x, lines * each), mean, variance, *there])
            given = each, room_at, round(momentum * ONE), *others
            if isinstance(plan, winograd.Plan):
                winograd.run(plan.block, x, w, out, (rows.padding, cols.padding), False, then, given)
            else:
                conv._gather(x, w, out, gather, plan, then, given)
            return out
    if convolves:
        conv.conv2d(x, w, out, s, tile)
    statistics(pixels, mean, variance, kept, momentum=momentum)
    return out
