"""The contract of every operation, written once: its arguments, the shapes that fit together, and empty cases.

Each function below has the signature of the kernels of its name. It checks the arguments, fills the results if
there is nothing to compute, and returns whether a kernel is needed. A *set of kernels* (`reference`, `im2col`, `cpu`,
`cuda`, or your own) consists of bodies alone:

    def relu(x, out, s):                # shapes fit, x has elements, out can be written in place; s is a `Relu`
        out[...] = np.maximum(x, 0) if s.slope == 0 else np.where(x > 0, x, s.slope * x)

    mine = kernel("relu", relu)         # what callers call: the contract, and then the body
    mine(x, out, Relu(0.1))             # returns out
    mine(x, out, slope=0.1)             # the same

Shapes that do not fit together raise ValueError, and mixed dtypes TypeError, before anything is written. The equations,
the meaning of each array and the costs are in the docstrings of `reference`; `settings` has the settings.
"""

from tinyres_kernels import contract_rows  # noqa: F401 (it declares the others)
from tinyres_kernels.dispatch import OPERATIONS, Kernel, Operation, kernel, operation, publish
from tinyres_kernels.fitting import alike, contiguous, line, there
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import (
    Adam,
    AvgPool,
    Conv,
    MaxPool,
    Norm,
    Relu,
    Rmsprop,
    Running,
    Sgd,
)

__all__ = ["OPERATIONS", "Kernel", "Operation", "kernel", "publish"]


def _some(out: Array, first: Array, second: Array) -> bool:
    """Whether sums over two arrays have terms; without any, out is zero."""
    contiguous(out)
    if first.size and second.size and out.size:
        return True
    out.fill(0)
    return False


# -- convolutions -----------------------------------------------------------------------------------------------------
@operation("out", Conv)
def conv2d(x: Array, w: Array, out: Array, s: Conv) -> bool:
    s.axes(x.shape, w.shape, out.shape)
    return _some(out, x, w)


@operation("out", Conv)
def conv2d_dx(g: Array, w: Array, out: Array, s: Conv) -> bool:
    s.axes(out.shape, w.shape, g.shape)
    return _some(out, g, w)


@operation("out", Conv)
def conv2d_dw(x: Array, g: Array, out: Array, s: Conv) -> bool:
    s.axes(x.shape, out.shape, g.shape)
    return _some(out, x, g)


# -- pools ------------------------------------------------------------------------------------------------------------
@operation("out index", MaxPool, index="int32")
def max_pool2d(x: Array, out: Array, index: Array, s: MaxPool) -> bool:
    s.axes(x.shape, out.shape)
    alike("out", out.shape, index=index)
    contiguous(out, index)
    return bool(out.size)


@operation("out", MaxPool, index="int32")
def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> bool:
    s.axes(out.shape, g.shape)
    alike("g", g.shape, index=index)
    contiguous(out)
    return bool(out.size)


@operation("out", MaxPool, index="int32")
def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> bool:
    s.axes(u.shape, out.shape)
    alike("out", out.shape, index=index)
    contiguous(out)
    return bool(out.size)


@operation("out", AvgPool)
def avg_pool2d(x: Array, out: Array, s: AvgPool) -> bool:
    s.axes(x.shape, out.shape)
    contiguous(out)
    return bool(out.size)


@operation("out", AvgPool)
def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> bool:
    s.axes(out.shape, g.shape)
    contiguous(out)
    return bool(out.size)


# -- batch norm -------------------------------------------------------------------------------------------------------
def matrix(x: Array) -> None:
    """Raises ValueError where x is not pixels by channels."""
    if x.ndim != 2:
        raise ValueError(f"x must be (M, C), pixels by channels, got {x.shape}")


def movable(x: Array, running: Running | None, training: bool) -> None:
    """Raises ValueError where these statistics cannot move: a variance of one pixel is none."""
    if running is None:
        return
    contiguous(*running[3:])
    for old, new, shape in zip(running[:3], running[3:], (x.shape[1:], x.shape[1:], (1,)), strict=True):
        if new is None:
            continue
        if not training or len(x) < 2:
            raise ValueError(
                f"running statistics move in training, with two pixels or more, got training={training} and {len(x)}"
            )
        if old is None or not old.shape == new.shape == shape:
            given = None if old is None else old.shape
            raise ValueError(f"a running statistic and its new value must both be {shape}, got {given} and {new.shape}")


@operation("out mean variance running", Norm)
def batch_norm(
    x: Array, weight: Array, bias: Array, residual: Array | None, out: Array, mean: Array, variance: Array,
    running: Running | None, s: Norm,
) -> bool:  # fmt: skip
    matrix(x)
    alike("x", x.shape, out=out, residual=residual)
    alike("channels", x.shape[1:], weight=weight, bias=bias, mean=mean, variance=variance)
    contiguous(out)
    if s.training:
        contiguous(mean, variance)
        if not len(x):
            raise ValueError("training needs at least one pixel, got none: an empty batch has no mean and no variance")
    movable(x, running, s.training)
    if not out.size and running is not None and running.new_batches is not None:
        running.new_batches[...] = running.batches + 1
    return bool(out.size)


@operation("out dweight dbias dresidual", Norm)
def batch_norm_dx(
    g: Array, x: Array, y: Array | None, weight: Array, bias: Array, mean: Array, variance: Array, out: Array,
    dweight: Array, dbias: Array, dresidual: Array | None, s: Norm,
) -> bool:  # fmt: skip
    matrix(x)
    alike("x", x.shape, g=g, y=y, out=out, dresidual=dresidual)
    alike("channels", x.shape[1:], weight=weight, bias=bias, mean=mean, variance=variance, dweight=dweight, dbias=dbias)
    contiguous(out, dweight, dbias, dresidual)
    if out.size:
        return True
    dweight.fill(0)
    dbias.fill(0)
    return False


# -- losses -----------------------------------------------------------------------------------------------------------
def _rows(x: Array, target: Array, losses: Array, probabilities: Array) -> None:
    if x.ndim != 2 or probabilities.shape != x.shape or not target.shape == losses.shape == x.shape[:1]:
        raise ValueError(
            f"{x.shape} and {probabilities.shape} with {target.shape} and {losses.shape}: needed are (M, C) twice, "
            "for logits and probabilities, and (M,) twice, for classes and losses"
        )
    if len(x) and not x.size:
        raise ValueError(f"{len(x)} rows of no class at all have no loss: got logits {x.shape}")


@operation("out probabilities", target="int64")
def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> bool:
    _rows(x, target, out, probabilities)
    contiguous(out, probabilities)
    return bool(x.size)


@operation("out", target="int64")
def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> bool:
    _rows(out, target, g, probabilities)
    contiguous(out)
    return bool(out.size)


@operation("out")
def bce_with_logits(x: Array, target: Array, out: Array) -> bool:
    alike("x", x.shape, target=target, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out")
def bce_with_logits_dx(g: Array, x: Array, target: Array, out: Array) -> bool:
    alike("x", x.shape, g=g, target=target, out=out)
    contiguous(out)
    return bool(out.size)


# -- steps of optimisers: any order of axes without gaps will do, which is the kernels' own to see --------------------
@operation("out new_buffer", Sgd)
def sgd(p: Array, g: Array, buffer: Array | None, out: Array, new_buffer: Array | None, s: Sgd) -> bool:
    alike("p", p.shape, g=g, buffer=buffer, out=out, new_buffer=new_buffer)
    return bool(p.size)


@operation("out new_m new_v", Adam)
def adam(
    p: Array, g: Array, m: Array | None, v: Array | None, out: Array, new_m: Array, new_v: Array, s: Adam
) -> bool:  # fmt: skip
    there("adam", new_m=new_m, new_v=new_v)
    alike("p", p.shape, g=g, m=m, v=v, out=out, new_m=new_m, new_v=new_v)
    return bool(p.size)


@operation("out new_v new_a new_b", Rmsprop)
def rmsprop(
    p: Array, g: Array, v: Array | None, a: Array | None, b: Array | None, out: Array, new_v: Array,
    new_a: Array | None, new_b: Array | None, s: Rmsprop,
) -> bool:  # fmt: skip
    there("rmsprop", new_v=new_v)
    alike("p", p.shape, g=g, v=v, a=a, b=b, out=out, new_v=new_v, new_a=new_a, new_b=new_b)
    return bool(p.size)


# -- lines and matrices -----------------------------------------------------------------------------------------------
@operation("out")
def add(a: Array, b: Array, out: Array) -> bool:
    line(a)
    alike("a", a.shape, b=b, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out", Relu)
def relu(x: Array, out: Array, s: Relu) -> bool:
    line(x)
    alike("x", x.shape, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out", Relu)
def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> bool:
    line(g)
    alike("g", g.shape, y=y, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out")
def linear(x: Array, w: Array, b: Array | None, out: Array) -> bool:
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"shapes must agree, got x {x.shape} and w {w.shape}: needed are (M, K) and (N, K)")
    alike("columns", w.shape[:1], b=b)
    alike("product", (x.shape[0], w.shape[0]), out=out)
    contiguous(out)
    if out.size and not x.shape[1]:
        out[...] = 0 if b is None else b
    return bool(out.size and x.shape[1])


@operation("out")
def column_sums(x: Array, out: Array) -> bool:
    matrix(x)
    alike("columns", x.shape[1:], out=out)
    contiguous(out)
    if not x.size:
        out.fill(0)
    return bool(x.size)


@operation("out")
def matmul(a: Array, b: Array, out: Array) -> bool:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"shapes must agree, got a {a.shape} and b {b.shape}: needed are (M, K) and (K, N)")
    alike("product", (a.shape[0], b.shape[1]), out=out)
    return _some(out, a, b)
