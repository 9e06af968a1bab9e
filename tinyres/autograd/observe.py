"""Observers: who may watch forward and backward, and what they see."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tinyres.context import assign, context, current
from tinyres.node import Node
from tinyres.tensor import Array


class Observer:
    """Override what you want to see; active inside a `with` block.

    class Norms(Observer):
        def on_edge(self, consumer, arg_index, producer, contribution): ...
    """

    _blocks: list[context]  # as often as it is entered

    def on_call(self, module: Any, path: str | None) -> None:
        """A module is about to run; `path` is what the nodes inside of it will carry."""

    def on_forward(self, node: Node, value: Array) -> None:
        """An operation was recorded; `value` is its output."""

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        """A rule of `consumer` sent `contribution` to the cotangent of `producer`; not yet accumulated."""

    def on_cotangent(self, node: Node, total: Any) -> None:
        """All contributions to `node` are in: `total` is the gradient there."""

    def __enter__(self) -> Any:
        block = context(observers=(*current().observers, self))
        block.__enter__()
        self.__dict__.setdefault("_blocks", []).append(block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        watching = current().observers
        last = len(watching) - 1 - watching[::-1].index(self) if self in watching else len(watching)
        others = (*watching[:last], *watching[last + 1 :])
        self._blocks.pop().__exit__(kind, error, trace)  # and no cycle is left behind
        if current().observers != others:  # one that was entered later watches on, or one that came earlier has left
            assign(observers=others)
