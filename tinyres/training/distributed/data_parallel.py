"""Data-parallel training: every process holds the model and takes its share of each batch."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.arrays import namespace, to_device, unravel_like
from tinyres.autograd.tensor import Array, Tensor, rebind, wrap
from tinyres.training.distributed.ranks import RankFailed, Ranks
from tinyres.training.distributed.sync_batch_norm import synchronise
from tinyres.training.run import Run


class CannotShare(ValueError):
    """The ranks cannot take the steps of this run together."""


class DataParallel(Run):
    """A run whose steps several processes take together, each with its share of every batch.

        g = Σ_r (n_r / N) g_r,   g_r the gradient of the mean loss over the n_r of the batch's N samples on rank r

    This is the gradient of the whole batch: recipe, batch size and learning rate mean what they mean in one process.
    (If you make the batch k times as large for k processes, you may want k times the learning rate, with a warm-up:
    Goyal et al. 2017 [goyal2017accurate], "Accurate, large minibatch SGD"; nothing is scaled automatically.) Order,
    augmentation and dropout are those of one process, too: each rank draws for the whole batch and takes its rows.
    After each step all ranks hold the same bits, so any one of them can score or save the run, and a saved run can be
    resumed in any number of processes.

    Without batch norm the result equals that of one process, up to rounding. With it, each rank normalises by its own
    share, as PyTorch's DistributedDataParallel does, and the running statistics become the mean of the ranks'. With
    `sync_batch_norm` the statistics are those of the whole batch, which again equals one process, up to rounding.

    Args:
        run: what `prepare` made of the same recipe on every rank. All start where rank 0's run stands, which may have
            been resumed.
        ranks: the processes.

    Raises:
        CannotShare: a batch has fewer samples than there are ranks, or recipe, data and settings differ between ranks.
        RankFailed: from `steps`, when another rank fails or dies. The run is then as it was after its last step, and
            can be saved.
    """

    def __init__(self, run: Run, ranks: Ranks, *, sync_batch_norm: bool = False) -> None:
        super().__init__(run.recipe, run.model, run.optimizer, run.scheduler, run.loader, run.test, run.total)
        if run.loader.batch_size < ranks.size:
            raise CannotShare(
                f"{ranks.size} ranks cannot share batches of {run.loader.batch_size}: choose a batch size of at least "
                f"{ranks.size}, or fewer ranks"
            )
        self.ranks, self.processes = ranks, ranks.size
        self.saved_on, self.notes = run.saved_on, run.notes
        agreed = _must_agree(run, sync_batch_norm)
        first, state = ranks.broadcast((agreed, state_of(run)) if ranks.rank == 0 else None)
        others = [f"{name} is {value!r} here and {first[name]!r} there" for name, value in agreed.items()
                  if value != first[name]]  # fmt: skip
        if others:
            raise CannotShare(
                f"rank {ranks.rank} has another run than rank 0 ({', '.join(others)}): give each rank the same recipe "
                "and all of the data; it takes its share by itself"
            )
        self.rows, self.samples = slice(0), 0  # this rank's of the batch, and how many the batch has
        if sync_batch_norm:
            synchronise(self.model, ranks)
        for module in self.model.modules():
            for name, value in vars(module).items():
                if isinstance(value, np.random.Generator):
                    setattr(module, name, _WholeBatch(value, self))
        load_state(self, state)

    def gradient(self, x: Any, target: Any) -> float:
        before = self.snapshot()
        try:
            return self._gradient(x, target)
        except RankFailed:
            self.restore(before)  # running statistics and draws of a step that was not taken
            raise

    def _gradient(self, x: Any, target: Any) -> float:
        self.samples, rank, size = len(x), self.ranks.rank, self.ranks.size
        self.rows = slice(len(x) * rank // size, len(x) * (rank + 1) // size)
        mine, labels = (wrap(t.data[self.rows]).to(self.device) for t in (x, target))
        share = len(mine) * size / len(x)  # about 1, so that a recorder on this rank sees gradients of their usual size
        loss = self.loss(mine, labels) * share
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

    def first_failure(self, again: Callable[[], object]) -> str:
        # Ranks whose shares stay finite would wait for the one that stopped in the middle.
        return "in one process, without --distributed, the run would name the first layer that failed"

    def _mean(self, arrays: list[Array]) -> list[Array]:
        """The mean over the ranks of each array; all arrays of a dtype travel in one buffer."""
        found: list[Array] = list(arrays)
        for dtype in dict.fromkeys(a.dtype for a in arrays):
            chosen = [i for i, a in enumerate(arrays) if a.dtype == dtype]
            ends = np.cumsum([arrays[i].size for i in chosen])
            buffer = namespace(arrays[0]).empty(int(ends[-1]), dtype)
            for i, end in zip(chosen, ends, strict=True):
                unravel_like(buffer[end - arrays[i].size : end], arrays[i])[...] = arrays[i]
            buffer = self.ranks.sum(buffer) / self.ranks.size
            for i, end in zip(chosen, ends, strict=True):
                found[i] = unravel_like(buffer[end - arrays[i].size : end], arrays[i])
        return found


class _WholeBatch(np.random.Generator):
    """A module's generator that draws for the whole batch and gives this rank's rows of it.

    A draw with as many rows as this rank has samples is made for the whole batch (dropout's mask); any other is the
    same on all ranks (stochastic depth's coin). The bits come from the generator it replaces, whose state is saved.
    """

    def __init__(self, drawn: np.random.Generator, run: DataParallel) -> None:
        super().__init__(drawn.bit_generator)
        self._run = run

    def random(self, size: Any = None, *arguments: Any, **named: Any) -> Any:
        rows = self._run.rows
        if isinstance(size, tuple) and size and size[0] == rows.stop - (rows.start or 0):
            return super().random((self._run.samples, *size[1:]), *arguments, **named)[rows]
        return super().random(size, *arguments, **named)


def _must_agree(run: Run, sync_batch_norm: bool) -> dict[str, Any]:
    """What must be the same on all ranks, or they would wait for each other, or mix up two batches."""
    data = run.loader.dataset
    settings = {"--sync-batch-norm": sync_batch_norm, "batch size": run.loader.batch_size, "number of steps": run.total}
    labels = {"number of samples": len(data), "checksum of the labels": zlib.crc32(data.targets.tobytes())}
    return run.recipe.to_json() | settings | labels


# -- the state of a run, for the other ranks --------------------------------------------------------------------------
def state_of(run: Run) -> dict[str, Any]:
    """Where a run stands, as plain arrays and values that can be sent to another process."""
    return {"snapshot": _on_host(run.snapshot()), "log": (run.step, run.losses, run.scores)}


def load_state(run: Run, state: dict[str, Any]) -> None:
    """Bring the run to where the other one stood."""
    run.restore(state["snapshot"])
    run.step, run.losses, run.scores = state["log"]


def _on_host(value: Any) -> Any:
    """Arrays and tensors anywhere inside, as arrays of NumPy's."""
    if isinstance(value, dict):
        return {name: _on_host(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_on_host(entry) for entry in value]
    if isinstance(value, Tensor):
        value = value.data
    return to_device(value, "cpu") if hasattr(value, "shape") else value


__all__ = ["CannotShare", "DataParallel"]
