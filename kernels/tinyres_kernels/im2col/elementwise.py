"""The sum of two arrays, and the ReLU with its adjoint, in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Relu


def add(a: Array, b: Array, out: Array) -> None:
    """`reference.add`. 12 M bytes in float32."""
    namespace(a, b).add(a, b, out=out)


def relu(x: Array, out: Array, s: Relu) -> None:
    """`reference.relu`. 8 M bytes in float32, 30 with a slope."""
    xp = namespace(x)
    if s.slope:
        out[...] = xp.where(x <= 0, x * x.dtype.type(s.slope), x)
    else:
        xp.maximum(x, 0, out=out)


def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> None:
    """`reference.relu_dx`. 17 M bytes in float32, 25 with a slope."""
    out[...] = namespace(g, y).where(y > 0, g, g * g.dtype.type(s.slope) if s.slope else g.dtype.type(0))
