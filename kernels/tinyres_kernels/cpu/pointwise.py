"""1x1 convolutions as products of matrices: pixels by channels, times channels by channels.

At a stride the pixels that are read are gathered first, and conv2d_dx spreads its result over the image, with zeros
between.
"""

from math import prod

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.emit import clear, copy
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.matmul import matmul
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Conv

SAME_SET = 4096  # bytes between pixels, from which on those of a tile displace each other in the nearest cache


def _can(kernel: Pair, s: Conv) -> bool:
    """Whether each pixel is a product by itself, and of all of them one of matrices."""
    return kernel == (1, 1) and s.groups == 1 and s.padding == (0, 0)


def taken(
    kernel: Pair, channels: Pair, itemsize: int, s: Conv, machine: Machine, choices: Choices, *, gathered: bool
) -> bool:
    """For conv2d and conv2d_dx. channels: that are read, and that are written; gathered: whether pixels are, first.

    The direct way reads the images again for every two vectors that are written, which costs less than to gather them.
    But where pixels have many channels, too few of them fit the cache.
    """
    again = channels[1] > 2 * machine.lanes(itemsize) and not gathered
    return choices.take("blas", _can(kernel, s), again or channels[0] * itemsize >= SAME_SET)


def taken_for_sums(kernel: Pair, channels: Pair, g: Shape, s: Conv, machine: Machine, choices: Choices) -> bool:
    """For conv2d_dw of cotangents g (N, OH, OW, O)."""
    # BLAS sums some hundreds of pixels at a time. Of small images `outer` sums fewer, and rounds less; so do our tiles.
    tiles = min(*channels, prod(g[:3])) < choices.limit("tiles_most")
    can = _can(kernel, s) and (tiles or g[1] * g[2] >= choices.limit("pixels"))
    # Threads share out the channels that are read, and each lays out all of g. `outer` shares out the images.
    alone = machine.threads == 1 or g[0] < machine.threads
    share = alone or channels[0] >= machine.threads * choices.limit("product_share")
    return choices.take("blas", can, share and min(channels) >= choices.limit("product_channels"))


def plan(first: Shape, second: Shape, stride: Pair, itemsize: int, machine: Machine, choices: Choices) -> Plan:
    """For the product of these matrices."""
    product = PLANNERS["matmul"]((first, second), itemsize, machine, choices, None)
    some = stride != (1, 1)
    threads = machine.threads_for(32 * prod(first), choices) if some else product.threads
    return Plan("product", ("some pixels",) if some else (), threads, stride, parts=(product,))


@kernel
def _gather(t, threads, x, out, image, result, stride):
    _, H, W, C = image
    N, OH, OW, _ = result
    for line in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, h = line // OH, line % OH
        for w in range(OW):
            copy(out, (line * OW + w) * C, x, ((n * H + h * stride[0]) * W + w * stride[1]) * C, C)


@kernel
def _spread(t, threads, pixels, out, image, result, stride):
    N, H, W, C = image
    _, OH, OW, _ = result
    for line in range(N * H * t // threads, N * H * (t + 1) // threads):
        n, h = line // H, line % H
        done = 0
        for w in range(OW if h % stride[0] == 0 else 0):
            at = w * stride[1]
            clear(out, (line * W + done) * C, (at - done) * C)
            copy(out, (line * W + at) * C, pixels, ((n * OH + h // stride[0]) * OW + w) * C, C)
            done = at + 1
        clear(out, (line * W + done) * C, (W - done) * C)


def _read(plan: Plan, x: Array, result: Shape) -> Array:
    """The pixels of x that windows read, (N OH OW, C)."""
    C = x.shape[3]
    if plan.how == (1, 1):
        return x.reshape(-1, C)
    pixels = scratch("images", x.dtype, prod(result[:3]) * C)
    _gather(plan.threads, flat(x), pixels, x.shape, result, plan.how)
    return pixels.reshape(-1, C)


def convolve(plan: Plan, x: Array, w: Array, out: Array) -> bool:
    """out (N, OH, OW, O) = conv2d(x, w)."""
    matmul(_read(plan, x, out.shape), w[0, 0], out.reshape(-1, out.shape[3]))
    return True


def convolve_dx(plan: Plan, g: Array, w: Array, out: Array) -> bool:
    """out (N, H, W, C) = conv2d_dx(g, w)."""
    C, g_rows = out.shape[3], g.reshape(-1, g.shape[3])
    if plan.how == (1, 1):
        matmul(g_rows, w[0, 0].T, out.reshape(-1, C))
        return True
    pixels = scratch("images", out.dtype, len(g_rows) * C)
    matmul(g_rows, w[0, 0].T, pixels.reshape(-1, C))
    _spread(plan.threads, pixels, out.reshape(-1), out.shape, g.shape, plan.how)
    return True


def weight_gradient(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    """out (1, 1, C, O) = the sum over pixels of x times g."""
    matmul(_read(plan, x, g.shape).T, g.reshape(-1, g.shape[3]), out[0, 0])
    return True
