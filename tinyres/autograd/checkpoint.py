"""Checkpointing: trade a second forward run for memory.

Chen et al. 2016 [chen2016training], "Training deep nets with sublinear memory cost": with sqrt(L) segments of sqrt(L)
layers each, what is alive at once grows like sqrt(L).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd.node import Node, next_serial
from tinyres.autograd.operands import snapshot_argument
from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import FUNCTIONS, Tensor, wrap
from tinyres.context import Observer, context, current


def checkpoint_(*tensors: Any) -> Any:  # the name of a node; its backward runs a function, not a rule
    raise NotImplementedError


CHECKPOINT = Primitive(checkpoint_)


class Notes(Observer):
    """What an unrecorded run reached: nodes that want a gradient, and generators as they were before drawing."""

    watches_layers = False

    def __init__(self) -> None:
        self.reached: dict[Node, None] = {}
        self.generators: dict[int, tuple[np.random.Generator, Any]] = {}

    def on_call(
        self, primitive: Primitive, inputs: tuple[Any, ...], parents: tuple[Node | None, ...], value: Any
    ) -> None:
        self.reach(*parents)

    def reach(self, *nodes: Node | None) -> None:
        self.reached.update(dict.fromkeys(node for node in nodes if node is not None))


@dataclass(slots=True)
class Segment:
    """All that a checkpoint saves: the function, its arguments as (value, node or None), and what it must find again:
    the arrays of the leaves it reached, the generators' states, module path and kernels."""

    function: Callable[..., Tensor]
    args: list[tuple[Any, Node | None, bool]]
    kwargs: dict[str, Any]
    leaves: list[tuple[Tensor, Any]]
    generators: list[tuple[np.random.Generator, Any]]
    path: str | None
    kernels: str | None

    def run(self, node: Node) -> Node | None:
        """Run the function again, recorded, on the original nodes; its output's node joins the backward pass."""
        args = [wrap(value, origin) if tensor else value for value, origin, tensor in self.args]
        # This run is recorded, so it is nothing for the notes of a checkpoint around the backward pass.
        watching = tuple(o for o in current().observers if not isinstance(o, Notes))
        with (
            context(recording=True, replaying=True, observers=watching, path=self.path, kernels=self.kernels),
            _rewound(self.generators),
            _rebound(self.leaves),
        ):
            y = self.function(*args, **self.kwargs)
            if y.node is not None and y.node.serial < node.serial:  # it returns what was there before
                y = FUNCTIONS["identity"](y)
        if y.shape != node.shape:
            raise RuntimeError(
                f"checkpoint: the second run gave shape {y.shape}, the first {node.shape}; "
                "the function must do the same twice"
            )
        if y.node is not None:
            _check_reach(y.node, node)
        return y.node


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`function(*args, **kwargs)`, whose intermediate values are not kept but computed again in the backward pass.

    The second run finds arguments (arrays are copied) and parameters as they were in the first, draws the same random
    numbers (generators that went through `note_draw`) and updates no running statistics; but buffers that were changed
    in between, such as running statistics used in eval mode, are seen as they are then. Gradients reach the arguments
    and everything that the function closes over; any order works. What the function closes over must not be rebound or
    written into before backward: in a loop, pass it as an argument.

    Raises:
        TypeError: the function returns something other than one tensor.
        RuntimeError: in the backward pass, if the second run is not like the first.
    """
    ambient = current()
    if not ambient.recording:
        return function(*args, **kwargs)
    # Before the function can write into them.
    again, again_by_name = snapshot_argument(args), snapshot_argument(kwargs)
    notes, now = Notes(), next_serial()
    notes.reach(*(arg.node for arg in args if isinstance(arg, Tensor)))
    with context(recording=False), notes:
        y = function(*args, **kwargs)
    if not isinstance(y, Tensor):
        raise TypeError(f"checkpoint: the function must return one tensor, got {type(y).__name__}")
    notes.reach(y.node)
    reached = [node for node in notes.reached if node.serial < now]
    if not reached or not np.issubdtype(y.dtype, np.floating):
        return y.detach()
    owners = [node.owner() for node in reached if node.primitive is None and node.owner is not None]
    leaves = [(owner, owner._data) for owner in owners if owner is not None]
    kept = [
        (a._data, a.node, True) if isinstance(a, Tensor) else (given, None, False)
        for a, given in zip(args, again, strict=True)
    ]
    generators = list(notes.generators.values())
    segment = Segment(function, kept, again_by_name, leaves, generators, ambient.path, ambient.kernels)
    return wrap(y._data, Node(CHECKPOINT, reached, None, segment, y._data, ambient.path, ambient.kernels))


def _check_reach(head: Node, node: Node) -> None:
    """What the second run reached below it, the first must have reached, or its gradient would be lost or wrong."""
    seen, stack = {head}, [head]
    while stack:
        for parent in stack.pop().parents:
            if parent is None or parent in seen:
                continue
            seen.add(parent)
            if parent.serial > node.serial:
                stack.append(parent)
            elif parent not in node.parents:
                raise RuntimeError(
                    f"checkpoint: the second run reached {parent!r}, which the first did not; a name that the function "
                    "closes over has been rebound since: pass it as an argument instead"
                )


@contextmanager
def _rebound(leaves: list[tuple[Tensor, Any]]) -> Iterator[None]:
    """Give leaves the arrays of the first run for a while: an optimiser may have moved them since."""
    now = [leaf._data for leaf, _ in leaves]
    for leaf, data in leaves:
        leaf._data = data
    try:
        yield
    finally:
        for (leaf, _), data in zip(leaves, now, strict=True):
            leaf._data = data


def note_draw(generator: np.random.Generator) -> None:
    """To be called before drawing inside an operation that a checkpoint may run twice (dropout does)."""
    for notes in current().observers:
        if isinstance(notes, Notes) and id(generator) not in notes.generators:
            notes.generators[id(generator)] = (generator, copy.deepcopy(generator.bit_generator.state))


@contextmanager
def _rewound(generators: list[tuple[np.random.Generator, Any]]) -> Iterator[None]:
    """Put generators back to a noted state for a while."""
    now = [copy.deepcopy(generator.bit_generator.state) for generator, _ in generators]
    for generator, state in generators:
        generator.bit_generator.state = state
    try:
        yield
    finally:
        for (generator, _), state in zip(generators, now, strict=True):
            generator.bit_generator.state = state
