"""Data-parallel training: every process holds the model and takes its share of each batch."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays import namespace, to_device, unravel_like
from tinyres.autograd.tensor import Array, rebind, wrap
from tinyres.nn.sync_batch_norm import synchronise
from tinyres.ops.losses import cross_entropy
from tinyres.training.ranks import RankFailed, Ranks
from tinyres.training.run import Run
from tinyres.training.state import generators


class DataParallel(Run):
    """A run whose steps several processes take together, each with its share of every batch.

        g = Σ_r (n_r / N) g_r,   g_r the gradient of the mean loss over the n_r of the batch's N samples on rank r

    This is the gradient of the whole batch: recipe, batch size and learning rate mean what they mean in one process.
    (Who makes the batch k times as large for k processes may want k times the learning rate, with a warm-up: Goyal et
    al. 2017 [goyal2017accurate], "Accurate, large minibatch SGD"; nothing is scaled by itself.) Order, augmentation and
    dropout are those of one process, too: each draws for the whole batch and takes its rows. After each step all ranks
    hold the same bits, so that any one of them can score or save the run; its file goes on in any number of processes.

    Without batch norm the result is that of one process, to rounding. With it, each rank normalises by its own share,
    as PyTorch's DistributedDataParallel does, and running statistics become the mean of the ranks' ones;
    `sync_batch_norm` takes the statistics of the whole batch instead, which again is one process to rounding.

    Args:
        run: what `prepare` made of the same recipe on every rank. Where rank 0's stands (it may have been resumed), all
            go on from.
        ranks: the processes.

    Raises:
        ValueError: fewer samples in a batch than ranks, or not the same recipe, data and settings on each.
        RankFailed: from `steps`, when another rank fails or dies. The run is then as after its last step, and can be
            saved.
    """

    def __init__(self, run: Run, ranks: Ranks, *, sync_batch_norm: bool = False) -> None:
        super().__init__(run.recipe, run.model, run.optimizer, run.scheduler, run.loader, run.test, run.total)
        if run.loader.batch_size < ranks.size:
            raise ValueError(
                f"{ranks.size} ranks cannot share batches of {run.loader.batch_size}: take a batch size of at least "
                f"{ranks.size}, or fewer ranks"
            )
        self.ranks, self.processes = ranks, ranks.size
        self.came_from, self.notes = run.came_from, run.notes
        agreed = _agreed(run, sync_batch_norm)
        first, state = ranks.share((agreed, state_of(run)) if ranks.rank == 0 else None)
        others = [f"{name} is {value!r} here and {first[name]!r} there" for name, value in agreed.items()
                  if value != first[name]]  # fmt: skip
        if others:
            raise ValueError(
                f"rank {ranks.rank} has another run than rank 0 ({', '.join(others)}): give each rank the same recipe "
                "and all of the data, of which it takes its share by itself"
            )
        self.rows, self.samples = slice(0), 0  # this rank's of the batch, and how many the batch has
        if sync_batch_norm:
            synchronise(self.model, ranks)
        for module in self.model.modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    setattr(module, name, _WholeBatch(value, self))
        take_over(self, state)

    def gradient(self, x: Any, target: Any) -> float:
        before = _accidental_state(self.model)
        try:
            return self._gradient(x, target)
        except RankFailed:
            _restore(self.model, before)
            raise

    def _gradient(self, x: Any, target: Any) -> float:
        self.samples, rank, size = len(x), self.ranks.rank, self.ranks.size
        self.rows = slice(len(x) * rank // size, len(x) * (rank + 1) // size)
        mine, labels = (wrap(t.data[self.rows]).to(self.device) for t in (x, target))
        share = len(mine) * size / len(x)  # about 1: who watches this rank sees gradients of their usual size
        loss = cross_entropy(self.model(mine), labels) * share
        loss.backward()
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        buffers = [b for b in self.model.buffers() if np.issubdtype(b.dtype, np.floating)]
        running = [b.data * share for b in buffers]
        means = self._mean([loss.data, *running, *(p.grad.data for p in parameters if p.grad is not None)])
        for buffer, value in zip(buffers, means[1:], strict=False):
            rebind(buffer, value)
        for parameter, value in zip(parameters, means[1 + len(buffers) :], strict=True):
            parameter.grad = wrap(value)
        return self.finite(float(means[0]))

    def _mean(self, arrays: list[Array]) -> list[Array]:
        """The mean over the ranks of each array: all of a dtype travel as one line."""
        found: list[Array] = list(arrays)
        for dtype in dict.fromkeys(a.dtype for a in arrays):
            chosen = [i for i, a in enumerate(arrays) if a.dtype == dtype]
            ends = np.cumsum([arrays[i].size for i in chosen])
            line = namespace(arrays[0]).empty(int(ends[-1]), dtype)
            for i, end in zip(chosen, ends, strict=True):
                unravel_like(line[end - arrays[i].size : end], arrays[i])[...] = arrays[i]
            line = self.ranks.sum(line) / self.ranks.size
            for i, end in zip(chosen, ends, strict=True):
                found[i] = unravel_like(line[end - arrays[i].size : end], arrays[i])
        return found


class _WholeBatch(np.random.Generator):
    """A module's generator that draws for the whole batch and gives this rank's rows of it.

    What has as many rows as this rank has samples is such a draw (dropout's mask); what has not is the same on all
    ranks (stochastic depth's coin). Bits come from the generator it stands for, whose state files hold.
    """

    def __init__(self, drawn: np.random.Generator, run: DataParallel) -> None:
        super().__init__(drawn.bit_generator)
        self._run = run

    def random(self, size: Any = None, *arguments: Any, **named: Any) -> Any:
        rows = self._run.rows
        if isinstance(size, tuple) and size and size[0] == rows.stop - (rows.start or 0):
            return super().random((self._run.samples, *size[1:]), *arguments, **named)[rows]
        return super().random(size, *arguments, **named)


def _agreed(run: Run, sync_batch_norm: bool) -> dict[str, Any]:
    """What must be the same on all ranks: where it is not, they would wait for each other, or mix up two batches."""
    data = run.loader.dataset
    settings = {"--sync-batch-norm": sync_batch_norm, "batch size": run.loader.batch_size, "number of steps": run.total}
    labels = {"number of samples": len(data), "checksum of the labels": zlib.crc32(data.targets.tobytes())}
    return run.recipe.to_json() | settings | labels


# -- what a run is, besides what its recipe makes ---------------------------------------------------------------------
def state_of(run: Run) -> dict[str, Any]:
    """Where a run stands, as plain arrays and values."""
    return {
        "model": {name: to_device(value.data, "cpu") for name, value in run.model.state_dict().items()},
        "optimizer": _on_host(run.optimizer.state_dict()),
        "schedule": run.scheduler.state_dict(),
        "generators": [g.bit_generator.state for _, g in generators(run.model)],
        "progress": (run.step, list(run.losses), list(run.scores)),
    }


def take_over(run: Run, state: dict[str, Any]) -> None:
    """Let the run stand there."""
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.scheduler.load_state_dict(state["schedule"])
    for (_, generator), bits in zip(generators(run.model), state["generators"], strict=True):
        generator.bit_generator.state = bits
    run.step, run.losses, run.scores = state["progress"]


def _on_host(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _on_host(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_on_host(entry) for entry in value]
    return to_device(value, "cpu") if hasattr(value, "shape") else value


def _accidental_state(model: nn.Module) -> Any:
    """What a forward pass changes besides its result. A snapshot: buffers are rebound, never written into."""
    return [b.data for b in model.buffers()], [g.bit_generator.state for _, g in generators(model)]


def _restore(model: nn.Module, state: Any) -> None:
    for buffer, value in zip(model.buffers(), state[0], strict=True):
        rebind(buffer, value)
    for (_, generator), bits in zip(generators(model), state[1], strict=True):
        generator.bit_generator.state = bits


__all__ = ["DataParallel"]
