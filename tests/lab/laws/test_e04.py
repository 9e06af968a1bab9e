"""E4: batch norm's laws hold, and are broken by what they are about."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.autograd.calling import define
from tinyres.flow.theory import normalised
from tinyres.lab.laws import e04_batch_norm as e04
from tinyres.lab.registry import Options


def nothing() -> None:
    pass


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E4", tmp_path)
    assert len(result.laws) == 8
    assert [row[0] for row in result.tables[0].rows] == ["10", "27", "54"]
    shallow = [[float(part.strip("()")) for part in cell.split()] for cell in result.tables[0].rows[0][3:]]
    assert [measured for measured, _ in shallow] == pytest.approx([theory for _, theory in shallow], rel=0.1)
    # an exponential and a power part company: from 10 to 54 blocks one grows ten million times, the other ten times
    plain, one, two = (result.data["log_ratio"][case] for case in ("plain", "1", "2"))
    assert plain[-1] > two[-1] > one[-1]
    assert plain[10] < two[10]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(e04, "SEEDS", 2)


def test_the_laws_notice_that_batch_norm_is_missing(monkeypatch, few):
    monkeypatch.setattr(e04, "layer", lambda x, w: (tr.relu(x) * e04.HE) @ w)
    assert not any(law.ok for law in e04.run(Options(), nothing).laws)


@pytest.mark.slow
def test_the_laws_notice_a_wrong_rule(monkeypatch, few):
    """Three per cent of each layer's gradient are lost: 6 % of its square, and a power that is 6 % smaller."""
    lossy = define(lambda x: x)
    lossy.vjp(x=lambda g: 0.97 * g)
    right = e04.layer
    monkeypatch.setattr(e04, "layer", lambda x, w: lossy(right(x, w)))
    failed = {law.name for law in e04.run(Options(), nothing).laws if not law.ok}
    assert "plain BN + ReLU: gain per layer" in failed
    assert "BN residual, one layer per branch: gain of 40 blocks" in failed
    assert "BN residual, two layers per branch: gain of 40 blocks" in failed


def test_blocks_by_hand():
    """What a tolerance of ten per cent cannot see: which matrix is where, and a shortcut that is nearly an identity."""
    x, w = (np.random.default_rng(0).standard_normal(shape) for shape in ((8, e04.WIDTH), (2, e04.WIDTH, e04.WIDTH)))

    def layer(h, matrix):
        centred = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5)
        return np.maximum(centred, 0) @ matrix * np.sqrt(2 / e04.WIDTH)

    one, two = layer(x, w[0]), layer(layer(x, w[0]), w[1])
    blocks = {
        "plain": (e04.plain(tr.tensor(x), w), one),
        "one layer": (e04.residual(tr.tensor(x), w, 1), x + one),
        "two layers": (e04.residual(tr.tensor(x), w, 2), x + two),
        "scaled": (e04.scaled(tr.tensor(x), w, 0.6), 0.6 * x + 0.8 * one),
    }
    for name, (found, wanted) in blocks.items():
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-10, atol=1e-10, err_msg=name)


QUICK = {"width": 128, "depth": 10, "nets": 4}
OTHERS = [(0.6, 0.8, 1), (1.0, 0.5, 2), (0.0, 1.0, 1), (1.3, 1.0, 1), (0.4, 0.2, 2)]


@pytest.mark.parametrize(("m", "a", "layers"), OTHERS)
def test_the_law_at_other_settings(m, a, layers):
    result = lab.run("E4", m=m, a=a, layers=layers, **QUICK)
    (law,) = result.laws
    assert law.ok
    assert law.tolerance < 0.35 * law.predicted
    assert f"{law.measured:.4g}" in result.found


@pytest.mark.parametrize(("m", "a", "layers"), [(1.0, 1.0, 1), (0.6, 0.8, 1), (1.0, 0.5, 2)])
def test_a_broken_batch_norm_is_noticed_at_other_settings(m, a, layers, monkeypatch):
    right = tr.batch_norm
    monkeypatch.setattr(tr, "batch_norm", lambda x, **how: right(x, **how) + 0.5 * tr.relu(x))
    assert not any(law.ok for law in lab.run("E4", m=m, a=a, layers=layers, **QUICK).laws)


def test_what_becomes_of_the_gain_in_the_long_run_is_said():
    words = [lab.run("E4", m=m, width=64, depth=2, nets=3).found for m in (0.5, 1.0, 1.5)]
    assert "each block multiplies it by 1.3502: since m < 1, the gain is exponential" in words[0]
    assert "as the power 1.467 of the depth" in words[1]
    assert "a block multiplies it by m² = 2.25" in words[2]


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E4: layers=3 .*: a whole number from 1 to 2 is needed"):
        lab.run("E4", layers=3)


def test_closed_forms():
    assert normalised.plain_gain() == pytest.approx(1.46694, abs=1e-5)
    assert normalised.residual_gains(40, 1)[-1] == pytest.approx(111.9, abs=0.05)
    assert normalised.residual_gains(40, 2)[-1] == pytest.approx(727, abs=0.5)
    assert [normalised.residual_power(layers) for layers in (1, 2)] == pytest.approx([1.467, 2.152], abs=5e-4)
    assert [normalised.scaled_gain(m) for m in (0.5, 0.5**0.5, 0.9)] == pytest.approx(
        [1.3502, 1.2335, 1.0887], abs=5e-5
    )
    assert list(normalised.residual_gains(0)) == [1.0]
    # blocks of any scales: as above where they are one, settling where m < 1
    for layers in (1, 2):
        np.testing.assert_allclose(normalised.block_gains(40, 1, 1, layers), normalised.residual_gains(40, layers))
        late = normalised.block_gains(200, 0.7, 0.3, layers)[-2:]
        assert late[1] / late[0] == pytest.approx(normalised.scaled_gain(0.7, layers))
    assert normalised.block_gains(1, 0, 1, batch=4)[-1] == pytest.approx(0.5)  # from variance 1, two of four are left
