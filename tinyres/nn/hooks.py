"""Hooks of modules: functions that see what goes into a module and out of it, in either direction, and may change it.

The forward ones are called around `forward`. For the backward ones, what goes in and out passes through an identity
each, whose cotangents are the gradients that such a hook is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

from tinyres.autograd.hooks import RemovableHandle, join
from tinyres.autograd.tensor import FUNCTIONS, Tensor

Hook = Callable[..., Any]
_numbers = count()


class ModuleHooks:
    """The hooks of one module, of each kind by number, with whether it takes the keyword arguments, too."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[Hook, bool]] = {}
        self.after: dict[int, tuple[Hook, bool]] = {}
        self.backward_before: dict[int, tuple[Hook, bool]] = {}
        self.backward: dict[int, tuple[Hook, bool]] = {}

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.backward_before or self.backward)

    def run(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward`, with the hooks around it."""
        for hook, with_kwargs in list(self.before.values()):
            found = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if found is None:
                continue
            if not with_kwargs:
                args = found if isinstance(found, tuple) else (found,)
            elif isinstance(found, tuple) and len(found) == 2:
                args, kwargs = found
            else:
                raise RuntimeError(
                    f"forward pre-hook of {module.label()}: with_kwargs=True needs None or a pair (args, kwargs), "
                    f"got {type(found).__name__}"
                )
        call = None
        if self.backward or self.backward_before:
            call = _Call(module, list(self.backward_before.values()), list(self.backward.values()), len(args))
            args = call.enter(args)
        y = module.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.after.values()):
            found = hook(module, args, kwargs, y) if with_kwargs else hook(module, args, y)
            y = y if found is None else found
        return y if call is None else call.leave(y)


class Hookable:
    """What Module inherits: registering hooks. Each method returns a handle with `remove()`, also usable in `with`."""

    _hooks: ModuleHooks | None = None

    def register_forward_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Call `hook(module, args, output)` after every forward; what it returns, if not None, replaces the output.

        Args:
            prepend: run it before those that are registered already.
            with_kwargs: call it as `hook(module, args, kwargs, output)`.
        """
        return self._register("after", hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before every forward; what it returns, if not None, replaces the arguments.

        A value that is no tuple replaces a single argument. With with_kwargs=True it is called as `hook(module, args,
        kwargs)` and returns None or (args, kwargs).
        """
        return self._register("before", hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` once the gradients of the module's inputs are known.

        Both are tuples: of the gradients of the positional arguments (None for one that requires none) and of those of
        the output or outputs. A tuple that it returns replaces grad_input on the way down. If no argument requires a
        gradient, it is called as soon as grad_output is known, and can replace nothing.

        Raises:
            RuntimeError, in the backward pass: it returns another number of gradients, or another shape.
        """
        return self._register("backward", hook, prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` once that is known; what it returns, if not None, replaces grad_output."""
        return self._register("backward_before", hook, prepend)

    def _register(self, kind: str, hook: Hook, prepend: bool, with_kwargs: bool = False) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = ModuleHooks()
        number, registered = next(_numbers), getattr(self._hooks, kind)
        new = {number: (hook, with_kwargs)}
        setattr(self._hooks, kind, new | registered if prepend else registered | new)
        return RemovableHandle(partial(self._unregister, kind, number))

    def _unregister(self, kind: str, number: int) -> None:
        if self._hooks is not None:
            getattr(self._hooks, kind).pop(number, None)
            if not self._hooks:
                del self._hooks  # its layers may be fused again


class _Call:
    """One call of a module with backward hooks."""

    def __init__(self, module: Any, before: list[Any], hooks: list[Any], count: int) -> None:
        self.module, self.before, self.hooks, self.count = module, before, hooks, count
        self.at_inputs = False  # whether an argument requires a gradient
        self.grad_output: tuple[Any, ...] | None = None  # from when it is known until the hooks have seen it

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        args, nodes = _passed(args)
        self.at_inputs = any(node is not None for node in nodes)
        if self.hooks:
            join(nodes, self._arrived)
        return args

    def leave(self, y: Any) -> Any:
        ys, nodes = _passed(y if isinstance(y, tuple) else (y,))
        join(nodes, self._begun)
        return ys if isinstance(y, tuple) else ys[0]

    def _begun(self, grads: list[Any]) -> Sequence[Any]:
        """The gradients of the outputs are known."""
        found = tuple(grads)
        for hook, _ in self.before:
            found = _same_number(hook(self.module, found), found, "full backward pre-hook", self.module)
        if self.at_inputs:
            self.grad_output = found if self.hooks else None
        else:
            none = (None,) * self.count
            for hook, _ in self.hooks:
                given = hook(self.module, none, found)
                if any(g is not None for g in (given if isinstance(given, tuple) else (given,))):
                    raise RuntimeError(
                        f"full backward hook of {self.module.label()}: no input of the module requires a gradient, so "
                        "it can replace none: return None"
                    )
        return found

    def _arrived(self, grads: list[Any]) -> Sequence[Any]:
        """The gradients of the inputs are known."""
        found, grad_output = tuple(grads), self.grad_output
        if grad_output is None:
            return found  # what arrived did not come through the module's output
        self.grad_output = None
        for hook, _ in self.hooks:
            found = _same_number(hook(self.module, found, grad_output), found, "full backward hook", self.module)
        return found


def _passed(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """Each tensor that requires a gradient through an identity, and the nodes of these; None for the other values."""
    identity = FUNCTIONS["identity"]
    passed = tuple(identity(v) if isinstance(v, Tensor) and v.requires_grad else v for v in values)
    new = [p.node if p is not v and isinstance(p, Tensor) else None for p, v in zip(passed, values, strict=True)]
    return passed, new


def _same_number(found: Any, before: tuple[Any, ...], what: str, module: Any) -> tuple[Any, ...]:
    """What a hook returned as a tuple; `before` if it was None."""
    if found is None:
        return before
    given = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    if len(given) != len(before):
        raise RuntimeError(f"{what} of {module.label()}: must return {len(before)} gradients, returned {len(given)}")
    return given


__all__ = ["Hookable", "ModuleHooks"]
