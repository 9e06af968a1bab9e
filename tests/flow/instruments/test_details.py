"""`flow.record(model, details=False)`: the same norms, without histograms and updates."""

import numpy as np

import tinyres as tr
from tinyres import flow, models, optim
from tinyres.ops import cross_entropy


def recorded(**options):
    model = models.mlp(5, 8, in_channels=1, residual=False, rng=0)
    recording, optimizer = flow.record(model, **options), optim.SGD(model.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, y = tr.tensor(rng.standard_normal((4, 1, 8, 8)).astype("f4")), np.arange(4)
        with recording:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return recording.history()


def test_without_details_every_norm_is_the_same():
    whole, lean = recorded(), recorded(details=False)
    for name in ("forward_norm", "forward_mean", "forward_variance", "backward_norm", "dead_fraction", "skip_share"):
        np.testing.assert_array_equal(lean[name], whole[name])
    assert np.isnan(lean["activation_histogram"]).all()
    assert np.isnan(lean["gradient_histogram"]).all()
    assert lean["weight_norm"].shape == (3, 0)
    assert np.isfinite(whole["gradient_histogram"]).all()
    assert whole["weight_norm"].shape == (3, 10)
