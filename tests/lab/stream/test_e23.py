"""E23: layer norm keeps a plain net's gradient, and notices what would not."""

import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.lab.stream import e23_layer_norm as e23

QUICK = {"depth": 8, "nets": 4, "width": 128}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E23", tmp_path)
    assert [law.kind for law in result.laws].count("asymptotic") == 4


@pytest.mark.parametrize("settings", [{"depth": 3}, {"batch": 1, "nets": 30}, {"width": 96}])
def test_the_law_at_other_settings(settings):
    assert [law.name for law in lab.run("E23", **(QUICK | settings)).laws if not law.ok] == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda x, shape: x * 1.0, "residual"),
        (lambda x, shape: x - x.mean(axis=-1, keepdims=True), "residual"),
        (lambda x, shape: 1.1 * x / tr.sqrt((x * x).mean(axis=-1, keepdims=True)), "residual"),
    ],
)
def test_another_norm_is_noticed(wrong, word, monkeypatch):
    monkeypatch.setattr(e23, "layer_norm", wrong)
    laws = [law for law in lab.run("E23", **QUICK).laws if word in law.name]
    assert laws
    assert not all(law.ok for law in laws)


def test_he_is_needed(monkeypatch):
    """With weights of half the variance nothing changes: layer norm divides it out again, in a plain net."""
    monkeypatch.setattr(e23, "layer", lambda x, w: e23.tr.relu(x) @ (1.1 * w))
    monkeypatch.setitem(e23.KINDS, "plain LN", e23.layer)
    assert not lab.run("E23", **QUICK).laws[0].ok
