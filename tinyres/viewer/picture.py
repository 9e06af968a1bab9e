"""A still picture for where no script runs: a bar for each module, log10 of the norm of the gradient there."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from tinyres.viewer.summaries import Thumbnail, Whole

if TYPE_CHECKING:
    from tinyres.viewer.tracing import Trace

_MOST = 40  # bars
_ROW, _LABEL, _BAR, _NUMBER = 18, 260, 300, 70  # pixels


def draw(trace: Trace) -> str:
    """What the output of each module got, for the graph's modules; operations outside of any stand for themselves."""
    norms: dict[str, float | None] = {}
    last = {(event[1], event[4]): event[7] for event in trace.events if event[0] == "a"}
    for (lane, op), place in sorted(last.items(), key=lambda item: item[0]):
        found = trace.ops[op]
        if found.kind != "leaf":  # in the order of the forward pass: the last operation of a module is its output
            name = found.path or f"{found.kind} #{op}"
            lane_name = f"{trace.lanes[lane]}: " if len(trace.lanes) > 1 else ""
            norms[f"{lane_name}{name}"] = _log(trace.summaries[place])
    return bars(norms)


def bars(logs: dict[str, float | None]) -> str:
    """An SVG of horizontal bars: of at most 40 of them, evenly chosen where there are more."""
    names = list(logs)
    if len(names) > _MOST:
        names = [names[round(i * (len(names) - 1) / (_MOST - 1))] for i in range(_MOST)]
    finite = [value for name in names if (value := logs[name]) is not None]
    low, high = (math.floor(min(finite)) - 1, math.ceil(max(finite))) if finite else (-1, 0)
    rows = [_row(i, name, logs[name], low, max(high - low, 1)) for i, name in enumerate(names)]
    width, height = _LABEL + _BAR + _NUMBER, _ROW * (len(rows) + 2)
    title = f'<text x="{_LABEL}" y="14" font-weight="bold">log10 of the norm of the gradient</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{title}'
        f"{''.join(rows)}</svg>"
    )


def _row(i: int, name: str, value: float | None, low: int, span: int) -> str:
    y = _ROW * (i + 1) + 14
    short = name if len(name) <= 38 else f"{name[:18]}…{name[-19:]}"
    length = 0 if value is None else _BAR * (value - low) / span
    told = "none" if value is None else f"{value:.2f}"
    return (
        f'<text x="{_LABEL - 6}" y="{y}" text-anchor="end">{escape(short)}</text>'
        f'<rect x="{_LABEL}" y="{y - 10}" width="{length:.1f}" height="12" fill="#3b6ea5"/>'
        f'<text x="{_LABEL + length + 4:.1f}" y="{y}">{told}</text>'
    )


def _log(summary: Whole | Thumbnail) -> float | None:
    norm = float(summary.norm if isinstance(summary, Thumbnail) else summary.to_json()["n"])
    return math.log10(norm) if 0 < norm < math.inf else None
