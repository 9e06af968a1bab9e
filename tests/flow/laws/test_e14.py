"""E14 holds at its tolerances, and would not if the gains were wrong; lesions of trained nets."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres.flow.experiments.experiment import Options
from tinyres.flow.experiments.laws import e14_path_lengths as e14
from tinyres.flow.experiments.trained import lesions

OPTIONS = Options()


def ticking(experiment):
    ticks = []
    result = experiment.run(OPTIONS, lambda: ticks.append(1))
    assert len(ticks) == experiment.ticks(OPTIONS)
    return result


def drawn(result):
    for draw in result.figures.values():
        figure = Figure(figsize=(11, 5))
        draw(figure)
        assert len(figure.axes) == 2
    json.dumps(result.data, allow_nan=False)


def test_every_law_holds():
    result = ticking(e14.EXPERIMENT)
    assert [law.name for law in result.laws if not law.ok] == []
    figures = {law.name: law for law in result.laws}
    assert figures["share of the 2^54 paths that have 5-17 branches"].measured == pytest.approx(
        0.0045, abs=5e-5
    )  # Veit
    assert figures["share of the 2^54 paths that have 19-35 branches"].measured == pytest.approx(0.980, abs=5e-4)
    assert [round(law.predicted, 2) for law in result.laws if "mean length" in law.name] == [4.60, 6.25]
    drawn(result)


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


def test_residual_nets_bear_lesions_and_plain_ones_do_not(monkeypatch):
    """At a third of the cost: fewer choices of several blocks."""
    monkeypatch.setattr(lesions, "DRAWS", 1)
    result = ticking(lesions.EXPERIMENT)
    assert [law.name for law in result.laws if not law.ok] == []
    residual, plain = (np.array(result.data["errors"][arch]) for arch in ("resnet", "plain"))
    assert (residual.shape, plain.shape) == ((3, 10), (3, 8))  # two plain blocks change the shape
    assert [row[2] for row in result.tables[0].rows].count("changes the shape") == 2
    drawn(result)


def test_the_lesion_laws_are_judged_by_what_is_kept():
    kept = {"resnet": np.array([0.9, 0.92, 0.91]), "plain": np.array([0.05, 0.02, 0.03])}
    base = {"resnet": [0.98, 0.97, 0.98], "plain": [0.95, 0.94, 0.95]}
    assert all(law.ok for law in lesions.laws(base, kept))
    exchanged = {"resnet": kept["plain"], "plain": kept["resnet"]}
    assert [law.ok for law in lesions.laws(base, exchanged)] == [True, True, False, False, False]
    assert lesions.known(np.array([[0.1, 0.55]]), np.array([1.0])) == pytest.approx([0.25])
