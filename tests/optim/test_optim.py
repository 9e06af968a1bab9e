"""Optimisers: what they leave alone, their state, and their errors. (Step for step against PyTorch in parity.)"""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.arrays import KERNEL_SETS
from tinyres.autograd.tensor import wrap

ALL = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: optim.Adam(p, lr=0.1, weight_decay=0.01),
    lambda p: optim.AdamW(p, lr=0.1),
    lambda p: optim.RMSprop(p, lr=0.05, momentum=0.5, centered=True, weight_decay=0.01),
]
EACH = pytest.mark.parametrize("make", ALL, ids=["SGD", "Adam", "AdamW", "RMSprop"])


def pair(dtype=np.float32):
    rng = np.random.default_rng(0)
    return [nn.Parameter(rng.normal(size=shape).astype(dtype)) for shape in [(3, 2), (4,)]]


def give(params, seed):
    rng = np.random.default_rng(seed)
    for p in params:
        p.grad = tr.tensor(rng.normal(size=p.shape).astype(p.dtype))


@EACH
def test_a_quadratic_is_minimised(make):
    p = nn.Parameter([3.0, -2.0])
    optimizer = make([p])
    for _ in range(300):
        optimizer.zero_grad()
        ((p - 1.0) ** 2).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [1, 1], atol=0.1)  # weight decay moves the minimum a little


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_rebinds_and_keeps_the_leaf_and_the_dtype(make, dtype):
    params = pair(dtype)
    give(params, 1)
    arrays, nodes = [p.data for p in params], [p.node for p in params]
    copies = [a.copy() for a in arrays]
    grads = [p.grad.numpy().copy() for p in params]
    optimizer = make(params)
    optimizer.lr = np.float64(0.1)  # as a schedule computed with NumPy would have it
    for _ in range(2):
        optimizer.step()
    for p, array, copy, node, g in zip(params, arrays, copies, nodes, grads, strict=True):
        assert p._data is not array
        assert p.dtype == dtype
        assert p.node is node
        np.testing.assert_array_equal(array, copy)
        np.testing.assert_array_equal(p.grad.numpy(), g)
        assert not np.array_equal(p.data, copy)


@EACH
def test_the_layout_of_a_parameter_is_kept_and_every_rung_takes_the_same_step(make):
    rng = np.random.default_rng(4)
    start, grads = rng.normal(size=(3, 3, 2, 4)).astype(np.float32), rng.normal(size=(3, 4, 2, 3, 3)).astype(np.float32)
    found = []
    for rung in KERNEL_SETS:
        p = nn.Parameter([0.0])
        p.data = start.transpose(3, 2, 0, 1)  # (O, C, KH, KW), in memory (KH, KW, C, O)
        optimizer = make([p])
        with tr.kernels(rung):
            for g in grads:  # in memory as they are written
                p.grad = tr.tensor(g)
                optimizer.step()
        assert p.data.strides == start.transpose(3, 2, 0, 1).strides
        assert all(a.strides == p.data.strides for a in optimizer.state[0].values() if isinstance(a, np.ndarray))
        found.append(p.data)
    for a in found[1:]:
        np.testing.assert_allclose(a, found[0], rtol=1e-5, atol=1e-6)


@EACH
@pytest.mark.parametrize("rung", KERNEL_SETS)
def test_a_number_of_numpy_rounds_like_one_of_python(make, rung):
    found = []
    for kind in (float, np.float64):
        p = nn.Parameter(np.random.default_rng(0).normal(size=200).astype(np.float32))
        optimizer = make([p])
        optimizer.lr, optimizer.weight_decay = kind(0.1), kind(0.01)
        with tr.kernels(rung):
            for k in range(3):
                give([p], k)
                optimizer.step()
        found.append(p.data)
    np.testing.assert_array_equal(*found)


@EACH
def test_a_snapshot_of_the_state_is_not_written_into(make):
    params = pair()
    optimizer = make(params)
    give(params, 1)
    optimizer.step()
    saved = optimizer.state_dict()["state"]
    assert list(saved) == [0, 1]
    copies = {i: {name: np.copy(a) for name, a in state.items()} for i, state in saved.items()}
    optimizer.step()
    for state, copy in zip(saved.values(), copies.values(), strict=True):
        for name, a in state.items():
            np.testing.assert_array_equal(a, copy[name])


@EACH
def test_a_step_between_forward_and_backward_changes_no_gradient(make):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3, 2, 5, 5)).astype(np.float32)

    def run(step_between):
        conv, head = nn.Conv2d(2, 3, 3, rng=0), nn.Linear(27, 2, rng=0)
        net = nn.Sequential(conv, nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), head)
        optimizer = make(net.parameters())
        (net(tr.tensor(x)) ** 2).sum().backward()
        loss = (net(tr.tensor(x)) ** 2).sum()
        if step_between:
            optimizer.step()
        return [g.numpy() for g in tr.grad(loss, net.parameters())]

    for a, b in zip(run(False), run(True), strict=True):
        np.testing.assert_array_equal(a, b)


@EACH
def test_parameters_without_a_gradient_take_no_step(make):
    params = pair()
    optimizer = make(params)
    give(params[:1], 1)
    before = params[1]._data
    optimizer.step()
    assert params[1]._data is before
    assert optimizer.state[1] == {}
    assert optimizer.state[0]
    optimizer.zero_grad()
    assert params[0].grad is None
    before = params[0]._data
    optimizer.step()
    assert params[0]._data is before


@EACH
def test_state_dict_goes_on_where_it_was(make):
    params, again = pair(), pair()
    first, second = make(params), make(again)
    for k in range(3):
        give(params, k)
        first.step()
    saved = first.state_dict()
    for p, q in zip(params, again, strict=True):
        q.data = p.data
    give(params, 9)
    first.step()  # the snapshot does not see this
    second.lr = 7.0
    second.load_state_dict(saved)
    assert second.lr == first.lr
    give(again, 9)
    second.step()
    for p, q in zip(params, again, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_a_wrong_state_is_refused_and_changes_nothing():
    params = pair()
    adam = optim.Adam(params)
    give(params, 0)
    adam.step()
    good, other = adam.state_dict(), optim.Adam(params[:1])
    with pytest.raises(ValueError, match=r"Adam\.load_state_dict: needs the state of 1 parameters, got that of 2"):
        other.load_state_dict(good)
    with pytest.raises(ValueError, match=r"SGD.load_state_dict: needs the settings \['dampening', .* got \['betas'"):
        optim.SGD(params).load_state_dict(good)
    swapped = {0: good["state"][1], 1: good["state"][0]}
    bad = {"param_groups": [{**good["param_groups"][0], "lr": 5.0}], "state": swapped}
    with pytest.raises(ValueError, match=r"exp_avg of params\[0\] must have shape \(3, 2\), got \(4,\)"):
        adam.load_state_dict(bad)
    assert adam.lr == 1e-3
    assert adam.state[0]["exp_avg"].shape == (3, 2)


P = nn.Parameter([1.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([]), ValueError, "SGD: there are no parameters; a generator can be used only once"),
        (lambda: optim.SGD([P], lr=-0.1), ValueError, r"SGD: lr must be at least 0 and below inf, got -0\.1"),
        (lambda: optim.SGD([P], lr=math.nan), ValueError, "lr must be at least 0"),
        (lambda: optim.SGD([P], momentum=-1), ValueError, "momentum must be at least 0"),
        (lambda: optim.SGD([P], nesterov=True), ValueError, "nesterov needs momentum > 0 and dampening = 0"),
        (lambda: optim.Adam([P], betas=(0.9, 1.0)), ValueError, r"betas must be .* below 1, got \(0\.9, 1\.0\)"),
        (lambda: optim.AdamW([P], weight_decay=-1), ValueError, "AdamW: weight_decay must be"),
        (lambda: optim.RMSprop([P], alpha=1), ValueError, "RMSprop: alpha must be at least 0 and below 1, got 1"),
        (lambda: optim.SGD([P, P]), ValueError, "a parameter is there twice"),
        (lambda: optim.SGD([P * 2]), TypeError, r"params\[0\] must be a leaf tensor"),
        (lambda: optim.SGD([P, np.ones(2)]), TypeError, r"params\[1\] must be a leaf tensor of a floating dtype"),
        (lambda: optim.SGD([tr.tensor([1])]), TypeError, "floating dtype"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_gradient_of_the_wrong_shape_is_named():
    p = nn.Parameter([1.0, 2.0])
    p.grad = tr.tensor([1.0])
    with pytest.raises(ValueError, match=r"SGD: params\[0\] has shape \(2,\), its \.grad \(1,\)"):
        optim.SGD([p]).step()


def test_a_constant_gradient_does_not_make_centered_rmsprop_nan():
    p = nn.Parameter(np.full(100, 0.1, np.float32))
    optimizer = optim.RMSprop([p], centered=True, alpha=0.5)
    g = np.random.default_rng(0).normal(size=100).astype(np.float32)
    for _ in range(60):
        p.grad = tr.tensor(g)
        optimizer.step()
    assert np.isfinite(p.data).all()


# -- clipping -------------------------------------------------------------------------------------------------------
def test_clip_grad_norm_scales_all_by_one_factor():
    params = [nn.Parameter([0.0, 0.0]), nn.Parameter([0.0]), nn.Parameter([0.0])]
    gradient = np.array([3.0, 0.0], np.float32)
    params[0].grad, params[1].grad = wrap(gradient), tr.tensor([4.0])
    assert optim.clip_grad_norm_(iter(params), 10.0) == 5.0
    np.testing.assert_array_equal(params[0].grad.numpy(), [3, 0])
    assert optim.clip_grad_norm_(params, 1.0).item() == 5.0
    np.testing.assert_allclose(params[0].grad.numpy(), [0.6, 0], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad.numpy(), [0.8], rtol=1e-6)
    assert params[0].grad.dtype == np.float32
    assert params[2].grad is None
    np.testing.assert_array_equal(gradient, [3, 0])


def test_clip_grad_norm_of_exploded_gradients():
    p = nn.Parameter([0.0, 0.0])
    p.grad = tr.tensor(np.array([3e30, 4e30], np.float32))  # their squares overflow
    assert optim.clip_grad_norm_(p, 1.0) == pytest.approx(5e30)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-6)
    p.grad = tr.tensor([np.inf, 1.0])
    assert optim.clip_grad_norm_(p, 1.0) == math.inf
    np.testing.assert_array_equal(p.grad.numpy(), [np.inf, 1])
    p.grad = tr.tensor([np.nan, 1.0])
    assert math.isnan(optim.clip_grad_norm_(p, 1.0))
    p.grad = tr.tensor([0.0, 0.0])
    assert optim.clip_grad_norm_(p, 0.0) == 0


def test_clip_grad_value_and_errors():
    p = nn.Parameter([0.0, 0.0, 0.0])
    p.grad = tr.tensor([-3.0, 0.5, 2.0])
    optim.clip_grad_value_([p], 1.0)
    np.testing.assert_array_equal(p.grad.numpy(), [-1, 0.5, 1])
    with pytest.raises(ValueError, match="clip_value must be at least 0, got -1"):
        optim.clip_grad_value_([p], -1)
    with pytest.raises(ValueError, match="max_norm must be at least 0, got nan"):
        optim.clip_grad_norm_([p], math.nan)


def test_no_module_hides_a_function_of_the_same_name():
    assert {name for name in tr.ops.__all__ if getattr(tr, name) is not getattr(tr.ops, name)} == set()


def test_a_module_instead_of_its_parameters():
    with pytest.raises(TypeError, match=r"SGD: got a module; pass its parameters: SGD\(model.parameters\(\), ...\)"):
        optim.SGD(nn.Linear(2, 2, rng=0), lr=0.1)


@EACH
def test_an_optimiser_may_be_loaded_with_its_own_state(make):
    params = pair()
    optimizer = make(params)
    give(params, 1)
    optimizer.step()
    before = [dict(state) for state in optimizer.state]
    own = dict(enumerate(optimizer.state))
    optimizer.load_state_dict({"param_groups": optimizer.state_dict()["param_groups"], "state": own})
    assert all(before)
    for state, was in zip(optimizer.state, before, strict=True):
        assert state.keys() == was.keys()
        for name, value in was.items():
            np.testing.assert_array_equal(state[name], value)
