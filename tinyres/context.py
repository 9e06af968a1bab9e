"""The ambient state: one immutable, context-local object, replaced for the length of a `with` block.

It holds only what cannot be an argument: whether operations are recorded, who is watching, which module is running,
which kernels are forced. Train or eval belongs to modules, the device to arrays, randomness to an explicit generator.
"""

from __future__ import annotations

import inspect
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from functools import partial, wraps
from types import TracebackType
from typing import Any, NamedTuple


class Context(NamedTuple):
    """What an operation needs to know besides its arguments."""

    recording: bool = True
    observers: tuple[Observer, ...] = ()
    path: str | None = None  # dotted name of the running module; "" is the root module, None is outside of any
    kernels: str | None = None  # the rung that is forced, None for the best
    replaying: bool = False  # the second run of a checkpoint or of a fused reference: no side effects


_current: ContextVar[Context] = ContextVar("tinyres_context", default=Context())  # noqa: B039 (it is immutable)
current = _current.get


class Block(ContextDecorator):
    """A `with` block that may also decorate a function.

    A decorated generator or coroutine is inside while its body runs, and outside while its caller's code does.
    """

    def __call__(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function):
            return _between_yields(self, function)
        if inspect.iscoroutinefunction(function):
            return _awaited(self, function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is an asynchronous generator: open the block inside of it")
        return super().__call__(function)


class context(Block):
    """Replace fields of the ambient state inside a `with` block (or, as a decorator, inside a function)."""

    __slots__ = ("_changes", "_entered")

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._entered: list[tuple[Context, Token[Context]]] = []  # one block may be entered inside itself

    def _recreate_cm(self) -> context:  # as a decorator, each call gets a block of its own
        return context(**self._changes)

    def __enter__(self) -> Context:
        inside = _current.get()._replace(**self._changes)
        self._entered.append((inside, _current.set(inside)))
        return inside

    def __exit__(self, *error: object) -> None:
        inside, token = self._entered.pop()
        now = _current.get()
        if now is inside:
            _current.reset(token)
            return
        # Another block was entered in between and is still open, as when a generator is closed inside of it: that
        # block's fields are its own.
        before = Context() if token.old_value is Token.MISSING else token.old_value
        assign(**{name: getattr(before, name) for name in self._changes})


def assign(**changes: Any) -> None:
    """Replace fields of the ambient state until the block that is open now ends."""
    _current.set(_current.get()._replace(**changes))


def _between_yields(block: Any, function: Any) -> Any:
    """A generator function whose body runs inside the block."""

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
    """A coroutine function whose body runs inside the block, which its own task alone sees."""

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with block._recreate_cm():
            return await function(*args, **kwargs)

    return coroutine


class Observer(Block):
    """Who watches operations and backward passes, inside a `with` block. Override what you want to see.

    class Norms(Observer):
        def on_edge(self, consumer, arg_index, producer, contribution): ...

    Attributes:
        watches_layers: whether it looks at layers one by one. Then none is fused with its neighbours, and it does not
            see the evaluations between the steps of a training. (Anomaly detection takes operations as they come.)
    """

    watches_layers = True
    _blocks: list[context]  # as often as it is entered

    def on_module(self, module: Any, path: str | None) -> None:
        """A module is about to run; `path` is what the nodes inside of it will carry."""

    def on_call(self, primitive: Any, inputs: tuple[Any, ...], parents: tuple[Any, ...], value: Any) -> None:
        """An operation ran, recorded or not: on these raw arrays, of these nodes (or None), with this output."""

    def on_forward(self, node: Any, value: Any) -> None:
        """An operation was recorded; `value` is its output."""

    def on_edge(self, consumer: Any, arg_index: int, producer: Any, contribution: Any) -> None:
        """A rule of `consumer` sent `contribution` to the cotangent of `producer`; not yet accumulated."""

    def on_cotangent(self, node: Any, total: Any) -> None:
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


def layers_are_watched() -> bool:
    """Whether somebody looks at layers one by one, so that none may be fused with its neighbours."""
    return any(observer.watches_layers for observer in current().observers)


def no_grad() -> context:
    """Inside the block (or the decorated function) nothing is recorded: results require no gradient."""
    return context(recording=False)


def enable_grad() -> context:
    """Record again inside a `no_grad` block."""
    return context(recording=True)


def is_recording() -> bool:
    """Whether operations on tensors that require a gradient are being recorded."""
    return current().recording


def is_replaying() -> bool:
    """True while a checkpoint or a fused operation's reference runs a second time: state must not be updated again."""
    return current().replaying
