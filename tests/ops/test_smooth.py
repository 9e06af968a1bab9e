"""Smooth activations and softmax on both sides of the size from which on kernels serve them."""

from importlib import import_module

import numpy as np
import pytest
import scipy.special

import tinyres as tr
from tinyres.arrays.memory import LEAST

SIDES = [100, LEAST // 8 + 16]  # numbers of float64: NumPy's side, and the kernels'
FUNCTIONS = {
    "tanh": (tr.tanh, np.tanh),
    "sigmoid": (tr.sigmoid, scipy.special.expit),
    "softplus": (tr.softplus, lambda x: np.logaddexp(x, 0)),
    "silu": (tr.silu, lambda x: x * scipy.special.expit(x)),
    "gelu": (tr.gelu, lambda x: x * scipy.special.ndtr(x)),
    "gelu tanh": (
        lambda x: tr.gelu(x, "tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "softmax": (tr.softmax, lambda x: scipy.special.softmax(x, -1)),
    "log_softmax": (tr.log_softmax, lambda x: scipy.special.log_softmax(x, -1)),
}
EACH = pytest.mark.parametrize("name", FUNCTIONS)


def drawn(shape, *seeds):
    return [2 * np.random.default_rng(seed).standard_normal(shape) for seed in seeds]


@EACH
@pytest.mark.parametrize("size", SIDES)
def test_value_and_both_derivatives(name, size):
    """Along a direction, against differences of SciPy's function; the first derivative, recorded or not."""
    ours, theirs = FUNCTIONS[name]
    x, g, v = drawn((size // 4, 4), 0, 1, 2)
    t = tr.tensor(x, requires_grad=True)
    np.testing.assert_allclose(ours(t).numpy(), theirs(x), rtol=1e-12, atol=1e-15)
    (plain,) = tr.grad(ours(t), [t], tr.tensor(g))
    (recorded,) = tr.grad(ours(t), [t], tr.tensor(g), create_graph=True)
    np.testing.assert_allclose(plain.numpy(), recorded.numpy(), rtol=1e-12, atol=1e-13)
    step = 1e-5
    first = ((theirs(x + step * v) - theirs(x - step * v)) * g).sum() / (2 * step)
    np.testing.assert_allclose((plain.numpy() * v).sum(), first, rtol=1e-7, atol=1e-6)
    (second,) = tr.grad((recorded * tr.tensor(v)).sum(), [t])

    def slope(at):
        u = tr.tensor(at, requires_grad=True)
        return (tr.grad(ours(u), [u], tr.tensor(g))[0].numpy() * v).sum()

    bent = (slope(x + step * v) - slope(x - step * v)) / (2 * step)
    np.testing.assert_allclose((second.numpy() * v).sum(), bent, rtol=1e-6, atol=1e-5)


@EACH
def test_the_two_sides_agree_also_where_numbers_are_not_finite(name):
    ours, _ = FUNCTIONS[name]
    rows = drawn((40, 4), 3)[0].astype("f")
    rows[1, 2], rows[5, 0], rows[9, 3], rows[11] = np.nan, np.inf, -np.inf, 1e4
    many = np.tile(rows, (SIDES[1] // len(rows), 1))
    with np.errstate(all="ignore"):
        few, large = (ours(tr.tensor(a)).numpy() for a in (rows, many))
    np.testing.assert_allclose(large[:40], few, rtol=2e-6, atol=2e-6)


def layouts(x):
    yield "row-major", x
    yield "channels-last", np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    yield "reversed", np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1]
    yield "every second", np.repeat(x, 2, axis=3)[..., ::2]
    yield "misaligned", np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only


@EACH
@pytest.mark.parametrize("axis", [-1, 1])
def test_any_layout_and_any_axis(name, axis):
    ours = FUNCTIONS[name][0]
    if name.endswith("softmax"):
        ours = {"softmax": lambda x: tr.softmax(x, axis), "log_softmax": lambda x: tr.log_softmax(x, axis)}[name]
    elif axis == 1:
        pytest.skip("it has no axis")
    x, g = drawn((8, 16, 12, 14), 4, 5)
    expected = None
    for case, a in layouts(x):
        for cotangent in (g, np.broadcast_to(g[:1, :1, :1, :1], g.shape)):
            t = tr.tensor(a.copy(order="K") if case == "misaligned" else a, requires_grad=True)
            y = ours(t)
            (dx,) = tr.grad(y, [t], tr.tensor(cotangent))
            expected = expected or (y.numpy(), tr.grad(ours(t), [t], tr.tensor(g))[0].numpy())
            np.testing.assert_allclose(y.numpy(), expected[0], rtol=1e-12, atol=1e-14, err_msg=case)
            if cotangent is g:
                np.testing.assert_allclose(dx.numpy(), expected[1], rtol=1e-11, atol=1e-12, err_msg=case)
    for array in (x, g):
        assert np.isfinite(array).all()


@EACH
@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (1,), (1, 1)])
def test_no_number_and_one(name, shape):
    ours, theirs = FUNCTIONS[name]
    x = drawn(shape, 6)[0]
    t = tr.tensor(x, requires_grad=True)
    y = ours(t)
    assert y.shape == shape
    if x.size:
        np.testing.assert_allclose(y.numpy(), theirs(x), rtol=1e-12, atol=1e-15)
    assert tr.grad(y, [t], tr.ones(shape, dtype="float64"))[0].shape == shape


def test_large_arrays_go_to_a_kernel_and_small_ones_do_not(monkeypatch):
    activation, softmax = (import_module(f"tinyres.ops.{name}") for name in ("activation", "softmax"))
    asked = []

    def spy(*arrays):
        asked.append(arrays[0].size)
        return original(*arrays)

    original = activation.kernels_for
    for module in (activation, softmax):
        monkeypatch.setattr(module, "kernels_for", spy)
    for ours, _ in FUNCTIONS.values():
        for size in SIDES:
            t = tr.tensor(drawn((size // 4, 4), 7)[0], requires_grad=True)
            asked.clear()
            tr.grad(ours(t), [t], tr.ones(t.shape, dtype="float64"))
            assert len(asked) == (2 if size == SIDES[1] else 0)


@pytest.mark.parametrize(
    "lay", [np.ascontiguousarray, np.asfortranarray, lambda a: a[::-1, ::-1]], ids=["C", "F", "back"]
)
@pytest.mark.parametrize(("shape", "axis"), [((3, 8193), 1), ((8193, 3), 0), ((16384, 1), 0)])
def test_long_rows_in_float32_are_summed_with_care_in_any_layout(shape, axis, lay):
    """NumPy's own sum along an axis that is not contiguous is off by 2e-5 here."""
    x = lay((4 * np.random.default_rng(0).standard_normal(shape)).astype("f"))
    for ours, theirs in ((tr.softmax, scipy.special.softmax), (tr.log_softmax, scipy.special.log_softmax)):
        np.testing.assert_allclose(ours(tr.tensor(x), axis).numpy(), theirs(x.astype("d"), axis), rtol=3e-6, atol=3e-6)
        small = x / 400  # of nearly equal terms, whose wrong sum would show in its logarithm
        found = tr.logsumexp(tr.tensor(small), axis).numpy()
        np.testing.assert_allclose(found, scipy.special.logsumexp(small.astype("d"), axis), atol=2e-6, rtol=0)
