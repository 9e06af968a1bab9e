"""Plans: which values a call of an operation saves, and how its rules are run on them.

A rule asks for values by the names of its parameters. Looking these up at every call would cost more than the
arithmetic on a small array. So they are read once for each set of inputs that want a gradient, and what is to be done
is written down as two kinds of generated lambdas. For `mul`, whose rules are `lambda g, b: g * b` for `a` and
`lambda g, a: g * a` for `b`, with both inputs wanting a gradient:

    save = lambda y, aux, a, b: (b, a, )               # names == ("b", "a")
    vjps = ((0, lambda g, s: rule(g, s[0])),           # the rule of a, on saved = (b, a)
            (1, lambda g, s: rule(g, s[1])))           # the rule of b
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call saves and what its backward runs, for one set of inputs that want a gradient.

    Attributes:
        save: (y, aux, *inputs, *statics) -> saved, in the order of `names`.
        vjps: pairs (i, rule) of an input's number and (g, saved) -> the contribution to that input's cotangent.
        names: what the rules call the saved values.
        origins: where each saved value comes from: "y", the number of an input, or None for a constant. With
            create_graph it becomes a tensor of that node again, so that rules are recorded.
        saves: a bit for each input that is saved.
        flat: the numbers of the inputs that the output is piecewise constant in: their rule is `zeros_of`.
        joint_vjp: (g, saved) -> the contributions to all inputs, if a joint rule was declared.
        into: by an input's number, (g, saved, total): adds the contribution to `total` (see `Primitive.vjp_into`).
        simple: none of the last three.
    """

    save: Callable[..., tuple[Any, ...]]
    vjps: tuple[tuple[int, Callable[[Any, tuple[Any, ...]], Any]], ...]
    names: tuple[str, ...]
    origins: tuple[int | str | None, ...]
    saves: int
    flat: frozenset[int]
    joint_vjp: Callable[[Any, tuple[Any, ...]], tuple[Any, ...]] | None = None
    into: Mapping[int, Callable[[Any, tuple[Any, ...], Any], None]] = field(default_factory=dict)
    simple: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "simple", not self.flat and self.joint_vjp is None and not self.into)


def make_plan(primitive: Primitive, inputs: list[str], wanted: int) -> Plan:
    """The plan for a call on these inputs (their names), of which those with a bit in `wanted` want a gradient."""
    rules = {i: primitive.rule(i) for i in range(len(inputs)) if wanted >> i & 1}
    adders = {i: primitive.into[inputs[i]] for i in rules if inputs[i] in primitive.into}
    needs: dict[str, None] = {}  # the names of what is saved; a dict, as an ordered set
    for rule in (*rules.values(), *adders.values()):
        found = inspect.signature(rule).parameters
        needs |= dict.fromkeys(name for name in found if name not in ("g", "index", "total"))
    if primitive.decomposition is not None:  # it runs on all inputs, and on the static arguments that it names
        named = inspect.signature(primitive.decomposition).parameters
        needs |= dict.fromkeys([*inputs, *(name for name in primitive.statics if name in named)])
    place = {name: j for j, name in enumerate(needs)}
    arguments = ", ".join(["y", "aux", *inputs, *primitive.statics])
    save = eval(f"lambda {arguments}: ({''.join(_expression(name, inputs) + ', ' for name in place)})")
    saves = sum(1 << i for i, name in enumerate(inputs) if name in place)
    flat = frozenset(i for i, rule in rules.items() if rule is FUNCTIONS.get("zeros_of"))
    origins = tuple("y" if name == "y" else inputs.index(name) if name in inputs else None for name in place)

    def vjp(rule: Callable[..., Any], i: int, given: str = "g, s") -> Any:
        found = {"g": "g", "total": "t", "index": str(i), **{name: f"s[{j}]" for name, j in place.items()}}
        arguments = ", ".join(found[name] for name in inspect.signature(rule).parameters)
        return eval(f"lambda {given}: rule({arguments})", {"rule": rule})

    if primitive.joint is None:
        vjps = tuple((i, vjp(rule, i)) for i, rule in rules.items())
        into = {i: vjp(adder, i, "g, s, t") for i, adder in adders.items()}
        return Plan(save, vjps, tuple(place), origins, saves, flat, into=into)
    joint = vjp(primitive.joint, 0)
    vjps = tuple((i, lambda g, s, i=i: joint(g, s)[i]) for i in rules)
    return Plan(save, vjps, tuple(place), origins, saves, flat, joint)


def _expression(name: str, inputs: list[str]) -> str:
    """The source of what a rule calls `name`, inside `save`: "x_shape" is written `x.shape`."""
    if name.endswith("_shapes"):
        return f"({', '.join(f'{x}.shape' for x in inputs)},)"
    if name.endswith("_shape") and name.removesuffix("_shape") in inputs:
        return f"{name.removesuffix('_shape')}.shape"
    return name


__all__ = ["Plan", "make_plan"]
