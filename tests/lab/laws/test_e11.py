"""Gates: the laws hold, and notice when the library's own layers are broken."""

import numpy as np
import pytest

from tests.lab.holds import drawn_once, holds
from tinyres import lab, nn, ops
from tinyres.flow.theory import gates
from tinyres.lab.laws import e11_gates as e11
from tinyres.lab.registry import EXPERIMENTS, Options, SettingError

OPTIONS = Options()


def failures():
    return [law.name for law in e11.run(OPTIONS, lambda: None).laws if not law.ok]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(e11, "SEEDS", 8)
    monkeypatch.setattr(e11, "DEPTH", 10)
    monkeypatch.setattr(e11, "BIASES", (0.0, -2.0))


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    assert "half open" in holds("E11", tmp_path).found


def test_the_norms_after_fifty_layers():
    norms = [gates.highway_gain(bias) ** (e11.DEPTH / 2) for bias in e11.BIASES]
    assert [f"{norm:.1e}" for norm in norms[:3]] == ["3.0e-08", "3.8e-06", "2.8e-03"]
    assert [round(norm, 3) for norm in norms[3:]] == [0.094, 0.407]


def highway(of):
    """`nn.Highway.forward` with another sum, of(T, H, x)."""

    def forward(self, x):
        return of(ops.sigmoid(self.gate(x)), self.branch(x), x)

    return forward


HIGHWAY = {
    "the carry is never closed": highway(lambda t, h, x: t * h + x),
    "gate and carry exchanged": highway(lambda t, h, x: (1 - t) * h + t * x),
    "no sigmoid": lambda self, x: self.gate(x) * self.branch(x) + (1 - self.gate(x)) * x,
    "the gate is a constant to the gradient": highway(lambda t, h, x: t.detach() * h + (1 - t.detach()) * x),
}


def excite(self, x, *, of=ops.sigmoid, pool=ops.mean, activation=ops.relu):
    s = of(self.fc2(activation(self.fc1(pool(x, axis=(2, 3))))))
    return x * ops.reshape(s, (*s.shape, 1, 1))


EXCITE = {
    "no sigmoid": lambda self, x: excite(self, x, of=lambda s: s),
    "a sum in place of the mean": lambda self, x: excite(self, x, pool=ops.sum),
    "no activation": lambda self, x: excite(self, x, activation=lambda s: s),
    "tanh in place of the sigmoid": lambda self, x: excite(self, x, of=ops.tanh),
}


@pytest.mark.parametrize("fault", HIGHWAY)
def test_a_broken_highway_layer_is_noticed(fault, small, monkeypatch):
    monkeypatch.setattr(nn.Highway, "forward", HIGHWAY[fault])
    found = failures()
    assert [name for name in found if name.startswith("Highway")] == found != []


@pytest.mark.parametrize("fault", EXCITE)
def test_a_broken_excitation_is_noticed(fault, small, monkeypatch):
    monkeypatch.setattr(nn.SqueezeExcite, "forward", EXCITE[fault])
    found = failures()
    assert [name for name in found if name.startswith("SE")] == found != []


def test_a_residual_block_without_its_skip_is_noticed(small, monkeypatch):
    monkeypatch.setattr(nn.Residual, "forward", lambda self, x: self.branch(x))
    assert failures() == [f"SE, residual, a={a}: squared gain per block" for a in ("1", "0.5")]


@pytest.mark.parametrize(("bias", "depth"), [(-2.5, 30), (1, 20), (-6, 90)])
@pytest.mark.slow
def test_other_gates(bias, depth, monkeypatch):
    monkeypatch.setattr(e11, "SEEDS", 20)
    result = lab.run("E11", bias=bias, depth=depth)
    assert [law.kind for law in result.laws] == ["asymptotic"] * 2
    assert all(law.ok for law in result.laws)
    assert f"b = {bias:g}" in result.found


def test_a_broken_layer_is_noticed_at_other_gates(small, monkeypatch):
    monkeypatch.setattr(nn.Highway, "forward", HIGHWAY["the carry is never closed"])
    assert not any(law.ok for law in lab.run("E11", bias=-2.5, depth=10).laws)


def test_a_mean_that_fifty_nets_do_not_tell_has_no_verdict(small):
    gain, norm = lab.run("E11", bias=4, depth=40).laws
    assert (gain.kind, gain.ok, norm.kind) == ("asymptotic", True, "figure")


@pytest.mark.parametrize("wrong", [{"bias": 21}, {"depth": 0}, {"depth": 2.5}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        lab.run("E11", **wrong)


def test_the_variance_of_a_gains_logarithm(monkeypatch):
    """To 25 % at width 128: it is the leading order."""
    monkeypatch.setattr(e11, "SEEDS", 40)
    for bias in (0.0, 4.0):
        curve = e11.highway_nets((bias,), 4, 0, lambda: None)[:, 0, -1]
        found = np.log(curve).var() / 4
        assert found == pytest.approx(gates.highway_log_variance(bias, e11.WIDTH), rel=0.25)


def test_the_bar_reaches_its_end_with_settings(small):
    ticks, options = [], Options(settings={"bias": -2.0, "depth": 3})
    EXPERIMENTS["E11"].run(options, lambda: ticks.append(1))
    assert len(ticks) == EXPERIMENTS["E11"].ticks(options)


@pytest.mark.slow
def test_the_picture_of_one_case(small, tmp_path):
    result = lab.run("E11", bias=-8, depth=5)
    assert drawn_once(result.figures[""], tmp_path / "e11.png").stat().st_size > 1000
