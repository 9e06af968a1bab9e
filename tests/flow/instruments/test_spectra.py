"""Jacobian spectra against explicit Jacobians, from autograd and from finite differences."""

import json
from itertools import pairwise

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.context import Observer
from tinyres.flow.instruments.spectra import block_and_input, jacobian_spectrum


def by_differences(function, x, step=1e-6):
    columns = []
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = step
        e = e.reshape(x.shape)
        up, down = (function(tr.tensor(x + s * e)).numpy().ravel() for s in (1, -1))
        columns.append((up - down) / (2 * step))
    return np.array(columns).T


def net(seed=0, widths=(6, 9, 4)):
    layers = []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers += [nn.Linear(a, b, rng=seed + i), nn.Tanh()]
    return nn.Sequential(*layers).to("float64")


@pytest.mark.parametrize("widths", [(6, 9, 4), (4, 9, 7)])
def test_exact_rows_and_columns_against_finite_differences(widths):
    model, x = net(0, widths), np.random.default_rng(0).standard_normal((1, widths[0]))
    expected = np.linalg.svd(by_differences(model, x), compute_uv=False)
    found = jacobian_spectrum(model, x)
    np.testing.assert_allclose(found["singular_values"], expected, rtol=1e-6)
    assert found["frobenius_square"] == pytest.approx((expected**2).sum(), rel=1e-6)
    assert found["mean_square"] == pytest.approx((expected**2).mean(), rel=1e-6)
    assert not found["error"].any()


def test_a_batch_is_one_long_vector_and_batch_norm_couples_it():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.BatchNorm1d(3), nn.Tanh()).to("float64")
    before = model[1].running_mean.numpy().copy()
    x = np.random.default_rng(0).standard_normal((4, 3))
    found = jacobian_spectrum(model, x)
    expected = np.linalg.svd(tr.jacobian(model, tr.tensor(x)).numpy().reshape(12, 12), compute_uv=False)
    np.testing.assert_array_equal(model[1].running_mean.numpy() == before, False)  # that was `tr.jacobian`
    np.testing.assert_allclose(found["singular_values"], expected, atol=1e-10)
    assert (expected[-3:] < 1e-10).all()  # shifting a feature of all samples changes nothing
    assert (expected[-6:-3] < 1e-3).all()  # and scaling it little: only through batch norm's epsilon
    assert expected[-7] > 1e-2


def test_the_instrument_leaves_running_statistics_alone():
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.BatchNorm1d(3))
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    jacobian_spectrum(model, np.random.default_rng(0).standard_normal((4, 3)).astype("f"))
    block_and_input(model, "1", np.ones((4, 3), "f"))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize("shape", [(60, 80), (80, 60)])
@pytest.mark.parametrize("seed", range(3))
def test_randomised_values_and_their_errors_against_the_explicit_jacobian(shape, seed):
    rng = np.random.default_rng(seed)
    w, bent = tr.tensor(rng.standard_normal((shape[1], shape[0])) / 8), tr.tensor(0.9 ** np.arange(shape[0]))
    x = rng.standard_normal(shape[1])

    def function(z):
        return tr.tanh(tr.matmul(z, w)) * bent

    exact = jacobian_spectrum(function, x, method="exact")
    found = jacobian_spectrum(function, x, method="randomised", k=8, samples=400, rng=seed)
    true, values, error = exact["singular_values"], found["singular_values"], found["error"]
    assert (values <= true[:8] * (1 + 1e-10)).all()
    nearest = abs(values[:, None] - true).min(axis=1)
    assert (nearest <= error + 1e-10).all()
    assert (error[:4] < 0.02 * true[:4]).all()
    np.testing.assert_allclose(values[:4], true[:4], rtol=1e-3)
    assert abs(found["frobenius_square"] - exact["frobenius_square"]) < 4 * found["frobenius_error"]
    assert found["frobenius_error"] < 0.1 * exact["frobenius_square"]


def test_the_error_owns_up_where_there_was_no_power_iteration():
    rng = np.random.default_rng(0)
    w = tr.tensor(rng.standard_normal((120, 120)))
    x = rng.standard_normal(120)
    rough, fine = (
        jacobian_spectrum(lambda z: tr.matmul(z, w), x, method="randomised", k=4, power_iterations=q) for q in (0, 8)
    )
    true = np.linalg.svd(w.numpy(), compute_uv=False)
    assert abs(rough["singular_values"] - true[:4]).min() > 10 * abs(fine["singular_values"] - true[:4]).max()
    assert rough["error"].min() > 3 * fine["error"].max()


def test_with_k_at_the_full_rank_nothing_is_missed():
    model, x = net(), np.random.default_rng(0).standard_normal((1, 6))
    full = jacobian_spectrum(model, x, method="randomised", k=99)
    np.testing.assert_allclose(full["singular_values"], jacobian_spectrum(model, x)["singular_values"], rtol=1e-10)
    assert (full["error"] < 1e-10).all()


def test_auto_is_exact_where_the_smaller_side_is_small():
    function = lambda z: z * 3.0
    assert len(jacobian_spectrum(function, np.ones(512))["singular_values"]) == 512
    large = jacobian_spectrum(function, np.ones(513), k=3, samples=4)
    np.testing.assert_allclose(large["singular_values"], [3, 3, 3])
    assert large["frobenius_square"] == pytest.approx(9 * 513)
    assert "backward passes" in large.cost


@pytest.mark.parametrize("make", [models.plain, models.resnet])
def test_a_block_at_the_input_that_it_receives_inside_the_net(make):
    model = make(8, width=2, in_channels=1, rng=0).to("float64").eval()
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    block, received = block_and_input(model, "blocks.1", x)
    np.testing.assert_allclose(received.numpy(), model.blocks[0](model.stem(tr.tensor(x))).numpy(), rtol=1e-10)
    expected = np.linalg.svd(by_differences(model.blocks[1], received.numpy()), compute_uv=False)
    np.testing.assert_allclose(jacobian_spectrum(block, received)["singular_values"], expected, atol=1e-7)


def test_jacobians_of_blocks_multiply_to_that_of_the_net():
    model = models.plain(8, width=2, in_channels=1, rng=0).to("float64").eval()
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 6))
    product = np.eye(36)
    for name in ("stem", "blocks.0", "blocks.1", "blocks.2", "head"):
        block, received = block_and_input(model, name, x)
        jacobian = tr.jacobian(block, received).numpy()
        product = jacobian.reshape(-1, received.size) @ product
    whole = jacobian_spectrum(model, x)["singular_values"]
    np.testing.assert_allclose(whole, np.linalg.svd(product, compute_uv=False), atol=1e-12 + 1e-9 * whole[0])


def test_inside_a_fused_row_each_module_is_found_and_the_model_is_as_before():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.BatchNorm1d(4), nn.ReLU()).to("float64")
    x = np.random.default_rng(0).standard_normal((5, 3))
    block, received = block_and_input(model, "2", x)
    with Observer():
        expected = model[1](model[0](tr.tensor(x)))
    np.testing.assert_allclose(received.numpy(), expected.numpy(), rtol=1e-12)
    assert block is model[2]
    assert "forward" not in vars(block)


def test_what_it_cannot_do_it_says():
    model = models.resnet(8, width=2, in_channels=1, rng=0)
    x = np.ones((1, 1, 8, 8), "f")
    with pytest.raises(ValueError, match=r"block_and_input: the model has no block 'blocks.9'; it has stem"):
        block_and_input(model, "blocks.9", x)

    class Unused(nn.Module):
        def __init__(self):
            self.idle, self.adding = nn.Linear(2, 2, rng=0), Add()

        def forward(self, z):
            return self.adding(z, z)

    class Add(nn.Module):
        def forward(self, a, b):
            return a + b

    with pytest.raises(ValueError, match="'idle' does not run in model"):
        block_and_input(Unused(), "idle", x)
    with pytest.raises(ValueError, match="'adding' receives 2 arguments in model"):
        block_and_input(Unused(), "adding", x)
    with pytest.raises(ValueError, match="method must be 'auto', 'exact' or 'randomised', got 'fast'"):
        jacobian_spectrum(model, x, method="fast")
    with pytest.raises(ValueError, match="needs k >= 1 and samples >= 2"):
        jacobian_spectrum(model, x, k=0)
    with pytest.raises(ValueError, match=r"the result, of shape \(2,\), does not depend on x"):
        jacobian_spectrum(lambda z: tr.tensor(np.ones(2)), x)
    weights = model.stem[0].weight
    weights.data = weights.numpy() * np.nan
    for method in ("exact", "randomised"):
        assert np.isnan(jacobian_spectrum(model, x, method=method, k=2)["singular_values"]).all()


def test_the_picture_is_drawn_and_json_comes_back():
    x = np.random.default_rng(0).standard_normal((1, 6))
    for method in ("exact", "randomised"):
        found = jacobian_spectrum(net(), x, method=method, k=2)
        assert found.plot().axes[0].get_yscale() == "log"
        document = json.loads(json.dumps(found.to_json()))
        np.testing.assert_array_equal(document["arrays"]["singular_values"], found["singular_values"])


def test_the_error_is_the_distance_to_an_eigenvalue_of_the_symmetric_form():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((40, 40))
    found = jacobian_spectrum(
        lambda z: tr.matmul(z, tr.tensor(w)), np.ones(40), method="randomised", k=3, power_iterations=0
    )
    basis = np.linalg.qr(w.T @ np.random.default_rng(0).standard_normal((13, 40)).T)[0]  # (40, 13)
    u, s, v = np.linalg.svd(basis.T @ w.T, full_matrices=False)
    residual = [np.linalg.norm(w.T @ v[i] - s[i] * basis @ u[:, i]) / np.sqrt(2) for i in range(3)]
    np.testing.assert_allclose(found["singular_values"], s[:3], rtol=1e-10)
    np.testing.assert_allclose(found["error"], residual, rtol=1e-8)


def test_integers_have_no_jacobian():
    with pytest.raises(TypeError, match="jacobian_spectrum: x is of int64, which has no derivative"):
        jacobian_spectrum(lambda x: x, np.arange(3))
