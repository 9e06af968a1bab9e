"""Reverse mode on one page: what `source.py` and `sweep.py` do, without observers, hooks, checkpoints and fast paths.

Nothing in the library runs this. It is here to be read. A test runs every operation through both engines and compares
results, first and second derivatives.

    x = tr.tensor(2.0, requires_grad=True)         # leaf #0
    y = tr.exp(x) * x                              # node #1: exp of #0;  node #2: mul of #1 and #0

`record` makes the nodes, each pointing to its parents. `grad(y, [x], 1.0)` then goes through them, youngest first:

    pop #2 with g = 1     rule of a: g * b = 2 to #1        rule of b: g * a = e^2 to #0
    pop #1 with g = 2     rule of x: g * y = 2 e^2 to #0, where it is added: dy/dx = 3 e^2
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinyres.autograd.node import Node, make_node
from tinyres.autograd.operands import operand
from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import FUNCTIONS, Tensor, raw, wrap
from tinyres.context import Context, context, current


def record(primitive: Primitive, args: Sequence[Any], static: dict[str, Any]) -> Any:
    """Run an operation on tensors or arrays. If one of them wants a gradient, put the operation on the tape."""
    tensors = any(isinstance(a, Tensor) for a in args)
    arrays = [raw(operand(a, primitive.name)) for a in args] if tensors else args
    static = primitive.statics | static
    y = primitive.forward(*arrays, **static)
    y, aux = y if primitive.aux else (y, None)
    if not tensors:
        return y
    y = np.asarray(y)
    parents = [a.node if isinstance(a, Tensor) else None for a in args]
    if not any(parents) or not primitive.differentiable or not current().recording:
        return wrap(y)
    return wrap(y, make_node(primitive, parents, None, (arrays, y, aux, static), y, Context()))


def grad(output: Tensor, inputs: Sequence[Tensor], seed: Any, create_graph: bool = False) -> list[Any]:
    """The vector-Jacobian products seed^T d output / d input, one per input.

    Each is an array (with create_graph, a tensor), or None if the output does not depend on that input.
    """
    wanted = {x.node for x in inputs}
    table: dict[Any, Any] = {output.node: seed}  # the cotangent of each node, as far as it has arrived
    heap: list[Any] = []  # nodes whose rules are still to run; whoever uses a node is younger, and so comes before it
    _schedule(heap, output.node)
    with context(recording=create_graph):
        while heap:
            node = heappop(heap)[1]
            total = table[node] if node in wanted else table.pop(node)
            for i, parent in enumerate(node.parents):
                if parent is None:
                    continue
                contribution = _fit(_rule(node, i, total, create_graph), parent)
                if parent in table:
                    table[parent] = table[parent] + contribution  # a value that is used twice gets the sum
                else:
                    table[parent] = contribution
                    _schedule(heap, parent)
    return [table.get(x.node) for x in inputs]


def _schedule(heap: list[Any], node: Any) -> None:
    if node.primitive is not None:  # a leaf has no rules
        heappush(heap, (-node.serial, node))  # heapq pops the smallest, so the youngest


def _rule(node: Node, i: int, g: Any, create_graph: bool) -> Any:
    """The rule of the node's i-th input, applied to the cotangent g."""
    primitive, (arrays, y, aux, static) = node.primitive, node.saved
    assert primitive is not None
    if create_graph:  # make tensors of everything that came from a node, so that the rule itself is recorded
        g, y = wrap(raw(g), getattr(g, "node", None)), wrap(y, node)
        arrays = [
            wrap(a, parent) if hasattr(a, "strides") else a for a, parent in zip(arrays, node.parents, strict=True)
        ]
        if primitive.decomposition is not None:  # a fused operation: its rules are kernels, which record nothing
            return _decomposed_rule(primitive, arrays, static, i, g)
    names = {"g": g, "y": y, "aux": aux, "index": i, **static}
    if primitive.variadic:
        names[f"{primitive.inputs[0]}_shapes"] = tuple(a.shape for a in arrays)
    else:
        names |= dict(zip(primitive.inputs, arrays, strict=True))
        names |= {f"{name}_shape": np.shape(raw(a)) for name, a in zip(primitive.inputs, arrays, strict=True)}
    rule = primitive.rule(i)
    found = rule(**{name: names[name] for name in inspect.signature(rule).parameters})
    return found if primitive.joint is None else found[i]


def _decomposed_rule(primitive: Primitive, arrays: list[Any], static: dict[str, Any], i: int, g: Any) -> Any:
    """The rule of a fused operation: run its decomposition on the same inputs, and differentiate that."""
    assert primitive.decomposition is not None
    identity = FUNCTIONS["identity"]  # one tensor may be two of the inputs: give each a node of its own
    inputs = [identity(a) if getattr(a, "node", None) is not None else a for a in arrays]
    named = inspect.signature(primitive.decomposition).parameters
    with context(replaying=True):  # the forward has updated running statistics already
        y = primitive.decomposition(*inputs, **{name: value for name, value in static.items() if name in named})
    return grad(y, [inputs[i]], g, create_graph=True)[0]


def _fit(g: Any, parent: Node) -> Any:
    """Undo broadcasting: (3, 1) + (4,) has the shape (3, 4), so sum g over the axes that an input lacks or has as 1."""
    extra = g.ndim - len(parent.shape)
    stretched = [extra + k for k, n in enumerate(parent.shape) if n == 1]
    if g.shape != parent.shape:
        g = FUNCTIONS["reshape"](FUNCTIONS["sum"](g, axis=(*range(extra), *stretched), keepdims=True), parent.shape)
    return g if g.dtype == parent.dtype else FUNCTIONS["astype"](g, parent.dtype)
