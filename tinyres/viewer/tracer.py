"""The observer behind `tr.trace`: records the events of a forward and a backward pass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinyres.autograd import Event, Observer, steps
from tinyres.autograd.node import Node
from tinyres.autograd.sweep import FREED
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import enable_grad
from tinyres.viewer.joins import Joins
from tinyres.viewer.names import Names, Scopes, call_site
from tinyres.viewer.records import Op
from tinyres.viewer.summaries import Summaries

_STATIC = 60  # characters of a static argument's repr


class Tracer(Observer):
    """Collects operations by serial and events in execution order; keeps no node alive once a lane is done."""

    def __init__(self, scopes: Scopes) -> None:
        self.names = Names(scopes)
        self.summaries = Summaries()
        self.ops: dict[float, Op] = {}
        self.events: list[list[Any]] = []  # as in the document, with serials for operations
        self.joins: list[dict[str, Any]] = []
        self.grads: dict[tuple[int, int], int | None] = {}  # by lane and serial of a leaf
        self.unplaced: set[float] = set()  # operations that ran in a module, nobody saw in which root
        self._constants: dict[int, tuple[Any, float]] = {}  # by id (held, so that ids are not reused)
        self._forward_added: set[float] = set()  # operations that have a forward event
        self._lane: int | None = None  # None during a forward pass
        self._here: FrameType | None = None
        self._totals: dict[int, int | None] = {}  # by serial: the summary of the gradient accumulated so far
        self._routes = Joins()

    def lane(self, index: int, name: str, target: Tensor | Callable[[], Any]) -> None:
        """Trace one loss: its forward pass if it is a function, then its backward pass."""
        self._here, self._lane = sys._getframe(), None
        try:
            with self:
                if not isinstance(target, Tensor):
                    self.names.search_closure(target)
                loss = _as_loss(name, target)
                for node in _reachable(loss.node):  # type: ignore[arg-type]
                    self._record_unwatched(node)
                self.ops[loss.node.serial].value = self.summaries.add(loss)  # type: ignore[union-attr]
                self._lane = index
                for event in steps(loss):
                    self._add_backward(index, event)
        finally:
            self._here, self._totals, self._routes = None, {}, Joins()

    # -- forward ----------------------------------------------------------------------------------------------------
    def on_forward(self, node: Node, value: Array) -> None:
        call = sys._getframe(1)  # the operation's frame still holds what the tape does not keep
        place = call_site(call.f_back, self._here)  # type: ignore[arg-type]
        given, primitive, names = call.f_locals, node.primitive, call.f_code.co_varnames  # inputs come first there
        root = self.names.register(place.root, place.frame)
        op = self._record(node, root)
        op.value = self._add(node, value)
        if place.frame is not None:
            op.place = place.frame.f_code.co_filename, place.frame.f_lineno
        self._settings(op, primitive, given)
        for i, parent in enumerate(node.parents):
            if parent is None:
                op.inputs[i] = self._constant(node, i, given[names[i]], place.frame)
            elif parent.serial not in self.ops:
                self._leaf(parent, given[names[i]], place.frame)
        if self._lane is not None:  # a checkpoint recomputes in the backward pass
            op.again = True
            self._add_forward(node.serial)

    def _record(self, node: Node, root: int | None) -> Op:
        primitive = node.primitive
        assert primitive is not None
        count = len(node.parents)
        args = [f"{primitive.inputs[0]}{i}" for i in range(count)] if primitive.variadic else list(primitive.inputs)
        inputs = [None if parent is None else float(parent.serial) for parent in node.parents]
        made = Op(primitive.name, node.path or "", root, inputs, args, node.shape, str(node.dtype))
        self.ops[node.serial] = made
        return made

    def _settings(self, op: Op, primitive: Any, given: dict[str, Any]) -> None:
        """Record static arguments, except functions and defaults of None."""
        static = {
            name: given[name]
            for name, default in primitive.statics.items()
            if name in given and not callable(given[name]) and not (given[name] is default is None)
        }
        for name, value in static.items():  # a convolution's geometry is recorded field by field
            fields = value._asdict() if hasattr(value, "_asdict") else {name: value}
            op.static |= {field: _repr(entry) for field, entry in fields.items()}

    def _leaf(self, node: Node, value: Any, frame: FrameType | None) -> None:
        if node.primitive is not None:  # recorded during an unobserved replay: it is read from the tape later
            return
        root, name = self.names.leaf(node, frame)
        made = self.ops[node.serial] = Op("leaf", "", root, [], [], node.shape, str(node.dtype), name=name)
        made.path = name.rpartition(".")[0] if root is not None else ""
        made.value = None if value is None else self.summaries.add(value)

    def _constant(self, node: Node, i: int, value: Any, frame: FrameType | None) -> float | None:
        """The serial of a constant: just before the first operation that takes it."""
        known = self._constants.get(id(value))
        if known is not None and hasattr(value, "strides"):
            return known[1]
        kept = None if value is None else self.summaries.add(value)
        if kept is None:
            return None
        serial = node.serial - 1 + (i + 1) / (len(node.parents) + 1)
        shape, dtype = tuple(getattr(value, "shape", ())), str(getattr(value, "dtype", type(value).__name__))
        root, name = self.names.constant(value, frame)
        path = name.rpartition(".")[0] if root is not None else ""
        self.ops[serial] = Op("constant", path, root, [], [], shape, dtype, name=name, value=kept)
        self._constants[id(value)] = value, serial
        return serial

    def _add(self, node: Node, value: Any) -> int | None:
        """A summary of a node's value or cotangent: of attention's weights (N, H, L, S), head by head."""
        attention = node.primitive is not None and node.primitive.name == "softmax" and len(node.shape) == 4
        return self.summaries.add(value, heads=attention)

    # -- read from the tape -----------------------------------------------------------------------------------------
    def _record_unwatched(self, node: Node) -> None:
        """Record an operation whose forward was not observed, with the values that the tape has saved."""
        op = self.ops.get(node.serial)
        if node.primitive is None:
            if op is None:
                owner = node.owner() if node.owner is not None else None
                same = owner is not None and owner._data.shape == node.shape
                self._leaf(node, owner._data if same and owner is not None else None, None)
            return
        if op is None:
            op = self._record(node, None)
            if node.path is not None:
                self.unplaced.add(node.serial)
            self._read_saved(node, op)
        self._add_forward(node.serial)

    def _read_saved(self, node: Node, op: Op) -> None:
        if node.plan is None or node.saved is FREED:
            return
        for name, tie, value in zip(node.plan.names, node.plan.origins, node.saved, strict=True):
            if tie == "y":
                op.value = self._add(node, value)
            elif tie is None:
                self._settings(op, node.primitive, {name: value})
            elif isinstance(tie, int) and node.parents[tie] is None:
                op.inputs[tie] = self._constant(node, tie, value, None)
            elif isinstance(tie, int):
                made = self.ops[node.parents[tie].serial]  # type: ignore[union-attr]
                made.value = self.summaries.add(value)  # a leaf's value at the time, not its current one

    def _add_forward(self, serial: float) -> None:
        if serial not in self._forward_added:
            self._forward_added.add(serial)
            self.events.append(["f", serial])

    # -- backward ---------------------------------------------------------------------------------------------------
    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        if self._lane is not None:
            event = len(self.events) + 1  # the accumulation follows the rule's own event
            self._routes.add_contribution(consumer, arg_index, producer, contribution, event)

    def _add_backward(self, lane: int, event: Event) -> None:
        consumer, producer = event.consumer, event.producer
        if consumer.serial not in self.ops:  # recorded in a replay while a checkpoint recomputes
            for node in _reachable(consumer):
                self._record_unwatched(node)
        self.ops[consumer.serial].roles = consumer.roles
        edge = lane, consumer.serial, event.arg_index, producer.serial
        contribution = self._add(producer, event.contribution)
        if event.kind == "rule":
            self.events.append(["r", *edge, contribution])
        else:
            before, total = self._totals.get(producer.serial), self._add(producer, event.total)
            self.events.append(["a", *edge, contribution, before, total])
            self._totals[producer.serial] = total

    def on_cotangent(self, node: Node, total: Any) -> None:
        if self._lane is None:  # a backward pass inside the function, as in a gradient penalty
            return
        if node.serial not in self._totals:  # a pass starts here: at the loss, or in a checkpoint
            self._totals[node.serial] = self.summaries.add(total)
            self.events.append(["s", self._lane, node.serial, self._totals[node.serial]])
        for join in self._routes.joins_at(node):
            self.joins.append({"lane": self._lane, "op": node.serial, **join})
        if node.primitive is None:
            self.grads[self._lane, node.serial] = self._totals[node.serial]


def _as_loss(name: str, target: Tensor | Callable[[], Any]) -> Tensor:
    """The loss tensor that a target is or returns, checked."""
    if isinstance(target, Tensor):
        loss: Any = target
    else:
        with enable_grad():
            loss = target()
    what = f"trace: {name}" if isinstance(target, Tensor) else f"trace: the function {name}"
    if not isinstance(loss, Tensor):
        raise TypeError(f"{what} must return the loss, a tensor of one element; it returned {type(loss).__name__}")
    if loss.size != 1:
        raise ValueError(f"{what} has shape {loss.shape}; a loss has one element: reduce it first, e.g. with .mean()")
    if loss.node is None:
        raise ValueError(
            f"{what} requires no gradient, so there is no backward pass to show: none of its inputs has "
            "requires_grad=True, or it was computed under tr.no_grad()"
        )
    if not isinstance(target, Tensor) and loss.node.saved is FREED:
        raise RuntimeError(
            f"{what} called backward(), which frees the graph; return the loss and leave the backward pass to trace"
        )
    return loss


def _reachable(head: Node) -> list[Node]:
    """All nodes of a graph, parents first."""
    seen, stack = {head}, [head]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.serial)


def _repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _STATIC else text[: _STATIC - 1] + "…"
