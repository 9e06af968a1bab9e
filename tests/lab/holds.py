"""An experiment run as the command runs it."""

import json
import os
import time
from pathlib import Path
from unittest.mock import patch

from tinyres import files
from tinyres.figures import blank, fold, narrow, styled, whole_ticks
from tinyres.lab import report
from tinyres.lab.experiment import Draw
from tinyres.lab.registry import EXPERIMENTS, Options, Result
from tinyres.lab.report import pictures


def drawn_once(draw: Draw, path: Path) -> Path:
    """In place of `save_picture`: wide and for light pages alone, which is what the gallery shows."""
    with patch.object(pictures, "pair", lambda figure: (whole_ticks(figure) or files.png(figure), b"")):
        light, _ = pictures.wide(draw)
    path.write_bytes(light)
    return path


def sketched(draw: Draw, path: Path) -> Path:
    """In place of `save_picture`: small, wherever labels come to lie."""
    with styled():
        figure = blank((11, 5), None)
        draw(figure)
        figure.savefig(path, dpi=20)
    return path


def fits_a_phone(draw: Draw) -> None:
    """The narrow form, which is not saved: no label lies over its panel, no letter is too small, no legend cut off."""
    with styled():
        figure = narrow(None)
        draw(figure)
        fold(figure)
        figure.draw_without_rendering()
    for axes in figure.axes:
        labels = axes.title, axes.xaxis.label, axes.yaxis.label
        inside = [text.get_text() for text in labels if text.get_text() and over(text, axes)]
        assert not inside, "labels that lie over their panel, where the screen is narrow"
    assert_legible(figure)


def assert_legible(figure) -> None:
    """On a phone of 360 pixels, of which the page's margins take 32, letters are 9 high; legends lie in the picture."""
    from matplotlib.legend import Legend
    from matplotlib.text import Text

    pixels = (360 - 32) / figure.get_figwidth() / 72  # of a point
    small = {t.get_text(): t.get_fontsize() * pixels for t in figure.findobj(Text) if t.get_text() and t.get_visible()}
    assert not {text: size for text, size in small.items() if size < 9}
    for legend in figure.findobj(Legend):
        box = legend.get_window_extent()
        assert box.x0 >= -1, "a legend is cut off at the left"
        assert box.x1 <= figure.bbox.x1 + 1, "a legend is cut off at the right"


def over(text, axes) -> bool:
    return bool(axes.axison and text.get_window_extent().padded(-1).count_overlaps([axes.get_window_extent()]))


def holds(name: str, folder, undecided: str = "") -> Result:
    """Every law's verdict, the length of the progress bar, the pictures and the file; returns what was found.

    `undecided` is a law whose figure lies so near its limit that rounding decides; a test of its own judges it.
    What a starred experiment found is left in the folder TINYRES_RESULTS, if that is set: the gallery shows it. Other
    pictures, at which nobody looks, are sketches.
    """
    experiment, options, ticks, start = EXPERIMENTS[name], Options(), [], time.perf_counter()
    result = experiment.run(options, lambda: ticks.append(1))
    seconds = time.perf_counter() - start
    assert [law.name for law in result.laws if not law.ok and law.name != undecided] == []
    assert not undecided or undecided in [law.name for law in result.laws]
    assert len(ticks) == experiment.ticks(options), "the progress bar is to reach its end, and no further"
    assert result.found.endswith("."), "a sentence that tells what was found"
    draw, kept = sketched, os.environ.get("TINYRES_RESULTS")
    if kept and experiment.starred:  # the site would run it once more
        draw, folder = drawn_once, Path(kept)
        folder.mkdir(parents=True, exist_ok=True)
    with patch("tinyres.lab.report.files.save_picture", draw):
        written = report.save(experiment, result, options, seconds, folder)
    for draw in result.figures.values():
        fits_a_phone(draw)
    assert len(written) == 1 + len(result.figures)
    assert json.loads(written[0].read_text())["name"] == name
    return result
