"""What the engine chooses by the layout, the dtype and the shape of arrays: the same numbers come out."""

import numpy as np
import pytest

import tinyres as tr
from tests.each import for_each
from tinyres import optim
from tinyres.autograd.tensor import wrap
from tinyres.ops.long_sum import LONG, PART, drifts

DTYPES = ["float16", "float32", "float64"]
LAYOUTS = {
    "as it comes": lambda a: np.ascontiguousarray(a),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


def leaf(array):
    """A leaf on this very array: `tr.tensor` would copy it into C order."""
    return wrap(array).requires_grad_()


def images(layout, dtype="float64", shape=(3, 5, 6, 7)):
    a = np.random.default_rng(0).standard_normal(shape)
    made = {
        "channels first": np.ascontiguousarray(a),
        "channels last": np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "every other": np.repeat(a, 2, axis=-1)[..., ::2],
        "axes reversed": np.ascontiguousarray(a.T).T,
    }[layout]
    return made.astype(dtype)  # which keeps the order of the axes


ON_IMAGES = {
    "conv2d": lambda x: tr.conv2d(x, np.random.default_rng(1).standard_normal((4, 5, 3, 3)).astype(x.dtype), padding=1),
    "conv_transpose2d": lambda x: tr.conv_transpose2d(
        x, np.random.default_rng(1).standard_normal((5, 2, 4, 4)).astype(x.dtype), stride=2
    ),
    "max_pool2d": lambda x: tr.max_pool2d(x, 3, 2, padding=1),
    "avg_pool2d": lambda x: tr.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
    "batch_norm": lambda x: tr.batch_norm(x, residual=2 * x, relu=True),
    "cross_entropy": lambda x: tr.cross_entropy(x, np.arange(3 * 42).reshape(3, 6, 7) % 5, reduction="none"),
    "bce": lambda x: tr.binary_cross_entropy_with_logits(x, np.full(x.shape, 0.3), reduction="none"),
    "adaptive 1": lambda x: tr.adaptive_avg_pool2d(x, 1),
    "adaptive 2": lambda x: tr.adaptive_avg_pool2d(x, 2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["channels first", "channels last", "every other", "axes reversed"])
@pytest.mark.parametrize("op", ON_IMAGES)
def test_operations_on_images(op, layout, dtype):
    """float16 is no dtype of the compiled kernels; what is narrower than float64 differs by its own rounding."""
    found, expected = [], []
    for into, kind, of in ((found, dtype, layout), (expected, "float64", "channels first")):
        x = leaf(images("channels first", dtype).astype(kind) if into is expected else images(of, kind))
        y = ON_IMAGES[op](x)
        g = np.random.default_rng(2).standard_normal(y.shape).astype(dtype).astype(kind)
        if into is found:
            g = np.ascontiguousarray(g.T).T  # no layout that any kernel takes
        into += [y.numpy(), *(d.numpy() for d in tr.grad(y, x, g))]
        assert y.dtype == kind
    tolerance = {"float16": 3e-2, "float32": 1e-4, "float64": 1e-12}[dtype]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.AdamW(p, lr=0.1),
        lambda p: optim.RMSprop(p, lr=0.1),
        lambda p: optim.RMSprop(p, lr=0.1, centered=True, momentum=0.9),
    ],
    ids=["sgd", "adam", "adamw", "rmsprop", "rmsprop, centred"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])  # in float16 an eps of 1e-8 is 0
@for_each("of_g", ["as it comes", "transposed", "every other", "backwards", "broadcast"])
@for_each("of_p", ["as it comes", "transposed", "every other", "backwards"])
def test_an_optimisers_step_in_any_layout(make, of_p, of_g, dtype):
    rng = np.random.default_rng(0)
    p, gradients = rng.standard_normal((6, 5)), rng.standard_normal((3, 6, 5))
    rounded = p.astype(dtype), gradients.astype(dtype)

    def stepped(kind, in_p, in_g):
        parameter = leaf(LAYOUTS[in_p](rounded[0].astype(kind)))
        optimizer = make([parameter])
        for g in rounded[1]:
            parameter.grad = leaf(LAYOUTS[in_g](np.broadcast_to(g[:1], g.shape).astype(kind) if of_g == "broadcast" else
                                                g.astype(kind)))  # fmt: skip
            optimizer.step()
        assert parameter.dtype == kind
        return parameter.numpy()

    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    expected = stepped("float64", "as it comes", "as it comes")
    np.testing.assert_allclose(stepped(dtype, of_p, of_g), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", [3, 200])
@pytest.mark.parametrize("other", [(), (1,), ("n",), (1, "n"), ("n", 1), (2, "n", "n"), (2, 1, 1)])
def test_broadcasting_is_undone(n, other):
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(-4, 5, (n, n)).astype("f"),
        rng.integers(-4, 5, [n if k == "n" else k for k in other]).astype("d"),
    )
    x, w = leaf(a), leaf(b)
    y = x * w
    g = rng.integers(-4, 5, y.shape).astype("d")
    dx, dw = tr.grad(y, [x, w], g)
    assert (y.dtype, dx.dtype, dw.dtype) == ("float64", "float32", "float64")
    for found, own, partner in ((dx, a, b), (dw, b, a)):
        whole = np.broadcast_to(g * partner, y.shape)
        axes = tuple(
            k for k in range(y.ndim) if k < y.ndim - own.ndim or own.shape[k - y.ndim + own.ndim] == 1 < y.shape[k]
        )
        np.testing.assert_array_equal(found.numpy(), whole.sum(axis=axes).reshape(own.shape))


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, -1])
def test_powers(p):
    a, g = np.array([0.5, 2.0, 3.0], "f"), np.array([1.0, -2.0, 0.5], "f")
    x = leaf(a)
    y = x**p
    (dx,) = tr.grad(y, x, g, create_graph=True)
    np.testing.assert_allclose(y.numpy(), a.astype("d") ** p, rtol=1e-6)
    np.testing.assert_allclose(dx.numpy(), g * p * a.astype("d") ** (p - 1.0), rtol=1e-6)


SUMMED = {
    "rows": ((LONG, 3), (0,), False),
    "more rows": ((LONG + 1, 3), (0,), True),
    "many rows": ((2 * LONG + 5, 3), (0,), True),
    "very many rows, of which parts of parts": ((LONG**2 + LONG + 7, 2), (0,), True),
    "pixels": ((64, 64, 3), (0, 1), False),
    "more pixels": ((65, 64, 3), (0, 1), True),
    "images": ((9, 40, 50, 2), (0, 1, 2), True),
    "columns": ((3, 5 * LONG), (1,), False),
    "columns between": ((2, 5 * LONG, 2), (1,), True),
    "everything": ((5 * LONG, 3), (0, 1), False),
    "nothing": ((0, 3), (0,), False),
}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SUMMED)
@pytest.mark.slow
def test_long_sums(case, dtype, keepdims):
    shape, axis, long = SUMMED[case]
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(dtype)
    assert drifts(x, axis) == (long and dtype == "float32")
    found = tr.sum(tr.tensor(x), axis, keepdims)
    assert found.dtype == dtype
    expected = x.sum(axis=axis, keepdims=keepdims, dtype="float64")
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6)  # one after the other: 1e-5 to 1e-2
    assert found.shape == expected.shape


def test_long_sums_of_views():
    """Equal terms are rounded the same way each time: then the bound is reached that no sum can leave."""
    roundings = (PART + 30_000 / PART) * np.finfo("f").eps / 2
    wide = np.random.default_rng(0).uniform(0.5, 1.5, (30_000, 8)).astype("f")
    for view, axis, drifting in (
        (wide[:, :3], (0, 1), True),  # runs of 3 with gaps between them
        (wide[:, ::2], (0, 1), False),  # one run, at a stride
        (wide[::-1], (0,), True),
        (wide.T, (1,), True),
        (np.broadcast_to(wide[0], wide.shape), (0,), True),
        (np.broadcast_to(wide[:, :1], wide.shape), (0, 1), False),
        (wide.reshape(300, 100, 8).transpose(2, 0, 1), (1, 2), True),
        (wide.reshape(300, 100, 8).transpose(2, 1, 0), (0, 1), False),  # 100 runs of 8
    ):
        assert drifts(view, axis) == drifting
        expected = view.sum(axis=axis, dtype="float64")
        np.testing.assert_allclose(tr.sum(tr.tensor(view), axis).numpy(), expected, rtol=roundings)
        x = leaf(view)
        np.testing.assert_allclose(tr.sum(x, axis).numpy(), expected, rtol=roundings)


def test_the_gradient_of_a_bias_of_many_pixels():
    g = np.random.default_rng(0).uniform(0.5, 1.5, (64, 64, 64, 2)).astype("f").transpose(0, 3, 1, 2)
    bias = tr.tensor(np.zeros((1, 2, 1, 1), "f"), requires_grad=True)
    (found,) = tr.grad(tr.tensor(g) + bias, bias, g)
    np.testing.assert_allclose(found.numpy().ravel(), g.sum(axis=(0, 2, 3), dtype="float64"), rtol=2e-6)
