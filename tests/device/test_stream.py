"""The laws of the residual stream, and the instruments for it, on the other device: the same figures."""

import numpy as np
import pytest

import tinyres as tr
from tests.device.test_flow import DEVICES, on_both
from tinyres import flow, lab, nn
from tinyres.lab.registry import EXPERIMENTS

SMALL = {
    "E21": {"depth": 2, "width": 64, "nets": 8},
    "E22": {"depth": 2, "width": 64, "nets": 3},
    "E23": {"depth": 2, "width": 64, "nets": 4},
    "E24": {"depth": 2, "width": 64, "nets": 4},
    "E25": {"T": 8, "d": 32, "nets": 4, "depth": 2},
    "E26": {"depth": 2, "width": 64, "nets": 4},
}


@pytest.mark.parametrize("name", SMALL)
def test_the_laws_of_the_stream(name, gpu):
    assert "cuda" in EXPERIMENTS[name].devices
    here, there = (lab.run(name, device=device, **SMALL[name]) for device in DEVICES)
    for one, other in zip(here.laws, there.laws, strict=True):
        assert other.measured == pytest.approx(one.measured, rel=1e-6), one.name
    assert all(isinstance(law.measured, float) for law in there.laws)


def transformer(device):
    rng = np.random.default_rng(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, rng=rng) for _ in range(2)]
    return nn.Sequential(*layers).eval().to("float64").to(device)


def batch(device):
    return tr.tensor(np.random.default_rng(1).standard_normal((2, 4, 8))).to(device)


MEASURED = {
    "attention_entropy": lambda d: flow.attention_entropy(transformer(d), batch(d)),
    "token_similarity": lambda d: flow.token_similarity(transformer(d), batch(d)),
    "tangent_kernel_trace": lambda d: flow.tangent_kernel_trace(transformer(d), batch(d), method="randomised"),
    "sharpness": lambda d: _curvature(transformer(d), batch(d)),
    "composite_gain": lambda d: flow.composite_gain(nn.HyperConnections(nn.Linear(4, 4, rng=0)).to(d)),
}


def _curvature(model, x):
    return flow.sharpness(lambda: (model(x) ** 2).mean(), model.parameters(), iterations=3, tolerance=0)


@pytest.mark.parametrize("name", MEASURED)
def test_the_instruments_for_it(name, gpu):
    on_both(MEASURED[name])
