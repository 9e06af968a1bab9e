"""The entropy of attention: of weights that are known, of PyTorch-like modules, of a softmax of one's own."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn


class Own(nn.Module):
    """A head made by hand, whose projection runs before its softmax."""

    def __init__(self, sharp):
        self.project, self.sharp = nn.Linear(4, 4, rng=0), sharp

    def forward(self, x):
        h = self.project(x)
        return tr.softmax(self.sharp * (h @ tr.transpose(h, 1, 2)), dim=-1) @ h


def test_uniform_and_certain_heads():
    x = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32")
    found = flow.attention_entropy(nn.Sequential(Own(0.0)), x)
    assert found.labels["layer"] == ["0"]
    np.testing.assert_allclose(found["entropy"], np.log(5), rtol=1e-6)
    np.testing.assert_allclose(found["spread"], 5, rtol=1e-6)
    np.testing.assert_allclose(found["most"], 0.2, rtol=1e-6)
    certain = flow.attention_entropy(nn.Sequential(Own(1e4)), x)
    np.testing.assert_allclose(certain["spread"], 1, atol=0.05)


def test_every_head_of_every_layer_against_the_weights_that_attention_returns():
    rng = np.random.default_rng(0)
    model = nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, rng=rng) for _ in range(2)))
    model.eval()
    x = rng.standard_normal((3, 6, 8)).astype("float32")
    found = flow.attention_entropy(model, x)
    assert found.labels["layer"] == ["0.self_attn", "1.self_attn"]
    with tr.no_grad():
        h = tr.tensor(x)
        for k, layer in enumerate(model):
            _, weights = layer.self_attn(h, h, h, average_attn_weights=False)
            p = weights.numpy().astype("float64")
            wanted = np.array([np.mean([-(q * np.log(q)).sum() for q in p[:, head].reshape(-1, 6)]) for head in (0, 1)])
            np.testing.assert_allclose(found["entropy"][k], wanted, rtol=1e-5)
            np.testing.assert_allclose(found["most"][k], p.max(axis=-1).mean(axis=(0, 2)), rtol=1e-5)
            h = layer(h)


@pytest.mark.parametrize("batch", [1, 8])
def test_attention_of_few_and_of_many_tokens_is_seen(batch):
    class Attends(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    x = np.random.default_rng(0).standard_normal((batch, 4, 32, 16)).astype("float32")
    assert flow.attention_entropy(Attends(), x)["entropy"].shape == (1, 4)


def test_a_causal_mask_leaves_fewer_tokens():
    attention = nn.MultiheadAttention(8, 2, batch_first=True, rng=0)

    class Causal(nn.Module):
        def __init__(self):
            self.attention = attention

        def forward(self, x):
            return self.attention(0 * x, 0 * x, x, is_causal=True, need_weights=False)[0]

    found = flow.attention_entropy(Causal(), np.ones((1, 4, 8), "float32"))
    np.testing.assert_allclose(found["entropy"], np.mean(np.log([1, 2, 3, 4])), rtol=1e-6)
    assert found.labels["layer"] == ["attention"]


def test_fewer_queries_than_keys():
    class Cross(nn.Module):
        def __init__(self):
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True, rng=0)

        def forward(self, x):
            return self.attention(0 * x[:, :3], x, x)[0]

    found = flow.attention_entropy(Cross(), np.ones((2, 5, 8), "float32"))
    np.testing.assert_allclose(found["entropy"], np.log(5), rtol=1e-6)


def test_a_classifiers_softmax_is_no_attention(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Softmax(dim=1))
    with pytest.raises(ValueError, match=r"no softmax of \(..., queries, keys\)"):
        flow.attention_entropy(model, np.ones((2, 4), "float32"))
    found = flow.attention_entropy(nn.Sequential(Own(1.0), Own(1.0)), np.ones((2, 3, 4), "float32"))
    found.plot().savefig(tmp_path / "a.png")


def test_each_head_is_a_line_through_the_layers_with_room_above():
    found = flow.attention_entropy(Own(0.0), np.random.default_rng(0).standard_normal((2, 5, 4)).astype("float32"))
    (axes,) = found.plot().axes
    line = axes.lines[0]
    assert line.get_linestyle() == "-"
    assert axes.get_ylim()[1] > 5, "all five tokens share: the line is not the frame"
