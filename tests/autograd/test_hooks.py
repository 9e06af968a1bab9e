"""Hooks on tensors: what they see, when, and what becomes of what they return."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.autograd import hooks


def leaf(*values, dtype="float64"):
    return tr.tensor(np.array(values, dtype), requires_grad=True)


def noting(log, name, factor=None):
    def hook(g):
        log.append((name, g.numpy().tolist()))
        return None if factor is None else g * factor

    return hook


def test_it_sees_the_sum_of_all_that_arrives_once():
    x, log = leaf(2.0), []
    y = x * 3
    y.register_hook(noting(log, "y"))
    x.register_hook(noting(log, "x"))
    (y * y + y).sum().backward()
    assert log == [("y", [13.0]), ("x", [39.0])]


def test_what_it_returns_replaces_the_gradient_and_the_next_hook_sees_that():
    x, log = leaf(2.0), []
    y = (x * 3).retain_grad()
    y.register_hook(noting(log, "first", 10))
    y.register_hook(noting(log, "second"))
    y.register_hook(noting(log, "third", 2))
    (y * y).sum().backward()
    assert log == [("first", [12.0]), ("second", [120.0]), ("third", [120.0])]
    assert (y.grad.item(), x.grad.item()) == (240, 720)


def test_grad_returns_what_the_hook_made_of_it_for_inner_tensors_and_leaves():
    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    found = tr.grad((y * y).sum(), [y, x])
    assert [g.item() for g in found] == [120, 361]
    assert x.grad is None


def test_hooks_outside_of_what_grad_asks_for_do_not_run():
    x, w, log = leaf(2.0), leaf(3.0), []
    w.register_hook(noting(log, "w"))
    tr.grad((x * w).sum(), [x])
    assert log == []


def test_a_leaf_has_its_turn_right_after_the_last_that_uses_it():
    log = []
    first, second = leaf(2.0), leaf(3.0)
    h = leaf(1.0) * first
    y = h * second
    for name, tensor in [("first", first), ("h", h), ("second", second), ("y", y)]:
        tensor.register_hook(noting(log, name))
    y.sum().backward()
    assert [name for name, _ in log] == ["y", "second", "h", "first"]


def test_a_leaf_that_is_itself_differentiated():
    x, log = leaf(2.0), []
    x.register_hook(noting(log, "x", 3))
    x.backward(np.array([5.0]))
    assert (log, x.grad.item()) == ([("x", [5.0])], 15)


def test_remove_and_with():
    x, log = leaf(2.0), []
    handle = x.register_hook(noting(log, "kept"))
    with x.register_hook(noting(log, "block")):
        (x * 3).sum().backward()
    handle.remove()
    handle.remove()
    (x * 3).sum().backward()
    assert log == [("kept", [3.0]), ("block", [3.0])]


def test_a_hook_may_remove_itself_in_the_pass():
    x, log = leaf(2.0), []
    handle = x.register_hook(lambda g: (log.append("once"), handle.remove())[0])
    x.register_hook(noting(log, "other"))
    for _ in range(2):
        (x * 3).sum().backward()
    assert log == ["once", ("other", [3.0]), ("other", [3.0])]


def test_with_create_graph_what_it_computes_is_differentiated():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * y)  # so x's gradient is 3 y^2 y * 2 x = 6 x^7
    (first,) = tr.grad((y * y * y).sum(), [x], create_graph=True)
    assert first.item() == pytest.approx(6 * 2**7)
    (second,) = tr.grad(first, [x])
    assert second.item() == pytest.approx(second_derivative(2.0))


def second_derivative(x):
    # The hook also sees the cotangent of y in the second pass, and multiplies it by y = x^2:
    # first = g y * 2 x with g = 3 y^2 made of y, and y from the hook: d first/d y = (9 y^2) 2 x, times y from the hook
    # again, times 2 x; and d first / d x directly is 3 y^3 * 2.
    y = x * x
    return (9 * y**2 * 2 * x) * y * 2 * x + 6 * y**3


def test_without_create_graph_nothing_is_recorded_in_it():
    x, w, found = leaf(2.0), leaf(3.0), []
    x.register_hook(lambda g: found.append(g * w))
    (x * x).sum().backward()
    assert not found[0].requires_grad


def test_every_pass_runs_it_and_so_does_stepping():
    x, log = leaf(2.0), []
    y = (x * 3).sum()
    x.register_hook(noting(log, "x", 2))
    list(tr.steps(y))
    y.backward(retain_graph=True)
    y.backward()
    assert log == [("x", [3.0])] * 3
    assert x.grad.item() == 12


def test_inside_a_checkpoint_it_runs_once_and_after_it_too():
    x, w, log = leaf(2.0), leaf(5.0), []

    def block(x):
        h = x * w
        h.register_hook(noting(log, "h", 10))
        return h * h

    y = tr.checkpoint(block, x)
    y.register_hook(noting(log, "y"))
    w.register_hook(noting(log, "w"))
    y.sum().backward()
    assert log == [("y", [1.0]), ("h", [20.0]), ("w", [400.0])]
    assert (x.grad.item(), w.grad.item()) == (1000, 400)


def test_a_leaf_used_inside_and_outside_of_checkpoints_is_seen_whole():
    w, log = leaf(2.0), []
    w.register_hook(noting(log, "w"))
    h = tr.checkpoint(lambda x: x * w, leaf(3.0))
    h = tr.checkpoint(lambda x: x * w, h) + w
    h.sum().backward()
    assert log == [("w", [13.0])]


def test_a_leaf_made_in_a_checkpoint():
    log = []

    def block(x):
        own = leaf(7.0)
        own.register_hook(noting(log, "own"))
        return x * own

    tr.checkpoint(block, leaf(3.0)).sum().backward()
    assert log == [("own", [3.0])]


def test_freezing_and_another_dtype_keep_a_leafs_hooks():
    w, log = nn.Parameter(np.array([2.0], np.float32)), []
    handle = w.register_hook(noting(log, "w"))
    w.requires_grad_(False)
    w.requires_grad_()
    w.data = np.array([2.0, 3.0])
    (w * w).sum().backward()
    assert log == [("w", [4.0, 6.0])]
    handle.remove()
    (w * w).sum().backward()
    assert len(log) == 1


def test_a_copy_has_none():
    w, log = leaf(2.0), []
    w.register_hook(noting(log, "w"))
    (copy.deepcopy(w) * 3).sum().backward()
    assert log == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (1, 3)])
def test_dtypes_and_shapes(dtype, shape):
    x, seen = tr.tensor(np.ones(shape, dtype), requires_grad=True), []
    x.register_hook(lambda g: (seen.append((g.shape, g.dtype)), g.astype("float64") * 2)[1])
    (x * 3).sum().backward()
    assert seen == [(shape, np.dtype(dtype))]
    assert x.grad.dtype == dtype
    assert x.grad.shape == shape
    assert (x.grad.numpy() == 6).all()


@pytest.mark.parametrize(("returned", "said"), [(lambda g: g[:1], "one of shape (1,)"), (lambda g: 3.0, "got a float")])
def test_what_does_not_fit_is_refused(returned, said):
    x = leaf(2.0, 3.0)
    x.register_hook(returned)
    with pytest.raises(RuntimeError) as error:
        (x * 3).sum().backward()
    assert "gradient of shape (2,)" in str(error.value)
    assert said in str(error.value)


def test_a_tensor_without_gradient_is_refused():
    with pytest.raises(RuntimeError, match="requires no gradient"):
        tr.tensor([1.0]).register_hook(print)


def test_observers_see_what_the_hooks_made():
    class Totals(tr.Observer):
        def __init__(self):
            self.seen = []

        def on_cotangent(self, node, total):
            self.seen.append((node.name, np.asarray(total).tolist()))

    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    with Totals() as totals:
        y.sum().backward()
    assert totals.seen == [("sum", 1.0), ("mul", [10.0]), ("leaf", [31.0])]


def test_it_leaves_no_cycle_and_nothing_to_look_for():
    gc.disable()
    try:
        before = len(hooks.LIVE)
        x = leaf(2.0)
        y = x * 3
        y.register_hook(lambda g: g * 2)
        node = weakref.ref(y.node)
        assert len(hooks.LIVE) == before + 1
        del y
        assert node() is None
        assert len(hooks.LIVE) == before
        x.register_hook(print).remove()
        assert len(hooks.LIVE) == before
    finally:
        gc.enable()


def test_walks_of_other_algebras_leave_them_alone():
    x, log = leaf(2.0), []
    y = x * 3
    y.register_hook(noting(log, "y"))

    class Doubles(tr.autograd.Arrays):
        pass

    tr.walk(y.sum(), [x], Doubles(), np.array(1.0))
    assert log == []
