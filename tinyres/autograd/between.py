"""Which nodes a backward pass is about: those that lie between outputs and inputs."""

from __future__ import annotations

from collections.abc import Iterable

from tinyres.autograd.node import Node


def between(outputs: Iterable[Node], inputs: Iterable[Node]) -> set[Node]:
    """The nodes on any path from `outputs` down to `inputs`, these included."""
    found = set(inputs)
    extend(found, outputs, min((n.serial for n in found), default=0) - 1)
    return found


def extend(found: set[Node], outputs: Iterable[Node], floor: int) -> None:
    """Add to `found` the nodes on any path from `outputs` to a node in it. Serials up to `floor` are skipped.

    Two passes: collect all that `outputs` were made from; then, oldest first, add each node that has a parent in
    `found`. What is older than every input cannot lie on such a path, hence the floor.
    """
    seen = set(outputs)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent.primitive is not None and parent.serial > floor and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    for _, node in sorted([(n.serial, n) for n in seen]):  # parents before their consumers
        for parent in node.parents:
            if parent in found:
                found.add(node)
                break


__all__ = ["between", "extend"]
