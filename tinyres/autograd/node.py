"""The tape: one node for each recorded operation, and one for each leaf. Together they are the graph."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from itertools import count
from typing import Any

from tinyres.autograd.primitive import Primitive
from tinyres.context import Context

_serials = count()
next_serial = _serials.__next__


class Node:
    """One recorded operation, or a leaf. It holds raw arrays and other nodes, never a Tensor: no reference cycles.

    Attributes:
        primitive: the operation; None for a leaf.
        parents: for each input of the operation, the node that made it; None where no gradient is wanted.
        plan: how to run the rules on `saved` (a `plan.Plan`).
        saved: the values that the rules asked for, in the order of `plan.names`.
        shape, dtype: those of the output, and so of its cotangent.
        path: the name of the module that the operation ran in, "block3.conv1".
        kernels: the kernel set that was forced; the rules use the same.
        roles: what the inputs of a residual sum are, ("branch", "skip"); None elsewhere. For instruments.
        owner: the tensor whose `.grad` a backward pass fills: a weak reference, since the tensor holds the node.
        hooks: functions on the cotangent (`hooks.Hooks`); not even set where there are none.
        line: the line of the user's code that called the operation, if `detect_anomaly` was on.
        serial: counts up with every node. An operation is younger than its inputs, so nodes in descending order of
            serials are in reverse topological order: that is all the sorting a backward pass needs.
    """

    __slots__ = (
        "__weakref__", "dtype", "hooks", "kernels", "line", "owner", "parents", "path", "plan", "primitive", "roles",
        "saved", "serial", "shape",
    )  # fmt: skip

    primitive: Primitive | None
    parents: Sequence[Node | None]
    plan: Any
    saved: Any
    shape: tuple[int, ...]
    dtype: Any
    path: str | None
    kernels: Any
    roles: tuple[str, ...] | None
    owner: weakref.ref[Any] | None
    hooks: Any
    line: str | None
    serial: int

    @property
    def name(self) -> str:
        return "leaf" if self.primitive is None else self.primitive.name

    def __lt__(self, other: Node) -> bool:  # where a heap has two at the same place, two leaves with hooks
        return self.serial < other.serial

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<{self.name} #{self.serial} {self.shape}{where}>"


def make_node(
    primitive: Primitive | None,
    parents: Sequence[Node | None],
    plan: Any,
    saved: Any,
    value: Any,
    ambient: Context,
) -> Node:
    """The node of a `value`. A function rather than `Node.__init__`, of which Python makes a slower call."""
    node = Node()
    node.primitive = primitive
    node.parents = parents
    node.plan = plan
    node.saved = saved
    node.shape = value.shape
    node.dtype = value.dtype
    node.path = ambient.path
    node.kernels = ambient.kernels
    node.roles = node.owner = node.line = None
    node.serial = next_serial()
    return node
