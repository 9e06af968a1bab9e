"""Skip versus branch: the gradient that each route of a residual sum carries back to its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.flow.instruments.statistics import dot, sizes


class RouteNorms(NamedTuple):
    """Norms of the gradients that the routes of one sum carry back to its input, and the cosine of skip and branch."""

    skip: float
    branch: float
    gate: float
    cosine: float


class Routes:
    """Follows both arguments of every sum labelled "skip" and "branch" back to the node where they rejoin.

    That is the first node reached from both the skip and the branch: in x + F(x) it is x, whatever F or the shortcut
    contain. No knowledge of modules is needed. A gate that multiplies both (`nn.Highway`) is a route of its own.

    Contributions on the way are held only as long as the backward pass holds them.
    """

    def __init__(self) -> None:
        self.norms: dict[Node, RouteNorms] = {}  # by sum
        self._passed: dict[Node, None] = {}  # the sums that the gradient has passed, rejoined or not
        self._roles: dict[Node, dict[Node, str]] = {}  # by node on a route, then by sum: which route it lies on
        self._arrived: dict[Node, dict[Node, dict[str, Any]]] = {}  # by node, sum and role, until the node is visited

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        roles = self._roles.get(consumer, {})
        own = consumer.roles[arg_index] if consumer.roles else None
        if own is not None and {"skip", "branch"} <= set(consumer.roles or ()):
            roles = {**roles, consumer: own}
            self._passed[consumer] = None
        elif own is not None:  # a product of skip and gate, whose arguments are labelled
            roles = {total: own if total.path == consumer.path else role for total, role in roles.items()}
        if not roles or is_parameter(producer):
            return
        for total, role in roles.items():
            so_far = self._arrived.setdefault(producer, {}).setdefault(total, {})
            so_far[role] = so_far[role] + contribution if role in so_far else contribution

    def on_cotangent(self, node: Node) -> None:
        """All contributions to `node` have arrived: the routes rejoin here, or continue."""
        onward = {}
        for total, parts in self._arrived.pop(node, {}).items():
            if "skip" in parts and "branch" in parts:
                self.norms[total] = _measure(parts)
            else:
                onward[total] = next(iter(parts)) if len(parts) == 1 else "gate"
        if onward:
            self._roles[node] = onward
        else:
            self._roles.pop(node, None)

    def one_way(self, name_of: Callable[[Node], str | None]) -> list[str]:
        """The modules whose routes did not rejoin: no gradient came back to their input, which needs none."""
        unmet = [total for total in self._passed if total not in self.norms]
        names = [name_of(total) for total in sorted(unmet, key=lambda node: node.serial)]
        return list(dict.fromkeys(name for name in names if name is not None))

    def by_name(self, name_of: Callable[[Node], str | None]) -> dict[str, RouteNorms]:
        """The norms in the order of the forward pass. If a module has several sums, the second is `name#2`."""
        found: dict[str, RouteNorms] = {}
        times: dict[str, int] = {}
        for total in sorted(self.norms, key=lambda node: node.serial):
            name = name_of(total)
            if name is not None:
                times[name] = times.get(name, 0) + 1
                found[name if times[name] == 1 else f"{name}#{times[name]}"] = self.norms[total]
        return found


def share(part: float, norms: RouteNorms) -> float:
    """part / (|skip| + |branch| + |gate|); NaN if all are 0."""
    whole = norms.skip + norms.branch + norms.gate
    return part / whole if whole else math.nan


def why_none(model: nn.Module, one_way: list[str]) -> str:
    """Why a step had no two routes to compare, and the mend.

    one_way: the residual connections to whose input nothing came back.
    """
    if one_way:
        return (
            f"found no gradient at the input of {some(one_way)}, where skip connection and branch would rejoin: "
            "that input needs none. Make it need one, x = tr.tensor(x, requires_grad=True), or put a layer before"
        )
    built = [name for name, m in model.named_modules() if isinstance(m, nn.Residual | nn.Highway)]
    if built:
        return (
            f"found that the gradient passed none of the residual connections ({some(built)}): did they run in "
            "this step, and does the loss depend on them?"
        )
    return (
        "found no residual connection, so there are no two routes to compare; build the "
        "blocks with nn.Residual, or use gradient_norms() or history(), which need none. nn.Residual changes "
        "the keys of a state_dict: load PyTorch's weights first, and wrap the branches after"
    )


def why_missing(one_way: list[str]) -> str:
    """Why the share of these is NaN where others have one, and the mend."""
    return (
        f"record: the skip share of {some(one_way)} is NaN: no gradient came back to where skip connection and branch "
        "would rejoin, for the input needs none. Make it need one, x = tr.tensor(x, requires_grad=True)"
    )


def some(names: list[str]) -> str:
    """Up to four names."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def is_parameter(node: Node) -> bool:
    """Whether the node is the leaf of an `nn.Parameter`."""
    return node.owner is not None and isinstance(node.owner(), nn.Parameter)


def _measure(parts: dict[str, Any]) -> RouteNorms:
    names = [name for name in ("skip", "branch", "gate") if name in parts]
    skip, branch, *rest = sizes([parts[name] for name in names])
    gate = rest[0] if rest else 0.0
    if not skip * branch:  # at least one is 0, or their product is too small for a float
        return RouteNorms(skip, branch, gate, math.nan)
    return RouteNorms(skip, branch, gate, dot(parts["skip"], parts["branch"]) / (skip * branch))
