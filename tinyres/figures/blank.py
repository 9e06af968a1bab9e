"""An empty figure, and the style in which figures are drawn and saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tinyres.figures.palette import CASES

SIZE = (11.0, 5.0)  # inches
DPI = 130


def blank(size: tuple[float, float] = SIZE, layout: Any = "constrained") -> Any:
    """A matplotlib figure that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def styled() -> Iterator[None]:
    """Inside, colours C0, C1, ... are those of the cases, and panels have no box around them."""
    import matplotlib
    from cycler import cycler

    style: Any = {
        "axes.prop_cycle": cycler(color=CASES),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.framealpha": 0.85,
        "legend.edgecolor": "none",
    }
    with matplotlib.rc_context(style):
        yield
