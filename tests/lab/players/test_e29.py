"""R3GAN's game: the laws hold, also at other settings, and notice losses and penalties that are not what they say."""

from math import log

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres.flow.theory import dirac, landscape
from tinyres.gan import losses
from tinyres.gan.losses import LOSSES
from tinyres.lab import run
from tinyres.lab.players import e29_r3gan as e29


def failed(laws):
    return [law.name for law in laws if not law.ok]


def test_every_law_holds(tmp_path):
    assert "0.1733 with independent" in holds("E29", tmp_path).found


@pytest.fixture
def near(monkeypatch):
    """D takes no step on the way out of collapse: for what is read off the eigenvalues."""
    monkeypatch.setattr(e29, "STEPS", 1)


@pytest.mark.parametrize(
    "settings", [{"points": 3}, {"points": 7, "gamma": 0.1}, {"gamma": 12.0}, {"gamma": 0.499}], ids=str
)
def test_the_laws_hold_at_other_settings(settings, request):
    if "points" not in settings:
        request.getfixturevalue("near")
    laws = [law for law in run("E29", **settings).laws if "points" in settings or "part of" in law.name]
    assert laws
    assert failed(laws) == []


def test_the_closed_forms():
    """Those of laws.md's page, and the mixed game's best D found by looking at a thousand of them."""
    assert [round(v, 4) for v in landscape.values("two terms", 2)] == [-0.4774, -0.3466, -0.6931]
    assert landscape.barrier("mixed", 2) == pytest.approx(log(2) / 4)
    assert dirac.r1_r2(0.5) == (-0.5, -0.5)
    for m in (2, 3, 5):
        t = np.linspace(-5, 5, 100_001)  # of D(second) - D(first)
        f = -np.logaddexp(0, -np.array([-t, t, 0 * t]))
        value = (f[0] + (m - 1) * f[1] + m * f[2]) / m**2
        assert landscape.values("mixed", m)[2] == pytest.approx(value.max(), abs=1e-8)


@pytest.mark.parametrize(
    ("name", "value", "noticed"),
    [
        ("discriminator", losses.cross_entropy, "relativistic, fixed pairs: barrier"),
        ("discriminator", lambda real, fake: losses.pairing_discriminator(fake, real), "R1 + R2, γ=1: real part of"),
        ("generator", lambda fake, real: losses.pairing(real, fake), "relativistic: imaginary part of"),
    ],
    ids=["two terms", "D's roles", "G's roles"],
)
def test_another_loss_is_noticed(monkeypatch, request, name, value, noticed):
    right = LOSSES["relativistic"]
    pair = {"discriminator": right.discriminator, "generator": right.generator, name: value}
    monkeypatch.setitem(LOSSES, "relativistic", losses.GANLoss("relativistic", right.paper, **pair, paired=True))
    if "barrier" not in noticed:
        request.getfixturevalue("near")
    assert any(law.startswith(noticed) for law in failed(run("E29", points=2).laws))


@pytest.mark.usefixtures("near")
def test_a_penalty_at_one_end_only_is_noticed(monkeypatch):
    monkeypatch.setattr(e29, "r1_r2", e29.r1)
    assert sum(name.startswith("R1 + R2") for name in failed(run("E29", gamma=0.3).laws)) == 2


def test_a_d_that_stops_early_is_noticed(monkeypatch):
    monkeypatch.setattr(e29, "STEPS", 20)
    assert failed(run("E29", points=2).laws)
