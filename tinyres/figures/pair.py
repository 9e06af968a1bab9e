"""A figure as two PNG files: one for light pages, one for dark pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tinyres import files
from tinyres.figures.dark import darken
from tinyres.figures.described import described
from tinyres.figures.narrow import is_narrow
from tinyres.figures.numbers import numbers
from tinyres.figures.whole import whole_ticks


def dark_name(path: Path) -> Path:
    """Where the same picture is for dark pages: E2-dark.png beside E2.png."""
    return path.with_stem(f"{path.stem}-dark")


def narrow_name(path: Path) -> Path:
    """Where the same picture is for narrow screens: E2-narrow.png beside E2.png, and E2-narrow-dark.png."""
    return path.with_stem(f"{path.stem}-narrow")


def pair(figure: Any) -> tuple[bytes, bytes]:
    """The figure as PNG bytes, in its light form and in its dark one; the figure itself is dark afterwards.

    The light one holds a description for those who do not see it, see `described`, and unless it is narrow its
    `numbers`: the wide one beside it has them.
    """
    whole_ticks(figure)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)  # once for both: with an engine, saving would find each place anew, and draw for it
        figure.set_layout_engine(None)
    light = files.png(figure, described(figure), "" if is_narrow(figure) else json.dumps(numbers(figure)))
    darken(figure)
    return light, files.png(figure)


def write_pair(figure: Any, path: Path) -> None:
    """Save a figure and its dark form beside it; neither is written unless both could be drawn."""
    light, dark = pair(figure)
    files.write(path, light)
    files.write(dark_name(path), dark)
