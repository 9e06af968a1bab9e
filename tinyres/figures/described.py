"""What a drawn figure shows, in words: for those who do not see it. The words are kept in the PNG file."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

LONGEST = 900  # characters; a reader hears all of them at every visit
NAMED = 6  # entries of a legend that are read out


def described(figure: Any) -> str:
    """Each panel's title, its axes and what is drawn: "Loss; vertical axis, loss; 2 lines or rows of dots (D, G)." """
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
    across, up = _plain(axes.get_xlabel()), _plain(axes.get_ylabel())
    named = [f"{way} axis, {label}" for way, label in (("vertical", up), ("horizontal", across)) if label]
    head = "; ".join(part for part in (_plain(axes.get_title()), *named) if part)
    drawn = [f"{len(axes.images)} map" + "s" * (len(axes.images) > 1)] if axes.images else []
    if (count := len(axes.lines)) > 0:
        drawn.append(f"{count} line{'s' * (count > 1)} or rows of dots")
    if axes.patches:
        drawn.append("bars")
    legend = axes.get_legend()
    entries = [_plain(text.get_text()) for text in legend.get_texts()] if legend is not None else []
    more = [f"and {len(entries) - NAMED} more"] if len(entries) > NAMED else []
    names = f" ({', '.join([*entries[:NAMED], *more])})" if entries else ""
    return "; ".join(part for part in (head, ", ".join(drawn) + names) if part)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("$", "")).strip()
