"""The hot path of an operation, compiled once from its signature.

An operation on tiny arrays costs as much as the Python around it. So what is the same at every call (which arguments
are inputs, what the rules want saved) is written into a function of its own instead of being looked up in loops. For
`tanh(x)` the text below reads

    def call(x):
        lifted, mask, x_node = 0, 0, None
        if isinstance(x, Tensor): ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres.context import current
from tinyres.node import Node
from tinyres.operands import kept, operand, refuse
from tinyres.tensor import Tensor, wrap

if TYPE_CHECKING:
    from tinyres.autograd.primitive import Primitive


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call saves and what its backward runs, for one set of inputs that want a gradient.

    pack(y, aux, *inputs, *statics) -> saved, in the order of `names`. pulls: pairs of an input's index i and of
    (g, saved) -> the contribution to input i; together(g, saved) -> all of them, where a joint rule is declared.
    ties[j] tells where saved[j] came from ("y", an input's index, or None for a constant): with create_graph it is tied
    to that node again. keeps: a bit for each input that is saved.
    """

    pack: Callable[..., tuple[Any, ...]]
    pulls: tuple[tuple[int, Callable[[Any, tuple[Any, ...]], Any]], ...]
    names: tuple[str, ...]
    ties: tuple[int | str | None, ...]
    keeps: int
    together: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]] | None = None


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
    recording, observers, path, kernels, anomaly, notes, _ = current()
    try:
        {result} = forward({passed})
    except (TypeError, ValueError, IndexError) as error:
        raise explain(error, ({inputs},)) from error
    if isinstance(y, generic):  # NumPy turns arrays of no dimensions into scalars
        y = asarray(y)
    if anomaly is not None:
        anomaly.check_forward(primitive, ({inputs},), y)
    if notes is not None:
        notes.reach({nodes})
    if not mask or not recording or not primitive.differentiable:
        return wrap(y)
    plan = plans.get(mask)
    if plan is None:
        plan = plans[mask] = make_plan(mask)
    {save}
    node = Node(primitive, ({nodes},), plan, saved, y, path, kernels)
    if anomaly is not None:
        anomaly.note_line(node)
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
_SAVE = """saved = plan.pack(y, {aux}, {inputs}{statics})"""
_SAVE_MIXED = """
    if lifted == {full}:
        saved = plan.pack(y, {aux}, {inputs}{statics})
    else:  # an array that is no tensor's belongs to the caller, who may write into it before the backward pass
        own = plan.keeps & ~lifted
        saved = plan.pack(y, {aux}, {copies}{statics})"""


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
    call: Callable[..., Any] = scope["call"]
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
    pack = eval(f"lambda {arguments}: ({''.join(_source(name, inputs) + ', ' for name in slots)})")
    keeps = sum(1 << i for i, name in enumerate(inputs) if name in slots)
    ties = tuple("y" if name == "y" else inputs.index(name) if name in inputs else None for name in slots)

    def pull(rule: Callable[..., Any], i: int) -> Any:
        found = {"g": "g", "index": str(i), **{name: f"s[{j}]" for name, j in slots.items()}}
        passed = ", ".join(found[name] for name in inspect.signature(rule).parameters)
        return eval(f"lambda g, s: rule({passed})", {"rule": rule})

    if primitive.joint is None:
        pulls = tuple((i, pull(rule, i)) for i, rule in rules.items())
        return Plan(pack, pulls, tuple(slots), ties, keeps)
    together = pull(primitive.joint, 0)
    pulls = tuple((i, lambda g, s, i=i: together(g, s)[i]) for i in rules)
    return Plan(pack, pulls, tuple(slots), ties, keeps, together)


def _source(name: str, inputs: list[str]) -> str:
    """The expression for what a rule calls `name`, inside `pack`."""
    if name.endswith("_shapes"):
        return f"({', '.join(f'{x}.shape' for x in inputs)},)"
    if name.endswith("_shape") and name.removesuffix("_shape") in inputs:
        return f"{name.removesuffix('_shape')}.shape"
    return name
