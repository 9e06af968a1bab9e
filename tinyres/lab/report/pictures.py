"""Save a figure as PNG files, for light and for dark pages, and both again for narrow screens."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from tinyres.figures import blank, dark_name, fold, narrow, narrow_name, pair, styled
from tinyres.files import write
from tinyres.lab.experiment import Draw

Pngs = tuple[bytes, bytes]


def save_picture(draw: Draw, path: Path) -> Path:
    """Draw a figure and save it for light and for dark pages, 11 x 5 inches or as large as labels and panels need.

    Then draw it again for narrow screens, with its panels one below the other.
    """
    for name, (light, dark) in ((path, wide(draw)), (narrow_name(path), slim(draw))):
        write(name, light)
        write(dark_name(name), dark)
    return path


def wide(draw: Draw) -> Pngs:
    """The figure in its light and in its dark form."""
    sizes = (1.0, 1.5, 2.25)
    return _first_that_fits([partial(_wide, draw, scale, "constrained") for scale in sizes], partial(_wide, draw, 2.25))


def slim(draw: Draw) -> Pngs:
    """Both for a narrow screen."""
    return _first_that_fits([partial(_narrow, draw, "constrained")], partial(_narrow, draw))


def _first_that_fits(ways: Sequence[Callable[[], Pngs]], otherwise: Callable[[], Pngs]) -> Pngs:
    for way in ways:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="constrained_layout not applied")
            try:
                return way()
            except UserWarning as warning:
                if "constrained_layout" not in str(warning):
                    raise
    return otherwise()


def _wide(draw: Draw, scale: float, layout: Literal["constrained"] | None = None) -> Pngs:
    with styled():
        figure = blank((11 * scale, 5 * scale), layout)
        draw(figure)
        return pair(figure)


def _narrow(draw: Draw, layout: Literal["constrained"] | None = None) -> Pngs:
    with styled():
        figure = narrow(layout)
        draw(figure)
        fold(figure)
        return pair(figure)
