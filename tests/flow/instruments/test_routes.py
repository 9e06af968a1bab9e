"""The routes of residual sums and gates in a recorded training."""

import numpy as np
import pytest

import tinyres as tr
from tests.flow.instruments.training import images
from tinyres import flow, models, nn
from tinyres.ops.losses import cross_entropy


def test_a_highway_has_three_routes():
    branch, gate = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)
    model = nn.Sequential(nn.Highway(branch, gate)).to("float64")
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3)), requires_grad=True)
    g = np.random.default_rng(1).standard_normal((2, 3))
    with flow.record(model) as recording:
        tr.grad(model(x), x, g)
    h, t = branch(x).numpy(), tr.sigmoid(gate(x)).numpy()
    routes = {
        "skip": (1 - t) * g,
        "branch": (t * g) @ branch.weight.numpy(),
        "gate": ((h - x.numpy()) * g * t * (1 - t)) @ gate.weight.numpy(),
    }
    (found,) = recording.routes.values()
    assert found == {role: pytest.approx(np.linalg.norm(c)) for role, c in routes.items()}
    whole = sum(found.values())
    history = recording.history()
    assert history["skip_share"][0, 0] == pytest.approx(found["skip"] / whole)
    assert history["branch_share"][0, 0] == pytest.approx(found["branch"] / whole)
    assert {role: history[f"{role}_norm"][0, 0] for role in found} == found


def test_two_sums_in_one_module_each_have_their_routes():
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)

        def forward(self, x):
            return nn.fused_add_relu(self.b, h := nn.fused_add_relu(self.a, x, residual=x), residual=h)

    model = nn.Sequential(Two()).to("float64")
    x = tr.tensor(np.ones((1, 3)), requires_grad=True)
    g = np.array([[1.0, -2.0, 0.5]])
    with flow.record(model) as recording:
        tr.grad(model(x), x, g)
    a, b = model[0].a.weight.numpy(), model[0].b.weight.numpy()
    middle = g + g @ b
    norms = np.linalg.norm
    assert recording.routes == {
        "0": {"skip": pytest.approx(norms(middle)), "branch": pytest.approx(norms(middle @ a))},
        "0#2": {"skip": pytest.approx(norms(g)), "branch": pytest.approx(norms(g @ b))},
    }


def test_routes_are_seen_in_a_fused_graph_that_was_made_before():
    model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64")
    x, target = images(dtype="float64")
    with flow.record(model) as watched:
        cross_entropy(model(x), target).backward()
    loss = cross_entropy(model(x), target)
    with flow.record(model) as recording:
        loss.backward()
    for name, found in watched.routes.items():
        assert recording.routes[f"{name}.branch.4"] == pytest.approx(found, rel=1e-9)
