"""@primitive: how operations are declared, and what calling one does.

An operation on tiny arrays costs as much as the Python around it. So everything that is the same at each call (how many
inputs there are, what the rules want saved) is worked out once, and written as the source of a function. What that
function does is `record` in `reference.py`; a test compares the two. For `neg(x)`, this is the whole of it:

    def call(x):
        tensors, wanted, x_node = 0, 0, None            # bit sets: inputs that are tensors; that want a gradient
        if isinstance(x, Tensor):
            tensors |= 1
            x_node = x.node
            x = x._data
            if x_node is not None:
                wanted |= 1
        if not tensors:                                 # arrays in, array out: how rules call operations
            try:
                return forward(x)
            except FAILED as error:
                blame_input(primitive, error, (x,))
                raise
        recording, observers, path, kernels, _ = current()
        try:
            y = forward(x)
        except FAILED as error:
            raise explain(error, (x,)) from error
        if isinstance(y, generic):                      # NumPy makes scalars of arrays without axes
            y = asarray(y)
        if observers:
            for observer in observers:
                observer.on_call(primitive, (x,), (x_node,), y)
        if not wanted or not recording or not primitive.differentiable:
            return wrap(y)
        plan = plans.get(wanted)
        if plan is None:
            plan = plans[wanted] = make_plan(wanted)
        saved = plan.save(y, None, x)
        node = make_node(primitive, (x_node,), plan, saved, y, path, kernels)
        if observers:
            for observer in observers:
                observer.on_forward(node, y)
        result = new(Tensor)                            # wrap(y, node), without the call
        result._data = y
        result.node = node
        result.grad = None
        return result
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from tinyres.autograd.node import make_node
from tinyres.autograd.operands import operand, snapshot
from tinyres.autograd.plan import make_plan
from tinyres.autograd.primitive import PRIMITIVES, Primitive
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

    The arguments are those of `Primitive`. A registered operation is in `PRIMITIVES`, over which the tests loop, and in
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

_CALL = """
def call({signature}):{refusal}
    tensors, wanted, {nodes} = 0, 0, {nones}
    {unwrap}
    if not tensors:
        try:
            return forward({passed}){first}
        except FAILED as error:
            blame_input(primitive, error, ({inputs},))
            raise
    {operands}
    recording, observers, path, kernels, _ = current()
    try:
        {result} = forward({passed})
    except FAILED as error:
        raise explain(error, ({inputs},)) from error
    if isinstance(y, generic):
        y = asarray(y)
    if observers:
        for observer in observers:
            observer.on_call(primitive, ({inputs},), ({nodes},), y)
    if not wanted or not recording or not primitive.differentiable:
        return wrap(y)
    plan = plans.get(wanted)
    if plan is None:
        plan = plans[wanted] = make_plan(wanted)
    {save}
    node = make_node(primitive, ({nodes},), plan, saved, y, path, kernels)
    if observers:
        for observer in observers:
            observer.on_forward(node, y)
    result = new(Tensor)
    result._data = y
    result.node = node
    result.grad = None
    return result
"""

_UNWRAP = """
    if isinstance({x}, Tensor):
        tensors |= {bit}
        {x}_node = {x}.node
        {x} = {x}._data
        if {x}_node is not None:
            wanted |= {bit}"""
_OPERAND = """
        if not tensors & {bit} and type({x}) is not float:
            {x} = operand({x}, primitive.name)"""
_SAVE = """saved = plan.save(y, {aux}, {inputs}{statics})"""
_SAVE_MIXED = """
    if tensors == {all}:
        saved = plan.save(y, {aux}, {inputs}{statics})
    else:  # an array that is not a tensor's belongs to the caller, who may write into it before the backward pass
        callers = plan.saves & ~tensors
        saved = plan.save(y, {aux}, {snapshots}{statics})"""


_REFUSAL = """
    if {extra} is not None:
        refuse({extra}={extra})"""


def call_source(primitive: Primitive, inputs: list[str], extra: str = "") -> str:
    """The source of the function that calls `primitive` on inputs of these names; `extra` is an argument to refuse."""
    statics = list(primitive.statics)
    required = inspect.Parameter.empty
    keywords = [s if value is required else f"{s}=default_{s}" for s, value in primitive.statics.items()]
    every = (1 << len(inputs)) - 1
    several = len(inputs) > 1  # a single input is a tensor, or there is nothing to record
    operands = "".join(_OPERAND.format(x=x, bit=1 << i) for i, x in enumerate(inputs))
    save = (_SAVE_MIXED.lstrip() if several else _SAVE).format(
        all=every,
        inputs=", ".join(inputs),
        aux="aux" if primitive.aux else "None",
        statics="".join(f", {s}" for s in statics),
        snapshots=", ".join(f"snapshot({x}) if callers & {1 << i} else {x}" for i, x in enumerate(inputs)),
    )
    return _CALL.format(
        signature=", ".join([*inputs, *([f"{extra}=None"] if extra else []), *(["*", *keywords] if statics else [])]),
        refusal=_REFUSAL.format(extra=extra) if extra else "",
        nodes=", ".join(f"{x}_node" for x in inputs),
        nones=", ".join("None" for _ in inputs),
        unwrap="".join(_UNWRAP.format(x=x, bit=1 << i) for i, x in enumerate(inputs)).lstrip(),
        operands=f"if tensors != {every}:{operands}" if several else "",
        save=save,
        passed=", ".join([*inputs, *(f"{s}={s}" for s in statics)]),
        first="[0]" if primitive.aux else "",
        result="y, aux" if primitive.aux else "y",
        inputs=", ".join(inputs),
    )


def compile_call(primitive: Primitive, inputs: list[str], extra: str = "") -> Callable[..., Any]:
    """The function that runs `primitive` on inputs of these names: `call_source`, compiled when it is first called."""
    required = inspect.Parameter.empty
    named = inputs if primitive.variadic else primitive.inputs  # as rules name them
    scope: dict[str, Any] = {
        **{f"default_{s}": value for s, value in primitive.statics.items() if value is not required},
        "FAILED": FAILED, "Tensor": Tensor, "asarray": np.asarray, "blame_input": blame_input, "current": current,
        "explain": primitive.explain, "forward": primitive.forward, "generic": np.generic, "make_node": make_node,
        "make_plan": lambda wanted: make_plan(primitive, named, wanted), "new": Tensor.__new__, "operand": operand,
        "plans": {}, "primitive": primitive, "refuse": lambda **named: refuse_unknown(call, named),
        "snapshot": snapshot, "wrap": wrap,
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


__all__ = ["call_source", "compile_call", "define", "explained", "primitive", "public"]
