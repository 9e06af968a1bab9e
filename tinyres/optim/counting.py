"""How many steps each living optimiser has taken, by which instruments tell a step from other changes of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

_TAKEN: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def begin(optimizer: Any) -> None:
    """Count the steps of an optimiser, from 0."""
    _TAKEN[optimizer] = 0


def counted(step: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: count a step when it is over, so that the changes in the middle of it belong to it."""

    @wraps(step)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        result = step(self, *args, **named)
        _TAKEN[self] = _TAKEN.get(self, 0) + 1
        return result

    return call


def steps_taken(parameters: Iterable[Any]) -> WeakKeyDictionary[Any, int]:
    """The steps so far of every optimiser that holds one of these parameters."""
    wanted = {id(p) for p in parameters}
    found = [o for o in list(_TAKEN) if any(id(p) in wanted for p in o.params)]
    return WeakKeyDictionary({o: _TAKEN[o] for o in found})


__all__ = ["begin", "counted", "steps_taken"]
