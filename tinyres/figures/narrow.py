"""The same drawing for a narrow screen: its panels one below the other, its texts in shorter lines.

A figure is drawn by a function of an empty one. Given a narrow one, the same function draws the same panels into a
column, or into two where there are many.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, PANEL = 4.6, 3.5  # inches; as wide as a phone, letters of 10 points are some 10 pixels high
LEAST = 9.1  # points of any letter: 9 pixels in the 328 that a page has on a phone of 360
DPI = 180  # a phone has two or three pixels where a page counts one
SINGLE = 4  # so many panels stand in one column
TITLE, ACROSS, UP, TICK = 46, 52, 36, 26  # characters to a line


def narrow(layout: Any = "constrained", size: tuple[float, float] = (WIDTH, PANEL)) -> Any:
    """An empty figure for a narrow screen; `fold` its texts when it is drawn. Of one panel, it has the shape of `size`,
    if that is not wider than a panel is.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Narrow(Figure):
        """A figure that stacks its panels, whatever size and grid it is asked for."""

        def subplots(self, nrows: int = 1, ncols: int = 1, **how: Any) -> Any:
            count = nrows * ncols
            across = 1 if count <= SINGLE else 2
            down = -(-count // across)
            self._stack(count, down, PANEL if across == 1 else 0.75 * PANEL)
            grid = self.add_gridspec(down, across)
            turned = nrows == across == 2  # what stood in a column stands in a row
            places = [(k % ncols, k // ncols) if turned else divmod(k, across) for k in range(count)]
            flat = [self.add_subplot(grid[place]) for place in places]
            for axis in ("x", "y"):
                _share(flat, ncols, axis, how.get(f"share{axis}", False))
            return _as_asked(flat, nrows, ncols, how.get("squeeze", True))

        def subfigures(self, nrows: int = 1, ncols: int = 1, **how: Any) -> Any:  # type: ignore[override]
            self._stack(nrows * ncols, nrows * ncols, PANEL)
            flat = list(super().subfigures(nrows * ncols, 1, squeeze=False).flat)
            return _as_asked(flat, nrows, ncols, how.get("squeeze", True))

        def colorbar(self, mappable: Any, cax: Any = None, ax: Any = None, **how: Any) -> Any:  # type: ignore[override]
            """Below the panels where it serves several: beside them it would take the room of one."""
            if np.size(ax) > 1:
                how = {name: value for name, value in how.items() if name != "shrink"}
                how |= {"location": "bottom", "aspect": 30, "pad": 0.01}
            return super().colorbar(mappable, cax=cax, ax=ax, **how)

        def set_size_inches(self, w: Any, h: Any = None, forward: bool = True) -> None:
            """The height that is asked for counts; the width does not."""
            height = w[1] if h is None else h
            super().set_size_inches(WIDTH, height, forward)

        def _stack(self, count: int, down: int, height: float) -> None:
            if count > 1:
                self.set_size_inches(WIDTH, down * height)

    figure = Narrow(figsize=(WIDTH, max(PANEL, WIDTH * size[1] / size[0])), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def is_narrow(figure: Any) -> bool:
    """Whether there is no room beside the panels, for a drawing that would write there."""
    return bool(figure.get_figwidth() <= WIDTH)


def fold(figure: Any) -> None:
    """Break titles and labels into lines that fit, repeat labels that stood only at the edge of a grid, let no letters
    be too small, and put legends that hide a curve below their panel.
    """
    from matplotlib.figure import FigureBase
    from matplotlib.text import Text
    from matplotlib.ticker import AutoLocator
    from matplotlib.transforms import ScaledTranslation

    for part in figure.findobj(lambda found: isinstance(found, FigureBase)):
        if part.get_suptitle():
            part.suptitle(folded(part.get_suptitle(), TITLE), fontsize=11)
    for axes in figure.axes:
        alike = [other for other in figure.axes if _row(other) == _row(axes) is not None]
        share = max(len({other.get_subplotspec().colspan.start for other in alike}), 1)
        if type(axes.xaxis.get_major_locator()) is AutoLocator:
            axes.locator_params(axis="x", nbins=5)  # more numbers would touch each other
        for name, most in (("title", TITLE), ("xlabel", ACROSS), ("ylabel", UP)):
            text = getattr(axes, f"get_{name}")() or _first(axes, name)
            if text:  # set_ylabel would put a label that stands to the left of its panel into it again
                label = axes.title if name == "title" else getattr(axes, f"{name[0]}axis").label
                label.set_text(folded(text, most // share))
        axes.title.set_fontsize(11)
        ticks = [tick.get_text() for tick in axes.get_yticklabels()]
        if any(len(tick) > TICK for tick in ticks):
            axes.set_yticks(axes.get_yticks(), [folded(tick, TICK) for tick in ticks])
    for text in figure.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), LEAST))
    if (engine := figure.get_layout_engine()) is not None:  # what lies where
        engine.execute(figure)
    else:
        figure.draw_without_rendering()
    for axes in figure.axes:
        if (legend := axes.get_legend()) is not None and _hides(legend, axes):
            below = min(0.0, axes.get_tightbbox().y0 - axes.bbox.y0) / figure.dpi  # inches: the panel may shrink
            legend.set_loc("upper center")
            legend.set_bbox_to_anchor((0.5, 0), axes.transAxes + ScaledTranslation(0, below, figure.dpi_scale_trans))


def _hides(legend: Any, axes: Any) -> bool:
    """Whether a line of the panel runs through its legend, where it is drawn: what leaves the panel is cut off."""
    box = legend.get_window_extent()
    for line in axes.get_lines():
        points = line.get_transform().transform(np.column_stack(line.get_data(orig=False)))
        points = points[np.isfinite(points).all(axis=1)]
        if line.get_linestyle() != "None" and len(points) > 1:  # points of a drawn line, as close as its pixels
            ends = np.cumsum(np.r_[0, np.hypot(*np.diff(points, axis=0).T)])
            way = np.linspace(0, ends[-1], 500)
            points = np.column_stack([np.interp(way, ends, points[:, k]) for k in (0, 1)])
        if any(box.contains(x, y) and axes.bbox.contains(x, y) for x, y in points):
            return True
    return False


def folded(text: str, most: int) -> str:
    """The text in lines of at most so many characters where words allow it, as even as they can be; a formula stays
    whole.
    """
    whole = re.sub(r"\$[^$]*\$", lambda formula: formula[0].replace(" ", "\x00"), text)
    return "\n".join("\n".join(_even(line, most)) for line in whole.split("\n")).replace("\x00", " ")


def _even(text: str, most: int) -> list[str]:
    """As few lines as fit, and of those the shortest: no word stands alone in the last."""
    ways = [textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) for width in range(most, 0, -1)]
    return [way for way in ways if len(way) == len(ways[0])][-1]


def _share(flat: list[Any], ncols: int, axis: str, how: Any) -> None:
    """Link the panels' axes as asked; each keeps its numbers, for it stands alone."""
    groups: dict[Any, Callable[[int], int]] = {
        "row": lambda k: k // ncols,
        "col": lambda k: k % ncols,
        True: lambda k: 0,
        "all": lambda k: 0,
    }
    if how not in groups:
        return
    first: dict[int, Any] = {}
    for k, axes in enumerate(flat):
        head = first.setdefault(groups[how](k), axes)
        if axes is not head:
            getattr(axes, f"share{axis}")(head)


def _as_asked(flat: list[Any], nrows: int, ncols: int, squeeze: bool) -> Any:
    grid = np.empty((nrows, ncols), object)
    grid.ravel()[:] = flat
    if not squeeze:
        return grid
    return grid.item() if grid.size == 1 else grid.squeeze()


def _row(axes: Any) -> Any:
    spec = axes.get_subplotspec()
    return None if spec is None else (id(spec.get_gridspec()), spec.rowspan.start)


def _first(axes: Any, name: str) -> str:
    """The label of the panel that this one shares the axis with, where it has none of its own."""
    if name == "title":
        return ""
    grouped = getattr(axes, f"get_shared_{name[0]}_axes")().get_siblings(axes)
    apart = [other for other in grouped if _row(other) is not None and _row(other) != _row(axes)]
    return next((text for other in apart if (text := getattr(other, f"get_{name}")())), "")


__all__ = ["fold", "folded", "is_narrow", "narrow"]
