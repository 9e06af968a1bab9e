"""The vectorised activations against SciPy in more digits, over the whole range, and softmax's rows."""

from importlib import import_module

import numpy as np
import pytest
import scipy.special
from tinyres_kernels import cpu, im2col
from tinyres_kernels.settings import ACTIVATIONS

activations = import_module("tinyres_kernels.cpu.activations")
loss = import_module("tinyres_kernels.cpu.loss")
INF, NAN = np.inf, np.nan
TINY = {"float32": np.float32(1e-45), "float64": 5e-324}


def exact(name, x):
    """In more digits than float32; `longdouble` has more than float64, where NumPy's functions have."""
    if name == "tanh":
        return np.tanh(x)
    if name == "softplus":
        return np.logaddexp(x, 0)
    power = np.exp(-abs(x))
    gate = np.where(x < 0, power, 1) / (1 + power)
    return gate if name == "sigmoid" else x * gate


def of(name, x):
    out = np.full_like(x, -7)
    assert cpu.activation(x, out, name=name) is out
    return out


def sample(dtype):
    """Of each exponent some: half of them are tiny, and some overflow every formula that is not careful."""
    whole = np.uint32 if dtype == "float32" else np.uint64
    bits = np.random.default_rng(0).integers(0, np.iinfo(whole).max, 400_000, whole, endpoint=True)
    x = bits.view(dtype)
    return np.concatenate([x[np.isfinite(x)], np.linspace(-20, 20, 100_001, dtype=dtype)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu"])
def test_error_in_units_of_the_last_place_over_the_whole_range(name, dtype):
    x = sample(dtype)
    if dtype == "float64":
        x = x[abs(x) < 700]
    with np.errstate(all="ignore"):
        needed = exact(name, x.astype(np.float64 if dtype == "float32" else np.longdouble))
        unit = np.spacing(needed.astype(dtype))
    assert (abs(of(name, x).astype(np.longdouble) - needed) / unit)[np.isfinite(unit)].max() < 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_is_off_by_two_roundings_of_its_argument(dtype):
    x = sample(dtype)
    with np.errstate(all="ignore"):
        needed = x.astype("d") * scipy.special.ndtr(x.astype("d"))
        inner = 2 * np.sqrt(2 / np.pi) * (x.astype("d") + 0.044715 * x.astype("d") ** 3)
        by_tanh = x.astype("d") * scipy.special.expit(inner)
    allowed = 2 * np.finfo(dtype).eps * abs(x.astype("d")) + TINY[dtype]
    assert (abs(of("gelu", x) - needed) <= allowed).all()
    assert (abs(of("gelu_tanh", x) - by_tanh) <= allowed).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_finite_or_has_a_sign_only(dtype):
    x = np.array([0.0, -0.0, NAN, INF, -INF, TINY[dtype], -TINY[dtype]], dtype)
    tiny = TINY[dtype]
    expected = {
        "tanh": [0.0, -0.0, NAN, 1, -1, tiny, -tiny],
        "sigmoid": [0.5, 0.5, NAN, 1, 0, 0.5, 0.5],
        "softplus": [np.log(2), np.log(2), NAN, INF, 0, np.log(2), np.log(2)],
        "silu": [0.0, -0.0, NAN, INF, NAN, tiny * 0.5, -tiny * 0.5],
        "gelu": [0.0, -0.0, NAN, INF, NAN, tiny * 0.5, -tiny * 0.5],
        "gelu_tanh": [0.0, -0.0, NAN, INF, NAN, tiny * 0.5, -tiny * 0.5],
    }
    for name in ACTIVATIONS:
        found = of(name, x)
        np.testing.assert_allclose(found, np.array(expected[name], dtype), rtol=2e-7 if dtype == "float32" else 4e-16)
        np.testing.assert_array_equal(np.signbit(found[:2]), np.signbit(np.array(expected[name][:2])), err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_over_the_whole_range(name, dtype):
    """Against differences of what the whole-array operations say; nothing is NaN that is finite."""
    x = sample(dtype)
    x = x[abs(x) < (1e18 if dtype == "float32" else 1e100)]  # beyond, squares overflow in whole-array operations
    if name in ("tanh", "sigmoid"):
        x = x[abs(x) <= 1]  # outputs
    g = np.random.default_rng(1).standard_normal(len(x)).astype(dtype)
    found, needed = np.empty_like(x), np.empty(len(x))
    cpu.activation_dx(g, x, found, name=name)
    im2col.activation_dx(g.astype("d"), x.astype("d"), needed, name=name)
    allowed = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, needed, rtol=allowed, atol=allowed * abs(g).max())


def test_no_gate_that_is_shut_makes_a_nan_of_a_large_number():
    x = np.array([1e15, -1e15, 1e25, -1e25, 3e38, -3e38], np.float32)
    for name in ("silu", "gelu", "gelu_tanh"):
        np.testing.assert_array_equal(of(name, x), np.maximum(x, 0))
        found = np.empty_like(x)
        cpu.activation_dx(np.ones_like(x), x, found, name=name)
        np.testing.assert_array_equal(found, x > 0)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1001])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_shares_have_the_bits_of_one_thread(name, size):
    x, g = np.random.default_rng(0).standard_normal((2, size)).astype("f")
    which = ACTIVATIONS.index(name)
    alone, slopes = of(name, x), np.empty_like(x)
    activations._activation_dx(1, which, g, x, slopes)
    for threads in (2, 3, 7):
        for kernel, expected, arrays in (
            (activations._activation, alone, (x,)),
            (activations._activation_dx, slopes, (g, x)),
        ):
            out = np.full_like(x, NAN)
            kernel(threads, which, *arrays, out)
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (5, 3), (33, 16), (7, 1001)])
def test_softmax_has_the_same_bits_on_any_number_of_threads(shape, log):
    x, g = np.random.default_rng(0).standard_normal((2, *shape)).astype("f")
    expected, slopes = np.empty_like(x), np.empty_like(x)
    loss._softmax(1, x, expected, log)
    loss._softmax_dx(1, g, expected, slopes, log)
    needed = (scipy.special.log_softmax if log else scipy.special.softmax)(x.astype("d"), axis=1)
    np.testing.assert_allclose(expected, needed, rtol=2e-6)
    for threads in (2, 3, 7):
        out = np.full_like(x, NAN)
        loss._softmax(threads, x, out, log)
        np.testing.assert_array_equal(out, expected)
        loss._softmax_dx(threads, g, expected, out, log)
        np.testing.assert_array_equal(out, slopes)
