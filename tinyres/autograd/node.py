"""The tape is made of nodes: one for each recorded operation, and one for each leaf."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from itertools import count
from typing import Any

from tinyres.autograd.primitive import Primitive

_serials = count()
next_serial = _serials.__next__


class Node:
    """One recorded operation, or a leaf (`primitive` is None). Holds raw arrays and parent nodes, never a Tensor.

    `serial` grows with creation, so descending serials are a reverse topological order. `parents` is aligned with the
    operation's arguments (None where no gradient is wanted).
    """

    __slots__ = (
        "__weakref__", "dtype", "kernels", "line", "owner", "parents", "path", "plan", "primitive", "roles", "saved",
        "serial", "shape",
    )  # fmt: skip

    def __init__(
        self,
        primitive: Primitive | None,
        parents: Sequence[Node | None],
        plan: Any,
        saved: Any,
        value: Any,
        path: str | None,
        kernels: str | None,
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.plan = plan
        self.saved = saved
        self.shape: tuple[int, ...] = value.shape
        self.dtype = value.dtype
        self.path = path
        self.kernels = kernels
        self.roles: tuple[str, ...] | None = None  # of a sum's arguments: "skip", "branch"
        self.owner: weakref.ref[Any] | None = None  # the tensor whose .grad is wanted
        self.line: str | None = None  # the user's source line, noted by detect_anomaly
        self.serial = next_serial()

    @property
    def name(self) -> str:
        return "leaf" if self.primitive is None else self.primitive.name

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<{self.name} #{self.serial} {self.shape}{where}>"
