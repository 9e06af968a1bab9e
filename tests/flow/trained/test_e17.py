"""E17: small branches let a net without norm train; the verdicts notice one that does not."""

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.flow.experiments.experiment import Options
from tinyres.flow.experiments.trained import e17_skipinit as e17
from tinyres.flow.measurement import plain


def test_sixteen_and_a_hundred_layers(monkeypatch):
    monkeypatch.setattr(e17, "DEPTHS", (16, 100))
    monkeypatch.setattr(e17, "STEPS", 70)
    ticks = []
    result = e17.EXPERIMENT.run(Options(), lambda: ticks.append(1))
    assert len(ticks) == e17.EXPERIMENT.ticks(Options())
    assert [law.name for law in result.laws if not law.ok] == []
    assert len(result.laws) == 8
    figure = Figure(figsize=(11, 5))
    result.figures[""](figure)
    assert len(figure.axes) == 2
    json.dumps(plain(result.data), allow_nan=False)
    forward, backward = result.data["log2_gain"]["100 1"]
    assert 35 < forward < 55  # 2^49, a narrow net's typical gain being lower
    assert 35 < backward < 55
    assert result.data["log2_gain"]["100 0"] == result.data["log2_gain"]["100 fixup"] == (0.0, 0.0)


def test_what_the_starts_are():
    rng = np.random.default_rng
    nets = {start: e17.net(20, start, rng(0)) for start in e17.STARTS}  # 9 blocks
    values = {start: net.blocks[0].branch[-1].weight.numpy()[0] for start, net in nets.items() if start != "fixup"}
    assert values == {"0": 0, "1": 1, "1/sqrt(L)": pytest.approx(1 / 3)}
    fixup, unit = nets["fixup"].blocks[0].branch, nets["1"].blocks[0].branch
    np.testing.assert_allclose(fixup[1].weight.numpy() * 3, unit[0].weight.numpy(), rtol=1e-6)
    assert not fixup[5].weight.numpy().any()
    assert not nets["fixup"].head.weight.numpy().any()
    assert unit[2].weight.numpy().any()


def test_each_verdict_can_fail():
    finals = {(d, s): 0.1 for d in e17.DEPTHS for s in e17.STARTS}
    finals |= {(100, "1"): math.inf, (1000, "1"): math.inf}
    assert all(law.ok for law in e17.laws(finals))
    assert [law.measured for law in e17.laws(finals) if "does not" in law.name] == [1, 1]
    for key, loss in ((key, 0.1 if key in ((100, "1"), (1000, "1")) else 0.6) for key in finals):
        wrong = [law for law in e17.laws(finals | {key: loss}) if not law.ok]
        assert [f"{key[0]} layers" in law.name and e17.STARTS[key[1]] in law.name for law in wrong] == [True]


def test_a_net_that_ends_is_trained_no_further():
    digits = data.digits(seed=0).train
    ticks = []
    losses = e17.train(e17.net(1000, "1", np.random.default_rng(0)), digits, 0, 3, lambda: ticks.append(1))
    assert losses == [math.inf] * 3
    assert len(ticks) == 3
