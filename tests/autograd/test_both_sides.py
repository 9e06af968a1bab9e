"""What the engine chooses by size, dtype or layout, with sizes just below, at and just above the limit: the same."""

import numpy as np
import pytest

import tinyres as tr
from tests.each import for_each
from tinyres import arrays
from tinyres.arrays import memory
from tinyres.autograd.tensor import wrap
from tinyres.ops import activation, elementwise, linalg, selecting

DTYPES = ["float16", "float32", "float64"]
LAYOUTS = {
    "as it comes": lambda a: np.ascontiguousarray(a),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "turned": lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)).transpose(2, 0, 1) if a.ndim == 3 else a,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


def sizes(limit):
    return [limit - 1, limit, limit + 1]


def leaf(array):
    """A leaf on this very array: `tr.tensor` would copy it into C order."""
    return wrap(array).requires_grad_()


def kinked(shape, dtype, seed=0):
    """A third of it zeros, with the values among it that are easily lost."""
    rng = np.random.default_rng(seed)
    a = (rng.standard_normal(shape) * rng.integers(0, 3, shape)).astype(dtype)
    a.flat[:5] = [np.inf, -np.inf, np.nan, -0.0, 0.0][: a.size]
    return a


# -- lines in memory: from `memory.LEAST` bytes ReLUs and sums of cotangents are kernels, below the array library's ---
def lines(dtype):
    return [(n,) for n in sizes(memory.LEAST // np.dtype(dtype).itemsize)] + [(3, 64, 400)]


ON_LINES = [(dtype, shape) for dtype in DTYPES for shape in lines(dtype)]


@pytest.mark.parametrize(("dtype", "shape"), ON_LINES)
@for_each("layout", LAYOUTS)
def test_relus(dtype, shape, layout):
    x, g = LAYOUTS[layout](kinked(shape, dtype)), kinked(shape, dtype, seed=1)
    assert (arrays.ravel_alike(x) is None) == (
        x.nbytes < memory.LEAST or layout in ("every other", "backwards", "broadcast")
    )
    for function, slope in ((tr.relu, 0.0), (lambda x: tr.leaky_relu(x, 0.25), 0.25)):
        y = function(of := leaf(x))
        (dx,) = tr.grad(y, of, g)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(y.numpy(), np.where(x > 0, x, slope * x) if slope else np.maximum(x, 0))
            np.testing.assert_array_equal(dx.numpy(), np.where(x > 0, g, slope * g if slope else 0))
        assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), *((n,) for n in sizes(activation.MANY)), (5, 40, 60)])
@for_each("layout", LAYOUTS)
def test_slopes_from_the_output(shape, dtype, layout):
    """Of few numbers in one array, to the bit; of many by another operation. Neither writes into what it is given."""
    x, g = (np.random.default_rng(i).standard_normal(shape).astype(dtype) for i in range(2))
    x, g = (LAYOUTS[layout](v) if shape else v for v in (x, g))
    for function, slope in ((tr.tanh, lambda y: 1 - y * y), (tr.sigmoid, lambda y: y * (1 - y))):
        y = function(of := leaf(x))
        kept = y.numpy().copy(), g.copy()
        (dx,) = tr.grad(y, of, wrap(g))
        np.testing.assert_array_equal(y.numpy(), kept[0])
        np.testing.assert_array_equal(g, kept[1])
        expected = kept[1] * slope(kept[0])
        if x.size < activation.MANY:
            np.testing.assert_array_equal(dx.numpy(), expected)
        assert (np.abs(dx.numpy() - expected) <= 4 * np.finfo(dtype).eps * np.abs(g)).all()
        assert dx.dtype == dtype


@pytest.mark.parametrize(("dtype", "shape"), [on for on in ON_LINES if on[0] == "float32"])
@for_each("of_b", LAYOUTS)
@for_each("of_a", LAYOUTS)
def test_sums_of_cotangents(dtype, shape, of_a, of_b):
    """Two and three contributions, the third into the engine's own buffer; nothing that was given is touched."""
    rng = np.random.default_rng(0)
    a, b = (LAYOUTS[layout](rng.integers(-99, 99, shape).astype(dtype)) for layout in (of_a, of_b))
    before = a.copy(), b.copy()
    x = leaf(np.ones(shape, dtype))
    for terms in ([a, b], [a, b, a]):
        (dx,) = tr.grad([x + 1.0 for _ in terms], [x], terms)
        np.testing.assert_array_equal(dx.numpy(), sum(before) + (len(terms) - 2) * before[0])
    np.testing.assert_array_equal((a, b), before)


@pytest.mark.parametrize(("dtype", "shape"), ON_LINES)
@for_each("of_g", LAYOUTS)
def test_a_cotangent_that_two_hold_is_not_written_into(dtype, shape, of_g):
    """A sum hands the same array to both of its terms; one of them receives more."""
    rng = np.random.default_rng(0)
    g, h = (LAYOUTS[of_g](rng.integers(-99, 99, shape).astype(dtype)) for _ in range(2))
    x, w = leaf(np.ones(shape, dtype)), leaf(np.ones(shape, dtype))
    first = x * 1.0
    dx, dw = tr.grad([first, x + w], [x, w], [h, g])
    np.testing.assert_array_equal(dx.numpy(), g + h)
    np.testing.assert_array_equal(dw.numpy(), g)


@pytest.mark.parametrize("n", sizes(memory.LEAST))
def test_memory(n):
    a = memory.empty((n,), "u1")
    assert (a.base is None) == (n < memory.LEAST)
    assert (a.shape, a.dtype) == ((n,), np.uint8)


@pytest.mark.parametrize("dtype", [*DTYPES, ">f4", "longdouble", "int32"])
@pytest.mark.parametrize("shape", [*((n,) for n in sizes(selecting.MANY)), (3, 64, 40)])
@for_each("layout", LAYOUTS)
def test_where_to_the_bit(shape, dtype, layout):
    x = kinked(shape, "float64")
    x = LAYOUTS[layout](np.where(np.isfinite(x), x, 7).astype(dtype) if dtype == "int32" else x.astype(dtype))
    holds = np.random.default_rng(1).random(shape) < 0.5
    found, expected = tr.where(holds, tr.tensor(x), 0.0).numpy(), np.where(holds, x, 0.0)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    assert found.dtype.newbyteorder("=") == expected.dtype


@pytest.mark.parametrize("dtype", [*DTYPES, ">f4"])
@pytest.mark.parametrize("n", sizes(selecting.MANY))
@for_each("layout", LAYOUTS)
def test_where_between_two_to_the_bit(n, dtype, layout):
    x = kinked((n,), "float64").astype(dtype)
    holds, place = np.random.default_rng(1).random(n) < 0.5, LAYOUTS[layout]
    for a, b in ((x, x[::-1]), (x, -0.0), (0.0, x), (2.5, x), (x, np.nan), (x, x.astype("f8")), (x, 1)):
        given = [place(np.ascontiguousarray(v)) if hasattr(v, "dtype") else v for v in (a, b)]
        expected = np.where(holds, *given)
        found = elementwise.where(holds, *given)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")


def test_where_a_condition_broadcasts():
    x, holds = np.ones((50, 100)), np.arange(100) % 2 == 0
    np.testing.assert_array_equal(tr.where(holds, tr.tensor(x), 0.0).numpy(), np.where(holds, x, 0.0))
    np.testing.assert_array_equal(
        tr.where(np.ones((3, 50, 100), bool), tr.tensor(x), 0.0).numpy(), np.ones((3, 50, 100))
    )


@pytest.mark.parametrize("rows", sizes(64))
@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@for_each("layouts", [(a, b) for a in LAYOUTS for b in LAYOUTS if "turned" not in (a, b)])
def test_matmul(dtype, rows, layouts):
    assert linalg.LARGE == 64 * 64 * 64
    rng = np.random.default_rng(0)
    a, b, g = (rng.integers(-8, 9, shape) for shape in ((rows, 64), (64, 64), (rows, 64)))  # sums that float16 holds
    a, b = (LAYOUTS[layout](v.astype(dtype)) for layout, v in zip(layouts, (a, b), strict=True))
    if dtype == "int64":
        np.testing.assert_array_equal((tr.tensor(a) @ tr.tensor(b)).numpy(), a @ b)
        return
    x, w, g = leaf(a), leaf(b), (g // 4).astype(dtype)
    y = x @ w
    dx, dw = tr.grad(y, [x, w], g)
    wide = [v.astype("float64") for v in (a, b, g)]
    roundings = {"rtol": 0, "atol": 8 if dtype == "float16" else 0}  # integers beyond 2048 have steps of up to 4 there
    np.testing.assert_allclose(y.numpy(), wide[0] @ wide[1], **roundings)
    np.testing.assert_allclose(dx.numpy(), wide[2] @ wide[1].T, **roundings)
    np.testing.assert_allclose(dw.numpy(), wide[0].T @ wide[2], **roundings)
    assert y.dtype == dx.dtype == dw.dtype == dtype


@pytest.mark.parametrize("rows", [4, 512, 513])
@pytest.mark.parametrize("inner", [0, 1, 65])
@pytest.mark.parametrize("columns", [0, 1, 8, 700])
def test_flat_tall_and_empty_products(rows, inner, columns):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
    np.testing.assert_allclose((tr.tensor(a) @ tr.tensor(b)).numpy(), a @ b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", [20, 63, 64, 65])
@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "ij,jk->ki", "ij,kj->ik", "ij,jk->i", "bij,bjk->bik"])
def test_einsum(subscripts, n):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, n, n) if "b" in subscripts else (n, n)) for _ in range(2))
    x, w = leaf(a), leaf(b)
    y = tr.einsum(subscripts, x, w)
    np.testing.assert_allclose(y.numpy(), np.einsum(subscripts, a, b), rtol=1e-10, atol=1e-10)
    g = rng.standard_normal(y.shape)
    left, out = subscripts.split("->")
    one, two = left.split(",")
    dx, dw = tr.grad(y, [x, w], g)
    if subscripts == "ij,jk->i":
        np.testing.assert_allclose(dx.numpy(), np.outer(g, b.sum(axis=1)), rtol=1e-10, atol=1e-10)
        return
    np.testing.assert_allclose(dx.numpy(), np.einsum(f"{out},{two}->{one}", g, b), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dw.numpy(), np.einsum(f"{one},{out}->{two}", a, g), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 40, 70)])
def test_a_product_of_many_matrices_with_one(shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(shape), rng.standard_normal((shape[-1], 60))
    x, w = leaf(a), leaf(b)
    y = x @ w
    g = rng.standard_normal(y.shape)
    dx, dw = tr.grad(y, [x, w], g)
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dx.numpy(), g @ b.T, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dw.numpy(), np.einsum("nij,nik->jk", a, g), rtol=1e-10, atol=1e-10)


KEYS = {
    "a slice": (slice(1, None, 2),),
    "an integer": (3,),
    "NumPy's integer": (np.int64(3),),
    "None and ...": (None, ..., slice(0, 5)),
    "backwards": (slice(None, None, -1),),
    "integers that repeat": (np.array([0, 3, 3, 3, 1]),),
    "a mask": (np.arange(40) % 3 == 0,),
    "a list of integers": ([0, 0, 5],),
    "True": (True,),
    "a slice and integers": (slice(None), np.array([1, 1, 2])),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("columns", [7, 409, 410])  # in float32, up to 64 KB and above
@pytest.mark.parametrize("layout", ["as it comes", "transposed"])
def test_indexing(layout, columns, key):
    x = leaf(LAYOUTS[layout](np.random.default_rng(0).standard_normal((40, columns)).astype("f")))
    y = x[key]
    g = np.random.default_rng(1).integers(-8, 9, y.shape).astype("f")
    expected = np.zeros((40, columns))
    np.add.at(expected, key, g)
    np.testing.assert_array_equal(y.numpy(), x.numpy()[key])
    np.testing.assert_array_equal(tr.grad(y, x, g)[0].numpy(), expected)
