"""The gradient noise scale against per-sample gradients of a model where these are known."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.data import Dataset
from tinyres.flow.instruments.noise import gradient_noise_scale


def problem(samples=64, seed=0):
    """Least squares: the gradient of sample i is (w x_i - y_i) x_i."""
    rng = np.random.default_rng(seed)
    model = nn.Linear(3, 1, bias=False, rng=seed).to("float64")
    x, y = rng.standard_normal((samples, 3)), rng.standard_normal((samples, 1)) + 1
    per_sample = (x @ model.weight.numpy().T - y) * x  # (samples, 3)
    return model, (x, y), per_sample


def loss(y, target):
    return ((y - tr.tensor(target)) ** 2).sum(axis=1).mean() * 0.5


def test_one_batch_of_everything_gives_the_sample_covariance_exactly():
    model, data, gradients = problem()
    found = gradient_noise_scale(model, loss, data, small=1, big=64, batches=1)
    noise = np.trace(np.cov(gradients.T, ddof=1))
    mean = gradients.mean(axis=0)
    signal = mean @ mean - noise / 64  # |mean|^2 holds this much noise
    assert found["noise"] == pytest.approx(noise, rel=1e-10)
    assert found["signal"] == pytest.approx(signal, rel=1e-10)
    assert found["noise_scale"] == pytest.approx(noise / signal, rel=1e-10)
    assert np.isnan(found["noise_error"])


def test_squares_of_batches_are_those_of_the_mean_gradients():
    model, data, gradients = problem()
    found = gradient_noise_scale(model, loss, data, small=4, big=16, batches=6, rng=3)
    rng = np.random.default_rng(3)
    order = np.concatenate([rng.permutation(64), rng.permutation(64)])[: 6 * 16].reshape(6, 4, 4)
    parts = gradients[order].mean(axis=2)  # (batch, part, 3)
    np.testing.assert_allclose(found["small_square"], (parts**2).sum(axis=-1).mean(axis=1))
    np.testing.assert_allclose(found["big_square"], (parts.mean(axis=1) ** 2).sum(axis=-1))


@pytest.mark.parametrize(("small", "big"), [(1, 8), (4, 32)])
def test_without_bias_at_any_two_sizes(small, big):
    model, data, gradients = problem()
    noise = np.trace(np.cov(gradients.T, ddof=1))
    signal = gradients.mean(axis=0) @ gradients.mean(axis=0) - noise / 64
    found = gradient_noise_scale(model, loss, data, small=small, big=big, batches=400)
    assert abs(found["noise"] - noise) < 4 * found["noise_error"]
    assert abs(found["signal"] - signal) < 4 * found["signal_error"]
    assert found["noise_error"] < 0.1 * noise


def test_a_dataset_is_taken_and_the_model_left_alone():
    model, (x, y), _ = problem()
    model = nn.Sequential(nn.BatchNorm1d(3), model).to("float64")
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    as_arrays = gradient_noise_scale(model, loss, (x, y), small=8, big=32)
    as_dataset = gradient_noise_scale(model, loss, Dataset(x, y), small=8, big=32)
    assert as_arrays["noise"] == as_dataset["noise"]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert all(p.grad is None for p in model.parameters())


def test_where_the_mean_gradient_cannot_be_told_from_zero():
    model, (x, _), _ = problem()
    x = np.concatenate([x, x])
    y = x @ model.weight.numpy().T + np.repeat([[1.0], [-1.0]], 64, axis=0)  # gradients in pairs of opposite sign
    found = gradient_noise_scale(model, loss, (x, y), small=1, big=128, batches=1)
    assert found["signal"] < 0
    assert found["noise_scale"] == np.inf
    assert found.to_json()["arrays"]["noise_scale"] is None


def test_what_it_cannot_do_it_says():
    model, data, _ = problem()
    with pytest.raises(ValueError, match="big must be a larger multiple of small"):
        gradient_noise_scale(model, loss, data, small=3, big=32)
    with pytest.raises(
        ValueError, match=r"big=128 needs at least that many samples, .* got 64 inputs and 64 targets; lower big"
    ):
        gradient_noise_scale(model, loss, data)
    with pytest.raises(ValueError, match=r"the loss must be one number, got shape \(8, 1\); take a mean"):
        gradient_noise_scale(model, lambda y, target: y - tr.tensor(target), data, big=32)
    model.weight.data = np.full((1, 3), np.nan)
    assert np.isnan(gradient_noise_scale(model, loss, data, big=32)["noise_scale"])


def test_the_picture_is_drawn_and_json_comes_back():
    model, data, _ = problem()
    found = gradient_noise_scale(model, loss, data, small=8, big=32, batches=3)
    assert found.cost == "12 forward and backward passes of 8 samples"
    assert found.plot().axes[0].get_title().startswith("noise scale: ")
    assert json.loads(json.dumps(found.to_json()))["arrays"]["small_square"] == found["small_square"].tolist()
