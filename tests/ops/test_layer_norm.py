"""The fused layer norm and RMS norm against the composed ones, on both sides of where they are used."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.nn import functional as F
from tinyres.ops import layer_norm as fused
from tinyres.ops.standardize import layer_norm, rms_norm


class Seen(tr.Observer):
    watches_layers = False

    def __init__(self):
        self.names = []

    def on_forward(self, node, value):
        self.names.append(node.name)


def results(x, weight, bias, n=None):
    leaves = [tr.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    with Seen() as seen:
        y = F.layer_norm(leaves[0], (x.shape[-1],), *leaves[1:])
    g = np.random.default_rng(9).standard_normal(y.shape).astype(x.dtype)
    return seen.names, [y, *tr.grad(y, leaves, g)]


@pytest.mark.parametrize(("n", "alone"), [(1, True), (fused.LONGEST, True), (fused.LONGEST + 1, False)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_rows_are_composed_and_equal_the_fused_ones(monkeypatch, n, alone, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 5, n), (n,), (n,))]
    names, here = results(*arrays)
    assert (names == ["layer_norm"]) is alone
    monkeypatch.setitem(layer_norm.__globals__, "LONGEST", 0 if alone else n)
    names, there = results(*arrays)
    assert (names == ["layer_norm"]) is not alone
    for a, b in zip(here, there, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), rtol=2e-4 if dtype == "float32" else 1e-11,
            atol=2e-4 if dtype == "float32" else 1e-11,
        )  # fmt: skip


@pytest.mark.parametrize(("n", "alone"), [(1, True), (fused.LONGEST, True), (fused.LONGEST + 1, False)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rms_norms_of_long_rows_are_composed_and_equal_the_fused_ones(monkeypatch, n, alone, dtype):
    rng = np.random.default_rng(0)
    x, g, weight = (rng.standard_normal(shape).astype(dtype) for shape in ((3, 5, n), (3, 5, n), (n,)))

    def results():
        leaves = [tr.tensor(a, requires_grad=True) for a in (x, weight)]
        with Seen() as seen:
            y = F.rms_norm(leaves[0], (n,), leaves[1])
        return seen.names == ["rms_norm"], [y, *tr.grad(y, leaves, g)]

    is_fused, here = results()
    assert is_fused is alone
    monkeypatch.setitem(rms_norm.__globals__, "LONGEST", 0 if alone else n)
    is_fused, there = results()
    assert is_fused is not alone
    for a, b in zip(here, there, strict=True):
        assert a.dtype == b.dtype == dtype
        bound = (1e-5 if dtype == "float32" else 1e-12) * max(1.0, abs(b.detach().numpy()).max())
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=0, atol=bound)


@pytest.mark.parametrize("order", ["transposed", "strided", "read-only, repeated"])
def test_any_layout(order):
    rng = np.random.default_rng(0)
    x = {
        "transposed": rng.standard_normal((4, 3)).T,
        "strided": rng.standard_normal((3, 8))[:, ::2],
        "read-only, repeated": np.broadcast_to(rng.standard_normal(4), (3, 4)),
    }[order]
    w, b = rng.standard_normal((2, 4))
    _, here = results(x, w, b)
    _, there = results(np.ascontiguousarray(x), w, b)
    for p, q in zip(here, there, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_a_constant_row_and_what_is_not_finite():
    x = np.ones((4, 6), "f")
    x[1, 2], x[2, 3] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y = F.layer_norm(tr.tensor(x), (6,)).numpy()
    assert not y[[0, 3]].any()
    assert np.isnan(y[1]).all()
    assert np.isnan(y[2]).any()


def test_the_callers_arrays_stay_as_they_are():
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 3, 4))
    kept = x.copy(), g.copy()
    leaf = tr.tensor(x, requires_grad=True)
    y = F.layer_norm(leaf, (4,))
    first = y.numpy().copy()
    tr.grad(y, leaf, g)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(g, kept[1])
    np.testing.assert_array_equal(y.numpy(), first)
