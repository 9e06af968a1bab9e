"""Which runs of which blocks are going on, and where each of them ends."""

from __future__ import annotations

from collections.abc import Iterable

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Array
from tinyres.flow.instruments.blocks import Paths, label
from tinyres.flow.instruments.history import Step
from tinyres.flow.instruments.statistics import of_activation


class Runs:
    """The runs of the watched blocks in one step, told from the operations as they are recorded."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._called: set[str] = set()  # blocks that have been called and have not computed anything yet
        self._run: dict[str, str] = {}  # what the latest run of a block is called
        self._leaving: dict[str, Array] = {}  # blocks that are running, and their latest result
        self._output: dict[str, Node] = {}  # by run
        self._ends: dict[Node, list[str]] | None = None  # the same by node

    def call(self, step: Step, module: nn.Module, path: str | None) -> None:
        """A module is called."""
        name = self._paths.meet(module, path)
        if name is not None:
            if name in self._leaving:  # called again with nothing in between
                self._leave(step, name)
            self._called.add(name)

    def compute(self, step: Step, node: Node, value: Array) -> None:
        """An operation was recorded."""
        inside = self._paths.around(node.path)
        self.leave(step, inside)
        for name in inside:
            if name in self._called or name not in self._run:
                self._called.discard(name)
                self._begin(step, name)
            self._leaving[name] = value  # the last operation inside a block makes its output
            self._output[self._run[name]] = node
        self._ends = None

    def leave(self, step: Step, inside: Iterable[str] = ()) -> None:
        """Blocks that have been left have their output: all that are running, but those that are `inside`."""
        for name in [name for name in self._leaving if name not in inside]:
            self._leave(step, name)

    def ending_in(self, node: Node) -> list[str]:
        """The runs whose output the node is."""
        if self._ends is None:
            self._ends = {}
            for name, output in self._output.items():
                self._ends.setdefault(output, []).append(name)
        return self._ends.get(node, [])

    def _leave(self, step: Step, name: str) -> None:
        run = self._run[name]
        step.forward[run] = of_activation(self._leaving.pop(name))
        step.check(step.forward[run], f"the output of {run or 'the model'}")

    def _begin(self, step: Step, name: str) -> None:
        """A run of a block begins. At the second one, the first is called name[0]."""
        number = step.runs[name] = step.runs.get(name, 0) + 1
        if number == 2:
            step.rename(name, label(name, 0))
            self._output[label(name, 0)] = self._output.pop(name)
        self._run[name] = name if number == 1 else label(name, number - 1)


__all__ = ["Runs"]
