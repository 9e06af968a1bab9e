"""gpt and what only it does: symbols, causality, sampling, streams."""

import inspect

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, flow, models, nn
from tinyres.nn.transformer import NORMS
from tinyres.ops.losses import cross_entropy

VARIANTS = {
    **{norm: {"norm": norm} for norm in NORMS},
    "rotary": {"positions": "rotary", "tied": False},
    "rms, swiglu": {"norm_layer": "rms", "activation": "swiglu"},
    "streams": {"streams": 3},
    "doubly stochastic": {"streams": 3, "mixing": "doubly stochastic"},
    "dynamic": {"streams": 3, "dynamic": True},
}


def made(rng=0, **options):
    return models.gpt(2, 8, 2, symbols=11, context=6, rng=rng, **options)


def symbols(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 11, shape)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_with_all_its_parameters_and_shows_its_routes(name):
    model, x = made(**VARIANTS[name]), symbols(3, 6)
    with flow.record(model) as recording:
        y = model(x)
        assert y.shape == (3, 6, 11)
        cross_entropy(y.reshape(-1, 11), symbols(18, seed=1)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert np.isfinite(parameter.grad.numpy()).all(), key
        silent = key.endswith(".scale")  # of weights that start as 0
        assert parameter.grad.numpy().any() != silent, key
    assert recording.blocks == ["blocks.0", "blocks.1"]
    assert sorted(recording.routes) == [f"blocks.{i}.{b}" for i in range(2) for b in ("attention", "mlp")]
    assert all(0 < share < 1 for share in recording.skip_share().values())


@pytest.mark.parametrize("name", VARIANTS)
def test_what_comes_later_does_not_matter(name):
    model, x = made(**VARIANTS[name]).to("float64"), symbols(2, 6)
    whole = model(x).numpy()
    other = x.copy()
    other[:, 4:] = (other[:, 4:] + 1) % 11
    changed = model(other).numpy()
    np.testing.assert_allclose(whole[:, :4], changed[:, :4], rtol=1e-12)
    assert (whole[:, 4:] != changed[:, 4:]).all()
    np.testing.assert_allclose(model(x[:, :3]).numpy(), whole[:, :3], rtol=1e-10)


def test_positions_matter():
    for positions in models.gpt.__globals__["POSITIONS"]:
        y = made(positions=positions).to("float64")(np.array([[1, 2, 1, 2, 1, 2]])).numpy()
        assert abs(y[0, 1] - y[0, 3]).max() > 1e-6


def test_tied_weights_are_one_parameter():
    tied, free = made(), made(tied=False)
    assert tied.head.weight is tied.stem.weight
    assert free.parameter_count() - tied.parameter_count() == 11 * 8
    assert list(tied.state_dict()) == list(free.state_dict())
    other = made(rng=1)
    other.load_state_dict(tied.state_dict())
    assert other.head.weight is other.stem.weight
    np.testing.assert_array_equal(other(symbols(1, 6)).numpy(), tied(symbols(1, 6)).numpy())


def test_how_many_parameters():
    """GPT-2, small: 124,439,808 in the released weights (the paper says 117 M)."""
    count = lambda layers, e, v, t: v * e + t * e + layers * (12 * e * e + 13 * e) + 2 * e
    assert count(12, 768, 50257, 1024) == 124_439_808
    assert models.gpt(2, 64, symbols=50, context=16, rng=0).parameter_count() == count(2, 64, 50, 16)


def test_weights_start_as_gpt_2s():
    model = models.gpt(8, 64, symbols=50, rng=0)
    block = model.blocks[3]
    for weight, std in (
        (model.stem.weight, 0.02), (model.positions.weight, 0.02), (block.self_attn.in_proj_weight, 0.02),
        (block.linear1.weight, 0.02), (block.linear2.weight, 0.005), (block.self_attn.out_proj.weight, 0.005),
    ):  # fmt: skip
        assert weight.numpy().std() == pytest.approx(std, rel=0.05)
    assert not block.linear1.bias.numpy().any()


def test_the_same_seed_gives_the_same_net_and_settings_make_it_again():
    a, b, c = made(3, positions="rotary"), made(3, positions="rotary"), made(4, positions="rotary")
    for (name, p), q, r in zip(a.named_parameters(), b.parameters(), c.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)
        assert p.numpy().std() == 0 or (p.numpy() != r.numpy()).any()
    again = models.gpt(**a.settings)
    again.load_state_dict(a.state_dict())
    np.testing.assert_array_equal(again(symbols(1, 6)).numpy(), a(symbols(1, 6)).numpy())
    assert set(a.settings) == set(inspect.signature(models.gpt).parameters) - {"rng"}


@pytest.mark.slow
def test_samples_follow_the_models_shares():
    model = made().to("float64")
    model.head.weight.data = model.head.weight.numpy() * 60
    start = [1, 2, 3]
    logits = model(np.array([start]))[0, -1].numpy()
    shares = np.exp(logits / 2 - np.max(logits / 2))
    shares /= shares.sum()
    drawn = [model.sample(start, 1, 2.0, rng=seed)[0] for seed in range(600)]
    found = np.bincount(drawn, minlength=11) / 600
    assert abs(found - shares).max() < 4 * np.sqrt(0.25 / 600)
    assert model.sample(start, 1, 0)[0] == logits.argmax()


def test_samples_are_longer_than_the_context_and_repeatable():
    model = nn.Module.train(made(dropout=0.5))
    one, other = model.sample([1], 20, rng=5), model.sample([1], 20, rng=5)
    assert one.shape == (20,)
    np.testing.assert_array_equal(one, other)  # no dropout
    assert model.training
    assert model.blocks[0].dropout.training
    assert model.sample([1], 0).shape == (0,)
    with pytest.raises(ValueError, match=r"needs at least one symbol to go on from, .* got 0 symbols"):
        model.sample([], 3)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: made()(symbols(2, 7)), r"needs symbols of shape \(N, T\) with T at most 6, .* got \(2, 7\)"),
        (lambda: made()(symbols(6)), r"got \(6,\)"),
        (lambda: models.gpt(2, 8, 3), "the heads share the width evenly, got width=8 and heads=3"),
        (lambda: models.gpt(2, 8, 0), "got width=8 and heads=0"),
        (lambda: models.gpt(0), "layers must be at least 1, got 0"),
        (lambda: made(norm="sandwich"), "norm must be one of pre, post, peri, lns, deep, got 'sandwich'"),
        (lambda: made(norm_layer="batch"), "norm_layer must be one of layer, rms, got 'batch'"),
        (lambda: made(positions="sine"), "positions must be one of learned, rotary, got 'sine'"),
        (lambda: made(streams=2, norm="deep"), "streams must be at least 1, and 1 with norm='deep'"),
        (lambda: models.gpt(2, 6, 2, positions="rotary"), "Rotary: dim must be even"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call, match):
    with pytest.raises(ValueError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_symbols_that_do_not_exist():
    with pytest.raises(IndexError, match=r"Embedding\(11, 8\) at 'stem': indices must be in 0 to 10, got 11"):
        made()(np.array([[1, 11]]))


def test_instruments_work_on_it():
    """flow.paths, spectra and lesions, without a change."""
    model = made().to("float64")
    loss = cross_entropy(model(symbols(2, 6)).reshape(-1, 11), symbols(12, seed=1))
    found = flow.paths(loss, model.blocks[0].norm1.weight)
    assert found["projection"].sum() == pytest.approx(1, abs=1e-10)
    whole = flow.block_and_input(model, "blocks.1", symbols(1, 3))
    assert flow.jacobian_spectrum(*whole)["singular_values"].shape == (24,)
    branch, x = flow.block_and_input(model, "blocks.1.mlp", symbols(1, 3))
    values = flow.jacobian_spectrum(branch, x)["singular_values"]
    np.testing.assert_allclose(np.linalg.svd(tr.jacobian(branch, x).numpy().reshape(24, 24))[1], values, rtol=1e-8)
    lines = data.Dataset(symbols(9, 6), symbols(9, 6, seed=1), classes=11)
    lesions = flow.lesion(model, lines)
    assert lesions.labels["block"] == [f"blocks.{i}.{b}" for i in range(2) for b in ("attention", "mlp")]
    with flow.dropped(model, ["blocks.0.attention"]):
        dropped = cross_entropy(model(lines.inputs).reshape(-1, 11), lines.targets.ravel()).item()
    assert lesions["drop_loss"][0] == pytest.approx(dropped, rel=1e-10)
    assert lesions["drop_loss"][0] != lesions["base_loss"]
