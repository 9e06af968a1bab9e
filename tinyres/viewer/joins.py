"""Where the routes of a residual sum rejoin, and which trace event delivers each route's gradient."""

from __future__ import annotations

import math
from typing import Any

from tinyres.autograd.node import Node
from tinyres.flow.instruments.routes import RouteNorms, Routes
from tinyres.viewer.summaries import json_number

_ROUTES = ("skip", "branch", "gate")


class Joins(Routes):
    """`Routes` that also records the event of every contribution."""

    def __init__(self) -> None:
        super().__init__()
        self._events: dict[tuple[Node, Node, str], int] = {}  # by node, sum and route: the last contribution's

    def add_contribution(self, consumer: Node, arg_index: int, producer: Node, contribution: Any, event: int) -> None:
        """Add a contribution; `event` is the number of the event that accumulates it."""
        before = {total: dict(parts) for total, parts in self._arrived.get(producer, {}).items()}
        self.on_edge(consumer, arg_index, producer, contribution)
        for total, parts in self._arrived.get(producer, {}).items():
            for role, part in parts.items():
                if part is not before.get(total, {}).get(role):
                    self._events[producer, total, role] = event

    def joins_at(self, node: Node) -> list[dict[str, Any]]:
        """The joins at `node` once all its contributions have arrived, still without lane and names; by serials."""
        before = len(self.norms)
        self.on_cotangent(node)
        return [self._join(node, total, self.norms[total]) for total in list(self.norms)[before:]]

    def _join(self, node: Node, total: Node, norms: RouteNorms) -> dict[str, Any]:
        routes = [
            {"role": role, "event": self._events[node, total, role], "norm": json_number(getattr(norms, role))}
            for role in _ROUTES
            if (node, total, role) in self._events
        ]
        cosine = min(max(norms.cosine, -1.0), 1.0) if math.isfinite(norms.cosine) else math.nan
        return {"sum": total.serial, "routes": routes, "angle": None if math.isnan(cosine) else math.acos(cosine)}
