"""What passes through a model's blocks while it trains: `with flow.record(model) as recording: loss.backward()`."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Array, raw
from tinyres.context import Observer
from tinyres.flow.instruments import blocks as blocks_of
from tinyres.flow.instruments import history, statistics
from tinyres.flow.instruments.history import Step
from tinyres.flow.instruments.routes import Meeting, Routes, share
from tinyres.flow.instruments.runs import Runs
from tinyres.flow.instruments.updates import Updates
from tinyres.flow.measurement import Measurement

NOTHING = "record: nothing was recorded yet; run a step inside `with recording:` first"


class Recording(Observer):
    """Watches the blocks of a model during every `every`-th of the steps that it is put around.

    A step is one `with` block around a forward and a backward pass; the optimiser may step inside or after it. Of each
    recorded step only numbers are kept, never an array of the model's. `history()` gives all of them; `gradient_norms`,
    `routes` and `skip_share` tell of the last recorded step. A block that runs several times in a step, such as the
    cell of a recurrent net, has numbers for each run: cell[0], cell[1], ... . Where several backward passes of a step
    reach the same run, the last one is kept, with a warning.

    Attributes:
        watched: dotted names of the blocks.
        every: which steps are recorded: number 0, every, 2 every, ...
        entered: how many steps there were.
        steps: what was recorded; `recording.steps[-1].forward["blocks.0"].variance`.
    """

    def __init__(self, model: nn.Module, blocks: list[str] | None = None, *, every: int = 1) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"record: needs a module, whose blocks have names, got {type(model).__name__}")
        self.watched = blocks_of.chosen(model, blocks)
        if every < 1:
            raise ValueError(f"record: every must be at least 1 (each step), got {every}")
        self.every = every
        self._model = model
        self._depth, self._blocks = 0, []
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded, and count steps from 0 again.

        Raises:
            RuntimeError: inside the `with` block.
        """
        if self._depth:
            raise RuntimeError("record: clear() would forget the step that is running; call it outside the with block")
        self.entered = 0
        self.steps: list[Step] = []
        self._forget()

    def _forget(self) -> None:
        """Let go of everything that belongs to the tape."""
        self._paths = blocks_of.Paths(self._model, self.watched)
        self._runs = Runs(self._paths)
        self._routes = Routes()

    @property
    def blocks(self) -> list[str]:
        """What there are numbers of: `watched`, but name[0], name[1], ... for a block that ran several times in a step.

        Where one did, the runs stand in the order in which they ended, so that a picture goes from the input side on.
        """
        found = blocks_of.labels(self.watched, [step.runs for step in self.steps])
        if len(found) == len(self.watched):
            return found
        longest = max(self.steps, key=lambda step: len(step.forward)).forward
        place = {name: k for k, name in enumerate(longest)}
        return sorted(found, key=lambda name: place.get(name, len(place)))

    # -- the last recorded step -------------------------------------------------------------------------------------
    def gradient_norms(self) -> Array:
        """|dL/d output| of the runs in `blocks`, of the whole batch's gradient; NaN where nothing arrived.

        Raises:
            ValueError: nothing was recorded yet.
            RuntimeError: there was no backward pass in the step.
        """
        backward = self._last().backward
        found = [blocks_of.seen(backward, name) for name in self.blocks]
        return np.array([np.nan if summary is None else summary.norm for summary in found])

    @property
    def routes(self) -> dict[str, dict[str, float]]:
        """{residual connection: {"skip": |contribution|, "branch": |contribution|}} where its routes rejoin."""
        return {
            name: {"skip": m.skip, "branch": m.branch} | ({"gate": m.gate} if m.gate else {})
            for name, m in self._met().items()
        }

    def skip_share(self) -> dict[str, float]:
        """|skip| / (|skip| + |branch|) for each residual connection; NaN where both are 0.

        Raises:
            ValueError: nothing was recorded yet, or the gradient met no residual connection.
            RuntimeError: there was no backward pass in the step.
        """
        self._last()
        met = self._met()
        if not met:
            raise ValueError(
                "record: skip_share() met no residual connection, so that no route can be compared with another; build "
                "the blocks of nn.Residual. gradient_norms() and history() need none"
            )
        return {name: share(m.skip, m) for name, m in met.items()}

    def _met(self) -> dict[str, Meeting]:
        if not self.steps:
            return {}
        return self.steps[-1].routes or self._routes.by_name(self._paths.name_of)  # inside the block: so far

    def _last(self) -> Step:
        """The last recorded step, which is to have seen a backward pass."""
        if not self.steps:
            raise ValueError(NOTHING)
        if not self.steps[-1].differentiated:
            raise RuntimeError(
                f"record: there was no backward pass in the block of step {self.steps[-1].number}; call "
                "loss.backward() inside `with recording:`, too"
            )
        return self.steps[-1]

    @property
    def first_not_finite(self) -> str | None:
        """Where a NaN or an infinity was met first, such as "step 30: the output of blocks.2"; None if nowhere."""
        return next((f"step {s.number}: {s.not_finite}" for s in self.steps if s.not_finite), None)

    def history(self) -> Measurement:
        """Every recorded step as arrays by step and block; see `tinyres.flow.instruments.history`."""
        if not self.steps:
            raise ValueError(NOTHING)
        return history.collect(self.steps, self.blocks, self.first_not_finite)

    def __repr__(self) -> str:
        steps = f"{len(self.steps)} of {self.entered} steps recorded"
        return f"Recording({type(self._model).__name__}, {len(self.watched)} blocks, {steps}; {history.COST})"

    # -- steps ------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Recording:
        self._depth += 1
        if self._depth > 1:
            return self  # a block inside a block belongs to the same step, and nothing is to be seen twice
        if self.steps:
            self.steps[-1].settle()
        number = self.entered
        self.entered += 1
        if number % self.every == 0:
            self._forget()
            self.steps.append(Step(number, Updates(self._model)))
            super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth and self._blocks:
            super().__exit__(kind, error, trace)
            step = self.steps[-1]
            self._runs.leave(step)
            step.routes = self._routes.by_name(self._paths.name_of)
            self._forget()
            if step.again is not None and kind is None:
                warnings.warn(
                    f"record: several backward passes reached {step.again or 'the model'} in step {step.number}, and "
                    "only the last one is kept; put `with recording:` around each step, not around all of them",
                    stacklevel=2,
                )

    # -- what the tape tells ----------------------------------------------------------------------------------------
    def on_module(self, module: Any, path: str | None) -> None:
        self._runs.call(self.steps[-1], module, path)

    def on_forward(self, node: Node, value: Array) -> None:
        self._runs.compute(self.steps[-1], node, value)

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        self._routes.on_edge(consumer, arg_index, producer, contribution)

    def on_cotangent(self, node: Node, total: Any) -> None:
        step = self.steps[-1]
        self._runs.leave(step)
        self._routes.on_cotangent(node)
        step.differentiated = True
        if node.primitive is None:
            step.updates.on_cotangent(node, total)
        for name in self._runs.ending_in(node):
            if name in step.backward:
                step.again = name
            step.backward[name] = statistics.of_gradient(raw(total))
            step.check(step.backward[name], f"the gradient at the output of {name or 'the model'}")


def record(model: nn.Module, blocks: list[str] | None = None, *, every: int = 1) -> Recording:
    """Watch a model's blocks inside a `with` block, which is put around each training step.

        recording = flow.record(model, every=10)
        for x, target in loader:
            with recording:
                model.zero_grad()
                cross_entropy(model(x), target).backward()
                optimizer.step()
        recording.history().plot().savefig("history.png")

    Two models that run in the same step are told apart by the names that a common parent module gives them.

    Args:
        model: any module; it is not changed.
        blocks: dotted names of the modules to watch; default: the children of `model.blocks`, or else of the model.
            A block that runs several times in a step is seen at each run, one that stands in several places under its
            first name. Runs inside `tr.checkpoint` are counted in the order in which they are computed again.
        every: record the steps 0, every, 2 every, ... only; the others run as if nobody watched.

    Raises:
        ValueError: blocks that the model does not have, or every < 1.
        TypeError: the model is no module, or blocks no list of names.
    """
    return Recording(model, blocks, every=every)
