"""Pictures as PNG files, and files that are never half written."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Literal

from tinyres.flow.experiments.experiment import Draw


def save_picture(draw: Draw, path: Path) -> Path:
    """Drawn as large as it takes for labels and panels to have room; the size is 11 x 5 inches where that is enough."""
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
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11 * scale, 5 * scale), dpi=130, layout=layout)
    FigureCanvasAgg(figure)
    draw(figure)
    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})  # the same seed gives the same file
    return content.getvalue()


def write(path: Path, content: bytes) -> None:
    """All of it or, if that fails, what was there before."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
