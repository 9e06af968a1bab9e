"""Pictures: what lies where."""

from unittest.mock import patch

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.lab.holds import assert_legible
from tinyres.gan import pictures
from tinyres.gan.trainer import StepRecord


def drawn(draw, *arguments):
    figure = Figure()
    draw(figure, *arguments)
    return figure


def test_ways_between_samples_are_arcs_of_a_circle():
    """Between orthogonal rows of one length an arc keeps the length, in equal angles; its ends are the rows."""
    a, b = np.array([[3.0, 0, 0]]), np.array([[0, 3.0, 0]])
    (way,) = pictures.interpolate(np.concatenate([a, b]), columns=4)
    angles = np.radians([0, 30, 60, 90])
    np.testing.assert_allclose(way, 3 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], 1), atol=1e-9)
    noise = np.random.default_rng(0).standard_normal((6, 5))
    ways = pictures.interpolate(noise, columns=3)
    assert ways.shape == (3, 3, 5)
    np.testing.assert_allclose(ways[:, 0], noise[0::2], atol=1e-9)
    np.testing.assert_allclose(ways[:, -1], noise[1::2], atol=1e-9)


@pytest.mark.parametrize("kind", ["points", "images"])
def test_samples_have_a_form_for_phones(tmp_path, kind):
    """Square as the wide one, with the same panel whole and both entries of the legend in the picture."""
    rng, slim = np.random.default_rng(0), []
    samples = rng.standard_normal((64, 2) if kind == "points" else (64, 1, 8, 8))
    with patch.object(pictures, "write_pair", lambda figure, path: slim.append(figure)):
        pictures.write(tmp_path / "samples.png", pictures.draw_samples, samples, samples, "a " * 60, dark=True)
    figure = slim[1]
    assert figure.get_figwidth() == pytest.approx(4.6) == pytest.approx(figure.get_figheight())
    figure.draw_without_rendering()
    assert_legible(figure)
    entries = [text for legend in figure.legends for text in legend.get_texts()]
    assert [text.get_text() for text in entries] == ["real", "generated"] * (kind == "points")
    for shown in (*figure.axes, *entries):
        box = shown.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_curves_are_legible_on_a_phone(tmp_path):
    history, slim = [StepRecord(*[k + 1] * len(StepRecord._fields)) for k in range(60)], []
    with patch.object(pictures, "write_pair", lambda figure, path: slim.append(figure)):
        pictures.write(
            tmp_path / "training.png", pictures.draw_curves, history, "hinge", "a run", size=(13, 4.5), dark=True
        )
    slim[1].draw_without_rendering()
    assert_legible(slim[1])


def test_equal_ends_stay_where_they_are():
    row = np.random.default_rng(0).standard_normal(4)
    (way,) = pictures.interpolate(np.stack([row, row]), columns=5)
    np.testing.assert_allclose(way, np.tile(row, (5, 1)), rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_stand_in_rows_upright_with_a_line_between(channels):
    images = np.random.default_rng(0).uniform(-1, 1, (5, channels, 2, 3))
    figure = drawn(pictures.draw_samples, images, images, "five")  # three columns, two rows
    page = figure.axes[0].images[0].get_array()
    assert page.shape[:2] == (2 * 3 - 1, 3 * 4 - 1)
    shown = images if channels == 1 else (images + 1) / 2
    for i, image in enumerate(shown.transpose(0, 2, 3, 1)):
        top, left = 3 * (i // 3), 4 * (i % 3)
        found = np.asarray(page[top : top + 2, left : left + 3]).reshape(2, 3, channels)
        np.testing.assert_allclose(found, image)
    line = np.asarray(page[2])
    assert (line == line.ravel()[0]).all()


def test_points_lie_over_the_real_ones():
    real, made = np.random.default_rng(0).standard_normal((2, 30, 2))
    axes = drawn(pictures.draw_samples, made, real, "points").axes[0]
    for line, points in zip(axes.lines, (real, made), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), points)
    ways = pictures.interpolate(made[:4], columns=3)
    axes = drawn(pictures.draw_interpolations, ways, real, "ways").axes[0]
    for line, way in zip(axes.lines[1:], ways, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), way)


def test_a_picture_that_fails_leaves_the_old_one_and_no_rest(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def fail(figure):
        figure.savefig = lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device"))

    with pytest.raises(OSError, match="No space left"):
        pictures.write(path, fail)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
