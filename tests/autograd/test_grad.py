"""grad and backward: what they return, what they refuse, what they leave alone."""

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf


def test_the_worked_pass_of_the_design():
    x, w = leaf(3, 4), leaf(4, 2, seed=1)
    gx, gw = tr.grad(tr.tanh(x @ w).sum(), [x, w])
    inner = 1 - np.tanh(x.data @ w.data) ** 2
    np.testing.assert_allclose(gx.numpy(), inner @ w.data.T, rtol=1e-14)
    np.testing.assert_allclose(gw.numpy(), x.data.T @ inner, rtol=1e-14)


def test_gradients_do_not_touch_grad_and_backward_adds_into_it():
    x = leaf(3)
    tr.grad((x * x).sum(), x)
    assert x.grad is None
    (x * x).sum().backward()
    (x * x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.data)


def test_an_intermediate_tensor_has_a_gradient_too():
    x = leaf(3)
    h = tr.exp(x)
    k = h * h
    (gh,) = tr.grad(k.sum(), h, retain_graph=True)
    np.testing.assert_allclose(gh.numpy(), 2 * h.numpy())
    gx, gh2, gk = tr.grad(k.sum(), [x, h, k])
    np.testing.assert_allclose(gx.numpy(), 2 * h.numpy() ** 2)
    np.testing.assert_array_equal(gh2.numpy(), gh.numpy())
    np.testing.assert_array_equal(gk.numpy(), np.ones(3))


def test_retain_grad_fills_grad_of_an_intermediate_tensor():
    x = leaf(3)
    h = tr.exp(x).retain_grad()
    (h * h).sum().backward()
    np.testing.assert_allclose(h.grad.numpy(), 2 * h.numpy())


def test_any_order():
    x = tr.tensor(np.array(0.7), requires_grad=True)
    derivative = tr.tanh(x)
    for _ in range(4):
        (derivative,) = tr.grad(derivative, x, create_graph=True)
    t = np.tanh(0.7)
    fourth = 8 * t * (1 - t * t) * (2 - 3 * t * t)  # by hand
    assert derivative.item() == pytest.approx(fourth, rel=1e-12)


def test_a_fan_out_accumulates_and_never_writes_into_a_contribution():
    x = leaf(3)
    y = x + x
    g = np.array([1.0, 2.0, 3.0])
    (gx,) = tr.grad(y + y + y, x, g)
    np.testing.assert_array_equal(gx.numpy(), 6 * g)
    np.testing.assert_array_equal(g, [1.0, 2.0, 3.0])
    (gm,) = tr.grad(x.mean() + x.mean() + x.mean(), x)  # read-only broadcasts
    np.testing.assert_allclose(gm.numpy(), np.ones(3))


def test_what_an_observer_has_seen_stays_as_it_was():
    seen = []

    class Edges(tr.Observer):
        def on_edge(self, consumer, arg_index, producer, contribution):
            seen.append((contribution, contribution.copy()))

    x = leaf(3)
    y = x + x
    with Edges():
        tr.grad(y + y + y, x, np.array([1.0, 2.0, 3.0]))
    assert len(seen) == 6
    for contribution, at_first in seen:
        np.testing.assert_array_equal(contribution, at_first)


def test_of_two_branches_the_younger_node_goes_first():
    x = leaf(3)
    for reversed_product in (False, True):
        stem = tr.exp(x)
        old, young = tr.sin(stem), tr.cos(tr.cos(stem))
        (g,) = tr.grad(young * old if reversed_product else old * young, x, np.ones(3))
        s = np.exp(x.data)
        expected = np.cos(s) * np.cos(np.cos(s)) + np.sin(s) * np.sin(np.cos(s)) * np.sin(s)
        np.testing.assert_allclose(g.numpy(), s * expected, rtol=1e-12)


def test_leaves_that_receive_the_same_array_do_not_share_their_accumulation():
    a, b = leaf(3), leaf(3, seed=1)
    (a + b).backward(np.ones(3))
    (a * 2).backward(np.ones(3))
    np.testing.assert_array_equal(a.grad.numpy(), [3, 3, 3])
    np.testing.assert_array_equal(b.grad.numpy(), [1, 1, 1])


def test_several_outputs_and_a_repeated_one():
    x = leaf(3)
    y = x * x
    (g,) = tr.grad([y, x * 3, y], [x], [np.ones(3), np.ones(3), np.ones(3)])
    np.testing.assert_allclose(g.numpy(), 4 * x.data + 3)


def test_broadcasting_is_undone():
    x, row, column, number = leaf(2, 3, 4), leaf(4, seed=1), leaf(3, 1, seed=2), leaf(seed=3)
    g = np.random.default_rng(5).standard_normal((2, 3, 4))
    gx, gr, gc_, gn = tr.grad(x * row + column * number, [x, row, column, number], g)
    np.testing.assert_allclose(gx.numpy(), g * row.data)
    np.testing.assert_allclose(gr.numpy(), (g * x.data).sum((0, 1)))
    np.testing.assert_allclose(gc_.numpy(), (g * number.data).sum((0, 2))[:, None])
    assert gn.shape == ()
    np.testing.assert_allclose(gn.numpy(), (g * column.data).sum())


def test_mixed_precision_promotes_and_each_gradient_has_its_inputs_dtype():
    x = tr.tensor([1.0, 2.0], dtype="float32", requires_grad=True)
    w = tr.tensor(np.array([3.0, 4.0]), requires_grad=True)
    y = x * w
    assert y.dtype == np.float64
    gx, gw = tr.grad(y.sum(), [x, w])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    assert (x * 2.0).dtype == np.float32
    with pytest.raises(TypeError, match=r"matmul\(.*float32.*float64.*differ; convert one, e.g. with .astype"):
        x.reshape(1, 2) @ w.reshape(2, 1)


def test_only_what_lies_between_is_visited():
    seen = []

    class Watch(tr.Observer):
        def on_edge(self, consumer, arg_index, producer, contribution):
            seen.append(consumer.name)

    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    h = tr.exp(x @ w)
    y = (tr.tanh(h) + tr.relu(w)).sum()
    with Watch():
        tr.grad(y, h)
    assert seen == ["sum", "add", "tanh"]


def test_a_freed_graph_says_so_and_what_to_pass():
    x = leaf(3)
    y = tr.exp(x)
    tr.grad(y, x, np.ones(3))
    with pytest.raises(RuntimeError, match=r"through <exp #\d+ \(3,\)>: an earlier pass has freed .*retain_graph=True"):
        tr.grad(y, x, np.ones(3))
    z = tr.exp(x).sum()
    first = tr.grad(z, x, retain_graph=True)[0]
    np.testing.assert_array_equal(first.numpy(), tr.grad(z, x)[0].numpy())


def test_a_failed_backward_leaves_grad_alone():
    x = leaf(3)
    h = tr.exp(x)
    tr.grad(h.sum(), x)
    with pytest.raises(RuntimeError, match="freed"):
        (x.sum() + h.sum()).backward()
    assert x.grad is None


def test_an_unused_input_raises_or_gives_none():
    x, other = leaf(3), leaf(2, seed=1)
    with pytest.raises(RuntimeError, match=r"inputs\[1\] \(2,\) float64 is not used by the outputs; pass allow_un"):
        tr.grad(x.sum(), [x, other])
    g, none = tr.grad(x.sum(), [x, other], allow_unused=True)
    assert none is None
    np.testing.assert_array_equal(g.numpy(), np.ones(3))


def test_an_input_without_gradient_is_refused():
    with pytest.raises(RuntimeError, match=r"inputs\[0\] \(\(2,\) float32\) does not require a gradient"):
        tr.grad(leaf(3).sum(), tr.tensor([1.0, 2.0]))


def test_an_output_that_needs_no_gradient_is_refused():
    with pytest.raises(RuntimeError, match=r"outputs\[0\] .*requires no gradient"):
        tr.grad(tr.tensor([1.0]).sum(), leaf(3))
    x = leaf(3)
    with tr.no_grad():
        y = tr.exp(x).sum()
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="no_grad"):
        y.backward()


def test_a_cotangent_is_needed_for_more_than_one_element_and_must_fit():
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"has shape \(3,\).*pass one of that shape, .* or reduce first"):
        tr.grad(x * 2, x)
    with pytest.raises(ValueError, match=r"grad_outputs\[0\] has shape \(2,\), the output has \(3,\)"):
        tr.grad(x * 2, x, np.ones(2))
    with pytest.raises(ValueError, match="1 outputs, but 2 grad_outputs"):
        tr.grad([x * 2], x, [np.ones(3), np.ones(3)])


def test_shapes_that_do_not_broadcast_name_the_operation_and_both_shapes():
    with pytest.raises(ValueError, match=r"add\(a: \(3,\) float64, b: \(4,\) float64\)"):
        leaf(3) + leaf(4)
    with pytest.raises(ValueError, match=r"matmul\(x: \(2, 3\) float64, w: \(2, 3\) float64\)"):
        leaf(2, 3) @ leaf(2, 3)


def test_nan_passes_through_and_back():
    x = tr.tensor([1.0, np.nan], requires_grad=True)
    (g,) = tr.grad((x * x).sum(), x)
    assert np.isnan(g.numpy()).tolist() == [False, True]
    assert np.isnan(tr.relu(x).numpy()).tolist() == [False, True]


def test_an_update_between_forward_and_backward_does_not_corrupt():
    w = leaf(3)
    before = w.data.copy()
    y = (w * w).sum()
    w.data = w.data - 10.0
    y.backward()
    np.testing.assert_allclose(w.grad.numpy(), 2 * before)


def test_the_result_of_a_pass_without_create_graph_is_not_recorded():
    x = leaf(3)
    (g,) = tr.grad((x * x * x).sum(), x)
    assert not g.requires_grad
    (g,) = tr.grad((x * x * x).sum(), x, create_graph=True)
    assert g.requires_grad


@pytest.mark.slow
def test_a_chain_of_100_000_operations():
    x = tr.tensor(np.array(1.0), requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.00001
    (g,) = tr.grad(y, x)
    assert g.item() == pytest.approx(1.00001**100_000, rel=1e-9)
    del y, g  # and the graph goes away without recursion, too
    y = x
    for _ in range(100_000):
        y = y + 1.0
    del y


def test_nothing_leaks_with_the_collector_off():
    gc.collect()
    gc.disable()
    try:
        x = leaf(3)
        h = tr.tanh(x * x)
        (g,) = tr.grad(h.sum(), x, create_graph=True)
        (gg,) = tr.grad(g.sum(), x, create_graph=True)
        nodes = [weakref.ref(t.node) for t in (h, g, gg)]
        tensors = [weakref.ref(t) for t in (h, g, gg)]
        del h, g, gg
        assert [r() for r in nodes + tensors] == [None] * 6
    finally:
        gc.enable()


def test_saved_values_go_as_the_pass_goes():
    x = leaf(10)
    y = tr.exp(tr.exp(x))
    inner = y.node.parents[0]
    (y.sum()).backward()
    assert not isinstance(inner.saved, tuple)


def test_importing_is_cheap_and_imports_no_numba():
    heavy = ("numba", "matplotlib", "sklearn", "safetensors", "rich", "cupy")
    code = f"import sys, tinyres; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_only_inputs_is_what_grad_always_does():
    x = tr.tensor([3.0], requires_grad=True)
    (g,) = tr.grad(outputs=x * x, inputs=x, grad_outputs=tr.ones(1), create_graph=True, only_inputs=True)
    assert g.item() == 6
    assert x.grad is None
    with pytest.raises(ValueError, match="only_inputs=False is not possible; use backward"):
        tr.grad(x * x, x, only_inputs=False)
