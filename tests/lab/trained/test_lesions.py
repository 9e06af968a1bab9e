"""Lesions of trained nets, and how they are judged."""

from dataclasses import replace

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres.lab.trained import lesions


@pytest.mark.slow
def test_residual_nets_bear_lesions_and_plain_ones_do_not(monkeypatch, tmp_path):
    """At a fraction of the cost: three nets of each kind, shallower, and fewer choices of several blocks."""
    monkeypatch.setattr(lesions, "DRAWS", 1)
    monkeypatch.setattr(lesions, "SEEDS", 3)
    monkeypatch.setattr(lesions, "RECIPE", replace(lesions.RECIPE, depth=14, steps=120))
    result = holds("lesions", tmp_path)
    residual, plain = (np.array(result.data["errors"][arch]) for arch in ("resnet", "plain"))
    assert (residual.shape, plain.shape) == ((3, 7), (3, 5))  # two plain blocks change the shape
    assert "(mean of 3 nets each, 95 % interval)" in result.found
    assert [row[2] for row in result.tables[0].rows].count("changes the shape") == 2


def test_the_lesion_laws_are_judged_by_what_is_kept():
    kept = {"resnet": np.array([0.9, 0.92, 0.91]), "plain": np.array([0.05, 0.02, 0.03])}
    base = {"resnet": [0.98, 0.97, 0.98], "plain": [0.95, 0.94, 0.95]}
    assert all(law.ok for law in lesions.laws(base, kept))
    exchanged = {"resnet": kept["plain"], "plain": kept["resnet"]}
    assert [law.ok for law in lesions.laws(base, exchanged)] == [True, True, False, False, False]
    assert lesions.known(np.array([[0.1, 0.55]]), np.array([1.0])) == pytest.approx([0.25])
