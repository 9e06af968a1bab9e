"""A still SVG for readers without scripts: a drawing of a small backward pass, or bars of gradient norms by module."""

from __future__ import annotations

import math
from html import escape

from tinyres.viewer.records import TraceData
from tinyres.viewer.sketch import sketch

_MOST = 40  # bars
_ROW, _LABEL, _BAR, _NUMBER = 18, 260, 300, 70  # pixels


def draw(trace: TraceData) -> str:
    """A sketch of a small trace; otherwise a bar per module output, and per operation outside of any module."""
    return sketch(trace) or bars(_by_module(trace))


def _by_module(trace: TraceData) -> dict[str, float]:
    norms: dict[str, float] = {}
    last = {(event[1], event[4]): event[7] for event in trace.events if event[0] == "a"}
    for (lane, op), place in sorted(last.items(), key=lambda item: item[0]):
        found = trace.ops[op]
        if found.kind != "leaf":  # sorted by forward order, so a module's last operation, its output, wins
            name = found.path or f"{found.kind} #{op}"
            lane_name = f"{trace.lanes[lane]}: " if len(trace.lanes) > 1 else ""
            norms[f"{lane_name}{name}"] = log10(trace.summaries[place].size())
    return norms


def bars(logs: dict[str, float]) -> str:
    """An SVG of horizontal bars; of more than 40, an evenly spaced selection."""
    names = list(logs)
    if len(names) > _MOST:
        names = [names[round(i * (len(names) - 1) / (_MOST - 1))] for i in range(_MOST)]
    finite = [logs[name] for name in names if math.isfinite(logs[name])]
    low, high = (math.floor(min(finite)) - 1, math.ceil(max(finite))) if finite else (-1, 0)
    rows = [_row(i, name, logs[name], low, max(high - low, 1)) for i, name in enumerate(names)]
    width, height = _LABEL + _BAR + _NUMBER, _ROW * (len(rows) + 2)
    title = f'<text x="{_LABEL}" y="14" font-weight="bold">log10 of the norm of the gradient</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{title}'
        f"{''.join(rows)}</svg>"
    )


def _row(i: int, name: str, value: float, low: int, span: int) -> str:
    y = _ROW * (i + 1) + 14
    short = name if len(name) <= 38 else f"{name[:18]}…{name[-19:]}"
    length = _BAR * (value - low) / span if math.isfinite(value) else 0.0
    told = "none" if value == -math.inf else f"{value:.2f}"
    return (
        f'<text x="{_LABEL - 6}" y="{y}" text-anchor="end">{escape(short)}</text>'
        f'<rect x="{_LABEL}" y="{y - 10}" width="{length:.1f}" height="12" fill="#3b6ea5"/>'
        f'<text x="{_LABEL + length + 4:.1f}" y="{y}">{told}</text>'
    )


def log10(norm: float) -> float:
    """log10, with -inf for 0; NaN and infinity pass through."""
    return -math.inf if norm == 0 else math.log10(norm)
