"""Declaring operations, and what calling one does.

    @primitive
    def tanh(x):                                   # arrays in, array out
        return namespace(x).tanh(x)

    tanh.vjp(x=lambda g, y: g * (1 - y * y))       # one rule per differentiable input; it names what it needs

An operation on tiny arrays costs as much as the Python around it. So what is the same at every call (which arguments
are inputs, what the rules want saved) is generated once, as the text of a function, instead of being looked up in
loops. What that function does is `record` in `reference.py`, written out for a reader; a test holds the two together.
For `tanh(x)` the generated text begins

    def call(x):
        lifted, mask, x_node = 0, 0, None
        if isinstance(x, Tensor): ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.autograd.node import Node
from tinyres.autograd.operands import kept, operand, refuse
from tinyres.autograd.primitive import PRIMITIVES, Primitive
from tinyres.autograd.tensor import FUNCTIONS, Tensor, wrap
from tinyres.context import current


def define(
    forward: Callable[..., Any],
    *,
    aux: bool = False,
    broadcasts: bool = False,
    reference: Callable[..., Any] | None = None,
) -> Any:
    """A function of arrays as an operation on tensors, without a name that others could find it by.

    Its arguments are those of `Primitive`. The result is called like `forward`, with tensors or arrays: of arrays only
    it returns an array. Its `vjp` declares the rules.
    """
    made = Primitive(forward, aux=aux, broadcasts=broadcasts, reference=reference)
    call: Any = _call_variadic(made) if made.variadic else compile_call(made, made.inputs)
    call.primitive, call.vjp, call.vjp_joint = made, made.vjp, made.vjp_joint
    return call


def primitive(
    forward: Callable[..., Any] | None = None,
    *,
    aux: bool = False,
    broadcasts: bool = False,
    reference: Callable[..., Any] | None = None,
) -> Any:
    """Register a function of arrays as an operation on tensors: `define`, under its own name.

    Args:
        aux: the forward returns (output, something its rules may ask for as `aux`).
        broadcasts: inputs may broadcast; the engine then sums cotangents back to each input's shape.
        reference: for a fused operation, the same function composed of primitives. A first-order pass runs the fused
            rules; with create_graph the reference is replayed on the saved inputs and differentiated.

    Raises:
        ValueError: there is one of this name already.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        call = define(function, aux=aux, broadcasts=broadcasts, reference=reference)
        name = call.primitive.name
        known = PRIMITIVES.get(name)
        if known is not None and known.__module__ != "__main__":  # a notebook's cell may well be run again
            raise ValueError(f"there is a primitive called {name!r} already; give yours a name of its own")
        PRIMITIVES[name], FUNCTIONS[name] = call.primitive, call
        return call  # type: ignore[no-any-return]

    return register if forward is None else register(forward)


def public(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function composed of primitives available to Tensor's operators and methods under its own name."""
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call saves and what its backward runs, for one set of inputs that want a gradient.

    Attributes:
        save: (y, aux, *inputs, *statics) -> saved, in the order of `names`.
        vjps: pairs of an input's index i and of (g, saved) -> the contribution to input i.
        origins: of each saved value, what it was: "y", an input's index, or None for a constant. With create_graph it
            becomes a tensor of that node again.
        saves: a bit for each input that is saved.
        joint_vjp: (g, saved) -> the contributions to all inputs, where a joint rule is declared.
    """

    save: Callable[..., tuple[Any, ...]]
    vjps: tuple[tuple[int, Callable[[Any, tuple[Any, ...]], Any]], ...]
    names: tuple[str, ...]
    origins: tuple[int | str | None, ...]
    saves: int
    joint_vjp: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]] | None = None


_CALL = """
def call({signature}):
    lifted, mask, {unset} = 0, 0, {nones}
    {unwrap}
    if not lifted:
        try:
            return forward({passed}){first}
        except (AttributeError, TypeError) as error:
            refuse(primitive.name, error, ({inputs},))
            raise
    {others}
    recording, observers, path, kernels, _ = current()
    try:
        {result} = forward({passed})
    except (TypeError, ValueError, IndexError) as error:
        raise explain(error, ({inputs},)) from error
    if isinstance(y, generic):  # NumPy turns arrays of no dimensions into scalars
        y = asarray(y)
    for observer in observers:
        observer.on_call(primitive, ({inputs},), ({nodes},), y)
    if not mask or not recording or not primitive.differentiable:
        return wrap(y)
    plan = plans.get(mask)
    if plan is None:
        plan = plans[mask] = make_plan(mask)
    {save}
    node = Node(primitive, ({nodes},), plan, saved, y, path, kernels)
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
        lifted |= {bit}
        {x}_node = {x}.node
        {x} = {x}._data
        if {x}_node is not None:
            mask |= {bit}"""
_OTHERS = """
        if not lifted & {bit} and type({x}) is not float:
            {x} = operand({x}, primitive.name)"""
_SAVE = """saved = plan.save(y, {aux}, {inputs}{statics})"""
_SAVE_MIXED = """
    if lifted == {full}:
        saved = plan.save(y, {aux}, {inputs}{statics})
    else:  # an array that is no tensor's belongs to the caller, who may write into it before the backward pass
        own = plan.saves & ~lifted
        saved = plan.save(y, {aux}, {copies}{statics})"""


def compile_call(primitive: Primitive, inputs: list[str]) -> Callable[..., Any]:
    """The function that runs `primitive` on these inputs (their names): raw arrays in, raw array out; else recorded."""
    statics = list(primitive.statics)
    empty = inspect.Parameter.empty
    defaults = {f"default_{s}": value for s, value in primitive.statics.items() if value is not empty}
    keywords = [f"{s}=default_{s}" if f"default_{s}" in defaults else s for s in statics]
    nodes = ", ".join(f"{x}_node" for x in inputs)
    full = (1 << len(inputs)) - 1
    written = {
        "full": full,
        "inputs": ", ".join(inputs),
        "aux": "aux" if primitive.aux else "None",
        "statics": "".join(f", {s}" for s in statics),
        "copies": ", ".join(f"kept({x}) if own & {1 << i} else {x}" for i, x in enumerate(inputs)),
    }
    several = len(inputs) > 1  # of one input there is a tensor, or nothing to record
    others = "".join(_OTHERS.format(x=x, bit=1 << i) for i, x in enumerate(inputs))
    text = _CALL.format(
        signature=", ".join([*inputs, *(["*", *keywords] if statics else [])]),
        unset=nodes,
        nones=", ".join("None" for _ in inputs),
        unwrap="".join(_UNWRAP.format(x=x, bit=1 << i) for i, x in enumerate(inputs)).lstrip(),
        others=f"if lifted != {full}:{others}" if several else "",
        save=(_SAVE_MIXED.lstrip() if several else _SAVE).format(**written),
        passed=", ".join([*inputs, *(f"{s}={s}" for s in statics)]),
        first="[0]" if primitive.aux else "",
        result="y, aux" if primitive.aux else "y",
        inputs=", ".join(inputs),
        nodes=nodes,
    )
    scope: dict[str, Any] = {
        **defaults, "Node": Node, "Tensor": Tensor, "new": Tensor.__new__, "asarray": np.asarray, "current": current,
        "explain": primitive.explain, "forward": primitive.forward, "generic": np.generic, "kept": kept, "plans": {},
        "make_plan": lambda mask: make_plan(primitive, inputs, mask), "operand": operand, "primitive": primitive,
        "refuse": refuse, "wrap": wrap,
    }  # fmt: skip
    exec(compile(text, f"<tinyres {primitive.name}>", "exec"), scope)
    return _named(scope["call"], primitive)  # type: ignore[no-any-return]


def _call_variadic(primitive: Primitive) -> Callable[..., Any]:
    """The call of an operation on any number of inputs: compiled anew for each number."""
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
    return call


def make_plan(primitive: Primitive, inputs: list[str], mask: int) -> Plan:
    """Read the rules of the inputs whose bit is set in `mask`: what to save, and how to call each."""
    rules = {i: primitive.rule(i) for i in range(len(inputs)) if mask >> i & 1}
    needs: dict[str, None] = {}  # an ordered set of what to save
    for rule in rules.values():
        needs |= dict.fromkeys(name for name in inspect.signature(rule).parameters if name not in ("g", "index"))
    if primitive.reference is not None:  # a replay needs every input, and the static arguments that it names
        named = inspect.signature(primitive.reference).parameters
        needs |= dict.fromkeys([*inputs, *(name for name in primitive.statics if name in named)])
    slots = {name: j for j, name in enumerate(needs)}
    arguments = ", ".join(["y", "aux", *inputs, *primitive.statics])
    save = eval(f"lambda {arguments}: ({''.join(_source(name, inputs) + ', ' for name in slots)})")
    saves = sum(1 << i for i, name in enumerate(inputs) if name in slots)
    origins = tuple("y" if name == "y" else inputs.index(name) if name in inputs else None for name in slots)

    def vjp(rule: Callable[..., Any], i: int) -> Any:
        found = {"g": "g", "index": str(i), **{name: f"s[{j}]" for name, j in slots.items()}}
        passed = ", ".join(found[name] for name in inspect.signature(rule).parameters)
        return eval(f"lambda g, s: rule({passed})", {"rule": rule})

    if primitive.joint is None:
        vjps = tuple((i, vjp(rule, i)) for i, rule in rules.items())
        return Plan(save, vjps, tuple(slots), origins, saves)
    joint = vjp(primitive.joint, 0)
    vjps = tuple((i, lambda g, s, i=i: joint(g, s)[i]) for i in rules)
    return Plan(save, vjps, tuple(slots), origins, saves, joint)


def _source(name: str, inputs: list[str]) -> str:
    """The expression for what a rule calls `name`, inside `Plan.save`."""
    if name.endswith("_shapes"):
        return f"({', '.join(f'{x}.shape' for x in inputs)},)"
    if name.endswith("_shape") and name.removesuffix("_shape") in inputs:
        return f"{name.removesuffix('_shape')}.shape"
    return name


__all__ = ["Plan", "compile_call", "define", "primitive", "public"]
