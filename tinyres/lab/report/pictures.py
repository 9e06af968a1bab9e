"""Save a figure as PNG files, for light and for dark pages."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

from tinyres.figures import blank, dark_name, pair, styled
from tinyres.files import write
from tinyres.lab.experiment import Draw


def save_picture(draw: Draw, path: Path) -> Path:
    """Draw a figure and save it for light and for dark pages, 11 x 5 inches or as large as labels and panels need."""
    for scale in (1.0, 1.5, 2.25):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="constrained_layout not applied")
            try:
                content = _pngs(draw, scale, "constrained")
                break
            except UserWarning as warning:
                if "constrained_layout" not in str(warning):
                    raise
    else:
        content = _pngs(draw, scale, None)
    light, dark = content
    write(path, light)
    write(dark_name(path), dark)
    return path


def _pngs(draw: Draw, scale: float, layout: Literal["constrained"] | None) -> tuple[bytes, bytes]:
    with styled():
        figure = blank((11 * scale, 5 * scale), layout)
        draw(figure)
        return pair(figure)
