"""The ambient state: one immutable, context-local object, replaced for the length of a `with` block.

It holds only what cannot be an argument: whether operations are recorded, who is watching, which module is running,
which kernels are forced. Train or eval belongs to modules, the device to arrays, randomness to an explicit generator.
"""

from __future__ import annotations

import inspect
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tinyres.autograd.anomaly import Anomaly
    from tinyres.autograd.checkpoint import Notes
    from tinyres.autograd.observe import Observer


class Context(NamedTuple):
    """What an operation needs to know besides its arguments."""

    recording: bool = True
    observers: tuple[Observer, ...] = ()
    path: str | None = None  # dotted name of the running module; "" is the root module, None is outside of any
    kernels: str | None = None  # the rung that is forced, None for the best
    anomaly: Anomaly | None = None
    notes: Notes | None = None  # what the first, unrecorded run of a checkpoint reaches
    replaying: bool = False  # the second run of a checkpoint or of a fused reference: no side effects


_current: ContextVar[Context] = ContextVar("tinyres_context", default=Context())  # noqa: B039 (it is immutable)
current = _current.get


class context(ContextDecorator):
    """Replace fields of the ambient state inside a `with` block (or, as a decorator, inside a function).

    A decorated generator or coroutine is inside while its body runs, and outside while its caller has the word.
    """

    __slots__ = ("_changes", "_entered")

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._entered: list[tuple[Context, Token[Context]]] = []  # one block may be entered inside itself

    def __call__(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function):
            return _between_yields(self, function)
        if inspect.iscoroutinefunction(function):
            return _awaited(self, function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is an asynchronous generator: open the block inside of it")
        return super().__call__(function)

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


def _between_yields(block: context, function: Any) -> Any:
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


def _awaited(block: context, function: Any) -> Any:
    """A coroutine function whose body runs inside the block, which its own task alone sees."""

    @wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with block._recreate_cm():
            return await function(*args, **kwargs)

    return coroutine


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
