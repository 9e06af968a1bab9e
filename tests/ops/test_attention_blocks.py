"""Fused attention: it is the composition, on any layout and any number of threads, and stores no matrix of weights."""

import tracemalloc

import numpy as np
import pytest
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.settings import Attention

import tinyres as tr
from tinyres.arrays.memory import LEAST, release
from tinyres.ops import attention
from tinyres.ops.attention_weights import attention_weights
from tinyres.ops.linalg import matmul

attend = tr.nn.functional.scaled_dot_product_attention


def drawn(shapes, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def composed(q, k, v, causal, scale):
    return matmul(attention_weights("", q, k, None, causal, scale), v)


CASES = {
    "several blocks of queries": [(2, 3, 150, 8), (2, 3, 150, 8), (2, 3, 150, 8)],
    "several blocks of keys": [(2, 70, 5), (2, 1100, 5), (2, 1100, 3)],
    "fewer keys than queries": [(1, 700, 4), (1, 33, 4), (1, 33, 35)],
    "wide values": [(130, 16), (130, 16), (130, 70)],
    "one query": [(40, 8, 1, 16), (40, 8, 600, 16), (40, 8, 600, 16)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_the_composition(case, causal, dtype, monkeypatch):
    asked = []
    fused = attention.scaled_dot_product_attention_
    monkeypatch.setattr(
        attention, "scaled_dot_product_attention_", lambda *given, **more: asked.append(1) or fused(*given, **more)
    )
    arrays = drawn(CASES[case], dtype)
    inputs = [tr.tensor(a, requires_grad=True) for a in arrays]
    y = attend(*inputs, is_causal=causal, scale=0.4)
    assert asked, "it is large enough for the kernels"
    g = drawn([y.shape], seed=1)[0]
    found = [y, *tr.grad(y, inputs, tr.tensor(g.astype(dtype)))]
    exact = [tr.tensor(a.astype("d"), requires_grad=True) for a in arrays]
    needed = composed(*exact, causal, 0.4)
    needed = [needed, *tr.grad(needed, exact, tr.tensor(g))]
    for ours, theirs in zip(found, needed, strict=True):
        assert ours.dtype == dtype
        bound = (1e-5 if dtype == "float32" else 1e-13) * max(1.0, abs(theirs.detach().numpy()).max())
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=0, atol=bound)


@pytest.mark.parametrize("causal", [False, True])
def test_second_derivatives(causal):
    """Of g . y along v, by the replayed composition, against differences of the fused gradient."""
    arrays = drawn([(2, 70, 4), (2, 70, 4), (2, 70, 3)])
    g, *v = drawn([(2, 70, 3), *(a.shape for a in arrays)], seed=2)

    def slopes(step, create_graph=False):
        inputs = [tr.tensor(a + step * d, requires_grad=True) for a, d in zip(arrays, v, strict=True)]
        return inputs, tr.grad(attend(*inputs, is_causal=causal), inputs, tr.tensor(g), create_graph=create_graph)

    inputs, first = slopes(0.0, create_graph=True)
    along = sum((f * tr.tensor(d)).sum() for f, d in zip(first, v, strict=True))
    second = tr.grad(along, inputs)
    step = 1e-5
    for found, more, less in zip(second, slopes(step)[1], slopes(-step)[1], strict=True):
        np.testing.assert_allclose(found.numpy(), (more.numpy() - less.numpy()) / (2 * step), rtol=1e-6, atol=1e-7)


def test_small_arrays_and_what_the_kernels_do_not_take_go_the_way_of_the_weights(monkeypatch):
    def never(*given, **more):
        raise AssertionError("the fused kernel was called")

    monkeypatch.setattr(attention, "scaled_dot_product_attention_", never)
    length = int((LEAST // 8) ** 0.5)
    large = drawn([(length + 1, 4)] * 3)
    with pytest.raises(AssertionError, match="fused"):
        attend(*map(tr.tensor, large))
    small = [a[: length - 1] for a in large]
    assert attend(*map(tr.tensor, small)).shape == (length - 1, 4)
    everything = np.ones((length + 1, length + 1), bool)
    np.testing.assert_allclose(
        attend(*map(tr.tensor, large), everything).numpy(), composed(*large, False, 0.5), rtol=1e-12
    )
    attend(*map(tr.tensor, large), dropout_p=0.5, rng=0)
    shared = [tr.tensor(a) for a in (np.stack([large[0]] * 2), *large[1:])]  # the batch of keys broadcasts
    assert attend(*shared).shape == (2, length + 1, 4)


def test_any_layout():
    q, k, v = drawn([(2, 80, 3, 8)] * 3)  # (N, L, H, E), as a projection leaves them
    g = drawn([(2, 3, 80, 8)], seed=1)[0]
    views = [a.transpose(0, 2, 1, 3) for a in (q, k, v)]
    plain = [np.ascontiguousarray(a) for a in views]
    backward = [np.ascontiguousarray(a[..., ::-1])[..., ::-1] for a in plain]
    results = []
    for arrays in (plain, views, backward):
        for a in arrays:
            a.flags.writeable = False
        inputs = [tr.tensor(a, requires_grad=True) for a in arrays]
        y = attend(*inputs, is_causal=True)
        results.append([y.detach().numpy(), *(d.numpy() for d in tr.grad(y, inputs, tr.tensor(g)))])
    for found in results[1:]:
        for ours, expected in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("causal", [False, True])
def test_the_bits_do_not_depend_on_the_number_of_threads(causal):
    arrays = drawn([(3, 300, 32)] * 3, "float32")
    results = []
    count = tr.get_num_threads()
    for threads in {1, count}:
        tr.set_num_threads(threads)
        try:
            inputs = [tr.tensor(a, requires_grad=True) for a in arrays]
            y = attend(*inputs, is_causal=causal)
            results.append([y.detach().numpy(), *(d.numpy() for d in tr.grad(y, inputs, tr.ones(y.shape)))])
        finally:
            tr.set_num_threads(count)
    for one, other in zip(results[0], results[-1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_logits_and_a_query_that_is_not_a_number():
    q, k, v = drawn([(2, 200, 8)] * 3, "float32")
    q *= 1e6
    q[1, 3, 2] = np.nan
    y = attend(*map(tr.tensor, (q, k, v)), scale=1.0).numpy()
    best = (q[0].astype("d") @ k[0].T).argmax(axis=1)
    np.testing.assert_array_equal(y[0], v[0][best])
    assert np.isnan(y[1, 3]).all()
    assert np.isfinite(np.delete(y[1], 3, 0)).all()


def test_memory_is_linear_in_the_length():
    def most(length):
        inputs = [tr.tensor(a, requires_grad=True) for a in drawn([(1, length, 16)] * 3, "float32")]
        tr.grad(attend(*inputs), inputs, tr.ones(inputs[0].shape))  # scratch memory stays
        release()
        tracemalloc.start()
        y = attend(*inputs)
        tr.grad(y, inputs, tr.ones(y.shape))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    short, long = most(512), most(4096)
    assert long < 10 * short
    assert long < 4096 * 4096  # a quarter of the matrix of weights


@pytest.mark.parametrize("kernels", [reference, im2col, cpu])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_written_into_views_of_one_array(kernels, causal):
    """(N, L, 3, H, D): where a layer that projects queries, keys and values at once has its cotangent."""
    projected, g = drawn([(2, 70, 3, 2, 5), (2, 70, 2, 5)])
    q, k, v = (projected[:, :, part] for part in range(3))
    s, y, lse = Attention(0.4, causal), np.empty(q.shape), np.empty((2, 2, 70))
    im2col.attention(q, k, v, y, lse, s)
    alone, joined = [np.empty(q.shape) for _ in range(3)], np.full(projected.shape, np.nan)
    im2col.attention_dx(g, q, k, v, y, lse, *alone, s)
    kernels.attention_dx(g, q, k, v, y, lse, *(joined[:, :, part] for part in range(3)), s)
    np.testing.assert_allclose(joined, np.stack(alone, 2), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="lie element by element, and no axis run backwards"):
        kernels.attention_dx(g, q, k, v, y, lse, np.empty(q.shape)[::-1], *alone[1:], s)
