"""A drawn figure once more, for dark pages: the same lines, with ink and paper exchanged."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import Any

INK, PAPER = (0.89, 0.91, 0.94), "#14191f"  # of the report's page in its dark form
WHITE = 0.9  # least channel of a colour that is as good as white
DARKEST = 0.25  # luminance of a coloured line that can still be told from the paper


def darken(figure: Any) -> None:
    """Recolour a figure that has been drawn. Greys are inverted, colours too dark for the paper become lighter.

    What lies on an image, such as the numbers on a heat map, keeps its colours, as the image does; of a map with white
    in its middle and nothing on it, the white becomes paper.
    """
    from matplotlib.axis import Axis
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    parts = figure.findobj()
    for axis in [part for part in parts if isinstance(part, Axis)]:
        axis.set_tick_params(which="both", color=INK, labelcolor=INK)  # of ticks that are yet to be made
    on_images = {id(part) for axes in figure.axes if axes.images for part in [*axes.texts, *axes.lines]}
    for part in [part for part in parts if id(part) not in on_images]:
        if isinstance(part, Line2D):
            _recolour(part, "color", "markerfacecolor", "markeredgecolor")
        elif isinstance(part, (Patch, Collection)):
            _recolour(part, "facecolor", "edgecolor")
        elif isinstance(part, Text):
            _recolour(part, "color")
    for axes in figure.axes:
        for image in () if axes.texts else axes.images:
            if min(image.cmap(0.5)[:3]) > WHITE:
                image.set_cmap(_on_paper(image.cmap))
    for paper in (figure, *figure.axes):
        paper.set_facecolor(PAPER)
    for legend in [part for part in parts if hasattr(part, "get_frame") and hasattr(part, "get_texts")]:
        legend.get_frame().set_facecolor(PAPER)


def _on_paper(cmap: Any) -> Any:
    """From either end of a map to its middle: to paper as far as it went to white."""
    from matplotlib.colors import ListedColormap, to_rgb

    colours = [tuple(cmap(i)[:3]) for i in range(cmap.N)]
    rows = []
    for i, colour in enumerate(colours):
        end = min(colours[0 if i < cmap.N // 2 else -1])
        share = max(0.0, (min(colour) - end) / (1 - end)) if end < 1 else 0.0
        rows.append([c - share * (1 - paper) for c, paper in zip(colour, to_rgb(PAPER), strict=True)])
    return ListedColormap(rows, name=f"{cmap.name} on dark paper")


def _recolour(part: Any, *names: str) -> None:
    for name in names:
        colours = getattr(part, f"get_{name}")()
        several = hasattr(colours, "ndim") and colours.ndim == 2
        if several and not len(colours):
            continue
        getattr(part, f"set_{name}")([_lit(c) for c in colours] if several else _lit(colours))


def _lit(colour: Any) -> Any:
    from matplotlib.colors import to_rgba

    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    red, green, blue, opacity = to_rgba(colour)
    if not opacity:  # a part's own alpha would make it visible
        return "none"
    if max(red, green, blue) - min(red, green, blue) < 0.02:
        return (*(_inverted(red, k) for k in range(3)), opacity)
    hue, light, fullness = colorsys.rgb_to_hls(red, green, blue)
    found = (red, green, blue)
    while _luminance(found) < DARKEST and light < 1:
        light += 0.02
        found = colorsys.hls_to_rgb(hue, min(light, 1), fullness)
    return (*found, opacity)


def _inverted(grey: float, channel: int) -> float:
    """Black becomes the page's ink, white its paper."""
    paper = int(PAPER[1 + 2 * channel : 3 + 2 * channel], 16) / 255
    return INK[channel] + (paper - INK[channel]) * grey


def _luminance(colour: tuple[float, float, float]) -> float:
    linear: Callable[[float], float] = lambda c: c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
    return 0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
