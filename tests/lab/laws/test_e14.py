"""E14 holds at its tolerances, and would not if the gains were wrong."""

import pytest

from tests.lab.holds import drawn_once, holds
from tinyres import lab
from tinyres.lab.laws import e14_path_lengths as e14
from tinyres.lab.registry import Options, SettingError

OPTIONS = Options()


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E14", tmp_path)
    figures = {law.name: law for law in result.laws}
    assert figures["share of the 2^54 paths that have 5-17 branches"].measured == pytest.approx(
        0.0045, abs=5e-5
    )  # Veit
    assert figures["share of the 2^54 paths that have 19-35 branches"].measured == pytest.approx(0.980, abs=5e-4)
    assert [round(law.predicted, 2) for law in result.laws if "mean length" in law.name] == [4.60, 6.25]
    assert [law.kind for law in result.laws].count("asymptotic") == 2  # what counts as laws
    assert "0.45% have 5-17" in result.found


@pytest.mark.parametrize("wrong", ["gain", "roles"])
@pytest.mark.slow
def test_the_law_notices_other_nets(monkeypatch, wrong):
    """Branches of twice the weight have longer paths; with skip and branch exchanged, nearly all branches count."""
    monkeypatch.setattr(e14, "SEEDS", 2)
    monkeypatch.setattr(e14, "WIDTH", 64)
    monkeypatch.setattr(e14, "BATCH", 64)
    make = e14.net

    def other(layers, rng, blocks):
        model = make(layers, rng, blocks)
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
    for found in (e14.run(OPTIONS, lambda: None), lab.run("E14", blocks=10, layers=1)):
        laws = [law for law in found.laws if "mean length" in law.name]
        assert laws
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


@pytest.mark.parametrize(("blocks", "layers"), [(1, 1), (6, 3), (16, 2)])
@pytest.mark.slow
def test_other_nets(blocks, layers):
    result = lab.run("E14", blocks=blocks, layers=layers)
    assert [law.kind for law in result.laws] == ["check", "asymptotic", "check", "figure"]
    assert all(law.ok for law in result.laws)
    assert f"With {blocks} blocks" in result.found


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"blocks": 101}, {"layers": 4}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        lab.run("E14", **wrong)


def test_a_count_that_is_not_the_binomial_is_noticed():
    assert not e14.count_laws(e14.path_lengths.tilted([1, 3, 3, 1], 1.51), published=False)[0].ok


def test_the_picture_of_one_case(tmp_path):
    result = lab.run("E14", blocks=3, layers=1)
    assert drawn_once(result.figures[""], tmp_path / "e14.png").stat().st_size > 1000
