"""Lists and dictionaries of modules never run: their members are recorded in their place."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn


class Block(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.fc = nn.Linear(4, 4, rng=rng)

    def forward(self, x):
        return x + self.fc(x)


class Net(nn.Module):
    """As in many scripts for PyTorch: a dictionary with a list in it."""

    def __init__(self):
        super().__init__()
        layers = nn.ModuleList([Block(1), Block(2)])
        self.body = nn.ModuleDict({"stem": nn.Linear(3, 4, rng=0), "h": layers, "norm": nn.LayerNorm(4)})
        self.scales = nn.ParameterList([tr.ones(1)])
        self.head = nn.Linear(4, 2, rng=3)

    def forward(self, x):
        x = self.body["stem"](x)
        for layer in self.body["h"]:
            x = layer(x) * self.scales[0]
        return self.head(self.body["norm"](x))


ALL = ["body.stem", "body.h.0", "body.h.1", "body.norm", "head"]


def recorded(blocks=None):
    model = Net()
    recording = flow.record(model, blocks)
    with recording:
        model(tr.randn(5, 3, generator=0)).sum().backward()
    return model, recording


def test_members_are_recorded_with_their_own_gradients():
    model, recording = recorded()
    norms = recording.gradient_norms()
    assert list(norms) == ALL
    x = tr.randn(5, 3, generator=0)
    states = [model.body["stem"](x)]
    for layer in model.body["h"]:
        states.append(layer(states[-1]))
    states.append(model.body["norm"](states[-1]))
    states.append(model.head(states[-1]))
    want = [float(np.linalg.norm(g.numpy())) for g in tr.grad(states[-1].sum(), states)]
    np.testing.assert_allclose(norms.numpy(), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("asked", "watched"),
    [
        (["body.h"], ["body.h.0", "body.h.1"]),
        (["body"], ALL[:4]),
        (["body.h.1", "body.h", "head"], ["body.h.1", "body.h.0", "head"]),
        (["body.h.0.fc"], ["body.h.0.fc"]),
    ],
)
def test_a_container_that_is_named_stands_for_its_members(asked, watched):
    _, recording = recorded(asked)
    assert recording.watched == watched
    assert np.isfinite(recording.gradient_norms().numpy()).all()


def test_what_is_printed_names_the_rest():
    told = repr(recorded(["body.h"])[1])
    assert "; not recorded: body.stem, body.norm, head, which record(model, [names]) takes" in told
    assert (
        "; inside the blocks are 2 more modules, body.h.0.fc, body.h.1.fc, which record(model, [names]) takes" in told
    )
    told = repr(recorded()[1])
    assert "not recorded" not in told
    assert "inside the blocks are 2 more modules" in told
    assert "inside" not in repr(recorded([*ALL, "body.h.0.fc", "body.h.1.fc"])[1])


def test_token_similarity_looks_into_them_too_and_names_what_it_leaves_out():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=1)

    model = nn.Sequential(Net(), Mean())
    found = flow.token_similarity(model, tr.randn(2, 5, 3, generator=0), ["0.body", "1"])
    assert found.labels["block"] == [f"0.{name}" for name in ALL[:4]]
    assert found.cost.endswith("; left out, since not (N, T, d): 1 (2, 2)")
    assert "left out" not in flow.token_similarity(Net(), tr.randn(2, 5, 3, generator=0)).cost


def test_blocks_that_hold_blocks_and_a_list_that_does_run():
    class Called(nn.ModuleList):
        def forward(self, x):
            for layer in self:
                x = layer(x)
            return x

    model = nn.Sequential(Called([nn.Linear(2, 2, rng=0), nn.ReLU()]), nn.Linear(2, 2, rng=1))
    assert flow.record(model).watched == ["0", "1"]
    nested = nn.Module()
    nested.blocks = nn.ModuleList([nn.ModuleList([nn.ReLU(), nn.ReLU()]), nn.ReLU()])
    assert flow.record(nested).watched == ["blocks.0.0", "blocks.0.1", "blocks.1"]
