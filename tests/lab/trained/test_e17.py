"""E17: small branches let a net without norm train; the verdicts notice one that does not."""

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import tinyres as tr
from tinyres import data, nn
from tinyres.flow.measurement import plain
from tinyres.lab.experiment import Options
from tinyres.lab.trained import e17_skipinit as e17


@pytest.mark.slow
def test_sixteen_and_a_hundred_layers(monkeypatch):
    monkeypatch.setattr(e17, "DEPTHS", (16, 100))
    monkeypatch.setattr(e17, "STEPS", 70)
    ticks = []
    result = e17.EXPERIMENT.run(Options(), lambda: ticks.append(1))
    assert len(ticks) == e17.EXPERIMENT.ticks(Options())
    assert [law.name for law in result.laws if not law.ok] == []
    assert [law.kind for law in result.laws] == ["ordering"] * 10 + ["figure"] * 4
    assert "these do not: α = 1." in result.found
    for depth in (16, 100):  # the same weights: what is learned as a multiple of 1/√L is curved less
        learned, relative = (result.data["curvature"][f"{depth} {start}"] for start in e17.CURVED)
        assert learned[0] > relative[0]
        assert learned[1] > 2 * relative[1]
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
    values = {start: net.blocks[0].branch[-1].weight.numpy()[0] for start, net in nets.items() if start in "01/sqrt(L)"}
    assert values == {"0": 0, "1": 1, "1/sqrt(L)": pytest.approx(1 / 3)}
    x = np.random.default_rng(1).random((4, 1, 8, 8), np.float32)
    small, relative = (nets[start](tr.tensor(x)).numpy() for start in e17.CURVED)
    np.testing.assert_allclose(relative, small, rtol=1e-5)
    assert [m.weight.item() for m in nets["a/sqrt(L)"].modules() if isinstance(m, nn.Scale)] == [1] * 9
    fixup, unit = nets["fixup"].blocks[0].branch, nets["1"].blocks[0].branch
    np.testing.assert_allclose(fixup[1].weight.numpy() * 3, unit[0].weight.numpy(), rtol=1e-6)
    assert not fixup[5].weight.numpy().any()
    assert not nets["fixup"].head.weight.numpy().any()
    assert unit[2].weight.numpy().any()


def test_each_verdict_can_fail():
    finals = {(d, s): 0.1 for d in e17.DEPTHS for s in e17.STARTS}
    finals |= {(100, "1"): math.inf, (1000, "1"): math.inf}
    assert all(law.ok for law in e17.laws(finals, {}))
    assert [law.measured for law in e17.laws(finals, {}) if "does not" in law.name] == [1, 1]
    for key, loss in ((key, 0.1 if key in ((100, "1"), (1000, "1")) else 0.6) for key in finals):
        found = e17.laws(finals | {key: loss}, {})
        wrong = [law for law in found if not law.ok]
        if key == e17.ON_THE_EDGE:
            assert not wrong
            assert [law.measured for law in found if "share" in law.name] == [0]
        else:
            assert [law.name.startswith(f"{e17.STARTS[key[1]]}, {key[0]} layers,") for law in wrong] == [True]


def test_the_learned_scales_have_a_slope_that_grows_with_depth(monkeypatch):
    """sum over l of |dy/dα_l|² = L (1 + α²)^(L-1) |x|², and a part in L of that where a is learned in α = a/√L."""
    monkeypatch.setattr(e17, "WIDTH", 128)
    rng, count = np.random.default_rng(0), 16

    def ratio(start):
        net = e17.net(2 * count + 2, start, rng).to("float64")
        x = tr.tensor(rng.standard_normal((32, 128)))
        y = net.blocks(x)
        scales = [module.weight for module in net.modules() if isinstance(module, nn.Scale)]
        found = tr.grad(y, scales, rng.standard_normal(y.shape))
        return sum(g.item() ** 2 for g in found) / (x.numpy() ** 2).sum()

    for start, theory in (("0", count), ("1/sqrt(L)", count * (1 + 1 / count) ** (count - 1)),
                          ("a/sqrt(L)", (1 + 1 / count) ** (count - 1))):  # fmt: skip
        found = np.array([ratio(start) for _ in range(12)])  # 12 x 16 squares of normal numbers
        assert found.mean() == pytest.approx(theory, abs=4 * found.std(ddof=1) / 12**0.5)
        assert found.mean() == pytest.approx(theory, rel=0.5)


def test_the_largest_curvature_is_that_of_the_hessian(monkeypatch):
    monkeypatch.setattr(e17, "WIDTH", 2)
    digits = data.digits(seed=0).train
    images = data.Dataset(digits.inputs[:20], digits.targets[:20])
    net = e17.net(6, "1/sqrt(L)", np.random.default_rng(3)).to("float64")
    parameters, rng = list(net.parameters()), np.random.default_rng(4)
    for p in parameters:
        if p.ndim == 1 and p.size > 1:
            p.data = rng.standard_normal(
                p.shape
            )  # with biases of 0, units that get nothing lie on the kink of their ReLU
    curvature, share = e17.sharpest(net, images, (0,))
    x, start = tr.tensor(images.inputs.astype(np.float64)), [p.data for p in parameters]

    def slope(vector):
        ends = np.cumsum([0, *(p.size for p in parameters)])
        for p, value, a, b in zip(parameters, start, ends, ends[1:], strict=False):
            p.data = value + vector[a:b].reshape(p.shape)
        loss = e17.cross_entropy(net(x), images.targets)
        return np.concatenate([g.numpy().ravel() for g in tr.grad(loss, parameters)])

    steps = 1e-7 * np.eye(sum(p.size for p in parameters))
    hessian = np.array([(slope(step) - slope(-step)) / 2e-7 for step in steps])
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    top = np.argmax(np.abs(values))
    assert curvature == pytest.approx(values[top], rel=0.02)
    at = np.cumsum([p.size for p in parameters]) - 1
    of_scales = [k for k, p in zip(at, parameters, strict=True) if p.shape == (1,)]
    assert len(of_scales) == 2
    assert share == pytest.approx((vectors[of_scales, top] ** 2).sum(), abs=0.02)


def test_a_net_that_ends_is_trained_no_further():
    digits = data.digits(seed=0).train
    ticks = []
    losses = e17.train(e17.net(1000, "1", np.random.default_rng(0)), digits, 0, 3, lambda: ticks.append(1))
    assert losses == [math.inf] * 3
    assert len(ticks) == 3
