"""The kernels of a training step on a few small arrays: what the process that compiles ahead runs (`ahead.py`)."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinyres_kernels import cpu
from tinyres_kernels.cpu.ahead import NAME
from tinyres_kernels.cpu.choices import forced
from tinyres_kernels.cpu.turns import Turn
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Adam, AvgPool, Conv, MaxPool, Norm, Relu, Running, Sgd

Call = tuple[str, dict[str, bool], tuple[Any, ...]]  # an operation, what is forced, and the arguments


def _ones(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def calls() -> Iterator[Call]:
    """Those of a ResNet's training step, from the last to the first; then what other nets need."""
    line, pixels, channels = _ones(64), _ones(8, 16), _ones(16)
    logits, classes, losses = _ones(4, 10), np.zeros(4, np.int64), _ones(4)
    few, some, taps = _ones(2, 8, 8, 3), _ones(2, 8, 8, 32), _ones(3, 3, 32, 32)
    same, direct, fast = Conv((1, 1), (1, 1), (1, 1), 1), {"winograd": False}, {"winograd": True}
    norm, count = Norm(1e-5, True, True, 0.1), np.zeros(1, np.int64)
    running = Running(channels, channels, count, _ones(16), _ones(16), count.copy())
    statistics = channels, channels, channels, channels  # weight, bias, mean, variance

    yield "sgd", {}, (line, line, line, _ones(64), _ones(64), Sgd(0.1, 0.9, 0.0, 1e-4, False))
    yield "conv2d_dw", direct, (few, some, _ones(3, 3, 3, 32), same)
    yield "add", {}, (line, line, _ones(64))
    yield "conv2d_dw", fast, (some, some, _ones(*taps.shape), same)
    written = _ones(8, 16), _ones(16), _ones(16), _ones(8, 16)  # dx, dweight, dbias, dresidual
    yield "batch_norm_dx", {}, (pixels, pixels, pixels, *statistics, *written, norm)
    by_two = Conv((2, 2), (1, 1), (1, 1), 1)
    yield "conv2d_dx", direct, (_ones(2, 4, 4, 32), taps, _ones(*some.shape), by_two)
    yield "conv2d_dx", fast, (some, taps, _ones(*some.shape), same)
    yield "cross_entropy_dx", {}, (losses, logits, classes, _ones(4, 10))
    yield "cross_entropy", {}, (logits, classes, _ones(4), _ones(4, 10))
    yield "conv2d", fast, (some, taps, _ones(*some.shape), same)
    found = _ones(8, 16), _ones(16), _ones(16)  # out, mean, variance
    yield "batch_norm", {}, (pixels, channels, channels, pixels, *found, running, norm)
    yield "conv2d", direct, (few, _ones(3, 3, 3, 32), _ones(*some.shape), same)

    yield "relu", {}, (line, _ones(64), Relu(0.0))
    yield "relu_dx", {}, (line, line, _ones(64), Relu(0.0))
    adam = Adam(0.1, 0.9, 0.999, 1e-8, 0.0, False, 1)
    yield "adam_many", {}, ([(line, line, line, line, _ones(64), _ones(64), _ones(64))], adam)
    pooled, index = _ones(2, 4, 4, 32), np.zeros((2, 4, 4, 32), np.int32)
    window = (2, 2), (2, 2), (0, 0)
    yield "max_pool2d", {}, (some, pooled, index, MaxPool(*window, (1, 1)))
    yield "max_pool2d_dx", {}, (pooled, index, _ones(*some.shape), MaxPool(*window, (1, 1)))
    yield "avg_pool2d", {}, (some, pooled, AvgPool(*window, True))
    yield "avg_pool2d_dx", {}, (pooled, _ones(*some.shape), AvgPool(*window, True))
    yield "bce_with_logits", {}, (line, line, _ones(64))
    yield "bce_with_logits_dx", {}, (line, line, line, _ones(64))
    wide, taps, half = _ones(2, 8, 8, 64), _ones(4, 4, 64, 64), _ones(2, 4, 4, 64)
    strided = {"strided": True}
    yield "conv2d", strided, (wide, taps, _ones(*half.shape), by_two)
    yield "conv2d_dx", strided, (half, taps, _ones(*wide.shape), by_two)
    yield "conv2d_dw", strided, (wide, half, _ones(*taps.shape), by_two)


def main(folder: str, starter: int) -> None:
    """Compile one after the other, while the process that asked for it is there."""
    if Turn(Path(folder), NAME).take(patience=0):  # another process does it already
        return
    for op, choices, arguments in calls():
        if os.getppid() != starter:
            return
        with forced(**choices):
            getattr(cpu, op)(*arguments)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
