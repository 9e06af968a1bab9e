"""Attention: masks, rows that see nothing, dropout, and what does not fit."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import ops
from tinyres.nn import functional as F


def drawn(*shapes, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [tr.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["booleans", "minus infinity", "minus infinity in a tensor"])
def test_a_query_that_sees_no_key_gets_zeros_and_no_gradient(kind, dtype):
    q, k, v = drawn((2, 3, 4), (2, 5, 4), (2, 5, 6), dtype=dtype)
    mask = np.ones((3, 5), bool)
    mask[1] = False
    mask[2, 3:] = False
    if kind != "booleans":
        mask = np.where(mask, 0.0, -np.inf).astype(dtype)
    if kind == "minus infinity in a tensor":
        mask = tr.tensor(mask, requires_grad=True)
    y = F.scaled_dot_product_attention(q, k, v, mask)
    assert y.dtype == dtype
    assert not y.numpy()[:, 1].any()
    assert y.numpy()[:, [0, 2]].all()
    inputs = [q, k, v] if kind != "minus infinity in a tensor" else [q, k, v, mask]
    grads = tr.grad(y, inputs, np.ones(y.shape, dtype), create_graph=True)
    again = tr.grad(grads[0], [q, k], np.ones(q.shape, dtype))
    assert all(np.isfinite(g.detach().numpy()).all() for g in [*grads, *again])
    assert not grads[0].detach().numpy()[:, 1].any()
    alone = F.scaled_dot_product_attention(q[:, 2:], k[:, :3], v[:, :3])
    np.testing.assert_allclose(y.numpy()[:, 2:], alone.numpy(), rtol=1e-5 if dtype == "float32" else 1e-13)


def test_arrays_in_an_array_out():
    q, k, v = (t.detach().numpy() for t in drawn((3, 4), (5, 4), (5, 6)))
    y = ops.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert isinstance(y, np.ndarray)
    np.testing.assert_allclose(y[0], v[0], rtol=1e-15)  # the first query sees the first key alone


@pytest.mark.parametrize(("queries", "keys"), [(3, 5), (5, 3), (1, 4), (4, 1)])
def test_causal_counts_from_the_first_key_whatever_the_lengths(queries, keys):
    q, k, v = drawn((2, queries, 4), (2, keys, 4), (2, keys, 3))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    for i in range(queries):
        seen = min(i + 1, keys)
        want = F.scaled_dot_product_attention(q[:, i : i + 1], k[:, :seen], v[:, :seen])
        np.testing.assert_allclose(y.numpy()[:, i : i + 1], want.numpy(), rtol=1e-13)


@pytest.mark.parametrize("sizes", [(0, 4), (3, 0), (0, 0)])
@pytest.mark.parametrize("causal", [False, True])
def test_no_queries_or_no_keys(sizes, causal):
    q, k, v = drawn((2, sizes[0], 4), (2, sizes[1], 4), (2, sizes[1], 3))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert y.shape == (2, sizes[0], 3)
    assert not y.numpy().any()


def test_large_logits_do_not_overflow():
    q, k, v = drawn((4, 8), (6, 8), (6, 2), dtype="float32")
    y = F.scaled_dot_product_attention(q * 1e4, k, v)
    best = (q.numpy() @ k.numpy().T).argmax(axis=1)
    np.testing.assert_allclose(y.numpy(), v.numpy()[best], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e3, 1e15])
def test_hidden_keys_weigh_exactly_nothing_and_no_number_on_the_way_is_infinite(dtype, size):
    q, k, v = drawn((2, 3, 4), (2, 5, 4), (2, 5, 6), dtype=dtype)
    other = v.numpy().copy()
    other[:, 3:] = 1e30
    mask = np.arange(5) < 3
    with tr.detect_anomaly():
        y = F.scaled_dot_product_attention(q * size, k, v, mask)
        tr.grad(y, [q, k, v], np.ones(y.shape, dtype))
    np.testing.assert_array_equal(
        y.numpy(), F.scaled_dot_product_attention(q * size, k, tr.tensor(other), mask).numpy()
    )


def test_logits_that_are_not_finite_show():
    q, k, v = drawn((3, 4), (5, 4), (5, 6), dtype="float32")
    q = q.detach().numpy().copy()
    q[1] = np.nan
    with np.errstate(invalid="ignore"):
        y = F.scaled_dot_product_attention(tr.tensor(q), k, v, is_causal=True).numpy()
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


def test_dropout_is_drawn_from_rng_and_keeps_the_mean():
    q, k = drawn((1, 2), (400, 2))
    ones = np.ones((400, 1))
    y = F.scaled_dot_product_attention(q * 0, k, ones, dropout_p=0.25, rng=3)
    assert y.numpy() == F.scaled_dot_product_attention(q * 0, k, ones, dropout_p=0.25, rng=3).numpy()
    kept = float(y.numpy()[0, 0]) * 300  # of 400, each weighs 1 / 400 / (3 / 4)
    assert kept == pytest.approx(round(kept))
    assert 260 < kept < 340


@pytest.mark.parametrize(
    ("shapes", "more", "error", "match"),
    [
        ([(3, 4), (5, 2), (5, 2)], {}, ValueError, "with the same E, got .*3, 4.*5, 2"),
        ([(4,), (5, 4), (5, 2)], {}, ValueError, r"needs a query \(\.\.\., L, E\)"),
        ([(3, 4), (5, 4), (6, 2)], {}, ValueError, r"with the same S, got .*5, 4.*6, 2"),
        ([(3, 4), (5, 4), (5, 2)], {"attn_mask": np.ones((5, 3), bool)}, ValueError,
         r"attn_mask must have shape \(3, 5\), or one that broadcasts to \(3, 5\), got \(5, 3\)"),
        ([(2, 3, 4), (2, 5, 4), (2, 5, 2)], {"attn_mask": np.ones((1, 2, 3, 5), bool)}, ValueError,
         r"attn_mask must have shape \(3, 5\), or one that broadcasts to \(2, 3, 5\), got \(1, 2, 3, 5\)"),
        ([(3, 4), (5, 4), (5, 2)], {"attn_mask": np.ones((3, 5), int)}, TypeError, "must hold booleans .* got int64"),
        ([(3, 4), (5, 4), (5, 2)], {"attn_mask": np.ones((3, 5), "f")}, TypeError, "float64, which is added; got flo"),
        ([(3, 4), (5, 4), (5, 2)], {"attn_mask": np.ones((3, 5), bool), "is_causal": True}, ValueError,
         "both given; put the causal mask into attn_mask"),
        ([(3, 4), (5, 4), (5, 2)], {"dropout_p": 1.5}, ValueError, "dropout_p must be a number from 0 to 1, got 1.5"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(shapes, more, error, match):
    with pytest.raises(error, match=match) as caught:
        F.scaled_dot_product_attention(*drawn(*shapes), **more)
    assert "\n" not in str(caught.value)
