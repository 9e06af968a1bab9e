"""How an operation is declared, and what calling it does.

    @primitive
    def tanh(x):                                   # arrays in, array out
        return namespace(x).tanh(x)

    tanh.vjp(x=lambda g, y: g * (1 - y * y))       # one rule per differentiable input; it names what it needs

Positional parameters are inputs, keyword-only ones are static. A rule may name: the cotangent `g`, the output `y`, an
input, `<input>_shape`, a static argument, `aux` (what the forward handed over besides its output), and for variadic
inputs `index`. The signature is read once; only what the rules name is saved.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from tinyres.autograd.calling import compile_call
from tinyres.backend import device_of
from tinyres.tensor import FUNCTIONS, Array

PRIMITIVES: dict[str, Primitive] = {}


class Primitive:
    """An operation on arrays with its reverse-mode rules. Called on raw arrays only, it returns a raw array."""

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        aux: bool = False,
        broadcasts: bool = False,
        reference: Callable[..., Any] | None = None,
    ) -> None:
        self.forward = forward
        self.aux = aux
        self.broadcasts = broadcasts
        self.reference = reference
        self.name = forward.__name__.rstrip("_")
        self.__name__, self.__doc__, self.__module__ = self.name, forward.__doc__, forward.__module__
        self.rules: dict[str, Callable[..., Any]] = {}
        self.joint: Callable[..., tuple[Any, ...]] | None = None
        self.differentiable = False
        parameters = inspect.signature(forward).parameters.values()
        self.inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.statics = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        for name in ("g", "y", "aux", "index"):
            if name in self.inputs:
                raise TypeError(f"{self.name}: an input cannot be called {name!r}: rules mean something else by it")
        self._by_count: dict[int, Callable[..., Any]] = {}  # how many inputs: the call compiled for that many
        self.call: Callable[..., Any] = self._call_variadic if self.variadic else compile_call(self, self.inputs)

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Declare the rule of each differentiable input: (what it names) -> contribution to that input's cotangent."""
        for name, rule in rules.items():
            if name not in self.inputs:
                raise TypeError(f"{self.name}.vjp: no input called {name!r}; there are {', '.join(self.inputs)}")
            for wanted in inspect.signature(rule).parameters:
                self._check(wanted)
        self.rules.update(rules)
        self.differentiable = True

    def vjp_joint(self, rule: Callable[..., tuple[Any, ...]]) -> None:
        """Declare one rule that returns the contributions to all inputs at once (a fused backward kernel).

        Each must be an array of its own, neither the cotangent nor a saved one: the engine may add others into it.
        """
        if self.reference is None:
            raise TypeError(f"{self.name}.vjp_joint: a joint rule is for fused operations, which name a reference")
        self.joint = rule
        self.differentiable = True

    def rule(self, i: int) -> Callable[..., Any]:
        """The rule of the i-th input."""
        name = self.inputs[0] if self.variadic else self.inputs[i]
        rule = self.joint or self.rules.get(name)
        if rule is None:
            raise TypeError(
                f"{self.name}: {name!r} requires a gradient, but the operation is not differentiable in it; "
                "pass it as tensor.detach() if it is meant as a constant"
            )
        return rule

    def __call__(self, *args: Any, **static: Any) -> Any:
        return self.call(*args, **static)

    def _call_variadic(self, *args: Any, **static: Any) -> Any:
        call = self._by_count.get(len(args))
        if call is None:
            names = [f"{self.inputs[0]}{i}" for i in range(len(args))]
            call = self._by_count[len(args)] = compile_call(self, names)
        return call(*args, **static)

    def _check(self, wanted: str) -> None:
        """What a rule names must exist."""
        base = wanted.removesuffix("_shape")
        known = wanted in ("g", "y", "aux") or wanted in self.statics
        variadic = ("index", f"{self.inputs[0]}_shapes") if self.variadic else ()
        if not known and wanted not in variadic and (self.variadic or base not in self.inputs):
            raise TypeError(
                f"{self.name}: a rule asks for {wanted!r}; it can have g, y, aux, an input ({', '.join(self.inputs)}), "
                f"<input>_shape, or a static argument ({', '.join(self.statics) or 'none'})"
            )

    # -- errors -----------------------------------------------------------------------------------------------------
    def explain(self, error: Exception, arrays: list[Any]) -> Exception:
        names = [f"{self.inputs[0]}[{i}]" for i in range(len(arrays))] if self.variadic else self.inputs
        devices = {name: device_of(a) for name, a in zip(names, arrays, strict=False) if getattr(a, "shape", ())}
        if len(set(devices.values())) > 1:
            where = ", ".join(f"{name} is on {device}" for name, device in devices.items())
            return RuntimeError(f"{self.name}: {where}; bring them together with .to('cpu') or .to('cuda')")
        got = ", ".join(f"{name}: {describe(a)}" for name, a in zip(names, arrays, strict=False))
        kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
        return kind(f"{self.name}({got}): {error}")

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join([*self.inputs, *self.statics])})>"


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    aux: bool = False,
    broadcasts: bool = False,
    reference: Callable[..., Any] | None = None,
) -> Any:
    """Register a function of arrays as an operation on tensors.

    Args:
        aux: the forward returns (output, something its rules may ask for as `aux`).
        broadcasts: inputs may broadcast; the engine then sums cotangents back to each input's shape.
        reference: for a fused operation, the same function composed of primitives. A first-order pass runs the fused
            rules; with create_graph the reference is replayed on the saved inputs and differentiated.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        made = Primitive(function, aux=aux, broadcasts=broadcasts, reference=reference)
        known = PRIMITIVES.get(made.name)
        if known is not None and known.__module__ != "__main__":  # a notebook's cell may well be run again
            raise ValueError(f"there is a primitive called {made.name!r} already; give yours a name of its own")
        call: Any = made.call if not made.variadic else partial(made._call_variadic)
        call.primitive, call.vjp, call.vjp_joint = made, made.vjp, made.vjp_joint
        PRIMITIVES[made.name], FUNCTIONS[made.name] = made, call
        return call  # type: ignore[no-any-return]

    return register if forward is None else register(forward)


def public(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function composed of primitives available to Tensor's operators and methods under its own name."""
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


def describe(value: Array) -> str:
    """Shape and dtype of an array, or the value itself: for error messages."""
    return f"{tuple(value.shape)} {value.dtype}" if hasattr(value, "shape") else repr(value)


__all__ = ["PRIMITIVES", "Primitive", "describe", "primitive", "public"]
