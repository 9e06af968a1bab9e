"""Gradient correlation against gradients that are asked for sample by sample."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.flow.instruments.correlation import gradient_correlation


def cosines(rows):
    rows = np.array([r.ravel() for r in rows])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def test_against_a_loop_over_the_samples():
    model = models.resnet(8, width=4, in_channels=1, rng=0).to("float64").eval()
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal((5, 1, 8, 8)), rng.standard_normal(10)
    rows = [tr.vjp(model, tr.tensor(x[i : i + 1]), u[None])[1].numpy() for i in range(5)]
    found = gradient_correlation(model, x, u)
    np.testing.assert_allclose(found["correlation"], cosines(rows), rtol=1e-9, atol=1e-12)
    pairs = [cosines(rows)[i, j] for i in range(5) for j in range(i)]
    assert found["mean_correlation"] == pytest.approx(np.mean(pairs))
    gram = np.array([[(a * b).sum() for a in rows] for b in rows])
    pooled = np.mean([gram[i, j] for i in range(5) for j in range(i)]) / np.mean(np.diag(gram))
    assert found["pooled_correlation"] == pytest.approx(pooled)
    np.testing.assert_allclose(found["gradient_norm"], np.sqrt(np.diag(gram)))


def test_batch_norm_in_training_mode_couples_the_samples_and_is_left_as_it_was():
    norm = nn.BatchNorm1d(4).to("float64")
    model = nn.Sequential(nn.Linear(3, 4, rng=0), norm).to("float64")
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((6, 3))
    found = gradient_correlation(
        nn.Sequential(norm), x @ np.ones((3, 4)) + np.random.default_rng(1).standard_normal((6, 4))
    )
    assert (found["gradient_norm"] < 1e-12).all()  # equal cotangents: batch norm takes their mean away
    gradient_correlation(model, x)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert all(p.grad is None for p in model.parameters())


def test_a_linear_map_has_the_same_gradient_everywhere_and_a_relu_halves_its_likeness():
    linear = nn.Linear(20, 30, rng=0).to("float64")
    x = np.random.default_rng(0).standard_normal((40, 20))
    assert gradient_correlation(linear, x)["mean_correlation"] == pytest.approx(1)
    relu = gradient_correlation(nn.ReLU(), x, np.ones(20))
    assert relu["pooled_correlation"] == pytest.approx(0.5, abs=0.05)


def test_the_seed_decides_the_cotangent():
    model = models.plain(8, width=4, in_channels=1, rng=0).eval()
    x = np.random.default_rng(0).standard_normal((3, 1, 8, 8)).astype("f")
    first, same, other = (gradient_correlation(model, x, rng=seed)["correlation"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert abs(first - other).max() > 1e-3


def test_what_it_cannot_do_it_says():
    model = nn.Linear(3, 2, rng=0)
    x = np.ones((4, 3), "f")
    with pytest.raises(ValueError, match="needs at least two samples along axis 0, got shape \\(1, 3\\)"):
        gradient_correlation(model, x[:1])
    with pytest.raises(ValueError, match=r"grad_output has shape \(3,\), one sample's output \(2,\)"):
        gradient_correlation(model, x, np.ones(3))
    with pytest.raises(ValueError, match="axis 0 must count the samples"):
        gradient_correlation(lambda z: model(z).sum(), x)
    model.weight.data = np.full((2, 3), np.nan, "f")
    assert np.isnan(gradient_correlation(model, x)["correlation"]).all()


def test_the_picture_is_drawn_and_json_comes_back():
    found = gradient_correlation(nn.Sequential(nn.Linear(3, 8, rng=0), nn.ReLU()), np.eye(4, 3, dtype="f") + 1)
    assert [axes.get_title() for axes in found.plot().axes][:2] == [
        "cosine of input gradients",
        "all pairs of 4 samples",
    ]
    document = json.loads(json.dumps(found.to_json()))
    np.testing.assert_array_equal(document["arrays"]["correlation"], found["correlation"])
