"""The numbers of a figure, and what is said of it."""

import io
import json

import numpy as np
import pytest

from tinyres.figures import blank, described, numbers, numbers_of, pair


def panel(**shown):
    axes = blank().subplots()
    axes.set(xlabel="block", ylabel="|gradient|", title="Over depth", **shown)
    return axes


def test_lines_with_the_same_x_share_a_table():
    axes = panel()
    axes.plot([1, 2, 3], [4.0, np.nan, 0.5], label="plain")  # a gap
    axes.plot([1, 3], [0.25, 0.125], "o", label="_residual, measured")  # not in the legend
    axes.plot([1, 2], [7, 8], label="$a$")
    axes.axhline(0.5)
    axes.plot([], [], label="for the legend alone")
    first, second = numbers(axes.figure)
    assert first == {
        "title": "Over depth: |gradient|",
        "columns": ["block", "plain", "residual, measured"],
        "rows": [["1", "4", "0.25"], ["3", "0.5", "0.125"]],
    }
    assert (second["columns"], second["rows"]) == (["block", "a"], [["1", "7"], ["2", "8"]])


def test_a_line_without_a_name_is_told_by_its_colour_or_its_place():
    axes = panel()
    axes.plot([1, 2], [1, 2], "o", color="C3", label="measured")
    axes.plot([1, 2], [3, 4], color="C3")
    axes.plot([1, 2], [5, 6], color="C1")
    axes.plot([1, 2], [7, 8], color="C1", label="_linear, not line 4")
    (table,) = numbers(axes.figure)
    assert table["columns"][1:] == ["measured", "line coloured as “measured”", "line 3", "linear, not line 4"]


def test_dots_drawn_singly_are_one_row_of_dots():
    axes = panel()
    for x in (1, 2, 4):
        axes.plot(x, 2 * x, "o", label="measured" if x == 1 else "_measured")
    (table,) = numbers(axes.figure)
    assert table["rows"] == [["1", "2"], ["2", "4"], ["4", "8"]]


def test_of_many_points_some_are_given_with_the_first_and_the_last():
    axes = panel()
    axes.plot(np.arange(1000), np.arange(1000) ** 2, label="squares")
    (table,) = numbers(axes.figure)
    assert len(table["rows"]) == 30
    assert (table["rows"][0], table["rows"][-1]) == (["0", "0"], ["999", "9.98e+05"])


def test_points_that_go_to_and_fro_have_no_table_and_are_counted():
    axes = panel()
    axes.plot([1, 3, 2, 0], [1, 2, 3, 4], ".", label="real")
    axes.legend()
    assert numbers(axes.figure) == []
    assert "(real: 4 dots)" in described(axes.figure)


@pytest.mark.parametrize("origin", ["lower", "upper"])
def test_a_map_has_its_values_at_the_middle_of_its_pixels(origin):
    axes = panel()
    extent = (0, 40, 0.5, 2.5) if origin == "lower" else (0, 40, 2.5, 0.5)
    image = axes.imshow([[1.0, 2.0], [3.0, 4.0]], origin=origin, extent=extent, aspect="auto")
    axes.figure.colorbar(image, label="share")
    (table,) = numbers(axes.figure)
    assert table == {
        "title": "Over depth: share",
        "columns": ["|gradient|", "block 10", "block 30"],
        "rows": [["1", "1", "2"], ["2", "3", "4"]],
    }
    tiles = panel(xticks=[], yticks=[])
    tiles.imshow(np.eye(3))
    assert numbers(tiles.figure) == [], "a picture and no map"


def test_bars_are_numbers_as_well():
    axes = panel()
    axes.bar([1, 2], [0.5, 0.25], label="share")
    assert numbers(axes.figure)[0]["rows"] == [["1", "0.5"], ["2", "0.25"]]


def test_panels_below_each_other_have_the_label_of_one():
    figure = blank()
    above, below = figure.subplots(2, 1)
    for axes in (above, below):
        axes.plot([0, 1], [1, 2], label="loss")
    below.set_xlabel("step")
    assert [table["columns"][0] for table in numbers(figure)] == ["step", "step"]


def test_it_is_said_where_lines_begin_and_end():
    axes = panel()
    axes.plot([0, 1, 2], [0.6931, 5, 1.23456], label="D")
    axes.plot([0], [3], "o", label="G")
    assert "(D: 0.693 to 1.23; G: 3)" in described(axes.figure), "a panel without a legend has names, too"


def test_the_png_file_keeps_them_and_a_damaged_one_has_none():
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    axes = panel()
    axes.plot([1, 2], [3, 4], label="größer")
    light, dark = pair(axes.figure)
    assert numbers_of(light) == numbers(axes.figure) != []
    assert numbers_of(dark) == []
    whole = numbers_of(light)
    for words in (
        "{",
        "7",
        '["a"]',
        "[" * 9999,
        json.dumps([whole[0] | {"rows": [["1"]]}]),
        json.dumps([{"title": ""}]),
    ):
        info, content = PngInfo(), io.BytesIO()
        info.add_text("Numbers", words)
        Image.new("L", (1, 1)).save(content, "PNG", pnginfo=info)
        assert numbers_of(content.getvalue()) == []
    assert numbers_of(light[:50]) == numbers_of(b"") == []
