"""Through time: the laws hold, and notice a wrong rate, a broken bound and a leaking cell."""

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres import nn, ops
from tinyres.flow.theory import recurrent
from tinyres.lab.laws import e10_through_time as e10
from tinyres.lab.registry import Options

OPTIONS = Options()


def failures():
    return [law.name for law in e10.run(OPTIONS, lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    result = holds("E10", tmp_path)
    assert [law.name.split(",")[0] for law in result.laws if law.kind != "check"] == ["linear"] * len(e10.RADII)
    assert "1 at forget bias 0 and 103 at 5" in result.found


def test_published_figures_of_the_lstm():
    assert [round(recurrent.half_life(b), 2) for b in e10.FORGET] == [1.0, 2.21, 5.46, 103.22]
    assert recurrent.cell_path(0, 100) == pytest.approx(7.9e-31, rel=0.01)
    assert recurrent.cell_path(5, 100) == pytest.approx(0.511, rel=0.001)


def test_the_matrix_is_normal_and_has_its_radius():
    w = e10.normal_matrix(0.9, np.random.default_rng(0))
    assert np.abs(w @ w.T - w.T @ w).max() < 1e-14
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(0.9, abs=1e-12)


def test_a_rate_that_is_three_per_cent_off_is_noticed(monkeypatch):
    matrix = e10.normal_matrix
    monkeypatch.setattr(e10, "normal_matrix", lambda radius, rng: 1.03 * matrix(radius, rng))
    assert [name for name in failures() if name.startswith("linear")] == failures()
    assert len(failures()) == len(e10.RADII)


def test_a_gradient_above_its_bound_is_noticed(monkeypatch):
    """Bounds of a quarter of the true slope: a sigmoid's gamma for tanh."""
    monkeypatch.setitem(recurrent.STEEPEST, "tanh", 0.25)
    broken = failures()
    assert [name[:4] for name in broken] == ["tanh"] * 4
    assert [("one step" in name) for name in broken] == [False, True] * 2


def test_a_bound_that_is_too_wide_is_noticed(monkeypatch):
    monkeypatch.setitem(recurrent.STEEPEST, "sigmoid", 0.2501)
    said = " one step from rest, divided by its bound, worst cotangent"
    assert [name.split(":")[1] for name in failures()] == [said] * 2


def test_a_cell_that_leaks_is_noticed(monkeypatch):
    forward = nn.LSTMCell.forward

    def leaking(self, x, state=None):
        h, c = forward(self, x, state)
        return h, c * (1 - 1e-9)

    monkeypatch.setattr(nn.LSTMCell, "forward", leaking)
    assert sum(name.startswith("LSTM") for name in failures()) >= 4


def lstm(order="ifgo", squash=ops.sigmoid, out=ops.tanh):
    """A step of an LSTM whose gates come in this order, or are squashed by something else."""

    def forward(self, x, state=None):
        h, c = state
        z = dict(zip(order, ops.split(self._sum(x, h), self.hidden_size, -1), strict=True))
        c = squash(z["f"]) * c + squash(z["i"]) * ops.tanh(z["g"])
        return squash(z["o"]) * out(c), c

    return forward


FAULTS = {
    "input and forget gate exchanged": (nn.LSTMCell, lstm("figo")),
    "candidate and output gate exchanged": (nn.LSTMCell, lstm("ifog")),
    "gates without sigmoid": (nn.LSTMCell, lstm(squash=lambda z: z)),
    "the cell is not squashed on its way out": (nn.LSTMCell, lstm(out=lambda c: c)),
    "the input is forgotten": (nn.RNNCell, lambda self, x, h=None: ops.tanh(self._sum(0 * x, h))),
    "no activation": (nn.RNNCell, lambda self, x, h=None: self._sum(x, h)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_cell_is_noticed(fault, monkeypatch):
    cell, forward = FAULTS[fault]
    monkeypatch.setattr(cell, "forward", forward)
    broken = [law.name for law in e10.by_hand(0) if not law.ok]
    assert [name[:3] for name in broken] == [cell.__name__[:3]]
