"""Gradient checkpointing: a second forward run instead of saved values.

`y = checkpoint(f, x)` runs f without recording and leaves one node on the tape, with the function and its arguments.
When the backward pass gets there, it runs f again, recorded, and goes on through the nodes that this makes. Only one
segment's values are alive at a time: with sqrt(L) segments of sqrt(L) layers each, memory grows like sqrt(L). Chen et
al. 2016 [chen2016training], "Training deep nets with sublinear memory cost".
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd.node import Node, make_node, next_serial
from tinyres.autograd.operands import snapshot_argument
from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import FUNCTIONS, Tensor, wrap
from tinyres.context import Observer, context, current


def checkpoint_(*tensors: Any) -> Any:  # never called: it gives the node a name, and `sweep` treats the node specially
    raise NotImplementedError


CHECKPOINT = Primitive(checkpoint_)


class Notes(Observer):
    """Notes what an unrecorded run used: nodes that want a gradient, and the states of generators before they drew."""

    watches_layers = False
    first_run = True  # what is registered now is registered again by the second run, see `hooks.register_hook`

    def __init__(self) -> None:
        self.reached: dict[Node, None] = {}
        self.generators: dict[int, tuple[np.random.Generator, Any]] = {}
        self.states: dict[
            int, tuple[Any, list[Any]]
        ] = {}  # by id: the module, which so stays alive, and a state per call

    def on_call(
        self, primitive: Primitive, inputs: tuple[Any, ...], parents: tuple[Node | None, ...], value: Any
    ) -> None:
        self.reach(*parents)

    def reach(self, *nodes: Node | None) -> None:
        self.reached.update(dict.fromkeys(node for node in nodes if node is not None))


class Replay(Observer):
    """Gives the second run the states that the first one noted, call by call."""

    watches_layers = False

    def __init__(self, states: dict[int, tuple[Any, list[Any]]]) -> None:
        self._left = {key: iter(noted) for key, (_, noted) in states.items()}

    def next_of(self, module: Any) -> Any:
        return next(self._left.get(id(module), iter(())), None)


@dataclass(slots=True)
class Segment:
    """What a checkpoint's node saves, so that the function can run again just as it did.

    Attributes:
        function, kwargs: as given.
        args: (value, node, whether it was a tensor) of each positional argument.
        leaves: the parameters that the function used, each with its array: an optimiser may have moved it since.
        generators: those that drew, each with its state before that.
        states: what modules noted (`note_state`), in the order of their calls.
        path, kernels: of the ambient state.
    """

    function: Callable[..., Tensor]
    args: list[tuple[Any, Node | None, bool]]
    kwargs: dict[str, Any]
    leaves: list[tuple[Tensor, Any]]
    generators: list[tuple[np.random.Generator, Any]]
    states: dict[int, tuple[Any, list[Any]]]
    path: str | None
    kernels: Any

    def run(self, node: Node) -> Node | None:
        """Run the function again, recorded, on the original nodes. Returns the node of its output."""
        args = [wrap(value, origin) if tensor else value for value, origin, tensor in self.args]
        # A checkpoint around this backward pass takes notes of unrecorded runs only, and this one is recorded.
        watching = tuple(o for o in current().observers if not isinstance(o, Notes))
        if self.states:
            watching = (*watching, Replay(self.states))
        with (
            context(recording=True, replaying=True, observers=watching, path=self.path, kernels=self.kernels),
            _rewound(self.generators),
            _rebound(self.leaves),
        ):
            y = self.function(*args, **self.kwargs)
            if y.node is not None and y.node.serial < node.serial:  # it returned an argument: too old for this pass
                y = FUNCTIONS["identity"](y)
        if y.shape != node.shape:
            raise RuntimeError(
                f"checkpoint: the second run gave shape {y.shape}, the first {node.shape}; "
                "the function must do the same each time"
            )
        if y.node is not None:
            _check_reach(y.node, node)
        return y.node


def checkpoint(function: Callable[..., Tensor], *args: Any, use_reentrant: bool = False, **kwargs: Any) -> Tensor:
    """Call `function(*args, **kwargs)` without keeping its intermediate values: backward computes them again.

    The second run sees the same arguments (arrays are copied) and parameters, draws the same random numbers (from
    generators that went through `note_draw`), and does not update running statistics. Spectral norm divides by what it
    divided by in the first run, whatever came between. Other buffers it sees as they are by then, such as running
    statistics in eval mode; and a module's mode, so call `model.eval()` after backward. Gradients reach the arguments
    and everything that the function closes over, to any order. Do not rebind a name that the function closes over, or
    write into its array, before backward: in a loop, pass it as an argument. `use_reentrant`, which is for PyTorch's
    sake, changes nothing.

    Raises:
        TypeError: the function returns something other than one tensor.
        RuntimeError: in the backward pass, if the second run is not like the first.
    """
    ambient = current()
    if not ambient.recording:
        return function(*args, **kwargs)
    # Copies of arrays, for the second run: made first, since the function may write into them.
    again, again_by_name = snapshot_argument(args), snapshot_argument(kwargs)
    notes, now = Notes(), next_serial()  # nodes below this serial are older than the call: what it depends on
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
    segment = Segment(function, kept, again_by_name, leaves, generators, notes.states, ambient.path, ambient.kernels)
    return wrap(y._data, make_node(CHECKPOINT, reached, None, segment, y._data, ambient))


def _check_reach(head: Node, node: Node) -> None:
    """Raise an error if the second run used an older node that the first did not: its gradient would be wrong."""
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
                    f"checkpoint: the second run used {parent!r}, which the first did not; a name that the function "
                    "closes over has been rebound since: pass it as an argument instead"
                )


@contextmanager
def _rebound(leaves: list[tuple[Tensor, Any]]) -> Iterator[None]:
    """Inside the block leaves have the arrays of the first run."""
    now = [leaf._data for leaf, _ in leaves]
    for leaf, data in leaves:
        leaf._data = data
    try:
        yield
    finally:
        for (leaf, _), data in zip(leaves, now, strict=True):
            leaf._data = data


def note_draw(generator: np.random.Generator) -> None:
    """Tell checkpoints that `generator` is about to draw, so that a second run draws the same (dropout calls this)."""
    for notes in current().observers:
        if isinstance(notes, Notes) and id(generator) not in notes.generators:
            notes.generators[id(generator)] = (generator, copy.deepcopy(generator.bit_generator.state))


def note_state(module: Any, state: Any) -> None:
    """Tell checkpoints what this call of a module depends on besides its parameters, for `replayed_state`."""
    for notes in current().observers:
        if isinstance(notes, Notes):
            notes.states.setdefault(id(module), (module, []))[1].append(state)


def replayed_state(module: Any) -> Any:
    """In the second run of a checkpoint, what the same call noted in the first; else None."""
    replays = [o for o in current().observers if isinstance(o, Replay)]
    return replays[-1].next_of(module) if replays else None


@contextmanager
def _rewound(generators: list[tuple[np.random.Generator, Any]]) -> Iterator[None]:
    """Inside the block generators are in the noted state; afterwards they are where they were."""
    now = [copy.deepcopy(generator.bit_generator.state) for generator, _ in generators]
    for generator, state in generators:
        generator.bit_generator.state = state
    try:
        yield
    finally:
        for (generator, _), state in zip(generators, now, strict=True):
            generator.bit_generator.state = state
