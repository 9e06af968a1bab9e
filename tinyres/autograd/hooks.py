"""Hooks on gradients: functions that see the cotangent of a tensor once it is complete, and may return another one.

    handle = h.register_hook(lambda g: g.clip(-1, 1))      # None would leave the gradient as it is
    loss.backward()
    handle.remove()

The hooks of a tensor are with its node, so that `sweep` finds them: it asks only while some exist (`LIVE`). Those of a
leaf are with the tensor as well, whose node is made anew when it is frozen and thawed, or changes its dtype.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count
from typing import Any, Self

import numpy as np

from tinyres.autograd.calling import public
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import FUNCTIONS, Tensor, raw, wrap
from tinyres.context import context, current
from tinyres.refusals.wording import describe

_numbers = count()


class RemovableHandle:
    """What registering a hook returns. `remove()` takes the hook away, and so does the end of a `with` block."""

    def __init__(self, remove: Callable[[], object] = lambda: None) -> None:
        self._remove = remove

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._remove()


class Hooks:
    """The hooks of one node: its own functions by number, and the group that it belongs to, if any."""

    __slots__ = ("__weakref__", "functions", "group")

    def __init__(self) -> None:
        self.functions: dict[int, Callable[[Tensor], Any]] = {}
        self.group: Group | None = None

    def remove(self, number: int) -> None:
        self.functions.pop(number, None)
        if not self.functions and self.group is None:
            LIVE.discard(self)


class Group:
    """Nodes whose cotangents a function sees together: the inputs or the outputs of a module.

    They were made one right after the other, so what uses them is younger than all of them: when a pass comes to the
    first of them, the cotangents of all are complete.
    """

    __slots__ = ("function", "nodes")

    def __init__(self, nodes: Iterable[Node | None], function: Callable[[list[Any]], Sequence[Any] | None]) -> None:
        # Weak references, since the nodes hold the group; None for an input that is no tensor or wants no gradient.
        self.nodes = [None if node is None else weakref.ref(node) for node in nodes]
        self.function = function


LIVE: weakref.WeakSet[Hooks] = weakref.WeakSet()  # all that hold a function or belong to a group


def hooks_of(node: Node) -> Hooks:
    """The node's hooks, from now on looked for by every pass."""
    found: Hooks | None = getattr(node, "hooks", None)  # not set for a node without hooks: that costs nothing
    if found is None:
        found = node.hooks = Hooks()
    LIVE.add(found)
    return found


def join(nodes: Sequence[Node | None], function: Callable[[list[Any]], Sequence[Any] | None]) -> None:
    """Let `function` see the cotangents of these nodes together: a list of tensors, None where there is no gradient.

    It returns None, or a sequence of the same length of which each entry that is not None replaces a cotangent.
    """
    group = Group(nodes, function)
    for node in nodes:
        if node is not None:
            hooks_of(node).group = group


@public
def register_hook(tensor: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
    """See `Tensor.register_hook`."""
    if tensor.node is None:
        if any(getattr(observer, "first_run", False) for observer in current().observers):
            return RemovableHandle()  # a checkpoint runs its function again to be differentiated, and registers then
        raise RuntimeError(
            f"register_hook: {describe(tensor)} requires no gradient, so none will come by; make it with "
            "requires_grad=True, or register the hook outside of no_grad"
        )
    hooks, number = hooks_of(tensor.node), next(_numbers)
    hooks.functions[number] = hook
    if tensor.is_leaf:
        tensor._hooks = hooks
    return RemovableHandle(partial(hooks.remove, number))


# -- during a backward pass -----------------------------------------------------------------------------------------
def run_hooks(node: Node, table: dict[Node, Any], settled: set[Node], create_graph: bool) -> None:
    """Run the hooks of a node whose cotangent is complete, in the order of their registration.

    Args:
        settled: the nodes whose hooks have run in this pass, together with those of an earlier node of their group.
    """
    hooks: Hooks | None = getattr(node, "hooks", None)
    if hooks is None or node in settled:
        return
    group = hooks.group
    nodes = [node] if group is None else [None if ref is None else ref() for ref in group.nodes]
    here = [(i, member) for i, member in enumerate(nodes) if member is not None and member in table]
    quiet = {} if create_graph else {"observers": ()}
    with context(recording=create_graph, **quiet):
        for _, member in here:
            for function in list(member.hooks.functions.values()):
                _replace(member, table, function(tensor_of(table[member])))
        if group is None:
            return
        found = group.function([tensor_of(table.get(member)) if member is not None else None for member in nodes])
        for i, member in here:
            _replace(member, table, None if found is None else found[i])
    settled.update(member for _, member in here)


def _replace(node: Node, table: dict[Node, Any], found: Any) -> None:
    """Put what a hook returned into the table, if it returned anything."""
    if found is None:
        return
    was = table[node]
    if not hasattr(found, "shape") or tuple(found.shape) != node.shape:
        got = f"one of shape {tuple(found.shape)}" if hasattr(found, "shape") else f"a {type(found).__name__}"
        raise RuntimeError(
            f"hook on {node!r}: it must return None or a gradient of shape {node.shape}, that of its tensor, got {got}"
        )
    if found.dtype != node.dtype:
        found = FUNCTIONS["astype"](found, node.dtype)
    table[node] = found if isinstance(was, Tensor) and isinstance(found, Tensor) else raw(found)


def tensor_of(total: Any) -> Any:
    """A cotangent as a tensor; None stays None."""
    if type(total) is np.ndarray:  # nearly every one
        return wrap(total)
    if isinstance(total, np.generic):  # NumPy turns arrays of no dimensions into scalars
        total = np.asarray(total)
    return total if total is None or isinstance(total, Tensor) else wrap(total)


def places_of_leaves(heads: Iterable[Node], needed: set[Node] | None, floor: int = -1) -> dict[Node, float]:
    """For each leaf with hooks below `heads`: its place in the heap of a pass: after the oldest node that uses it.

    A leaf is older than whatever uses it, but waiting for all older nodes would run its hooks at the very end.

    Args:
        needed: the nodes that the pass is about; None for all.
        floor: nodes up to this serial are not followed.
    """
    places = {node: 0.5 - node.serial for node in heads if node.primitive is None and hasattr(node, "hooks")}
    seen = set(heads)
    stack = list(seen)
    while stack:
        node = stack.pop()
        for parent in node.parents:
            if parent is None or (needed is not None and parent not in needed):
                continue
            if parent.primitive is None:
                if hasattr(parent, "hooks"):
                    places[parent] = max(places.get(parent, -np.inf), 0.5 - node.serial)
            elif parent not in seen and parent.serial > floor:
                seen.add(parent)
                stack.append(parent)
    return places


__all__ = ["RemovableHandle", "join", "places_of_leaves", "register_hook", "run_hooks", "tensor_of"]
