"""Dots measured, lines theory."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres.lab.dots import dots_and_line


@pytest.mark.parametrize(
    ("log", "scales"), [("", ("linear", "linear")), ("y", ("linear", "log")), ("xy", ("log", "log"))]
)
def test_one_case_has_one_colour_and_one_entry_in_the_legend(log, scales):
    axes = Figure().subplots()
    dots_and_line(axes, ([1, 2], [3, 4]), ([1, 2, 3], [3, 4, 5]), 1, "case", log=log, marker="s")
    line, dots = axes.lines
    assert [line.get_color(), dots.get_color()] == ["C1", "C1"]
    assert [line.get_linestyle(), dots.get_linestyle()] == ["-", "None"]
    assert [line.get_marker(), dots.get_marker()] == ["None", "s"]
    np.testing.assert_array_equal(line.get_ydata(), [3, 4, 5])
    np.testing.assert_array_equal(dots.get_ydata(), [3, 4])
    assert (axes.get_xscale(), axes.get_yscale()) == scales
    assert axes.get_legend_handles_labels() == ([dots], ["case"])


def test_a_colour_may_have_a_name():
    axes = Figure().subplots()
    dots_and_line(axes, ([1], [3]), ([1], [3]), "0.5")
    assert {drawn.get_color() for drawn in axes.lines} == {"0.5"}
    assert axes.get_legend_handles_labels() == ([], [])
