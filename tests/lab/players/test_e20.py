"""The ratio's tail: the laws hold, and notice a field that is not Gaussian and a sigmoid that is none."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres.flow.theory import saturation
from tinyres.lab.players import e20_ratio as e20
from tinyres.lab.registry import Options


def failures():
    return [law.name for law in e20.run(Options(), lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    holds("E20", tmp_path)


def test_the_tail_of_ten_medians():
    assert saturation.ratio_tail(10) == pytest.approx(0.0635, abs=5e-5)
    assert saturation.ratio_tail(1) == pytest.approx(0.5)


def test_a_field_that_stays_away_from_zero_is_noticed(monkeypatch):
    field = e20.field
    monkeypatch.setattr(e20, "field", lambda x, noise: field(x, noise) + 3.0)
    assert "Gaussian D: P(|∇ log D| > 10 medians)" in failures()


def test_a_ratio_of_half_the_size_is_noticed(monkeypatch):
    monkeypatch.setattr(e20, "CENTRES", e20.CENTRES * 2)  # bumps too far apart: the field is no longer stationary
    assert "Gaussian D: median of |∇ log D|" in failures()


def test_a_gradient_that_is_not_that_of_a_sigmoid_is_noticed(monkeypatch):
    monkeypatch.setattr(tr, "logsigmoid", lambda a: tr.log(tr.abs(a)))
    with np.errstate(all="ignore"):
        found = failures()
    assert "sigmoid D: largest excess of |∇ log D| over |∇a|" in found
    assert len(found) == 3
