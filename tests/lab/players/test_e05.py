"""The Dirac-GAN: the laws hold, also at other settings, and notice penalties and steps that are not what they say."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres.flow.theory import dirac
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import gradient_penalty, r1
from tinyres.lab import run
from tinyres.lab.players import e05_cycles as cycles
from tinyres.lab.players import e05_dirac as e05
from tinyres.lab.players import e05_games as games
from tinyres.lab.players import e05_methods as methods
from tinyres.lab.players.e05_methods import curved, eigenvalue_laws, linear
from tinyres.lab.registry import SettingError


def failed(laws):
    return [law.name for law in laws if not law.ok]


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E5", tmp_path)
    assert "19.9" in result.found


def test_the_closed_forms():
    assert dirac.simultaneous(dirac.wgan()[0], 0.1) == pytest.approx(1.004988, abs=1e-6)
    assert max(dirac.simultaneous(x, 0.1) for x in dirac.r1(0.3)) == pytest.approx(0.98615, abs=1e-5)
    assert dirac.alternating(dirac.SLOPE, 4.0) == pytest.approx(1)
    assert dirac.alternating(dirac.SLOPE, 4.1) > 1.2
    assert [x.imag for x in dirac.r1(1.0)] == [0, 0]  # critical
    assert dirac.penalty_cycle(0.5) == pytest.approx(1.2997, abs=1e-4)
    assert dirac.penalty_cycle(0.5, 1e-4) == pytest.approx(dirac.penalty_cycle(0.5), abs=1e-4)
    assert dirac.penalty_cycle(1.998, 1e-3) == pytest.approx(2, abs=0.01)  # on both sides of 2
    assert [dirac.penalty_cycle(gamma, h) for gamma, h in ((20, 0.0), (1.95, 0.1))] == [20, 1.95]


@pytest.mark.parametrize("at_fakes", [False, True])
def test_the_closed_form_of_a_curved_discriminator_against_autograd(at_fakes):
    """With penalties written out by hand, through which autograd sees the fake move."""
    gamma, chi, h = 0.8, 0.7, 1e-9

    def field(point):
        theta, psi, bend = point[0], point[1], point[2]
        a = psi * theta + bend * theta * theta
        slope = psi + 2 * bend * theta if at_fakes else psi
        g = tr.grad(-tr.softplus(a), point, create_graph=True)[0]
        d = tr.grad(tr.softplus(a) + gamma / 2 * slope * slope, point, create_graph=True)[0]
        return -(g * np.array([1.0, 0, 0]) + d * np.array([0, 1.0, 1.0]))

    jacobian = tr.jacobian(field, tr.tensor(np.array([0, 0, chi]))).numpy()
    expected = [0, *dirac.curved(gamma, chi, at_fakes=at_fakes)]
    assert sorted(np.linalg.eigvals(jacobian), key=lambda x: (x.real, x.imag)) == pytest.approx(
        sorted(expected, key=lambda x: (x.real, x.imag)), abs=h
    )


def test_penalties_at_the_data_and_at_the_fakes_swapped_are_noticed(monkeypatch):
    """All is as before with D = ψx; with D = ψx + χx² every law about R1 and R2 but one fails."""
    monkeypatch.setattr(methods, "r1", games.at_fakes)
    assert failed(eigenvalue_laws(linear("r1", 0.3))) == []
    for chi in (-0.5, 0.3):
        assert len(failed(eigenvalue_laws(curved("r1", 1.0, chi)))) == 2
    monkeypatch.setattr(games, "r1", lambda player, real, fake, rng: r1(player, fake, real, rng))  # the library's own
    for chi in (-0.5, 0.3):
        assert len(failed(eigenvalue_laws(curved("r2", 1.0, chi)))) == 2


def test_a_penalty_without_its_half_is_noticed(monkeypatch):
    """|grad D|² in place of |grad D|² / 2 is twice the gamma."""
    monkeypatch.setattr(methods, "r1", lambda *a: 2 * r1(*a))
    method = linear("r1", 0.3)
    found = failed([*eigenvalue_laws(method), *methods.simultaneous_laws(method, 0.1)])
    assert "R1, γ=0.3: real part of the field's first eigenvalue" in found
    assert sum(name.startswith("R1, γ=0.3, simultaneous") for name in found) == 2


def test_alternating_steps_that_are_simultaneous_are_noticed(monkeypatch):
    monkeypatch.setattr(games, "alternating", lambda game, h, point: games.simultaneous(game, h, point))
    assert sum(name.startswith("GAN, alternating") for name in failed(e05.near())) == 4


def test_damping_where_there_should_be_a_cycle_is_noticed(monkeypatch):
    """A penalty that pulls the slope to 0 in place of 1 lets WGAN converge."""
    monkeypatch.setattr(cycles, "gradient_penalty", lambda *arguments: 4 * r1(*arguments))
    monkeypatch.setattr(cycles, "PUBLISHED", 5.0)  # a shorter run
    found = failed(cycles.far_out()[1])
    assert sum(name.startswith("WGAN-GP:") for name in found) == 2
    assert sum(name.startswith("WGAN-GP, from inside") for name in found) == 2
    assert any(name.startswith("WGAN-GP, λ=10: |θ| after") for name in found)


def test_both_players_on_one_loss_are_noticed():
    game = games.plain("saturating")
    zero_sum = games.Game(lambda point: -game.discriminator(point), game.discriminator)
    assert games.eigenvalues(games.jacobian(zero_sum)) == dirac.gan()  # zero-sum is what the saturating game is
    cooperative = games.Game(game.discriminator, game.discriminator)
    assert games.eigenvalues(games.jacobian(cooperative)) == (0.5, -0.5)  # a saddle of one loss


# -- at other settings ------------------------------------------------------------------------------------------------
SETTINGS = [
    {"method": "r1", "gamma": 1.7, "h": 0.3},
    {"method": "r1", "gamma": 1.0},  # critical
    {"method": "r1", "gamma": 0.4, "chi": 0.9, "h": 0.2},
    {"method": "r2", "gamma": 1.3, "chi": 0.3},  # critical
    {"method": "r2", "gamma": 2.5, "chi": -1.5, "h": 0.2},
    {"method": "wgan", "chi": -0.2, "h": 0.05},
    {"method": "nonsaturating", "h": 2.0},
    {"method": "noise", "s": 1.1},
    {"method": "consensus", "gamma": 3.0, "h": 0.4},
    {"method": "wgan_gp", "gamma": 1.2, "h": 0.1},
    {"method": "wgan_gp", "gamma": 1.95, "h": 0.2},  # a node of the steps, though not of the flow
    {"method": "wgan_gp", "gamma": 5.0, "h": 0.1},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: " ".join(f"{k}={v}" for k, v in s.items()))
def test_the_laws_hold_at_other_settings(settings):
    result = run("E5", **settings)
    assert result.laws
    assert failed(result.laws) == []
    assert result.found


def test_a_library_part_that_is_wrong_is_noticed_at_other_settings(monkeypatch):
    monkeypatch.setitem(LOSSES, "wasserstein", LOSSES["least_squares"])
    assert failed(run("E5", method="wgan").laws)
    monkeypatch.setattr(cycles, "gradient_penalty", lambda *a: 2 * gradient_penalty(*a))
    assert failed(run("E5", method="wgan_gp", gamma=1.2, h=0.1).laws)
    assert failed(run("E5", method="wgan_gp", gamma=4, h=0.1).laws)


def test_both_regimes_of_the_gradient_penalty_are_told():
    assert "circles forever" in run("E5", method="wgan_gp", gamma=1.2, h=0.1).found
    assert "no limit cycle, the other regime" in run("E5", method="wgan_gp", gamma=3, h=0.1).found
    for gamma, h in ((20, 0.1), (1.0, 0.5)):  # steps that leap over ψ = 0: shown, and no verdict
        result = run("E5", method="wgan_gp", gamma=gamma, h=h)
        assert [law.kind for law in result.laws] == ["figure"]
        assert "no verdict" in result.found


@pytest.mark.parametrize("settings", [{"gamma": 0}, {"gamma": 100}, {"h": 0}, {"method": "gradient penalty"}])
def test_settings_out_of_range(settings):
    with pytest.raises(SettingError, match="needed"):
        run("E5", **settings)
