"""The one loop of reverse mode: `sweep`. Its short form, without what makes this one long, is `reference.py`.

It takes nodes from a heap in descending order of their serials, a reverse topological order: whoever uses a value is
younger than it, so a node's cotangent is complete when its turn comes. For each input it runs the rule, shows the
contribution to observers, and adds it to the parent's cotangent. There is no recursion, so depth is no limit.

What makes it longer than the reference: observers, events and hooks; checkpoints, which run a function again in
mid-pass; cotangents that are not arrays (`Algebra`); a fast path for the ordinary pass; sums in existing buffers; and
zeros that are known as such. The second derivative of a ReLU net is 0 along every path through a mask, which is half of
a gradient penalty's graph: nothing is computed there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from enum import Enum
from functools import partial
from heapq import heapify, heappop, heappush, heappushpop
from typing import Any, Literal

from tinyres.arrays import namespace
from tinyres.autograd.algebra import ARRAYS, Algebra
from tinyres.autograd.between import between, extend
from tinyres.autograd.checkpoint import CHECKPOINT
from tinyres.autograd.event import Event
from tinyres.autograd.hooks import LIVE, places_of_leaves, run_hooks, tensor_of
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import FUNCTIONS, wrap
from tinyres.context import context, current

FREED = object()  # stands in `node.saved` once a pass has released the saved values


class Wanted(Enum):
    """Which nodes a pass is about, where listing them would cost a walk over the graph."""

    ALL = "every node"
    OWNED = "nodes whose tensor wants .grad: leaves, and those with retain_grad"


def sweep(
    table: dict[Node, Any],
    needed: set[Node] | Literal[Wanted.ALL],
    keep: set[Node] | Literal[Wanted.OWNED],
    algebra: Algebra = ARRAYS,
    *,
    create_graph: bool,
    release: bool,
    events: bool = False,
) -> Iterator[Event]:
    """Carry cotangents down the tape.

    Args:
        table: the cotangent of each node, as far as it has arrived: at first those of the outputs, at the end those of
            leaves and `keep`. Others are dropped once their rules have run.
        needed: the nodes that lie between outputs and inputs (see `between`); rules of other inputs do not run.
        keep: the nodes whose cotangents the caller wants.
        create_graph: record the pass itself, by running rules on tensors.
        release: free each node's saved values once its rules have run.
        events: yield an `Event` for each step; otherwise nothing is yielded.
    """
    ambient = current()
    observers, kernels = ambient.observers if algebra is ARRAYS else (), ambient.kernels
    ordinary = algebra is ARRAYS and not create_graph
    watched = bool(observers) or events
    # Compared once: looking up the member of an enum at every edge would take longer than the comparison.
    wanted, owned = None if needed is Wanted.ALL else needed, keep is Wanted.OWNED
    heap: list[Any] = [(-node.serial, node) for node in table if node.primitive is not None]  # a leaf has no rules
    heapify(heap)  # a min-heap: with the sign, the youngest node comes first
    hooked = bool(LIVE) and algebra is ARRAYS
    settled: set[Node] = set()
    places = places_of_leaves(table, wanted) if hooked else {}  # leaves with hooks have their turn, too
    for leaf in [leaf for leaf in places if leaf in table]:
        heappush(heap, (places[leaf], leaf))
    zeros: set[Node] = set()  # nodes whose entry in the table is a broadcast 0
    buffers: set[Node] = set()  # nodes whose entry in the table is an array that this pass made, and may add into
    following: Node | None = None  # one node waits here, not in the heap: along a chain the heap stays empty
    while heap or following is not None:
        if following is None:
            node = heappop(heap)[1]
        else:
            node = heappushpop(heap, (-following.serial, following))[1] if heap else following
            following = None
        if hooked:
            run_hooks(node, table, settled, create_graph)
            if node.primitive is None:
                continue
        kept = node.owner is not None if owned else node in keep  # type: ignore[operator]
        total = table[node] if kept else table.pop(node)
        if observers:
            for observer in observers:
                observer.on_cotangent(node, total)
        if kept and wanted is not None and not any(parent in wanted for parent in node.parents):
            continue  # an input of `grad`, and nothing that it was made from is an input, too
        saved = node.saved
        if saved is FREED:
            raise RuntimeError(
                f"backward through {node!r}: an earlier pass has freed what it saved; "
                "pass retain_graph=True to that earlier pass, or compute the forward again"
            )
        if node.primitive is CHECKPOINT:
            again = _run_again(node, total, table, needed, release)
            if again is not None:
                if LIVE and algebra is ARRAYS:  # the function may have registered some
                    hooked = True
                    for leaf, place in places_of_leaves([again], wanted, node.serial).items():
                        places[leaf] = max(place, places.get(leaf, place))
                if again.primitive is not None:
                    heappush(heap, (-again.serial, again))
                elif again in places:  # a leaf that the function made itself
                    heappush(heap, (places[again], again))
            continue
        plan, parents, ran = node.plan, node.parents, False
        fast = ordinary and node.kernels is kernels  # rules run on arrays, under the kernels that are in force anyway
        if fast and plan.simple and not (watched or hooked or zeros):  # most nodes: rules and sums, and nothing else
            for i, vjp in plan.vjps:
                parent = parents[i]
                if wanted is not None and parent not in wanted:
                    continue
                ran = True
                contribution = vjp(total, saved)
                if contribution.shape != parent.shape or contribution.dtype is not parent.dtype:  # `is` is cheaper
                    contribution = _fit(contribution, node, i, parent)
                if parent in table:
                    table[parent] = algebra.add(table[parent], contribution, parent in buffers)
                    buffers.add(parent)
                    continue
                table[parent] = contribution
                if parent.primitive is not None:
                    if following is None:
                        following = parent
                    else:
                        heappush(heap, (-parent.serial, parent))
        else:
            lazy = fast and not watched and not hooked
            flat, into, no_more = (plan.flat, plan.into, node in zeros) if lazy else ((), (), False)
            joint = plan.joint_vjp(total, saved) if fast and plan.joint_vjp is not None and not no_more else None
            for i, vjp in plan.vjps:
                parent = parents[i]
                if wanted is not None and parent not in wanted:
                    continue
                ran = True
                if no_more or i in flat:
                    if parent not in table:
                        table[parent] = _nothing(parent, total)
                        zeros.add(parent)
                        if parent.primitive is not None:
                            heappush(heap, (-parent.serial, parent))
                    continue
                if into and i in into and parent in buffers and parent.shape:  # without axes a sum is no array
                    into[i](total, saved, table[parent])
                    continue
                if fast:
                    contribution = vjp(total, saved) if joint is None else joint[i]
                    if contribution.shape != parent.shape or contribution.dtype is not parent.dtype:
                        contribution = _fit(contribution, node, i, parent)
                else:
                    contribution = _contribution(node, i, parent, total, algebra, create_graph)
                if watched:
                    for observer in observers:
                        observer.on_edge(node, i, parent, contribution)
                    if events:
                        yield Event("rule", node, i, parent, contribution)
                if parent not in table:
                    table[parent] = contribution
                    if (joint is not None and not watched) or i in into:
                        buffers.add(parent)  # these rules return new arrays (see `vjp_joint` and `vjp_into`)
                    if parent.primitive is not None:
                        heappush(heap, (-parent.serial, parent))
                    elif hooked and parent in places:
                        heappush(heap, (places[parent], parent))
                elif parent in zeros:
                    table[parent] = contribution
                    zeros.discard(parent)
                else:
                    table[parent] = algebra.add(table[parent], contribution, parent in buffers and not events)
                    buffers.add(parent)
                if events:
                    yield Event("accumulate", node, i, parent, contribution, table[parent])
        if release and ran and saved:
            node.saved = FREED
        if wanted is not None and not kept:
            wanted.discard(node)  # or the set would keep alive the nodes that a checkpoint has made for this pass
    for node in table if observers else ():
        if node.primitive is None:
            for observer in observers:
                observer.on_cotangent(node, table[node])


def run(
    table: dict[Node, Any],
    needed: set[Node] | Literal[Wanted.ALL],
    keep: set[Node] | Literal[Wanted.OWNED],
    *,
    create_graph: bool,
    release: bool,
) -> None:
    """Run `sweep` to its end."""
    with context(recording=True) if create_graph else nullcontext():
        for _ in sweep(table, needed, keep, create_graph=create_graph, release=release):
            pass


def _run_again(
    node: Node, total: Any, table: dict[Node, Any], needed: set[Node] | Literal[Wanted.ALL], release: bool
) -> Node | None:
    """Run a checkpoint's function again. The node of its output takes over the cotangent."""
    again: Node | None = node.saved.run(node)
    if again is not None:
        table[again] = total
        if needed is not Wanted.ALL:
            extend(needed, [again], node.serial)
    if release:
        node.saved = FREED
    return again


def _contribution(node: Node, i: int, parent: Node, total: Any, algebra: Algebra, create_graph: bool) -> Any:
    """The contribution of `node` to its i-th input, off the fast path: create_graph, an algebra, or other kernels."""
    assert node.primitive is not None
    saved = node.saved
    if create_graph:  # make the cotangent a tensor, too: of an array, the operations in the rule would save copies
        saved = _as_tensors(node, saved)
        total = tensor_of(total)
    if create_graph and node.primitive.decomposition is not None:
        rule = partial(_replay, node, i, saved)
    else:
        rule = partial(_rule, node, i, saved)
    with context(kernels=node.kernels):
        if algebra is ARRAYS:
            return _fit(rule(total), node, i, parent)
        return algebra.edge(node, i, algebra.apply(lambda g: _fit(rule(g), node, i, parent), total))


def _nothing(node: Node, like: Any) -> Any:
    """The cotangent 0 of a node, without an array of zeros."""
    xp = namespace(like)
    return xp.broadcast_to(xp.zeros((), node.dtype), node.shape)


def _rule(node: Node, i: int, saved: Any, g: Any) -> Any:
    return dict(node.plan.vjps)[i](g, saved)


def _fit(contribution: Any, node: Node, i: int, parent: Node) -> Any:
    """Give a contribution the shape and dtype of the input: sum over the axes that were broadcast, undo promotion."""
    shape = contribution.shape
    if shape != parent.shape:
        extra = len(shape) - len(parent.shape)
        fits = extra >= 0 and all(n == m or n == 1 for n, m in zip(parent.shape, shape[extra:], strict=True))
        if not node.primitive.broadcasts or not fits:  # type: ignore[union-attr]
            mend = "; if its inputs broadcast, declare it with @tr.primitive(broadcasts=True)" if fits else ""
            raise RuntimeError(
                f"{node.name}: the rule for argument {i} returned a cotangent of shape {tuple(shape)}, "
                f"but the argument has shape {parent.shape}{mend}"
            )
        stretched = [a + extra for a, n in enumerate(parent.shape) if n == 1 and shape[a + extra] != 1]
        contribution = FUNCTIONS["sum"](contribution, axis=(*range(extra), *stretched), keepdims=True)
        contribution = FUNCTIONS["reshape"](contribution, parent.shape)
    if contribution.dtype != parent.dtype:
        contribution = FUNCTIONS["astype"](contribution, parent.dtype)
    return contribution


def _as_tensors(node: Node, saved: tuple[Any, ...]) -> tuple[Any, ...]:
    """The saved arrays as tensors of the nodes that they came from, so that the operations of a rule are recorded."""
    found = []
    for value, origin in zip(saved, node.plan.origins, strict=True):
        source = node if origin == "y" else None if origin is None else node.parents[origin]
        found.append(wrap(value, source) if origin is not None and hasattr(value, "strides") else value)
    return tuple(found)


def _replay(node: Node, i: int, saved: tuple[Any, ...], g: Any) -> Any:
    """The rule of a fused operation under create_graph: run its decomposition on the saved inputs and differentiate."""
    primitive = node.primitive
    assert primitive is not None
    assert primitive.decomposition is not None
    given = dict(zip(node.plan.names, saved, strict=True))
    identity = FUNCTIONS["identity"]  # one tensor may be two of the inputs: give each a node of its own
    inputs = [identity(given[n]) if node.parents[k] is not None else given[n] for k, n in enumerate(primitive.inputs)]
    statics = {name: given[name] for name in primitive.statics if name in given}
    with context(replaying=True, observers=(), path=node.path):
        head, target = primitive.decomposition(*inputs, **statics).node, inputs[i].node
        table = {head: g}
        run(table, between([head], [target]), {target}, create_graph=True, release=False)
    return table[target]
