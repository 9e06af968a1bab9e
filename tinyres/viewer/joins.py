"""Where the routes of a residual sum rejoin, and which event of the trace brings which route."""

from __future__ import annotations

import math
from typing import Any

from tinyres.autograd.node import Node
from tinyres.flow.instruments.routes import Meeting, Routes
from tinyres.viewer.summaries import number

_ROUTES = ("skip", "branch", "gate")


class Joins(Routes):
    """`Routes` that also notes the event of every contribution on a route."""

    def __init__(self) -> None:
        super().__init__()
        self._events: dict[tuple[Node, Node, str], int] = {}  # by node, sum and route: the last contribution's

    def see(self, consumer: Node, arg_index: int, producer: Node, contribution: Any, event: int) -> None:
        """A contribution, which event number `event` accumulates."""
        before = {total: dict(parts) for total, parts in self._arrived.get(producer, {}).items()}
        self.on_edge(consumer, arg_index, producer, contribution)
        for total, parts in self._arrived.get(producer, {}).items():
            for role, part in parts.items():
                if part is not before.get(total, {}).get(role):
                    self._events[producer, total, role] = event

    def meet(self, node: Node) -> list[dict[str, Any]]:
        """All contributions to `node` are in: the routes that rejoin there, without lane and operation."""
        before = len(self.met)
        self.on_cotangent(node)
        return [self._told(node, total, self.met[total]) for total in list(self.met)[before:]]

    def _told(self, node: Node, total: Node, meeting: Meeting) -> dict[str, Any]:
        routes = [
            {"role": role, "event": self._events[node, total, role], "norm": number(getattr(meeting, role))}
            for role in _ROUTES
            if (node, total, role) in self._events
        ]
        cosine = min(max(meeting.cosine, -1.0), 1.0) if math.isfinite(meeting.cosine) else math.nan
        return {"name": total.path or "", "routes": routes, "angle": None if math.isnan(cosine) else math.acos(cosine)}
