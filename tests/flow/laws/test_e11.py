"""Gates: the laws hold, and notice a carry that is not 1 - T and an excitation that is not closed halfway."""

import tinyres as tr
from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.laws import e11_gates as e11
from tinyres.flow.theory import gates

OPTIONS = Options()


def failures():
    return [law.name for law in e11.run(OPTIONS, lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    holds("E11", tmp_path)


def test_the_norms_after_fifty_layers():
    norms = [gates.highway_gain(bias) ** (e11.DEPTH / 2) for bias in e11.BIASES]
    assert [f"{norm:.1e}" for norm in norms[:3]] == ["3.0e-08", "3.8e-06", "2.8e-03"]
    assert [round(norm, 3) for norm in norms[3:]] == [0.094, 0.407]


def test_a_carry_that_is_never_closed_is_noticed(monkeypatch):
    """T H + x in place of T H + (1 - T) x, and an excitation that multiplies by 1."""

    def open_carry(x, w1, w2, gate, bias):
        return tr.sigmoid(x @ gate + bias) * (tr.relu(x @ w1) @ w2) + x

    def unexcited(x, w1, w2, squeeze, excite, a, skip):
        return skip * x + a * (tr.relu(x @ w1) @ w2)

    monkeypatch.setattr(e11, "highway", open_carry)
    monkeypatch.setattr(e11, "excited", unexcited)
    found = failures()
    assert sum("squared gain a layer" in name for name in found) >= 4  # at b = -4 the carry is open anyway
    assert sum("gradient norm" in name for name in found) == len(e11.BIASES)
    assert sum(name.startswith("SE") for name in found) == len(e11.EXCITED)
