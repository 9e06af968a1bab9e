"""The tangent kernel's trace against a Jacobian written out, and the estimator against the exact one."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn


def model_and_batch(classes=3):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 5, rng=rng), nn.ReLU(), nn.Linear(5, classes, rng=rng)).to("float64")
    return model, rng.standard_normal((6, 4))


def test_against_the_jacobian_by_differences():
    model, x = model_and_batch()
    wanted = []
    for p in model.parameters():
        centre, total = p.data, 0.0
        for place in np.ndindex(p.shape):
            ends = []
            for sign in (1, -1):
                moved = centre.copy()
                moved[place] += sign * 1e-6
                p.data = moved
                ends.append(model(tr.tensor(x)).numpy())
            total += (((ends[0] - ends[1]) / 2e-6) ** 2).sum()
        p.data = centre
        wanted.append(total)
    found = flow.tangent_kernel_trace(model, x)
    np.testing.assert_allclose(found["by_parameter"], wanted, rtol=1e-7)
    assert found["trace"] == pytest.approx(sum(wanted))
    assert found["per_output"] == pytest.approx(sum(wanted) / 18)
    assert (found["error"], found.cost) == (0, "one forward and 18 backward passes")
    assert found.labels["parameter"] == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize(("classes", "passes"), [(10, 60), (11, 16)])
def test_small_outputs_are_exact_and_large_ones_estimated(classes, passes):
    model, x = model_and_batch(classes)  # 6 samples: 60 outputs, or 66
    assert f"and {passes} backward" in flow.tangent_kernel_trace(model, x).cost


def test_the_estimator_is_unbiased_and_knows_its_error():
    model, x = model_and_batch()
    exact = float(flow.tangent_kernel_trace(model, x, method="exact")["trace"])
    found = flow.tangent_kernel_trace(model, x, method="randomised", samples=2000, rng=3)
    assert 0 < found["error"] < 0.05 * exact
    assert abs(found["trace"] - exact) < 3 * found["error"]
    assert found["by_parameter"].sum() == pytest.approx(found["trace"])


def test_frozen_parameters_do_not_count_and_the_model_is_left_alone():
    model, x = model_and_batch()
    before = flow.tangent_kernel_trace(model, x)
    model[0].requires_grad_(False)
    found = flow.tangent_kernel_trace(model, x)
    np.testing.assert_allclose(found["by_parameter"], before["by_parameter"][2:])
    assert all(p.grad is None for p in model.parameters())


def test_what_cannot_be_measured_is_said(tmp_path):
    model, x = model_and_batch()
    with pytest.raises(ValueError, match="must be 'auto', 'exact' or 'randomised', got 'both'"):
        flow.tangent_kernel_trace(model, x, method="both")
    with pytest.raises(ValueError, match="samples must be at least 2"):
        flow.tangent_kernel_trace(model, x, samples=1)
    with pytest.raises(ValueError, match="no parameter of the model"):
        flow.tangent_kernel_trace(nn.ReLU(), x)
    flow.tangent_kernel_trace(model, x).plot().savefig(tmp_path / "t.png")
