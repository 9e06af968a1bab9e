"""Groups of parameters: their settings, their states, their schedules, and what is refused."""

import copy
import json
import pickle

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.arrays import KERNEL_SETS

KINDS = {
    "SGD": (optim.SGD, {"momentum": 0.9}, {"momentum": 0.5, "nesterov": True}),
    "Adam": (optim.Adam, {}, {"betas": (0.5, 0.9), "weight_decay": 0.1}),
    "AdamW": (optim.AdamW, {}, {"weight_decay": 0.0}),
    "RMSprop": (optim.RMSprop, {}, {"centered": True, "momentum": 0.5}),
}
EACH = pytest.mark.parametrize(("kind", "shared", "own"), KINDS.values(), ids=KINDS)


def some(n, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(rng.normal(size=(3, i + 1)).astype(dtype)) for i in range(n)]


def give(params, seed):
    rng = np.random.default_rng(seed)
    for p in params:
        p.grad = tr.tensor(rng.normal(size=p.shape).astype(p.dtype))


def values(params):
    return [p.detach().numpy().copy() for p in params]


@EACH
@pytest.mark.parametrize("rung", KERNEL_SETS)
def test_two_groups_step_as_two_optimisers(kind, shared, own, rung):
    one, two = some(4), some(4)
    whole = kind([{"params": one[:2]}, {"params": one[2:], "lr": 0.3, **own}], lr=0.1, **shared)
    parts = [kind(two[:2], lr=0.1, **shared), kind(two[2:], **{"lr": 0.3, **shared, **own})]
    with tr.kernels(rung):
        for k in range(4):
            give(one, k)
            give(two, k)
            whole.step()
            for part in parts:
                part.step()
    for a, b in zip(values(one), values(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_assigned_in_a_group_counts_from_the_next_step_on():
    a, b = some(2)
    optimizer = optim.SGD([{"params": [a], "name": "first"}, {"params": b, "lr": 0.5}], lr=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.param_groups[0]["name"] == "first"
    assert optimizer.params[0] is a
    assert optimizer.params[1] is b
    before = values([a, b])
    optimizer.param_groups[1]["lr"] = 2.0
    give([a, b], 1)
    optimizer.step()
    np.testing.assert_array_equal(a.data, before[0] - 0.1 * a.grad.numpy())
    np.testing.assert_array_equal(b.data, before[1] - 2.0 * b.grad.numpy())


def test_a_setting_as_an_attribute():
    a, b = some(2)
    optimizer = optim.Adam([{"params": a}, {"params": b, "lr": 0.5}], lr=0.1)
    assert optimizer.betas == (0.9, 0.999)
    with pytest.raises(AttributeError, match=r"Adam.lr: it differs between the groups, \[0.1, 0.5\]"):
        _ = optimizer.lr
    optimizer.lr = 0.2
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]
    assert optimizer.lr == 0.2
    with pytest.raises(AttributeError, match="no attribute 'momentum'"):
        _ = optimizer.momentum


def test_an_update_of_its_own_sees_the_settings_of_the_group():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, lr=lr)

        def update(self, p, g, state):
            return p - self.lr * np.sign(g)

    class Halved(optim.SGD):
        def update(self, p, g, state):
            assert self.lr in (0.25, 0.5)
            return super().update(p, g, state)

    for kind in (Signs, Halved):
        a, b = some(2)
        before = values([a, b])
        optimizer = kind([{"params": a}, {"params": b, "lr": 0.5}], lr=0.25)
        for p in (a, b):
            p.grad = tr.tensor(np.ones(p.shape))
        optimizer.step()
        np.testing.assert_array_equal(a.data, before[0] - 0.25)
        np.testing.assert_array_equal(b.data, before[1] - 0.5)


def test_a_group_that_is_added_later():
    a, b, c = some(3)
    optimizer = optim.Adam([a], lr=0.1)
    schedule = optim.StepLR(optimizer, 2, 0.5)
    give([a], 0)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    optimizer.add_param_group({"params": [b, c], "lr": 0.4})
    assert optimizer.param_groups[1]["betas"] == (0.9, 0.999)
    assert len(optimizer.state) == len(optimizer.params) == 3
    schedule.step()
    assert schedule.get_last_lr() == [0.05, 0.2]
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.2]
    give([a, b, c], 1)
    optimizer.step()
    assert [state["step"] for state in optimizer.state] == [3, 1, 1]


def test_named_parameters():
    net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=0))
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    (group,) = optimizer.param_groups
    assert group["param_names"] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert all(p is q for p, q in zip(optimizer.params, net.parameters(), strict=True))
    groups = [{"params": net[0].named_parameters()}, {"params": net[1].parameters(), "lr": 1.0}]
    assert [g.get("param_names") for g in optim.SGD(groups).param_groups] == [["weight", "bias"], None]


def test_the_state_is_pytorchs_form():
    a, b, c = some(3)
    optimizer = optim.Adam([{"params": [a, b]}, {"params": [c], "lr": 0.5}], lr=0.1)
    give([a, c], 0)
    optimizer.step()
    state = optimizer.state_dict()
    assert state["param_groups"] == [
        {"params": [0, 1], "lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
        {"params": [2], "lr": 0.5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    ]
    assert state["state"].keys() == {0, 2}
    assert state["state"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    optimizer.param_groups[0]["lr"] = 7.0
    assert state["param_groups"][0]["lr"] == 0.1


@EACH
@pytest.mark.parametrize("how", ["dict", "file", "deepcopy", "pickle"])
def test_a_state_with_groups_goes_on_with_the_same_bits(kind, shared, own, how, tmp_path):
    def made(seed):
        params = some(4, seed, np.float32)
        return params, kind([{"params": params[:1]}, {"params": params[1:], "lr": 0.3, **own}], lr=0.1, **shared)

    params, optimizer = made(0)
    schedule = optim.CosineAnnealingLR(optimizer, 9)
    for k in range(3):
        give(params, k)
        optimizer.step()
        schedule.step()
    if how in ("dict", "file"):
        again, other = made(5)
        state = optimizer.state_dict()
        if how == "file":
            arrays, texts = optim.flat(state)
            tr.save(arrays, tmp_path / "o.safetensors", texts)
            state = optim.nested(tr.load(tmp_path / "o.safetensors"), tr.load_metadata(tmp_path / "o.safetensors"), 4)
        other.load_state_dict(state)
        for p, q in zip(params, again, strict=True):
            q.data = p.data
        later = optim.CosineAnnealingLR(other, 9)
        later.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    else:
        both = {"deepcopy": copy.deepcopy, "pickle": lambda v: pickle.loads(pickle.dumps(v))}[how]
        again, other, later = both((params, optimizer, schedule))
    for k in range(3, 6):
        for ps, o, s in ((params, optimizer, schedule), (again, other, later)):
            give(ps, k)
            o.step()
            s.step()
    assert [g["lr"] for g in optimizer.param_groups] == [g["lr"] for g in other.param_groups]
    for a, b in zip(values(params), values(again), strict=True):
        np.testing.assert_array_equal(a, b)


SCHEDULES = {
    "step": lambda o: optim.StepLR(o, 2, 0.5),
    "cosine": lambda o: optim.CosineAnnealingLR(o, 5, eta_min=0.01),
    "a function": lambda o: optim.LambdaLR(o, lambda t: 0.5**t),
    "warm-up": lambda o: optim.SequentialLR(o, [optim.LinearLR(o, 0.1, total_iters=2), optim.StepLR(o, 1, 0.5)], [2]),
}


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_scales_each_groups_own_rate(make):
    a, b = some(2)
    both = optim.SGD([{"params": a}, {"params": b, "lr": 0.8}], lr=0.2)
    alone = optim.SGD([a], lr=0.2), optim.SGD([b], lr=0.8)
    joint, single = make(both), [make(o) for o in alone]
    for _ in range(6):
        assert joint.get_last_lr() == [s.get_last_lr()[0] for s in single]
        assert [g["lr"] for g in both.param_groups] == joint.get_last_lr()
        for s in (joint, *single):
            s.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda o: optim.StepLR(o, np.int64(2), np.float32(0.5)),
        lambda o: optim.MultiStepLR(o, np.array([1, 3]), np.float64(0.5)),
        lambda o: optim.CosineAnnealingLR(o, np.int32(5), np.float32(0.01)),
    ],
)
def test_numbers_of_numpy_are_pythons_in_a_schedules_state(make):
    optimizer = optim.SGD(some(1), lr=np.float32(0.25))
    schedule = make(optimizer)
    schedule.step()
    text = json.dumps(schedule.state_dict())
    again = make(optim.SGD(some(1), lr=1.0))
    again.load_state_dict(json.loads(text))
    for _ in range(3):
        schedule.step()
        again.step()
    assert type(optimizer.param_groups[0]["lr"]) is float
    assert again.get_last_lr() == schedule.get_last_lr()


def test_a_closure_and_zeros():
    p = nn.Parameter(np.array([1.0, 2.0]))
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tr.no_grad():
        assert optimizer.step(closure).item() == 5
    np.testing.assert_allclose(p.data, [0.8, 1.6])
    optimizer.zero_grad(set_to_none=False)
    np.testing.assert_array_equal(p.grad.numpy(), [0, 0])
    optimizer.zero_grad()
    assert p.grad is None


def test_names_that_pytorchs_users_write():
    assert optim.lr_scheduler.StepLR is optim.StepLR
    assert set(optim.lr_scheduler.__all__) <= set(optim.__all__)
    assert nn.utils.clip_grad_norm_ is optim.clip_grad_norm_
    assert nn.utils.clip_grad_value_ is optim.clip_grad_value_


A, B = some(2)


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ([{"params": [A]}, {"params": [B, A]}], ValueError, r"1 of the parameters, .*\(3, 1\), are in another group"),
        ([{"params": [A, A]}], ValueError, "a parameter is there twice"),
        ([{"params": []}], ValueError, "there are no parameters"),
        ([{"lr": 0.1}], TypeError, r'a dict with "params" among its keys, got a dict with \[\'lr\'\]'),
        ([{"params": [A]}, B], TypeError, "got a Parameter"),
        ([{"params": {A, B}}], TypeError, "got a set of parameters"),
        ([("a", A), B], ValueError, "name all parameters of a group, or none"),
        ([{"params": [A]}, {"params": [B], "lr": -1}], ValueError, "lr must be at least 0"),
        ([{"params": [A]}, {"params": [B * 2]}], TypeError, r"params\[1\] must be a leaf tensor"),
        ([{"params": [A]}, {"params": [B], "nesterov": True}], ValueError, "nesterov needs momentum > 0"),
    ],
)
def test_wrong_groups(params, error, said):
    with pytest.raises(error, match=said):
        optim.SGD(params, lr=0.1)


def test_wrong_states_change_nothing():
    optimizer = optim.Adam([{"params": [A]}, {"params": [B], "lr": 0.5}])
    good = optimizer.state_dict()
    first, second = good["param_groups"]
    for bad, said in [
        ({"param_groups": [first], "state": {}}, "needs 2 groups of parameters, got 1"),
        (
            {"param_groups": [{**first, "params": [0, 1]}, second], "state": {}},
            "1 parameters in a group, got that of 2",
        ),
        ({"settings": {}, "state": []}, r"needs the entries 'state' and 'param_groups', got \['settings', 'state'\]"),
        ({"param_groups": [{**first, "amsgrad": True}, second], "state": {}}, "amsgrad was on there"),
    ]:
        with pytest.raises(ValueError, match=said):
            optimizer.load_state_dict(bad)
    assert optimizer.state_dict() == good
    schedule = optim.StepLR(optimizer, 2)
    with pytest.raises(ValueError, match="needs a rate for each of 2 groups of parameters, got 1"):
        schedule.load_state_dict({**schedule.state_dict(), "base_lrs": [0.1]})
