"""By which route a gradient comes back to where the routes of a residual sum rejoin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.flow.instruments.statistics import dot, sizes


class Meeting(NamedTuple):
    """Norms of what the routes of one sum bring back to its input, and the cosine of the skip's and the branch's."""

    skip: float
    branch: float
    gate: float
    cosine: float


class Routes:
    """Follows both arguments of every sum with the roles "skip" and "branch" down to the node where they rejoin.

    That node is the first that something from the skip and something from the branch both reach: in x + F(x) it is x,
    whatever stands in F or in a shortcut. Nothing has to be known about modules. What comes through a gate, which has
    a say in both (`nn.Highway`), is a route of its own.

    Between sum and meeting, contributions are held as long as the backward pass itself holds them.
    """

    def __init__(self) -> None:
        self.met: dict[Node, Meeting] = {}  # by sum
        self._roles: dict[Node, dict[Node, str]] = {}  # of a node on the way: by sum, the route that it lies on
        self._arrived: dict[Node, dict[Node, dict[str, Any]]] = {}  # by node, sum and role, until the node's turn

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        roles = self._roles.get(consumer, {})
        own = consumer.roles[arg_index] if consumer.roles else None
        if own is not None and {"skip", "branch"} <= set(consumer.roles or ()):
            roles = {**roles, consumer: own}
        elif own is not None:  # a product in which skip and gate meet says which is which
            roles = {total: own if total.path == consumer.path else role for total, role in roles.items()}
        if not roles or is_parameter(producer):
            return
        for total, role in roles.items():
            so_far = self._arrived.setdefault(producer, {}).setdefault(total, {})
            so_far[role] = so_far[role] + contribution if role in so_far else contribution

    def on_cotangent(self, node: Node) -> None:
        """All contributions to `node` are in: the routes have met, or go on from here."""
        onward = {}
        for total, parts in self._arrived.pop(node, {}).items():
            if "skip" in parts and "branch" in parts:
                self.met[total] = _measure(parts)
            else:
                onward[total] = next(iter(parts)) if len(parts) == 1 else "gate"
        if onward:
            self._roles[node] = onward
        else:
            self._roles.pop(node, None)

    def by_name(self, name_of: Callable[[str | None], str | None]) -> dict[str, Meeting]:
        """The meetings in the order of the forward pass. Of several sums in one module the second is `name#2`."""
        found: dict[str, Meeting] = {}
        times: dict[str, int] = {}
        for total in sorted(self.met, key=lambda node: node.serial):
            name = name_of(total.path)
            if name is not None:
                times[name] = times.get(name, 0) + 1
                found[name if times[name] == 1 else f"{name}#{times[name]}"] = self.met[total]
        return found


def share(part: float, meeting: Meeting) -> float:
    """part / (|skip| + |branch| + |gate|); NaN where all are 0."""
    whole = meeting.skip + meeting.branch + meeting.gate
    return part / whole if whole else math.nan


def is_parameter(node: Node) -> bool:
    """Whether the node is the leaf of a module's parameter."""
    return node.owner is not None and isinstance(node.owner(), nn.Parameter)


def _measure(parts: dict[str, Any]) -> Meeting:
    names = [name for name in ("skip", "branch", "gate") if name in parts]
    skip, branch, *rest = sizes([parts[name] for name in names])
    gate = rest[0] if rest else 0.0
    if not skip * branch:  # at least one is 0, or their product is too small for a float
        return Meeting(skip, branch, gate, math.nan)
    return Meeting(skip, branch, gate, dot(parts["skip"], parts["branch"]) / (skip * branch))
