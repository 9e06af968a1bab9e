"""What a reader should not miss: where routes rejoin, routes without a gradient, where to look first."""

import math

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import nn, viewer


def residual(requires_grad):
    net = nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=0)), nn.Residual(nn.Linear(3, 3, rng=1)))
    x = cases.tensor(2, 3).astype("float32")
    if requires_grad:
        x = tr.tensor(x.numpy(), requires_grad=True)
    return net, x, viewer.trace(lambda: net(x).sum())


def test_an_input_without_gradient_silences_the_first_skip():
    _, _, trace = residual(False)
    (silent,) = trace.silent
    op = trace.ops[silent["op"]]
    assert (op.path, op.roles[silent["arg"]], silent["lane"]) == ("0", "skip", 0)
    assert silent["text"] == (
        "No gradient goes through the skip connection of block 0 (Residual): its input, x, requires no gradient. "
        "To see it, let the input require one: x.requires_grad_()."
    )
    assert residual(True)[2].silent == []


def test_shares_and_angle_stand_at_the_event_that_completes_a_join():
    net, _, trace = residual(True)
    told = {i: str(trace[i]) for i in range(len(trace)) if "rejoin" in str(trace[i])}
    assert list(told) == list(trace.rejoined)
    assert len(told) == 2
    last = list(told.values())[-1]  # at the input: both routes can be computed by hand
    g = np.ones((2, 3), "f4") @ (np.eye(3, dtype="f4") + net[1].branch.weight.numpy())
    branch = g @ net[0].branch.weight.numpy()
    skip, other = np.linalg.norm(g), np.linalg.norm(branch)
    angle = math.degrees(math.acos((g * branch).sum() / (skip * other)))
    assert f"skip |g| = {skip:.4g} ({skip / (skip + other):.0%} of the sum of the norms), " in last
    assert f"branch |g| = {other:.4g} ({other / (skip + other):.0%}), {angle:.0f}° apart" in last
    for i in told:
        assert trace[i].kind == "accumulate"


def first(target):
    trace = viewer.trace(target)
    return trace, trace.first


def test_where_to_look_first():
    w = tr.tensor([2.0], requires_grad=True)
    trace, found = first(lambda: (w * 3.0).sum())
    assert (trace[found["event"]].kind, found["text"]) == ("seed", "The backward pass begins there.")
    trace, found = first(lambda: (w * w).sum())
    assert trace[found["event"]].kind == "accumulate"
    assert found["text"] == "w is used more than once: its gradient is a sum."
    _, _, trace = residual(True)
    assert trace.first["event"] == min(trace.rejoined)
    assert trace.first["text"].startswith("The routes of block 1 (Residual) rejoin: ")
    net = nn.Residual(nn.Linear(3, 3, rng=0))
    trace, found = first(lambda: net(tr.tensor(np.ones((1, 3), "f4"))).sum())
    assert found["text"].startswith("No gradient goes through the skip connection of ")
    assert trace[found["event"]].kind == "rule"
    assert trace[found["event"]].role == "branch"


def test_norms_that_cannot_be_compared_have_no_shares():
    net = nn.Residual(nn.Identity())
    x = tr.tensor(np.ones(2), requires_grad=True)
    trace = viewer.trace(lambda: (net(x) * 0.0).sum())
    ((line,),) = trace.rejoined.values()
    assert "%" not in line
    assert "branch" in line


def test_modules_have_their_classes():
    _, _, trace = residual(False)
    assert trace.described()["modules"] == {
        "0": "Residual",
        "0.branch": "Linear",
        "1": "Residual",
        "1.branch": "Linear",
    }


@pytest.mark.parametrize("shared", [False, True])
def test_two_players_have_theirs_under_their_names(shared):
    D, G = nn.Sequential(nn.Linear(2, 1, rng=0)), nn.Sequential(nn.Linear(3, 2, rng=1))
    z = cases.tensor(2, 3).astype("float32")
    lanes = {"d": lambda: D(G(z)).sum()} | ({"g": lambda: G(z).sum()} if shared else {})
    found = viewer.trace(**lanes).described()["modules"]
    assert found == {"D": "Sequential", "D.0": "Linear", "G": "Sequential", "G.0": "Linear"}
