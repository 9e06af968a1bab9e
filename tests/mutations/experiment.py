"""The verdicts of experiments as tests, for `noticed_by = "flow NAME"`. They are collected only when asked for."""

import pytest

from tinyres.lab.registry import EXPERIMENTS, Options


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_law_holds(name):
    laws = EXPERIMENTS[name].run(Options(), lambda: None).laws
    fallen = [f"{law.name}: {law.measured:.4g} instead of {law.predicted:.4g}" for law in laws if not law.ok]
    assert not fallen, "; ".join(fallen)
