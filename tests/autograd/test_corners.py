"""Corners of the engine: what happens inside no_grad, under create_graph, with several watchers, after errors."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd.calling import define
from tinyres.autograd.checkpoint import note_draw
from tinyres.context import context, current


def leaf(*shape, seed=0):
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


# -- create_graph, retain_graph, cotangents -------------------------------------------------------------------------
def test_create_graph_records_even_inside_no_grad():
    x = leaf(3)
    y = (x * x * x).sum()
    with tr.no_grad():
        (g,) = tr.grad(y, x, create_graph=True)
    assert g.requires_grad
    (gg,) = tr.grad(g.sum(), x)
    np.testing.assert_allclose(gg.numpy(), 6 * x.data)


def test_create_graph_may_still_free_what_it_used():
    x = leaf(3)
    y = tr.exp(x).sum()
    tr.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        tr.grad(y, x)


def test_backward_can_retain_and_can_be_differentiated():
    x = leaf(3)
    y = tr.exp(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(x.data))
    x.grad = None
    (x * x * x).sum().backward(create_graph=True)
    (gg,) = tr.grad(x.grad.sum(), x)
    np.testing.assert_allclose(gg.numpy(), 6 * x.data)


def test_constants_and_tensors_meet_in_one_sum():
    x = leaf(3)
    y = ((x * x) + x) + x  # under create_graph two raw contributions are added up before a tensor joins them
    (g,) = tr.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 2 * x.data + 2)
    (gg,) = tr.grad(g.sum(), x)
    np.testing.assert_allclose(gg.numpy(), [2, 2, 2])


def test_a_cotangent_that_requires_a_gradient():
    x, u = leaf(3), leaf(3, seed=1)
    (plain,) = tr.grad(tr.exp(x), x, u)
    assert not plain.requires_grad
    (g,) = tr.grad(tr.exp(x), x, u, create_graph=True)
    gu, gx = tr.grad(g.sum(), [u, x])
    np.testing.assert_allclose(gu.numpy(), np.exp(x.data))
    np.testing.assert_allclose(gx.numpy(), u.data * np.exp(x.data))


def test_a_cotangent_takes_the_dtype_of_its_output():
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    (g,) = tr.grad(x, x, np.array([0.1, 0.2]))
    assert g.dtype == np.float32


def test_steps_towards_some_inputs_only():
    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    y = (tr.exp(x) * tr.tanh(w)).sum()
    assert {e.consumer.name for e in tr.steps(y, inputs=[x])} == {"sum", "mul", "exp"}


def test_an_input_is_not_run_when_nothing_below_it_is_wanted():
    x = leaf(3)
    h = tr.exp(x)
    tr.grad(h.sum(), x)
    np.testing.assert_array_equal(tr.grad((h * 2.0).sum(), h)[0].numpy(), [2, 2, 2])


def test_events_keep_the_totals_that_they_told():
    x = leaf(2)
    events = list(tr.steps((x + x + x + x).sum()))
    totals = [e.total.tolist() for e in events if e.kind == "accumulate" and e.producer is x.node]
    assert totals == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_what_is_no_longer_floating_has_no_gradient():
    assert not leaf(2).astype("int64").requires_grad
    assert not leaf(2).astype("bool").requires_grad
    assert leaf(2).astype("float32").requires_grad


def test_a_copy_is_a_leaf_of_its_own():
    w = leaf(3)
    v = copy.deepcopy(w)
    (v * v).sum().backward()
    assert w.grad is None
    np.testing.assert_allclose(v.grad.numpy(), 2 * w.data)
    with pytest.raises(RuntimeError, match="only leaves can be copied"):
        copy.deepcopy(w * 2.0)


def test_one_block_may_be_entered_inside_itself():
    block = tr.no_grad()
    with block, block:
        assert not tr.is_recording()
    assert tr.is_recording()


def test_steps_left_half_way_leave_nothing_behind():
    x = leaf(2)
    with tr.kernels("reference"):
        y = tr.conv2d(tr.reshape(x, 1, 1, 1, 2), np.ones((1, 1, 1, 1))).sum()
    before = current()
    for _ in tr.steps(y):
        break
    assert current() is before


def test_walk_returns_totals_of_intermediate_tensors():
    x = leaf(3)
    h = tr.exp(x)

    class Doubled:
        def add(self, total, contribution, fresh):
            return total + contribution

        def apply(self, rule, cotangent):
            return rule(cotangent)

        def edge(self, consumer, arg_index, contribution):
            return 2 * contribution

    gx, gh = tr.walk(h * 3.0, [x, h], Doubled(), np.ones(3))
    np.testing.assert_allclose(gh, [6, 6, 6])
    np.testing.assert_allclose(gx, 12 * h.numpy())


def test_only_an_operation_that_broadcasts_may_be_summed_back():
    def double(x):
        return 2 * x

    wrong = define(double)
    wrong.vjp(x=lambda g: tr.expand(g, 2, 3))  # could be reduced to (3,), but nothing was broadcast
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"double: the rule for argument 0 returned a cotangent of shape \(2, 3\)"):
        tr.grad(wrong(x), x, np.ones(3))


# -- fused operations -----------------------------------------------------------------------------------------------
def test_a_replay_updates_nothing_and_nobody_watches_it():
    x, mean, var = leaf(6, 3), tr.tensor(np.zeros(3)), tr.tensor(np.ones(3))
    seen = []

    class Watch(tr.Observer):
        def on_forward(self, node, value):
            seen.append(node.name)

    y = tr.batch_norm(x, mean, var)
    once = mean.numpy().copy()
    with Watch():
        tr.grad(y, x, np.ones((6, 3)), create_graph=True)
    np.testing.assert_array_equal(mean.numpy(), once)
    assert "sqrt" not in seen


def test_a_fused_operation_saves_arrays_and_numbers_only():
    x, mean, var = leaf(6, 3), tr.tensor(np.zeros(3)), tr.tensor(np.ones(3))
    saved = tr.batch_norm(x, mean, var).node.saved
    assert not any(callable(value) or isinstance(value, tr.Tensor) for value in saved)


def test_a_fused_operation_with_one_tensor_in_two_places():
    x, w = leaf(5, 3), leaf(3, seed=1)
    g = np.random.default_rng(2).standard_normal((5, 3))
    (fused,) = tr.grad(tr.batch_norm(x, weight=w, bias=w), w, g, create_graph=True)
    (plain,) = tr.grad(tr.batch_norm(x, weight=w, bias=w), w, g)
    np.testing.assert_allclose(fused.detach().numpy(), plain.numpy(), rtol=1e-12)
    xhat = tr.batch_norm(x).detach().numpy()
    np.testing.assert_allclose(plain.numpy(), (g * (xhat + 1)).sum(0), rtol=1e-10)


# -- checkpoint -----------------------------------------------------------------------------------------------------
def test_a_checkpoint_is_run_again_where_it_was_first_run():
    x = leaf(2, 3)
    paths, rungs = [], []

    class Noting(nn.Module):
        def forward(self, z):
            paths.append(current().path)
            rungs.append(current().kernels)
            return tr.exp(z)

    class Outer(nn.Module):
        def __init__(self):
            self.inner = Noting()

        def forward(self, z, scale=1.0):
            return tr.checkpoint(lambda a, scale: self.inner(a) * scale, z, scale=scale)

    model = Outer()
    with tr.kernels("reference"):
        y = model(x, scale=3.0).sum()
    with tr.no_grad():
        (g,) = tr.grad(y, x)
    np.testing.assert_allclose(g.numpy(), 3 * np.exp(x.data))
    assert paths == ["inner", "inner"]
    assert rungs == ["reference", "reference"]


def test_generators_are_rewound_and_put_back_even_after_an_error():
    x, rng = leaf(4), np.random.default_rng(3)
    fail = []

    def noisy(z):
        note_draw(rng)
        first = rng.standard_normal(4)
        note_draw(rng)
        second = rng.standard_normal(4)
        if fail:
            raise OSError("planted")
        return z * first * second

    y = tr.checkpoint(noisy, x)
    rng.standard_normal(100)  # life goes on between forward and backward
    later = rng.bit_generator.state
    (g,) = tr.grad(y.sum(), x, retain_graph=True)
    np.testing.assert_allclose(g.numpy(), y.numpy() / x.data)
    assert rng.bit_generator.state == later
    fail.append(True)
    with pytest.raises(OSError, match="planted"):
        tr.grad(y.sum(), x)
    assert rng.bit_generator.state == later
    assert not current().replaying


def test_a_checkpoint_of_what_needs_no_gradient_keeps_nothing():
    y = tr.checkpoint(tr.exp, tr.tensor([1.0, 2.0]))
    assert not y.requires_grad
    with tr.no_grad():
        assert not tr.checkpoint(tr.exp, leaf(2)).requires_grad


# -- functional -----------------------------------------------------------------------------------------------------
def test_functional_works_inside_no_grad_and_detaches_unless_asked():
    x = leaf(3)
    with tr.no_grad():
        y, g = tr.vjp(lambda z: (z * z).sum(), x)
        _, pushed = tr.jvp(lambda z: z * z, x, np.ones(3))
    np.testing.assert_allclose(g.numpy(), 2 * x.data)
    np.testing.assert_allclose(pushed.numpy(), 2 * x.data)
    assert not y.requires_grad
    assert not g.requires_grad
    y, g = tr.vjp(lambda z: (z * z * z).sum(), x, create_graph=True)
    assert y.requires_grad
    np.testing.assert_allclose(tr.grad(g.sum(), x)[0].numpy(), 6 * x.data)
    y, pushed = tr.jvp(lambda z: z * z * z, x, np.ones(3), create_graph=True)
    assert y.requires_grad
    np.testing.assert_allclose(tr.grad(pushed.sum(), x)[0].numpy(), 6 * x.data)
    y, pushed = tr.jvp(lambda z: z * z * z, x, np.ones(3))
    assert not y.requires_grad
    assert not pushed.requires_grad


def test_an_input_that_is_closed_over_as_well_counts_only_where_it_is_passed():
    x = leaf(3)
    _, g = tr.vjp(lambda z: (z * x).sum(), x)
    np.testing.assert_allclose(g.numpy(), x.data)


# -- context and observers ------------------------------------------------------------------------------------------
def test_observers_watch_side_by_side():
    class Count(tr.Observer):
        def __init__(self):
            self.seen = 0

        def on_forward(self, node, value):
            self.seen += 1

    x, outer, inner = leaf(2), Count(), Count()
    with outer:
        tr.exp(x)
        with inner:
            tr.exp(x)
        tr.exp(x)
    assert (outer.seen, inner.seen) == (3, 1)


def test_the_context_is_restored_after_an_error():
    before = current()
    with pytest.raises(ValueError, match="planted"), tr.no_grad(), tr.Observer(), tr.kernels("reference"):
        raise ValueError("planted")
    assert current() is before


def test_a_decorated_function_may_call_itself():
    depth = []

    @tr.no_grad()
    def recurse(n):
        depth.append(tr.is_recording())
        if n:
            recurse(n - 1)
        depth.append(tr.is_recording())

    recurse(3)
    assert not any(depth)
    assert tr.is_recording()
    with context(path="a"), context(path="b"):
        assert current().path == "b"


# -- tensors --------------------------------------------------------------------------------------------------------
def test_data_can_be_rebound_in_a_leaf_only():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="exp: only a leaf's data can be replaced"):
        tr.exp(x).data = np.ones(3)
    old = x.node
    x.data = np.ones(3)
    assert x.node is old  # the same leaf
    x.data = np.ones(5)
    assert x.node is not old
    (g,) = tr.grad((x * x).sum(), x)
    assert g.shape == (5,)


def test_what_looks_like_writing_in_place_is_refused():
    x = leaf(3)
    with pytest.raises(TypeError, match=r"`-=` would bind the name to a new tensor .* use tinyres.optim"):
        x -= 1.0
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 1.0
    with pytest.raises(TypeError, match="data: needs an array, got list"):
        x.data = [1.0, 2.0]
    x.data = tr.tensor(np.zeros(3))
    assert isinstance(x.data, np.ndarray)
    total = x.sum()
    total += x.sum()  # what was computed may be added up
    np.testing.assert_array_equal(tr.grad(total, x)[0].numpy(), [2, 2, 2])


def test_a_numpy_scalar_promotes_no_more_than_a_python_number():
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    assert (np.float64(2) * x).dtype == np.float32
    assert (x / np.float64(2)).dtype == np.float32
    assert f"{x.sum():.2f}" == "3.00"


def test_requires_grad_of_what_was_computed_cannot_be_taken_back():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="only a leaf can stop requiring a gradient"):
        tr.exp(x).requires_grad_(False)
    y = x * 2.0
    assert x.requires_grad_() is x  # asking twice does not cut the graph
    np.testing.assert_array_equal(tr.grad(y.sum(), x)[0].numpy(), [2, 2, 2])
    assert not x.requires_grad_(False).requires_grad


def test_a_tensor_is_a_copy():
    source = np.ones(3)
    x = tr.tensor(source)
    source[0] = 7
    assert x.numpy()[0] == 1


def test_anomaly_detection_lets_integers_and_empty_tensors_pass():
    with tr.detect_anomaly():
        x = tr.tensor([1, 2, 3])
        assert (x + x).tolist() == [2, 4, 6]
        empty = tr.tensor(np.ones((0, 2)), requires_grad=True)
        tr.exp(empty).sum().backward()
        with (
            pytest.raises(FloatingPointError, match=r"div made Inf .* b: \[0, 0\] of shape \(2,\)"),
            np.errstate(all="ignore"),
        ):
            leaf(2) / tr.tensor(np.zeros(2))
