"""Save a figure as a PNG file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

from tinyres.files import png, write
from tinyres.lab.experiment import Draw


def save_picture(draw: Draw, path: Path) -> Path:
    """Draw a figure and save it, 11 x 5 inches or as much larger as labels and panels need."""
    for scale in (1.0, 1.5, 2.25):
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="constrained_layout not applied")
            try:
                content = _png(draw, scale, "constrained")
                break
            except UserWarning as warning:
                if "constrained_layout" not in str(warning):
                    raise
    else:
        content = _png(draw, scale, None)
    write(path, content)
    return path


def _png(draw: Draw, scale: float, layout: Literal["constrained"] | None) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11 * scale, 5 * scale), dpi=130, layout=layout)
    FigureCanvasAgg(figure)
    draw(figure)
    return png(figure)
