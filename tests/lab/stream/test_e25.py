"""E25: tokens become alike with attention alone, and stay apart with a skip connection."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import flow, lab, nn
from tinyres.flow.theory import attention as theory
from tinyres.lab.stream import e25_rank_collapse as e25
from tinyres.nn import functional as F
from tinyres.ops.standardize import rms_norm


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E25", tmp_path)
    assert [law.kind for law in result.laws] == ["asymptotic"] * 9
    for law in result.laws[5:]:
        assert law.tolerance < 0.2 * law.predicted


@pytest.mark.parametrize("settings", [{"T": 48}, {"s": 0.5}, {"d": 96, "T": 24}, {"depth": 6}])
def test_the_law_at_other_settings(settings):
    result = lab.run("E25", **({"nets": 12, "depth": 8} | settings))
    assert [law.name for law in result.laws if not law.ok] == []


def test_the_layer_is_the_librarys_attention():
    rng = np.random.default_rng(0)
    x, matrices = tr.tensor(e25.tokens(rng, 7, 16, 0.5)), e25.weights(rng, 16)
    h = rms_norm(x, (16,))
    q, k, v = (h @ w for w in matrices)
    wanted = F.scaled_dot_product_attention(q, k, v, scale=0.7 / 4)
    np.testing.assert_allclose(e25.attention(x, matrices, 0.7).numpy(), wanted.numpy(), rtol=1e-10)


def test_e_is_what_the_instrument_measures():
    rng = np.random.default_rng(0)

    class Keep(nn.Module):
        def forward(self, x):
            return x

    for e in (0.5, 1e-9):
        x = e25.tokens(rng, 12, 20, e)
        assert e25.apart(x) == pytest.approx(float(flow.token_similarity(nn.Sequential(Keep()), x[None])["apart"][0]))


def test_closed_forms():
    assert theory.attended(1.0, 32) == (1, 1)
    variance, covariance = theory.attended(0.0, 32)
    assert variance == pytest.approx(np.e / 32)
    assert covariance == pytest.approx(1 / 32)
    path = theory.with_skips(3, 32)
    assert path.shape == (4, 2)
    assert list(path[0]) == [1, 0]


FAULTS = {
    "|dL/dW_Q|²": lambda x, matrices, s: right(x, matrices, 0 * s),
    "layers with skips": lambda x, matrices, s: right(x, matrices, 1.6 * s),
    "attention alone": lambda x, matrices, s: x + right(x, matrices, s),
}
right = e25.attention


@pytest.mark.parametrize("words", FAULTS)
def test_another_attention_is_noticed(words, monkeypatch):
    monkeypatch.setattr(e25, "attention", lambda x, matrices, s=1.0: FAULTS[words](x, matrices, s))
    with np.errstate(all="ignore"):
        laws = [law for law in lab.run("E25", nets=16, depth=8).laws if words in law.name]
    assert laws
    assert not all(law.ok for law in laws)
