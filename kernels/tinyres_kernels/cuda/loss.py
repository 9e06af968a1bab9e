"""Losses and their gradients: a few threads a row of logits, or one a number."""

from math import exp, log, log1p, nan

from tinyres_kernels.cuda.host import THREADS, blocks, cuda, flat, jit, kernel, lanes, launch, real
from tinyres_kernels.im2col.loss import softmax as softmax
from tinyres_kernels.im2col.loss import softmax_dx as softmax_dx
from tinyres_kernels.namespace import Array


@kernel("RlrR")
def cross_entropy_kernel(real):
    """A block is as wide as a warp, or as a row where that is narrower: thread (tx, ty) takes every so many-th class
    of row ty. What the threads of a row find is brought together in halves, a tree whose shape is always the same.

    A class that there is not has the loss NaN, and so its row of probabilities: nobody waits for an answer from the
    device to raise an error."""

    @jit
    def cross_entropy_kernel(x, target, out, probabilities):
        shared = cuda.shared.array(THREADS, real)
        tx, ty, across = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.x
        m, own = cuda.blockIdx.x * cuda.blockDim.y + ty, ty * across + tx
        M, C = x.shape
        row = min(m, M - 1)  # threads below the last row work along: all must arrive at the barriers
        top = x[row, min(tx, C - 1)]
        for c in range(tx, C, across):
            value = x[row, c]
            if value > top or value != value:  # nothing is larger than a NaN
                top = value
        shared[own] = top
        cuda.syncthreads()
        half = across // 2
        while half > 0:
            if tx < half:
                value = shared[own + half]
                if value > shared[own] or value != value:
                    shared[own] = value
            cuda.syncthreads()
            half //= 2
        top = shared[ty * across]
        cuda.syncthreads()  # all have read the maximum: its place may be used again

        total = real(0)
        for c in range(tx, C, across):
            total += real(exp(x[row, c] - top))
        shared[own] = total
        cuda.syncthreads()
        half = across // 2
        while half > 0:
            if tx < half:
                shared[own] += shared[own + half]
            cuda.syncthreads()
            half //= 2
        total = shared[ty * across]
        if m < M:
            right = target[m]
            if right < 0 or right >= C:
                right, total = 0, real(nan)
            for c in range(tx, C, across):
                probabilities[m, c] = real(exp(x[m, c] - top)) / total
            if tx == 0:
                out[m] = real(log(total)) - (x[m, right] - top)

    return cross_entropy_kernel


@kernel("rRlR")
def cross_entropy_dx_kernel(real):
    @jit
    def cross_entropy_dx_kernel(g, probabilities, target, out):
        i = cuda.grid(1)
        M, C = out.shape
        if i < M * C:
            m, c = i // C, i % C
            value = probabilities[m, c]
            if c == target[m]:
                value -= real(1)
            out[m, c] = g[m] * value

    return cross_entropy_dx_kernel


@kernel("rrr")
def bce_with_logits_kernel(real):
    @jit
    def bce_with_logits_kernel(x, target, out):
        i = cuda.grid(1)
        if i < out.size:
            value, t = x[i], target[i]
            shared = real(log1p(real(exp(-abs(value)))))
            more = shared + value if value > real(0) else shared  # softplus(x)
            less = shared if value > real(0) else shared - value  # softplus(-x)
            out[i] = t * less + (real(1) - t) * more

    return bce_with_logits_kernel


@kernel("rrrr")
def bce_with_logits_dx_kernel(real):
    @jit
    def bce_with_logits_dx_kernel(g, x, target, out):
        i = cuda.grid(1)
        if i < out.size:
            value, t = x[i], target[i]
            power = real(exp(-abs(value)))
            yes = real(1) if value > real(0) else power
            no = power if value > real(0) else real(1)
            out[i] = g[i] * (((real(1) - t) * yes - t * no) / (real(1) + power))

    return bce_with_logits_dx_kernel


def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> None:
    """`reference.cross_entropy`; x is read three times, the second and third from a cache."""
    across, down = lanes(x.shape[1])
    launch(cross_entropy_kernel(real(out)), blocks(len(x), down), (across, down), x, target, out, probabilities)


def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> None:
    """`reference.cross_entropy_dx`. 8 M C bytes in float32."""
    launch(cross_entropy_dx_kernel(real(out)), blocks(out.size), THREADS, g, probabilities, target, out)


def bce_with_logits(x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits`. 12 bytes a number in float32."""
    launch(bce_with_logits_kernel(real(out)), blocks(out.size), THREADS, flat(x), flat(target), flat(out))


def bce_with_logits_dx(g: Array, x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits_dx`. 16 bytes a number in float32."""
    arrays = map(flat, (g, x, target, out))
    launch(bce_with_logits_dx_kernel(real(out)), blocks(out.size), THREADS, *arrays)
