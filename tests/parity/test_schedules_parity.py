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
