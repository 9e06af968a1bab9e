"""The residual net against the SVC: both are what they are called, and how well their difference is known is told."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.lab.experiment import Options
from tinyres.lab.trained import svc


def test_the_difference_and_its_interval():
    """By hand: differences of mean 0 and standard deviation 0.02, t at 95 % and four degrees of freedom 2.776."""
    machines = np.array([0.98, 0.99, 1.0, 0.98, 0.99])
    nets = machines + np.array([0.02, -0.02, 0.02, -0.02, 0])
    difference, half, net, machine = svc.laws(nets, machines)
    assert (difference.measured, net.measured, machine.measured) == pytest.approx((0, 0.988, 0.988))
    assert half.measured == pytest.approx(2.776 * 0.02 / np.sqrt(5), rel=1e-3)
    assert {law.kind for law in svc.laws(nets, machines)} == {"figure"}
    assert "a difference of +0.00 ± 2.48 points" in svc.found(nets, machines).replace("-0.00", "+0.00")


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_machine_sees_pixels_up_to_sixteen():
    """At the pixels' scale of 0 to 1 the same gamma would do much worse."""
    split = data.digits(seed=5)
    faint = data.Split(*(data.Dataset(part.inputs / 16, part.targets) for part in split))
    assert svc.machine(split) > 0.97 > svc.machine(faint)
