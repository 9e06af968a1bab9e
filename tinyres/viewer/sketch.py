"""A still SVG of a small backward pass: the loss at the bottom, gradient norms on the way up."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TypeAlias

from tinyres.viewer.records import TraceData

MOST = 30  # operations; a larger drawing would be unreadable
_BOX, _STEP, _ROW, _EDGE = (122, 36), 136, 66, 24  # pixels: a box, from box to box, from row to row, margin
_LINES = {"skip": ("#1a5fb4", "7 4"), "branch": ("#a84e00", "2 3")}  # as on the page

Spot: TypeAlias = "int | tuple[int, int]"  # an operation, or where an edge (by its number) crosses a row


def sketch(trace: TraceData) -> str | None:
    """An SVG of the operations that a gradient reached; None for several losses or more than 30 operations."""
    totals = {event[2 if event[0] == "s" else 4]: event[-1] for event in trace.events if event[0] in "sa"}
    if len(trace.lanes) > 1 or len(totals) > MOST:
        return None
    edges = [tuple(event[2:5]) for event in trace.events if event[0] == "r"]  # (consumer, argument, producer)
    rows, chains = _rows(list(totals), edges)
    across = _across(rows, chains)
    left = min(across.values()) - 0.5
    width = (max(across.values()) + 0.5 - left) * _STEP + 2 * _EDGE
    height = _ROW * len(rows) + 2 * _EDGE
    at = {
        spot: ((across[spot] - left) * _STEP + _EDGE, height - _EDGE - _ROW * (r + 0.5))
        for r, row in enumerate(rows)
        for spot in row
    }
    lines = [
        _line([at[spot] for spot in chain], (trace.ops[consumer].roles or [""] * (arg + 1))[arg])
        for chain, (consumer, arg, _) in zip(chains, edges, strict=True)
    ]
    boxes = [
        _box(*at[op], trace.ops[op].name or f"{trace.ops[op].kind} #{op}", f"{trace.summaries[total].size():.4g}")
        for op, total in totals.items()
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><text x="{_EDGE}" y="18" font-weight="bold">'
        f"norms of the gradients, from the loss up</text>{''.join(lines)}{''.join(boxes)}</svg>"
    )


def _rows(ops: list[int], edges: list[tuple[int, ...]]) -> tuple[list[list[Spot]], list[list[Spot]]]:
    """Rows from the loss up, each operation above all its consumers; and for each edge its spots, row by row."""
    row = dict.fromkeys(ops, 0)
    for consumer, _, producer in sorted(edges, reverse=True):
        row[producer] = max(row[producer], row[consumer] + 1)
    rows: list[list[Spot]] = [[op for op in ops if row[op] == r] for r in range(max(row.values()) + 1)]
    chains: list[list[Spot]] = []
    for i, (consumer, _, producer) in enumerate(edges):
        between: list[Spot] = [(i, r) for r in range(row[consumer] + 1, row[producer])]
        for r, spot in enumerate(between, row[consumer] + 1):
            rows[r].append(spot)
        chains.append([consumer, *between, producer])
    return rows, chains


def _across(rows: list[list[Spot]], chains: list[list[Spot]]) -> dict[Spot, float]:
    """Horizontal positions: each operation above its consumers, as far as its neighbours allow."""
    below: dict[Spot, list[Spot]] = {}
    for chain in chains:
        for lower, upper in pairwise(chain):
            below.setdefault(upper, []).append(lower)
    across: dict[Spot, float] = {}
    for row in rows:
        wanted = {spot: _mean([across[lower] for lower in below.get(spot, [])]) for spot in row}
        placed: list[float] = []
        for spot in sorted(row, key=lambda spot: wanted[spot]):
            placed.append(max(wanted[spot], placed[-1] + 1) if placed else wanted[spot])
            across[spot] = placed[-1]
        back = _mean([across[spot] - wanted[spot] for spot in row])
        across |= {spot: across[spot] - back for spot in row}
    return across


def _mean(values: list[float]) -> float:
    return sum(values) / max(len(values), 1)


def _line(points: list[tuple[float, float]], role: str) -> str:
    colour, dashes = _LINES.get(role, ("#7c858e", "none"))
    half = _BOX[1] / 2
    (x, y), *between, (to_x, to_y) = points
    path = " ".join(f"{x:.0f},{y:.0f}" for x, y in [(x, y - half), *between, (to_x, to_y + half)])
    tip = f"{to_x:.0f},{to_y + half:.0f} {to_x - 4:.0f},{to_y + half + 8:.0f} {to_x + 4:.0f},{to_y + half + 8:.0f}"
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes}"/>'
        f'<polygon points="{tip}" fill="{colour}"/>'
    )


def _box(x: float, y: float, name: str, norm: str) -> str:
    short = name if len(name) <= 16 else f"…{name[-15:]}"
    width, height = _BOX
    return (
        f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" height="{height}" rx="6" '
        f'fill="#f1f1ee" stroke="#a3abb4"/><g text-anchor="middle"><text x="{x:.0f}" y="{y - 3:.0f}">{escape(short)}'
        f'</text><text x="{x:.0f}" y="{y + 12:.0f}" fill="#59626d">{norm}</text></g>'
    )
