"""No tick between whole numbers on an axis that counts; the others as they are."""

import numpy as np
import pytest

from tinyres.figures import blank, pair, whole_ticks
from tinyres.flow import Measurement
from tinyres.gan import pictures
from tinyres.gan.compare import Entrant, Entry, draw


def ticks(axis):
    low, high = sorted(axis.get_view_interval())
    return [tick for tick in axis.get_majorticklocs() if low <= tick <= high]


def halves(axis):
    return any(tick != round(tick) for tick in ticks(axis))


def panel(x, y, kind="plot", **how):
    axes = blank().subplots()
    getattr(axes, kind)(x, y, **how)
    return axes


@pytest.mark.parametrize("kind", ["plot", "scatter"])
@pytest.mark.parametrize("x", [[0, 1], [1, 2, 3], [5], [0, 10, 20], [0.0, 1.0, np.nan]])
def test_an_axis_along_which_all_lies_at_whole_numbers_has_whole_ticks(kind, x):
    axes = panel(x, np.linspace(0.1, 0.7, len(x)), kind)
    axes.axvline(0.5)
    axes.axhline(0.25)
    whole_ticks(axes.figure)
    assert ticks(axes.xaxis)
    assert not halves(axes.xaxis)
    assert len(x) == 1 or halves(axes.yaxis), "a share has its tenths"


def test_other_axes_stay_as_they_are():
    axes = panel([0, 0.5, 1], [0, 1, 1])
    whole_ticks(axes.figure)
    assert halves(axes.xaxis)
    assert halves(axes.yaxis), "an accuracy may be 0 and 1 alone"
    axes = panel([1, 2, 3], [1, 10, 100], "loglog")
    before = list(axes.get_xticks())
    whole_ticks(axes.figure)
    assert list(axes.get_xticks()) == before
    axes = panel([1, 2], [1, 2])
    axes.set_xticks([1, 1.5])
    whole_ticks(axes.figure)
    assert list(axes.get_xticks()) == [1, 1.5], "ticks that were set"


def test_counts_upwards_and_pixels_around_whole_numbers():
    axes = panel([0.1, 0.2], [1, 3])
    whole_ticks(axes.figure)
    assert not halves(axes.yaxis)
    axes = blank().subplots()
    axes.imshow(np.zeros((2, 2)))
    assert halves(axes.xaxis)
    whole_ticks(axes.figure)
    assert not halves(axes.xaxis)
    axes.imshow(np.zeros((2, 2)), extent=(0, 1, 0, 1))
    fresh = blank().subplots()
    fresh.imshow(np.zeros((2, 2)), extent=(0, 0.9, 0, 0.9))
    whole_ticks(fresh.figure)
    assert halves(fresh.xaxis)


def test_every_picture_that_is_saved_goes_through_it(tmp_path):
    axes = panel([1, 2], [0.1, 0.2])
    pair(axes.figure)
    assert not halves(axes.xaxis)
    kept = []
    pictures.write(tmp_path / "p.png", lambda figure: kept.append(figure.subplots()) or kept[0].plot([1, 2], [0, 0.1]))
    assert not halves(kept[0].xaxis)


def test_modes_are_counted_in_whole_numbers_though_their_mean_is_none(tmp_path):
    entries = [Entry(Entrant.of("wgan"), {0: {"modes": 7.0}, 1: {"modes": 8.0}}, {})]
    figure = blank()
    draw(figure, entries, ("modes", "reverse_kl")[:1], "methods")
    assert not halves(figure.axes[0].xaxis)
    shares = [Entry(Entrant.of("wgan"), {0: {"precision": 0.2}, 1: {"precision": 0.8}}, {})]
    figure = blank()
    draw(figure, shares, ("precision",), "methods")
    assert halves(figure.axes[0].xaxis)


def test_the_plot_of_every_instrument_goes_through_it():
    def shares(figure, found):
        figure.subplots().plot([1, 2], found["share"])

    found = Measurement("shares", {"share": np.array([0.1, 0.2])}, {"share": ("block",)}, "nothing", shares)
    assert not halves(found.plot().axes[0].xaxis)
