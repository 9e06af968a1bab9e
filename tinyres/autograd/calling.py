"""@primitive: how operations are declared. What calling one does is written in `source.py`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from tinyres.autograd.node import Node, next_serial
from tinyres.autograd.operands import operand, snapshot
from tinyres.autograd.plan import make_plan
from tinyres.autograd.primitive import PRIMITIVES, Primitive
from tinyres.autograd.source import call_source
from tinyres.autograd.tensor import FUNCTIONS, Tensor, wrap
from tinyres.context import current
from tinyres.refusals.arguments import refuse_unknown
from tinyres.refusals.blame import blame_input
from tinyres.refusals.wording import FAILED


def define(
    forward: Callable[..., Any],
    *,
    aux: bool = False,
    broadcasts: bool = False,
    decomposition: Callable[..., Any] | None = None,
) -> Any:
    """Make an operation on tensors from a function of arrays, without registering its name.

    The arguments are those of `Primitive`. The result is called like `forward`, with tensors or arrays, and returns a
    tensor if it was given one, else an array. Its `.vjp(...)` declares the rules.
    """
    made = Primitive(forward, aux=aux, broadcasts=broadcasts, decomposition=decomposition)
    call: Any = _call_variadic(made) if made.variadic else compile_call(made, made.inputs)
    call.primitive, call.vjp, call.vjp_joint, call.vjp_into = made, made.vjp, made.vjp_joint, made.vjp_into
    return call


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    aux: bool = False,
    broadcasts: bool = False,
    decomposition: Callable[..., Any] | None = None,
) -> Any:
    """Decorator: `define` an operation, and register it under the function's name (without a trailing underscore).

    Args:
        aux: the forward returns a pair (y, aux). `aux` is for the rules alone: a max pool keeps its argmax there.
        broadcasts: inputs may broadcast; the engine then sums what a rule returns back to its input's shape.
        decomposition: for a fused operation, the same function composed of others, for derivatives of higher order.

    A registered operation is in `PRIMITIVES`, over which the tests loop, and in
    `FUNCTIONS`, where the operators and methods of Tensor look it up.

    Raises:
        ValueError: there is an operation of this name already.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        call = define(function, aux=aux, broadcasts=broadcasts, decomposition=decomposition)
        name = call.primitive.name
        known = PRIMITIVES.get(name)
        if known is not None and known.__module__ != "__main__":  # the cell of a notebook may run again
            raise ValueError(f"there is a primitive called {name!r} already; choose another name")
        PRIMITIVES[name], FUNCTIONS[name] = call.primitive, call
        return call  # type: ignore[no-any-return]

    return register if forward is None else register(forward)


def explained(call: Any, *, extra: str = "out") -> Any:
    """The operation `call` as users call it: with PyTorch's names of the inputs, and with one argument more that is
    refused in a sentence, so that it needs no `try` around it: that would cost each call a tenth of its time.

    Args:
        extra: the argument that PyTorch's function takes, None by default, and that this one does not.
    """
    plain: Primitive = call.primitive
    if plain.statics or plain.variadic:
        return call
    names = [_PYTORCHS.get(name, name) for name in plain.inputs]
    made: Any = compile_call(plain, names, extra)
    made.primitive, made.vjp, made.vjp_joint, made.vjp_into = plain, plain.vjp, plain.vjp_joint, plain.vjp_into
    made.__signature__ = plain.signature.replace(
        parameters=[p.replace(name=n) for p, n in zip(plain.signature.parameters.values(), names, strict=True)]
    )
    made.__module__ = call.__module__.rpartition(".")[0]  # where a pickle finds it
    return made


def public(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: register a function composed of primitives, for the operators and methods of Tensor."""
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


_PYTORCHS = {"x": "input", "a": "input", "b": "other"}


def compile_call(primitive: Primitive, inputs: list[str], extra: str = "") -> Callable[..., Any]:
    """The function that runs `primitive` on inputs of these names: `call_source`, compiled when it is first called."""
    required = inspect.Parameter.empty
    named = inputs if primitive.variadic else primitive.inputs  # as rules name them
    scope: dict[str, Any] = {
        **{f"default_{s}": value for s, value in primitive.statics.items() if value is not required},
        "FAILED": FAILED, "Node": Node, "Tensor": Tensor, "asarray": np.asarray, "blame_input": blame_input,
        "current": current, "explain": primitive.explain, "forward": primitive.forward, "generic": np.generic,
        "make_plan": lambda wanted: make_plan(primitive, named, wanted), "ndarray": np.ndarray, "new": Tensor.__new__,
        "next_serial": next_serial, "operand": operand, "plans": {}, "primitive": primitive,
        "refuse": lambda **named: refuse_unknown(call, named), "snapshot": snapshot, "wrap": wrap,
    }  # fmt: skip

    def first(*args: Any, **static: Any) -> Any:
        """Give `call` its own code, and call it again: whoever imported it has the same function before and after."""
        exec(compile(call_source(primitive, inputs, extra), f"<tinyres {primitive.name}>", "exec"), scope)
        compiled = scope["call"]
        call.__defaults__, call.__kwdefaults__ = compiled.__defaults__, compiled.__kwdefaults__
        call.__code__ = compiled.__code__
        return call(*args, **static)

    scope["first"] = first
    call: Any = FunctionType(_waiting.__code__, scope)
    return _named(call, primitive)  # type: ignore[no-any-return]


def _waiting(*args: Any, **static: Any) -> Any:  # the code of an operation that was not called yet
    return first(*args, **static)  # type: ignore[name-defined]  # noqa: F821


def _call_variadic(primitive: Primitive) -> Callable[..., Any]:
    """The function that calls f(*xs): it compiles one for each number of inputs."""
    by_count: dict[int, Callable[..., Any]] = {}

    def call(*args: Any, **static: Any) -> Any:
        run = by_count.get(len(args))
        if run is None:
            names = [f"{primitive.inputs[0]}{i}" for i in range(len(args))]
            run = by_count[len(args)] = compile_call(primitive, names)
        return run(*args, **static)

    return _named(call, primitive)  # type: ignore[no-any-return]


def _named(call: Any, primitive: Primitive) -> Any:
    call.__name__ = call.__qualname__ = primitive.name
    call.__doc__, call.__module__ = primitive.forward.__doc__, primitive.forward.__module__
    call.__signature__ = primitive.signature
    return call


__all__ = ["compile_call", "define", "explained", "primitive", "public"]
