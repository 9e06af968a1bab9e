"""The runs of each block in a step: which are in progress, and which node is the output of each."""

from __future__ import annotations

from collections.abc import Iterable

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Array
from tinyres.flow.instruments.blocks import Paths, label
from tinyres.flow.instruments.history import Step
from tinyres.flow.instruments.statistics import activation_summary


class Runs:
    """The runs of the watched blocks in one step, derived from the operations as they are recorded."""

    def __init__(self, paths: Paths, details: bool = True) -> None:
        self._paths, self._details = paths, details
        self._called: set[str] = set()  # blocks that were called but have not computed anything yet
        self._run: dict[str, str] = {}  # by block: the name of its latest run
        self._running: dict[str, Array] = {}  # blocks in progress, and their latest result
        self._output: dict[str, Node] = {}  # by run: the node of its output
        self._names: dict[Node, str | None] = {}  # by operation: the module that it is part of
        self._ending_at: dict[Node, list[str]] | None = None  # the inverse of _output

    def call(self, step: Step, module: nn.Module, path: str | None) -> None:
        """A module is called."""
        name = self._paths.enter(module, path)
        if name is not None:
            if name in self._running:  # called again with nothing in between
                self._finish(step, name)
            self._called.add(name)
            if name not in step.runs:
                step.idle.add(name)

    def ran(self, step: Step, path: str | None) -> None:
        """An operation ran, recorded or not."""
        step.idle.difference_update(self._paths.enclosing(path))

    def name_of(self, node: Node) -> str | None:
        """The module of which an operation was part when it ran; None if of none of the model's."""
        return self._names[node] if node in self._names else self._paths.name_of(node.path)

    def compute(self, step: Step, node: Node, value: Array) -> None:
        """An operation was recorded."""
        self._names[node] = self._paths.name_of(node.path)
        inside = self._paths.enclosing(node.path)
        self.finish(step, inside)
        for name in inside:
            if name in self._called or name not in self._run:
                self._called.discard(name)
                self._begin(step, name)
            self._running[name] = value  # the last operation inside a block computes its output
            self._output[self._run[name]] = node
        self._ending_at = None

    def finish(self, step: Step, inside: Iterable[str] = ()) -> None:
        """Summarise the output of every block in progress that is not in `inside`."""
        for name in [name for name in self._running if name not in inside]:
            self._finish(step, name)

    def ending_in(self, node: Node) -> list[str]:
        """The runs whose output is the node."""
        if self._ending_at is None:
            self._ending_at = {}
            for name, output in self._output.items():
                self._ending_at.setdefault(output, []).append(name)
        return self._ending_at.get(node, [])

    def _finish(self, step: Step, name: str) -> None:
        run = self._run[name]
        step.forward[run] = activation_summary(self._running.pop(name), histogram=self._details)
        step.check(step.forward[run], f"the output of {run or 'the model'}")

    def _begin(self, step: Step, name: str) -> None:
        """Start a run of a block. When a second one starts, the first is renamed name[0]."""
        number = step.runs[name] = step.runs.get(name, 0) + 1
        if number == 2:
            step.rename(name, label(name, 0))
            self._output[label(name, 0)] = self._output.pop(name)
        self._run[name] = name if number == 1 else label(name, number - 1)


__all__ = ["Runs"]
