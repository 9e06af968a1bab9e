"""What a drawn figure shows, in words: for those who do not see it. The words are kept in the PNG file."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from tinyres.figures.numbers import Series, is_cloud, plainly, series

LONGEST = 900  # characters; a reader hears all of them at every visit
NAMED = 6  # entries of a legend that are read out


def described(figure: Any) -> str:
    """Each panel's title, its axes, what is drawn, and where that begins and ends.

    "Loss; vertical axis, loss; horizontal axis, step; 2 lines or rows of dots (D: 0.7 to 0.2; G: 0.9 to 1.8)."
    """
    panels = [_panel(axes) for axes in figure.axes]
    text = " ".join(f"{panel}." for panel in panels if panel)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rsplit(' ', 1)[0]} …"


def description_of(png: bytes) -> str:
    """The words that `described` has left in a PNG file; empty without any."""
    from PIL import Image

    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as picture:
            found = picture.info.get("Description", "")
    except Exception:  # a damaged file may raise anything
        return ""
    return "".join(c for c in str(found) if c.isprintable())[:LONGEST]


def _panel(axes: Any) -> str:
    across, up = plainly(axes.get_xlabel()), plainly(axes.get_ylabel())
    named = [f"{way} axis, {label}" for way, label in (("vertical", up), ("horizontal", across)) if label]
    head = "; ".join(part for part in (plainly(axes.get_title()), *named) if part)
    drawn = [f"{len(axes.images)} map" + "s" * (len(axes.images) > 1)] if axes.images else []
    if (count := len(axes.lines)) > 0:
        drawn.append(f"{count} line{'s' * (count > 1)} or rows of dots")
    if axes.patches:
        drawn.append("bars")
    legend = axes.get_legend()
    entries = [plainly(text.get_text()) for text in legend.get_texts()] if legend is not None else []
    ends = {each[0]: _ends(each) for each in series(axes)}
    told = [f"{name}{ends.get(name, '')}" for name in entries or map(plainly, axes.get_legend_handles_labels()[1])]
    more = [f"and {len(told) - NAMED} more"] if len(told) > NAMED else []
    names = f" ({'; '.join([*told[:NAMED], *more])})" if told else ""
    return "; ".join(part for part in (head, ", ".join(drawn) + names) if part)


def _ends(each: Series) -> str:
    """Such as ": 0.7 to 0.2", or how many points there are."""
    _, x, y = each
    return f": {len(y):,} dots" if is_cloud(x) else f": {y[0]:.3g}" + f" to {y[-1]:.3g}" * (len(y) > 1)
