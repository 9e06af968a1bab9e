"""E19: parameters as published; nets that differ from the paper's are noticed."""

from functools import partial

from tests.lab.holds import holds
from tinyres import models
from tinyres.lab.laws import e19_published as e19
from tinyres.lab.registry import Options


def nothing() -> None:
    pass


def test_every_law_holds(tmp_path):
    result = holds("E19", tmp_path)
    assert [row[:2] for row in result.tables[0].rows] == [
        [20, "8.75"],
        [32, "7.51"],
        [44, "7.17"],
        [56, "6.97"],
        [110, "6.43"],
        [1202, "7.93"],
    ]


def test_shortcuts_with_weights_are_noticed(monkeypatch):
    monkeypatch.setattr(models, "resnet", partial(models.resnet, shortcut="B"))
    built = [law for law in e19.run(Options(), nothing).laws if "built" in law.name]
    assert len(built) == 5
    assert not any(law.ok for law in built)


def test_another_width_is_noticed(monkeypatch):
    monkeypatch.setattr(e19, "by_formula", partial(e19.by_formula, width=17))
    assert not any(law.ok for law in e19.run(Options(), nothing).laws if "million" in law.name)


def test_the_deepest_net_has_what_the_formula_says():
    assert e19.by_building(1202) == e19.by_formula(1202) == 19_421_274
