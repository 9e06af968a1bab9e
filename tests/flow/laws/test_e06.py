"""E6: concatenating keeps the gradient, summing doubles it; both laws notice wrong weights."""

import numpy as np

from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.laws import e06_densenet as e06
from tinyres.flow.theory import dense


def test_every_law_holds(tmp_path):
    result = holds("E6", tmp_path)
    concatenated, geometric, _, summed = (law.measured for law in result.laws)
    assert geometric < concatenated
    assert 3e5 < summed < 3e6


def test_both_laws_notice_weights_that_are_a_tenth_too_large(monkeypatch):
    right = e06.he_layer
    monkeypatch.setattr(e06, "he_layer", lambda x, features, rng: 1.1 * right(x, features, rng))
    laws = e06.run(Options(), lambda: None).laws
    assert [law.ok for law in laws if law.kind != "figure"] == [False, False]


def test_closed_forms():
    ratio = dense.concatenating(32, 12, 20)
    m = 32 + 12 * np.arange(20)
    assert ratio[-1] == 8.5
    np.testing.assert_allclose(ratio[1:], np.cumprod(1 + 12 / m))
    assert dense.summing(20)[-1] == 2**20
