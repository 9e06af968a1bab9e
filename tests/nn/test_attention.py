"""Multi-head attention: what it computes head by head, masks, and what does not fit."""

import contextlib
import copy
import pickle

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.arrays.memory import LEAST


def made(dtype="float64", **settings):
    return nn.MultiheadAttention(6, 2, batch_first=True, rng=0, **settings).to(dtype)


def drawn(*shape, seed=1):
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def test_each_head_by_hand():
    attention, x = made(), drawn(2, 4, 6)
    attention.in_proj_bias.data = np.random.default_rng(5).standard_normal(18)
    w, b = attention.in_proj_weight.numpy(), attention.in_proj_bias.numpy()
    heads = []
    for head in range(2):
        rows = np.arange(3) + 3 * head
        q, k, v = (x.numpy() @ w[rows + 6 * part].T + b[rows + 6 * part] for part in range(3))
        logits = q @ k.transpose(0, 2, 1) / np.sqrt(3)
        shares = np.exp(logits)
        heads.append((shares / shares.sum(-1, keepdims=True)) @ v)
    want = np.concatenate(heads, -1) @ attention.out_proj.weight.numpy().T + attention.out_proj.bias.numpy()
    for need in (True, False):
        np.testing.assert_allclose(attention(x, x, x, need_weights=need)[0].numpy(), want, rtol=1e-12)


@pytest.mark.parametrize("need", [True, False])
def test_causal_attention_does_not_look_ahead(need):
    attention, x = made(), drawn(2, 5, 6)
    y, weights = attention(x, x, x, need_weights=need, is_causal=True)
    for t in range(5):
        part = x[:, : t + 1]
        np.testing.assert_allclose(y.numpy()[:, t], attention(part, part, part)[0].numpy()[:, t], rtol=1e-11)
    assert (weights is None) is not need
    if need:
        assert not np.triu(weights.numpy(), 1).any()
    padded = np.zeros((2, 5), bool)
    padded[1, 3:] = True
    both, _ = attention(x, x, x, key_padding_mask=padded, need_weights=need, is_causal=True)
    np.testing.assert_allclose(both.numpy()[0], y.numpy()[0], rtol=1e-12)
    np.testing.assert_allclose(both.numpy()[1, :3], y.numpy()[1, :3], rtol=1e-12)
    assert abs(both.numpy()[1, 3:] - y.numpy()[1, 3:]).max() > 1e-3


@pytest.mark.parametrize("need", [True, False])
def test_a_sample_of_padding_alone_gives_the_bias_and_no_nan(need):
    attention, x = made(), drawn(2, 4, 6)
    y, _ = attention(x, x, x, key_padding_mask=np.array([[False] * 4, [True] * 4]), need_weights=need)
    np.testing.assert_array_equal(y.numpy()[1], np.broadcast_to(attention.out_proj.bias.numpy(), (4, 6)))
    grads = tr.grad(y, [x, *attention.parameters()], np.ones(y.shape))
    assert all(np.isfinite(g.numpy()).all() for g in grads)
    assert not grads[0].numpy()[1].any()
    assert grads[0].numpy()[0].any()


def test_what_watches_the_layers_sees_the_weights():
    class Seen(tr.Observer):
        shapes = ()

        def on_forward(self, node, value):
            if node.primitive.name == "softmax":
                self.shapes = (*self.shapes, value.shape)

    attention, x, seen = made(), drawn(2, 4, 6), Seen()
    with seen:
        y, weights = attention(x, x, x, need_weights=False, is_causal=True)
    assert weights is None
    assert seen.shapes == ((2, 2, 4, 4),)
    np.testing.assert_allclose(y.numpy(), attention(x, x, x, need_weights=False, is_causal=True)[0].numpy(), rtol=1e-12)


class Names(tr.Observer):
    """Of the operations in the way back, which does not change what a layer does."""

    def __init__(self):
        self.seen = set()

    def on_cotangent(self, node, total):
        if node.primitive is not None:
            self.seen.add(node.name)


@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"batch_first": False}], ids=str)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [45, 46, 70])  # of 2 samples and 4 heads: 46 is the first to be worth it
def test_one_pass_over_one_projection_is_what_three_projections_give(length, causal, settings):
    layer = nn.MultiheadAttention(8, 4, rng=0, **{"batch_first": True, **settings}).to("float32")
    shape = (2, length, 8) if layer.batch_first else (length, 2, 8)
    rng = np.random.default_rng(1)
    x, g = (rng.standard_normal(shape).astype("float32") for _ in range(2))
    if layer.in_proj_bias is not None:
        layer.in_proj_bias.data = rng.standard_normal(24).astype("float32")
    results, names = [], Names()
    for need in (False, True):
        leaf = tr.tensor(x, requires_grad=True)
        y = layer(leaf, leaf, leaf, need_weights=need, is_causal=causal)[0]
        with names if not need else contextlib.nullcontext():
            results.append([y, *tr.grad(y, [leaf, *layer.parameters()], tr.tensor(g))])
    assert ("self_attention" in names.seen) is (length >= 46) is (2 * 4 * length * length * 4 >= LEAST)
    for found, expected in zip(*results, strict=True):
        scale = abs(expected.detach().numpy()).max()
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=0, atol=1e-5 * scale)


def test_second_derivatives_of_one_pass():
    layer = made()
    x = drawn(2, 48, 6)
    g, v = (np.random.default_rng(seed).standard_normal(x.shape) for seed in (3, 4))

    def slope(at, create_graph=False):
        y = layer(at, at, at, need_weights=False, is_causal=True)[0]
        return tr.grad(y, [at], tr.tensor(g), create_graph=create_graph)[0]

    second = tr.grad((slope(x, create_graph=True) * tr.tensor(v)).sum(), [x])[0].numpy()
    ends = [slope(tr.tensor(x.numpy() + step * v, requires_grad=True)).numpy() for step in (1e-5, -1e-5)]
    np.testing.assert_allclose(second, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-7)


def test_a_sample_alone_and_what_is_not_itself_go_their_own_way():
    layer, x = made(), drawn(80, 6)
    alone = layer(x, x, x, need_weights=False)[0].numpy()
    np.testing.assert_allclose(alone, layer(x[None], x[None], x[None])[0].numpy()[0], rtol=1e-11)
    other = tr.tensor(x.numpy() * 2)
    crossed = layer(x, other, other, need_weights=False)[0].numpy()
    np.testing.assert_allclose(crossed, layer(x, other, other)[0].numpy(), rtol=1e-11)
    assert abs(crossed - alone).max() > 1e-3


def test_dropout_is_for_training_and_comes_from_rng():
    one, other = made(dropout=0.5), made(dropout=0.5)
    x = drawn(2, 4, 6)
    first = one(x, x, x)[0].numpy()
    np.testing.assert_array_equal(first, other(x, x, x)[0].numpy())
    assert (first != one(x, x, x)[0].numpy()).any()
    np.testing.assert_array_equal(one.eval()(x, x, x)[0].numpy(), made()(x, x, x)[0].numpy())


@pytest.mark.parametrize("take", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies(take):
    layer, x = nn.TransformerEncoderLayer(6, 2, 5, 0.0, batch_first=True, rng=0).to("float64"), drawn(2, 4, 6)
    other = take(layer)
    np.testing.assert_array_equal(other(x).numpy(), layer(x).numpy())
    other.linear1.weight.data = other.linear1.weight.numpy() * 2
    assert (other(x).numpy() != layer(x).numpy()).any()  # the copy computes with its own weights


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, x: nn.MultiheadAttention(6, 4), "num_heads must divide it, got embed_dim=6 and num_heads=4"),
        (lambda m, x: nn.MultiheadAttention(6, 0), "num_heads must be a whole number of at least 1, got 0"),
        (lambda m, x: nn.MultiheadAttention(6, 2, add_bias_kv=True), "are left out"),
        (lambda m, x: nn.MultiheadAttention(6, 2, dropout=2), r"must be a number from 0 to 1, got 2"),
        (lambda m, x: m(x, x, x, attn_mask=np.ones((4, 3), bool)), r"attn_mask must have shape .*here \(4, 4\), got"),
        (lambda m, x: m(x, x, x, attn_mask=np.ones((3, 4, 4), bool)), r"here \(4, 4, 4\), got .*3, 4, 4"),
        (lambda m, x: m(x, x, x, key_padding_mask=np.ones((4, 2), bool)),
         r"key_padding_mask must have shape \(N, S\), here \(2, 4\), got .*4, 2"),
        (lambda m, x: m(x, x, x[:, :, :5]), r"value \(N, S, 6\), here with the batch N first, got .*\(2, 4, 5\)"),
        (lambda m, x: m(x, x[:1], x[:1]), r"got \(2, 4, 6\), \(1, 4, 6\)"),
        (lambda m, x: m(x, x[0], x[0]), "need 3 axes, or 2 without a batch"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call(made(), drawn(2, 4, 6))
    assert "\n" not in str(caught.value)


def test_a_wrong_dtype_is_said():
    x = drawn(2, 4, 6)
    with pytest.raises(TypeError, match="the input is float64, the weights are float32"):
        made("float32")(x, x, x)


# -- rotary positions -----------------------------------------------------------------------------------------------
def test_products_depend_on_the_distance_alone_and_lengths_are_kept():
    rotary = nn.Rotary(8)
    q, k = np.random.default_rng(0).standard_normal((2, 8))
    turned_q, turned_k = (rotary(tr.tensor(np.tile(v, (7, 1)))).numpy() for v in (q, k))
    products = turned_q @ turned_k.T
    for distance in range(-6, 7):
        line = np.diagonal(products, distance)
        np.testing.assert_allclose(line, line[0], rtol=1e-12)
    assert len({round(float(products[0, s]), 6) for s in range(7)}) == 7
    np.testing.assert_allclose((turned_q**2).sum(1), (q**2).sum(), rtol=1e-12)
    np.testing.assert_array_equal(turned_q[0], q)


def test_the_angles_are_those_of_the_paper():
    x = np.zeros((3, 4))
    x[:, 0] = 1  # turned by t base^0, together with entry 2
    y = nn.Rotary(4, base=100.0)(tr.tensor(x)).numpy()
    np.testing.assert_allclose(y[:, [0, 2]], [[np.cos(t), np.sin(t)] for t in range(3)], atol=1e-15)
    x = np.roll(x, 1, axis=1)  # turned by t 100^(-2/4)
    y = nn.Rotary(4, base=100.0)(tr.tensor(x)).numpy()
    np.testing.assert_allclose(y[:, [1, 3]], [[np.cos(t / 10), np.sin(t / 10)] for t in range(3)], atol=1e-15)


def test_lengths_and_dtypes_may_alternate():
    rotary = nn.Rotary(4)
    for length, dtype in ((5, "float64"), (3, "float64"), (5, "float32"), (5, "float64")):
        x = np.random.default_rng(0).standard_normal((5, 4))[:length].astype(dtype)
        y = rotary(tr.tensor(x))
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), nn.Rotary(4)(tr.tensor(x)).numpy())


def test_rotary_gradcheck_and_errors():
    tr.gradcheck(nn.Rotary(4), [np.random.default_rng(0).standard_normal((2, 3, 4))], order=2)
    with pytest.raises(ValueError, match=r"must be even, since .* got 3"):
        nn.Rotary(3)
    with pytest.raises(ValueError, match=r"needs x of shape \(\.\.\., T, 4\), got \(2, 6\)"):
        nn.Rotary(4)(tr.ones(2, 6))
