"""An experiment run as the command runs it."""

import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

from tinyres.figures import blank, fold, narrow, styled
from tinyres.lab import report
from tinyres.lab.experiment import Draw
from tinyres.lab.registry import EXPERIMENTS, Options, Result


def drawn_once(draw: Draw, path: Path) -> Path:
    """In place of `save_picture`."""
    with styled():
        figure = blank((11, 5), None)
        draw(figure)
        figure.savefig(path, dpi=20)
        slim = narrow(None)
        draw(slim)
        fold(slim)
        slim.draw_without_rendering()
    for axes in slim.axes:
        labels = axes.title, axes.xaxis.label, axes.yaxis.label
        inside = [text.get_text() for text in labels if text.get_text() and over(text, axes)]
        assert not inside, "labels that lie over their panel, where the screen is narrow"
    return path


def over(text, axes) -> bool:
    return bool(axes.axison and text.get_window_extent().padded(-1).count_overlaps([axes.get_window_extent()]))


def holds(name: str, folder, undecided: str = "") -> Result:
    """Every law's verdict, the length of the progress bar, the pictures and the file; returns what was found.

    `undecided` is a law whose figure lies so near its limit that rounding decides; a test of its own judges it.
    What a starred experiment found is left in the folder TINYRES_RESULTS, if that is set: the gallery shows it. If it
    is not, pictures are drawn once and quickly: for light pages, and once more as on a narrow screen.
    """
    experiment, options, ticks, start = EXPERIMENTS[name], Options(), [], time.perf_counter()
    result = experiment.run(options, lambda: ticks.append(1))
    seconds = time.perf_counter() - start
    assert [law.name for law in result.laws if not law.ok and law.name != undecided] == []
    assert not undecided or undecided in [law.name for law in result.laws]
    assert len(ticks) == experiment.ticks(options), "the progress bar is to reach its end, and no further"
    assert result.found.endswith("."), "a sentence that tells what was found"
    kept = os.environ.get("TINYRES_RESULTS")
    if kept and experiment.starred:  # the site would run it once more
        folder = Path(kept)
        folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if kept else patch("tinyres.lab.report.files.save_picture", drawn_once):
        written = report.save(experiment, result, options, seconds, folder)
    assert len(written) == 1 + len(result.figures)
    assert json.loads(written[0].read_text())["name"] == name
    return result
