"""The same drawing for a narrow screen."""

import numpy as np
import pytest

from tests.lab.holds import assert_legible
from tinyres.figures import blank, fold, folded, is_narrow, narrow


def places(figure):
    """Of each panel, its row and column."""
    specs = [axes.get_subplotspec() for axes in figure.axes]
    return [(spec.rowspan.start, spec.colspan.start) for spec in specs]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((1, 3), [(0, 0), (1, 0), (2, 0)]),
        ((2, 2), [(0, 0), (1, 0), (2, 0), (3, 0)]),
        ((2, 3), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]),  # a column becomes a row
        ((1, 5), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]),
    ],
)
def test_panels_are_stacked_and_handed_out_in_the_grid_that_was_asked_for(asked, found):
    figure = narrow()
    panels = figure.subplots(*asked, squeeze=False)
    assert panels.shape == asked
    assert places(figure) == found
    assert list(panels.flat) == figure.axes
    assert figure.get_figwidth() < 5
    assert (is_narrow(figure), is_narrow(blank())) == (True, False)


def test_it_is_squeezed_and_shared_as_matplotlib_does_it():
    for asked in ((1, 1), (1, 3), (2, 1), (2, 3)):
        assert np.shape(narrow().subplots(*asked)) == np.shape(blank().subplots(*asked))
    first, second = narrow().subplots(1, 2, sharey=True)
    first.plot([0, 50])
    second.plot([0, 1])
    assert second.get_ylim() == first.get_ylim()
    first.set_ylabel("loss")
    fold(first.figure)
    assert second.get_ylabel() == "loss", "no longer beside the first, it needs a label of its own"


def test_texts_are_broken_between_words_and_formulas_are_not():
    assert folded("a title of several words", 12) == "a title of\nseveral words".replace(
        "several words", "several\nwords"
    )
    assert folded("of $a + b + c + d + e$", 8) == "of\n$a + b + c + d + e$"


def test_a_label_to_the_left_of_its_panel_stays_there():
    """The rows of a grid of pictures are named so."""
    figure = narrow()
    rows = figure.subplots(2, 5)
    for panel in rows.flat:
        panel.imshow(np.eye(2))
        panel.set(xticks=[], yticks=[])
    rows[0, 0].set_ylabel("perfect\nMSE 9.39", rotation=0, ha="right", va="center")
    fold(figure)
    figure.draw_without_rendering()
    label = rows[0, 0].yaxis.label
    assert label.get_text().split() == ["perfect", "MSE", "9.39"]
    assert 0 <= label.get_window_extent().x0 < label.get_window_extent().x1 < rows[0, 0].bbox.x0


def test_no_letter_is_too_small_for_a_phone():
    """Whatever the drawing asks for: legends, their titles, ticks, notes and names of rows."""
    figure = narrow()
    axes = figure.subplots()
    axes.plot([0, 1], label="a curve")
    axes.legend(fontsize=6, title="curves", title_fontsize=5)
    axes.set_xticks([0, 1], ["first", "last"], fontsize=6)
    axes.text(0, 0, "note", fontsize=4)
    figure.suptitle("all", fontsize=3)
    fold(figure)
    assert_legible(figure)


def test_no_word_stands_alone_in_a_last_line():
    assert folded("the gradient takes the short ones", 28) == "the gradient takes\nthe short ones"
    assert folded("one line", 28) == "one line"


@pytest.mark.parametrize("hides", [True, False])
def test_a_legend_that_hides_a_curve_goes_below_its_panel(hides):
    figure = narrow()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1] if hides else [1, 0], label="a curve of the panel")  # two points, far from the legend
    axes.set_xlabel("step")
    axes.legend(loc="center right" if hides else "lower left")
    axes.get_legend().set_loc("upper right" if hides else "lower left")
    fold(figure)
    figure.draw_without_rendering()
    legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert (legend.y1 < panel.y0) == hides
    if hides:
        assert legend.y1 < axes.xaxis.label.get_window_extent().y0 + 1, "below the label, too"
        assert legend.y0 > 0, "in the picture"


def test_a_colour_bar_of_several_panels_lies_below_them():
    figure = narrow()
    panels = figure.subplots(1, 2)
    image = panels[0].imshow(np.eye(2))
    bar = figure.colorbar(image, ax=panels, label="norm")
    assert bar.orientation == "horizontal"
    assert figure.colorbar(image, ax=panels[0]).orientation == "vertical"


def test_a_line_that_is_cut_off_at_the_edge_does_not_move_a_legend_below_it():
    figure = narrow()
    axes = figure.subplots()
    axes.plot([0, 1, 2], [0, -1, -9], label="falls")
    axes.set_ylim(-1, 0)
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18))
    fold(figure)
    assert legend.get_bbox_to_anchor().transformed(axes.transAxes.inverted()).y0 == pytest.approx(-0.18)
