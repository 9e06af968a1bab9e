"""Attention and Transformer blocks against PyTorch in float64: values, both orders of derivatives, keys, masks."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn

torch = pytest.importorskip("torch")
from tests.parity.test_nn_parity import both, orders  # noqa: E402 (it needs PyTorch)

pytestmark = pytest.mark.parity
E, H, N, L, S = 6, 2, 3, 4, 5
PADDING = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]], bool)  # (N, S), True: not to be seen
HIDDEN = np.random.default_rng(3).random((L, S)) < 0.3
HIDDEN[:, 0] = False
EACH = np.random.default_rng(4).random((N * H, L, S)) < 0.3
EACH[:, :, 0] = False
MASKS = {
    "no mask": {},
    "padding": {"key_padding_mask": PADDING},
    "a mask": {"attn_mask": HIDDEN},
    "a mask for each head": {"attn_mask": EACH},
    "a mask and padding": {"attn_mask": HIDDEN, "key_padding_mask": PADDING},
    "numbers": {"attn_mask": np.random.default_rng(5).normal(size=(L, S))},
    "numbers, and minus infinity": {"attn_mask": np.where(HIDDEN, -np.inf, 0.5)},
    "numbers for each head": {"attn_mask": np.random.default_rng(6).normal(size=(N * H, L, S))},
    "numbers, and padding of numbers": {
        "attn_mask": np.random.default_rng(5).normal(size=(L, S)), "key_padding_mask": np.where(PADDING, -np.inf, 0.0),
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def twice_differentiable():
    """PyTorch's fused attention has no second derivatives."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


class Called:
    """A module together with how it is called on one tensor, which `orders` differentiates twice."""

    def __init__(self, module, call):
        self.parameters, self.call = module.parameters, lambda x: call(module, x)

    def __call__(self, x):
        return self.call(x)


def masks(lib, given):
    return {name: torch.as_tensor(mask) if lib is torch else mask for name, mask in given.items()}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_self_attention(first, bias):
    settings = {"bias": bias, "batch_first": first}
    ours, theirs = both(nn.MultiheadAttention(E, H, **settings), torch.nn.MultiheadAttention(E, H, **settings))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for need in (True, False):
        call = lambda m, x, need=need: m(x, x, x, need_weights=need)[0]
        orders(Called(ours, call), Called(theirs, call), (N, L, E))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("need", [True, False])
def test_cross_attention_with_masks(kind, need):
    """The query is one part of the input, keys and values are the other."""
    ours, theirs = (
        lib.MultiheadAttention(E, H, kdim=3, vdim=4, batch_first=True) for lib in (nn, torch.nn)
    )  # fmt: skip
    both(ours, theirs)

    def call(lib):
        def apply(m, x):
            query, memory = x[:, :L], x[:, L:]
            return m(query, memory[..., :3], memory[..., :4], need_weights=need, **masks(lib, MASKS[kind]))[0]

        return apply

    orders(Called(ours, call(tr)), Called(theirs, call(torch)), (N, L + S, E))


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("axes", [(N,), ()], ids=["batch", "one sample"])
def test_weights(average, axes):
    ours, theirs = both(
        nn.MultiheadAttention(E, H, batch_first=True), torch.nn.MultiheadAttention(E, H, batch_first=True)
    )
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(*axes, L, E)), rng.normal(size=(*axes, S, E))
    mine = ours(tr.tensor(q), tr.tensor(k), tr.tensor(k), average_attn_weights=average)
    other = theirs(torch.tensor(q), torch.tensor(k), torch.tensor(k), average_attn_weights=average)
    for a, b in zip(mine, other, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(force=True), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {}, {"norm_first": True}, {"activation": "gelu", "bias": False}, {"batch_first": True, "norm_first": True},
        {"layer_norm_eps": 0.1},
    ],
    ids=str,
)  # fmt: skip
def test_transformer_layers(settings, causal):
    made = [lib.TransformerEncoderLayer(E, H, 7, 0.0, **settings) for lib in (nn, torch.nn)]
    ours, theirs = both(*made)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    hidden = torch.nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64) if causal else None
    mine = Called(ours, lambda m, x: m(x, is_causal=causal))
    other = Called(theirs, lambda m, x: m(x, src_mask=hidden, is_causal=causal))
    orders(mine, other, (N, L, E) if settings.get("batch_first") else (L, N, E))


def test_padded_sequences_of_a_layer():
    made = [lib.TransformerEncoderLayer(E, H, 7, 0.0, batch_first=True) for lib in (nn, torch.nn)]
    ours, theirs = both(*made)
    mine = Called(ours, lambda m, x: m(x, src_key_padding_mask=PADDING))
    other = Called(theirs, lambda m, x: m(x, src_key_padding_mask=torch.as_tensor(PADDING)))
    orders(mine, other, (N, S, E))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("settings", [{}, {"norm_first": True, "batch_first": True}], ids=str)
def test_stacks_of_layers(settings, causal):
    made = []
    for lib in (nn, torch.nn):
        layer = lib.TransformerEncoderLayer(E, H, 7, 0.0, **settings)
        made.append(lib.TransformerEncoder(layer, 3, norm=lib.LayerNorm(E)))
    ours, theirs = both(*made)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    hidden = torch.nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64) if causal else None
    mine = Called(ours, lambda m, x: m(x, is_causal=causal))
    other = Called(theirs, lambda m, x: m(x, mask=hidden, is_causal=causal))
    orders(mine, other, (N, L, E) if settings.get("batch_first") else (L, N, E))


def test_what_they_start_from():
    """The same distributions: uniform, with the same bounds; biases 0."""
    ours, theirs = nn.TransformerEncoderLayer(64, 4, 96, rng=0), torch.nn.TransformerEncoderLayer(64, 4, 96)
    for name, value in theirs.state_dict().items():
        a, b = np.abs(ours.state_dict()[name].numpy()), np.abs(value.numpy())
        assert a.max() == pytest.approx(b.max(), rel=0.05 if a.size > 100 else 0.2, abs=1e-12), name
        assert a.mean() == pytest.approx(b.mean(), rel=0.05 if a.size > 100 else 0.3, abs=1e-12), name
