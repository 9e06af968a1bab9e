"""Checkpointing: trade a second forward run for memory.

Chen et al. 2016, "Training deep nets with sublinear memory cost": with sqrt(L) segments of sqrt(L) layers each, what is
alive at once grows like sqrt(L).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyres.autograd.primitive import Primitive
from tinyres.context import Context, context, current
from tinyres.node import Node
from tinyres.tensor import Tensor, raw, wrap


def checkpoint_(*tensors: Any) -> Any:  # the name of a node; its backward runs a function, not a rule
    raise NotImplementedError


CHECKPOINT = Primitive(checkpoint_)


@dataclass(slots=True)
class Notes:
    """What an unrecorded run reached: nodes that want a gradient, and generators as they were before drawing."""

    reached: dict[Node, None] = field(default_factory=dict)
    generators: dict[int, tuple[np.random.Generator, Any]] = field(default_factory=dict)

    def reach(self, *nodes: Node | None) -> None:
        self.reached.update(dict.fromkeys(node for node in nodes if node is not None))


@dataclass(slots=True)
class Segment:
    """All that a checkpoint saves: the function, its arguments as (raw array, node), the generators' states."""

    function: Callable[..., Tensor]
    args: list[tuple[Any, Node | None, bool]]
    kwargs: dict[str, Any]
    generators: list[tuple[np.random.Generator, Any]]
    ambient: Context

    def run(self, node: Node) -> Node | None:
        """Run the function again, recorded, on the original nodes; its output's node joins the backward pass."""
        args = [wrap(value, origin) if tensor else value for value, origin, tensor in self.args]
        with (
            context(recording=True, replaying=True, notes=None, path=self.ambient.path, kernels=self.ambient.kernels),
            _rewound(self.generators),
        ):
            y = self.function(*args, **self.kwargs)
        if y.shape != node.shape:
            raise RuntimeError(
                f"checkpoint: the second run gave shape {y.shape}, the first {node.shape}; "
                "the function must do the same twice"
            )
        return y.node


def checkpoint(function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """`function(*args, **kwargs)`, whose intermediate values are not kept but computed again in the backward pass.

    The second run draws the same random numbers (generators that went through `note_draw`) and updates no running
    statistics. Gradients reach the arguments and everything that the function closes over; any order works.

    Raises:
        TypeError: the function returns something other than one tensor.
    """
    ambient = current()
    if not ambient.recording:
        return function(*args, **kwargs)
    notes = Notes()
    notes.reach(*(arg.node for arg in args if isinstance(arg, Tensor)))
    with context(recording=False, notes=notes):
        y = function(*args, **kwargs)
    if not isinstance(y, Tensor):
        raise TypeError(f"checkpoint: the function must return one tensor, got {type(y).__name__}")
    if not notes.reached:
        return y
    kept = [(raw(a), a.node if isinstance(a, Tensor) else None, isinstance(a, Tensor)) for a in args]
    segment = Segment(function, kept, kwargs, list(notes.generators.values()), ambient)
    node = Node(CHECKPOINT, tuple(notes.reached), None, segment, y._data, ambient.path, ambient.kernels)
    return wrap(y._data, node)


def note_draw(generator: np.random.Generator) -> None:
    """To be called before drawing inside an operation that a checkpoint may run twice (dropout does)."""
    notes = current().notes
    if notes is not None and id(generator) not in notes.generators:
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
