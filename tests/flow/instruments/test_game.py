"""The game's Jacobian: the Dirac-GAN's closed forms, products against differences, Arnoldi against the whole matrix."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.instruments import game
from tinyres.flow.theory import dirac
from tinyres.gan import LOSSES, PENALTIES


def point(theta=0.0, psi=0.0):
    return [nn.Parameter(np.array([[value]])) for value in (theta, psi)]


def dirac_gan(name, theta, psi, gamma=0.0):
    """Data at 0, one fake at theta, D(x) = psi x."""
    loss = LOSSES[name]

    def losses():
        fake, real = theta * psi, psi * 0.0
        of_g = loss.generator(fake, *([real] if loss.paired else []))
        return of_g, loss.discriminator(real, fake) + gamma / 2 * (psi * psi).sum()

    return losses


@pytest.mark.parametrize(
    ("name", "gamma", "expected", "rotation"),
    [
        ("saturating", 0.0, dirac.gan(), 1.0),
        ("nonsaturating", 0.0, dirac.gan(), 1.0),
        ("wasserstein", 0.0, dirac.wgan(), 1.0),
        ("relativistic", 0.0, dirac.gan(), 1.0),
        ("saturating", 0.3, dirac.r1(0.3), 0.5 / (0.5 + 0.3**2)),
        ("relativistic", 2.0, dirac.r1(2.0), 0.5 / (0.5 + 2.0**2)),
    ],
)
def test_the_dirac_gan(name, gamma, expected, rotation):
    """J = [[0, 1/2], [-1/2, -γ]] (WGAN: 1 in place of 1/2); the step is -2 Re λ / |λ|²."""
    theta, psi = point()
    found = flow.game_spectrum(dirac_gan(name, theta, psi, gamma), [theta], [psi])
    np.testing.assert_allclose(found["eigenvalues"], expected, atol=1e-12)
    assert float(found["rotation"]) == pytest.approx(rotation)
    assert float(found["field"]) == 0
    step = min(-2 * value.real / abs(value) ** 2 for value in expected)
    assert float(found["step"]) == pytest.approx(max(step, 0), abs=1e-12)


def small(seed=0, penalty="none"):
    """An MLP's game on six points: 2 -> 3 -> 2 and 2 -> 3 -> 1."""
    rng = np.random.default_rng(seed)
    g, d = (
        nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Tanh(), nn.Linear(3, out, rng=rng)).to("float64") for out in (2, 1)
    )
    real, noise = (tr.tensor(rng.standard_normal((6, 2))) for _ in range(2))

    def losses():
        fake = g(noise)
        of_d = LOSSES["relativistic"].discriminator(d(real), d(fake))
        if penalty != "none":
            of_d = of_d + PENALTIES[penalty](d, real, fake, 0)
        return LOSSES["relativistic"].generator(d(fake), d(real)), of_d

    return g, d, losses


def by_differences(g, d, losses, h=1e-6):
    """J, a column for each parameter."""
    parameters = [*g.parameters(), *d.parameters()]

    def field():
        parts = []
        for loss, own in zip(losses(), (g, d), strict=True):
            parts += [-x.numpy().ravel() for x in tr.grad(loss, list(own.parameters()), retain_graph=True)]
        return np.concatenate(parts)

    columns = []
    for p in parameters:
        start = p.data
        for place in range(p.size):
            step = np.zeros(p.size)
            step[place] = h
            ends = []
            for sign in (1, -1):
                p.data = start + sign * step.reshape(p.shape)
                ends.append(field())
            columns.append((ends[0] - ends[1]) / (2 * h))
        p.data = start
    return np.array(columns).T


def test_every_eigenvalue_against_differences():
    g, d, losses = small()
    found = flow.game_spectrum(losses, g.parameters(), d.parameters())
    j = by_differences(g, d, losses)
    assert len(j) <= game.DENSE
    expected = np.linalg.eigvals(j)
    assert np.abs(np.sort_complex(found["eigenvalues"]) - np.sort_complex(expected)).max() < 1e-6
    rotating = ((j - j.T) ** 2).sum()
    assert float(found["rotation"]) == pytest.approx(rotating / (rotating + ((j + j.T) ** 2).sum()), abs=1e-6)
    assert 0.05 < float(found["rotation"]) < 0.95


@pytest.mark.parametrize("penalty", ["none", "r1"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_arnoldi_finds_both_ends_of_the_whole_matrix(monkeypatch, seed, penalty):
    """A penalty takes samples for constants, so differences, which move the fakes, are no oracle: R1 looks at reals."""
    g, d, losses = small(seed, penalty)
    whole = flow.game_spectrum(losses, g.parameters(), d.parameters())
    monkeypatch.setattr(game, "DENSE", 0)
    found = flow.game_spectrum(losses, g.parameters(), d.parameters(), k=4, tolerance=1e-10, iterations=2000)
    values = whole["eigenvalues"]
    assert found["eigenvalues"][0].real == pytest.approx(values[0].real, abs=1e-7)
    assert np.abs(found["eigenvalues"]).max() == pytest.approx(np.abs(values).max(), rel=1e-7)
    assert all(np.abs(values - value).min() < 1e-6 for value in found["eigenvalues"])
    assert float(found["rotation"]) == pytest.approx(float(whole["rotation"]), abs=0.2)


def test_players_are_left_as_they_were():
    rng = np.random.default_rng(0)
    g = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2, rng=rng))
    d = nn.Linear(2, 1, rng=rng)
    before = {name: value.numpy().copy() for name, value in g.state_dict().items()}
    noise, real = (tr.tensor(rng.standard_normal((5, 2)).astype("f")) for _ in range(2))
    loss = LOSSES["hinge"]
    found = flow.game_spectrum(
        lambda: (loss.generator(d(g(noise))), loss.discriminator(d(real), d(g(noise)))), g.parameters(), d.parameters()
    )
    assert np.isfinite(found["eigenvalues"]).all()
    for name, value in g.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert all(p.grad is None for p in (*g.parameters(), *d.parameters()))
    assert found.plot().axes


def test_what_is_refused():
    theta, psi = point(0.1, 0.2)
    losses = dirac_gan("saturating", theta, psi)
    for arguments, message in (
        ((losses, [], [psi]), "each player needs parameters"),
        ((losses, [theta], [psi, theta]), "belongs to both players"),
        ((lambda: (theta * tr.tensor(np.ones((2, 1))), psi), [theta], [psi]), "two tensors of one element"),
    ):
        with pytest.raises(ValueError, match=message):
            flow.game_spectrum(*arguments)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        flow.game_spectrum(losses, [theta], [psi], k=0)
    theta.data = np.array([[np.nan]])
    with pytest.raises(FloatingPointError, match="gradient is not finite"):
        flow.game_spectrum(losses, [theta], [psi])


def test_losses_that_do_not_meet_have_no_rotation():
    """Two separate valleys: J is -H of each, and a linear loss adds nothing."""
    theta, psi = point(1.0, 2.0)
    other = nn.Parameter(np.array([3.0]))
    found = flow.game_spectrum(
        lambda: ((theta * theta).sum(), (2 * psi * psi).sum() + other.sum()), [theta], [psi, other]
    )
    np.testing.assert_allclose(found["eigenvalues"], [0, -2, -4], atol=1e-12)
    assert float(found["rotation"]) == 0
    assert float(found["field"]) == pytest.approx(np.sqrt(4 + 64 + 1))
