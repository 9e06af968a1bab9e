"""The residual net against the SVC: both are what they are called, and the verdict can go either way."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.flow.experiments.experiment import Options
from tinyres.flow.experiments.trained import svc


def demanded(nets, machines):
    return [law.ok for law in svc.laws(np.array(nets), np.array(machines)) if law.kind == "ordering"]


def test_each_verdict_can_fail():
    machines = np.array([0.98, 0.99, 1.0, 0.98, 0.99])  # mean 0.988, standard error 0.0037
    assert svc.standard_error(machines) == pytest.approx(0.00374, rel=1e-2)
    assert demanded(machines, machines) == [True]
    assert demanded(machines - 0.003, machines) == [True]  # behind by less than the standard error, on every split
    assert demanded(machines - 0.005, machines) == [False]
    scattered = machines + np.array([0.02, -0.02, 0.02, -0.02, 0])
    assert demanded(scattered, machines) == [False]  # as good on average, but nobody knows


def test_two_epochs_already_know_most_digits(monkeypatch):
    monkeypatch.setattr(svc, "EPOCHS", 2)
    monkeypatch.setattr(svc, "SEEDS", 2)
    ticks = []
    result = svc.EXPERIMENT.run(Options(), lambda: ticks.append(1))
    assert len(ticks) == svc.EXPERIMENT.ticks(Options())
    assert min(result.data["residual_net"]) > 0.8
    assert min(result.data["svc"]) > 0.98
    assert len(result.tables[0].rows) == 4
    figure = Figure(figsize=(11, 5))
    result.figures[""](figure)
    assert len(figure.axes) == 2


def test_the_machine_sees_pixels_up_to_sixteen():
    """At the pixels' scale of 0 to 1 the same gamma would do much worse."""
    split = data.digits(seed=5)
    faint = data.Split(*(data.Dataset(part.inputs / 16, part.targets) for part in split))
    assert svc.machine(split) > 0.97 > svc.machine(faint)
