"""Schedules: closed forms, resuming with the same bits, and errors. (Step for step against PyTorch in parity.)"""

import json
import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim


def sgd(lr=0.4):
    return optim.SGD([nn.Parameter([1.0])], lr=lr)


def warm_cosine(o):
    return optim.SequentialLR(o, [optim.LinearLR(o, 0.1, total_iters=5), optim.CosineAnnealingLR(o, 20)], [5])


ALL = {
    "step": lambda o: optim.StepLR(o, 7, gamma=0.3),
    "milestones": lambda o: optim.MultiStepLR(o, [12, 3, 12], gamma=0.5),
    "cosine": lambda o: optim.CosineAnnealingLR(o, 20, eta_min=0.01),
    "restarts": lambda o: optim.CosineAnnealingWarmRestarts(o, 7, T_mult=2, eta_min=0.01),
    "one cycle": lambda o: optim.OneCycleLR(o, 0.7, total_steps=3000),
    "linear": lambda o: optim.LinearLR(o, 0.25, total_iters=8),
    "exponential": lambda o: optim.ExponentialLR(o, 0.97),
    "a function": lambda o: optim.LambdaLR(o, lambda t: 1 / (1 + t)),
    "warm-up and cosine": warm_cosine,
}
EACH = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def follow(scheduler, steps):
    rates = [scheduler.optimizer.lr]
    for _ in range(steps):
        scheduler.step()
        assert scheduler.get_last_lr() == [scheduler.optimizer.lr]
        rates.append(scheduler.optimizer.lr)
    return rates


def test_rates():
    assert follow(optim.StepLR(sgd(), 2, 0.5), 5) == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    assert follow(optim.MultiStepLR(sgd(), [3, 1, 3], 0.5), 4) == [0.4, 0.2, 0.2, 0.05, 0.05]
    np.testing.assert_allclose(follow(optim.LinearLR(sgd(), 0.25, 1, 3), 4), [0.1, 0.2, 0.3, 0.4, 0.4], rtol=1e-15)
    want = [0.2 + 0.2 * math.cos(math.pi * t / 4) for t in range(9)]  # down, and up again
    np.testing.assert_allclose(follow(optim.CosineAnnealingLR(sgd(), 4), 8), want, rtol=1e-12, atol=1e-16)
    o = sgd()
    both = optim.SequentialLR(o, [optim.LinearLR(o, 0.5, total_iters=2), optim.StepLR(o, 2, 0.1)], [2])
    np.testing.assert_allclose(follow(both, 5), [0.2, 0.3, 0.4, 0.4, 0.04, 0.04], rtol=1e-15)


def test_rates_that_rise_again():
    o = sgd(0.4)
    halves = follow(optim.CosineAnnealingWarmRestarts(o, 2, T_mult=2), 7)
    up = 0.2 + 0.2 * math.sqrt(0.5)
    np.testing.assert_allclose(
        halves, [0.4, 0.2, 0.4, up, 0.2, 0.4 - up, 0.4, 0.2 + 0.2 * math.cos(math.pi / 8)], 1e-12
    )
    o = sgd(9.0)  # which does not matter
    line = optim.OneCycleLR(o, 0.8, 10, pct_start=0.5, anneal_strategy="linear", div_factor=4, final_div_factor=2)
    # the step after the last goes on, as PyTorch's does
    want = [0.2, 0.35, 0.5, 0.65, 0.8, 0.66, 0.52, 0.38, 0.24, 0.1, -0.04]
    np.testing.assert_allclose(follow(line, 10), want, rtol=1e-12)
    assert o.param_groups[0]["momentum"] == pytest.approx(0.97)
    short = optim.OneCycleLR(sgd(), 0.8, 10, pct_start=0.5, anneal_strategy="linear")
    follow(short, 3)
    assert short.optimizer.param_groups[0]["momentum"] == pytest.approx(0.95 - 0.75 * 0.1)
    with pytest.raises(ValueError, match="step 11 comes after the cycle, whose total_steps are 10"):
        line.step()
    assert optim.OneCycleLR(sgd(), 0.8, 10, cycle_momentum=False).optimizer.param_groups[0]["momentum"] == 0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda o: optim.CosineAnnealingWarmRestarts(o, 0), "T_0 must be a number of at least 1, got 0"),
        (
            lambda o: optim.CosineAnnealingWarmRestarts(o, 5, 1.5),
            "T_mult must be a whole number of at least 1, got 1.5",
        ),
        (lambda o: optim.OneCycleLR(o, 0.1), "needs total_steps, or epochs and steps_per_epoch"),
        (lambda o: optim.OneCycleLR(o, [0.1, 0.2], 5), "a max_lr for each of 1 groups, got 2"),
        (lambda o: optim.OneCycleLR(o, 0.1, 5, pct_start=1.5), "pct_start must be a number from 0 to 1"),
        (lambda o: optim.OneCycleLR(o, 0.1, 5, anneal_strategy="sine"), "'cos' or 'linear', got 0.3 and 'sine'"),
    ],
)
def test_what_a_cycle_cannot_be(make, said):
    with pytest.raises(ValueError, match=said):
        make(sgd())


@EACH
def test_nothing_drifts(make):
    """The rate is a function of the count: after 3000 steps it is what one look-up gives, to the last bit."""
    scheduler = make(sgd())
    rates = follow(scheduler, 3000)
    assert rates == [make(sgd()).lr_at(t) for t in range(3001)]
    assert all(type(rate) is float for rate in rates)


@EACH
@pytest.mark.parametrize("stop", [0, 4, 5, 13])
def test_a_resumed_run_has_the_same_bits(make, stop):
    whole = follow(make(sgd()), 30)
    first = make(sgd())
    before = follow(first, stop)
    text = json.dumps(first.state_dict())  # so that it fits into a file's metadata
    second = make(sgd(lr=0.123))  # the base rate is part of the state
    second.load_state_dict(json.loads(text))
    assert second.optimizer.lr == before[-1]
    assert before[:-1] + follow(second, 30 - stop) == whole


def test_the_state_carries_the_settings():
    first, second = optim.StepLR(sgd(), 2, 0.5), optim.StepLR(sgd(), 9, 0.9)
    second.load_state_dict(first.state_dict())
    assert follow(second, 6) == follow(first, 6)


def test_training_with_a_schedule_uses_each_rate_once():
    p = nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([p], lr=0.4)
    scheduler = optim.StepLR(optimizer, 2, 0.5)
    taken = []
    for _ in range(4):
        p.grad = tr.tensor(np.ones(1))
        start = p.detach().numpy()[0]
        optimizer.step()
        scheduler.step()
        taken.append(start - p.detach().numpy()[0])
    np.testing.assert_allclose(taken, [0.4, 0.4, 0.2, 0.2], rtol=1e-14)


def test_a_state_of_another_schedule_changes_nothing():
    o = sgd()
    step, sequence = optim.StepLR(o, 2), warm_cosine(o)
    for _ in range(3):
        sequence.step()
    before, rate = json.dumps(sequence.state_dict()), o.lr
    with pytest.raises(ValueError, match=r"StepLR.load_state_dict: needs the settings \['gamma', 'step_size'\], got"):
        step.load_state_dict(optim.LinearLR(sgd()).state_dict())
    with pytest.raises(ValueError, match="needs the state of 2 schedulers, got 1"):
        sequence.load_state_dict(sequence.state_dict() | {"schedulers": [{}]})
    with pytest.raises(ValueError, match="needs the state of 2 schedulers, got 0"):
        sequence.load_state_dict(step.state_dict())
    other = optim.SequentialLR(o, [optim.LinearLR(o, 0.7, total_iters=9), optim.StepLR(o, 3)], [6])
    with pytest.raises(ValueError, match=r"CosineAnnealingLR.load_state_dict: needs the settings"):
        sequence.load_state_dict(other.state_dict())
    o.lr = rate
    assert json.dumps(sequence.state_dict()) == before


def test_errors():
    o = sgd()
    with pytest.raises(ValueError, match="LambdaLR: needs a function for each of 1 groups, got 2"):
        optim.LambdaLR(o, [abs, abs])
    with pytest.raises(ValueError, match="StepLR: step_size must be a number of at least 1, got 0"):
        optim.StepLR(o, 0)
    with pytest.raises(ValueError, match="T_max must be a number of at least 1, got 0"):
        optim.CosineAnnealingLR(o, 0)
    with pytest.raises(ValueError, match="total_iters must be a number of at least 1, got 0"):
        optim.LinearLR(o, total_iters=0)
    for start, end in ((0, 1), (1.1, 1), (0.5, 1.1), (0.5, -0.1)):
        with pytest.raises(ValueError, match=f"LinearLR: .* got .*({start}|{end})"):
            optim.LinearLR(o, start, end)
    parts = [optim.StepLR(o, 2), optim.StepLR(o, 3)]
    with pytest.raises(ValueError, match="2 milestones need 3 schedulers, got 2"):
        optim.SequentialLR(o, parts, [2, 4])
    with pytest.raises(ValueError, match="all schedulers must be made with the same optimizer"):
        optim.SequentialLR(sgd(), parts, [2])
    for bad in ([0, 2], [3, 3], [4, 2]):
        with pytest.raises(ValueError, match="milestones must be above 0 and increase"):
            optim.SequentialLR(o, [*parts, optim.StepLR(o, 1)], bad)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "args"),
    [("StepLR", (2,)), ("MultiStepLR", ([2, 5, 5],)), ("ExponentialLR", (0.9,)), ("CosineAnnealingLR", (10,)),
     ("CosineAnnealingWarmRestarts", (3,)), ("LinearLR", ())],
)  # fmt: skip
def test_a_schedule_goes_on_from_pytorchs_state(name, args):
    torch = pytest.importorskip("torch")
    theirs, ours = (
        getattr(t.optim.lr_scheduler, name)(t.optim.SGD(t.nn.Linear(2, 2).parameters(), lr=0.1), *args)
        for t in (torch, tr)
    )
    for _ in range(4):
        theirs.optimizer.step()
        theirs.step()
    ours.load_state_dict(theirs.state_dict())
    for _ in range(5):
        theirs.optimizer.step()
        theirs.step()
        ours.step()
    assert ours.optimizer.param_groups[0]["lr"] == pytest.approx(theirs.optimizer.param_groups[0]["lr"], rel=1e-12)


def test_a_state_that_does_not_fit_says_what_is_missing():
    with pytest.raises(ValueError, match=r"there is no \['gamma'\] in what was given.*call its step\(\) as often"):
        optim.StepLR(sgd(), 7).load_state_dict({"step_size": 7, "base_lrs": [0.1], "last_epoch": 3})
