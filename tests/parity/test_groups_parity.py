"""Groups of parameters against PyTorch, step for step, and optimiser states taken over from it."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

CASES = {
    "SGD": ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.02, "weight_decay": 0.1}, {"momentum": 0.0}),
    "Adam": ({"lr": 0.05}, {"betas": (0.5, 0.9)}, {"lr": 0.01, "weight_decay": 0.2}),
    "AdamW": ({"lr": 0.05}, {"weight_decay": 0.0}, {"eps": 1e-3}),
    "RMSprop": ({"lr": 0.02}, {"centered": True}, {"momentum": 0.7, "alpha": 0.8}),
}
EACH = pytest.mark.parametrize("name", CASES)


def both(name):
    """(ours, theirs), each (parameters, optimiser, schedule), with three groups."""
    rng = np.random.default_rng(4)
    start = [rng.normal(size=shape) for shape in [(3, 2), (4,), (2, 2)]]
    shared, *own = CASES[name]
    sides = []
    for library, make in ((optim, nn.Parameter), (torch.optim, lambda a: torch.tensor(a, requires_grad=True))):
        params = [make(a.copy()) for a in start]
        groups = [{"params": [params[0]]}, {"params": params[1], **own[0]}]
        optimizer = getattr(library, name)(groups, **shared)
        schedule = library.lr_scheduler.StepLR(optimizer, 3, 0.5)
        optimizer.add_param_group({"params": [params[2]], **own[1], "initial_lr": own[1].get("lr", shared["lr"])})
        schedule = library.lr_scheduler.StepLR(optimizer, 3, 0.5)
        sides.append((params, optimizer, schedule))
    return sides


def train(sides, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        grads = [rng.normal(size=tuple(p.shape)) for p in sides[0][0]]
        for (params, optimizer, schedule), make in zip(sides, (tr.tensor, torch.tensor), strict=True):
            for p, g in zip(params, grads, strict=True):
                p.grad = make(g)
            optimizer.step()
            schedule.step()


def same(sides):
    for p, q in zip(sides[0][0], sides[1][0], strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12, 1e-12)
    np.testing.assert_allclose(sides[0][2].get_last_lr(), sides[1][2].get_last_lr(), 1e-14)
    ours, theirs = ([group["lr"] for group in side[1].param_groups] for side in sides)
    np.testing.assert_allclose(ours, theirs, 1e-14)


@EACH
def test_ten_steps_of_three_groups(name):
    sides = both(name)
    train(sides, 10)
    same(sides)


@EACH
def test_a_state_of_pytorch_goes_on_here(name):
    sides = both(name)
    train(sides, 4)
    fresh = both(name)[0]
    fresh[1].load_state_dict(sides[1][1].state_dict())
    fresh[2].load_state_dict(sides[0][2].state_dict())
    for p, q in zip(fresh[0], sides[1][0], strict=True):
        p.data = q.detach().numpy()
    sides = [fresh, sides[1]]
    train(sides, 4, seed=1)
    same(sides)


@EACH
def test_the_state_has_pytorchs_entries(name):
    sides = both(name)
    train(sides, 2)
    ours, theirs = (side[1].state_dict() for side in sides)
    assert ours["state"].keys() == theirs["state"].keys()
    for i, state in ours["state"].items():
        assert state.keys() <= theirs["state"][i].keys()
        for key, value in state.items():
            np.testing.assert_allclose(value, np.asarray(theirs["state"][i][key]), 1e-12, 1e-12)
    for mine, other in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert mine["params"] == other["params"]
        assert {k: v for k, v in other.items() if k in mine} == mine
