"""Schedules against PyTorch, step for step."""

import numpy as np
import pytest

from tinyres import nn, optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
torch_schedules = torch.optim.lr_scheduler

ALL = {
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.3),
    "milestones": lambda s, o: s.MultiStepLR(o, [30, 5, 12, 12], gamma=0.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 50, eta_min=0.01),
    "cosine, up again": lambda s, o: s.CosineAnnealingLR(o, 16),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.01),
    "restarts, longer each": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, T_mult=2),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=51),
    "one cycle, lines": lambda s, o: s.OneCycleLR(
        o, 0.7, epochs=10, steps_per_epoch=6, anneal_strategy="linear", pct_start=0.45, div_factor=3
    ),
    "one cycle, three ways": lambda s, o: s.OneCycleLR(o, [0.7], 60, three_phase=True, final_div_factor=50),
    "one cycle, to the step after its last": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=50),
    "one cycle, lines, to the step after": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=50, anneal_strategy="linear"),
    "one cycle, three ways, to the step after": lambda s, o: s.OneCycleLR(o, 0.7, total_steps=50, three_phase=True),
    "restarts, beyond several": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=3, eta_min=0.01),
    "linear": lambda s, o: s.LinearLR(o, total_iters=8),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "a function": lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    "linear, down": lambda s, o: s.LinearLR(o, 1.0, 0.1, 30),
    "warm-up and cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 45)], [5]
    ),
    "three": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.5, total_iters=9), s.StepLR(o, 3), s.MultiStepLR(o, [2, 8], 0.2)], [4, 20]
    ),
}


def rates(schedules, make_optimizer, make):
    optimizer = make_optimizer()
    scheduler = make(schedules, optimizer)
    found = [scheduler.get_last_lr()]
    for _ in range(50):
        optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr())
    return np.array(found)


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_fifty_steps(make):
    ours = rates(optim, lambda: optim.SGD([nn.Parameter([1.0])], lr=0.3), make)
    theirs = rates(torch_schedules, lambda: torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.3), make)
    assert ours.shape == theirs.shape == (51, 1)
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "RMSprop"])
@pytest.mark.parametrize("three", [False, True])
def test_one_cycle_moves_the_momentum_the_other_way(kind, three):
    found = []
    for library, parameter in ((optim, nn.Parameter([1.0])), (torch.optim, torch.ones(1, requires_grad=True))):
        settings = {} if kind == "AdamW" else {"momentum": 0.5}
        optimizer = getattr(library, kind)([parameter], lr=0.1, **settings)
        scheduler = library.lr_scheduler.OneCycleLR(optimizer, 0.3, 20, three_phase=three, base_momentum=0.7)
        rows = []
        for _ in range(19):
            optimizer.step()
            scheduler.step()
            (group,) = optimizer.param_groups
            rows.append(group["betas"][0] if kind == "AdamW" else group["momentum"])
        found.append(rows)
    assert np.ptp(found[0]) > 0.2
    np.testing.assert_allclose(*found, rtol=1e-12)


PLATEAUS = {
    "defaults": {},
    "soon": {"factor": 0.5, "patience": 1},
    "a share": {"patience": 0, "threshold": 0.2},
    "a difference": {"patience": 0, "threshold": 0.2, "threshold_mode": "abs"},
    "rising": {"mode": "max", "patience": 2, "factor": 0.7},
    "rising by a difference": {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.1},
    "pauses": {"patience": 0, "cooldown": 3},
    "bounded": {"patience": 0, "min_lr": 0.05},
    "too small a change": {"patience": 0, "factor": 0.5, "eps": 0.04},
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("how", PLATEAUS.values(), ids=PLATEAUS)
def test_a_rate_that_follows_a_value(how, sign):
    values = sign * (1 + np.abs(np.random.default_rng(0).normal(size=60)) * np.exp(-np.arange(60) / 10))
    parameter = torch.ones(1, requires_grad=True)
    ours = optim.SGD([{"params": [nn.Parameter([1.0])]}, {"params": [nn.Parameter([1.0])], "lr": 0.2}], lr=0.3)
    theirs = torch.optim.SGD([{"params": [parameter]}, {"params": [parameter.detach().clone()], "lr": 0.2}], lr=0.3)
    mine, other = optim.lr_scheduler.ReduceLROnPlateau(ours, **how), torch_schedules.ReduceLROnPlateau(theirs, **how)
    found = []
    for i, value in enumerate(values):
        if i == 30:  # resumed
            state = mine.state_dict()
            mine = optim.ReduceLROnPlateau(ours, **how)
            mine.load_state_dict(state)
        mine.step(value)
        other.step(value)
        found.append([group["lr"] for group in ours.param_groups])
        np.testing.assert_allclose(found[-1], [group["lr"] for group in theirs.param_groups], rtol=1e-14)
        assert mine.get_last_lr() == found[-1]
        assert (mine.best, mine.num_bad_epochs) == (other.best, other.num_bad_epochs)
    assert len(np.unique(np.array(found)[:, 0])) > 1
