"""Names and colours of the five places for a layer norm, the same in every figure of the stream."""

from __future__ import annotations

from tinyres.figures import palette

LABELS = {
    "pre": "pre-LN",
    "post": "post-LN",
    "peri": "peri-LN",
    "lns": "LayerNorm scaling",
    "deep": "DeepNorm",
}
COLOURS = {
    "pre": palette.RESIDUAL,
    "post": palette.PLAIN,
    "peri": palette.CASES[3],
    "lns": palette.CASES[1],
    "deep": palette.CASES[2],
}

__all__ = ["COLOURS", "LABELS"]
