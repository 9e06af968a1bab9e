"""The sum of two arrays, and the ReLU with its adjoint: one number a thread."""

from tinyres_kernels.cuda.host import THREADS, blocks, check_contiguous, cuda, flat, jit, kernel, launch, real
from tinyres_kernels.geometry import alike
from tinyres_kernels.namespace import Array


@kernel("rrr")
def add_kernel(real):
    @jit
    def add_kernel(a, b, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = a[i] + b[i]

    return add_kernel


@kernel("rrs")
def relu_kernel(real):
    @jit
    def relu_kernel(x, out, slope):
        i = cuda.grid(1)
        if i < out.size:
            value = x[i]
            if value <= real(0):  # a NaN is not, and stays
                value = value * slope if slope != real(0) else real(0)
            out[i] = value

    return relu_kernel


@kernel("rrrs")
def relu_dx_kernel(real):
    @jit
    def relu_dx_kernel(g, y, out, slope):
        i = cuda.grid(1)
        if i < out.size:
            value = g[i]
            if not y[i] > real(0):
                value = value * slope if slope != real(0) else real(0)
            out[i] = value

    return relu_dx_kernel


def add(a: Array, b: Array, out: Array) -> Array:
    """`reference.add`. 12 M bytes in float32."""
    alike(a=a.shape, b=b.shape, out=out.shape)
    check_contiguous(out)
    if out.size:
        launch(add_kernel(real(out)), blocks(out.size), THREADS, flat(a), flat(b), out)
    return out


def relu(x: Array, out: Array, *, slope: float) -> Array:
    """`reference.relu`. 8 M bytes in float32."""
    alike(x=x.shape, out=out.shape)
    check_contiguous(out)
    if out.size:
        launch(relu_kernel(real(out)), blocks(out.size), THREADS, flat(x), out, real(out)(slope))
    return out


def relu_dx(g: Array, y: Array, out: Array, *, slope: float) -> Array:
    """`reference.relu_dx`. 12 M bytes in float32."""
    alike(g=g.shape, y=y.shape, out=out.shape)
    check_contiguous(out)
    if out.size:
        launch(relu_dx_kernel(real(out)), blocks(out.size), THREADS, flat(g), flat(y), out, real(out)(slope))
    return out
