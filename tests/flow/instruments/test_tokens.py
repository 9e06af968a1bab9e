"""Tokens against correlations pair by pair, known ranks, and models of every kind."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn


def pairs(x):
    """The mean cosine of all pairs of rows, one by one."""
    cosines = [
        a @ b / np.sqrt((a @ a) * (b @ b)) for k, a in enumerate(x) for j, b in enumerate(x) if j != k
    ]  # fmt: skip
    return np.mean(cosines)


class Keep(nn.Module):
    """What it is given."""

    def forward(self, x):
        return x


def test_against_all_pairs():
    x = np.random.default_rng(0).standard_normal((3, 6, 5)) + 1
    found = flow.token_similarity(nn.Sequential(Keep()), x)
    assert found["correlation"][0] == pytest.approx(np.mean([pairs(rows) for rows in x]))
    assert found["apart"][0] == pytest.approx(1 - found["correlation"][0])


def test_tokens_that_are_nearly_alike_are_told_apart():
    """1 - correlation of 1e-20 drowns in the rounding of the correlation, but not in distances."""
    rng = np.random.default_rng(0)
    u, z = rng.standard_normal((1, 1, 4000)), rng.standard_normal((1, 30, 4000))
    for e in (1e-2, 1e-12, 1e-20):
        x = u + np.sqrt(e) * z
        assert flow.token_similarity(nn.Sequential(Keep()), x)["apart"][0] == pytest.approx(e, rel=0.05)


def test_known_ranks():
    basis = np.eye(6)
    for rank in (1, 2, 5):
        x = np.stack([basis[:rank].repeat(2, axis=0)] * 2)
        found = flow.token_similarity(nn.Sequential(Keep()), x)
        assert found["effective_rank"][0] == pytest.approx(rank)
        assert found["stable_rank"][0] == pytest.approx(rank)
    unequal = np.diag([3.0, 1.0])[None]
    found = flow.token_similarity(nn.Sequential(Keep()), unequal)
    assert found["stable_rank"][0] == pytest.approx(10 / 9)
    assert found["effective_rank"][0] == pytest.approx(np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1)))


def test_a_transformers_blocks_and_parts():
    rng = np.random.default_rng(0)
    blocks = [nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, rng=rng) for _ in range(2)]
    model = nn.Sequential(*blocks).eval()
    x = rng.standard_normal((2, 5, 8)).astype("float32")
    found = flow.token_similarity(model, x)
    assert found.labels["block"] == ["0", "1"]
    with tr.no_grad():
        first = blocks[0](tr.tensor(x)).numpy().astype("float64")
    assert found["correlation"][0] == pytest.approx(np.mean([pairs(rows) for rows in first]), rel=1e-4)
    inside = flow.token_similarity(model, x, ["0.self_attn", "1"])  # attention gives a pair
    assert inside.labels["block"] == ["0.self_attn", "1"]
    assert inside["apart"][1] == found["apart"][1]


def test_a_block_that_runs_twice_has_a_number_for_each():
    layer = nn.Linear(4, 4, rng=0)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    assert flow.token_similarity(model, x, ["0"]).labels["block"] == ["0[0]", "0[1]"]


def test_a_row_that_is_gone_through_is_its_members_and_one_that_is_called_is_one_block():
    class Net(nn.Module):
        def __init__(self, through):
            self.layers, self.through = nn.Sequential(nn.Linear(4, 4, rng=0), nn.Linear(4, 4, rng=1)), through

        def forward(self, x):
            if not self.through:
                return self.layers(x)
            for layer in self.layers:
                x = layer(x)
            return x

    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32")
    through, whole = (flow.token_similarity(Net(one), x) for one in (True, False))
    assert through.labels["block"] == ["layers.0", "layers.1"]
    assert whole.labels["block"] == ["layers"]
    assert through["apart"][-1] == whole["apart"][0]
    assert "left out" not in through.cost + whole.cost


def test_what_cannot_be_measured_is_said(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 4)).astype("float32")
    model = nn.Sequential(nn.Linear(4, 4, rng=0))
    with pytest.raises(ValueError, match=r"no block gives \(N, T, d\) with T > 1; their outputs are \[\(2, 4\)\]"):
        flow.token_similarity(model, x)
    with pytest.raises(ValueError, match="no blocks called"):
        flow.token_similarity(model, x, ["nobody"])
    assert not model[0]._hooks if hasattr(model[0], "_hooks") else True
    same = np.zeros((1, 3, 4), "float32")
    assert np.isnan(flow.token_similarity(nn.Sequential(Keep()), same)["apart"][0])
    flow.token_similarity(nn.Sequential(Keep()), x[None]).plot().savefig(tmp_path / "t.png")
