"""The functions that start a backward pass: `grad`, `backward`, `steps` and `walk`. All run the loop of `sweep.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.algebra import ARRAYS, Algebra
from tinyres.autograd.between import between
from tinyres.autograd.calling import public
from tinyres.autograd.event import Event
from tinyres.autograd.hooks import tensor_of
from tinyres.autograd.node import Node
from tinyres.autograd.sweep import Wanted, run, sweep
from tinyres.autograd.tensor import FUNCTIONS, Array, Tensor
from tinyres.context import enable_grad
from tinyres.refusals.arguments import explain_words
from tinyres.refusals.kinds import FLAG
from tinyres.refusals.wording import describe


@explain_words
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    only_inputs: bool = True,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The vector-Jacobian products  sum_k grad_outputs[k]^T d outputs[k] / d inputs[i],  one per input.

    Args:
        outputs, inputs: tensors; inputs may be leaves or any intermediate result.
        grad_outputs: cotangents of the shapes of the outputs; may be left out for outputs of one element.
        create_graph: record the pass itself, so that its results can be differentiated again.
        retain_graph: keep the saved values, so that another pass can follow (default: the value of create_graph).
        only_inputs: for PyTorch's sake, which takes nothing but True: `.grad` is left alone.
        allow_unused: return None for an input that the outputs do not depend on, instead of raising.

    Returns:
        A tuple of tensors of the shapes and dtypes of the inputs. Tensors' `.grad` is left alone.

    Raises:
        RuntimeError: an output or input requires no gradient, an input is unused, or the graph was freed.
    """
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is not possible; use backward() to add to the .grad of every leaf")
    if allow_unused is not False:
        FLAG.check("grad", "allow_unused", allow_unused)
    targets = _inputs(inputs)
    nodes = [node for node in (t.node for t in targets) if node is not None]
    table = _seeds(outputs, grad_outputs, create_graph)
    needed = between(table, nodes)
    retain = create_graph if retain_graph is None else retain_graph
    if create_graph or retain:
        _check_flags("grad", create_graph, retain)
    run(table, needed, set(nodes), create_graph=create_graph, release=not retain)
    found = []
    for i, (target, node) in enumerate(zip(targets, nodes, strict=True)):
        if node not in table and not allow_unused:
            raise RuntimeError(
                f"grad: inputs[{i}] {describe(target)} is not used by the outputs; "
                "pass allow_unused=True to get None for it, or check that nothing detached it"
            )
        found.append(tensor_of(table.get(node)))
    return tuple(found)


@public
def backward(
    outputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> None:
    """Add the gradient of `outputs` to the `.grad` of every leaf they depend on (and tensors with retain_grad)."""
    table = _seeds(outputs, grad_outputs, create_graph)
    retain = create_graph if retain_graph is None else retain_graph
    if create_graph or retain:
        _check_flags("backward", create_graph, retain)
    run(table, Wanted.ALL, Wanted.OWNED, create_graph=create_graph, release=not retain)
    for node, total in table.items():
        owner = node.owner() if node.owner is not None else None
        if owner is not None:
            owner.grad = tensor_of(total) if owner.grad is None else owner.grad + tensor_of(total)


def steps(
    outputs: Tensor | Sequence[Tensor], grad_outputs: Any = None, *, inputs: Iterable[Tensor] | None = None
) -> Iterator[Event]:
    """Step through the backward pass, event by event: a rule runs, then its contribution is added. Frees nothing.

    Hooks run as in any pass: where one replaces a gradient, the next rule starts from what it returned.

    for event in tr.steps(loss):
        print(event)
    """
    table = _seeds(outputs, grad_outputs)
    nodes = [] if inputs is None else [t.node for t in _inputs(inputs) if t.node is not None]
    needed: Any = Wanted.ALL if inputs is None else between(table, nodes)
    yield from sweep(table, needed, set(), create_graph=False, release=False, events=True)


def walk(
    outputs: Tensor | Sequence[Tensor], inputs: Tensor | Iterable[Tensor], algebra: Algebra, grad_outputs: Any
) -> tuple[Any, ...]:
    """A backward pass with cotangents of another kind than arrays: `algebra` adds and maps them. Frees nothing.

    Hooks do not run: they are functions of gradients.

    `grad_outputs` are the cotangents of the outputs, elements of the algebra.
    """
    targets = _inputs(inputs)
    nodes = [t.node for t in targets if t.node is not None]
    table = _seeds(outputs, grad_outputs, algebra=algebra)
    for _ in sweep(table, between(table, nodes), set(nodes), algebra, create_graph=False, release=False):
        pass
    return tuple(table.get(node) for node in nodes)


# -- arguments and results ------------------------------------------------------------------------------------------
def _check_flags(what: str, create_graph: bool, retain_graph: bool) -> None:
    FLAG.check(what, "create_graph", create_graph)
    FLAG.check(what, "retain_graph", retain_graph)


def _inputs(inputs: Tensor | Iterable[Tensor]) -> list[Tensor]:
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, target in enumerate(targets):
        if not isinstance(target, Tensor) or target.node is None:
            what = describe(target) if isinstance(target, Tensor) else type(target).__name__
            raise RuntimeError(
                f"grad: inputs[{i}] ({what}) does not require a gradient; "
                "make it with requires_grad=True before the forward pass"
            )
    return targets


def _seeds(
    outputs: Tensor | Sequence[Tensor], grad_outputs: Any, create_graph: bool = False, algebra: Algebra = ARRAYS
) -> dict[Node, Any]:
    """The cotangents that a pass starts from, by node: `grad_outputs`, or ones for outputs of one element."""
    several = not isinstance(outputs, Tensor)
    heads: list[Tensor] = list(outputs) if several else [outputs]  # type: ignore[list-item]
    listed = several or (algebra is ARRAYS and isinstance(grad_outputs, (list, tuple)) and len(grad_outputs) == 1)
    given = [None] * len(heads) if grad_outputs is None else list(grad_outputs) if listed else [grad_outputs]
    if len(given) != len(heads):
        raise ValueError(f"grad: {len(heads)} outputs, but {len(given)} grad_outputs")
    table: dict[Node, Any] = {}
    for i, (head, g) in enumerate(zip(heads, given, strict=True)):
        if head.node is None:
            raise RuntimeError(
                f"grad: outputs[{i}] {describe(head)} requires no gradient: nothing that it was made from has "
                "requires_grad=True, or it was made inside no_grad, or by an operation that has no rules"
            )
        if algebra is not ARRAYS:
            table[head.node] = algebra.add(table[head.node], g, False) if head.node in table else g
            continue
        with enable_grad() if create_graph else nullcontext():
            seed = _cotangent(head, g, i, create_graph)
            table[head.node] = table[head.node] + seed if head.node in table else seed
    return table


def _cotangent(head: Tensor, g: Any, i: int, create_graph: bool) -> Array | Tensor:
    xp = namespace(head._data)
    if g is None:
        if head.size != 1:
            raise RuntimeError(
                f"grad: outputs[{i}] has shape {head.shape}; only an output of one element needs no gradient of its "
                "own: pass one of that shape, y.backward(g) or grad(y, x, g), or reduce first, e.g. with .sum()"
            )
        return xp.ones_like(head._data)
    if not isinstance(g, Tensor):
        g = xp.array(g)  # a copy: if an input is also an output, this very array is returned as its gradient
    elif g.device != head.device:
        raise RuntimeError(
            f"grad: grad_outputs[{i}] is on {g.device}, outputs[{i}] on {head.device}; bring it there with .to(...)"
        )
    if g.shape != head.shape:
        raise ValueError(f"grad: grad_outputs[{i}] has shape {tuple(g.shape)}, the output has {head.shape}")
    if isinstance(g, Tensor) and not (create_graph and g.requires_grad):
        g = g._data
    return g if g.dtype == head.dtype else FUNCTIONS["astype"](g, head.dtype)
