"""The declaration of an operation: a function of arrays, and a vector-Jacobian product for each of its inputs.

    @primitive
    def scale(x, w, *, factor):                    # x and w are inputs, factor is a static argument
        return factor * x * w

    scale.vjp(
        x=lambda g, w, factor: factor * g * w,     # the rule of x: g is the cotangent dL/dy, the result is dL/dx
        w=lambda g, x, factor: factor * g * x,
    )

A rule asks for values by naming them as parameters, and only those are saved by the forward pass. It may name

    g                the cotangent of the output, dL/dy
    y                the output
    x, w             an input
    x_shape          the shape of an input
    factor           a static argument
    aux              what the forward returned besides the output (see Primitive)
    index, xs_shapes for a variadic operation f(*xs): the number of the input, and all shapes

`@primitive` itself is in `calling.py`, and what calling an operation does, in `source.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from tinyres.arrays import device_of
from tinyres.refusals.wording import FAILED, describe, kind_of_error

PRIMITIVES: dict[str, Primitive] = {}


class Primitive:
    """An operation on arrays with its vector-Jacobian products, its *rules*.

    Args:
        forward: the function of arrays.
        aux: the forward returns a pair (y, aux). `aux` is for the rules alone: a max pool keeps its argmax there.
        broadcasts: inputs may broadcast; the engine then sums each cotangent back to its input's shape.
        decomposition: for a fused operation, the same function composed of other primitives. Its own rules are fused
            kernels, which cannot be differentiated. So a pass with create_graph=True runs the decomposition on the
            saved inputs instead, and differentiates that.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        aux: bool = False,
        broadcasts: bool = False,
        decomposition: Callable[..., Any] | None = None,
    ) -> None:
        self.forward = forward
        self.aux = aux
        self.broadcasts = broadcasts
        self.decomposition = decomposition
        self.name = forward.__name__.rstrip("_")
        self.__name__, self.__doc__, self.__module__ = self.name, forward.__doc__, forward.__module__
        self.rules: dict[str, Callable[..., Any]] = {}
        self.into: dict[str, Callable[..., None]] = {}
        self.joint: Callable[..., tuple[Any, ...]] | None = None
        self.differentiable = False
        self.signature = inspect.signature(forward)
        parameters = self.signature.parameters.values()
        self.inputs = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.statics = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        for name in ("g", "y", "aux", "index"):
            if name in self.inputs:
                raise TypeError(
                    f"{self.name}: an input cannot be called {name!r}, since rules use that name for something else; "
                    "rename the parameter"
                )

    def vjp(self, **rules: Callable[..., Any]) -> None:
        """Declare rules: for each differentiable input, a function that returns its contribution to the cotangent."""
        for name, rule in rules.items():
            if name not in self.inputs:
                raise TypeError(f"{self.name}.vjp: no input called {name!r}; there are {', '.join(self.inputs)}")
            for parameter in inspect.signature(rule).parameters:
                self._check_available(parameter)
        self.rules.update(rules)
        self.differentiable = True

    def vjp_into(self, **adders: Callable[..., None]) -> None:
        """Declare, beside the rule of an input, a function that adds what the rule returns to an array, `total`.

        It is for contributions that are mostly zeros, as that of a slice: where a tensor is cut into T slices, T arrays
        of zeros would be made and added up. An adder asks for values as a rule does, and is told `total`, which the
        engine owns. The rule must return a new array: the next adder may write into it.
        """
        for name, adder in adders.items():
            if name not in self.rules:
                raise TypeError(f"{self.name}.vjp_into: declare the rule of {name!r} first, by .vjp({name}=...)")
            for parameter in inspect.signature(adder).parameters:
                if parameter != "total":
                    self._check_available(parameter)
        self.into.update(adders)

    def vjp_joint(self, rule: Callable[..., tuple[Any, ...]]) -> None:
        """Declare one rule that returns the contributions to all inputs at once: a fused backward kernel.

        Each contribution must be a new array, neither the cotangent nor a saved value: the engine may add into it.
        """
        if self.decomposition is None:
            raise TypeError(
                f"{self.name}.vjp_joint: a joint rule is for fused operations; declare this one with decomposition=, "
                "or give each input a rule by .vjp(...)"
            )
        self.joint = rule
        self.differentiable = True

    def rule(self, i: int) -> Callable[..., Any]:
        """The declared rule of the i-th input: the joint one, if there is one."""
        name = self.inputs[0] if self.variadic else self.inputs[i]
        rule = self.joint or self.rules.get(name)
        if rule is None:
            raise TypeError(
                f"{self.name}: {name!r} requires a gradient, but the operation is not differentiable in it; "
                "pass it as tensor.detach() if it is meant as a constant, or, if the operation is yours, give it a "
                f"rule: {self.name}.vjp({name}=...)"
            )
        return rule

    def _check_available(self, name: str) -> None:
        """Raise an error unless a rule can have a value of this name."""
        if self.variadic:
            known = name in ("g", "y", "aux", "index", f"{self.inputs[0]}_shapes", *self.statics)
        else:
            known = name in ("g", "y", "aux", *self.statics) or name.removesuffix("_shape") in self.inputs
        if not known:
            raise TypeError(
                f"{self.name}: a rule asks for {name!r}; it can have g, y, aux, an input ({', '.join(self.inputs)}), "
                f"<input>_shape, or a static argument ({', '.join(self.statics) or 'none'})"
            )

    # -- errors -----------------------------------------------------------------------------------------------------
    def explain(self, error: Exception, arrays: Sequence[Any]) -> Exception:
        """The error of a forward, with the operation's name and what it was called on."""
        names = [f"{self.inputs[0]}[{i}]" for i in range(len(arrays))] if self.variadic else self.inputs
        devices = {name: device_of(a) for name, a in zip(names, arrays, strict=False) if getattr(a, "shape", ())}
        if len(set(devices.values())) > 1:
            where = ", ".join(f"{name} is on {device}" for name, device in devices.items())
            return RuntimeError(f"{self.name}: {where}; bring them together with .to('cpu') or .to('cuda')")
        got = ", ".join(f"{name}: {describe(a)}" for name, a in zip(names, arrays, strict=False))
        kind = kind_of_error(error) or next(k for k in FAILED if isinstance(error, k))
        return kind(f"{self.name}({got}): {error}")

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join([*self.inputs, *self.statics])})>"


__all__ = ["PRIMITIVES", "Primitive"]
