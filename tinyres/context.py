"""The ambient state: one immutable, context-local object, replaced for the length of a `with` block.

It holds only what cannot be an argument: whether operations are recorded, who is watching, which module is running,
which kernels are forced. Train or eval belongs to modules, the device to arrays, randomness to an explicit generator.
"""

from __future__ import annotations

from contextlib import ContextDecorator
from contextvars import ContextVar, Token
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
    """Replace fields of the ambient state inside a `with` block (or, as a decorator, inside a function)."""

    __slots__ = ("_changes", "_tokens")

    def __init__(self, **changes: Any) -> None:
        self._changes = changes
        self._tokens: list[Token[Context]] = []  # one block may be entered inside itself

    def _recreate_cm(self) -> context:  # as a decorator, each call gets a block of its own
        return context(**self._changes)

    def __enter__(self) -> Context:
        inside = _current.get()._replace(**self._changes)
        self._tokens.append(_current.set(inside))
        return inside

    def __exit__(self, *error: object) -> None:
        _current.reset(self._tokens.pop())


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
