"""Large arrays take other ways through memory than the small ones of the table; what comes out must be the same."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.autograd.tensor import wrap
from tinyres.ops import indexing
from tinyres.ops.indexing import OFTEN, WIDE

SHAPE = (4, 8, 32, 64)  # 256 KB in float32
LAYOUTS = {
    "channels first": lambda a: a,
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


def numbers(seed, layout):
    return LAYOUTS[layout](np.random.default_rng(seed).standard_normal(SHAPE).astype("f"))


@pytest.mark.parametrize("of_g", LAYOUTS)
@pytest.mark.parametrize("of_x", LAYOUTS)
def test_relu_and_leaky_relu(of_x, of_g):
    x, g = numbers(0, of_x), numbers(1, of_g)
    for function, slope in ((tr.relu, 0.0), (tr.leaky_relu, 0.01)):
        leaf = wrap(x).requires_grad_()
        y = function(leaf)
        np.testing.assert_array_equal(y.numpy(), np.where(x > 0, x, np.float32(slope) * x))
        (dx,) = tr.grad(y, leaf, g)
        np.testing.assert_array_equal(dx.numpy(), np.where(x > 0, g, np.float32(slope) * g))


@pytest.mark.parametrize("of_b", LAYOUTS)
@pytest.mark.parametrize("of_a", LAYOUTS)
def test_cotangents_add_up_and_are_never_written_into(of_a, of_b):
    x, a, b = numbers(0, "channels last"), numbers(1, of_a), numbers(2, of_b)
    leaf = tr.tensor(x, requires_grad=True)
    kept = [v.copy() for v in (a, b)]
    (dx,) = tr.grad([leaf * 1.0, leaf * 1.0, leaf * 1.0], [leaf], [a, b, a])
    np.testing.assert_allclose(dx.numpy(), a + b + a, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal([a, b], kept)


def test_the_same_array_twice_counts_twice():
    leaf = tr.tensor(numbers(0, "channels last"), requires_grad=True)
    g = numbers(1, "channels last")
    before = g.copy()
    (dx,) = tr.grad(leaf + leaf, leaf, g)
    np.testing.assert_array_equal(dx.numpy(), 2 * before)
    np.testing.assert_array_equal(g, before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pad_and_slice_keep_the_order_of_axes(layout):
    x = wrap(numbers(0, layout)).requires_grad_()
    y = tr.pad(x[:, :, ::2, ::2], (0, 1, 2, 0, 0, 8))
    expected = np.pad(x.numpy()[:, :, ::2, ::2], ((0, 0), (0, 8), (2, 0), (0, 1)))
    np.testing.assert_array_equal(y.numpy(), expected)
    g = LAYOUTS[layout](np.random.default_rng(1).standard_normal(y.shape).astype("f"))
    (dx,) = tr.grad(y, x, g)
    inside = np.zeros(SHAPE, "f")
    inside[:, :, ::2, ::2] = g[:, :8, 2:, :-1]
    np.testing.assert_array_equal(dx.numpy(), inside)
    if layout == "channels last":
        for a in (y.numpy(), dx.numpy()):
            assert a.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("transposed", [False, True])
def test_a_large_product_and_its_derivatives(transposed):
    draw = np.random.default_rng(0).standard_normal
    a, b, g = draw((70, 90)), draw((90, 60)), draw((70, 60))
    x, w = (tr.tensor(v.T if transposed else v, requires_grad=True) for v in (a, b))
    y = (x.T @ w.T) if transposed else x @ w
    np.testing.assert_allclose(y.numpy(), a @ b, rtol=1e-12, atol=1e-12)
    dx, dw = (d.numpy().T if transposed else d.numpy() for d in tr.grad(y, [x, w], g))
    np.testing.assert_allclose(dx, g @ b.T, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dw, a.T @ g, rtol=1e-12, atol=1e-12)


def test_sums_into_a_fused_rules_results_touch_nothing_that_others_hold():
    """The skip's cotangent is a result of the fused rule, into which what comes through the branch is added."""
    x, g = numbers(0, "channels last"), numbers(1, "channels last")
    leaf, before = tr.tensor(x, requires_grad=True), g.copy()
    y = tr.batch_norm(leaf * 2.0, residual=leaf, relu=False)
    (dx,) = tr.grad(y, leaf, g, retain_graph=True)
    np.testing.assert_array_equal(g, before)

    class Keeping(tr.Observer):
        def __init__(self):
            self.kept = []

        def on_edge(self, consumer, arg_index, producer, contribution):
            self.kept.append((contribution, contribution.copy()))

    with Keeping() as keeping:
        (watched,) = tr.grad(y, leaf, g)
    np.testing.assert_allclose(watched.numpy(), dx.numpy(), rtol=1e-6)
    assert len(keeping.kept) == 3  # to the scaled input, to the skip, and from the scaled input to the leaf
    for contribution, copy in keeping.kept:
        np.testing.assert_array_equal(contribution, copy)
    plain = tr.grad(tr.batch_norm(leaf * 2.0) + leaf, leaf, g)[0]
    np.testing.assert_allclose(dx.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)


def test_large_integers_promote_like_small_ones():
    x = np.arange(-20_000, 20_000)
    y = tr.leaky_relu(tr.tensor(x), 0.25)
    np.testing.assert_array_equal(y.numpy(), np.where(x > 0, x, 0.25 * x))


def test_in_evaluation_gradients_have_the_precision_of_x_not_of_the_statistics():
    draw = np.random.default_rng(0).standard_normal
    x, weight = (tr.tensor(draw(shape), requires_grad=True) for shape in ((6, 3), 3))
    statistics = np.zeros(3, "f"), np.ones(3, "f")
    g = draw((6, 3))
    (dweight,) = tr.grad(tr.batch_norm(x, *statistics, weight, training=False, eps=0.0), weight, g)
    np.testing.assert_allclose(dweight.numpy(), (g * x.numpy()).sum(0), rtol=1e-13)


def test_a_table_without_rows_has_a_gradient():
    table = tr.tensor(np.zeros((0, WIDE)), requires_grad=True)
    (found,) = tr.grad(table[np.zeros((3, 0), int)].sum(), [table])
    assert found.shape == (0, WIDE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("how", ["often", "seldom", "narrow", "negative", "small indices"])
def test_the_gradient_of_rows_that_are_looked_up(how, dtype, monkeypatch):
    """With the bits of `np.add.at`, whichever way it goes: rows are sorted where they are wide, and come often."""
    rng = np.random.default_rng(0)
    rows, width = (5, WIDE - 1 if how == "narrow" else WIDE) if how != "seldom" else (OFTEN + 2, WIDE)
    index = rng.integers(0, rows - 1, (10, OFTEN))  # the last row is never looked up
    index = index - rows if how == "negative" else index.astype(np.uint8) if how == "small indices" else index
    index = index[:, :-1] if how == "seldom" else index
    sorted_ones = []
    usual = indexing._add_rows
    monkeypatch.setattr(indexing, "_add_rows", lambda *given: sorted_ones.append(1) or usual(*given))
    table = tr.tensor(rng.standard_normal((rows, width)).astype(dtype), requires_grad=True)
    g = rng.standard_normal((*index.shape, width)).astype(dtype)
    (found,) = tr.grad(table[index], [table], tr.tensor(g))
    expected = np.zeros((rows, width), dtype)
    np.add.at(expected, index, g)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert bool(sorted_ones) is (how in ("often", "small indices"))


def test_places_outside_of_a_table_are_refused_however_often_they_come():
    with pytest.raises(IndexError):
        tr.added_at(tr.tensor(np.ones((100, WIDE))), key=np.full(100, 3), shape=(3, WIDE))
