"""E14 holds at its tolerances, and would not if the gains were wrong."""

import pytest

from tests.flow.holds import holds
from tinyres.flow.experiments.experiment import Options
from tinyres.flow.experiments.laws import e14_path_lengths as e14

OPTIONS = Options()


def test_every_law_holds(tmp_path):
    result = holds("E14", tmp_path)
    figures = {law.name: law for law in result.laws}
    assert figures["share of the 2^54 paths that have 5-17 branches"].measured == pytest.approx(
        0.0045, abs=5e-5
    )  # Veit
    assert figures["share of the 2^54 paths that have 19-35 branches"].measured == pytest.approx(0.980, abs=5e-4)
    assert [round(law.predicted, 2) for law in result.laws if "mean length" in law.name] == [4.60, 6.25]


@pytest.mark.parametrize("wrong", ["gain", "roles"])
def test_the_law_notices_other_nets(monkeypatch, wrong):
    """Branches of twice the weight have longer paths; with skip and branch exchanged, nearly all branches count."""
    monkeypatch.setattr(e14, "SEEDS", 2)
    monkeypatch.setattr(e14, "WIDTH", 64)
    monkeypatch.setattr(e14, "BATCH", 64)
    make = e14.net

    def other(layers, rng):
        model = make(layers, rng)
        for block in model:
            last = block.branch[-1].weight
            if wrong == "gain":
                last.data = 2 * last.data
            else:
                block.forward = lambda x, block=block: _exchanged(block.branch(x) + x)
        return model

    def _exchanged(y):
        y.node.roles = ("skip", "branch")
        return y

    monkeypatch.setattr(e14, "net", other)
    laws = [law for law in e14.run(OPTIONS, lambda: None).laws if "mean length" in law.name]
    assert len(laws) == 2
    assert not any(law.ok for law in laws)


def test_a_term_that_is_lost_is_noticed(monkeypatch):
    """The sum of the terms is held against an ordinary backward pass."""
    monkeypatch.setattr(e14, "WIDTH", 32)
    monkeypatch.setattr(e14, "BATCH", 32)
    assert e14.measure(1, (0, 0))[1] < 1e-13
    split = e14.paths

    def losing(*args, **kwargs):
        found = split(*args, **kwargs)
        found.arrays["terms"] = found["terms"][:15]
        return found

    monkeypatch.setattr(e14, "paths", losing)
    assert e14.measure(1, (0, 0))[1] > 1e-10
