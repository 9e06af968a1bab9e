"""What a reader should not miss in a trace: where routes rejoin, routes without a gradient, and where to look first."""

from __future__ import annotations

import math
from typing import Any

from tinyres.viewer.records import TraceData

_ROUTES = ("skip", "branch")


def rejoining(trace: TraceData) -> dict[int, list[str]]:
    """By the event that completes them: what came through each route of residual sums, and the angle between them."""
    found: dict[int, list[str]] = {}
    for join in trace.joins:  # one block may begin with another: the last contribution then completes both
        found.setdefault(max(route["event"] for route in join["routes"]), []).append(_shares(trace, join))
    return found


def _shares(trace: TraceData, join: dict[str, Any]) -> str:
    norms = [float(route["norm"]) for route in join["routes"]]
    total = sum(norms)
    shares = [f"{norm / total:.0%}" if 0 < total < math.inf else "" for norm in norms]
    if shares[0]:
        shares[0] += " of the sum of the norms"  # said once: what the percentages are of
    parts = [
        f"{route['role']} |g| = {norm:.4g}" + (f" ({share})" if share else "")
        for route, norm, share in zip(join["routes"], norms, shares, strict=True)
    ]
    angle = "" if join["angle"] is None else f", {math.degrees(join['angle']):.0f}° apart"
    return f"the routes of {_block(trace, join['name'])} rejoin: {', '.join(parts)}{angle}"


def _block(trace: TraceData, path: str) -> str:
    """A module in a sentence: many are called by a number alone, which would read as one."""
    if not path:
        return "the block"
    kind = trace.classes.get(path, "")
    return f"block {path}{f' ({kind})' if kind else ''}"


def silent(trace: TraceData) -> list[dict[str, Any]]:
    """Each residual sum with a route that got no gradient, and a sentence that says why."""
    sent = {(event[1], event[2], event[3]) for event in trace.events if event[0] == "r"}
    ran = {(event[1], event[2]) for event in trace.events if event[0] == "r"}
    found = []
    for lane, number in sorted(ran):
        op = trace.ops[number]
        for i, role in enumerate(op.roles or ()):
            if role not in _ROUTES or (lane, number, i) in sent:
                continue
            source = op.inputs[i]
            name = trace.ops[int(source)].name if source is not None else ""
            what = f"its input{f', {name},' if name else ''} requires no gradient"
            mend = f"To see it, let the input require one: {name or 'x'}.requires_grad_()"
            route = "skip connection" if role == "skip" else role
            text = f"No gradient goes through the {route} of {_block(trace, op.path)}: {what}. {mend}."
            found.append({"lane": lane, "op": number, "arg": i, "text": text})
    return found


def first_look(trace: TraceData) -> dict[str, Any] | None:
    """The event with most to see, and a sentence that says what; None for a trace without a backward pass.

    A place where two routes rejoin; else a residual sum with a silent route; else a gradient that is a sum of several
    contributions; else the beginning of the backward pass.
    """
    if joins := rejoining(trace):
        place, (text, *_) = min(joins.items())
        return {"event": place, "text": f"{text[0].upper()}{text[1:]}."}
    quiet = {(entry["lane"], entry["op"]): entry["text"] for entry in silent(trace)}
    for i, event in enumerate(trace.events):
        if event[0] == "r" and (event[1], event[2]) in quiet:
            return {"event": i, "text": quiet[event[1], event[2]]}
    for i, event in enumerate(trace.events):
        if event[0] == "a" and event[6] is not None:
            op = trace.ops[event[4]]
            return {"event": i, "text": f"{op.name or op.kind} is used more than once: its gradient is a sum."}
    start = next((i for i, event in enumerate(trace.events) if event[0] == "s"), None)
    return None if start is None else {"event": start, "text": "The backward pass begins there."}
