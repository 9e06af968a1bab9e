"""The declaration of an operation: a function of arrays, and a vector-Jacobian product for each of its inputs.

Positional parameters are inputs, keyword-only ones are static. A rule may name: the cotangent `g`, the output `y`, an
input, `<input>_shape`, a static argument, `aux` (what the forward handed over besides its output), and for variadic
inputs `index`. Only what the rules name is saved. How it is declared and called: `calling.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tinyres.arrays import device_of

PRIMITIVES: dict[str, Primitive] = {}


class Primitive:
    """An operation on arrays with its reverse-mode rules.

    Args:
        forward: the function of arrays.
        aux: the forward returns (output, something its rules may ask for as `aux`).
        broadcasts: inputs may broadcast; the engine then sums cotangents back to each input's shape.
        reference: for a fused operation, the same function composed of primitives. A first-order pass runs the fused
            rules; with create_graph the reference is replayed on the saved inputs and differentiated.
    """

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


def describe(value: Any) -> str:
    """Shape and dtype of an array, or the value itself: for error messages."""
    return f"{tuple(value.shape)} {value.dtype}" if hasattr(value, "shape") else repr(value)


__all__ = ["PRIMITIVES", "Primitive", "describe"]
