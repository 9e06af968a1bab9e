"""The claims about GANs: every verdict would notice if the claim were true or the library wrong."""

import numpy as np

import tinyres as tr
from tinyres.gan.losses import LOSSES, saturating_naive
from tinyres.lab.claims import competition, sigmoid_saturation, signs
from tinyres.lab.registry import Options


def failures(module):
    return [law.name for law in module.run(Options(), lambda: None).laws if not law.ok]


def test_competition_notices_gradients_that_stay_large(monkeypatch):
    """G gets -log D under the saturating loss's name."""
    monkeypatch.setitem(LOSSES, "saturating", LOSSES["nonsaturating"])
    found = failures(competition)
    assert sum(name.endswith(": saturating gradient") for name in found) == len(competition.DISTANCES)
    assert any(name.startswith("fall of ln gradient") for name in found)
    assert any("orders of magnitude" in name for name in found)


def test_competition_notices_a_discriminator_that_has_not_learnt(monkeypatch):
    monkeypatch.setattr(competition, "STEPS", 60)
    assert sum(name.startswith("d=8") for name in failures(competition)) == 3


def test_the_sigmoid_claim_notices_a_loss_that_does_not_saturate(monkeypatch):
    monkeypatch.setitem(LOSSES, "saturating", LOSSES["nonsaturating"])
    found = failures(sigmoid_saturation)
    assert "gradient at d=8: saturating / non-saturating" in found
    assert "saturating: steps until d < 1" in found


def test_the_sigmoid_claim_notices_losses_written_on_probabilities(monkeypatch):
    """What reads D where it says that it reads the logit, and the other way round."""
    from_d, from_logit = "from D", "from the logit"
    other = {from_d: from_logit, from_logit: from_d}
    monkeypatch.setattr(sigmoid_saturation, "FORMS", [(loss, other[f], g) for loss, f, g in sigmoid_saturation.FORMS])
    laws, _ = sigmoid_saturation.rounding()
    found = [law.name for law in laws if not law.ok]
    assert "float32, logit 17: gradient of log(1 - D) from the logit" in found
    assert "float32, logit -104: gradient of -log D from the logit" in found
    assert any("NaN" in name for name in found)
    assert saturating_naive.generator in [g for _, _, g in sigmoid_saturation.FORMS]


def test_signs_notice_that_the_listing_is_right(monkeypatch):
    """The two-sign listing with the signs of the paper, and sums in which each player gets its own loss."""
    right = next(iter(signs.GAMES.values()))
    monkeypatch.setattr(signs, "GAMES", dict.fromkeys(signs.GAMES, right))
    monkeypatch.setattr(signs, "one_sum", signs.e05.plain("nonsaturating"))
    found = failures(signs)
    for word in ("wrong answers", "how far V falls", "a D that separates", "G's gradient", "mean D on fakes"):
        assert sum(word in name for name in found) == 1, word
    assert "one sum: asymmetry of the field's Jacobian" in found


def test_signs_notice_a_sum_whose_best_discriminator_is_another(monkeypatch):
    def ordinary():
        x = np.linspace(-4, 6, 201)
        return x, 2 - 2 * x  # the best D of the game itself

    monkeypatch.setattr(signs, "free_discriminator", ordinary)
    assert sum(name.startswith("one sum, -log D") for name in failures(signs)) == 2


def test_signs_notice_a_game_with_its_signs_turned(monkeypatch):
    """Both laws about the paper's own game fail if V itself has the wrong sign."""
    value = signs.value
    monkeypatch.setattr(signs, "value", lambda player, distance: -1.0 * value(player, distance))
    found = failures(signs)
    assert "L_D = -V: D's right answers" in found
    assert "L_D = -V, L_G = +V: G's step towards the data" in found


def test_quadrature_is_that_of_a_standard_normal():
    x = tr.tensor(signs.Z)
    assert abs(tr.sum(signs.WEIGHTS * x * x).item() - 1) < 1e-12
