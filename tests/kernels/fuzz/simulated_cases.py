"""Run as a program, with NUMBA_ENABLE_CUDASIM=1: what the fuzz draws, small, put to the CUDA kernels on the CPU.

A line of JSON for each case: the case, and its faults. The last line tells of lines that kernels would misread.
"""

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "cuda"))  # where the simulator's helpers are

CONVOLUTIONS = {"conv2d": 6, "conv2d_dx": 6, "conv2d_dw": 6}  # cases of each; of all others, `FEW`
FEW = 2
# The simulator takes no strided arrays (a GPU does): they are for what makes lines of them.
LINES = (
    "tiled",
    "add",
    "relu",
    "activation",
    "activation_dx",
    "relu_dx",
    "bce_with_logits",
    "bce_with_logits_dx",
    "sgd",
    "adam",
    "rmsprop",
)


def trials():
    """(way, trial): most convolutions naive, every third one tiled."""
    from tinyres_kernels.conformance import OPS
    from tinyres_kernels.conformance.draw import Budget, draw
    from tinyres_kernels.conformance.layouts import ON_DEVICE

    for place, op in enumerate(OPS):
        if op == "matmul":
            continue  # the array library's
        for i in range(CONVOLUTIONS.get(op, FEW)):
            budget = Budget(90, 1500, 89)
            trial = draw(np.random.default_rng([place, i]), OPS[op], budget)
            way = ("tiled" if i % 3 == 0 else "naive") if op in CONVOLUTIONS else ""
            taken = ON_DEVICE if (way or op) in LINES else ["one element on"]
            layouts = {name: [each for each in lines if each in taken] for name, lines in trial.layouts.items()}
            if trial.case.elements <= 200:
                yield way, replace(trial, layouts=layouts)


def strided_lines():
    """The host's lines of arrays that are no line in memory: kernels take four numbers next to each other."""
    from tinyres_kernels.cuda import host

    a = np.arange(20.0)
    read = [a[::2], a[::-1], np.broadcast_to(a[:1], 10), a.reshape(1, 1, 20, 1)[:, :, ::2]]
    made = [*map(host.flat, read), *host.lines([np.empty(10)], [a[::2], a[10:][::-1]])]
    return [str(line.strides) for line in made if line.strides != (8,)]


def main():
    warnings.simplefilter("ignore", RuntimeWarning)  # of 0 / 0, in threads that errstate does not reach
    from numba.cuda.simulator import kernel
    from simulated import route_to
    from simulated_blocks import run
    from tinyres_kernels import cuda as rung

    with mock.patch.object(kernel.FakeCUDAKernel, "__call__", run):
        for way, trial in trials():
            print(json.dumps([str(trial), trial.faults(route_to(rung, way, trial.case.op.name))]), flush=True)
    print(json.dumps(["lines", strided_lines()]))


if __name__ == "__main__":
    main()
