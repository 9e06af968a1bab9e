"""The sum of two arrays, and the ReLU with its adjoint: four numbers a thread, or one where they lie awkwardly.

Nothing is computed here to speak of, so memory sets the pace: a thread that asks for 16 bytes at once keeps four times
as much under way as one that asks for four. The last thread takes what is left one by one.
"""

from tinyres_kernels.cuda.host import (
    THREADS,
    blocks,
    cuda,
    flat,
    helper,
    jit,
    kernel,
    launch,
    real,
    wide,
)
from tinyres_kernels.cuda.words import load4, store4
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Relu


@kernel("rrr")
def add_kernel(real, width=1):
    @jit
    def add_kernel(a, b, out):
        i = cuda.grid(1) * width
        if width == 4 and i + 4 <= out.size:
            a0, a1, a2, a3 = load4(a, i)
            b0, b1, b2, b3 = load4(b, i)
            store4(out, i, a0 + b0, a1 + b1, a2 + b2, a3 + b3)
        else:
            for j in range(i, min(i + width, out.size)):
                out[j] = a[j] + b[j]

    return add_kernel


@helper
def leaned(value, positive, slope, zero):
    """value where its sign is positive, or else its share, where 0 times an infinity is 0."""
    if positive:
        return value
    return value * slope if slope != zero else zero


@kernel("rrs")
def relu_kernel(real, width=1):
    zero = real(0)

    @helper
    def of(value, slope):
        return leaned(value, not value <= zero, slope, zero)  # a NaN is not, and stays

    @jit
    def relu_kernel(x, out, slope):
        i = cuda.grid(1) * width
        if width == 4 and i + 4 <= out.size:
            a, b, c, d = load4(x, i)
            store4(out, i, of(a, slope), of(b, slope), of(c, slope), of(d, slope))
        else:
            for j in range(i, min(i + width, out.size)):
                out[j] = of(x[j], slope)

    return relu_kernel


@kernel("rrrs")
def relu_dx_kernel(real, width=1):
    zero = real(0)

    @helper
    def of(value, sign, slope):
        return leaned(value, sign > zero, slope, zero)

    @jit
    def relu_dx_kernel(g, y, out, slope):
        i = cuda.grid(1) * width
        if width == 4 and i + 4 <= out.size:
            a, b, c, d = load4(g, i)
            y0, y1, y2, y3 = load4(y, i)
            store4(out, i, of(a, y0, slope), of(b, y1, slope), of(c, y2, slope), of(d, y3, slope))
        else:
            for j in range(i, min(i + width, out.size)):
                out[j] = of(g[j], y[j], slope)

    return relu_dx_kernel


def _launch(make: object, lines: tuple[Array, ...], *numbers: object) -> None:
    """A kernel over lines of one length, the last of which is written."""
    width = wide(*lines)
    made = make(real(lines[-1]), width)  # type: ignore[operator]
    launch(made, blocks(lines[-1].size, THREADS * width), THREADS, *lines, *numbers)


def add(a: Array, b: Array, out: Array) -> None:
    """`reference.add`. 12 M bytes in float32."""
    _launch(add_kernel, (flat(a), flat(b), flat(out)))


def relu(x: Array, out: Array, s: Relu) -> None:
    """`reference.relu`. 8 M bytes in float32."""
    _launch(relu_kernel, (flat(x), flat(out)), real(out)(s.slope))


def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> None:
    """`reference.relu_dx`. 12 M bytes in float32."""
    _launch(relu_dx_kernel, (flat(g), flat(y), flat(out)), real(out)(s.slope))
