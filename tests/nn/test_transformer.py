"""Transformer blocks: where each norm stands, what the instruments see, and hyper-connections."""

from functools import partial

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn
from tinyres.nn import functional as F
from tinyres.nn.transformer import NORMS


def layer(norm="pre", **settings):
    made = nn.TransformerEncoderLayer(6, 2, 5, 0.0, "gelu", batch_first=True, norm=norm, rng=0, **settings)
    return made.to("float64")


def drawn(*shape, seed=1):
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def attend(m, x):
    return m.self_attn(x, x, x)[0]


def feed(m, x):
    return m.linear2(F.gelu(m.linear1(x)))


FORMULAS = {
    "pre": lambda m, x: [x := x + attend(m, m.norm1(x)), x + feed(m, m.norm2(x))][1],
    "post": lambda m, x: [x := m.norm1(x + attend(m, x)), m.norm2(x + feed(m, x))][1],
    "peri": lambda m, x: [x := x + m.norm3(attend(m, m.norm1(x))), x + m.norm4(feed(m, m.norm2(x)))][1],
    "lns": lambda m, x: [x := x + attend(m, m.norm1(x) / 3**0.5), x + feed(m, m.norm2(x) / 3**0.5)][1],
    "deep": lambda m, x: [x := m.norm1(8**0.25 * x + attend(m, x)), m.norm2(8**0.25 * x + feed(m, x))][1],
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", [nn.LayerNorm, nn.RMSNorm])
def test_where_the_norm_stands(norm, kind):
    m, x = layer(norm, norm_layer=kind, index=3, layers=4), drawn(2, 4, 6)
    for name, parameter in m.named_parameters():
        if "norm" in name:  # ones would hide which norm it is
            parameter.data = np.random.default_rng(len(name)).standard_normal(6)
    np.testing.assert_allclose(m(x).numpy(), FORMULAS[norm](m, x).numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_skip_and_branch_of_both_connections_are_seen(norm):
    net = nn.Sequential(layer(norm, layers=2), layer(norm, index=2, layers=2))
    x = drawn(2, 4, 6)
    names = ["0.attention", "0.mlp", "1.attention", "1.mlp"]
    with flow.record(net, [*names, "0", "1"]) as recording:
        y = net(x)
        (y * drawn(2, 4, 6, seed=2).detach()).sum().backward()
    assert sorted(recording.routes) == names
    assert all(route["skip"] > 0 and route["branch"] > 0 for route in recording.routes.values())
    assert all(norm > 0 for norm in recording.gradient_norms().values())
    found = flow.paths(net(x), x, np.random.default_rng(3).standard_normal((2, 4, 6)))
    assert len(found["norm"]) == 5  # through 0 to 4 branches
    assert found["projection"].sum() == pytest.approx(1, abs=1e-10)
    assert flow.instruments.lesions.lesionable_blocks(net) == names


def test_deepnorm_draws_values_output_and_feed_forward_smaller():
    wide = partial(nn.TransformerEncoderLayer, 64, 4, 96, 0.0, norm="deep", rng=0)
    b = 32**-0.25  # 4 layers
    one, four = wide(layers=1), wide(layers=4)
    glorot = np.sqrt(6 / (64 * 4))
    weight = four.self_attn.in_proj_weight.numpy()
    assert np.abs(weight[:128]).max() == pytest.approx(glorot, rel=0.01)
    assert np.abs(weight[128:]).max() == pytest.approx(glorot * b, rel=0.01)
    for name in ("self_attn.out_proj.weight", "linear1.weight", "linear2.weight"):
        w = four.state_dict()[name].numpy()
        assert w.std() == pytest.approx(b * np.sqrt(2 / sum(w.shape)), rel=0.05)
        assert w.std() / one.state_dict()[name].numpy().std() == pytest.approx(4**-0.25)


def test_swiglu():
    x = drawn(3, 4)
    a, b = x.numpy()[:, :2], x.numpy()[:, 2:]
    np.testing.assert_allclose(nn.SwiGLU()(x).numpy(), a * b / (1 + np.exp(-b)), rtol=1e-14)
    np.testing.assert_allclose(nn.SwiGLU(0)(x.T).numpy(), (a * b / (1 + np.exp(-b))).T, rtol=1e-14)
    m = nn.TransformerEncoderLayer(6, 2, 5, 0.0, "swiglu", rng=0)
    assert m.linear1.weight.shape == (10, 6)
    assert m.linear2.weight.shape == (6, 5)
    assert m(tr.ones(3, 6)).shape == (3, 6)
    with pytest.raises(ValueError, match=r"SwiGLU\(dim=-1\): axis -1 must have an even size, got shape \(3, 5\)"):
        nn.SwiGLU()(tr.ones(3, 5))


def test_a_layer_that_is_replaced_is_used():
    m, x = layer(), drawn(2, 4, 6)
    before = m(x).numpy()
    m.linear1 = nn.Linear(6, 5, rng=9).to("float64")
    assert (m(x).numpy() != before).any()


def test_train_and_eval_reach_every_dropout():
    m, x = nn.TransformerEncoderLayer(6, 2, 5, 0.5, batch_first=True, rng=0).to("float64"), drawn(2, 4, 6)
    assert (m(x).numpy() != m(x).numpy()).any()
    np.testing.assert_array_equal(m.eval()(x).numpy(), m(x).numpy())


def test_settings_that_do_not_exist():
    with pytest.raises(ValueError, match="norm must be one of pre, post, peri, lns, deep, got 'sandwich'"):
        layer("sandwich")
    with pytest.raises(ValueError, match="activation must be one of relu, gelu, silu, swiglu, or a function, got 'x'"):
        nn.TransformerEncoderLayer(6, 2, activation="x")
    with pytest.raises(ValueError, match="num_heads must divide it, got embed_dim=6 and num_heads=4"):
        nn.TransformerEncoderLayer(6, 4)
    with pytest.raises(ValueError, match="count from 1, got 0 and 1"):
        layer(index=0)


# -- hyper-connections ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_streams_are_read_written_and_mixed(mixing):
    branch = nn.Linear(3, 3, rng=0)
    block = nn.HyperConnections(branch, 4, mixing, index=6).to("float64")
    rng = np.random.default_rng(0)
    for parameter in (block.shortcut.weight, block.branch.read, block.branch.write):
        parameter.data = rng.standard_normal(parameter.shape)
    x = drawn(2, 5, 4, 3)
    matrix, read, write = block.shortcut.matrix().numpy(), block.branch.read.numpy(), block.branch.write.numpy()
    if mixing != "free":
        read, write = 1 / (1 + np.exp(-read)), 2 / (1 + np.exp(-write))
        np.testing.assert_allclose(matrix.sum(0), 1, atol=1e-15)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    y = branch(tr.tensor((read @ x.numpy())[..., 0, :])).numpy()[..., None, :]
    np.testing.assert_allclose(block(x).numpy(), matrix @ x.numpy() + write * y, rtol=1e-12)


@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_it_starts_as_a_plain_residual_connection_of_the_stream_it_reads(mixing):
    branch = nn.Linear(3, 3, rng=0)
    block, x = nn.HyperConnections(branch, 4, mixing, index=6), tr.randn(2, 4, 3)
    want = x.numpy() + branch(x[:, 2]).numpy()[:, None]
    np.testing.assert_allclose(block(x).numpy(), want, atol=0 if mixing == "free" else 0.02)
    one, x = nn.HyperConnections(branch, 1), tr.randn(2, 3)
    np.testing.assert_allclose(one(x[:, None]).numpy()[:, 0], nn.Residual(branch)(x).numpy(), rtol=1e-6)


def dynamic(mixing, branch=None, moved=True):
    """A dynamic hyper-connection of 4 streams of width 3, away from its start."""
    block = nn.HyperConnections(branch or nn.Linear(3, 3, rng=0), 4, mixing, 6, dynamic=True, width=3).to("float64")
    rng = np.random.default_rng(0)
    for parameter in block.parameters() if moved else ():
        parameter.data = rng.standard_normal(parameter.shape)
    return block


def gains(part, x):
    """s tanh(N(X) A) in NumPy, (..., 4, columns)."""
    unit = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return part.scale.numpy() * np.tanh(unit @ part.weight.numpy())


@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_dynamic_streams_are_mixed_by_what_they_hold(mixing):
    block = dynamic(mixing)
    x = drawn(2, 5, 4, 3)
    value, way = x.numpy(), block.branch
    matrix = block.shortcut.weight.numpy() + gains(block.shortcut.dynamic, value).swapaxes(-1, -2)
    read = way.read.numpy() + gains(way.dynamic_read, value).swapaxes(-1, -2)
    write = way.write.numpy() + gains(way.dynamic_write, value)
    if mixing != "free":
        matrix, read, write = (
            F.sinkhorn(tr.tensor(matrix), 20).numpy(),
            1 / (1 + np.exp(-read)),
            2 / (1 + np.exp(-write)),
        )
    assert matrix.shape == (2, 5, 4, 4)
    np.testing.assert_allclose(block.shortcut.matrix(x).numpy(), matrix, rtol=1e-12)
    y = way.branch(tr.tensor((read @ value)[..., 0, :])).numpy()[..., None, :]
    np.testing.assert_allclose(block(x).numpy(), matrix @ value + write * y, rtol=1e-12)


@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_dynamic_hyper_connections_start_as_static_ones_and_learn_to_differ(mixing):
    branch, x = nn.Linear(3, 3, rng=0).to("float64"), drawn(2, 5, 4, 3)
    static = nn.HyperConnections(branch, 4, mixing, 6).to("float64")
    block = dynamic(mixing, branch, moved=False)
    np.testing.assert_array_equal(block(x).numpy(), static(x).numpy())
    g = np.random.default_rng(1).standard_normal(x.shape)
    parts = [block.shortcut.dynamic, block.branch.dynamic_read, block.branch.dynamic_write]
    for gradient in tr.grad(block(x), [part.weight for part in parts], g):
        assert np.abs(gradient.numpy()).max() > 1e-8


@pytest.mark.parametrize("mixing", ["free", "doubly stochastic"])
def test_derivatives_of_dynamic_hyper_connections(mixing):
    block = dynamic(mixing, nn.Tanh())
    names = [name for name, _ in block.named_parameters()]

    def called(x, *values):
        for name, value in zip(names, values, strict=True):
            owner, _, last = name.rpartition(".")
            part = block
            for step in owner.split("."):
                part = getattr(part, step)
            vars(part)[last] = value  # a tensor in the place of the parameter
        return block(x)

    values = [p.numpy() for p in block.parameters()]
    tr.gradcheck(called, [drawn(2, 4, 3).numpy(), *values], order=2)


def test_instruments_see_its_routes():
    block = partial(nn.HyperConnections, streams=3, mixing="doubly stochastic")
    net = nn.Sequential(layer(connection=block), layer(connection=block))
    x = drawn(2, 4, 3, 6)
    with flow.record(net, ["0", "1"]) as recording:
        net(x).sum().backward()
    assert sorted(recording.routes) == ["0.attention", "0.mlp", "1.attention", "1.mlp"]
    found = flow.paths(net(x), x, np.random.default_rng(3).standard_normal((2, 4, 3, 6)))
    assert found["projection"].sum() == pytest.approx(1, abs=1e-10)


def test_sinkhorn():
    x = drawn(2, 3, 3)
    y = F.sinkhorn(x, 50).numpy()
    np.testing.assert_allclose(y.sum(-2), 1, atol=1e-15)
    np.testing.assert_allclose(y.sum(-1), 1, atol=1e-14)
    early = F.sinkhorn(x, 2).numpy()
    np.testing.assert_allclose(early.sum(-2), 1, atol=1e-15)
    assert abs(early.sum(-1) - 1).max() > 1e-4
    ratios = np.log(y) - x.numpy()  # e^x with rows and columns scaled: the logs differ by u_i + v_j
    np.testing.assert_allclose(ratios - ratios[:, :1] - ratios[:, :, :1] + ratios[:, :1, :1], 0, atol=1e-12)
    tr.gradcheck(lambda x: F.sinkhorn(x, 3), [x.numpy()], order=2)
    huge = F.sinkhorn(tr.tensor(np.diag([900.0, 1000.0]))).numpy()
    np.testing.assert_array_equal(huge, np.eye(2))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: F.sinkhorn(tr.ones(2, 3)), r"needs square matrices .*2, 3"),
        (lambda: F.sinkhorn(tr.ones(2, 2), 0), "iterations must be at least 1, got 0"),
        (lambda: nn.HyperConnections(nn.Identity(), 0), "streams must be a whole number of at least 1, got 0"),
        (lambda: nn.HyperConnections(nn.Identity(), 2, "x"), "must be 'free' or 'doubly stochastic', got 'x'"),
        (lambda: nn.HyperConnections(nn.Identity(), 2)(tr.ones(4, 3, 5)), r"needs 2 streams, .* got \(4, 3, 5\)"),
        (lambda: nn.HyperConnections(nn.Identity(), 2, dynamic=True), "dynamic=True needs width=E .* got None"),
    ],
)
def test_what_does_not_fit_is_said(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_a_stack_is_its_layers_one_after_the_other():
    one = layer("lns")
    stack = nn.TransformerEncoder(one, 3, nn.LayerNorm(6).to("float64"))
    assert [inner.index for inner in stack.layers] == [1, 2, 3]
    for k, (_, p) in enumerate(stack.named_parameters()):  # no longer equal
        p.data = p.data + 0.1 * np.random.default_rng(k).standard_normal(p.shape)
    x = drawn(2, 4, 6)
    expected = stack.norm(stack.layers[2](stack.layers[1](stack.layers[0](x))))
    np.testing.assert_array_equal(stack(x).numpy(), expected.numpy())
    np.testing.assert_array_equal(one.index, 1)
    hidden = np.array([[False] * 3 + [True]] * 2)
    other = tr.tensor(np.concatenate([x.numpy()[:, :3], 9 * x.numpy()[:, 3:]], 1))
    seen = [stack(given, src_key_padding_mask=hidden).numpy()[:, :3] for given in (x, other)]
    np.testing.assert_allclose(*seen, rtol=1e-12)
    with pytest.raises(ValueError, match="num_layers must be a whole number of at least 1, got 0"):
        nn.TransformerEncoder(one, 0)


def test_the_layers_of_a_stack_start_alike_and_drop_different_units():
    made = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 5, 0.5, batch_first=True, rng=0), 2)
    first, second = made.layers
    np.testing.assert_array_equal(first.linear1.weight.numpy(), second.linear1.weight.numpy())
    assert first.linear1.weight is not second.linear1.weight
    ones = tr.ones(50)
    assert (first.dropout(ones).numpy() != second.dropout(ones).numpy()).any()
