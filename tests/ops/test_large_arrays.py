"""Sums and linear layers of large arrays go to kernels, those of small ones to NumPy, and the same comes out."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.arrays.memory import LEAST
from tinyres.ops import elementwise, linalg, reduction

ROWS = LEAST // 4 // 64  # of 64 float32 numbers, that are as many bytes as kernels ask for


@pytest.fixture
def asked(monkeypatch):
    """The names of the kernels that were called."""
    names = []
    for module in (elementwise, linalg, reduction):
        real = module.kernels_for

        class Watched:
            def __init__(self, *arrays, real=real):
                self.real = real(*arrays)

            def __getattr__(self, name):
                names.append(name)
                return getattr(self.real, name)

        monkeypatch.setattr(module, "kernels_for", Watched)
    return names


def drawn(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("rows", "kernels"), [(ROWS - 1, []), (ROWS, ["add"])])
def test_a_sum_of_two(rows, kernels, asked):
    a, b = drawn(rows, 64), drawn(rows, 64)[::-1].copy()
    np.testing.assert_array_equal((tr.tensor(a) + tr.tensor(b)).numpy(), a + b)
    assert asked == kernels


@pytest.mark.parametrize(
    "other",
    [drawn(1, 64), drawn(64), drawn(ROWS, 64).astype("d"), np.asfortranarray(drawn(ROWS, 64)), drawn(2, ROWS, 64)],
    ids=["a row", "broadcast", "another dtype", "another layout", "more axes"],
)
def test_what_does_not_match_entry_by_entry_goes_to_numpy(other, asked):
    a = drawn(ROWS, 64)
    y = elementwise.add_(a, other)
    np.testing.assert_array_equal(y, a + other)
    assert y.dtype == (a + other).dtype
    assert not asked


def test_a_sum_keeps_the_layout_of_images():
    a = drawn(4, 16, 16, 16).transpose(0, 3, 1, 2)
    y = elementwise.add_(a, a)
    assert y.strides == a.strides
    np.testing.assert_array_equal(y, a + a)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("rows", "kernels"), [(ROWS - 1, []), (ROWS, ["column_sums"])])
def test_a_sum_over_rows(rows, kernels, keepdims, asked):
    x = drawn(rows, 64)
    y = tr.sum(tr.tensor(x), 0, keepdims).numpy()
    np.testing.assert_allclose(y, x.sum(axis=0, keepdims=keepdims, dtype="d"), atol=1e-4)
    assert asked == kernels


@pytest.mark.parametrize("turn", [lambda x: x.T.copy().T, lambda x: x[::2], lambda x: x.astype("int64")])
def test_rows_that_do_not_lie_one_after_the_other_are_summed_by_numpy(turn, asked):
    x = turn(drawn(4 * ROWS, 64) * 9)
    np.testing.assert_allclose(reduction.sum_(x, axis=(0,), keepdims=False), x.sum(axis=0, dtype="d"), atol=1e-2)
    assert not asked


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("outputs", [1, 63, 64, 65])
def test_a_linear_layer_and_its_gradients(outputs, bias, asked):
    """64 x 64 x 64 multiplications are the fewest for which the kernel is asked."""
    x, w, b = (drawn(*shape, dtype="float64") for shape in ((4, 16, 64), (outputs, 64), (outputs,)))
    inputs = [tr.tensor(a, requires_grad=True) for a in ((x, w, b) if bias else (x, w))]
    y = tr.nn.functional.linear(*inputs)
    assert asked == (["linear"] if outputs >= 64 else [])
    np.testing.assert_allclose(y.detach().numpy(), x @ w.T + (b if bias else 0), atol=1e-12)
    g = drawn(4, 16, outputs, dtype="float64")
    found = [d.numpy() for d in tr.grad(y, inputs, tr.tensor(g))]
    rows = g.reshape(-1, outputs)
    for ours, right in zip(found, (g @ w, rows.T @ x.reshape(-1, 64), rows.sum(axis=0)), strict=False):
        np.testing.assert_allclose(ours, right, atol=1e-12)
    assert found[1].flags.c_contiguous  # as the weight lies, so that an optimiser copies nothing
