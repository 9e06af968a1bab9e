"""Reverse mode on a page: what `calling.py` and `sweep.py` do, without observers, checkpoints and fast paths.

Nothing in the library runs this. It is here to be read, and the real engine is held against it: a test gives the whole
table of operations to both and compares results, first and second derivatives.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from tinyres.autograd.node import Node
from tinyres.autograd.operands import operand
from tinyres.autograd.primitive import Primitive
from tinyres.autograd.tensor import FUNCTIONS, Tensor, raw, wrap
from tinyres.context import context, current


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
    return wrap(y, Node(primitive, parents, None, (arrays, y, aux, static), y, None, None))


def grad(output: Tensor, inputs: Sequence[Tensor], seed: Any, create_graph: bool = False) -> list[Any]:
    """The gradients of sum(seed * output) in `inputs`, each an array (with create_graph: a tensor), None for unused."""
    wanted = {x.node for x in inputs}
    table: dict[Any, Any] = {output.node: seed}  # the gradient at each node, as far as it has arrived
    heap: list[Any] = []  # nodes that wait for their turn, the youngest first: all who use a node are younger than it
    _wait(heap, output.node)
    with context(recording=create_graph):
        while heap:
            node = heappop(heap)[1]
            total = table[node] if node in wanted else table.pop(node)
            for i, parent in enumerate(node.parents):
                if parent is None:
                    continue
                contribution = _fit(_rule(node, i, total, create_graph), parent)
                if parent in table:
                    table[parent] = table[parent] + contribution  # routes that meet are added
                else:
                    table[parent] = contribution
                    _wait(heap, parent)
    return [table.get(x.node) for x in inputs]


def _wait(heap: list[Any], node: Any) -> None:
    if node.primitive is not None:  # a leaf only collects
        heappush(heap, (-node.serial, node))


def _rule(node: Node, i: int, g: Any, create_graph: bool) -> Any:
    """What the rule of the i-th input makes of the cotangent g."""
    primitive, (arrays, y, aux, static) = node.primitive, node.saved
    assert primitive is not None
    if create_graph:  # as tensors of their nodes, so that the rule itself is recorded
        g, y = wrap(raw(g), getattr(g, "node", None)), wrap(y, node)
        arrays = [
            wrap(a, parent) if hasattr(a, "strides") else a for a, parent in zip(arrays, node.parents, strict=True)
        ]
        if primitive.decomposition is not None:  # its rules are fused kernels: differentiate what they stand for
            return _through(primitive, arrays, static, i, g)
    names = {"g": g, "y": y, "aux": aux, "index": i, **static}
    if primitive.variadic:
        names[f"{primitive.inputs[0]}_shapes"] = tuple(a.shape for a in arrays)
    else:
        names |= dict(zip(primitive.inputs, arrays, strict=True))
        names |= {f"{name}_shape": np.shape(raw(a)) for name, a in zip(primitive.inputs, arrays, strict=True)}
    rule = primitive.rule(i)
    found = rule(**{name: names[name] for name in inspect.signature(rule).parameters})
    return found if primitive.joint is None else found[i]


def _through(primitive: Primitive, arrays: list[Any], static: dict[str, Any], i: int, g: Any) -> Any:
    """The rule of a fused operation: run its reference on the same inputs, and differentiate that."""
    assert primitive.decomposition is not None
    identity = FUNCTIONS["identity"]  # a tensor that stands in two places becomes two
    inputs = [identity(a) if getattr(a, "node", None) is not None else a for a in arrays]
    taken = inspect.signature(primitive.decomposition).parameters
    with context(replaying=True):  # running statistics have moved already
        y = primitive.decomposition(*inputs, **{name: value for name, value in static.items() if name in taken})
    return grad(y, [inputs[i]], g, create_graph=True)[0]


def _fit(g: Any, parent: Node) -> Any:
    """Sum over the axes along which the input was broadcast; take its dtype."""
    extra = g.ndim - len(parent.shape)
    stretched = [extra + k for k, n in enumerate(parent.shape) if n == 1]
    if g.shape != parent.shape:
        g = FUNCTIONS["reshape"](FUNCTIONS["sum"](g, axis=(*range(extra), *stretched), keepdims=True), parent.shape)
    return g if g.dtype == parent.dtype else FUNCTIONS["astype"](g, parent.dtype)
