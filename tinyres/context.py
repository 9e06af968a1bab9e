"""The ambient state: what an operation needs to know besides its arguments, changed for the length of a `with` block.

One immutable object per thread or task (a context variable) says whether operations are recorded, who observes them,
which module is running and which kernels are forced. Everything else travels with what it belongs to: train or eval
with modules, the device with arrays, randomness with an explicit generator.

    with tr.no_grad():              # Context(recording=False, ...) until the end of the block
        y = model(x)
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import partial, wraps
from types import TracebackType
from typing import Any


@dataclass(slots=True)  # every operation reads the fields, and those of a tuple with names take longer to read
class Context:
    """The state itself. Nobody writes into one that is in use: `replaced` makes another.

    Attributes:
        recording: put operations on the tape, if one of their inputs requires a gradient.
        observers: who is told about operations and backward passes.
        path: the dotted name of the running module, "block3.conv1"; "" in the root module, None outside of modules.
        kernels: the kernel set that `tr.kernels` forces, or its name; None leaves the choice to `arrays.kernels_for`.
        replaying: a function runs for the second time, for its gradient, as `tr.checkpoint` has it. Then it must have
            no side effects: batch norm, for one, does not update its running statistics again.
    """

    recording: bool = True
    observers: tuple[Observer, ...] = ()
    path: str | None = None
    kernels: Any = None
    replaying: bool = False

    def replaced(self, changes: Mapping[str, Any]) -> Context:
        """The same state but for some of its fields."""
        made = Context(self.recording, self.observers, self.path, self.kernels, self.replaying)
        for name, value in changes.items():
            setattr(made, name, value)
        return made


_current: ContextVar[Context] = ContextVar("tinyres_context", default=Context())  # noqa: B039 (nobody writes into it)
current = _current.get


def no_grad() -> context:
    """A block (or decorator) in which nothing is recorded, so that results require no gradient."""
    return context(recording=False)


def enable_grad() -> context:
    """A block (or decorator) that records again inside of `no_grad`."""
    return context(recording=True)


def inference_mode(mode: bool = True) -> context:
    """`no_grad`, or with mode=False `enable_grad`. Its results may be used in a graph later, unlike PyTorch's."""
    return context(recording=not mode)


class set_grad_enabled:
    """Record from now on, or record no more; as a `with` block, until its end."""

    def __init__(self, mode: bool) -> None:
        self._before = current().recording
        assign(recording=mode)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        assign(recording=self._before)


def is_recording() -> bool:
    """Whether operations on tensors that require a gradient are recorded."""
    return current().recording


def is_replaying() -> bool:
    """Whether a function runs for the second time, for its gradient: state must not be updated again."""
    return current().replaying


def layers_are_watched() -> bool:
    """Whether an observer looks at single layers, so that none may be fused with its neighbours."""
    return any(observer.watches_layers for observer in current().observers)


# -- blocks ---------------------------------------------------------------------------------------------------------
class Block(ContextDecorator):
    """A `with` block that can also decorate a function.

    A decorated generator or coroutine is in the block while its own body runs, and out of it while its caller does.
    """

    def __call__(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function):
            return _between_yields(self, function)
        if inspect.iscoroutinefunction(function):
            return _awaited(self, function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is an asynchronous generator, which a block cannot decorate: "
                "open the block inside of it"
            )
        return super().__call__(function)


class context(Block):
    """Replace fields of the ambient state inside a `with` block (or, as a decorator, inside a function)."""

    __slots__ = ("_changes", "_entered")

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._entered: list[tuple[Context, Token[Context]]] = []  # a stack: a block may be entered again while open

    def _recreate_cm(self) -> context:  # the hook of contextlib: a decorated function gets a new block at each call
        return context(**self._changes)

    def __enter__(self) -> Context:
        inside = _current.get().replaced(self._changes)
        self._entered.append((inside, _current.set(inside)))
        return inside

    def __exit__(self, *error: object) -> None:
        inside, token = self._entered.pop()
        now = _current.get()
        if now is inside:
            _current.reset(token)
            return
        # A block that was entered after this one is still open. It happens when a generator is closed from within
        # another block: `with tr.kernels("cpu"): generator.close()`. Undo our own changes, keep that block's.
        before = Context() if token.old_value is Token.MISSING else token.old_value
        assign(**{name: getattr(before, name) for name in self._changes})


def assign(**changes: Any) -> None:
    """Replace fields of the ambient state until the block that is open now ends."""
    _current.set(_current.get().replaced(changes))


class Observer(Block):
    """Sees operations and backward passes inside a `with` block. Override the hooks you need:

        class Norms(Observer):
            def on_edge(self, consumer, arg_index, producer, contribution):
                print(producer, np.linalg.norm(contribution))

        with Norms():
            loss.backward()

    Attributes:
        watches_layers: whether it looks at single layers. If so, every layer runs by itself while it is active, where
            two would else share a fused kernel (batch norm and the ReLU behind it), and it is suspended during the
            evaluations between training steps. Anomaly detection and checkpoints set it to False.
    """

    watches_layers = True
    _blocks: list[context]  # one for each time that it was entered

    def on_module(self, module: Any, path: str | None) -> None:
        """A module is about to run; nodes recorded inside of it will carry `path`."""

    def on_inputs(self, module: Any, path: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """As `on_module`, which it calls, for who needs the arguments, too."""
        self.on_module(module, path)

    def on_call(self, primitive: Any, inputs: tuple[Any, ...], parents: tuple[Any, ...], value: Any) -> None:
        """An operation ran, recorded or not: raw `inputs`, the node of each (or None), and the output."""

    def on_forward(self, node: Any, value: Any) -> None:
        """An operation was recorded; `value` is its output."""

    def on_edge(self, consumer: Any, arg_index: int, producer: Any, contribution: Any) -> None:
        """A rule of `consumer` sent `contribution` to the cotangent of `producer`; it is not added yet."""

    def on_cotangent(self, node: Any, total: Any) -> None:
        """All contributions to `node` have arrived: `total` is the gradient there."""

    def __enter__(self) -> Any:
        block = context(observers=(*current().observers, self))
        block.__enter__()
        self.__dict__.setdefault("_blocks", []).append(block)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remaining = _without_last(current().observers, self)
        self._blocks.pop().__exit__(kind, error, trace)  # popped: an observer that kept it would be a reference cycle
        if current().observers != remaining:  # observers entered before or after this one came or went in between
            assign(observers=remaining)


def _without_last(observers: tuple[Observer, ...], leaving: Observer) -> tuple[Observer, ...]:
    """The tuple without the last entry that is `leaving`."""
    for i in reversed(range(len(observers))):
        if observers[i] is leaving:
            return (*observers[:i], *observers[i + 1 :])
    return observers


# -- blocks as decorators of generators and coroutines --------------------------------------------------------------
def _between_yields(block: Any, function: Any) -> Any:
    """A generator function whose body, and nothing else, runs inside the block."""

    @wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Any:
        inner = function(*args, **kwargs)
        resume = partial(next, inner)
        while True:
            try:
                with block._recreate_cm():
                    value = resume()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield value
            except GeneratorExit:
                with block._recreate_cm():
                    inner.close()
                raise
            except BaseException as error:
                resume = partial(inner.throw, error)
            else:
                resume = partial(inner.send, sent)

    return generator


def _awaited(block: Any, function: Any) -> Any:
    """A coroutine function whose body runs inside the block, which no other task sees."""

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with block._recreate_cm():
            return await function(*args, **kwargs)

    return coroutine
