"""The generator, the observers and other algebras see exactly the pass that training runs."""

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres.autograd.between import between
from tinyres.autograd.primitive import PRIMITIVES
from tinyres.context import current


def test_steps_tell_the_pass_and_never_release():
    x, w = leaf(2, 3), leaf(3, 3, seed=1)
    y = (tr.tanh(x @ w) @ w).sum()
    told = {}
    kinds = []
    for event in tr.steps(y):
        kinds.append(event.kind)
        if event.kind == "accumulate":
            told[event.producer] = event.total
    assert kinds[::2] == ["rule"] * 6
    assert kinds[1::2] == ["accumulate"] * 6
    gx, gw = tr.grad(y, [x, w])
    np.testing.assert_array_equal(told[x.node], gx.numpy())
    np.testing.assert_array_equal(told[w.node], gw.numpy())


def test_an_event_reads_as_a_sentence():
    x = leaf(2)
    rule, accumulate = list(tr.steps((x * 2.0).sum()))[2:]
    assert str(rule).startswith("rule        mul #")
    assert "sends |g| = 2.828 to leaf #" in str(rule)
    assert "+= |g| = 2.828, now 2.828" in str(accumulate)


def test_observers_see_contributions_before_they_are_added():
    class Watch(tr.Observer):
        def __init__(self):
            self.forward, self.edges, self.totals = [], [], {}

        def on_forward(self, node, value):
            self.forward.append((node.name, value.shape))

        def on_edge(self, consumer, arg_index, producer, contribution):
            self.edges.append((consumer.name, arg_index, producer, contribution))

        def on_cotangent(self, node, total):
            self.totals[node] = total

    x = leaf(3)
    with Watch() as watch:
        y = (x * x).sum()
        y.backward()
    assert watch.forward == [("mul", (3,)), ("sum", ())]
    to_x = [c for _, _, producer, c in watch.edges if producer is x.node]
    assert len(to_x) == 2
    np.testing.assert_array_equal(to_x[0], x.data)
    np.testing.assert_array_equal(watch.totals[x.node], 2 * x.data)
    (x * x).sum().backward()
    assert len(watch.forward) == 2  # not watching any more


def test_an_older_node_waits_for_the_younger_ones_that_use_it():
    """In p * tanh(p) the product names the older node first; its total is told once, when tanh has sent its part."""
    told = []

    class Watch(tr.Observer):
        def on_cotangent(self, node, total):
            told.append((node, total))

    x = leaf(3)
    p = tr.exp(x)
    y = p * tr.tanh(p)
    with Watch():
        (g,) = tr.grad(y, x, np.ones(3))
    t = np.tanh(p.data)
    totals = [total for node, total in told if node is p.node]
    assert len(totals) == 1
    np.testing.assert_allclose(totals[0], t + p.data * (1 - t * t), rtol=1e-14)
    np.testing.assert_allclose(g.numpy(), totals[0] * p.data, rtol=1e-14)


def test_a_sums_arguments_receive_equal_cotangents_and_the_routes_differ_where_they_rejoin():
    x, w = leaf(4), leaf(4, seed=1)
    branch = tr.tanh(x * w)
    y = branch + x
    y.node.roles = ("branch", "skip")
    g = np.random.default_rng(2).standard_normal(4)
    events = [e for e in tr.steps(y, g) if e.kind == "rule"]
    at_sum = {e.role: e.contribution for e in events if e.consumer is y.node}
    np.testing.assert_array_equal(at_sum["skip"], at_sum["branch"])
    at_input = [e for e in events if e.producer is x.node]
    assert [e.role for e in at_input] == ["skip", None]
    np.testing.assert_array_equal(at_input[0].contribution, g)
    inner = np.tanh(x.data * w.data)
    np.testing.assert_allclose(at_input[1].contribution, g * (1 - inner**2) * w.data, rtol=1e-14)


class Polynomials:
    """Cotangents as {number of branches passed: array}."""

    def add(self, total, contribution, fresh):
        return {n: total.get(n, 0) + contribution.get(n, 0) for n in total | contribution}

    def apply(self, rule, cotangent):
        return {n: rule(c) for n, c in cotangent.items()}

    def edge(self, consumer, arg_index, contribution):
        through = consumer.roles is not None and consumer.roles[arg_index] == "branch"
        return {n + through: c for n, c in contribution.items()}


def test_walk_in_another_algebra_splits_the_gradient_by_path_length():
    x = leaf(3)
    weights = [leaf(3, 3, seed=s) for s in range(1, 4)]
    h = x
    for w in weights:
        y = h @ w + h
        y.node.roles = ("branch", "skip")
        h = y
    g = np.random.default_rng(9).standard_normal(3)
    (terms,) = tr.walk(h, x, Polynomials(), {0: g})
    A, B, C = (w.data for w in weights)
    np.testing.assert_allclose(terms[0], g)
    np.testing.assert_allclose(terms[1], (A + B + C) @ g)
    np.testing.assert_allclose(terms[2], (A @ B + A @ C + B @ C) @ g)
    np.testing.assert_allclose(terms[3], A @ B @ C @ g)
    with tr.detect_anomaly(), tr.Observer():  # which expect arrays
        (again,) = tr.walk(h, x, Polynomials(), {0: g})
    assert again.keys() == terms.keys()
    (total,) = tr.grad(h, x, g)
    np.testing.assert_allclose(sum(terms.values()), total.numpy(), rtol=1e-12)


def test_the_backward_pass_uses_the_kernels_of_its_forward(monkeypatch):
    from tinyres_kernels import reference

    used = []
    original = reference.conv2d_dx
    monkeypatch.setattr(reference, "conv2d_dx", lambda *a, **k: used.append("dx") or original(*a, **k))
    x, w = leaf(1, 1, 4, 4), leaf(1, 1, 3, 3, seed=1)
    with tr.kernels("reference"):
        y = tr.conv2d(x, w)
    tr.grad(y.sum(), x)
    assert used == ["dx"]
    tr.grad(tr.conv2d(x, w).sum(), x)
    assert used == ["dx"]
    with (
        pytest.raises(ValueError, match="no kernel set called 'fast'; there are reference, im2col, cpu"),
        tr.kernels("fast"),
    ):
        pass


def test_a_fused_operation_replays_its_reference_above_first_order():
    x = leaf(5, 3)
    calls = []
    primitive = PRIMITIVES["batch_norm"]
    original = primitive.decomposition
    try:
        primitive.decomposition = lambda *a, **k: calls.append(1) or original(*a, **k)
        tr.grad(tr.batch_norm(x), x, np.ones((5, 3)))
        assert calls == []
        tr.grad(tr.batch_norm(x), x, np.ones((5, 3)), create_graph=True)
        assert calls == [1]
    finally:
        primitive.decomposition = original


def test_between_finds_the_nodes_on_the_way():
    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    h = x @ w
    y = tr.relu(h) + tr.exp(w)
    assert between([y.node], [h.node]) == {y.node, y.node.parents[0], h.node}


def test_steps_towards_some_inputs_only():
    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    y = (tr.exp(x) * tr.tanh(w)).sum()
    assert {e.consumer.name for e in tr.steps(y, inputs=[x])} == {"sum", "mul", "exp"}


def test_events_keep_the_totals_that_they_told():
    x = leaf(2)
    events = list(tr.steps((x + x + x + x).sum()))
    totals = [e.total.tolist() for e in events if e.kind == "accumulate" and e.producer is x.node]
    assert totals == [[1, 1], [2, 2], [3, 3], [4, 4]]


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
