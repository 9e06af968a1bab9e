"""Record activations and gradients while a model trains: `with flow.record(model) as recording: loss.backward()`."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Array, raw
from tinyres.context import Observer, current, is_recording
from tinyres.flow.instruments import blocks as block_names
from tinyres.flow.instruments import history, statistics
from tinyres.flow.instruments.boundary import Boundary, uneven
from tinyres.flow.instruments.curve import Curve
from tinyres.flow.instruments.history import Step
from tinyres.flow.instruments.routes import RouteNorms, Routes, share, some, why_missing, why_none
from tinyres.flow.instruments.runs import Runs
from tinyres.flow.instruments.updates import Updates
from tinyres.flow.measurement import Measurement


class Recording(Observer):
    """Records what passes through a model's blocks, in every `every`-th step.

    A step is one `with` block around a forward and a backward pass; the optimiser may step inside or after it. Inside
    a `with` block around a whole loop, a step begins by itself when, after a backward pass, the model is called again
    with parameters that its optimiser has changed: see `tinyres.flow.instruments.boundary`. Only numbers are kept.
    `history()` returns all recorded steps; `gradient_norms`, `routes` and `skip_share` describe the last one. A block
    that runs several times in a step, such as the cell of a recurrent net, has numbers for each run: cell[0], cell[1],
    ... . If several backward passes of a step reach the same run, the last one is kept, with a warning.

    Attributes:
        watched: dotted names of the blocks.
        every: steps 0, every, 2 every, ... are recorded.
        entered: the number of steps so far, recorded or not.
        steps: the recorded steps; `recording.steps[-1].forward["blocks.0"].variance`.
    """

    def __init__(
        self, model: nn.Module, blocks: list[str] | None = None, *, every: int = 1, details: bool = True
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"record: needs an nn.Module, got {type(model).__name__}")
        self.watched = block_names.chosen(model, blocks)
        if every < 1:
            raise ValueError(f"record: every must be at least 1 (each step), got {every}")
        self.every = every
        self._model, self._details = model, details
        self._depth, self._blocks = 0, []
        self._warnings: list[str] = []
        self._by_itself = False  # a step has begun inside a `with` block
        self.clear()

    def clear(self) -> None:
        """Discard all recorded steps, and count steps from 0 again.

        Raises:
            RuntimeError: called inside the `with` block.
        """
        if self._depth:
            raise RuntimeError("record: clear() would discard the step in progress; call it outside the with block")
        self.entered = 0
        self.steps: list[Step] = []
        self._reset()

    def _reset(self) -> None:
        """Look at the model as it is now, and release everything that refers to the tape."""
        self._paths = block_names.Paths(self._model, self.watched, settled=bool(self.steps))
        self._release()

    def _release(self) -> None:
        self._runs = Runs(self._paths, self._details)
        self._routes = Routes()

    @property
    def blocks(self) -> list[str]:
        """Names of the recorded blocks: `watched`, but name[0], name[1], ... for a block that ran more than once.

        A block that was called and never computed anything, such as an `nn.Identity`, is left out: its output is its
        input. If any ran more than once, runs are listed in the order in which they ended, so that plots start at the
        input side.
        """
        computed = set().union(*(step.runs for step in self.steps))
        idle = set().union(*(step.idle for step in self.steps)) - computed
        watched = [name for name in self.watched if name not in idle]
        found = block_names.labels(watched, [step.runs for step in self.steps])
        if len(found) == len(watched):
            return found
        longest = max(self.steps, key=lambda step: len(step.forward)).forward
        place = {name: k for k, name in enumerate(longest)}
        return sorted(found, key=lambda name: place.get(name, len(place)))

    # -- the last recorded step -------------------------------------------------------------------------------------
    def gradient_norms(self) -> Curve:
        """|dL/d output| of each run in `blocks`, over the whole batch; NaN if no gradient arrived.

        Raises:
            ValueError: nothing has been recorded yet.
            RuntimeError: the step had no backward pass.
        """
        backward = self._last().backward
        found = [block_names.seen(backward, name) for name in self.blocks]
        norms = [np.nan if summary is None else summary.norm for summary in found]
        title = "the gradient at the blocks' outputs"
        return Curve.of(title, "gradient_norm", norms, "block", self.blocks, history.COST)

    @property
    def routes(self) -> dict[str, dict[str, float]]:
        """{residual connection: {"skip": |gradient|, "branch": |gradient|}} at the point where its routes rejoin."""
        return {
            name: {"skip": m.skip, "branch": m.branch} | ({"gate": m.gate} if m.gate else {})
            for name, m in self._route_norms().items()
        }

    def skip_share(self) -> Curve:
        """|skip| / (|skip| + |branch|) for each residual connection; NaN if both are 0, or with a warning if its input
        needs no gradient. In an nn.Sequential the names are numbers: `share["2"]` is the block called 2, and
        `share.numpy()[0]` the first.

        Raises:
            ValueError: nothing has been recorded yet, or the gradient passed no residual connection.
            RuntimeError: the step had no backward pass.
        """
        one_way = self._last().one_way or self._routes.one_way(self._runs.name_of)
        norms = self._route_norms()
        if not norms:
            raise ValueError(f"record: skip_share() {why_none(self._model, one_way)}")
        if one_way:
            warnings.warn(why_missing(one_way), stacklevel=2)
        shares = [*[np.nan] * len(one_way), *(share(m.skip, m) for m in norms.values())]
        title = "the skip connection's share of |skip| + |branch|"
        return Curve.of(title, "skip_share", shares, "residual connection", [*one_way, *norms], history.COST)

    def _route_norms(self) -> dict[str, RouteNorms]:
        if not self.steps:
            return {}
        return self.steps[-1].routes or self._routes.by_name(self._runs.name_of)  # while the step runs: so far

    def _last(self) -> Step:
        """The last recorded step; an error if it had no backward pass."""
        if not self.steps:
            raise ValueError(history.nothing_recorded(self.entered, self.every))
        if not self.steps[-1].differentiated:
            raise RuntimeError(
                f"record: step {self.steps[-1].number} had no backward pass; call loss.backward() inside "
                "`with recording:`, too"
            )
        return self.steps[-1]

    @property
    def first_not_finite(self) -> str | None:
        """Where the first NaN or infinity appeared, such as "step 30: the output of blocks.2", or None."""
        return next((f"step {s.number}: {s.not_finite}" for s in self.steps if s.not_finite), None)

    def history(self) -> Measurement:
        """All recorded steps as arrays by step and block; see `tinyres.flow.instruments.history`."""
        if not self.steps:
            raise ValueError(history.nothing_recorded(self.entered, self.every))
        return history.collect(self.steps, self.blocks, self.first_not_finite)

    def __repr__(self) -> str:
        steps = f"{len(self.steps)} of {self.entered} steps recorded"
        others = some(block_names.left_out(self._model, self.watched))
        parts = block_names.inside(self._model, self.watched)
        takes = "which record(model, [names]) takes"
        ask = f"; not recorded: {others}, {takes}" if others else ""
        if parts:
            ask += f"; inside the blocks are {len(parts)} more modules, {some(parts)}, {takes}"
        return f"Recording({type(self._model).__name__}, {len(self.watched)} blocks, {steps}; {history.COST}{ask})"

    # -- steps ------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Recording:
        self._depth += 1
        if self._depth > 1:
            return self  # a nested with block belongs to the same step and must not record twice
        if self.steps:
            self.steps[-1].finish()
        self._first, self._warnings = self.entered, []
        self._begin()
        if self._recorded or self._by_itself:
            self._taken = self._boundary.taken
            super().__enter__()
        return self

    def _begin(self) -> None:
        number = self.entered
        self.entered += 1
        self._recorded = number % self.every == 0
        if not self._recorded and not self._by_itself:
            return  # nobody looks, so that the step runs at full speed
        self._boundary = Boundary(self._model)
        self._reset()
        self._step = Step(number, Updates(self._model if self._details and self._recorded else None))
        if self._recorded:
            self.steps.append(self._step)

    def _end(self) -> None:
        """Keep what the step has found, and let its tape go."""
        step = self._step
        self._runs.finish(step)
        step.routes = self._routes.by_name(self._runs.name_of)
        step.one_way = self._routes.one_way(self._runs.name_of)
        self._release()
        if not self._recorded:
            return
        if step.reached_twice is not None:
            self._warnings.append(
                f"record: several backward passes reached {step.reached_twice or 'the model'} in step "
                f"{step.number}; only the last one is kept. Put `with recording:` around each step, or add the losses "
                "up before one backward pass"
            )
        self._warnings += filter(None, [self._boundary.doubts(step.number)])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth and self._blocks:
            super().__exit__(kind, error, trace)
            self._end()
            if self._step.number > self._first and not self._boundary.reached:
                self.entered -= 1  # a last look at what was learnt, which is no step
                if self._recorded:
                    self.steps.pop()
            if self._by_itself:
                self._warnings += filter(None, [uneven(self._model, self._taken, self.entered - self._first)])
            for said in self._warnings[:1] if kind is None else ():
                warnings.warn(said, stacklevel=2)

    # -- observer hooks ---------------------------------------------------------------------------------------------
    def on_inputs(self, module: Any, path: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_recording() and self._paths.outermost(module):
            values = (*args, *kwargs.values())
            if self._boundary.crossed(module, values):
                self._end()
                self._step.finish()
                self._by_itself = True
                self._begin()
                self._boundary.crossed(module, values)  # the first call of the new step
        self.on_module(module, path)

    def on_module(self, module: Any, path: str | None) -> None:
        if self._recorded:
            self.watched = self._paths.called(module)
            self._runs.call(self._step, module, path)

    def on_call(self, primitive: Any, inputs: tuple[Any, ...], parents: tuple[Any, ...], value: Any) -> None:
        if self._recorded and self._step.idle:
            self._runs.ran(self._step, current().path)

    def on_forward(self, node: Node, value: Array) -> None:
        if self._recorded:
            self._runs.compute(self._step, node, value)

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        if self._recorded:
            self._routes.on_edge(consumer, arg_index, producer, contribution)

    def on_cotangent(self, node: Node, total: Any) -> None:
        step = self._step
        self._boundary.on_cotangent(node)
        if not self._recorded:
            return
        self._runs.finish(step)
        self._routes.on_cotangent(node)
        step.differentiated = True
        if node.primitive is None:
            step.updates.on_cotangent(node, total)
        for name in self._runs.ending_in(node):
            if name in step.backward:
                step.reached_twice = name
            step.backward[name] = statistics.gradient_summary(raw(total), histogram=self._details)
            step.check(step.backward[name], f"the gradient at the output of {name or 'the model'}")


def record(model: nn.Module, blocks: list[str] | None = None, *, every: int = 1, details: bool = True) -> Recording:
    """Record a model's activations, gradients and updates inside a `with` block around training, or around each step.

        with flow.record(model, every=10) as recording:
            for x, target in loader:
                model.zero_grad()
                cross_entropy(model(x), target).backward()
                optimizer.step()
        recording.history().plot().savefig("history.png")

    If two models run in the same step, give them a common parent module, whose names tell them apart.

    Args:
        model: any module; it is not changed.
        blocks: dotted names of the modules to record; default: the children of `model.blocks`, and the model's other
            children that hold residual connections; without `model.blocks`, all children of the model. The members
            of nn.ModuleList and nn.ModuleDict, which never run themselves, stand for it, here and if it is named; so
            do those of an nn.Sequential that is not called itself, but gone through: `for block in self.layers`.
            `print(recording)` names what is left out. A block that runs several times in a step is recorded at
            each run. A module shared between several places is recorded under its first name. Runs inside
            `tr.checkpoint` are counted in the order of their recomputation.
        every: record steps 0, every, 2 every, ... only; the other steps run at full speed.
        details: record histograms, and the sizes of weights and updates; False leaves them out (NaN, or no entry),
            which saves a small net a third of the time.

    Raises:
        ValueError: blocks names a module that the model does not have, or every < 1.
        TypeError: model is not a module, or blocks is not a list of names.
    """
    return Recording(model, blocks, every=every, details=details)
