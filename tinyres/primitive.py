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
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinyres.backend import device_of
from tinyres.context import current
from tinyres.node import Node
from tinyres.tensor import FUNCTIONS, Array, Tensor, wrap

PRIMITIVES: dict[str, Primitive] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call signature saves at forward and runs at backward; made once per set of inputs that want a gradient.

    pack(y, aux, raw, static) -> saved, in the order of `names`. pulls[i](g, saved) -> the contribution to input i.
    ties[j] tells where saved[j] came from ("y", an input's index, or None for a constant): with create_graph it is tied
    to that node again.
    """

    pack: Callable[..., tuple[Any, ...]]
    pulls: tuple[Callable[[Any, tuple[Any, ...]], Any] | None, ...]
    names: tuple[str, ...]
    ties: tuple[int | str | None, ...]
    together: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]] | None = None


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
        self.__wrapped__ = forward
        self.rules: dict[str, Callable[..., Any]] = {}
        self.joint: Callable[..., tuple[Any, ...]] | None = None
        self.differentiable = False
        self._plans: dict[int, Plan] = {}
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
                self._source(wanted)  # raises where a rule names something that does not exist
        self.rules.update(rules)
        self.differentiable = True

    def vjp_joint(self, rule: Callable[..., tuple[Any, ...]]) -> None:
        """Declare one rule that returns the contributions to all inputs at once (a fused backward kernel)."""
        if self.reference is None:
            raise TypeError(f"{self.name}.vjp_joint: a joint rule is for fused operations, which name a reference")
        self.joint = rule
        self.differentiable = True

    def __call__(self, *args: Any, **static: Any) -> Any:
        arrays: list[Any] = []
        parents: list[Node | None] = []
        lifted = tracked = False
        mask = 1  # a leading one, then a bit per input: does it want a gradient?
        for arg in args:
            if isinstance(arg, Tensor):
                lifted = True
                arrays.append(arg._data)
                node = arg.node
                parents.append(node)
                if node is not None:
                    tracked = True
                    mask = mask << 1 | 1
                    continue
            else:
                arrays.append(arg)
                parents.append(None)
            mask <<= 1
        if not lifted:
            y = self.forward(*args, **static)
            return y[0] if self.aux else y

        context = current()
        try:
            y = self.forward(*arrays, **static)
        except (TypeError, ValueError) as error:
            raise self._explain(error, arrays) from error
        aux = None
        if self.aux:
            y, aux = y
        if isinstance(y, np.generic):  # NumPy turns arrays of no dimensions into scalars
            y = np.asarray(y)
        if context.anomaly is not None:
            context.anomaly.check_forward(self, arrays, y)
        if not context.recording or not tracked or not self.differentiable:
            if context.notes is not None:
                context.notes.reached.update(dict.fromkeys(p for p in parents if p is not None))
            return wrap(y)

        plan = self._plans.get(mask)
        if plan is None:
            plan = self._plans[mask] = self._plan([parent is not None for parent in parents])
        node = Node(self, parents, plan, plan.pack(y, aux, arrays, static), y, context.path, context.kernels)
        if context.anomaly is not None:
            node.line = user_line()
        for observer in context.observers:
            observer.on_forward(node, y)
        return wrap(y, node)

    # -- reading the rules ------------------------------------------------------------------------------------------
    def _source(self, name: str, index: int = 0) -> str:
        """The expression by which `pack` finds what a rule calls `name`."""
        if name in ("y", "aux"):
            return name
        if name == "g":
            return "g"
        if name == "index" and self.variadic:
            return str(index)
        if name in self.statics:
            if self.statics[name] is inspect.Parameter.empty:
                return f"static[{name!r}]"
            return f"static.get({name!r}, defaults[{name!r}])"
        if self.variadic and name == f"{self.inputs[0]}_shapes":
            return "tuple(x.shape for x in raw)"
        if name in self.inputs and not self.variadic:
            return f"raw[{self.inputs.index(name)}]"
        if name.endswith("_shape") and name.removesuffix("_shape") in self.inputs and not self.variadic:
            return f"raw[{self.inputs.index(name.removesuffix('_shape'))}].shape"
        raise TypeError(
            f"{self.name}: a rule asks for {name!r}; it can have g, y, aux, an input ({', '.join(self.inputs)}), "
            f"<input>_shape, or a static argument ({', '.join(self.statics) or 'none'})"
        )

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        return {name: default for name, default in self.statics.items() if default is not inspect.Parameter.empty}

    def _plan(self, wants: list[bool]) -> Plan:
        arity = len(wants)
        wanted = [i for i, want in enumerate(wants) if want]
        rules: dict[int, Callable[..., Any]] = {}
        for i in wanted:
            name = self.inputs[0] if self.variadic else self.inputs[i]
            rule = self.joint or self.rules.get(name)
            if rule is None:
                raise TypeError(
                    f"{self.name}: {name!r} requires a gradient, but the operation is not differentiable in it; "
                    "pass it as tensor.detach() if it is meant as a constant"
                )
            rules[i] = rule
        needs: dict[str, None] = {}  # an ordered set of what to save
        for rule in rules.values():
            needs |= dict.fromkeys(n for n in inspect.signature(rule).parameters if n not in ("g", "index"))
        if self.reference is not None:  # a replay needs every input and every static argument
            needs |= dict.fromkeys([*self.inputs, *self.statics])
        slots = {name: j for j, name in enumerate(needs)}
        # Compiled once, so that the hot path neither loops over names nor builds dictionaries.
        pack = eval(
            f"lambda y, aux, raw, static: ({''.join(self._source(name) + ', ' for name in slots)})",
            {"defaults": self._defaults},
        )

        def pull(rule: Callable[..., Any], index: int) -> Any:
            names = inspect.signature(rule).parameters
            values = (f"s[{slots[n]}]" if n in slots else self._source(n, index) for n in names)
            return eval(f"lambda g, s: rule({', '.join(values)})", {"rule": rule})

        ties = tuple("y" if n == "y" else self.inputs.index(n) if n in self.inputs else None for n in slots)
        if self.joint is not None:
            together = pull(self.joint, 0)
            pulls = tuple((lambda g, s, i=i: together(g, s)[i]) if i in rules else None for i in range(arity))
            return Plan(pack, pulls, tuple(slots), ties, together)
        return Plan(pack, tuple(pull(rules[i], i) if i in rules else None for i in range(arity)), tuple(slots), ties)

    # -- errors -----------------------------------------------------------------------------------------------------
    def _explain(self, error: Exception, arrays: list[Any]) -> Exception:
        names = [f"{self.inputs[0]}[{i}]" for i in range(len(arrays))] if self.variadic else self.inputs
        devices = {name: device_of(a) for name, a in zip(names, arrays, strict=False) if getattr(a, "shape", ())}
        if len(set(devices.values())) > 1:
            where = ", ".join(f"{name} is on {device}" for name, device in devices.items())
            return RuntimeError(f"{self.name}: {where}; bring them together with .to('cpu') or .to('cuda')")
        got = ", ".join(f"{name}: {describe(a)}" for name, a in zip(names, arrays, strict=False))
        return type(error)(f"{self.name}({got}): {error}")

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

    def register(function: Callable[..., Any]) -> Primitive:
        made = Primitive(function, aux=aux, broadcasts=broadcasts, reference=reference)
        PRIMITIVES[made.name] = FUNCTIONS[made.name] = made
        return made

    return register if forward is None else register(forward)


def public(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function composed of primitives available to Tensor's operators and methods under its own name."""
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


def describe(value: Array) -> str:
    """Shape and dtype of an array, or the value itself: for error messages."""
    return f"{tuple(value.shape)} {value.dtype}" if hasattr(value, "shape") else repr(value)


_OURS = (os.path.dirname(__file__) + os.sep, os.path.dirname(np.__file__) + os.sep)


def user_line() -> str | None:
    """The innermost line of the call stack that is neither tinyres nor NumPy."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_OURS) and "tinyres_kernels" not in frame.f_code.co_filename:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None


__all__ = ["PRIMITIVES", "Plan", "Primitive", "describe", "primitive", "public", "user_line"]
