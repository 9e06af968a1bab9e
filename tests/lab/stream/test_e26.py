"""E26: the tangent kernel's trace against depth, also as the instrument measures it."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import flow, lab, nn
from tinyres.flow.theory import tangent
from tinyres.lab.stream import e26_tangent_kernel as e26
from tinyres.lab.stream import nets

QUICK = {"depth": 5, "nets": 12}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E26", tmp_path)
    assert len(result.laws) == 19


@pytest.mark.parametrize(("depth", "a"), [(1, 0.5), (12, 0.2), (3, 0.05)])
def test_the_law_at_other_settings(depth, a):
    result = lab.run("E26", **(QUICK | {"depth": depth, "a": a}))
    assert [law.name for law in result.laws if not law.ok] == []
    assert result.laws[0].predicted == pytest.approx(1.5 * a * a * depth * (1 + a * a) ** (depth - 1))


def test_limits_of_the_closed_form():
    assert tangent.residual_trace(10**6, 1e-3) == pytest.approx(1.5 * np.e, rel=1e-5)
    assert tangent.residual_trace(1000, 1e-3) == pytest.approx(1.5e-3, rel=2e-3)


def test_it_is_the_trace_that_the_instrument_finds():
    drawn = next(nets.Draw.some((0,), 1, 3, 32, 1))

    class Read(nn.Module):
        """v x_L."""

        def __init__(self):
            self.blocks = nn.Sequential(
                *(
                    nn.Residual(nn.Sequential(nets.Matrix(w1), nn.ReLU(), nets.Matrix(w2, 0.3)))
                    for w1, w2 in drawn.weights
                )
            )

        def forward(self, x):
            return self.blocks(x) @ tr.tensor(drawn.g[0])

    found = flow.tangent_kernel_trace(Read(), drawn.x)["by_parameter"].reshape(-1, 2)
    # The instrument differentiates with respect to W2 in 0.3 h W2, as the law does.
    whole = (drawn.x**2).sum() * (drawn.g**2).sum()
    np.testing.assert_allclose(found / whole, e26.squares(drawn, 0.3), rtol=1e-9)


def test_branches_that_do_not_shrink_are_noticed(monkeypatch):
    right = e26.squares
    monkeypatch.setattr(e26, "squares", lambda drawn, a: right(drawn, 1.2 * a))
    assert not lab.run("E26", **QUICK).laws[0].ok
    monkeypatch.setattr(e26, "squares", lambda drawn, a: right(drawn, a)[:, ::-1])
    assert not lab.run("E26", **QUICK).laws[1].ok
