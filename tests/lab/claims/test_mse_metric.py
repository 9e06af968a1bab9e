"""The MSE prefers the mean image to real digits by exactly two; the distance does not."""

import numpy as np

from tinyres.lab.claims import mse_metric
from tinyres.lab.registry import Options


def test_it_notices_an_error_between_pairs_that_belong_together(monkeypatch):
    """Were each generated image compared with the real one that it copies, the perfect generator would win."""
    right = mse_metric.squared_error

    def paired(real, generated):
        same = len(real) == len(generated)
        return float(((real - generated) ** 2).sum(axis=1).mean()) if same else right(real, generated)

    monkeypatch.setattr(mse_metric, "squared_error", paired)
    laws = mse_metric.run(Options(), lambda: None).laws
    assert [law.ok for law in laws[:3]] == [False, True, False]


def test_it_notices_a_distance_that_sees_only_means(monkeypatch):
    def of_means(a, b, **named):
        value = float(np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2))
        return mse_metric.metrics.Metric("distance", value, "pixels", (len(a), len(b)))

    monkeypatch.setattr(mse_metric.metrics, "frechet_distance", of_means)
    failed = [law.name for law in mse_metric.run(Options(), lambda: None).laws if not law.ok]
    assert len(failed) == 2
    assert all("Fréchet" in name for name in failed)
