"""Spectral normalisation: sigma against NumPy's singular values, its gradient, the bound, what it leaves alone."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.dcgan import dcgan_

LAYERS = {
    "linear": (lambda: nn.Linear(6, 5, rng=0), (3, 6), lambda w: w),
    "conv": (lambda: nn.Conv2d(3, 5, 3, padding=1, rng=0), (2, 3, 6, 6), lambda w: w.reshape(5, -1)),
    "conv transpose": (
        lambda: nn.ConvTranspose2d(3, 5, 4, stride=2, padding=1, rng=0), (2, 3, 4, 4),
        lambda w: w.transpose(1, 0, 2, 3).reshape(5, -1),
    ),
}  # fmt: skip


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture(params=LAYERS)
def case(request):
    make, shape, matrix = LAYERS[request.param]
    return make().to("float64"), draws(*shape), matrix


def test_sigma_is_the_largest_singular_value(case):
    layer, _, matrix = case
    top = np.linalg.svd(matrix(layer.weight.numpy()), compute_uv=False)[0]
    nn.spectral_norm(layer, rng=1).iterate(200)
    assert float(layer.sigma()) == pytest.approx(top, rel=1e-6)
    assert np.linalg.svd(matrix(layer.weight.numpy()), compute_uv=False)[0] == pytest.approx(1, rel=1e-6)


def test_it_converges_over_forward_passes_in_training_and_stands_still_in_evaluation(case):
    layer, x, matrix = case
    nn.spectral_norm(layer, rng=1)
    rng = np.random.default_rng(2)
    layer.weight_orig.data = rng.standard_normal(layer.weight_orig.shape)  # as after a step: u and v are now stale
    u = layer.weight_u.numpy()
    first, again = (layer.eval()(tr.tensor(x)).numpy() for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(layer.weight_u.numpy(), u)
    layer.train()
    for _ in range(300):
        layer(tr.tensor(x))
    top = np.linalg.svd(matrix(layer.weight_orig.numpy()), compute_uv=False)[0]
    assert float(layer.sigma()) == pytest.approx(top, rel=1e-6)


def test_a_forward_pass_that_is_taken_again_does_not_iterate(case):
    """Under `tr.checkpoint` the backward pass computes the forward pass again: with the u and v that it had."""
    layer, x, _ = case
    twin = copy.deepcopy(nn.spectral_norm(layer, rng=0))
    (expected,) = tr.grad(tr.sum(layer(tr.tensor(x)) ** 2), layer.weight_orig)
    u = twin.weight_u.numpy().copy()
    y = tr.checkpoint(twin, tr.tensor(x))
    moved = twin.weight_u.numpy().copy()
    assert not np.array_equal(u, moved)
    (found,) = tr.grad(tr.sum(y**2), twin.weight_orig)
    np.testing.assert_array_equal(twin.weight_u.numpy(), moved)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)


def test_more_iterations_a_pass():
    one, three = (nn.spectral_norm(nn.Linear(6, 5, rng=0), n, rng=1) for n in (1, 3))
    x = tr.tensor(draws(2, 6).astype("f"))
    for _ in range(3):
        one(x)
    three(x)
    np.testing.assert_array_equal(one.weight_u.numpy(), three.weight_u.numpy())


def test_the_gradient_passes_through_sigma(case):
    layer, x, matrix = case
    nn.spectral_norm(layer, rng=1).iterate(300)
    layer.eval()
    cotangent = draws(*layer(tr.tensor(x)).shape, seed=3)
    (got,) = tr.grad(layer(tr.tensor(x)), [layer.weight_orig], cotangent)
    plain = copy.deepcopy(layer)
    w, direction, step = layer.weight_orig.numpy(), draws(*layer.weight_orig.shape, seed=4), 1e-6

    def value(weight):  # with the sigma of NumPy's decomposition, which moves with the weight
        plain.weight_orig.data = weight
        stale = float(plain.sigma()) / np.linalg.svd(matrix(weight), compute_uv=False)[0]
        y = plain(tr.tensor(x)).numpy()
        bias = np.reshape(plain.bias.numpy(), (-1,) + (1,) * (y.ndim - 2))
        return ((y - bias) * stale * cotangent).sum()

    want = (value(w + step * direction) - value(w - step * direction)) / (2 * step)
    assert (got.numpy() * direction).sum() == pytest.approx(want, rel=1e-7)


def test_a_discriminator_under_it_is_lipschitz():
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(4, 32, rng=rng), nn.LeakyReLU(0.2), nn.Linear(32, 32, rng=rng), nn.ReLU(),
                        nn.Linear(32, 1, rng=rng)).to("float64")  # fmt: skip
    for p in net.parameters():
        p.data = 5 * p.data
    a, b = tr.tensor(draws(500, 4, seed=1)), tr.tensor(draws(500, 4, seed=2))
    distance = np.linalg.norm(a.numpy() - b.numpy(), axis=1)
    before = abs(net(a).numpy() - net(b).numpy())[:, 0] / distance
    nn.spectral_norm(net, rng=3)
    for layer in (net[0], net[2], net[4]):
        layer.iterate(300)
    after = abs(net.eval()(a).numpy() - net(b).numpy())[:, 0] / distance
    assert before.max() > 1
    assert 0.01 < after.max() <= 1 + 1e-9


def test_a_convolution_stretches_at_most_the_root_of_its_window_more():
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False, rng=0).to("float64")
    nn.spectral_norm(layer, rng=1).iterate(300)
    basis = tr.tensor(np.eye(2 * 5 * 5).reshape(-1, 2, 5, 5))
    top = np.linalg.svd(layer.eval()(basis).numpy().reshape(50, -1), compute_uv=False)[0]
    assert 1 < top <= 3  # sqrt(3 * 3); one would not do


def test_it_stays_the_same_object_under_pytorchs_keys_and_copies():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(3, 1, rng=1))
    conv, weight = net[0], net[0].weight
    assert nn.spectral_norm(net, rng=2) is net
    assert net[0] is conv
    assert conv.weight_orig is weight
    assert isinstance(conv, nn.Conv2d)
    assert "spectral_norm" in repr(conv)
    keys = ["bias", "weight_orig", "weight_u", "weight_v"]
    assert list(net.state_dict()) == [f"{layer}.{key}" for layer in (0, 3) for key in keys]
    assert [name for name, _ in net.named_parameters()] == [f"{n}.{k}" for n in (0, 3) for k in keys[:2]]
    other = copy.deepcopy(net)
    x = tr.tensor(draws(1, 2, 3, 3).astype("f"))
    net(x)
    assert not np.array_equal(net[0].weight_u.numpy(), other[0].weight_u.numpy())
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(net.eval()(x).numpy(), other.eval()(x).numpy())


def test_float32_throughout():
    layer = nn.spectral_norm(nn.Conv2d(2, 3, 3, rng=0), rng=1)
    x = tr.tensor(draws(1, 2, 3, 3).astype("f"))
    assert layer(x).dtype == np.float32
    assert {v.dtype for v in layer.state_dict().values()} == {np.dtype("f")}
    assert layer.to("float64")(tr.tensor(draws(1, 2, 3, 3))).dtype == np.float64


def test_the_weight_is_no_leaf_any_more():
    layer = nn.spectral_norm(nn.Linear(3, 2, rng=0), rng=1)
    with pytest.raises(RuntimeError, match="leaf"):
        dcgan_(layer)
    with pytest.raises(ValueError, match="holds, no Linear"):
        nn.spectral_norm(layer)


def test_what_cannot_be_normalised_is_an_error():
    with pytest.raises(ValueError, match="ReLU is, and holds, no Linear"):
        nn.spectral_norm(nn.ReLU())
    zero = nn.Sequential(nn.Linear(3, 2, rng=0))
    nn.init.zeros_(zero[0].weight)
    with pytest.raises(ValueError, match="weight of 0 is 0 and has no largest direction"):
        nn.spectral_norm(zero)
    assert type(zero[0]) is nn.Linear
    with pytest.raises(ValueError, match="at least 1, got 0"):
        nn.spectral_norm(nn.Linear(3, 2, rng=0), 0)


# -- checkpoints ------------------------------------------------------------------------------------------------------
def critic():
    rng = np.random.default_rng(0)
    layers = (nn.Linear(3, 5, rng=rng), nn.LeakyReLU(0.2), nn.Linear(5, 1, rng=rng))
    return nn.spectral_norm(nn.Sequential(*layers), rng=0).to("float64")


def step_of(d, run):
    """D's loss on data and fakes: two passes, so two pairs u, v; gradients and u, v afterwards."""
    real, fake = (tr.tensor(np.random.default_rng(seed).standard_normal((4, 3))) for seed in (1, 2))
    loss = tr.softplus(-run(d, real)).mean() + tr.softplus(run(d, fake)).mean()
    d(fake)  # a pass that comes before backward changes u and v once more
    gradients = tr.grad(loss, list(d.parameters()))
    return [x.numpy() for x in (*gradients, *d.buffers())]


@pytest.mark.parametrize("run", [
    lambda d, x: tr.checkpoint(d, x),
    lambda d, x: tr.checkpoint(lambda y: tr.checkpoint(d, y), x),
    lambda d, x: d[2](d[1](tr.checkpoint(d[0], x))),
], ids=["whole", "nested", "one layer"])  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_a_checkpoint_replays_with_its_own_u_and_v(run, training):
    plain, again = critic(), critic()
    for d in (plain, again):
        d.train(training)
        for layer in (d[0], d[2]):  # far from converged: another step of power iteration makes a difference
            layer._rebind(np.full_like(layer.weight_u.data, layer.weight_u.size**-0.5), layer.weight_v.data)
    for _ in range(2):
        expected, found = step_of(plain, lambda d, x: d(x)), step_of(again, run)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)


def test_a_layer_that_runs_twice_in_a_checkpoint_has_two_pairs():
    layer = nn.spectral_norm(nn.Linear(3, 3, rng=0), rng=0).to("float64")
    layer._rebind(np.array([1.0, 0.0, 0.0]), layer.weight_v.data)
    other = nn.spectral_norm(nn.Linear(3, 3, rng=0), rng=0).to("float64")
    other._rebind(np.array([1.0, 0.0, 0.0]), other.weight_v.data)
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3)))
    twice = lambda net: lambda y: net(tr.tanh(net(y)))
    plain = tr.grad(twice(layer)(x).sum(), list(layer.parameters()))
    found = tr.grad(tr.checkpoint(twice(other), x).sum(), list(other.parameters()))
    for a, b in zip(plain, found, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12)
