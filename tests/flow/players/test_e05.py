"""The Dirac-GAN: the laws hold, and notice penalties and steps that are not what they say."""

from functools import partial

import pytest

from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.players import e05_dirac as e05
from tinyres.flow.theory import dirac


def failures():
    return [law.name for law in e05.run(Options(), lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    holds("E5", tmp_path)


def test_the_closed_forms():
    assert dirac.simultaneous(dirac.wgan()[0], 0.1) == pytest.approx(1.004988, abs=1e-6)
    assert max(dirac.simultaneous(x, 0.1) for x in dirac.r1(0.3)) == pytest.approx(0.98615, abs=1e-5)
    assert dirac.alternating(dirac.SLOPE, 4.0) == pytest.approx(1)
    assert dirac.alternating(dirac.SLOPE, 4.1) > 1.2
    assert [x.imag for x in dirac.r1(1.0)] == [0, 0]  # critical


def test_a_penalty_without_its_half_is_noticed(monkeypatch):
    """|grad D|² in place of |grad D|² / 2 is twice the gamma."""
    penalty = e05.r1
    swapped = [
        e05.Method(m.name, partial(e05.penalised, "saturating", lambda *a: 2 * penalty(*a), 0.3), m.eigenvalues)
        if m.name == "R1, γ=0.3"
        else m
        for m in e05.METHODS
    ]
    monkeypatch.setattr(e05, "METHODS", swapped)
    found = failures()
    assert "R1, γ=0.3: real part of the field's first eigenvalue" in found
    assert any(name.startswith("R1, γ=0.3, simultaneous") for name in found)


def test_alternating_steps_that_are_simultaneous_are_noticed(monkeypatch):
    monkeypatch.setattr(e05, "alternating", e05.simultaneous)
    found = failures()
    assert sum(name.startswith("GAN, alternating") for name in found) == 4


def test_damping_where_there_should_be_a_cycle_is_noticed(monkeypatch):
    """A penalty that pulls the slope to 0 in place of 1 lets WGAN converge."""
    monkeypatch.setattr(e05, "gradient_penalty", lambda *arguments: 4 * e05.r1(*arguments))
    found = failures()
    assert sum(name.startswith("WGAN-GP") for name in found) == 4


def test_both_players_on_one_loss_are_noticed(monkeypatch):
    own, gan = e05.own, e05.METHODS[0]
    monkeypatch.setattr(e05, "own", lambda generator, discriminator, point: own(-discriminator, discriminator, point))
    assert e05.eigenvalues(gan.field) == gan.eigenvalues  # zero-sum is what the saturating game is
    monkeypatch.setattr(e05, "own", lambda generator, discriminator, point: own(discriminator, discriminator, point))
    assert e05.eigenvalues(gan.field) == (0.5, -0.5)  # a saddle of one loss
