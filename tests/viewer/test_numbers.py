"""What a trace says is the gradient is the derivative: held against central differences in float64."""

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import viewer

STEP = 1e-5


def differences(loss, leaf):
    """d loss / d leaf, element by element; error O(STEP²) of a loss about 1 and rounding of 1e-16 / STEP."""
    here, found = leaf.data.copy(), np.empty(leaf.shape)
    for place in np.ndindex(*leaf.shape):
        ends = []
        for sign in (1, -1):
            moved = here.copy()
            moved[place] += sign * STEP
            leaf.data = moved
            ends.append(loss().item())
        found[place] = (ends[0] - ends[1]) / (2 * STEP)
    leaf.data = here
    return found


def held(trace, lane, leaves, loss):
    ops, arrays, grads = trace["ops"], trace["arrays"], trace["grads"]
    named = {ops[int(key.split(":")[1])]["name"]: place for key, place in grads.items() if key.startswith(f"{lane}:")}
    for name, leaf in leaves.items():
        told = np.array(arrays[named[name]]["v"]).reshape(arrays[named[name]]["s"])
        expected = differences(loss, leaf)
        np.testing.assert_allclose(told, expected, rtol=1e-6, atol=1e-8, err_msg=name)
        if not name.endswith("bias"):  # a bias before batch norm has none
            assert np.abs(expected).max() > 1e-3, f"{name}: nothing was tested"


@pytest.mark.parametrize("case", [cases.residual, cases.batch_norm, cases.penalty, cases.checkpointed, cases.highway])
def test_one_loss(case):
    loss, leaves = case()
    held(viewer.trace(loss).to_json()["trace"], 0, leaves, loss)


def test_two_players():
    d_loss, g_loss, D, G = cases.players()
    trace = viewer.trace(D=d_loss, G=g_loss).to_json()["trace"]
    of_d, of_g = ({f"{who}.{n}": p for n, p in m.named_parameters()} for who, m in (("D", D), ("G", G)))
    held(trace, 0, of_d, d_loss)
    held(trace, 1, of_d | of_g, g_loss)


def test_the_routes_of_a_join_are_the_parts_of_the_derivative():
    """At y = x + F(x) the skip brings g and the branch F'(x)^T g."""
    loss, leaves = cases.residual()
    found = viewer.trace(loss)
    (join,) = [join for join in found.joins if join["name"] == "0"]
    branch = tr.tensor(leaves["x"].numpy(), requires_grad=True)
    skip = tr.tensor(leaves["x"].numpy(), requires_grad=True)
    weights = {name: leaf.detach() for name, leaf in leaves.items()}

    def split(of_skip, of_branch):
        h = tr.tanh(of_branch @ weights["0.branch.0.weight"].T + weights["0.branch.0.bias"])
        y = of_skip + h @ weights["0.branch.2.weight"].T + weights["0.branch.2.bias"]
        z = y @ weights["1.branch.weight"].T + weights["1.branch.bias"]
        z = z + y @ weights["1.shortcut.weight"].T + weights["1.shortcut.bias"]
        return (z * z * cases.tensor(4, 2, seed=1)).sum()

    parts = tr.grad(split(skip, branch), [skip, branch])
    norms = {route["role"]: route["norm"] for route in join["routes"]}
    for role, part in zip(("skip", "branch"), parts, strict=True):
        assert norms[role] == pytest.approx(np.linalg.norm(part.numpy()), rel=1e-4)
    cosine = (parts[0].numpy() * parts[1].numpy()).sum() / np.prod([np.linalg.norm(p.numpy()) for p in parts])
    assert np.cos(join["angle"]) == pytest.approx(cosine, abs=1e-6)
    last = [found.events[route["event"]] for route in join["routes"]]
    assert {event[0] for event in last} == {"a"}
