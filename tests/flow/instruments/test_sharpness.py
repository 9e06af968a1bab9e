"""Sharpness against the full Hessian of a small net, quadratics by hand, and everything that has no curvature."""

import json

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn
from tinyres.ops.losses import cross_entropy


def small(seed=0):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 3, rng=rng)).to("float64")
    x, labels = tr.tensor(rng.standard_normal((7, 3))), tr.tensor(rng.integers(0, 3, 7))
    return model, lambda: cross_entropy(model(x), labels)


def full_hessian(model, loss):
    """Column by column, from differences of gradients: nothing of the instrument, and no second backward pass."""
    leaves = list(model.parameters())
    columns = []
    for leaf in leaves:
        for place in np.ndindex(leaf.shape):
            ends = []
            centre = leaf.data
            for sign in (1, -1):
                moved = centre.copy()
                moved[place] += sign * 1e-5
                leaf.data = moved
                ends.append(np.concatenate([g.numpy().ravel() for g in tr.grad(loss(), leaves)]))
            leaf.data = centre
            columns.append((ends[0] - ends[1]) / 2e-5)
    return np.array(columns)


@pytest.mark.parametrize("seed", range(3))
def test_against_the_full_hessian(seed):
    model, loss = small(seed)
    values = np.linalg.eigvalsh(full_hessian(model, loss))[::-1]
    found = flow.sharpness(loss, model.parameters(), k=4, tolerance=1e-9, rng=seed)
    np.testing.assert_allclose(found["eigenvalues"], values[:4], atol=1e-8)
    assert found["sharpness"] == found["eigenvalues"][0]
    assert found["smallest"] == pytest.approx(values[-1], abs=1e-3)
    assert found["loss"] == pytest.approx(loss().item())
    assert all(p.grad is None for p in model.parameters())


def quadratic(values, dtype="float64"):
    """Half w A w with these eigenvalues."""
    q, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((len(values), len(values))))
    a = tr.tensor((q * np.asarray(values)) @ q.T).astype(dtype)
    w = tr.tensor(np.random.default_rng(2).standard_normal(len(values)).astype(dtype), requires_grad=True)
    return (lambda: 0.5 * (w @ a @ w)), w


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_every_true_eigenvalue_is_within_the_error(dtype, tolerance):
    values = np.r_[-8.0, np.linspace(-1, 3, 40), 5.0, 5.5]
    loss, w = quadratic(values, dtype)
    for iterations in (5, 12, 43):
        found = flow.sharpness(loss, [w], k=3, iterations=iterations, tolerance=0)
        for value, error in zip(found["eigenvalues"], found["error"], strict=True):
            assert np.abs(values - value).min() <= error + tolerance
    np.testing.assert_allclose(found["eigenvalues"], [5.5, 5.0, 3.0], rtol=1e-4)
    assert found["smallest"] == pytest.approx(-8, rel=1e-4)


def test_it_stops_as_soon_as_the_tolerance_is_met():
    loss, w = quadratic(np.r_[np.linspace(0, 1, 60), 10.0])
    rough, fine = (flow.sharpness(loss, [w], tolerance=t) for t in (1e-2, 1e-10))
    assert 2 < rough["iterations"] < fine["iterations"] < 30
    assert f"{1 + 2 * int(rough['iterations'])} backward passes" in rough.cost


def test_equal_eigenvalues_are_all_found():
    """Lanczos sees each of them once; with nothing left to reach, it goes on at a right angle."""
    loss, w = quadratic([2.0, 2.0, 2.0, 1.0])
    np.testing.assert_allclose(flow.sharpness(loss, [w], k=4)["eigenvalues"], [2, 2, 2, 1], atol=1e-9)
    loss, w = quadratic([-3.0])
    assert flow.sharpness(loss, [w])["sharpness"] == pytest.approx(-3)


def test_several_parameters_of_which_one_is_linear_and_one_unused():
    a, b, c = (tr.tensor(np.ones(2), requires_grad=True) for _ in range(3))
    found = flow.sharpness(lambda: (a * a).sum() * 3 + b.sum(), [a, b, c], k=6)
    np.testing.assert_allclose(found["eigenvalues"], [6, 6, 0, 0, 0, 0], atol=1e-9)
    flat = flow.sharpness(lambda: b.sum(), [b])
    assert flat["sharpness"] == 0


def test_batch_norms_statistics_are_left_alone():
    norm = nn.BatchNorm1d(3).to("float64")
    x = tr.tensor(np.random.default_rng(0).standard_normal((5, 3)))
    before = norm.running_mean.numpy().copy()
    flow.sharpness(lambda: (norm(x) ** 3).mean(), norm.parameters())
    np.testing.assert_array_equal(norm.running_mean.numpy(), before)


def test_what_cannot_be_measured_is_said():
    loss, w = quadratic([1.0, 2.0])
    for wrong, words in (
        (lambda: flow.sharpness(loss, []), "parameters is empty"),
        (lambda: flow.sharpness(loss, [w], k=0), "needs k >= 1"),
        (lambda: flow.sharpness(loss, [w], k=3), "there are 2 parameters, so at most 2 eigenvalues; got k=3"),
        (lambda: flow.sharpness(lambda: w * 2, [w]), r"one element, got shape \(2,\)"),
        (lambda: flow.sharpness(lambda: tr.tensor(1.0), [w]), "does not depend on the parameters"),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()
    with pytest.raises(FloatingPointError, match="the loss is inf"):
        flow.sharpness(lambda: loss() * np.inf, [w])


def test_it_is_a_measurement(tmp_path):
    loss, w = quadratic([1.0, 2.0, 5.0])
    found = flow.sharpness(loss, [w], k=2)
    assert json.loads(json.dumps(found.to_json()))["arrays"]["sharpness"] == pytest.approx(5)
    found.plot().savefig(tmp_path / "s.png")


def test_a_model_stands_for_its_parameters():
    model, x = nn.Linear(3, 1, rng=0), tr.randn(8, 3, generator=0)
    by_model, by_list = (flow.sharpness(lambda: (model(x) ** 2).mean(), w) for w in (model, model.parameters()))
    assert by_model["sharpness"] == by_list["sharpness"] > 0
