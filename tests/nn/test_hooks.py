"""Hooks on modules: forward, before it, and on the gradients of inputs and outputs."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def x_of(*shape, requires_grad=True, seed=0):
    return tr.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=requires_grad)


def test_forward_hooks_run_in_order_and_may_replace_the_output():
    layer, log, x = nn.Identity(), [], x_of(2, 3)
    layer.register_forward_hook(lambda m, args, y: log.append((m is layer, args[0] is x, y is x)))
    layer.register_forward_hook(lambda m, args, y: y * 2)
    layer.register_forward_hook(lambda m, args, y: log.append(y.numpy()[0, 0] / x.numpy()[0, 0]))
    layer.register_forward_hook(lambda m, args, y: log.append("first"), prepend=True)
    np.testing.assert_array_equal(layer(x).numpy(), 2 * x.numpy())
    assert log == ["first", (True, True, True), 2.0]


def test_pre_hooks_may_replace_the_arguments():
    layer, x = nn.Identity(), x_of(2, 3)
    layer.register_forward_pre_hook(lambda m, args: args[0] * 2)
    layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    np.testing.assert_array_equal(layer(x).numpy(), 2 * x.numpy() + 1)


class Scaled(nn.Module):
    def forward(self, x, factor=1.0):
        return x * factor


def test_keyword_arguments_are_shown_when_asked_for():
    layer, seen, x = Scaled(), [], x_of(2)
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": kwargs["factor"] + 1}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    np.testing.assert_array_equal(layer(x, factor=2.0).numpy(), 3 * x.numpy())
    assert seen == [{"factor": 3.0}]
    layer.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"Scaled.*pair \(args, kwargs\)"):
        layer(x, factor=1.0)


def test_a_backward_hook_sees_both_gradients_and_may_replace_the_lower_one():
    layer, seen, x = nn.Linear(3, 2, rng=0).to("float64"), [], x_of(4, 3)
    g = np.random.default_rng(1).normal(size=(4, 2))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].numpy(), go[0].numpy())) or (gi[0] * 10,))
    layer(x).backward(g)
    ((down, up),) = seen
    np.testing.assert_array_equal(up, g)
    np.testing.assert_allclose(down, g @ layer.weight.numpy())
    np.testing.assert_allclose(x.grad.numpy(), 10 * down)
    np.testing.assert_allclose(layer.weight.grad.numpy(), g.T @ x.numpy())


class Two(nn.Module):
    def forward(self, a, k, b):
        return a * b * k, a + b


def test_several_inputs_and_outputs_arrive_together_whatever_their_order():
    layer, seen = Two(), []
    a, b = x_of(3, seed=1), x_of(3, seed=2)

    def hook(module, grad_input, grad_output):
        seen.append((grad_input, grad_output))
        return grad_input[0] * 2, None, grad_input[2] * 3

    layer.register_full_backward_hook(hook)
    y, z = layer(a, 5.0, b)
    (y.sum() + (z * z).sum()).backward()
    (((da, none, db), (dy, dz)),) = seen
    assert [g is None for g in (da, none, db)] == [False, True, False]
    np.testing.assert_array_equal(dy.numpy(), np.ones(3))
    np.testing.assert_allclose(dz.numpy(), 2 * z.numpy())
    np.testing.assert_allclose(da.numpy(), 5 * b.numpy() + 2 * z.numpy())
    np.testing.assert_allclose(a.grad.numpy(), 2 * da.numpy())
    np.testing.assert_allclose(b.grad.numpy(), 3 * db.numpy())


def test_an_output_that_is_not_used_has_none():
    layer, seen = Two(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go))
    layer(x_of(3), 5.0, x_of(3))[0].sum().backward()
    assert seen[0][1] is None


def test_without_inputs_that_require_a_gradient_it_runs_and_replaces_nothing():
    layer, seen, x = nn.Linear(3, 2, rng=0).to("float64"), [], x_of(4, 3, requires_grad=False)
    handle = layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].shape)))
    layer(x).sum().backward()
    assert seen == [((None,), (4, 2))]
    handle.remove()
    layer.register_full_backward_hook(lambda m, gi, go: go)
    with pytest.raises(RuntimeError, match="no input of the module requires a gradient"):
        layer(x).sum().backward()


def test_a_backward_pre_hook_replaces_the_upper_gradient():
    layer, seen, x = nn.Linear(3, 2, rng=0).to("float64"), [], x_of(4, 3)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].numpy()))
    layer.register_full_backward_pre_hook(lambda m, go: go[0] * 2)
    layer(x).sum().backward()
    assert (seen[0] == 2).all()
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * np.ones((2, 4)) @ x.numpy())


def test_the_wrong_number_of_gradients_is_refused():
    layer = nn.Linear(3, 2).to("float64")
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match=r"Linear.*must return 1 gradients, returned 2"):
        layer(x_of(4, 3)).sum().backward()


def test_every_pass_and_every_call_is_seen_by_itself():
    layer, seen, x = Scaled(), [], x_of(1)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].item()))
    y = layer(layer(x, factor=2.0), factor=3.0).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert seen == [1.0, 3.0, 1.0, 3.0]


def test_to_second_order():
    layer, x = nn.Tanh(), x_of(3)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2,))
    (first,) = tr.grad(layer(x).sum(), [x], create_graph=True)
    t = np.tanh(x.numpy())
    np.testing.assert_allclose(first.numpy(), 2 * (1 - t * t))
    (second,) = tr.grad(first.sum(), [x])
    np.testing.assert_allclose(second.numpy(), 2 * -2 * t * (1 - t * t))


def test_inside_a_checkpoint():
    layer, seen, x = nn.Linear(3, 3, rng=0).to("float64"), [], x_of(4, 3)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].numpy()) or (gi[0] * 2,))
    tr.checkpoint(lambda x: nn.Tanh()(layer(x)), x).sum().backward()
    inside, (seen_inside,) = x.grad.numpy(), seen
    x.grad = None
    nn.Tanh()(layer(x)).sum().backward()
    np.testing.assert_array_equal(inside, x.grad.numpy())
    np.testing.assert_array_equal(seen_inside, seen[1])


@pytest.mark.parametrize("hooked", [0, 1, 2])
def test_layers_that_would_be_fused_are_called_one_by_one(hooked):
    net = nn.Sequential(nn.Conv2d(2, 4, 3, rng=0), nn.BatchNorm2d(4), nn.ReLU()).to("float64")
    x, outputs = x_of(2, 2, 6, 6), []
    plain = net(x).numpy()
    with net[hooked].register_forward_hook(lambda m, args, y: outputs.append(y.numpy())):
        np.testing.assert_allclose(net(x).numpy(), plain, rtol=1e-12, atol=1e-12)
    assert len(outputs) == 1
    if hooked == 1:
        assert outputs[0].min() < 0  # what batch norm gave, before the ReLU
    assert "_hooks" not in vars(net[hooked])


def test_a_hook_on_the_sum_of_a_residual_block():
    block = nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=0))).to("float64")
    x, log = x_of(2, 3), []
    block.register_full_backward_hook(lambda m, gi, go: log.append("block"))
    block.branch.register_full_backward_hook(lambda m, gi, go: log.append("body"))
    block(x).sum().backward()
    assert log == ["body", "block"]


def test_copies_keep_their_hooks_and_state_has_none():
    layer, seen = nn.Linear(2, 2), []
    keys = set(layer.state_dict())
    layer.register_forward_hook(note := lambda m, args, y: seen.append(m))
    again = copy.deepcopy(layer)
    again(tr.tensor(np.ones((1, 2), np.float32)))
    assert seen == [again]
    assert set(layer.state_dict()) == keys
    assert note


def test_no_grad_runs_forward_hooks_alone():
    layer, log = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda m, args, y: log.append("forward"))
    layer.register_full_backward_hook(lambda m, gi, go: log.append("backward"))
    with tr.no_grad():
        assert not layer(tr.tensor(np.ones((1, 2), np.float32))).requires_grad
    assert log == ["forward"]
