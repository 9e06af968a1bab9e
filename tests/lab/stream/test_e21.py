"""E21: what the last block's weights receive, at its own settings and at others; and the nets against plain NumPy."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab, nn
from tinyres.flow.theory import stream
from tinyres.lab.stream import e21_weight_gradients as e21
from tinyres.lab.stream import nets

QUICK = {"depth": 6, "nets": 24, "width": 128}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E21", tmp_path)
    assert [law.kind for law in result.laws].count("asymptotic") == 6
    assert "it does not vanish" in result.found


@pytest.mark.parametrize(("depth", "s"), [(1, 1.0), (5, 0.5), (12, 2.0)])
def test_the_law_at_other_settings(depth, s):
    result = lab.run("E21", **(QUICK | {"depth": depth, "s": s}))
    assert all(law.ok for law in result.laws)
    pre, post, ratio, _ = result.laws
    assert pre.predicted == pytest.approx(s * s / (1 + depth * s * s))
    assert ratio.predicted == pytest.approx((1 + depth * s * s) / (1 + s * s))
    assert f"{post.measured:.3f} with post-LN" in result.found


def layer_norm(x):
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)


def by_hand(norm, drawn):
    """All five nets in NumPy."""
    x, depth = drawn.x, len(drawn.weights)
    branch = lambda h, w1, w2: np.maximum(h @ w1, 0) @ w2
    for l, (w1, w2) in enumerate(drawn.weights, 1):
        if norm == "pre":
            x = x + branch(layer_norm(x), w1, w2)
        elif norm == "post":
            x = layer_norm(x + branch(x, w1, w2))
        elif norm == "peri":
            x = x + layer_norm(branch(layer_norm(x), w1, w2))
        elif norm == "lns":
            x = x + branch(layer_norm(x) / np.sqrt(l), w1, w2)
        else:
            a, b = (2 * depth) ** 0.25, (8 * depth) ** -0.25
            x = layer_norm(a * x + branch(x, b * w1, b * w2))
    return x if norm in ("post", "deep") else layer_norm(x)


@pytest.mark.parametrize("norm", stream.NORMS)
def test_the_nets_are_what_they_say(norm):
    drawn = next(nets.Draw.some((0,), 1, 3, 32, 5))
    np.testing.assert_allclose(
        nets.net(norm, drawn.weights)(tr.tensor(drawn.x)).numpy(), by_hand(norm, drawn), rtol=1e-9
    )
    assert drawn.weights[:, 0].var() == pytest.approx(2 / 32, rel=0.1)
    assert drawn.weights[:, 1].var() == pytest.approx(1 / 32, rel=0.1)


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'pre', 'post', 'peri', 'lns' or 'deep', got 'batch'"):
        nets.block("batch", 1, 1, np.eye(2), np.eye(2))


def test_closed_forms():
    assert list(stream.variances("pre", 3, 2.0)) == [1, 5, 9, 13]
    assert stream.variances("lns", 40)[-1] == pytest.approx(5.28, abs=0.005)
    assert list(stream.variances("peri", 2, 3.0)) == [1, 2, 3]
    assert list(stream.variances("post", 2)) == [1, 1, 1]
    np.testing.assert_allclose(stream.branch_gains("pre", 4), [1, 1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(stream.branch_gains("deep", 24), 1 / (8 * 24 * np.sqrt(48)))
    np.testing.assert_allclose(stream.branch_gains("lns", 3), [1, 1 / 4, 1 / (3 * 2.5)])
    assert stream.weight_gradients("lns", 40)[-1] == pytest.approx(0.00474, abs=5e-5)
    assert stream.weight_gradients("pre", 16)[-1] == pytest.approx(1 / 17)
    assert stream.deepnorm_scales(2) == (4**0.25, 16**-0.25)


FAULTS = {
    "weights 15 % too large": lambda patch: scaled(patch, nets.Matrix, 1.15),
    "no layer norm": lambda patch: patch.setattr(nn.LayerNorm, "forward", lambda self, x: x),
    "the skip is lost": lambda patch: patch.setattr(nn.Residual, "forward", lambda self, x, relu=False: self.branch(x)),
}


def scaled(monkeypatch, layer, factor):
    right = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, x: right(self, x) * factor)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_net_is_noticed(fault, monkeypatch):
    FAULTS[fault](monkeypatch)
    assert not all(law.ok for law in lab.run("E21", **QUICK).laws)


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E21: s=9 \(gain of a branch\): a number from 0.1 to 3 is needed"):
        lab.run("E21", s=9)
    assert e21.SIDES == ("pre", "post")
