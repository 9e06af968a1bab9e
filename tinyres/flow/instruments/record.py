"""What passes through a model's blocks while it trains: `with flow.record(model) as recording: loss.backward()`."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.autograd.observe import Observer
from tinyres.flow.instruments import history, statistics
from tinyres.flow.instruments.history import Step
from tinyres.flow.instruments.routes import Meeting, Routes, share
from tinyres.flow.instruments.updates import Updates
from tinyres.flow.measurement import Measurement
from tinyres.node import Node
from tinyres.tensor import Array, raw

NOTHING = "record: nothing was recorded yet; run a step inside `with recording:` first"


class Recording(Observer):
    """Watches the blocks of a model during every `every`-th of the steps that it is put around.

    A step is one `with` block around a forward and a backward pass; the optimiser may step inside or after it. Of each
    recorded step only numbers are kept, never an array of the model's. `history()` gives all of them; `gradient_norms`,
    `routes` and `skip_share` tell of the last recorded step. Where several backward passes of a step reach the same
    block, the last one is kept, with a warning.

    Attributes:
        blocks: dotted names of what is watched.
        every: which steps are recorded: number 0, every, 2 every, ...
        entered: how many steps there were.
        steps: what was recorded; `recording.steps[-1].forward["blocks.0"].variance`.
    """

    def __init__(self, model: nn.Module, blocks: list[str] | None = None, *, every: int = 1) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"record: needs a module, whose blocks have names, got {type(model).__name__}")
        if isinstance(blocks, str):
            raise TypeError(f"record: blocks is a list of names, got the string {blocks!r}; write [{blocks!r}]")
        names = [name for name, _ in model.named_modules()]
        inside = getattr(model, "blocks", None)
        if not isinstance(inside, nn.Module):  # the attribute may be something of the model's own
            inside = model
        usual = [name if inside is model else f"blocks.{name}" for name, _ in inside.named_children()] or [""]
        blocks = usual if blocks is None else blocks
        unknown = [name for name in blocks if name not in names]
        if unknown or not blocks:
            known = ", ".join([n for n in dict.fromkeys([*usual, *names]) if n][:8]) or "'' (the model itself)"
            raise ValueError(f"record: no blocks called {unknown}; name modules of the model, such as {known}")
        if every < 1:
            raise ValueError(f"record: every must be at least 1 (each step), got {every}")
        self.blocks, self.every = list(blocks), every
        self._model, self._names = model, set(names)
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
        self._local: dict[str | None, str | None] = {}
        self._enclosing: dict[str | None, list[str]] = {}
        self._leaving: dict[str, tuple[Node, Array]] = {}  # blocks that are running, and their latest result
        self._output: dict[str, Node] = {}
        self._watched: dict[Node, list[str]] | None = None
        self._routes = Routes()

    # -- the last recorded step -------------------------------------------------------------------------------------
    def gradient_norms(self) -> Array:
        """|dL/d output| in the order of `blocks`, of the whole batch's gradient; NaN where nothing arrived.

        Raises:
            ValueError: nothing was recorded yet.
            RuntimeError: there was no backward pass in the step.
        """
        backward = self._last().backward
        return np.array([backward[name].norm if name in backward else np.nan for name in self.blocks])

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
        return self.steps[-1].routes or self._routes.by_name(self._name_of)  # inside the block: so far

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
        return f"Recording({type(self._model).__name__}, {len(self.blocks)} blocks, {steps}; {history.COST})"

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
            self._left(())
            step = self.steps[-1]
            step.routes = self._routes.by_name(self._name_of)
            self._forget()
            if step.again is not None and kind is None:
                warnings.warn(
                    f"record: several backward passes reached {step.again or 'the model'} in step {step.number}, and "
                    "only the last one is kept; put `with recording:` around each step, not around all of them",
                    stacklevel=2,
                )

    # -- what the tape tells ----------------------------------------------------------------------------------------
    def on_forward(self, node: Node, value: Array) -> None:
        inside = self._around(node.path)
        self._left(inside)
        for name in inside:
            self._leaving[name] = node, value  # the last operation inside a block makes its output
            self._output[name] = node
        self._watched = None

    def on_edge(self, consumer: Node, arg_index: int, producer: Node, contribution: Any) -> None:
        self._routes.on_edge(consumer, arg_index, producer, contribution)

    def on_cotangent(self, node: Node, total: Any) -> None:
        self._left(())
        self._routes.on_cotangent(node)
        step = self.steps[-1]
        step.differentiated = True
        if node.primitive is None:
            step.updates.on_cotangent(node, total)
        if self._watched is None:
            self._watched = {}
            for name, output in self._output.items():
                self._watched.setdefault(output, []).append(name)
        for name in self._watched.get(node, ()):
            if name in step.backward:
                step.again = name
            step.backward[name] = statistics.of_gradient(raw(total))
            step.check(step.backward[name], f"the gradient at the output of {name or 'the model'}")

    def _left(self, inside: Any) -> None:
        """Blocks that have been left have their output."""
        for name in [name for name in self._leaving if name not in inside]:
            step = self.steps[-1]
            step.forward[name] = statistics.of_activation(self._leaving.pop(name)[1])
            step.check(step.forward[name], f"the output of {name or 'the model'}")

    # -- names ------------------------------------------------------------------------------------------------------
    def _around(self, path: str | None) -> list[str]:
        """The watched blocks that the path lies in."""
        found = self._enclosing.get(path)
        if found is None:
            local = self._name_of(path)
            parts = (local or "").split(".")
            names = {".".join(parts[:k]) for k in range(len(parts) + 1)} if local is not None else set()
            found = self._enclosing[path] = [block for block in self.blocks if block in names]
        return found

    def _name_of(self, path: str | None) -> str | None:
        """The name inside the model of what runs under `path`; None for what belongs to no part of it."""
        if path not in self._local:
            own, parts = self._model._name, (path or "").split(".")
            starts = [0] if not own else [k + 1 for k, part in enumerate(parts) if part == own]
            names = [".".join(parts[k:]) for k in starts] if path is not None else []
            self._local[path] = next((name for name in names if name in self._names), None)
        return self._local[path]


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
            A block that runs several times in a step is seen at its last run.
        every: record the steps 0, every, 2 every, ... only; the others run as if nobody watched.

    Raises:
        ValueError: blocks that the model does not have, or every < 1.
        TypeError: the model is no module, or blocks no list of names.
    """
    return Recording(model, blocks, every=every)
