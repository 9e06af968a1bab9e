"""What the process that compiles ahead does (`ahead.py`): it calls kernels that are compiled for the call, but not run.

Arrays are zeros, which take no memory as long as nobody reads them.
"""

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinyres_kernels import cpu
from tinyres_kernels.cpu import cache, jit
from tinyres_kernels.cpu.ahead import NAME
from tinyres_kernels.cpu.choices import Wanted, forced
from tinyres_kernels.cpu.plan import PLANNERS, Shape, explain
from tinyres_kernels.cpu.turns import Turn
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Activation, Adam, AvgPool, MaxPool, Norm, Relu, Running, Sgd

Call = tuple[str, Wanted, tuple[Any, ...]]  # an operation, what is forced, and the arguments
NOT_COMPILED = {"blas", "im2col"}  # ways that would be run here
PATIENCE = 10.0  # seconds without a new plan, after which there is nothing left to do


def calls() -> Iterator[Call]:
    """What most training steps need, and no plan tells: the small ones first."""

    def zeros(*shape: int, dtype: Any = np.float32) -> Array:
        return np.zeros(shape, dtype)

    line, channels = zeros(64), zeros(16)
    yield "relu", (), (line, zeros(64), Relu(0.0))
    yield "relu_dx", (), (line, line, zeros(64), Relu(0.0))
    yield "add", (), (line, line, zeros(64))
    logits, classes = zeros(4, 10), zeros(4, dtype=np.int64)
    yield "cross_entropy_dx", (), (zeros(4), logits, classes, zeros(4, 10))
    yield "cross_entropy", (), (logits, classes, zeros(4), zeros(4, 10))
    yield "sgd_many", (), ([(line, line, line, zeros(64), zeros(64))], Sgd(0.1, 0.9, 0.0, 1e-4, False))
    adam = Adam(0.1, 0.9, 0.999, 1e-8, 0.0, False, 1)
    yield "adam_many", (), ([(line, line, line, line, zeros(64), zeros(64), zeros(64))], adam)
    yield "bce_with_logits", (), (line, line, zeros(64))
    yield "bce_with_logits_dx", (), (line, line, line, zeros(64))
    yield "activation", (), (line, zeros(64), Activation("tanh"))
    yield "activation_dx", (), (line, line, zeros(64), Activation("tanh"))
    images, pooled, index = zeros(2, 8, 8, 32), zeros(2, 4, 4, 32), zeros(2, 4, 4, 32, dtype=np.int32)
    window = (2, 2), (2, 2), (0, 0)
    yield "max_pool2d", (), (images, pooled, index, MaxPool(*window, (1, 1)))
    yield "max_pool2d_dx", (), (pooled, index, zeros(2, 8, 8, 32), MaxPool(*window, (1, 1)))
    yield "avg_pool2d", (), (images, pooled, AvgPool(*window, True))
    yield "avg_pool2d_dx", (), (pooled, zeros(2, 8, 8, 32), AvgPool(*window, True))
    count = zeros(1, dtype=np.int64)
    running = Running(channels, channels, count, zeros(16), zeros(16), zeros(1, dtype=np.int64))
    found = zeros(8, 16), zeros(16), zeros(16)  # out, mean, variance
    yield (
        "batch_norm",
        (),
        (zeros(8, 16), channels, channels, zeros(8, 16), *found, running, Norm(1e-5, True, True, 0.1)),
    )


def following(op: str, shapes: tuple[Shape, ...], itemsize: int, wanted: Wanted, s: Any) -> Iterator[Call]:
    """What comes after a plan for `op` on these shapes: a way that was forced, since a trial is about to take it, and
    the adjoints."""

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, f"f{itemsize}")

    if op in ("conv2d", "conv2d_dx", "conv2d_dw"):
        a, b, out = (zeros(*shape) for shape in shapes)
        if wanted:
            if all(isinstance(value, bool) for _, value in wanted):  # a limit is of the way that is planned anyway
                yield op, wanted, (a, b, out, s)
        elif op == "conv2d":
            yield "conv2d_dw", (), (a, out, b, s)
            yield "conv2d_dx", (), (out, b, a, s)
        elif op == "conv2d_dx":
            yield "conv2d_dw", (), (out, a, b, s)
            yield "conv2d", (), (out, b, a, s)
    elif op == "batch_norm":
        (M, C), rows = shapes[0], zeros(*shapes[0])
        written = zeros(M, C), zeros(C), zeros(C), zeros(M, C)  # dx, dweight, dbias, dresidual
        yield "batch_norm_dx", (), (rows, rows, rows, *(zeros(C),) * 4, *written, Norm(1e-5, True, True))
    elif op == "linear":
        x, w = (zeros(*shape) for shape in shapes)
        g = zeros(len(x), len(w))
        yield "matmul", (), (g.T, x, zeros(*w.shape))
        yield "matmul", (), (g, w, zeros(*x.shape))
        yield "column_sums", (), (g, zeros(len(w)))


def compile_for(op: str, wanted: Wanted, arguments: tuple[Any, ...]) -> None:
    """Have the kernels compiled that this call would run."""
    with forced(**dict(wanted), threads=1):
        if op in PLANNERS and NOT_COMPILED & {name.split(":")[0] for name in explain(op, *arguments).names}:
            return
        getattr(cpu, op)(*arguments)


class Told:
    """The plans that come in; and the end of this process, when the one that tells them ends."""

    def __init__(self, pipe: Any) -> None:
        self._pipe, self._plans, self._changed = pipe, list[Any](), threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with suppress(EOFError, pickle.UnpicklingError):
            while True:
                plan = pickle.load(self._pipe)
                with self._changed:
                    self._plans.append(plan)
                    self._changed.notify()
        os._exit(0)

    def news(self, patience: float) -> list[Any]:
        """The plans that have come since, after waiting for one at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._plans, patience)
            news, self._plans = self._plans, []
            return news


def main(folder: str, starter: int) -> None:
    """Compile one after the other, while the process that asked for it is there."""
    if Turn(Path(folder), NAME).take(patience=0):  # another process does it already
        return
    jit.only_compile()
    cache.patient = False
    told, todo, rest = Told(sys.stdin.buffer), list[Call](), calls()
    last: Call | None = None
    while os.getppid() == starter:
        last = last or next(rest, None)
        for plan in told.news(0 if todo or last else PATIENCE):
            todo += reversed(list(following(*plan)))
        if not todo:
            if not last:
                return
            todo, last = [last], None
        with suppress(Exception):  # it is the other process's to say so
            compile_for(*todo.pop())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
