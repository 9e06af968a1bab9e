"""Every row of the table against PyTorch, in float64: values, gradients and second derivatives."""

from functools import partial

import numpy as np
import pytest

import tinyres as tr
from tests.ops.table import KEYS, MASK, REPEATED, ROWS
from tests.ops.table_images import GEOMETRIES, WON
from tests.ops.table_losses import CLASSES, PIXEL_CLASSES
from tinyres.autograd.tensor import wrap

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")
from tests.parity.counterparts import factorisations, layers, names  # noqa: E402 (it needs PyTorch)

F = torch.nn.functional

pytestmark = pytest.mark.parity
DIFFERENTIABLE = {row.id: row for row in ROWS if row.differentiable and not row.needs}


def indexed(key):
    """The same key with PyTorch's tensors of integers and of booleans."""
    if isinstance(key, tuple):
        return tuple(map(indexed, key))
    return torch.as_tensor(key) if isinstance(key, (np.ndarray, list)) else key


def getitem(key):
    if isinstance(key, tuple) and key and isinstance(key[0], slice) and (key[0].step or 1) < 0:
        return lambda x: torch.flip(x, (0,))  # PyTorch has no negative steps
    return lambda x: x[indexed(key)]


def linear(function, shape):
    """The adjoint of a linear function of an image of `shape`, as PyTorch differentiates it."""

    def adjoint(g, *more):
        x = torch.zeros(shape, dtype=g.dtype, requires_grad=True)
        return torch.autograd.grad(function(x, *more), x, g, create_graph=True)[0]

    return adjoint


def elementwise():
    yield from {
        "neg": torch.neg, "identity": lambda x: x * 1, "astype": lambda x: x * 1, "exp": torch.exp, "log": torch.log,
        "log1p": torch.log1p,
        "sqrt": torch.sqrt, "erf": torch.erf, "sign": lambda x: x * 0 + torch.sign(x), "abs": torch.abs,
        "add: a Python number": lambda x: x + 1.5, "sub: from a Python number": lambda x: 2 - x,
        "mul: a Python number": lambda x: 3 * x, "div: a Python number by it": lambda x: 2 / x,
        "mul: by itself": lambda x: x * x, "power: of negative numbers": lambda x: x**3,
        "pow: of a Python number": lambda x: 2.0**x, "pow: to a constant array": lambda x: x ** torch.tensor([2, 3]),
        "where": lambda a, b: torch.where(torch.as_tensor(MASK), a, b),
        "where: a number": lambda x: torch.where(x > 0, x, 0.5),
        "where: broadcast": lambda a, b: torch.where(torch.as_tensor(MASK), a, b),
        "maximum: a number": lambda x: x.clamp(min=0.1), "minimum: a number": lambda x: x.clamp(max=0.1),
        "clip": lambda x: x.clamp(-0.5, 0.7), "clip: only from below": lambda x: x.clamp(min=0.3),
        "clip: only from above": lambda x: x.clamp(max=0.3),
        "relu_dx": lambda dy: dy * torch.tensor([1, 0.25, 1, 0.25], dtype=dy.dtype),
        "relu": F.relu, "leaky_relu": F.leaky_relu, "leaky_relu: slope 0.3": lambda x: F.leaky_relu(x, 0.3),
        "elu": F.elu, "elu: alpha 0.4": lambda x: F.elu(x, 0.4), "tanh": torch.tanh, "sigmoid": torch.sigmoid,
        "softplus": F.softplus, "softplus: beta 2.5": lambda x: F.softplus(x, 2.5), "logsigmoid": F.logsigmoid,
        "smooth_dx: tanh": torch.ops.aten.tanh_backward, "smooth_dx: sigmoid": torch.ops.aten.sigmoid_backward,
        "smooth_dx: softplus": lambda dy, x: dy * torch.sigmoid(x),
        "silu": F.silu, "gelu": F.gelu, "gelu: tanh": lambda x: F.gelu(x, approximate="tanh"),
    }.items()  # fmt: skip
    for name in ("add", "sub", "mul", "div", "pow"):
        for case in ("same shapes", "broadcast", "with a number", "size 1"):
            yield f"{name}: {case}", getattr(torch, name)
    for name in ("maximum", "maximum: broadcast", "minimum", "minimum: broadcast"):
        yield name, getattr(torch, name.partition(":")[0])
    for p in (2, 3, -1, 1, 0.5, -1.5, 0):
        yield f"power: to the {p}", lambda x, p=p: x**p


def shapes():
    yield from {
        "reshape": lambda x: x.reshape(3, -1), "reshape: size-1 axes": lambda x: x.reshape(1, 6, 1),
        "reshape: nothing": lambda x: x.reshape(3, 0), "flatten": lambda x: x.flatten(1),
        "flatten to -2": lambda x: x.flatten(0, -2), "squeeze one": lambda x: x.squeeze(-2),
        "squeeze all": lambda x: x.squeeze(), "unsqueeze": lambda x: x.unsqueeze(-1),
        "permute": lambda x: x.permute(2, 0, -2), "permute: transpose all": lambda x: x.T,
        "permute: transpose two": lambda x: x.transpose(0, -1), "permute: .T": lambda x: x.T,
        "matrix_transpose": lambda x: x.mT, "expand": lambda x: x.expand(2, 2, -1),
        "expand: a number": lambda x: x.expand(2, 3), "expand: to nothing": lambda x: x.expand(0, 3),
        "flip": lambda x: x.flip(-1), "flip: all axes": lambda x: x.flip(0, 1),
        "concatenate": lambda *xs: torch.cat(xs, -1),
        "concatenate: one tensor twice": lambda x: torch.cat([x, x * 2, x]),
        "stack": lambda *xs: torch.stack(xs, -1), "split": lambda x: x.split(2, -1),
        "split sizes": lambda x: x.split([1, 0, 4], 1), "pad": lambda x: F.pad(x, (1, 2)),
        "pad: two axes": lambda x: F.pad(x, (1, 0, 2, 1)), "pad: with 7": lambda x: F.pad(x, (0, 1), value=7.0),
        "getitem: a tensor of integers": lambda x: x[torch.as_tensor(REPEATED)],
    }.items()  # fmt: skip
    for case, (key, shape) in KEYS.items():
        yield f"getitem: {case}", getitem(key)
        yield f"scatter_add: {case}", linear(getitem(key), shape)


def math_attention(q, k, v, causal):
    """PyTorch's, without its fused kernels, which have no second derivatives."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=0.7)


def joined_attention(x, causal):
    """Of one projection, whose row holds the queries, keys and values of 2 heads, 3 numbers each."""
    y = math_attention(*x.reshape(2, 4, 3, 2, 3).permute(2, 0, 3, 1, 4), causal)
    return y.transpose(1, 2).reshape(2, 4, 6)


def products_and_sums():
    for name in DIFFERENTIABLE:
        if name.startswith("matmul"):
            yield name, torch.matmul
        if name.startswith("linear"):
            yield name, F.linear
        if name.startswith("einsum "):
            yield name, partial(torch.einsum, name.removeprefix("einsum "))
    yield "matmul: with itself", lambda x: x @ x.T
    hows = {
        "all": {"dim": (0, 1, 2)}, "axis": {"dim": -2}, "dim kept": {"dim": 0, "keepdim": True},
        "two axes": {"dim": (0, -1)}, "all kept": {"dim": (0, 1, 2), "keepdim": True}, "size 1": {"dim": 1},
    }  # fmt: skip
    functions = {
        "sum": torch.sum, "mean": torch.mean, "var": torch.var, "max": torch.amax, "min": torch.amin,
        "biased var": lambda x, **how: torch.var(x, correction=0, **how), "logsumexp": torch.logsumexp,
    }  # fmt: skip
    for name, function in functions.items():
        for case, how in hows.items():
            if (name, case) not in (("var", "size 1"), ("biased var", "size 1")):
                yield f"{name}: {case}", lambda x, function=function, how=how: function(x, **how)
    for case, causal in {"every key": False, "causal": True}.items():
        yield (
            f"scaled_dot_product_attention: {case}",
            lambda q, k, v, causal=causal: math_attention(q, k, v, causal),
        )
        yield f"self_attention: {case}", lambda x, causal=causal: joined_attention(x, causal)
    for name, function in {"softmax": F.softmax, "log_softmax": F.log_softmax, "cumsum": torch.cumsum}.items():
        for axis in (-1, 0):
            yield f"{name}: axis {axis}", lambda x, function=function, axis=axis: function(x, dim=axis)
    for axis in (-1, 0):
        yield f"softmax_dx: axis {axis}", lambda dy, y, axis=axis: y * (dy - (y * dy).sum(axis, keepdim=True))
        yield (
            f"softmax_dx: logarithm, axis {axis}",
            lambda dy, y, axis=axis: dy - y.exp() * dy.sum(axis, keepdim=True),
        )


def images():
    def conv_dw(x, dy, w_shape, how):
        w = torch.zeros(w_shape, dtype=x.dtype, requires_grad=True)
        return torch.autograd.grad(F.conv2d(x, w, **how), w, dy, create_graph=True)[0]

    for case, (geometry, x, w) in GEOMETRIES.items():
        how = geometry._asdict()
        yield f"conv2d: {case}", lambda x, w, how=how: F.conv2d(x, w, **how)
        yield f"conv2d_dx: {case}", linear(lambda x, w, how=how: F.conv2d(x, w, **how), x)
        yield f"conv2d_dw: {case}", lambda x, dy, w=w, how=how: conv_dw(x, dy, w, how)

    def pool(size, stride, padding, counts):
        return lambda x: F.avg_pool2d(x, size, stride, padding, count_include_pad=counts)

    at = torch.as_tensor([row * 4 + column for row, column in WON])
    running = [torch.tensor(v, dtype=torch.float64) for v in ((0.1, -0.2), (2.0, 0.5))]
    yield from {
        "conv2d: with bias": F.conv2d,
        "conv2d_dx: conv_transpose2d": lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1),
        "max_pool2d": lambda x: F.max_pool2d(x, 2), "max_pool2d: dilated": lambda x: F.max_pool2d(x, 2, 1, 0, 2),
        "max_pool2d: overlapping, padded": lambda x: F.max_pool2d(x, (3, 2), 2, (1, 0)),
        "max_pool2d_take": lambda x: x.reshape(-1)[at].reshape(1, 1, 2, 3),
        "max_pool2d_dx": linear(lambda x: x.reshape(-1)[at].reshape(1, 1, 2, 3), (1, 1, 5, 4)),
        "avg_pool2d": pool(2, 2, 0, True), "avg_pool2d: overlapping, padding counts": pool(3, 2, 1, True),
        "avg_pool2d: padding does not count": pool(3, 2, 1, False),
        "avg_pool2d_dx: padding counts: True": linear(pool(3, 2, 1, True), (1, 2, 5, 4)),
        "avg_pool2d_dx: padding counts: False": linear(pool(3, 2, 1, False), (1, 2, 5, 4)),
        "upsample_nearest2d": lambda x: F.interpolate(x, scale_factor=(2, 3)),
        "adaptive_avg_pool2d (1, 1)": lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
        "adaptive_avg_pool2d (3, 2)": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        "adaptive_avg_pool2d (4, 4)": lambda x: F.adaptive_avg_pool2d(x, (4, 4)),
        "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        "batch_norm: of vectors, eps 0.1": lambda x, w, b: F.batch_norm(x, None, None, w, b, True, eps=0.1),
        "batch_norm: neither weight nor bias": lambda x: F.batch_norm(x, None, None, training=True),
        "batch_norm: and sum": lambda x, w, b, r: F.batch_norm(x, None, None, w, b, True) + r,
        "batch_norm: and sum and relu": lambda x, w, b, r: F.relu(F.batch_norm(x, None, None, w, b, True) + r),
        "batch_norm: in evaluation, and sum and relu": lambda x, w, b, r: (
            F.relu(F.batch_norm(x, *running, w, b, False) + r)
        ),
        "batch_norm: and relu": lambda x: F.relu(F.batch_norm(x, None, None, training=True)),
        "batch_norm: in evaluation": lambda x, w, b: F.batch_norm(x, *running, w, b, False),
    }.items()  # fmt: skip


def losses():
    classes, pixels = torch.as_tensor(CLASSES), torch.as_tensor(PIXEL_CLASSES)
    for name, start in (("cross_entropy", "cross_entropy: "), ("nll_loss", "nll_loss ")):
        f = getattr(F, name)
        yield f"{start}of pixels", lambda x, f=f: f(x, pixels)
        for reduction in ("mean", "sum", "none"):
            yield f"{start}{reduction}", lambda x, f=f, reduction=reduction: f(x, classes, reduction=reduction)
    for name, end in (("mse_loss", " "), ("l1_loss", " "), ("binary_cross_entropy_with_logits", ": ")):
        for reduction in ("mean", "sum", "none"):
            yield f"{name}{end}{reduction}", partial(getattr(F, name), reduction=reduction)
    for reduction, final in (("mean", torch.mean), ("sum", torch.sum), ("none", lambda v: v)):
        # PyTorch's own has no derivative in its target.
        yield (f"binary_cross_entropy {reduction}",
               lambda p, t, final=final: final(-(t * torch.log(p) + (1 - t) * torch.log1p(-p))))  # fmt: skip


FAMILIES = elementwise, shapes, products_and_sums, images, losses, names, factorisations, layers
THEIRS = dict(entry for family in FAMILIES for entry in family())


def parts(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


def test_every_row_has_a_counterpart():
    assert THEIRS.keys() == DIFFERENTIABLE.keys()


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", sorted(THEIRS))
def test_values_gradients_and_second_derivatives(name):
    """Second: the gradient of <gradient, r>, r random, in the inputs and in the cotangents."""
    row = DIFFERENTIABLE[name]
    arrays = row.inputs(seed=1)
    rng = np.random.default_rng(2)

    xs = [wrap(a).requires_grad_() for a in arrays]
    ys = parts(row.function(*xs))
    gs = [rng.standard_normal(y.shape) for y in ys]
    rs = [rng.standard_normal(a.shape) for a in arrays]
    us = [wrap(g).requires_grad_() for g in gs]
    plain = tr.grad(ys, xs, gs, retain_graph=True)  # by fused rules, where there are any; the next replays references
    first = tr.grad(ys, xs, us, create_graph=True)
    second = tr.grad(first, [*xs, *us], rs, allow_unused=True) if any(d.requires_grad for d in first) else []

    their_xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    their_ys = parts(THEIRS[name](*their_xs))
    their_us = [torch.tensor(g, requires_grad=True) for g in gs]
    their_first = torch.autograd.grad(their_ys, their_xs, their_us, create_graph=True)
    their_second = torch.autograd.grad(
        [d for d in their_first if d.requires_grad],
        [*their_xs, *their_us],
        [torch.tensor(r) for r, d in zip(rs, their_first, strict=True) if d.requires_grad],
        allow_unused=True,
    )

    def compare(ours, theirs):
        theirs = theirs.numpy(force=True)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)  # roundoff, and some 1000 times more

    for y, their_y in zip(ys, their_ys, strict=True):
        compare(y.detach().numpy(), their_y)
    for p, d, their_d in zip(plain, first, their_first, strict=True):
        compare(p.numpy(), their_d)
        compare(d.detach().numpy(), their_d)
    for x, ours, theirs in zip([*xs, *us], second, their_second, strict=True):
        zero = np.zeros(x.shape)
        compare(zero if ours is None else ours.numpy(), torch.tensor(zero) if theirs is None else theirs)
