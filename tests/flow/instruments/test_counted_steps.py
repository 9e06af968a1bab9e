"""Training loops that change the weights more often than once a step, or less: the steps are those of the optimiser."""

import gc
import warnings

import numpy as np
import pytest

import tinyres as tr
from tests.flow.instruments.test_boundary import Players, X, net, step
from tinyres import flow, optim


def loss(model):
    return (model(tr.tensor(X)) ** 2).mean()


def moved(model, by):
    with tr.no_grad():
        for p, e in zip(model.parameters(), by, strict=True):
            p += e


def sharpness_aware(model, optimizer):
    optimizer.zero_grad()
    loss(model).backward()
    by = [0.05 * p.grad for p in model.parameters()]
    moved(model, by)
    optimizer.zero_grad()
    loss(model).backward()
    moved(model, [-e for e in by])
    optimizer.step()


def clamped(model, optimizer):
    step(model, optimizer)
    with tr.no_grad():
        for p in model.parameters():
            p.clamp_(-0.5, 0.5)


class Inner(optim.Optimizer):
    """As LBFGS does: several evaluations in one step."""

    def step(self, closure):
        for _ in range(3):
            found = closure()
            for p in self.params:
                p.data = p.data - 0.01 * p.grad.data
        return found


def by_closure(model, optimizer):
    def closure():
        optimizer.zero_grad()
        found = loss(model)
        found.backward()
        return found

    optimizer.step(closure)


@pytest.mark.parametrize("one", [sharpness_aware, clamped, by_closure, step])
def test_a_step_is_one_of_the_optimiser(one):
    model = net()
    optimizer = (Inner if one is by_closure else optim.SGD)(model.parameters(), lr=0.1)
    recording = flow.record(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with recording:
            for _ in range(4):
                one(model, optimizer)
    assert (recording.entered, len(recording.steps)) == (4, 4)
    assert [found.number for found in recording.steps] == [0, 1, 2, 3]


def by_hand(model):
    recording = flow.record(model)
    with recording:
        for _ in range(4):
            model.zero_grad()
            loss(model).backward()
            moved(model, [-0.1 * p.grad for p in model.parameters()])
    return recording


def test_steps_by_hand_count_where_no_optimiser_holds_the_parameters():
    model = net()
    with pytest.warns(UserWarning, match="step 0 goes on over 3 changes .* no optimiser made, though SGD holds them"):
        kept = optim.SGD(model.parameters(), lr=0.1), by_hand(model)
    assert kept[1].entered == 1
    del kept
    gc.collect()
    other = optim.SGD(net().parameters(), lr=0.1)
    assert by_hand(model).entered == 4
    assert other.lr == 0.1


def test_a_critic_that_steps_more_often_is_told():
    both = Players()
    of_g, of_d = (optim.SGD(player.parameters(), lr=0.1) for player in (both.g, both.d))
    recording = flow.record(both)

    @recording
    def play():
        for _ in range(2):
            for _ in range(3):
                of_d.zero_grad()
                (both.d(tr.tensor(X)) - both.d(both.g(tr.tensor(X)).detach())).mean().backward()
                of_d.step()
            of_g.zero_grad()
            both.d(both.g(tr.tensor(X))).mean().backward()
            of_g.step()

    with pytest.warns(UserWarning, match="counted 6 steps, while the optimisers of the model took 6 and 2"):
        play()


def test_two_recordings_of_two_nets_in_one_loop_do_not_mix():
    a, b = net(0), net(5)
    alone, together, other = flow.record(a), flow.record(a), flow.record(b)
    kept = {name: p.numpy().copy() for name, p in a.named_parameters()}
    optimizers = [optim.SGD(m.parameters(), lr=0.1) for m in (a, b)]
    with alone:
        for _ in range(3):
            step(a, optimizers[0])
    for name, p in a.named_parameters():
        p.data = kept[name]
    with warnings.catch_warnings(record=True) as said, together, other:
        warnings.simplefilter("always")
        for _ in range(3):
            step(a, optimizers[0])
            step(b, optimizers[1])
    assert [str(warning.message) for warning in said] == []
    assert (together.entered, other.entered) == (3, 3)
    assert together.blocks == other.blocks == alone.blocks == ["blocks.0", "blocks.1", "blocks.2"]
    ours, theirs = alone.history(), together.history()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_module_that_the_model_does_not_hold_belongs_to_the_block_that_calls_it():
    model, helper = net(blocks=1), net(7, blocks=1)
    inner = model.blocks[0].branch
    plain = inner.forward
    inner.forward = lambda x: plain(helper.stem(x))
    with flow.record(model) as recording:
        loss(model).backward()
    assert recording.blocks == ["blocks.0"]
    assert recording.gradient_norms()["blocks.0"] > 0
