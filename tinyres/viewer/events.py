"""The events of a trace, each as a line of text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyres.viewer.records import TraceData, file_name
from tinyres.viewer.summaries import Thumbnail, Whole

FEW = 8  # arrays of up to this many numbers are printed in full


class TraceEvent:
    """One event of a trace. `str(moment)` is its line.

    Attributes:
        kind: "forward", "seed" (a cotangent begins), "rule" or "accumulate".
        lane: the name of the loss; None in a forward pass.
        op: the operation that is computed, whose rule runs, or that receives a contribution.
        role: the route of the argument that a rule sends to: "skip", "branch", ...
    """

    def __init__(self, trace: TraceData, index: int) -> None:
        self.trace, self.index = trace, index
        event = trace.events[index]
        self._event = event
        self.kind = {"f": "forward", "s": "seed", "r": "rule", "a": "accumulate"}[event[0]]
        self.lane = None if event[0] == "f" else trace.lanes[event[1]]
        self.op: int = event[{"f": 1, "s": 2, "r": 2, "a": 4}[event[0]]]
        roles = trace.ops[event[2]].roles if event[0] in "ra" else None
        self.role = roles[event[3]] if roles else None

    @property
    def path(self) -> str:
        """The module that was running."""
        return self.trace.ops[self.op].path

    @property
    def source(self) -> str:
        """The user's line, `model.py:12  h = self.conv(x)`, or empty."""
        place = self.trace.ops[self.op].place
        if place is None:
            return ""
        return printable(f"{Path(file_name(place[0])).name}:{place[1]}  {self.trace.sources[place]}")

    def __str__(self) -> str:
        lane = f"{self.lane}: " if self.lane is not None and len(self.trace.lanes) > 1 else ""
        return printable(f"{lane}{self.kind:<11} {getattr(self, f'_{self.kind}')()}")

    def _forward(self) -> str:
        op = self.trace.ops[self.op]
        inputs = ", ".join("?" if i is None else self._called(int(i)) for i in op.inputs)
        return (
            f"{self._called(self.op)} = {op.kind}({inputs}){self._inside()}: {op.shape}, {self._amount(op.value, 'y')}"
        )

    def _seed(self) -> str:
        return f"{self._called(self.op)}: the pass begins with {self._amount(self._event[3], 'g')}"

    def _rule(self) -> str:
        _, _, consumer, arg, producer, contribution = self._event
        role = f" [{self.role}]" if self.role else ""
        name = self.trace.ops[consumer].args[arg]
        return (
            f"{self._called(consumer)}{self._inside()}, {name}{role}: sends {self._amount(contribution, 'g')} to "
            f"{self._called(producer)}"
        )

    def _accumulate(self) -> str:
        *_, contribution, before, total = self._event
        first = before is None
        added = f"{'nothing so far' if first else self._amount(before, 'g')} += {self._amount(contribution, 'g')}"
        added += "" if first else f", now {self._amount(total, 'g')}"
        return "; ".join([f"{self._called(self.op)}: {added}", *self.trace.rejoined.get(self.index, [])])

    def _called(self, i: int) -> str:
        op = self.trace.ops[i]
        return op.name or f"{op.kind} #{i}"

    def _inside(self) -> str:
        return f" in {self.path}" if self.path else ""

    def _amount(self, place: int | None, symbol: str) -> str:
        if place is None:
            return f"{symbol} not kept"
        summary = self.trace.summaries[place]
        if isinstance(summary, Thumbnail):
            bad = f", {summary.bad} not finite" if summary.bad else ""
            return f"|{symbol}| = {summary.norm:.4g}{bad}"
        return f"{symbol} = {_written(summary)}"


def _written(summary: Whole) -> str:
    array = summary.array()
    if array.size <= FEW:
        return np.array2string(array, precision=4, separator=", ").replace("\n", "")
    return f"array of norm {summary.size():.5g}"


def printable(text: str) -> str:
    """The text without terminal control characters."""
    return "".join(c if c.isprintable() else "?" for c in text)
